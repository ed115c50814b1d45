"""The one door to vector files: fiona opens them, or pyogrio where fiona has no wheel.

fiona takes a list of the drivers that may try a file. pyogrio takes none, so without fiona a
file is refused in which a driver that refers to other files could see its own.
"""

from __future__ import annotations

import logging
import math
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS

from snet4core.errors import InputError

try:
    import fiona
except ImportError:  # no wheel for this Python
    fiona = None

_SQLITE, _FLATGEOBUF, _SHAPEFILE = b"SQLite format 3\0", b"fgb\x03fgb", b"\0\0\x27\x0a"
JSON = ["GeoJSON", "GeoJSONSeq", "TopoJSON"]
READABLE = ".gpkg, .geojson, .fgb, .gml, .parquet or .shp"
"""For messages: layers that can be read."""
_GML = re.compile(rb"\s*(<\?xml[^>]*\?>\s*)?(<!--.*?-->\s*)*<(\w+:)?FeatureCollection[\s>]", re.S)
_VIRTUAL = re.compile(rb"<OGRVRT|<VRTDataset|<GDAL_WM|<OGRWFS|<WFS_", re.I)
_HEAD_BYTES = 4096

_CONVERT = "where you trust it, convert it with 'ogr2ogr OUT.gpkg IN'"
_REMEDIES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"$"), "is empty; copy or download it again"),
    (re.compile(rb"\x1f\x8b"), "is compressed; unpack it with 'gunzip IN'"),
    (re.compile(rb"PK\x03\x04"), "is a ZIP archive; unpack it with 'unzip IN'"),
    (re.compile(rb"version https://git-lfs"),
     "is a pointer of Git LFS, not the file it stands for; fetch it with 'git lfs pull'"),
    (re.compile(rb"\s*<!doctype html|\s*<html", re.I),
     "is a page, perhaps a failed download; download it again"),
    (re.compile(rb"\s*(<\?xml[^>]*\?>)?\s*<(kml|osm|gpx)\b", re.I),
     f"is KML, OSM or GPX, which is not read; {_CONVERT}"),
    (re.compile(rb"\s*0\s+SECTION\b"), f"is a DXF drawing, which is not read; {_CONVERT}"),
    (re.compile(rb"PAR1"),
     "is a Parquet file, which is read if its name ends in .parquet; rename it"),
)  # fmt: skip
"""First bytes of what is no layer that can be read -> what it is, and what helps."""

_NO_CONNECTIONS = {"GML": {"DOWNLOAD_SCHEMA": "NO", "WRITE_GFS": "NO"}}
"""Options of drivers that would open connections, or leave files, without."""

_MISREAD = frozenset("!;\t\r\n")
"""pyogrio looks for archives and addresses in a path: it cuts at `!` and `;`, drops the others."""

_TYPES = {"int64": np.int64, "int32": np.int32, "float": np.float64, "str": object}
"""Types of fields -> what pyogrio makes the same of."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One layer as it was read."""

    crs: CRS | None
    """None if the file names none."""
    fields: tuple[str, ...]
    features: list[tuple[Any, dict[str, Any]]]
    """Geometry (GeoJSON-like, WKB or shapely's; None: without) and properties, None where they
    are NULL."""
    stated: int
    """Number of features that the file states; those that were read, if it states none."""


