"""Footprints from roofs: every outline goes back to where its building stands.

A picture taken at an angle shows a roof of height h displaced by h x tan(off-nadir) in the
direction of the azimuth, which is counted from satellite to ground. So a roof's outline, moved
back by that much, is the outline of the building on the ground. The height is one for a whole
building: the median of the height map at its roof's pixels.

Without an azimuth, or in a picture from straight above, nothing moves. A footprint may reach
beyond the picture's edge: the building stands there.

Axis letters: N buildings.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4core.footprints.polygons import Polygons
from snet4core.grid import Grid, Points
from snet4core.look.look import Look
from snet4core.outlines.outline import STEPS_PER_PX, Outlines

TILTED_FROM_DEG = 1.0
"""Below this off-nadir angle roofs stand above their footprints: 10 m move by 0.2 m."""


def on_the_ground(roofs: Outlines, grid: Grid, look: Look | None) -> Outlines:
    """Outlines of roofs, which have heights, to those of the buildings below them.

    Both are in pixels of `grid`. Anchors stay those of the roofs. Heights are rounded to 0.1 m.
    """
    assert roofs.height_m_N is not None  # they come from maps with heights
    height_m_N = np.round(roofs.height_m_N, 1)
    if look is None or look.azimuth_deg is None or look.off_nadir_deg < TILTED_FROM_DEG:
        return replace(roofs, height_m_N=height_m_N)
    places_N2 = shapely.get_coordinates(shapely.centroid(roofs.polygons_N))
    shift_N2 = displacement_px(height_m_N, places_N2, grid, look)
    return replace(roofs, polygons_N=_moved(roofs.polygons_N, -shift_N2), height_m_N=height_m_N)


def displacement_px(
    height_m_N: NDArray[np.float64], places_N2: Points, grid: Grid, look: Look
) -> Points:
    """How far roofs at (N, 2) column, row lie from their footprints: (N, 2) columns, rows.

    The azimuth of `look` must be known. Rounded as corners are, so that common walls of equally
    high buildings stay common.

    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> grid = Grid((9, 9), Affine(0.5, 0, 5e5, 0, -0.5, 0), CRS.from_epsg(32616))
    >>> look, centre = Look(45.0, 90.0, "option"), np.array([[4.5, 4.5]])
    >>> displacement_px(np.array([10.0]), centre, grid, look).round(1).tolist()
    [[20.0, 0.0]]
    """
    assert look.lean_m is not None
    shift_N2 = grid.pixels_of_offset(height_m_N[:, None] * np.array(look.lean_m), places_N2)
    return np.asarray(np.rint(shift_N2 * STEPS_PER_PX) / STEPS_PER_PX)


def _moved(polygons_N: Polygons, shift_N2: Points) -> Polygons:
    """Translate each polygon by its (column, row) shift."""
    shift_V2 = np.repeat(shift_N2, shapely.get_num_coordinates(polygons_N), axis=0)
    return np.asarray(shapely.transform(polygons_N, lambda xy_V2: xy_V2 + shift_V2), object)
