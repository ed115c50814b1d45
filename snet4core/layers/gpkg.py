"""Writes GeoPackages: GDAL creates the file, sqlite3 inserts the rows in one transaction.

GDAL knows how a GeoPackage describes its CRS, index and extensions, but is slow at writing
rows one by one, so their geometry blobs are made here. Equal footprints give equal bytes:
no date, no random name, one order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from importlib.resources import files
from operator import add
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from rasterio.crs import CRS

from snet4core.errors import OutputError
from snet4core.files.outputs import driver_errors
from snet4core.footprints.footprints import Footprints
from snet4core.footprints.polygons import Shapes
from snet4core.layers.features import FOOTPRINTS, ROOFS, Content, Layer, title_of
from snet4core.layers.gpkg_index import RTreeFiller
from snet4core.layers.vectors import create

LAYER = FOOTPRINTS
"""Name of the first layer, also where there are roofs in a second."""

EPOCH = "2000-01-01T00:00:00.000Z"
"""Written wherever the format requires a date: the true one would make equal results differ."""

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
    path: Path,
    contents: Sequence[Content],
    crs: CRS,
    description: Mapping[str, str],
    *,
    what: str = "GeoPackage",
) -> int:
    """Write a new GeoPackage with one or more layers; returns how many features the first has.

    The layers are filled one after the other. `description` goes to the first one. Raises
    `OutputError`, in whose sentence `what` could not be written.
    """
    layers = [layer for layer, _ in contents]
    with driver_errors(what):
        for layer in layers:
            _lay_out(path, layer, crs, description if layer is layers[0] else {})
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            # The file is thrown away if anything fails, so it needs no journal meanwhile.
            database.execute("PRAGMA journal_mode = OFF")
            database.execute("PRAGMA synchronous = OFF")
            database.execute("BEGIN")
            counts = [_fill(database, layer, batches) for layer, batches in contents]
            _add_styles(database, layers)
            if description:
                _add_history(database, layers[0].name, description)
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise OutputError(
            f"The {what} could not be written ({str(error).lower()}); is the disk full?"
        ) from error
    return counts[0]


def _lay_out(path: Path, layer: Layer, crs: CRS, description: Mapping[str, str]) -> None:
    """Create an empty layer with everything that the standard requires."""
    create(path, layer.name, layer.fields, crs.to_wkt(), description, EPOCH)


def _fill(database: sqlite3.Connection, layer: Layer, batches: Iterable[Footprints]) -> int:
    [(srs_id,)] = database.execute(
        "SELECT srs_id FROM gpkg_geometry_columns WHERE table_name = ?", (layer.name,)
    )
    triggers = _drop_insert_triggers(database, layer.name)
    index = RTreeFiller(database, f"rtree_{layer.name}_geom")
    count, extent = 0, np.array([np.inf, np.inf, -np.inf, -np.inf])
    for batch in batches:
        features = layer.features(batch)
        fids_N = np.arange(count + 1, count + len(batch) + 1)
        own, blobs = features.own, _blobs(features.shapes, srs_id)
        database.executemany(
            _insert_beside(database, layer.name, features.shared, own),
            zip(fids_N.tolist(), blobs, *own.values(), strict=True),
        )
        boxes_N4 = features.shapes.boxes_N4
        index.add(fids_N, boxes_N4)
        extent[:2] = np.vstack([extent[:2], boxes_N4[:, :2]]).min(axis=0)
        extent[2:] = np.vstack([extent[2:], boxes_N4[:, 2:]]).max(axis=0)
        count += len(batch)
    index.finish()
    for trigger in triggers:
        database.execute(trigger)
    database.execute(
        "UPDATE gpkg_ogr_contents SET feature_count = ? WHERE table_name = ?", (count, layer.name)
    )
    if count:
        database.execute(
            "UPDATE gpkg_contents SET min_x = ?, min_y = ?, max_x = ?, max_y = ? "
            "WHERE table_name = ?",
            [*extent.tolist(), layer.name],
        )
    return count


def _insert_beside(
    database: sqlite3.Connection, table: str, shared: Mapping[str, Any], own: Iterable[str]
) -> str:
    """Return the INSERT that takes fid, geometry and the `own` fields, in this order.

    It copies the `shared` fields from a temporary table: binding the same six values for each
    footprint would cost a fifth of the time to write.
    """
    names, own = list(shared), list(own)
    database.execute("DROP TABLE IF EXISTS temp.shared")
    database.execute(f"CREATE TEMP TABLE shared ({', '.join(names)})")
    holes = ", ".join("?" * len(names))
    database.execute(f"INSERT INTO temp.shared VALUES ({holes})", list(shared.values()))
    return (
        f"INSERT INTO {table} (fid, geom, {', '.join(own + names)}) "
        f"SELECT ?, ?, {', '.join('?' * len(own))}, * FROM temp.shared"
    )


def _drop_insert_triggers(database: sqlite3.Connection, table: str) -> list[str]:
    """Drop the insert triggers that maintain index and counter; returns the SQL to restore them.

    They call functions that only GDAL's SQLite has; index and counter are filled here.
    """
    triggers = database.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? "
        "AND name LIKE '%insert%' ORDER BY rowid",
        (table,),
    ).fetchall()
    for name, _ in triggers:
        database.execute(f'DROP TRIGGER "{name}"')
    return [sql for _, sql in triggers]


def _blobs(shapes: Shapes, srs_id: int) -> Iterator[bytes]:
    """GeoPackage geometry blobs: a header with the box (xmin, xmax, ymin, ymax), then WKB."""
    headers = np.zeros(len(shapes), _GEOMETRY_HEADER)
    headers["magic"], headers["flags"], headers["srs_id"] = b"GP", _LITTLE_ENDIAN_WITH_BOX, srs_id
    headers["box"] = shapes.boxes_N4[:, [0, 2, 1, 3]]
    plain_bytes = f"V{_GEOMETRY_HEADER.itemsize}"
    return map(add, headers.view(plain_bytes).tolist(), shapes.wkb_N.tolist())


_STYLES = {
    "footprints.qml": "Bright outline with a dark casing",
    "footprints_heights.qml": "Bright outline with a dark casing; blocks of the height in 3D",
    "roofs.qml": "Thin blue outline with a dark casing",
}
"""Style files and what they look like."""


def style_file(layer: Layer) -> str:
    """Name of the layer's default QGIS style, a file in `layers/styles`."""
    if layer.name == ROOFS:
        return "roofs.qml"
    return "footprints_heights.qml" if layer.has_heights else "footprints.qml"


