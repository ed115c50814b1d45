"""Writes GeoJSON as RFC 7946 specifies: longitude, latitude on WGS 84, right-handed rings.

Coordinates have seven decimals, about a centimetre. Polygons that cross the antimeridian are
cut there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import shapely
from rasterio.crs import CRS

from snet4core.files.names import printable
from snet4core.footprints.footprints import rounded
from snet4core.footprints.polygons import Polygons
from snet4core.layers.features import Content, Features
from snet4core.layers.reproject import reprojected

_LON_LAT = CRS.from_epsg(4326)
_DECIMALS = 7
_WEST = shapely.box(-180, -90, 180, 90)
_EAST = shapely.box(180, -90, 540, 90)


def write(path: Path, content: Content, crs: CRS, description: Mapping[str, str]) -> int:
    """Write a new FeatureCollection, one feature per line; returns the number of features."""
    (layer, batches), count = content, 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"type": "FeatureCollection", "name": "{layer.name}",\n')
        file.write(f'"snet4": {json.dumps(dict(description), ensure_ascii=False)},\n"features": [')
        for batch in batches:
            for feature in _features(layer.features(batch), crs):
                file.write(",\n" if count else "\n")
                file.write(feature)
                count += 1
        file.write("\n]}\n")
    return count


def _features(found: Features, crs: CRS) -> Iterator[str]:
    columns = found.columns()
    geometries = shapely.to_geojson(_lon_lat(found.polygons_N, crs, printable(found.scene)))
    for geometry, *values in zip(geometries, *columns.values(), strict=True):
        properties = json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False)
        yield f'{{"type": "Feature", "properties": {properties}, "geometry": {geometry}}}'


def _lon_lat(polygons: Polygons, crs: CRS, name: str) -> Polygons:
    """Reproject polygons to WGS 84: rounded, outer rings counter-clockwise."""
    if len(polygons) == 0:
        return polygons
    ground = reprojected(polygons, crs, _LON_LAT, name).copy()
    x0, _, x1, _ = shapely.bounds(ground).T
    for index in np.flatnonzero(x1 - x0 > 180):
        ground[index] = _cut_at_antimeridian(ground[index])
    ground = np.asarray(shapely.orient_polygons(ground, exterior_cw=False), dtype=object)
    return rounded(ground, _DECIMALS)


def _cut_at_antimeridian(polygon: shapely.Polygon) -> shapely.MultiPolygon:
    """Split a polygon whose longitudes jump from 180 to -180 into one part on either side."""
    whole = shapely.transform(
        polygon, lambda points: points + np.where(points < 0, 360.0, 0.0) * np.array([1.0, 0.0])
    )
    east = shapely.transform(whole & _EAST, lambda points: points - np.array([360.0, 0.0]))
    parts = [*shapely.get_parts(whole & _WEST), *shapely.get_parts(east)]
    return shapely.MultiPolygon([part for part in parts if part.geom_type == "Polygon"])
