"""FlatGeobuf, through GDAL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fiona
from fiona.errors import FionaError
from rasterio.crs import CRS
from shapely.geometry import mapping

from snet4core.errors import OutputError
from snet4core.footprints import FIELDS, Footprints


def write(
    path: Path, batches: Iterable[Footprints], crs: CRS, description: Mapping[str, str]
) -> int:
    """Write a new FlatGeobuf with its index; returns the number of footprints."""
    options: dict[str, Any] = {
        "driver": "FlatGeobuf",
        "layer": "footprints",
        "schema": {"geometry": "Polygon", "properties": FIELDS},
        "crs_wkt": crs.to_wkt(),
        "DESCRIPTION": json.dumps(dict(description), ensure_ascii=False),
    }
    count = 0
    try:
        with fiona.open(path, "w", **options) as layer:
            for batch in batches:
                layer.writerecords(_records(batch))
                count += len(batch)
    except FionaError as error:
        raise OutputError(
            f"The FlatGeobuf could not be written ({str(error).lower()}); is the disk full?"
        ) from error
    return count


def _records(batch: Footprints) -> Iterator[dict[str, Any]]:
    columns = batch.columns()
    for polygon, *values in zip(batch.polygons_N, *columns.values(), strict=True):
        properties = dict(zip(columns, values, strict=True))
        yield {"type": "Feature", "geometry": mapping(polygon), "properties": properties}
