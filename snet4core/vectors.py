"""Buildings from files, as proposals or truth: SpaceNet tables and any vector layer."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fiona
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points
from shapely.geometry import shape

from snet4core import csvread
from snet4core.errors import InputError
from snet4core.score import Buildings, on_a_map
from snet4core.text import printable

DRIVERS = ("GPKG", "GeoJSON", "GeoJSONSeq", "FlatGeobuf", "ESRI Shapefile", "GML", "TopoJSON")
"""Formats that hold their features themselves; formats that point elsewhere are not read."""

_CATALOGUE = ("sqlite_master", "gpkg_contents", "gpkg_geometry_columns", "gpkg_spatial_ref_sys")
_AREAS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
_CONFIDENCE = ("confidence", "conf", "score")
_IMAGE = "ImageId"


def read(path: Path, *, confidence: bool = True) -> Buildings:
    """Read a SpaceNet table (.csv) or a layer's polygons. Raises `InputError`."""
    try:
        is_file = path.is_file()
        with path.open("rb") if is_file else nullcontext():
            pass
    except (OSError, ValueError) as error:
        raise InputError(f"{printable(path)} cannot be read ({error}); check the name.") from None
    if not is_file:
        what = "is no file" if path.exists() else "does not exist"
        raise InputError(f"{printable(path)} {what}; check the name.")
    if path.suffix.lower() in (".csv", ".txt"):
        return csvread.read(path, confidence=confidence)
    return _read_layer(path, confidence)


def _read_layer(path: Path, confidence: bool) -> Buildings:
    name = printable(path)
    options = {}
    if path.suffix.lower() == ".gpkg":
        _check_database(path, name)
        # Also a database in WAL mode is read without leaving files beside it.
        options["IMMUTABLE"] = "YES"
    elif "json" in path.suffix.lower():
        _check_utf8(path, name)
    try:
        with (
            _quiet_bindings(),
            fiona.open(
                path, layer=_layer_of(path, name), allowed_drivers=list(DRIVERS), **options
            ) as layer,
        ):
            crs = CRS.from_wkt(layer.crs_wkt) if layer.crs_wkt else None
            features = [(f.geometry, dict(f.properties)) for f in layer]
            expected = len(layer)
    except InputError:
        raise
    except Exception as error:  # the bindings' errors have no common root
        raise InputError(
            f"{name} is not a vector layer that can be read ({printable(str(error))[:100]}); "
            "give a SpaceNet .csv, or a .gpkg, .geojson, .fgb or .shp."
        ) from None
    if len(features) != expected:
        raise InputError(
            f"{name} breaks off after {len(features)} of {expected} features; "
            "it is damaged or incomplete, write it again."
        )
    return _buildings(name, crs, features, confidence)


@contextmanager
def _quiet_bindings() -> Iterator[None]:
    """Fiona logs GDAL's messages as UTF-8; one that quotes a damaged name would be dumped
    with a traceback on stderr by the interpreter, beside the error that we raise anyway."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        sys.unraisablehook = before


def _layer_of(path: Path, name: str) -> str:
    """The layer to read: `footprints` if there is one, or else the only one."""
    layers = [layer for layer in fiona.listlayers(path) if layer != "layer_styles"]
    if len(layers) == 1:
        return str(layers[0])
    if "footprints" in layers:
        return "footprints"
    raise InputError(
        f"{name} holds {len(layers)} layers ({printable(', '.join(layers))[:80]}); "
        "export the one with the buildings into a file of its own."
    )


def _check_utf8(path: Path, name: str) -> None:
    """GeoJSON is UTF-8 by definition; GDAL would take other bytes for characters."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                raise InputError(
                    f"{name}, line {number}: it is not UTF-8; save it as UTF-8."
                ) from None


def _check_database(path: Path, name: str) -> None:
    """A GeoPackage that was cut, damaged, or left in the middle of a change is refused."""
    for ending in ("-journal", "-wal"):
        journal = path.with_name(path.name + ending)
        if journal.exists() and journal.stat().st_size:
            raise InputError(
                f"{name} has an unfinished change beside it ({printable(journal.name)}); open and "
                "close it once in the program that wrote it."
            )
    try:
        address = f"file:{quote(os.fsencode(path.absolute()))}?immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            [(answer,), *_] = database.execute("PRAGMA quick_check(1)")
            for table in _CATALOGUE:  # whatever is no UTF-8 there is refused here
                database.execute(f"SELECT * FROM {table}").fetchall()
    except (sqlite3.Error, UnicodeError) as error:
        answer = str(error)
    if answer != "ok":
        raise InputError(f"{name} is damaged ({printable(answer)[:80]}); take a fresh copy of it.")


