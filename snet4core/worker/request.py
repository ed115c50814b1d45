"""The worker's job: one JSON object, parsed and validated.

A key that is unknown is refused by name, so that a misspelt option is never ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from snet4core.errors import UsageError
from snet4core.sentence import ALLOW_REMOTE

if TYPE_CHECKING:
    from snet4core.parts.plan import Choices
    from snet4core.settings import ShapeSettings

PROTOCOL = 1
"""Raised when an older client would misunderstand the worker, or the other way round."""

Kind = Literal["extract", "plan", "polygonize", "preview", "score", "check", "model"]
"""The jobs there are; `plan` is `extract` without the work, `preview` makes no layer, `model`
says what the card does."""


@dataclass(frozen=True, slots=True)
class Request:
    """One job. What is None is left to the scene, the maps or the model's card.

    In the JSON object the fields of `choices` stand beside the others.
    """

    kind: Kind
    """What to do."""
    choices: Choices
    """What the user chose for the run."""
    folder: str | None = None
    """Where temporary results may lie; the system's place when absent."""
    scene: str | None = None
    """`extract`, `plan`: the picture's file."""
    maps: str | None = None
    """`polygonize`, `preview`: the maps' file."""
    number: int | None = None
    """`preview`: comes back with the answer, which tells a client what it is to."""
    proposals: str | None = None
    """`score`: what was found."""
    truth: str | None = None
    """`score`: what there is."""
    model: str = "default"
    """A shipped model's name, or a file."""
    device: str = "auto"
    """As in `--device`."""
    precision: str = "auto"
    """As in `--precision`."""
    scales: tuple[float, ...] | None = None
    """`extract`, `plan`: as in `--tta`; None: the scales on the model's card."""
    save_maps: str | None = None
    """`extract`: where the maps are kept."""
    shown_output: str | None = None
    """The result's name in the command line that is shown; the worker never writes there."""
    s_per_mpix: float | None = None
    """`plan`: seconds per megapixel of an earlier run, from which the time is estimated."""

    def path(self, name: Literal["scene", "maps", "proposals", "truth"]) -> Path:
        """A file that this kind of job cannot do without. Raises UsageError when absent."""
        value = getattr(self, name)
        if not value:
            raise UsageError(f"The job '{self.kind}' lacks '{name}'; name the file.")
        return Path(value)

    def shapes(self, settings: ShapeSettings) -> dict[str, Any]:
        """How maps become footprints, as plain values that are entries of a job, too.

        `settings` are the choices with what was left open; a model says no least height.
        """
        names = ("threshold", "min_area_m2", "min_confidence", "simplify_m", "regularize")
        said = {name: getattr(settings, name) for name in names}
        return said | {"height_min_m": self.choices.height_min_m}

    def command(self) -> str:
        """The equal command line, to be pasted into a shell.

        >>> from snet4core.parts.plan import Choices
        >>> Request("extract", Choices(off_nadir_deg=32), scene="a b.tif").command()
        "snet4 run 'a b.tif' -o footprints.gpkg --off-nadir 32"
        """
        from snet4core.parts.command import command_line  # heavy, see `parse`

        output = self.shown_output or "footprints.gpkg"
        verb, source = ("polygonize", self.maps) if self.maps else ("run", self.scene)
        values = {each.name: getattr(self.choices, each.name) for each in fields(self.choices)}
        values |= {each.name: getattr(self, each.name) for each in fields(self)}
        return command_line(verb, source or "", output, values)


def parse(line: bytes) -> Request:
    """One line of JSON as a request. Raises UsageError for anything but a proper job."""
    try:
        raw = json.loads(line)
    except ValueError as problem:
        raise UsageError(f"The job is not one line of JSON ({problem}).") from None
    if not isinstance(raw, dict):
        raise UsageError("The job must be a JSON object.")
    protocol = raw.pop("protocol", None)
    if protocol != PROTOCOL:
        raise UsageError(
            f"The job speaks protocol {protocol}, this snet4 speaks {PROTOCOL}; install the "
            "plugin and the engine of the same version."
        )
    kind = raw.pop("kind", None)
    if kind not in get_args(Kind):
        raise UsageError(f"The job's kind {kind!r} is unknown; use {', '.join(get_args(Kind))}.")
    from snet4core.parts.plan import Choices  # heavy; the worker holds its lifeline before

    chosen = {field.name: str(field.type) for field in fields(Choices)}
    del chosen[ALLOW_REMOTE.keyword]  # a worker opens no connections
    del chosen["footprints_from"]  # for comparisons in Python: no program offers it
    others = {field.name: str(field.type) for field in fields(Request)}
    del others["kind"], others["choices"]
    for name in raw:
        if name not in chosen | others:
            raise UsageError(f"The job has an unknown entry {name!r}.")
    values = {name: _checked(name, (chosen | others)[name], raw[name]) for name in raw}
    choices = Choices(**{name: value for name, value in values.items() if name in chosen})
    return Request(kind, choices, **{n: value for n, value in values.items() if n in others})


def _checked(name: str, annotation: str, value: Any) -> Any:
    """The value as its field's type, if JSON's value fits it. Raises UsageError."""
    kind = annotation.removesuffix(" | None")
    if value is None and kind != annotation:
        return None
    if not _FITS[kind](value):
        raise UsageError(f"The job's entry {name!r} cannot be {value!r}.")
    return _MADE[kind](value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_whole_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_number, value))


_BOX, _NUMBERS = "tuple[float, float, float, float]", "tuple[float, ...]"
_FITS: dict[str, Callable[[Any], bool]] = {
    "str": _is_text,
    "Path": _is_text,
    "float": _is_number,
    "int": _is_whole_number,
    "bool": lambda value: isinstance(value, bool),
    _BOX: _is_box,
    _NUMBERS: _is_numbers,
}
"""Type of a field -> whether a value from JSON fits it."""
_MADE: dict[str, Callable[[Any], Any]] = {
    "str": str,
    "Path": Path,
    "float": float,
    "int": int,
    "bool": bool,
    _BOX: lambda value: tuple(map(float, value)),
    _NUMBERS: lambda value: tuple(map(float, value)),
}
"""Type of a field -> its value from one that fits."""
