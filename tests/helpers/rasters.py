"""Rasters for tests of faults: what a run reads of one, and how one is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from snet4core.errors import InputError, Snet4Error
from snet4core.scene.ranges import scene_ranges
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import Scene, open_scene
from snet4core.windows import blocks

Picture = Callable[..., Path]
Make = Callable[[Picture, Path], Path]

PLACE = Affine(0.5, 0, 733601, 0, -0.5, 3725139)


def town(bands: int = 3, rows: int = 64, cols: int = 80, dtype: str = "uint8") -> Any:
    """Smooth counts without a zero, different in every band and place."""
    y, x = np.mgrid[0:rows, 0:cols]
    return np.stack([10 + 2 * band + y + x for band in range(bands)]).astype(dtype)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(scene: Scene) -> tuple[Any, Any]:
    """Everything that a run reads: ranges, and all pixels in blocks."""
    scene_ranges(scene)
    counts_BHW = np.zeros((4, *scene.grid.shape), scene.dtype)
    valid_HW = np.zeros(scene.grid.shape, bool)
    with SceneReader(scene) as reader:
        for window in blocks(scene.grid.shape, 512):
            part = window.slices()
            counts_BHW[:, *part], valid_HW[part] = reader.read(window)
    return counts_BHW, valid_HW


def refused(path: Path, **how: Any) -> str:
    """The one sentence of the error, checked for its form; nothing may be left beside the file."""
    before = listing(path.parent)
    with pytest.raises(InputError) as caught:
        read(open_scene(path, **how))
    sentence = str(caught.value)
    assert caught.value.exit_code == 5
    assert path.name in sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert len(sentence) < 400 + len(str(path))
    assert sentence.endswith(".")
    assert listing(path.parent) == before
    return sentence


def written(folder: Path, content: bytes, name: str = "scene.tif") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def patched(path: Path, tag: int, value: int) -> bytes:
    """The TIFF with one number in its first directory overwritten."""
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, entry)[0] == tag:
            struct.pack_into("<HII", content, entry + 2, 4, 1, value)
    return bytes(content)


def outcome(path: Path) -> str:
    """`read`, or `refused` in our own words; anything else is an exception that fails the test."""
    try:
        scene = open_scene(path, bands="3,2,1,-")
        if scene.grid.shape[0] * scene.grid.shape[1] < 10**7:
            read(scene)
    except Snet4Error as problem:
        return "refused" if path.name in str(problem) else f"refused without a name: {problem}"
    return "read"
