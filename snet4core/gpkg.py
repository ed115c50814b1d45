"""The GeoPackage: GDAL lays out the file, SQLite fills it in one transaction.

GDAL knows how a GeoPackage describes its CRS, index and extensions; writing the rows
through it one by one is slow, so they go in as blobs, ready made. The same footprints
give the same bytes: no date, no random name, one order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import shapely
from rasterio.crs import CRS

from snet4core.errors import OutputError
from snet4core.footprints import FIELDS, Footprints, Polygons
from snet4core.outputs import driver_errors

LAYER = "footprints"
"""The layer's name; fixed, so that no scene's name reaches SQL."""

EPOCH = "2000-01-01T00:00:00.000Z"
"""Stands wherever the format wants a date: the true one would make equal results differ."""

_GEOMETRY_HEADER = np.dtype(
    [("magic", "S2"), ("version", "u1"), ("flags", "u1"), ("srs_id", "<i4"), ("box", "<f8", 4)]
)
_LITTLE_ENDIAN_WITH_BOX = 0b011

_STYLES_TABLE = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256),
    f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
    useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)"""


def write(
    path: Path, batches: Iterable[Footprints], crs: CRS, description: Mapping[str, str]
) -> int:
    """Write a new GeoPackage; returns the number of footprints."""
    with driver_errors("GeoPackage"):
        _lay_out(path, crs, description)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            # The file is thrown away if anything fails, so it needs no journal meanwhile.
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")
            count = _fill(database, batches)
            _add_style(database)
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise OutputError(
            f"The GeoPackage could not be written ({str(error).lower()}); is the disk full?"
        ) from error
    return count


def _lay_out(path: Path, crs: CRS, description: Mapping[str, str]) -> None:
    """An empty layer with everything that the standard asks for."""
    schema = {"geometry": "Polygon", "properties": FIELDS}
    with (
        fiona.Env(OGR_CURRENT_DATE=EPOCH),
        fiona.open(
            path, "w", driver="GPKG", layer=LAYER, schema=schema, crs_wkt=crs.to_wkt()
        ) as layer,
    ):
        layer.update_tags(dict(description))


def _fill(database: sqlite3.Connection, batches: Iterable[Footprints]) -> int:
    [(srs_id,)] = database.execute("SELECT srs_id FROM gpkg_geometry_columns")
    triggers = _drop_insert_triggers(database)
    names = ", ".join(FIELDS)
    holes = ", ".join("?" * len(FIELDS))
    insert = f"INSERT INTO {LAYER} (fid, geom, {names}) VALUES (?, ?, {holes})"
    count, extent = 0, np.array([np.inf, np.inf, -np.inf, -np.inf])
    for batch in batches:
        fids = range(count + 1, count + len(batch) + 1)
        boxes_N4 = shapely.bounds(batch.polygons_N)
        blobs = _blobs(batch.polygons_N, boxes_N4, srs_id)
        database.executemany(insert, zip(fids, blobs, *batch.columns().values(), strict=True))
        x0, y0, x1, y1 = boxes_N4.T.tolist()
        database.executemany(
            f"INSERT INTO rtree_{LAYER}_geom VALUES (?, ?, ?, ?, ?)",
            zip(fids, x0, x1, y0, y1, strict=True),
        )
        if len(batch):
            extent = np.concatenate(
                [
                    np.minimum(extent[:2], boxes_N4[:, :2].min(axis=0)),
                    np.maximum(extent[2:], boxes_N4[:, 2:].max(axis=0)),
                ]
            )
        count += len(batch)
    for trigger in triggers:
        database.execute(trigger)
    database.execute("UPDATE gpkg_ogr_contents SET feature_count = ?", (count,))
    if count:
        database.execute(
            "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ?", extent.tolist()
        )
    return count


def _drop_insert_triggers(database: sqlite3.Connection) -> list[str]:
    """Take off what GDAL would run for each row (index, counter); returns how to put it back.

    They call functions that only GDAL's SQLite has; we fill index and counter ourselves.
    """
    triggers = database.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? "
        "AND name LIKE '%insert%' ORDER BY rowid",
        (LAYER,),
    ).fetchall()
    for name, _ in triggers:
        database.execute(f'DROP TRIGGER "{name}"')
    return [sql for _, sql in triggers]


def _blobs(polygons: Polygons, boxes_N4: np.ndarray[Any, Any], srs_id: int) -> Iterator[bytes]:
    """GeoPackage geometries: a header with the box (x first, then y), then plain WKB."""
    headers = np.zeros(len(polygons), _GEOMETRY_HEADER)
    headers["magic"], headers["flags"], headers["srs_id"] = b"GP", _LITTLE_ENDIAN_WITH_BOX, srs_id
    headers["box"] = boxes_N4[:, [0, 2, 1, 3]]
    size, packed = _GEOMETRY_HEADER.itemsize, headers.tobytes()
    for index, wkb in enumerate(shapely.to_wkb(polygons, byte_order=1, flavor="iso")):
        yield packed[index * size : (index + 1) * size] + wkb


def style_qml() -> str:
    """The default style: outlines that can be seen on dark and on bright ground."""
    return files("snet4core").joinpath("styles", "footprints.qml").read_text(encoding="utf-8")


def _add_style(database: sqlite3.Connection) -> None:
    """Put the style where QGIS looks for it when a layer is opened."""
    database.execute(_STYLES_TABLE)
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change, srs_id) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles', ?, 0)",
        (EPOCH,),
    )
    database.execute("INSERT INTO gpkg_ogr_contents VALUES ('layer_styles', 1)")
    database.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
        "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, owner, "
        "update_time) VALUES ('', '', ?, 'geom', 'footprints', ?, '', 1, ?, '', ?)",
        (LAYER, style_qml(), "Bright outline with a dark casing", EPOCH),
    )
