"""Pictures stored on their head, mirrored or on their side, and how they are set upright.

Shadow and lean have a direction, so the network must see every picture with north up and
east to the right, as it was trained. Flips and quarter turns do that without touching a
pixel's value; what remains is a turn of at most 45 degrees, left to the affine transform.
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
    """How stored pixels become upright ones: transposed first, then flipped."""

    transposed: bool = False
    """Stored rows are upright columns."""
    rows_flipped: bool = False
    """The first upright row is the last one (after transposing)."""
    cols_flipped: bool = False
    """The first upright column is the last one (after transposing)."""

    def shape(self, stored: tuple[int, int]) -> tuple[int, int]:
        """(rows, columns) upright, of something of that stored shape; or the reverse."""
        return stored[::-1] if self.transposed else stored

    def upright(self, stored: Grid) -> Grid:
        """The same ground with upright pixels.

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
        """Where an upright window lies in the file; `shape` is the upright raster's."""
        rows, cols = shape
        row = rows - window.row_stop if self.rows_flipped else window.row
        col = cols - window.col_stop if self.cols_flipped else window.col
        if self.transposed:
            return Window(col, row, window.width, window.height)
        return Window(row, col, window.height, window.width)

    def turn(self, stored: NDArray[_Value]) -> NDArray[_Value]:
        """A stored array (..., H, W) set upright; its values are the same objects."""
        turned = stored.swapaxes(-1, -2) if self.transposed else stored
        row_step, col_step = -1 if self.rows_flipped else 1, -1 if self.cols_flipped else 1
        return turned[..., ::row_step, ::col_step]


def orientation_of(grid: Grid) -> Orientation:
    """The flips and quarter turn after which columns run most nearly east and rows south."""

    def uprightness(orientation: Orientation) -> float:
        a, b, _, d, e, _ = orientation.upright(grid).transform[:6]
        return float(a / math.hypot(a, d) - e / math.hypot(b, e))

    choices = (Orientation(*flags) for flags in product((False, True), repeat=3))
    # Of equals the first, which moves least: the stored order if that will do.
    return max(choices, key=lambda orientation: round(uprightness(orientation), 9))
