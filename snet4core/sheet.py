"""Some components of a block, cut out and laid close together on one small sheet.

Few components need the costly steps, and they lie scattered. On a sheet they are dense, so
whole-image tools cost what the components cost. Each lies in its own box with a pixel of
background around it and nothing of its former neighbours, so what is computed for it hangs
on its own pixels alone.

Axes: H rows, W columns, P pixels of the components, R their runs, N components.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snet4core import runs


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where every pixel of the chosen components was and is."""

    shape: tuple[int, int]
    """Rows and columns of the sheet."""
    source_P: NDArray[np.int64]
    """Flat index of each pixel in the block, ascending."""
    place_P: NDArray[np.int64]
    """Flat index of the same pixel on the sheet."""
    label_P: NDArray[np.int32]
    """Its component's label in the block."""
    row_P: NDArray[np.int64]
    """Its row within its component's box, from 0."""
    col_P: NDArray[np.int64]
    """Its column there."""

    def laid(self, block_HW: NDArray[Any]) -> NDArray[Any]:
        """An image of the block on the sheet, 0 outside the components."""
        sheet_HW = np.zeros(self.shape, block_HW.dtype)
        sheet_HW.ravel()[self.place_P] = block_HW.ravel()[self.source_P]
        return sheet_HW

    def laid_from(self, other: Sheet, image_HW: NDArray[Any]) -> NDArray[Any]:
        """An image of another sheet of the same block, which has all these components."""
        sheet_HW = np.zeros(self.shape, image_HW.dtype)
        shared_N = np.zeros(int(other.label_P.max()) + 1, np.bool_)
        shared_N[self.label_P] = True
        sheet_HW.ravel()[self.place_P] = image_HW.ravel()[other.place_P[shared_N[other.label_P]]]
        return sheet_HW


def sheet_of(found: runs.Runs, width: int, chosen_N: NDArray[np.bool_]) -> Sheet:
    """The sheet of the labels whose entry (index = label, 0 unused) is true.

    `found` are the runs of the block's labels (`runs.of_labels`), `width` its columns.
    """
    kept_R = chosen_N[found.label_R]
    row_R, start_R, stop_R = found.row_R[kept_R], found.start_R[kept_R], found.stop_R[kept_R]
    label_R, length_R = found.label_R[kept_R], stop_R - start_R
    index_R = (np.cumsum(chosen_N) - 1)[label_R]
    count = int(index_R.max()) + 1
    # Runs come in raster order, and of repeated indices the last assignment stays.
    top_N, bottom_N = np.empty((2, count), np.int64)
    top_N[index_R[::-1]], bottom_N[index_R] = row_R[::-1], row_R
    left_N, right_N = np.full(count, width), np.zeros(count, np.int64)
    np.minimum.at(left_N, index_R, start_R)
    np.maximum.at(right_N, index_R, stop_R)
    shape, at_row_N, at_col_N = _shelved(bottom_N - top_N + 3, right_N - left_N + 2)
    source_R = row_R * width + start_R
    row_R, col_R = row_R - top_N[index_R], start_R - left_N[index_R]
    first_R = (row_R + at_row_N[index_R] + 1) * shape[1] + col_R + at_col_N[index_R] + 1
    return Sheet(
        shape,
        runs.positions(source_R, length_R),
        runs.positions(first_R, length_R),
        np.repeat(label_R, length_R),
        np.repeat(row_R, length_R),
        runs.positions(col_R, length_R),
    )


def _shelved(
    height_N: NDArray[np.int64], width_N: NDArray[np.int64]
) -> tuple[tuple[int, int], NDArray[np.int64], NDArray[np.int64]]:
    """Boxes on shelves, the tallest first: the sheet's shape, and row and column of each."""
    sheet_width = max(int(width_N.max()), math.isqrt(int((height_N * width_N).sum())))
    row_N, col_N = np.zeros((2, height_N.size), np.int64)
    shelf_row = shelf_height = col = 0
    for index in np.argsort(-height_N, kind="stable").tolist():
        width, height = int(width_N[index]), int(height_N[index])
        if col + width > sheet_width:
            shelf_row, shelf_height, col = shelf_row + shelf_height, 0, 0
        row_N[index], col_N[index] = shelf_row, col
        shelf_height, col = max(shelf_height, height), col + width
    return (shelf_row + shelf_height, sheet_width), row_N, col_N
