"""Serialises a part's result: arrays without pickle, with a checksum that is checked first.

    line "snet4 part 2", 32 bytes sha256 of all that follows, 32 bytes key of the part, then
    zlib over safetensors (https://huggingface.co/docs/safetensors)

A file that is truncated, corrupted, or renamed to another part's name is refused.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from snet4core.footprints.footprints import Arrays, Source, from_arrays, to_arrays
from snet4core.labels.joiner import OpenComponents
from snet4core.maps.maps import Maps
from snet4core.parts.part import PartResult
from snet4core.windows import Window

FORMAT = 2
"""Raised when older files must not be read."""

_MAGIC = b"snet4 part %d\n" % FORMAT
_HASH_BYTES = 32
_LEVEL = 1
"""Of zlib: outlines shrink to a third; more effort gains little."""


class DamagedPartError(ValueError):
    """The bytes are not those that were written for this part."""


def to_bytes(result: PartResult, key: str) -> bytes:
    """Serialise a result under its key (64 hexadecimal digits); the same result, the same bytes."""
    body = bytes.fromhex(key) + zlib.compress(save(_arrays(result)), _LEVEL)
    return _MAGIC + hashlib.sha256(body).digest() + body


def from_bytes(stored: bytes, key: str, source: Source) -> PartResult:
    """The reverse. Raises DamagedPartError for anything but what `to_bytes` gave for `key`."""
    body = checked(stored, key)
    try:
        return _result(load(zlib.decompress(body)), source)
    except (SafetensorError, zlib.error, KeyError, ValueError, TypeError) as problem:
        raise DamagedPartError(f"it cannot be read: {problem}") from problem


def checked(stored: bytes, key: str) -> memoryview:
    """The compressed result, once the checksum and the key are found right.

    Raises DamagedPartError for a file that was cut, flipped, or stands for another part.
    """
    start = len(_MAGIC) + _HASH_BYTES
    if not stored.startswith(_MAGIC):
        raise DamagedPartError("it is no part of this version")
    body = memoryview(stored)[start:]
    if hashlib.sha256(body).digest() != stored[len(_MAGIC) : start]:
        raise DamagedPartError("its checksum is wrong")
    if body[:_HASH_BYTES] != bytes.fromhex(key):
        raise DamagedPartError("it belongs to another part")
    return body[_HASH_BYTES:]


def _arrays(result: PartResult) -> Arrays:
    found = {f"f.{name}": array for name, array in to_arrays(result.footprints).items()}
    found |= _there(result.rest, "o", _OPEN)
    for number, maps in enumerate(result.maps):
        window = maps.window
        found[f"m.{number}.window"] = np.array([window.row, window.col, *window.shape], np.int64)
        found |= _there(maps, f"m.{number}", _MAPS)
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def _there(value: OpenComponents | Maps, prefix: str, names: Sequence[str]) -> Arrays:
    """The arrays of a value that are not None, by name."""
    arrays = {f"{prefix}.{name}": getattr(value, name) for name in names}
    return {name: array for name, array in arrays.items() if array is not None}


def _result(found: Arrays, source: Source) -> PartResult:
    table = {name[2:]: array for name, array in found.items() if name.startswith("f.")}
    count = sum(name.endswith(".window") for name in found)
    maps = (
        Maps(
            Window(*found[f"m.{number}.window"].tolist()),
            *(found[f"m.{number}.{name}"] for name in _MAPS[:3]),
            *(found.get(f"m.{number}.{name}") for name in _MAPS[3:]),
        )
        for number in range(count)
    )
    of_open = _OPEN if source.has_roofs else _OPEN[:-1]
    rest = OpenComponents(**{name: found[f"o.{name}"] for name in of_open})
    return PartResult(from_arrays(table, source), rest, tuple(maps))


_OPEN = tuple(each.name for each in fields(OpenComponents))
_MAPS = tuple(each.name for each in fields(Maps) if each.name != "window")
"""Of both, the arrays of roofs come last and may be None."""
