"""Checks a TIFF's header against the file before GDAL allocates anything.

GDAL trusts a header and allocates what it asks for; a truncated file fails only when the
missing block is reached, perhaps hours later. Only the first directory is read here: do the
blocks it lists lie inside the file? Layout: TIFF 6.0 and BigTIFF.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from snet4core.errors import InputError
from snet4core.files.names import printable

_TYPES = {1: "u1", 2: "u1", 3: "u2", 4: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 13: "u4",
          16: "u8", 17: "i8", 18: "u8"}  # fmt: skip
"""TIFF field types that hold whole numbers, as numpy dtypes."""

_WIDTH, _HEIGHT, _SUBFILE, _PLANAR, _SAMPLES, _NODATA = 256, 257, 254, 284, 277, 42113
_STRIP_OFFSETS, _STRIP_COUNTS, _ROWS_PER_STRIP = 273, 279, 278
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325

_ASCII = 2

_MOST_FIELDS, _MOST_BLOCKS, _MOST_PAGES = 4096, 2**27, 4096


@dataclass(frozen=True, slots=True)
class _Layout:
    """Byte order, and the field sizes, which are larger in BigTIFF."""

    order: str
    offset: str
    """struct code of an offset; 4 bytes in TIFF, 8 in BigTIFF."""
    count: str
    """struct code of the number of fields in a directory."""

    @property
    def offset_bytes(self) -> int:
        return struct.calcsize(self.offset)


_Fields = dict[int, tuple[int, int, bytes]]
"""tag -> (type, number of values, the inline value or its offset)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that only the raw header gives."""

    pictures: int
    """Pages that are neither masks nor overviews."""
    nodata: str | None
    """GDAL's no-data tag, verbatim; rasterio hides values out of range."""


