"""Reads recipes from TOML, with single keys changed by `--set`, and the keys of older recipes.

`--set train.steps=2000`, or `--set data.real.0.share=0.2` for the first `[[data.real]]` table.
A misspelt key is an error.
"""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from snet4_training.recipe import (
    AugmentRecipe,
    DataRecipe,
    ModelRecipe,
    RealSource,
    Recipe,
    TrainRecipe,
)
from snet4core.errors import InputError, UsageError

log = logging.getLogger("snet4")


_SECTIONS: dict[str, type[Any]] = {
    "model": ModelRecipe,
    "data": DataRecipe,
    "augment": AugmentRecipe,
    "train": TrainRecipe,
}


_Section = TypeVar("_Section")


def read_recipe(
    path: Path, changes: Sequence[str] = (), begun: Mapping[str, Any] | None = None
) -> Recipe:
    """The recipe of a TOML file, with `section.key=value` changes (values as in TOML).

    `data.real=[{folder="A"}]` replaces all sources, `data.real.0.share=0.2` changes one key of the
    first, and `data.real.1.folder=B` appends a second where there is one. `begun` is the recipe
    that a resumed run began with, as `as_plain` gives it.

    Raises `InputError` for a file that cannot be read, `UsageError` for unknown or
    impossible values.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise InputError(f"{path}: the recipe cannot be read ({problem}).") from problem
    for change in changes:
        _apply(raw, change)
    if unknown := set(raw) - set(_SECTIONS):
        raise UsageError(
            f"{path}: unknown section {', '.join(sorted(unknown))}; "
            f"a recipe has {', '.join(_SECTIONS)}."
        )
    if "data" in raw:
        raw["data"] = _without_old_keys(raw["data"], (begun or {}).get("data", {}))
    return Recipe(**{name: _section(kind, raw.get(name, {})) for name, kind in _SECTIONS.items()})


def as_plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dictionaries, for the log and the checkpoint."""
    return asdict(recipe)


def _apply(raw: dict[str, Any], change: str) -> None:
    """Make one `--set` change in the tables of a recipe."""
    section, key, *rest, value = _change(change)
    table = raw.setdefault(section, {})
    if not rest:
        table[key] = value
        return
    tables = table.setdefault(key, [])
    if len(rest) != 2 or not rest[0].isdecimal() or not isinstance(tables, list):
        raise UsageError(
            f"--set {change}: write section.key=value, or section.key.NUMBER.key=value for a list "
            "of tables, as in data.real.0.share=0.2."
        )
    index = int(rest[0])
    if index > len(tables):
        raise UsageError(
            f"--set {change}: {section}.{key} has {len(tables)} table(s), counted from 0."
        )
    if index == len(tables):
        tables.append({})
    tables[index][rest[1]] = value


def _change(text: str) -> list[Any]:
    """Parts of the key of a change, then its value."""
    name, equals, value = text.partition("=")
    parts = name.strip().split(".")
    if not equals or len(parts) < 2 or not all(parts):
        raise UsageError(f"--set {text}: write it as section.key=value, as in train.steps=2000.")
    try:
        return [*parts, tomllib.loads(f"value = {value}")["value"]]
    except tomllib.TOMLDecodeError:
        # A bare word or path: a string without its quotes.
        return [*parts, value.strip()]


_OLD_KEYS = {"banepa": "folder", "banepa_chips": "chips", "banepa_share": "share"}
"""Keys of `[data]` before `[[data.real]]`, read for one more release, and what they are there."""


_OLD_SOURCE: dict[str, Any] = {
    "name": "banepa",
    "chips": 1600,
    "share": 0.28,
    "lean": True,
    "about": "Drone pictures of Banepa, Nepal (training columns), with footprints of "
    "OpenStreetMap.",
    "licence": "Trained on imagery of OpenAerialMap contributors (CC BY 4.0) and footprints of "
    "OpenStreetMap contributors (ODbL).",
}
"""What those keys left unsaid."""


def _without_old_keys(data: dict[str, Any], begun: Mapping[str, Any]) -> dict[str, Any]:
    """The `[data]` table with `banepa` and its kin as a table of `real`; warns of them.

    What they leave out is taken from `begun`, the table that a resumed run began with: older
    recipes that came with snet4 set `banepa_chips` and `banepa_share`.
    """
    old = {key: data[key] for key in _OLD_KEYS if key in data}
    if not old:
        return data
    kept = {key: begun[key] for key in _OLD_KEYS if key in begun}
    source = _OLD_SOURCE | {_OLD_KEYS[key]: value for key, value in (kept | old).items()}
    shown = ("folder", "name", "lean", "chips", "share")
    log.warning(
        "%s: replaced by [[data.real]] and not read any more after this release; write "
        "data.real = [{%s}] instead.",
        ", ".join(f"data.{key}" for key in old),
        ", ".join(f"{key} = {_toml(source[key])}" for key in shown if key in source),
    )
    rest = {key: value for key, value in data.items() if key not in _OLD_KEYS}
    # A folder that this recipe does not name is not trained on, whatever the run began with.
    return {**rest, "real": [source, *rest.get("real", [])]} if old.get("banepa") else rest


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else json.dumps(value)


def _section(kind: type[_Section], raw: Any, label: str = "") -> _Section:
    """A frozen part of the recipe from its table; `label` begins the keys in errors."""
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    if not isinstance(raw, dict):
        raise UsageError(f"{label or 'A section of the recipe'} is {raw!r}; it must be a table.")
    if unknown := set(raw) - set(known):
        raise UsageError(
            f"Unknown recipe key {', '.join(sorted(label + each for each in unknown))}; known are "
            f"{', '.join(known)}."
        )
    defaults = kind()
    values = {}
    for name, value in raw.items():
        expected = getattr(defaults, name)
        given = tuple(value) if isinstance(value, list) else value
        if isinstance(expected, float) and type(given) is int:
            given = float(given)
        if expected is None:  # a string or nothing, which TOML cannot say
            expected, given = "", None if given == "" else given
        if given is not None and type(given) is not type(expected):
            raise UsageError(
                f"Recipe key {label}{name} is {value!r}; it must be a {type(expected).__name__}."
            )
        if name == "real":
            tables = enumerate(given)
            given = tuple(_section(RealSource, each, f"data.real.{n}.") for n, each in tables)
        values[name] = given
    return kind(**values)
