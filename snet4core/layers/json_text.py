"""Checks the text of a GeoJSON file before GDAL reads it.

GDAL misreads text that is not UTF-8, and asks the address that a `crs` of the type `link` or `url`
names. Its parser takes more for JSON than the standard does (comments, single quotes, names in
capitals), so what cannot be told for certain is refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, BinaryIO

from snet4core.errors import InputError

_KEY = re.compile(rb"[\"'](?:c|\\u0063)(?:r|\\u0072)(?:s|\\u0073)[\"']", re.I)
"""The name `crs`, also with escaped letters."""

_LONGEST_BYTES = 2**16
"""No honest CRS is longer."""

_LARGEST_PARSED_BYTES = 2**28
"""A larger text is not read a second time to say where it breaks off."""

_KINDS = ("name", "epsg", "ogc")
"""Types of a `crs` that say what it is, and not where that is written."""


def check(path: Path, name: str) -> None:
    """Raise InputError, which names the file `name`, for text that GDAL must not read."""
    with path.open("rb") as file, path.open("rb") as again:
        start = 0
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                raise InputError(
                    f"{name}, line {number}: it is not UTF-8; save it as UTF-8."
                ) from None
            for key in _KEY.finditer(line):
                if not _says_what(again, start + key.end()):
                    raise InputError(
                        f"{name}, line {number}: its crs names an address, or is none that can be "
                        "read, and snet4 opens no connections by itself; write the code there, as "
                        'in {"type": "name", "properties": {"name": "EPSG:32616"}}.'
                    )
            start += len(line)


def check_whole(path: Path, name: str) -> None:
    """Raise InputError for what is no JSON, or breaks off; for a file that GDAL could not read."""
    if path.stat().st_size > _LARGEST_PARSED_BYTES:
        return
    try:
        json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        raise InputError(
            f"{name} is no whole JSON ({problem}); copy or download it again."
        ) from None


def _says_what(file: BinaryIO, at: int) -> bool:
    """Whether what follows the word `crs`, which ends at this byte, names no address."""
    file.seek(at)
    text = file.read(_LONGEST_BYTES).decode("utf-8", "replace").lstrip()
    if text[:1] in (",", "]", "}", ""):
        return True  # The word is a value.
    if text[:1] != ":":
        return False
    text = text[1:].lstrip()
    if text[:1] in ('"', "[", "n", "t", "f", "-") or text[:1].isdigit():
        return True  # A field of that name: GDAL looks into an object alone.
    try:
        pairs, _ = json.JSONDecoder(object_pairs_hook=list).raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return all(_is_known(value) for key, value in pairs if str(key).lower() == "type")


def _is_known(kind: Any) -> bool:
    return isinstance(kind, str) and kind.lower() in _KINDS
