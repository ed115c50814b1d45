"""Roofs as a tilted picture shows them: displaced by their height, and cut by what stands in front.

A roof of height h appears h x tan(off-nadir) from its footprint, towards the azimuth. A building
that is higher hides it where the line of sight meets its walls or its roof first: the footprint of
the higher one, swept from where it appears at the lower roof's height to where it appears at its
own. Only buildings hide each other here; what trees hide is still drawn, as cartographers do.

Axes: N buildings, P pairs of a roof and a building that may hide it, E edges.
"""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity

from snet4_training.pictures.targets import Polygons
from snet4core.errors import UsageError
from snet4core.look.look import Look
from snet4core.sentence import AZIMUTH

GRID_PX = 1e-6
"""Corners of what is left of a roof lie on this grid."""

LOWER_M = 0.3
"""A building that is higher by less than this hides nothing."""


def displacement_px(height_m: float, look: Look, gsd_m: float) -> tuple[float, float]:
    """Displacement of a point at `height_m` in the picture, in pixels: (rows, columns).

    >>> rows, cols = displacement_px(10.0, Look(45.0, 90.0, "option"), 0.5)
    >>> round(rows, 6), round(cols, 6)  # an eastern azimuth leans roofs to the east
    (-0.0, 20.0)
    """
    if look.azimuth_deg is None:
        raise UsageError("Leaning a picture needs an azimuth; give one with ", AZIMUTH, ".")
    shift_px = height_m * math.tan(math.radians(look.off_nadir_deg)) / gsd_m
    turn = math.radians(look.azimuth_deg)
    return -shift_px * math.cos(turn), shift_px * math.sin(turn)


def roofs_as_seen(
    footprints: Polygons, heights_m: NDArray[np.float64], look: Look, gsd_m: float
) -> Polygons:
    """The visible part of every roof, (N,) in pixels; empty where nothing of it is seen.

    `footprints` (N,) are in pixels, `heights_m` those of the eaves above the ground. Seen from
    straight above, or where the azimuth is unknown, roofs are the footprints.

    >>> low, tall = shapely.box(15, 0, 25, 10), shapely.box(0, 0, 10, 10)
    >>> east = Look(45.0, 90.0, "table")
    >>> seen = roofs_as_seen(np.array([low, tall]), np.array([5.0, 10.0]), east, 0.5)
    >>> np.abs(shapely.bounds(seen).round(6)).tolist()  # half of the low one is hidden
    [[30.0, 0.0, 35.0, 10.0], [20.0, 0.0, 30.0, 10.0]]
    """
    if look.azimuth_deg is None or look.off_nadir_deg == 0 or footprints.size == 0:
        return footprints
    rows, cols = displacement_px(1.0, look, gsd_m)
    lean_2 = np.array([cols, rows])
    roofs = _moved(footprints, heights_m, lean_2)
    low, high = _pairs(footprints, roofs, heights_m, lean_2)
    hidden = np.array(
        [
            _swept(footprints[j], heights_m[i] * lean_2, heights_m[j] * lean_2)
            for i, j in zip(low.tolist(), high.tolist(), strict=True)
        ],
        dtype=object,
    )
    seen = roofs.copy()
    for i in np.unique(low).tolist():
        # On a grid, or rounding would leave slivers, whose edges would be burned as borders, and
        # shapes that nearly touch would have no union at all.
        before = shapely.union_all(hidden[low == i], grid_size=GRID_PX)
        seen[i] = shapely.difference(roofs[i], before, grid_size=GRID_PX)
    return seen


def _moved(
    footprints: Polygons, heights_m: NDArray[np.float64], lean_2: NDArray[np.float64]
) -> Polygons:
    """Footprints displaced by their heights; `lean_2` in pixels (column, row) per metre."""
    points_M2 = shapely.get_coordinates(footprints)
    height_M = np.repeat(heights_m, shapely.get_num_coordinates(footprints))
    moved: Polygons = shapely.set_coordinates(
        footprints.copy(), points_M2 + height_M[:, None] * lean_2
    )
    return moved


def _pairs(
    footprints: Polygons,
    roofs: Polygons,
    heights_m: NDArray[np.float64],
    lean_2: NDArray[np.float64],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(P,) roofs, and (P,) higher buildings whose walls or roof may stand before them."""
    reach_N4 = np.hstack([shapely.bounds(footprints), shapely.bounds(roofs)]).reshape(-1, 2, 2, 2)
    boxes = shapely.box(
        *reach_N4[:, :, 0].min(axis=1).T.tolist(), *reach_N4[:, :, 1].max(axis=1).T.tolist()
    )
    low, high = shapely.STRtree(boxes).query(roofs, predicate="intersects")
    taller = heights_m[high] > heights_m[low] + LOWER_M
    return low[taller], high[taller]


def _swept(
    footprint: shapely.Polygon, start_2: NDArray[np.float64], stop_2: NDArray[np.float64]
) -> shapely.Geometry:
    """The area that a footprint covers on its way from one displacement to another."""
    ends = [affinity.translate(footprint, *by_2.tolist()) for by_2 in (start_2, stop_2)]
    if footprint.area > 0.98 * shapely.convex_hull(footprint).area:
        return shapely.convex_hull(shapely.union_all(ends))
    corner_E2 = shapely.get_coordinates(footprint.exterior)
    here_E2, next_E2 = corner_E2[:-1], corner_E2[1:]
    corners = [here_E2 + start_2, next_E2 + start_2, next_E2 + stop_2, here_E2 + stop_2]
    sides_E = np.asarray(shapely.polygons(np.stack(corners, axis=1)), dtype=object)
    # A side along the lean sweeps nothing; one nearly along it needs the grid.
    wide_E = sides_E[shapely.area(sides_E) > 1e-9]
    return shapely.union_all([*ends, *wide_E], grid_size=GRID_PX)