def _buildings(
    name: str, crs: CRS | None, features: list[tuple[Any, dict[str, Any]]], confidence: bool
) -> Buildings:
    skipped: dict[str, int] = {}
    ids, polygons, rates = [], [], []
    for row, (geometry, properties) in enumerate(features, start=1):
        polygon, reason = _polygon(geometry, name, row)
        if polygon is None:
            skipped[reason] = skipped.get(reason, 0) + 1
            continue
        polygons.append(polygon)
        ids.append(str(properties.get(_IMAGE) or ""))
        rates.append(_confidence(properties, name, row) if confidence else 1.0)
    table = Buildings.of(ids, polygons, rates)
    return replace(
        table,
        images=table.images or ("",),
        in_pixels=False,
        crs=crs,
        skipped=skipped,
        name=name,
    )


def _polygon(geometry: Any, name: str, row: int) -> tuple[shapely.Geometry | None, str]:
    if geometry is None:
        return None, "without a geometry"
    try:
        polygon = shapely.force_2d(shape(geometry))
    except (ValueError, TypeError, shapely.errors.ShapelyError) as error:
        raise InputError(
            f"{name}, feature {row}: its geometry cannot be used ({printable(str(error))[:80]}); "
            "convert it to plain polygons."
        ) from None
    if polygon.is_empty:
        return None, "with an empty geometry"
    if shapely.get_type_id(polygon) not in _AREAS:
        return None, "points or lines, not areas"
    if not on_a_map(shapely.get_coordinates(polygon)).all():
        raise InputError(f"{name}, feature {row}: a coordinate lies beyond any map; correct it.")
    return polygon, ""


def _confidence(properties: dict[str, Any], name: str, row: int) -> float:
    for key, value in properties.items():
        if key.lower() in _CONFIDENCE and value is not None:
            try:
                rate = float(value)
            except (TypeError, ValueError):
                rate = float("nan")
            if not np.isfinite(rate):
                raise InputError(
                    f"{name}, feature {row}: the {printable(key)} '{printable(str(value)[:20])}' "
                    "is no number; correct it."
                )
            return rate
    return 1.0


def alike(proposals: Buildings, truth: Buildings) -> tuple[Buildings, list[str]]:
    """Bring the proposals into the truth's coordinates; also what a reader should know.

    Raises `InputError` where that is impossible: pixels against map units.
    """
    if proposals.in_pixels != truth.in_pixels:
        pixels, ground = (proposals, truth) if proposals.in_pixels else (truth, proposals)
        raise InputError(
            f"{pixels.name} is in pixels, but {ground.name} in map units; score two tables or two "
            "layers (`snet4 run --csv` writes a table)."
        )
    notes = [
        f"{table.name}: {count} skipped, {reason}."
        for table in (proposals, truth)
        for reason, count in table.skipped.items()
    ]
    if truth.in_pixels:
        return proposals, notes + _unknown_images(proposals, truth)
    if (proposals.crs is None) != (truth.crs is None):
        bare = proposals if proposals.crs is None else truth
        raise InputError(f"{bare.name} names no CRS, but the other file does; assign it first.")
    if proposals.crs is not None and truth.crs is not None and proposals.crs != truth.crs:
        notes.append(f"{proposals.name} was moved from its CRS into that of {truth.name}.")
        proposals = _moved(proposals, truth.crs)
    if len(proposals) and len(truth) and not _overlap(proposals, truth):
        notes.append(
            "The two layers do not overlap anywhere; check their CRS and the order of the axes."
        )
    return proposals, notes


def _unknown_images(proposals: Buildings, truth: Buildings) -> list[str]:
    known = set(truth.images)
    unknown = [image for image in proposals.images if image not in known]
    if not unknown:
        return []
    example = printable(unknown[0])
    if len(unknown) == len(proposals.images):
        theirs = printable(next(iter(truth.images), "none"))
        return [f"No ImageId of {proposals.name} is in {truth.name}: {example} against {theirs}."]
    return [
        f"{len(unknown)} images of {proposals.name} are not in {truth.name} (such as {example}); "
        "their proposals are false."
    ]


def _moved(table: Buildings, crs: CRS) -> Buildings:
    def move(points_N2: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(warp_points(table.crs, crs, points_N2[:, 0], points_N2[:, 1]))

    moved = np.asarray(shapely.transform(table.polygons_N, move), dtype=object)
    if len(moved) and not on_a_map(shapely.get_coordinates(moved)).all():
        raise InputError(
            f"{table.name} has coordinates that do not exist in its CRS; "
            "are latitude and longitude swapped?"
        )
    return replace(table, polygons_N=moved, crs=crs)


def _overlap(one: Buildings, other: Buildings) -> bool:
    return shapely.box(*shapely.total_bounds(one.polygons_N)).intersects(
        shapely.box(*shapely.total_bounds(other.polygons_N))
    )


def area_in(path: Path, crs: CRS) -> shapely.Geometry:
    """The union of a layer's polygons, in `crs`: an area of interest.

    Raises `InputError` for a layer without polygons or without a CRS.
    """
    table = read(path, confidence=False)
    if table.crs is None:
        raise InputError(f"{printable(path)} names no CRS; assign it, or give --bounds.")
    if not len(table):
        raise InputError(f"{printable(path)} holds no polygons; give a layer that does.")
    moved = table if table.crs == crs else _moved(table, crs)
    return shapely.union_all(shapely.make_valid(moved.polygons_N))
