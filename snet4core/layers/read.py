"""Reads buildings, proposals or truth, from SpaceNet tables and vector layers."""

from __future__ import annotations

import math
import os
import sqlite3
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from snet4core.errors import InputError
from snet4core.files.names import printable
from snet4core.files.sidecars import beside
from snet4core.layers import geoparquet, json_text, spacenet_reader, vectors
from snet4core.layers.buildings import Buildings, height_of, is_plausible
from snet4core.layers.features import FOOTPRINTS, ROOFS
from snet4core.layers.reproject import reprojected
from snet4core.sentence import BOUNDS

_CATALOGUE = {
    "sqlite_master": "type, name, tbl_name, sql",
    "gpkg_contents": "table_name, data_type",
    "gpkg_geometry_columns": "table_name, column_name, geometry_type_name",
    "gpkg_spatial_ref_sys": "organization, definition",
}
"""Texts of a GeoPackage by which a layer is found and placed. Titles and descriptions are not
among them: they are not read, so they may be in any encoding."""
_POLYGON, _POINT = shapely.GeometryType.POLYGON, shapely.GeometryType.POINT
_LINE = shapely.GeometryType.LINESTRING
_AREAS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
_CONFIDENCE = ("confidence", "conf", "score")
_IMAGE = "ImageId"
_LAYERS = {"footprint": FOOTPRINTS, "roof": ROOFS}


Geometry = Literal["footprint", "roof"]


def read_buildings(
    path: Path,
    *,
    confidence: bool = True,
    geometry: Geometry = "footprint",
    height_field: str = "height_m",
) -> Buildings:
    """Read buildings from a SpaceNet table (.csv) or a vector layer. Raises `InputError`.

    Of a file with several layers, `geometry` is read from `footprints` or `roofs`; of any other
    its only layer. `height_field` holds heights in metres, where the file has it.
    """
    table = _readable(path).suffix.lower() in (".csv", ".txt")
    if table and not _is_json(path):  # Microsoft's .csv are lines of GeoJSON.
        return spacenet_reader.read(path, confidence=confidence, height_field=height_field)
    layer = read_layer(path, wanted=_LAYERS[geometry])
    return _buildings(printable(path), layer, confidence, height_field)


def _readable(path: Path) -> Path:
    """Check that the path is a readable regular file: reading a pipe would block forever."""
    try:
        is_file = path.is_file()
        with path.open("rb") if is_file else nullcontext():
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{printable(path)} cannot be read ({reason}); check it.") from None
    if path.suffix.lower() == ".gdb" and path.is_dir():
        raise InputError(
            f"{printable(path)} is a folder, a file geodatabase; export the layer with the "
            "buildings with 'ogr2ogr OUT.gpkg IN LAYER'."
        )
    if not is_file:
        what = "is no file" if path.exists() else "does not exist"
        raise InputError(f"{printable(path)} {what}; check the name.")
    return path


def read_layer(path: Path, *, wanted: str = FOOTPRINTS) -> vectors.Vector:
    """Read the features of a vector layer as they are. Raises `InputError`.

    Of a file with several layers, that named `wanted` is read; of any other its only layer.
    """
    name = printable(_readable(path))
    if path.suffix.lower() == ".parquet":
        return geoparquet.read(path, name)
    drivers = vectors.drivers_of(path, name)
    options: dict[str, str] = {}
    if drivers == ["GPKG"]:
        _check_database(path, name)
        # Reads even a database in WAL mode without leaving files beside it.
        options["IMMUTABLE"] = "YES"
    elif drivers == ["ESRI Shapefile"]:
        _check_shapefile(path, name)
    elif drivers == vectors.JSON:
        json_text.check(path, name)
    # An absolute path: Fiona takes `zip:` or `http:` at the front of others for a scheme.
    where = os.path.abspath(path)  # noqa: PTH100  # links must stay as they are
    try:
        chosen = _layer_of(Path(where), drivers, name, wanted)
        found = vectors.read(Path(where), chosen, drivers, options)
    except InputError:
        raise
    except UnicodeDecodeError:  # pyogrio reads descriptions, too, and as UTF-8 alone
        raise InputError(
            f"{name} holds a text that is not UTF-8; convert it with 'ogr2ogr -nomd OUT.gpkg IN'."
        ) from None
    except Exception as error:  # the libraries' errors have no common base class
        if drivers == vectors.JSON:
            json_text.check_whole(path, name)
        why = printable(str(error).partition(": <")[0])[:100]  # what follows is Python's
        raise InputError(
            f"{name} is not a vector layer that can be read ({why}); take a fresh copy of it, or "
            f"give a {vectors.READABLE}."
        ) from None
    if len(found.features) != found.stated:
        raise InputError(
            f"{name} breaks off after {len(found.features)} of {found.stated} features; "
            "it is damaged or incomplete, write it again."
        )
    return found


