"""The part of a scene to process: a box, an area of interest, or all of it.

Pixels outside the region are never buildings, but the network still reads them as context,
so that maps inside are the same as for the whole scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from shapely.geometry.base import BaseGeometry

from snet4core.errors import InputError, OutsideError
from snet4core.grid import Grid
from snet4core.sentence import AOI, BOUNDS
from snet4core.windows import Window


@dataclass(frozen=True, slots=True)
class Region:
    """An area in pixels of a grid (x = column, y = row); everything when `area_px` is None."""

    area_px: BaseGeometry | None = None

    @staticmethod
    def of(grid: Grid, areas: list[BaseGeometry]) -> Region:
        """Intersect all `areas`, which are in map units of the grid's CRS.

        Raises InputError if they have nothing in common with each other, OutsideError if with
        the raster.
        """
        if not areas:
            return Region()
        common = shapely.intersection_all(areas)
        if common.is_empty:
            raise InputError(
                BOUNDS, " and ", AOI, " have no ground in common; leave one of them out."
            )
        rows, cols = grid.shape
        area_px = shapely.transform(common, grid.to_pixels).intersection(
            shapely.box(0, 0, cols, rows)
        )
        if not area_px.area > 0:
            raise OutsideError(
                f"what is searched ({_short(common)}) lies outside the scene "
                f"({_short(outline(grid))}; both in {grid.crs.to_string()[:60]})"
            )
        shapely.prepare(area_px)
        return Region(area_px)

    def touches(self, window: Window) -> bool:
        """True if any part of the window may be inside."""
        if self.area_px is None:
            return True
        box = shapely.box(window.col, window.row, window.col_stop, window.row_stop)
        return bool(self.area_px.intersects(box))

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """(H, W), True for pixels whose centre is inside."""
        if self.area_px is None:
            return np.ones(window.shape, dtype=np.bool_)
        if not self.touches(window) or 0 in window.shape:
            return np.zeros(window.shape, dtype=np.bool_)
        inside: NDArray[np.bool_] = geometry_mask(
            [self.area_px],
            out_shape=window.shape,
            transform=Affine.translation(window.col, window.row),
            invert=True,
        )
        return inside


def outline(grid: Grid) -> BaseGeometry:
    """The edge of a raster in map units."""
    rows, cols = grid.shape
    return shapely.transform(shapely.box(0, 0, cols, rows), grid.to_map)


def _short(area: BaseGeometry) -> str:
    return ", ".join(f"{value:.10g}" for value in area.bounds) or "empty"
