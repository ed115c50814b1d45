"""Reprojects polygons from one CRS to another."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points

from snet4core.errors import InputError


def reprojected(
    polygons_N: NDArray[np.object_], source: CRS, target: CRS, name: str
) -> NDArray[np.object_]:
    """Reproject (N,) polygons from `source` to `target`, vertex by vertex.

    Geographic coordinates are longitude (x), latitude (y) in degrees. Raises `InputError`,
    which names the file `name`, where a point does not exist in the other CRS.

    >>> square = np.array([shapely.box(0, 0, 1, 1)])
    >>> moved = reprojected(square, CRS.from_epsg(4326), CRS.from_epsg(3857), "square")
    >>> round(shapely.bounds(moved)[0, 2])
    111319
    """

    def move(points_M2: NDArray[np.float64]) -> NDArray[np.float64]:
        # PROJ wraps such latitudes around the pole instead of refusing them.
        if source.is_geographic and len(points_M2) and np.abs(points_M2[:, 1]).max() > 90:
            raise ValueError("latitudes beyond 90 degrees")
        return np.column_stack(warp_points(source, target, points_M2[:, 0], points_M2[:, 1]))

    if len(polygons_N) == 0 or source == target:
        return polygons_N
    try:
        moved_N = np.asarray(shapely.transform(polygons_N, move), dtype=object)
        placed = bool(np.isfinite(shapely.get_coordinates(moved_N)).all())
    except Exception:  # rasterio's errors for such a point have no public name
        placed = False
    if not placed:
        raise InputError(
            f"{name} has coordinates that do not exist in its CRS; are x and y swapped, or is the "
            "CRS another?"
        )
    return moved_N
