"""Packs components close together onto small images (sheets).

Components are scattered in a raster and cover few pixels of a block. On a sheet they are
dense, so whole-image operations cost only what the components cost. Each has its own box
with one pixel of background around it and no pixels of its former neighbours, so what is
computed for it depends on its own pixels alone.

Axes: H rows, W columns, P pixels of the components, R their runs, N components (row 0 of
boxes and shifts is component 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snet4core.labels import runs

Ints = NDArray[np.int64]

SHEET_PX = 1 << 20
"""Pixels of boxes that share a sheet: small enough for its images to stay in the cache, large
enough to keep calls few."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Maps the pixels of chosen components from a block to a sheet."""

    shape: tuple[int, int]
    """Rows and columns of the sheet."""
    source_P: Ints
    """Flat index of each pixel in the block, ascending."""
    place_P: Ints
    """Flat index of the same pixel on the sheet."""
    label_P: NDArray[np.int32]
    """Label of each pixel's component in the block."""
    corner_N2: Ints
    """First row and column on the sheet of each label's box; 0 for labels not chosen."""

    def laid(self, block_HW: NDArray[Any]) -> NDArray[Any]:
        """Copy an image of the block (H, W) onto the sheet; 0 outside the components."""
        sheet_HW = np.zeros(self.shape, block_HW.dtype)
        sheet_HW.ravel()[self.place_P] = block_HW.ravel()[self.source_P]
        return sheet_HW


def sheet_of(found: runs.Runs, width: int, chosen_N: NDArray[np.bool_]) -> Sheet:
    """Pack the labels whose entry (index = label, 0 unused) is true onto one sheet.

    `found` are the runs of the block's labels (`runs.of_labels`), `width` its columns.
    """
    found = found.some(chosen_N)
    box_N4 = boxes_of(found, int(chosen_N.sum()))
    shape, shift_N2 = shelf_packed(box_N4)
    label = np.flatnonzero(chosen_N)
    corner_N2 = np.zeros((chosen_N.size, 2), np.int64)
    corner_N2[label] = box_N4[:, :2] + shift_N2
    return Sheet(
        shape,
        found.flat(width),
        found.moved(shift_N2).flat(shape[1]),
        np.repeat(label.astype(np.int32)[found.label_R - 1], found.lengths),
        corner_N2,
    )


def boxes_of(found: runs.Runs, count: int) -> Ints:
    """Bounding boxes of labels 1..count: (count, 4) row, column, row stop, column stop.

    >>> boxes_of(runs.of_labels(np.array([[0, 1, 1], [2, 0, 1]], np.int32)), 2).tolist()
    [[0, 1, 2, 3], [1, 0, 2, 1]]
    """
    box_N4 = np.zeros((count, 4), np.int64)
    index_R = found.label_R - 1
    # Runs come in raster order, and of repeated indices the last assignment stays.
    box_N4[index_R[::-1], 0] = found.row_R[::-1]
    box_N4[index_R, 2] = found.row_R + 1
    left_N = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(left_N, index_R, found.start_R)
    box_N4[:, 1] = left_N
    np.maximum.at(box_N4[:, 3], index_R, found.stop_R)
    return box_N4


def sheet_slices(box_N4: Ints) -> Iterator[slice]:
    """Slice boxes into consecutive groups of about SHEET_PX pixels, at least one box each."""
    area_N = _sides(box_N4).prod(axis=1)
    sheet_N = (np.cumsum(area_N) - area_N) // SHEET_PX
    first = np.flatnonzero(np.diff(sheet_N, prepend=-1)).tolist()
    return starmap(slice, pairwise([*first, len(box_N4)]))


def shelf_packed(box_N4: Ints) -> tuple[tuple[int, int], Ints]:
    """Shelf packing of at least one box, the tallest first.

    Returns the sheet's shape (rows, columns), and the (row, column) shift of each box from
    its place to the sheet, shape (N, 2).
    """
    side_N2 = _sides(box_N4)
    width_most = max(int(side_N2[:, 1].max()), math.isqrt(int(side_N2.prod(axis=1).sum())))
    place_N2 = np.zeros_like(side_N2)
    row = shelf_height = col = 0
    order = np.argsort(-side_N2[:, 0], kind="stable")
    placed = []
    for height, width in side_N2[order].tolist():
        if col + width > width_most:
            row, shelf_height, col = row + shelf_height, 0, 0
        placed.append((row, col))
        shelf_height, col = max(shelf_height, height), col + width
    place_N2[order] = placed
    return (row + shelf_height + 1, width_most + 1), place_N2 + 1 - box_N4[:, :2]


def _sides(box_N4: Ints) -> Ints:
    """Height and width of each box with the rim that it shares with its neighbours."""
    return box_N4[:, 2:] - box_N4[:, :2] + 1
