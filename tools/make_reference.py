"""Write docs/reference: the public API from its docstrings, the command line from its help, the
settings from the dataclasses that hold them.

    python tools/make_reference.py [--check]

With `--check` nothing is written; the exit code is 1 when a page is not that of the code.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import sys
import textwrap
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

import snet4core
from snet4_cli.main import COMMANDS, snet4
from snet4_training.recipe import (
    AugmentRecipe,
    DataRecipe,
    ModelRecipe,
    RealSource,
    TrainRecipe,
)
from snet4core.model.card import WindowSettings
from snet4core.settings import ShapeSettings, SplitSettings

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
WIDTH = 90

API_HEAD = """# Python API

    import snet4core
    found = snet4core.detect("scene.tif", off_nadir_deg=32)
    found.write("footprints.gpkg")

What is listed here is public. Everything else in `snet4core` may move or change without notice
([architecture](../how-it-works/architecture.md) shows the way through it). Written by
`python tools/make_reference.py` from the docstrings, whose examples are run as tests.
"""

CLI_HEAD = """# Command line

Written by `python tools/make_reference.py` from `snet4 COMMAND --help`. Results go to stdout, all
else to stderr. Exit codes: 0 done; 1 a bug; 2 usage; 3 some of several scenes, or some parts,
failed, the rest is written; 4 a model, library, device, worker or scheduler is missing or cannot be
used; 5 unusable input; 6 the result cannot be written there; 130 interrupted. More of them:
[reliability](../how-it-works/reliability.md).
"""

SETTINGS_HEAD = """# Settings

Written by `python tools/make_reference.py` from the code that checks them. A misspelt or impossible
setting is refused before any work, with the values that would do. They stand in three places:

- **The model's card** says how its maps become footprints, for each look category. Options such as
  `snet4 run --threshold` change that for one run, `snet4 calibrate` for good.
- **A recipe** (TOML) says how a model is trained. Change the file, or
  `snet4 train RECIPE --set KEY=VALUE`.
- **The environment**, see the end of this page.
"""

SETTINGS_TAIL = """## Environment variables

| variable | meaning |
| --- | --- |
| `SNET4_PYTHON` | interpreter, or folder of an environment, of the QGIS plugin's engine |
| `SNET4_CACHE` | folder for compiled networks, or `off`; see the page on performance |
| `SNET4_KERNELS` | `off`: inner loops by numpy and not by compiled code, to the same bytes |
| `OMP_NUM_THREADS` | most threads of the network, as for other programs |

The commands set aside what other programs say of GDAL and PROJ (`GDAL_DATA`, `PROJ_LIB`,
`GDAL_DRIVER_PATH` and the like); `snet4 doctor` names what it set aside.
"""

SETTINGS: dict[str, tuple[str, tuple[tuple[str, type], ...]]] = {
    "From maps to footprints": (
        "On the model's card there is one set for each look category. Without a card, as for maps "
        "of other programs, these defaults hold.",
        (("shapes.", ShapeSettings), ("shapes.split.", SplitSettings)),
    ),
    "Windows": (
        "The fixed grid on which the network runs; part of the card.",
        (("windows.", WindowSettings),),
    ),
    "Recipe: the network": ("", (("model.", ModelRecipe),)),
    "Recipe: the data": ("", (("data.", DataRecipe), ("data.real.N.", RealSource))),
    "Recipe: augmentation": ("", (("augment.", AugmentRecipe),)),
    "Recipe: training": ("", (("train.", TrainRecipe),)),
}
"""Heading -> a sentence, and the dataclasses of its tables with what stands before their keys."""


def settings() -> str:
    """The page of all settings, with their defaults."""
    parts = [SETTINGS_HEAD]
    for heading, (text, kinds) in SETTINGS.items():
        parts.append(f"## {heading}\n" + (f"\n{text}\n" if text else ""))
        parts += [_settings_table(prefix, kind) for prefix, kind in kinds]
    return "\n".join([*parts, SETTINGS_TAIL])


def _settings_table(prefix: str, kind: type) -> str:
    meanings = _meanings(kind)
    rows = ["| key | default | meaning |", "| --- | --- | --- |"]
    for each in dataclasses.fields(kind):
        made = each.default_factory
        default = each.default if made is dataclasses.MISSING else made()
        if dataclasses.is_dataclass(default):
            continue  # it has a table of its own
        meaning = meanings.get(each.name, "").replace("|", "\\|")
        rows.append(f"| `{prefix}{each.name}` | `{_as_toml(default)}` | {meaning} |")
    return "\n".join(rows) + "\n"


def _as_toml(value: Any) -> str:
    """A default as a recipe writes it; `-` where there is none."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def api() -> str:
    """The page of the public names: functions first, then classes, then the module of the score."""
    things = [(name, getattr(snet4core, name)) for name in snet4core.__all__ if name[0] != "_"]
    functions = [_function(name, thing) for name, thing in things if inspect.isfunction(thing)]
    classes = [_class(name, thing) for name, thing in things if inspect.isclass(thing)]
    score = snet4core.score
    public = [
        _function(f"score.{name}", thing)
        for name, thing in vars(score).items()
        if inspect.isfunction(thing) and thing.__module__ == score.__name__ and name[0] != "_"
    ]
    module = f"## score\n\n{_text(score)}\n"
    return "\n".join([API_HEAD, *functions, *classes, module, *public]).rstrip() + "\n"


