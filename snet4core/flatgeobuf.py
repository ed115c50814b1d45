"""FlatGeobuf, through GDAL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import fiona
import shapely
from rasterio.crs import CRS

from snet4core.errors import OutputError
from snet4core.footprints import FIELDS, Footprints
from snet4core.outputs import driver_errors
from snet4core.shapes import Polygons

_WHAT = "FlatGeobuf"


def write(
    path: Path, batches: Iterable[Footprints], crs: CRS, description: Mapping[str, str]
) -> int:
    """Write a new FlatGeobuf with its index; returns the number of footprints."""
    options: dict[str, Any] = {
        "driver": _WHAT,
        "layer": "footprints",
        "schema": {"geometry": "Polygon", "properties": FIELDS},
        "crs_wkt": crs.to_wkt(),
        "DESCRIPTION": json.dumps(dict(description), ensure_ascii=False),
    }
    count = 0
    with driver_errors(_WHAT):
        layer = fiona.open(path, "w", **options)
    try:
        for batch in batches:
            with driver_errors(_WHAT):
                layer.writerecords(_records(batch))
            count += len(batch)
    finally:
        with driver_errors(_WHAT):
            layer.close()
    _check_end(path, count)
    return count


def _check_end(path: Path, count: int) -> None:
    """GDAL says nothing when the disk is full while it closes: is the last feature there?"""
    with driver_errors(_WHAT), fiona.open(path) as layer:
        complete = count == 0 or (len(layer) == count and layer[count - 1] is not None)
    if not complete:
        raise OutputError("The FlatGeobuf was cut off while it was written; is the disk full?")


def _records(batch: Footprints) -> Iterator[dict[str, Any]]:
    columns = batch.columns()
    for geometry, *values in zip(_geometries(batch.polygons_N), *columns.values(), strict=True):
        properties = dict(zip(columns, values, strict=True))
        yield {"type": "Feature", "geometry": geometry, "properties": properties}


def _geometries(polygons_N: Polygons) -> Iterator[dict[str, Any]]:
    """Polygons as GeoJSON-like dictionaries, taken apart all at once."""
    if len(polygons_N) == 0:
        return
    _, points_M2, (ring_starts, polygon_starts) = shapely.to_ragged_array(polygons_N)
    points, rings, starts = points_M2.tolist(), ring_starts.tolist(), polygon_starts.tolist()
    for first, stop in pairwise(starts):
        coordinates = [points[rings[ring] : rings[ring + 1]] for ring in range(first, stop)]
        yield {"type": "Polygon", "coordinates": coordinates}
