"""Polygons from one CRS into another, or a clear refusal."""

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
    """(N,) polygons in `source` -> the same in `target`, vertex by vertex.

    Longitude (x) comes first in degrees. Raises `InputError`, with `name` for the file,
    where a point has no place in the other CRS.
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
    except Exception:  # the bindings' errors for a point without a place have no public name
        placed = False
    if not placed:
        raise InputError(
            f"{name} has coordinates that do not exist in its CRS; are x and y swapped, or is the "
            "CRS another?"
        )
    return moved_N
