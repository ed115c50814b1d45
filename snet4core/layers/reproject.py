"""Reprojects polygons from one CRS to another, also across the antimeridian."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points
from shapely.geometry.base import BaseGeometry

from snet4core.errors import InputError
from snet4core.layers.buildings import Buildings

_WEST = shapely.box(-180, -90, 180, 90)
_EAST = shapely.box(180, -90, 540, 90)
_TURN = np.array([[360.0, 0.0]])
"""What longitude, latitude become once around the Earth."""


def reprojected(
    polygons_N: NDArray[np.object_], source: CRS, target: CRS, name: str
) -> NDArray[np.object_]:
    """Reproject (N,) polygons from `source` to `target`, vertex by vertex.

    Geographic coordinates are longitude (x), latitude (y) in degrees. Polygons that were cut
    at the antimeridian become one again where the other CRS goes on there. Raises `InputError`,
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
    if not placed and not (source.is_geographic or source.is_projected):
        raise InputError(
            f"{name} has a local CRS, which has no place on Earth; give it one that has, or take a "
            "GeoPackage for the output, which may have any."
        )
    if not placed:
        raise InputError(
            f"{name} has coordinates that do not exist in its CRS; are x and y swapped, or is the "
            "CRS another?"
        )
    parted_N = (shapely.get_num_geometries(moved_N) > 1) & ~shapely.is_valid(moved_N)
    for index in np.flatnonzero(parted_N) if source.is_geographic else ():
        parts = shapely.get_parts(moved_N[index])
        if shapely.is_valid(parts).all():
            moved_N[index] = shapely.union_all(parts)
    return moved_N


def within_180(polygons_N: NDArray[np.object_]) -> NDArray[np.object_]:
    """Bring longitudes into -180..180, in one part on either side of the antimeridian.

    Those of a polygon across it jump from 180 to -180, or go on beyond, in a scene whose own
    CRS is geographic. For buildings: what is wider than 180 degrees is taken for such a jump.

    >>> [across] = within_180(np.array([shapely.box(179, 0, 182, 1)]))
    >>> sorted(part.bounds[::2] for part in across.geoms)
    [(-180.0, -178.0), (179.0, 180.0)]
    >>> [beyond] = within_180(np.array([shapely.box(181, 0, 182, 1)]))
    >>> beyond.geom_type, beyond.bounds
    ('Polygon', (-179.0, 0.0, -178.0, 1.0))
    """
    x0_N, _, x1_N, _ = shapely.bounds(polygons_N).reshape(-1, 4).T
    within_N = polygons_N.copy()
    for index in np.flatnonzero((x1_N - x0_N > 180) | (x0_N < -180) | (x1_N > 180)):
        within_N[index] = _cut(polygons_N[index])
    return within_N


def in_one_turn(table: Buildings) -> Buildings:
    """The buildings with longitudes within -180..180: scenes may go on beyond, GeoJSON does not."""
    if table.crs is None or not table.crs.is_geographic:
        return table
    return replace(table, polygons_N=within_180(table.polygons_N))


def _cut(polygon: BaseGeometry) -> BaseGeometry:
    x0, _, x1, _ = polygon.bounds
    if x1 - x0 > 180:
        polygon = shapely.transform(polygon, lambda points: points + _TURN * (points[:, :1] < 0))
    turns = np.floor((polygon.bounds[0] + 180) / 360)
    whole = shapely.transform(polygon, lambda points: points - _TURN * turns)
    east = shapely.transform(whole & _EAST, lambda points: points - _TURN)
    parts = [*shapely.get_parts(whole & _WEST), *shapely.get_parts(east)]
    areas = [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]
    return areas[0] if len(areas) == 1 else shapely.MultiPolygon(areas)