def _add_history(database: sqlite3.Connection, table: str, description: Mapping[str, str]) -> None:
    """Store the description as QGIS keeps a layer's metadata, with a line of history each."""
    root = Element("resourceMetadata")
    title = title_of(description)
    SubElement(root, "title").text = f"Building footprints of {title}" if title else table
    SubElement(
        root, "abstract"
    ).text = (
        f"Building footprints that a network found; made by {description.get('software', 'snet4')}."
    )
    for name, value in description.items():
        SubElement(root, "history").text = f"{name}: {value}"
    [(number,)] = database.execute("SELECT coalesce(max(id), 0) + 1 FROM gpkg_metadata")
    database.execute(
        "INSERT INTO gpkg_metadata VALUES (?, 'dataset', ?, 'text/xml', ?)",
        (number, _QGIS, tostring(root, encoding="unicode")),
    )
    database.execute(
        "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, timestamp, md_file_id) "
        "VALUES ('table', ?, ?, ?)",
        (table, EPOCH, number),
    )


_QGIS = "http://mrcc.com/qgis.dtd"
"""By this QGIS knows the metadata that are its own; no address that is ever opened."""


def _add_styles(database: sqlite3.Connection, layers: Sequence[Layer]) -> None:
    """Store the styles in `layer_styles`, where QGIS looks for them when it opens a layer."""
    database.execute(_STYLES_TABLE)
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change, srs_id) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles', ?, 0)",
        (EPOCH,),
    )
    database.execute("INSERT INTO gpkg_ogr_contents VALUES ('layer_styles', ?)", (len(layers),))
    for layer in layers:
        name = style_file(layer)
        qml = files("snet4core.layers").joinpath("styles", name).read_text(encoding="utf-8")
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
            "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, owner, "
            "update_time) VALUES ('', '', ?, 'geom', ?, ?, '', 1, ?, '', ?)",
            (layer.name, layer.name, qml, _STYLES[name], EPOCH),
        )
