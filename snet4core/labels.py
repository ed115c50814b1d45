"""Which pixel belongs to which building, and the few counts that all later steps need.

Array names end in their axes: H rows, W columns, N labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from snet4core import runs
from snet4core.errors import UsageError
from snet4core.windows import Window


@dataclass(frozen=True, slots=True)
class Labels:
    """Complete components of one window; all three arrays have the window's shape (H, W).

    Every label is a whole 4-connected component of the raster's foreground (or, after
    `watershed.split`, a part of one), never a piece that goes on beyond the window. So
    whatever is computed from these pixels is the same for every tiling of the raster.
    """

    window: Window
    """Where the arrays lie in the raster."""
    labels_HW: NDArray[np.int32]
    """0 background, 1..count buildings; every number occurs."""
    footprint_HW: NDArray[np.uint8]
    """Probability of a footprint, 0..255 = 0..1; 0 where the label is 0."""
    border_HW: NDArray[np.uint8]
    """Probability of a border, 0..255 = 0..1; 0 where the label is 0."""
    count: int
    """Number of labels."""

    def __post_init__(self) -> None:
        for name in ("labels_HW", "footprint_HW", "border_HW"):
            shape = getattr(self, name).shape
            if shape != self.window.shape:
                raise UsageError(
                    f"{name} has shape {shape}, but its window has {self.window.shape}; "
                    "cut both to the same pixels."
                )


CHUNK_PX = 1 << 20
"""Pixels that are painted at a time, which bounds the index arrays."""


def painted(
    window: Window,
    found: runs.Runs,
    footprint_P: NDArray[np.uint8],
    border_P: NDArray[np.uint8],
) -> Labels:
    """Labels from runs, given within the window, and the maps on their pixels, run after run."""
    labels_HW = np.zeros(window.shape, np.int32)
    footprint_HW, border_HW = np.zeros((2, *window.shape), np.uint8)
    length_R = found.stop_R - found.start_R
    pixels_before = np.concatenate([[0], np.cumsum(length_R)])
    marks = np.arange(0, pixels_before[-1], CHUNK_PX)
    bounds = [*np.searchsorted(pixels_before, marks).tolist(), length_R.size]
    for a, b in pairwise(bounds):
        first_R = found.row_R[a:b] * window.width + found.start_R[a:b]
        flat = runs.positions(first_R, length_R[a:b])
        of_chunk = slice(pixels_before[a], pixels_before[b])
        labels_HW.ravel()[flat] = np.repeat(found.label_R[a:b], length_R[a:b])
        footprint_HW.ravel()[flat] = footprint_P[of_chunk]
        border_HW.ravel()[flat] = border_P[of_chunk]
    return Labels(window, labels_HW, footprint_HW, border_HW, int(found.label_R.max(initial=0)))
