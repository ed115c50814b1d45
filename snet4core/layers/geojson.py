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
from snet4core.layers.reproject import reprojected, within_180

_LON_LAT = CRS.from_epsg(4326)
_DECIMALS = 7


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
    ground = within_180(reprojected(polygons, crs, _LON_LAT, name))
    ground = np.asarray(shapely.orient_polygons(ground, exterior_cw=False), dtype=object)
    return rounded(ground, _DECIMALS)