def _is_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def _layer_of(path: Path, drivers: list[str], name: str, wanted: str) -> str | None:
    """The layer to read: the only one (None: the first), or else the wanted one."""
    if drivers != ["GPKG"]:
        return None if drivers != ["GML"] else _layer_of_gml(path, name)
    with closing(_database(path)) as database:
        rows = database.execute("SELECT table_name FROM gpkg_contents WHERE data_type='features'")
        layers = [str(row[0]) for row in rows]
    if layers == [FOOTPRINTS] and wanted == ROOFS:
        raise InputError(
            f"{name} holds footprints and no roofs; compare those, or take the layer of a model "
            "that gives roofs."
        )
    if not layers:
        raise InputError(f"{name} holds no layer of features; check that it is the right file.")
    if len(layers) == 1:
        return layers[0]
    if wanted in layers:
        return wanted
    listed = printable(", ".join(layers))[:80]
    raise InputError(
        f"{name} holds {len(layers)} layers ({listed}); "
        "export the one with the buildings into a file of its own."
    )


def _layer_of_gml(path: Path, name: str) -> str | None:
    """`footprints`, or the only layer. GDAL would list them with any driver, so they are tried."""
    if vectors.has_layer(path, "footprints"):
        return "footprints"
    if vectors.has_layer(path, 1):
        raise InputError(
            f"{name} holds several layers; export the one with the buildings into a file of its "
            "own."
        )
    return None


def _check_shapefile(path: Path, name: str) -> None:
    """Refuse a file shorter than its header states: GDAL returns NULL for what is missing."""
    if beside(path, f"{path.stem}.shx") is None:
        raise InputError(
            f"{name} has no .shx beside it; copy all files of that name, or make it anew with "
            "'ogr2ogr --config SHAPE_RESTORE_SHX YES OUT.gpkg IN'."
        )
    with path.open("rb") as file:
        header = file.read(28)
    stated_bytes = 2 * int.from_bytes(header[24:28], "big")
    if len(header) < 28 or path.stat().st_size < stated_bytes:
        raise InputError(f"{name} is cut off; take a fresh copy of it.")


def _check_database(path: Path, name: str) -> None:
    """Refuse a GeoPackage that is truncated, damaged, or has an unfinished transaction."""
    for ending in ("-journal", "-wal"):
        journal = path.with_name(path.name + ending)
        if journal.exists() and journal.stat().st_size:
            raise InputError(
                f"{name} has an unfinished change beside it ({printable(journal.name)}); open and "
                "close it once in the program that wrote it."
            )
    try:
        with closing(_database(path)) as database:
            [(answer,), *_] = database.execute("PRAGMA quick_check(1)")
            for table, columns in _CATALOGUE.items():  # refuses names that are not UTF-8
                database.execute(f"SELECT {columns} FROM {table}").fetchall()
    except (sqlite3.Error, UnicodeError) as error:
        answer = str(error)
    if answer != "ok":
        raise InputError(f"{name} is damaged ({printable(answer)[:80]}); take a fresh copy of it.")


def _database(path: Path) -> sqlite3.Connection:
    address = f"file:{quote(os.fsencode(path.absolute()))}?immutable=1"
    return sqlite3.connect(address, uri=True)


def _buildings(
    name: str, layer: vectors.Vector, confidence: bool, height_field: str = ""
) -> Buildings:
    """The features as a table; heights are read where any feature has `height_field`."""
    skipped: dict[str, int] = {}
    ids, polygons, rates, heights_m = [], [], [], []
    has_heights = any(height_field in properties for _, properties in layer.features)
    for row, (geometry, properties) in enumerate(layer.features, start=1):
        polygon, reason = _polygon(geometry, name, row)
        if polygon is None:
            skipped[reason] = skipped.get(reason, 0) + 1
            continue
        polygons.append(polygon)
        ids.append(str(properties.get(_IMAGE) or ""))
        rates.append(_confidence(properties, name, row) if confidence else 1.0)
        heights_m.append(height_of(properties.get(height_field), f"{name}, feature {row}"))
    table = Buildings.of(ids, polygons, rates, heights_m if has_heights else None)
    return replace(
        table,
        images=table.images or ("",),
        in_pixels=False,
        crs=layer.crs,
        skipped=skipped,
        name=name,
    )


