"""Writes and reads GeoParquet 1.1 with pyarrow, which is imported only for such a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError

from snet4core.errors import DependencyError, InputError, UsageError
from snet4core.extras import how_to_install
from snet4core.files.names import printable
from snet4core.layers.features import Content
from snet4core.layers.vectors import Vector
from snet4core.scene.georeference import crs_named


def pyarrow() -> Any:
    """Import pyarrow. Raises `DependencyError`, which says how to install it."""
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError:
        raise DependencyError(
            "GeoParquet needs pyarrow, which is not installed; write .gpkg, .fgb or .geojson, "
            f"or run: {how_to_install('pyarrow')}"
        ) from None


def read(path: Path, name: str) -> Vector:
    """Read all features of a file.

    Raises InputError, which names the file `name`, DependencyError without pyarrow.
    """
    pa = pyarrow()
    try:
        table = pa.parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as problem:
        raise InputError(
            f"{name} is no Parquet file that can be read ({printable(str(problem))[:100]}); take a "
            "fresh copy of it."
        ) from None
    try:
        geo = json.loads((table.schema.metadata or {})[b"geo"])
        column = geo["primary_column"]
        facts = geo["columns"][column]
        # Without a CRS it is that of GPS, with null there is none.
        crs = _crs(facts.get("crs", "OGC:CRS84"))
        if facts["encoding"] != "WKB":
            raise ValueError(f"geometries are encoded as {facts['encoding']}")
        geometries = shapely.from_wkb(table[column].to_pylist())
        others = table.drop_columns([column]).to_pylist()
    except (
        KeyError, ValueError, TypeError, CRSError, UsageError, shapely.errors.ShapelyError
    ) as problem:  # fmt: skip
        raise InputError(
            f"{name} is no GeoParquet that can be read ({printable(str(problem))[:100]}); save it "
            "as .gpkg or .geojson."
        ) from None
    features = list(zip(geometries, others, strict=True))
    fields = tuple(each for each in table.column_names if each != column)
    return Vector(crs, fields, features, len(features))


def _crs(given: object) -> CRS | None:
    """A CRS as GeoParquet has it: PROJJSON, of older versions WKT; None for none.

    Other texts that GDAL takes for a CRS name files, or addresses that it would ask. Raises
    UsageError, CRSError or TypeError.
    """
    if given is None:
        return None
    if isinstance(given, str):
        return crs_named(given)
    if not isinstance(given, dict) or "type" not in given or {"init", "proj"} & given.keys():
        raise TypeError("its CRS is no PROJJSON")
    return CRS.from_user_input(given)


_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def write(path: Path, content: Content, crs: CRS, description: Mapping[str, str]) -> int:
    """Write a new GeoParquet file; returns the number of features."""
    pa, (layer, batches) = pyarrow(), content
    types = {"int64": pa.int64(), "str": pa.string(), "float": pa.float64()}
    fields = [(name, types[kind]) for name, kind in layer.fields.items()]
    box = pa.struct([(corner, pa.float64()) for corner in _CORNERS])
    schema = pa.schema([*fields, ("geometry", pa.binary()), ("bbox", box)])
    count, extent = 0, np.array([np.inf, np.inf, -np.inf, -np.inf])
    # Readers prefer Arrow's copy of the schema to the file's metadata, which holds ours.
    options = {"compression": "zstd", "store_schema": False}
    with pa.parquet.ParquetWriter(path, schema, **options) as writer:
        for batch in batches:
            if len(batch) == 0:
                continue
            features = layer.features(batch)
            bounds_N4 = shapely.bounds(features.polygons_N)
            columns = {
                **features.columns(),
                "geometry": shapely.to_wkb(features.polygons_N).tolist(),
                "bbox": [dict(zip(_CORNERS, each, strict=True)) for each in bounds_N4.tolist()],
            }
            writer.write_table(pa.table(columns, schema=schema))
            x0, y0, x1, y1 = shapely.total_bounds(features.polygons_N)
            extent[:2] = np.minimum(extent[:2], [x0, y0])
            extent[2:] = np.maximum(extent[2:], [x1, y1])
            count += len(batch)
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": ["Polygon"],
            "orientation": "counterclockwise",
            "crs": crs.to_dict(projjson=True),
            # Lets readers skip row groups outside the box that they ask for.
            "covering": {"bbox": {corner: ["bbox", corner] for corner in _CORNERS}},
        }
        if count:
            column["bbox"] = extent.tolist()
        geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
        writer.add_key_value_metadata(
            {"geo": json.dumps(geo), "snet4": json.dumps(dict(description))}
        )
    return count
