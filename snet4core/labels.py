"""Which pixel belongs to which building, and the few counts that all later steps need.

Array names end in their axes: H rows, W columns, N labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True, slots=True)
class Runs:
    """Foreground as horizontal runs of one label, in raster order; arrays of shape (R,)."""

    row_R: NDArray[np.int64]
    """Row of the run within the window."""
    start_R: NDArray[np.int64]
    """First column of the run within the window."""
    stop_R: NDArray[np.int64]
    """The column after its last one."""
    label_R: NDArray[np.int32]
    """Label of all its pixels, 1..count."""


def runs(labels_HW: NDArray[np.int32]) -> Runs:
    """Write a label image as runs: all later counts are over runs, which are far fewer.

    >>> found = runs(np.array([[1, 1, 2], [0, 2, 2]], np.int32))
    >>> list(zip(found.row_R, found.start_R, found.stop_R, found.label_R)) == [
    ...     (0, 0, 2, 1), (0, 2, 3, 2), (1, 1, 3, 2)]
    True
    """
    height, width = labels_HW.shape
    # One background column at the right ends every run before the next row begins.
    padded = np.zeros(height * (width + 1) + 1, np.int32)
    padded[1:].reshape(height, width + 1)[:, :width] = labels_HW
    changes = np.flatnonzero(padded[1:] != padded[:-1])
    label = padded[changes + 1]
    is_run = label != 0
    start = changes[is_run]
    # A run ends at the next change, whatever begins there.
    stop = np.append(changes, changes[-1:])[1:][is_run] if changes.size else start
    row, col = np.divmod(start, width + 1)
    return Runs(row, col, col + (stop - start), label[is_run])


def areas(labels: Labels) -> NDArray[np.int64]:
    """Pixels of each label, shape (count,); label i stands at i - 1."""
    counts = np.bincount(labels.labels_HW.ravel(), minlength=labels.count + 1)
    return counts[1:].astype(np.int64, copy=False)


def boxes(labels: Labels) -> NDArray[np.int64]:
    """Bounding boxes (row, col, row_stop, col_stop) within the window, shape (count, 4)."""
    found = runs(labels.labels_HW)
    index = found.label_R - 1
    boxes_N4 = np.empty((labels.count, 4), np.int64)
    # Runs come in raster order, and of repeated indices the last assignment stays.
    boxes_N4[index[::-1], 0] = found.row_R[::-1]
    boxes_N4[index, 2] = found.row_R + 1
    boxes_N4[:, 1], boxes_N4[:, 3] = labels.window.width, 0
    np.minimum.at(boxes_N4[:, 1], index, found.start_R)
    np.maximum.at(boxes_N4[:, 3], index, found.stop_R)
    return boxes_N4


def anchors(labels: Labels) -> NDArray[np.int64]:
    """Raster (row, col) of each label's first pixel in raster order, shape (count, 2).

    No two labels of a raster share it, and no tiling changes it: it is the key by
    which footprints are ordered and numbered.
    """
    found = runs(labels.labels_HW)
    anchors_N2 = np.empty((labels.count, 2), np.int64)
    anchors_N2[found.label_R[::-1] - 1, 0] = found.row_R[::-1] + labels.window.row
    anchors_N2[found.label_R[::-1] - 1, 1] = found.start_R[::-1] + labels.window.col
    return anchors_N2


def sums(labels: Labels, values_HW: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sum of `values_HW` (H, W) over the pixels of each label, exact, shape (count,)."""
    flat = np.flatnonzero(labels.labels_HW)
    weights = values_HW.ravel()[flat].astype(np.float64)  # whole numbers: exact below 2**53
    total = np.bincount(labels.labels_HW.ravel()[flat], weights, labels.count + 1)
    return total[1:].astype(np.int64)