def geometry_of(geometry: Any, name: str, row: int) -> Any:
    """A feature's geometry as shapely's, without z; None stays None. Raises `InputError`."""
    if geometry is None or isinstance(geometry, shapely.Geometry):
        return shapely.force_2d(geometry)
    try:
        whole = shapely.from_wkb(geometry) if isinstance(geometry, bytes) else shape(geometry)
        return shapely.force_2d(whole)
    except (ValueError, TypeError, shapely.errors.ShapelyError) as error:
        raise InputError(
            f"{name}, feature {row}: its geometry cannot be used ({printable(str(error))[:80]}); "
            "convert it to plain polygons."
        ) from None


def _polygon(geometry: Any, name: str, row: int) -> tuple[shapely.Geometry | None, str]:
    polygon = geometry_of(geometry, name, row)
    if polygon is None:
        return None, "without a geometry"
    if polygon.is_empty:
        return None, "with an empty geometry"
    if shapely.get_type_id(polygon) == shapely.GeometryType.GEOMETRYCOLLECTION:
        polygon = _areas_of(polygon)
    if shapely.get_type_id(polygon) not in _AREAS:
        return None, "points or lines, not areas"
    if not is_plausible(shapely.get_coordinates(polygon)).all():
        raise InputError(f"{name}, feature {row}: a coordinate lies beyond any map; correct it.")
    return polygon, ""


def _areas_of(collection: Any) -> Any:
    """The areas in a collection, as one geometry; the collection itself if it holds none."""
    parts = [collection]
    while any(shapely.get_type_id(p) not in (_POLYGON, _POINT, _LINE) for p in parts):
        parts = [each for part in parts for each in shapely.get_parts(part)]
    areas = [part for part in parts if shapely.get_type_id(part) == _POLYGON]
    if not areas:
        return collection
    return areas[0] if len(areas) == 1 else shapely.MultiPolygon(areas)


def _confidence(properties: dict[str, Any], name: str, row: int) -> float:
    for key, value in properties.items():
        if key.lower() in _CONFIDENCE and value is not None:
            try:
                rate = float(value)
            except (TypeError, ValueError):
                rate = float("nan")
            if not math.isfinite(rate):
                raise InputError(
                    f"{name}, feature {row}: the {printable(key)} '{printable(str(value)[:20])}' "
                    "is no number; correct it."
                )
            return rate
    return 1.0


def area_in(path: Path, crs: CRS, scene: BaseGeometry | None = None) -> BaseGeometry:
    """Read an area of interest: the union of a layer's polygons, in `crs`. Raises `InputError`.

    Areas much larger than the `scene`, whose outline is in `crs`, are cut to what is near it:
    corners of a continent need not exist in its CRS, and edges as long are no straight lines.
    """
    found = _buildings(printable(path), read_layer(path), confidence=False)
    if found.crs is None:
        raise InputError(
            f"{found.name} names no CRS; give it its own with "
            "'ogr2ogr -a_srs EPSG:NUMBER OUT.gpkg IN', or give ",
            BOUNDS,
            ".",
        )
    if len(found) == 0:
        raise InputError(f"{found.name} holds no polygons; give a layer that does.")
    polygons_N = found.polygons_N
    if scene is not None and found.crs != crs:
        [there] = reprojected(np.array([scene], object), crs, found.crs, found.name)
        polygons_N = _near(polygons_N, there)
    return shapely.union_all(
        shapely.make_valid(reprojected(polygons_N, found.crs, crs, found.name))
    )


_MUCH_LARGER = 20.0
"""Times the side of the scene."""


def _near(polygons_N: NDArray[np.object_], scene: BaseGeometry) -> NDArray[np.object_]:
    """The polygons, those much larger than the scene cut to what is near it, with short edges."""
    box_4 = np.array(scene.bounds)
    side = max(box_4[2:] - box_4[:2])
    near = shapely.box(*(box_4 + 2 * side * np.array([-1, -1, 1, 1])))
    bounds_N4 = shapely.bounds(polygons_N).reshape(-1, 4)
    large_N = (bounds_N4[:, 2:] - bounds_N4[:, :2]).max(axis=1) > _MUCH_LARGER * side
    large_N &= shapely.intersects(polygons_N, near)
    cut_N = polygons_N.copy()
    cut = shapely.intersection(shapely.make_valid(polygons_N[large_N]), near)
    cut_N[large_N] = shapely.segmentize(cut, side / 10)
    return cut_N
