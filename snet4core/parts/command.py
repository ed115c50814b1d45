"""The command line that does the same, for logs and for those who find a layer later."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from snet4core.model.header import SHIPPED, Header
from snet4core.sentence import (
    AOI,
    AZIMUTH,
    BANDS,
    BOUNDS,
    CRS,
    DEVICE,
    HEIGHT_MIN,
    LOOKS,
    MIN_AREA,
    MIN_CONFIDENCE,
    MODEL,
    NODATA,
    OFF_NADIR,
    PRECISION,
    REGULARIZE,
    ROOFS,
    SAVE_MAPS,
    SCALES,
    SIMPLIFY,
    THRESHOLD,
)

_OPTIONS = (
    OFF_NADIR,
    AZIMUTH,
    LOOKS,
    CRS,
    BANDS,
    NODATA,
    BOUNDS,
    AOI,
    THRESHOLD,
    MIN_AREA,
    MIN_CONFIDENCE,
    SIMPLIFY,
    REGULARIZE,
    HEIGHT_MIN,
    ROOFS,
    MODEL,
    DEVICE,
    PRECISION,
    SCALES,
    SAVE_MAPS,
)
"""In the order of the command line that is shown."""

_UNSAID = {"model": "default", "device": "auto", "precision": "auto"}


def command_line(verb: str, source: str, output: str, values: Mapping[str, Any]) -> str:
    """A command to be pasted into a shell; `values` are options by their keywords.

    >>> command_line("run", "a b.tif", "footprints.gpkg", {"off_nadir_deg": 32, "bands": None})
    "snet4 run 'a b.tif' -o footprints.gpkg --off-nadir 32"
    """
    words = ["snet4", verb, _argument(source), "-o", _argument(output)]
    for option in _OPTIONS:
        value = values.get(option.keyword)
        if value is None or value == _UNSAID.get(option.keyword):
            continue
        if isinstance(value, bool):
            words.append(option.flag if value else f"--no-{option.flag[2:]}")
        elif option is BOUNDS:
            words += [option.flag, *(f"{each!r}" for each in value)]
        elif option is SCALES:
            words += [option.flag, ",".join(f"{each:g}" for each in value)]
        elif isinstance(value, float | int):
            words += [option.flag, f"{value:.12g}"]
        else:
            words += [option.flag, str(value)]
    return shlex.join(words)


def of_models(model: Header) -> str:
    """What names the models on a command line: files by their names; empty for shipped ones."""
    files = [each.path for each in model.members if each.path.parent != SHIPPED]
    words = [str(MODEL.taking(shlex.quote(each.name))) for each in files]
    usual = model.members[0].card.scales
    said = ",".join(f"{each:g}" for each in model.scales or (1.0,))
    scales = [] if model.scales == usual else [str(SCALES.taking(said))]
    return " ".join(words + scales)


def _argument(path: str) -> str:
    """The path with `./` before it where it would be parsed as an option or a list."""
    return f"./{path}" if path.startswith(("-", "@")) else path
