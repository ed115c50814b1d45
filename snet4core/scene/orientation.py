"""Turns rasters that are stored upside down, mirrored or sideways, so that north is up.

Shadow and lean have a direction, so the network must see every picture with north up and
east to the right, as in training. Flips and quarter turns do that without changing pixel
values; the rotation of at most 45 degrees that remains is left to the affine transform.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from snet4core.grid import Grid
from snet4core.windows import Window

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Orientation:
    """How stored pixels are turned upright (north up): transposed first, then flipped."""

    transposed: bool = False
    """Stored rows are upright columns."""
    rows_flipped: bool = False
    """The rows are in reverse order (after transposing)."""
    cols_flipped: bool = False
    """The columns are in reverse order (after transposing)."""

    def shape(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Upright (rows, columns) of an array of that stored shape; or the reverse."""
        return stored[::-1] if self.transposed else stored

    def upright(self, stored: Grid) -> Grid:
        """The upright grid, which covers the same ground.

        >>> Orientation(rows_flipped=True).upright(Grid((4, 9), Affine(1, 0, 0, 0, 1, 0),
        ...     "EPSG:32616")).transform[:6]
        (1.0, 0.0, 0.0, 0.0, -1.0, 4.0)
        """
        rows, cols = self.shape(stored.shape)
        back = Affine.identity()
        if self.rows_flipped:
            back = Affine(1, 0, 0, 0, -1, rows) @ back
        if self.cols_flipped:
            back = Affine(-1, 0, cols, 0, 1, 0) @ back
        if self.transposed:
            back = Affine(0, 1, 0, 1, 0, 0) @ back
        return Grid((rows, cols), stored.transform @ back, stored.crs)

    def stored(self, window: Window, shape: tuple[int, int]) -> Window:
        """The window in the file for an upright window; `shape` is the upright raster's."""
        rows, cols = shape
        row = rows - window.row_stop if self.rows_flipped else window.row
        col = cols - window.col_stop if self.cols_flipped else window.col
        if self.transposed:
            return Window(col, row, window.width, window.height)
        return Window(row, col, window.height, window.width)

    def turn(self, stored: NDArray[_Value]) -> NDArray[_Value]:
        """Turn a stored array (..., H, W) upright; returns a view."""
        turned = stored.swapaxes(-1, -2) if self.transposed else stored
        row_step, col_step = -1 if self.rows_flipped else 1, -1 if self.cols_flipped else 1
        return turned[..., ::row_step, ::col_step]


def orientation_of(grid: Grid) -> Orientation:
    """The orientation with which columns run most nearly east, and rows south."""

    def uprightness(orientation: Orientation) -> float:
        a, b, _, d, e, _ = orientation.upright(grid).transform[:6]
        return float(a / math.hypot(a, d) - e / math.hypot(b, e))

    choices = (Orientation(*flags) for flags in product((False, True), repeat=3))
    # max takes the first of equals, which moves least: the stored order if it is upright.
    return max(choices, key=lambda orientation: round(uprightness(orientation), 9))