def check(path: Path) -> Facts:
    """Refuse a TIFF whose header cannot be true (InputError); return facts from it.

    Blocks of size 0 are legal (sparse files).
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        try:
            layout, start = _header(file)
            first, after = _directory(file, layout, start, size_bytes)
            _check_blocks(path, file, layout, first, size_bytes)
            further = _further_pictures(file, layout, after, size_bytes)
            return Facts(1 + further, _text(file, layout, first, _NODATA))
        except (struct.error, ValueError, OverflowError, OSError) as problem:
            if isinstance(problem, InputError):
                raise
            raise _damaged(path, f"its directory cannot be read ({problem})") from problem


def _damaged(path: Path, what: str) -> InputError:
    return InputError(
        f"{printable(path)} is damaged or incomplete: {what}; copy or download it again."
    )


def _exactly(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    content = file.read(length)
    if len(content) != length:
        raise ValueError("it ends too early")
    return content


def _header(file: BinaryIO) -> tuple[_Layout, int]:
    head = _exactly(file, 0, 8)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    if struct.unpack(order + "H", head[2:4])[0] == 43:
        return _Layout(order, "Q", "Q"), struct.unpack(order + "Q", _exactly(file, 8, 8))[0]
    return _Layout(order, "I", "H"), struct.unpack(order + "I", head[4:8])[0]


def _directory(file: BinaryIO, layout: _Layout, start: int, size: int) -> tuple[_Fields, int]:
    """The fields of the directory at `start`, and the offset of the next one (0: none)."""
    if not 8 <= start < size:
        raise ValueError("it lies outside the file")
    count_bytes = struct.calcsize(layout.count)
    (count,) = struct.unpack(layout.order + layout.count, _exactly(file, start, count_bytes))
    if not 0 < count <= _MOST_FIELDS:
        raise ValueError(f"it claims {count} fields")
    entry = 4 + 2 * layout.offset_bytes
    body = _exactly(file, start + count_bytes, count * entry + layout.offset_bytes)
    fields: _Fields = {}
    for position in range(0, count * entry, entry):
        tag, kind, values = struct.unpack_from(layout.order + "HH" + layout.offset, body, position)
        inline = body[position + 4 + layout.offset_bytes : position + entry]
        fields.setdefault(tag, (kind, values, inline))
    (after,) = struct.unpack(layout.order + layout.offset, body[-layout.offset_bytes :])
    return fields, after


def _text(file: BinaryIO, layout: _Layout, fields: _Fields, tag: int) -> str | None:
    """A short text field; None if the field is absent."""
    if tag not in fields or fields[tag][0] != _ASCII or fields[tag][1] > 256:
        return None
    _, length, inline = fields[tag]
    if length > layout.offset_bytes:
        (offset,) = struct.unpack(layout.order + layout.offset, inline)
        inline = _exactly(file, offset, length)
    return inline[:length].rstrip(b"\0").decode("ascii", "replace").strip()


def _numbers(
    file: BinaryIO, layout: _Layout, fields: Mapping[int, tuple[int, int, bytes]], tag: int
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """All whole-number values of a field; an empty array if the field is absent."""
    if tag not in fields:
        return np.zeros(0, dtype=np.uint64)
    kind, values, inline = fields[tag]
    if kind not in _TYPES or values > _MOST_BLOCKS:
        raise ValueError(f"its field {tag} has type {kind} and {values} values")
    dtype = np.dtype(layout.order + _TYPES[kind])
    length = values * dtype.itemsize
    if length > layout.offset_bytes:
        (offset,) = struct.unpack(layout.order + layout.offset, inline)
        content = _exactly(file, offset, length)
    else:
        content = inline[:length]
    return np.frombuffer(content, dtype=dtype).astype(np.uint64)


def _check_blocks(
    path: Path, file: BinaryIO, layout: _Layout, fields: _Fields, size_bytes: int
) -> None:
    def number(tag: int, default: int) -> int:
        values = _numbers(file, layout, fields, tag)
        return int(values[0]) if values.size else default

    width, height = number(_WIDTH, 0), number(_HEIGHT, 0)
    planes = number(_SAMPLES, 1) if number(_PLANAR, 1) == 2 else 1
    if _TILE_OFFSETS in fields:
        across, down = number(_TILE_WIDTH, 0), number(_TILE_HEIGHT, 0)
        tags = _TILE_OFFSETS, _TILE_COUNTS
    else:
        across, down = width, min(number(_ROWS_PER_STRIP, height), height)
        tags = _STRIP_OFFSETS, _STRIP_COUNTS
    if not (width and height and across and down):
        raise _damaged(path, f"it claims {height} x {width} pixels in blocks of {down} x {across}")
    expected = -(-width // across) * -(-height // down) * planes
    offsets, counts = (_numbers(file, layout, fields, tag) for tag in tags)
    if offsets.size < expected or (counts.size and counts.size < expected):
        raise _damaged(
            path,
            f"its header claims {height} x {width} pixels in {expected} blocks but lists "
            f"{offsets.size}",
        )
    if not counts.size:
        counts = np.ones(offsets.size, dtype=np.uint64)
    stored = (offsets[:expected] > 0) & (counts[:expected] > 0)
    ends = offsets[:expected][stored] + counts[:expected][stored]
    beyond = int(np.count_nonzero((ends > size_bytes) | (ends < counts[:expected][stored])))
    if beyond:
        raise _damaged(
            path,
            f"{beyond} of its {expected} blocks lie beyond its end at {size_bytes} bytes",
        )


def _further_pictures(file: BinaryIO, layout: _Layout, start: int, size_bytes: int) -> int:
    """Pages after the first that are neither overviews (1) nor masks (4)."""
    pictures, seen = 0, set[int]()
    while start and start not in seen and len(seen) < _MOST_PAGES:
        seen.add(start)
        try:
            fields, following = _directory(file, layout, start, size_bytes)
            kind = _numbers(file, layout, fields, _SUBFILE)
        except (ValueError, struct.error, OverflowError, OSError):
            return pictures  # GDAL reads the first page alone; a broken later one does not matter.
        pictures += not (kind.size and int(kind[0]) & 5)
        start = following
    return pictures