def _function(name: str, thing: Any) -> str:
    return f"## {name}\n\n{_signature(name, thing)}\n\n{_text(thing)}\n"


def _class(name: str, thing: type) -> str:
    """A class, its fields with the sentence below each, and its public methods."""
    parts = [f"## {name}\n\n{_text(thing)}\n"]
    if dataclasses.is_dataclass(thing):
        parts.append(_fields(thing))
    for member, value in vars(thing).items():
        if member.startswith("_") and member != "__geo_interface__":
            continue
        if isinstance(value, property):
            parts.append(f"### {name}.{member}\n\n{_text(value)}\n")
        elif inspect.isfunction(value) or isinstance(value, staticmethod):
            function = inspect.unwrap(getattr(thing, member))
            parts.append(
                f"### {name}.{member}\n\n{_signature(member, function)}\n\n{_text(function)}\n"
            )
    return "\n".join(parts)


def _fields(thing: type) -> str:
    """The fields of a dataclass as a table; the meaning is the string below each in the code."""
    meanings = _meanings(thing)
    rows = ["| field | type | meaning |", "| --- | --- | --- |"]
    for each in dataclasses.fields(thing):  # type: ignore[arg-type]  # asked before
        kind = str(each.type).replace("|", "\\|")
        rows.append(f"| `{each.name}` | `{kind}` | {meanings.get(each.name, '')} |")
    return "\n".join(rows).replace("|  |", "| |") + "\n"


def _meanings(thing: type) -> dict[str, str]:
    """The string below each field, also of the dataclasses that it inherits from."""
    meanings: dict[str, str] = {}
    for kind in filter(dataclasses.is_dataclass, reversed(thing.__mro__)):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        assert isinstance(tree, ast.ClassDef)  # its source is one class
        for one, following in itertools.pairwise(tree.body):
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                text = getattr(getattr(following, "value", None), "value", None)
                if isinstance(following, ast.Expr) and isinstance(text, str):
                    meanings[one.target.id] = " ".join(text.split())
    return meanings


def _signature(name: str, function: Any) -> str:
    """The call, one parameter a line where it is long."""
    signature = inspect.signature(function)
    parameters, returns = _parameters(signature), signature.return_annotation
    line = f"{name}({', '.join(parameters)}) -> {returns}"
    if len(line) > WIDTH:
        inside = "".join(f"    {each},\n" for each in parameters)
        line = f"{name}(\n{inside}) -> {returns}"
    return f"```python\n{line}\n```"


def _parameters(signature: inspect.Signature) -> list[str]:
    """The parameters as they are written, with the star before those that are keywords only."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    out = []
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and "*" not in out:
            out.append("*")
        note = "" if each.annotation is each.empty else f": {each.annotation}"
        default = "" if each.default is each.empty else f" = {each.default!r}"
        if each.name != "self":
            out.append(f"{stars.get(each.kind, '')}{each.name}{note}{default}")
    return out


def _text(thing: Any) -> str:
    """A docstring, its examples as Python blocks."""
    lines, block = [], False
    for line in (inspect.getdoc(thing) or "").splitlines():
        if line.startswith(">>>") and not block:
            lines += ["```python"]
            block = True
        if block and not line.strip():
            lines += ["```"]
            block = False
        lines.append(line)
    return "\n".join([*lines, "```"] if block else lines)


def cli() -> str:
    """The page of all commands."""
    pages = [CLI_HEAD, _help([], "snet4")]
    for name in COMMANDS:
        pages.append(_help([name], f"snet4 {name}"))
        command = snet4.get_command(click.Context(snet4), name)
        if isinstance(command, click.Group):
            pages += [_help([name, each], f"snet4 {name} {each}") for each in command.commands]
    return "\n".join(pages).rstrip() + "\n"


def _help(arguments: list[str], title: str) -> str:
    result = CliRunner().invoke(
        snet4,
        [*arguments, "--help"],
        prog_name="snet4",
        terminal_width=WIDTH,
        catch_exceptions=False,
    )
    text = "\n".join(line.rstrip() for line in result.stdout.rstrip().splitlines())
    return f"## {title}\n\n```text\n{text}\n```\n"


PAGES = {"api.md": api, "cli.md": cli, "settings.md": settings}


def main() -> int:
    """Write the pages, or say whether they are those of the code."""
    if sys.argv[1:] == ["--check"]:
        # Words, not spaces: releases of click break lines differently.
        return int(
            any(
                (FOLDER / name).read_text(encoding="utf-8").split() != make().split()
                for name, make in PAGES.items()
            )
        )
    FOLDER.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