def drivers_of(path: Path, name: str) -> list[str]:
    """GDAL's drivers for this file, by its first bytes. Only formats that hold their features
    themselves; files that refer to others could open connections. Raises InputError."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(_SHAPEFILE) and path.suffix.lower() == ".shx":
        raise InputError(f"{name} is the index of a shapefile; give the .shp beside it.")
    for magic, driver in (
        (_SQLITE, "GPKG"), (_FLATGEOBUF, "FlatGeobuf"), (_SHAPEFILE, "ESRI Shapefile")
    ):  # fmt: skip
        if head.startswith(magic):
            return [driver]
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\x1e \t\r\n")
    if text[:1] in (b"{", b"["):
        return JSON
    if _GML.match(text) and not _VIRTUAL.search(head):
        return ["GML"]
    for pattern, told in _REMEDIES:
        if pattern.match(head):
            raise InputError(f"{name} {told}.")
    raise InputError(f"{name} is not a vector layer that can be read; give a {READABLE}.")


def read(
    path: Path, layer: str | None, drivers: list[str], options: Mapping[str, str] | None = None
) -> Vector:
    """Read a layer (None: the first) of an absolute path by the drivers that `drivers_of` gave.

    Raises what the library raises.
    """
    wanted = {**_NO_CONNECTIONS.get(drivers[0], {}), **(options or {})}
    with _quiet():
        if fiona is None:
            return _read_by_pyogrio(path, layer, wanted)
        with fiona.open(path, layer=layer, enabled_drivers=drivers, **wanted) as opened:
            features = [(each.geometry, dict(each.properties)) for each in opened]
            fields = tuple(opened.schema["properties"])
            stated = len(features)
            with suppress(TypeError):  # it states none
                stated = len(opened)
            return Vector(_crs(opened.crs_wkt), fields, features, stated)


def has_layer(path: Path, layer: str | int) -> bool:
    """Whether a GML file has a layer of this name, or number from 0."""
    options = _NO_CONNECTIONS["GML"]
    with suppress(Exception), _quiet():  # the libraries' errors have no common base class
        if fiona is None:
            import pyogrio

            with plainly_reached(path) as plain:
                pyogrio.read_info(plain, layer=layer, **options)
        else:
            fiona.open(path, layer=layer, enabled_drivers=["GML"], **options).close()
        return True
    return False


def create(
    path: Path, name: str, fields: Mapping[str, str], wkt: str, tags: Mapping[str, str], date: str
) -> None:
    """Add an empty layer of polygons to a GeoPackage, which is made if it is not there.

    `date` is written wherever the format requires one.
    """
    if fiona is not None:
        schema = {"geometry": "Polygon", "properties": dict(fields)}
        with (
            fiona.Env(OGR_CURRENT_DATE=date),
            fiona.open(path, "w", driver="GPKG", layer=name, schema=schema, crs_wkt=wkt) as empty,
        ):
            empty.update_tags(dict(tags))
        return
    import pyogrio

    columns = [np.array([], _TYPES[kind]) for kind in fields.values()]
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": date})
    try:
        with plainly_named(path.parent) as folder:
            pyogrio.raw.write(
                folder / path.name, np.array([], object), columns, list(fields), layer=name,
                driver="GPKG", geometry_type="Polygon", crs=wkt, layer_metadata=dict(tags) or None,
            )  # fmt: skip
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _read_by_pyogrio(path: Path, layer: str | None, options: Mapping[str, str]) -> Vector:
    import pyogrio

    with path.open("rb") as file:
        if _VIRTUAL.search(file.read(_HEAD_BYTES)):
            raise ValueError("it refers to other files")
    with plainly_reached(path) as plain:
        meta, _, geometries, columns = pyogrio.raw.read(plain, layer=layer, **options)
        stated = pyogrio.read_info(plain, layer=layer, **options)["features"]
    names = tuple(str(each) for each in meta["fields"])
    rows = list(zip(*columns, strict=True)) if columns else [()] * len(geometries)
    features = [
        (geometry, dict(zip(names, map(_plain, row), strict=True)))
        for geometry, row in zip(geometries, rows, strict=True)
    ]
    stated = len(features) if stated < 0 else int(stated)
    return Vector(_crs(meta["crs"]), names, features, stated)


def _crs(named: str | None) -> CRS | None:
    """Of WKT, or of the name of an authority's; raises CRSError for what is neither."""
    return CRS.from_user_input(named) if named else None


def _plain(value: Any) -> Any:
    """A value of a column; pyogrio says NaN for the NULL of a number."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value


@contextmanager
def plainly_reached(path: Path) -> Iterator[Path]:
    """The same file and those of its name, by a path that pyogrio does not misread; `path` is
    absolute."""
    if not _MISREAD & set(str(path)) and path.suffix.lower() != ".zip":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="snet4-") as folder:
        for each in path.parent.iterdir():
            if each.stem == path.stem:
                Path(folder, f"layer{_ending(each)}").symlink_to(each)
        yield Path(folder, f"layer{_ending(path)}")


def _ending(path: Path) -> str:
    return "" if path.suffix.lower() == ".zip" else path.suffix


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the libraries, as InputError gives the reason in one sentence.

    fiona logs each of GDAL's messages; logging one that is not UTF-8 fails, and the
    interpreter would print a traceback on stderr.
    """
    logger, hook = logging.getLogger("fiona"), sys.unraisablehook
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    sys.unraisablehook = lambda what: (
        hook(what) if isinstance(what.exc_value, KeyboardInterrupt) else None
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.unraisablehook = hook
        logger.setLevel(level)


@contextmanager
def plainly_named(folder: Path) -> Iterator[Path]:
    """The same folder under a name that pyogrio does not misread."""
    folder = folder.resolve()
    if not _MISREAD & set(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="snet4-") as place:
        link = Path(place, "folder")
        link.symlink_to(folder)
        yield link
