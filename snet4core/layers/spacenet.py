"""Writes SpaceNet tables: one building per line, its outline as WKT in pixels of the image.

    ImageId,BuildingId,PolygonWKT_Pix,Confidence
    Atlanta_nadir8_catid_10300100023BC100_743501_3728739,1,"POLYGON ((...))",0.93
    Atlanta_nadir8_catid_10300100023BC100_743501_3729189,-1,POLYGON EMPTY,1

x runs right, y down, pixel edges are whole numbers. An image without buildings has one
line, so that it counts as searched; its Confidence is 1, as in the challenge's tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import shapely
from rasterio.crs import CRS

from snet4core.files.names import cell, storable
from snet4core.footprints.footprints import Footprints, rounded
from snet4core.footprints.polygons import Polygons
from snet4core.layers.features import Content, Features, Layer, footprints_layer

COLUMNS = ("ImageId", "BuildingId", "PolygonWKT_Pix", "Confidence")
"""The challenge's header."""

MORE_COLUMNS = (
    "PolygonWKT_Geo",
    "area_m2",
    "off_nadir_deg",
    "azimuth_deg",
    "look",
    "look_source",
    "model",
    "scene",
    "height_m",
    "height_source",
)
"""Further columns of a .csv result, as far as the layer has them; PolygonWKT_Geo is in the
scene's CRS."""

_PX_DECIMALS = 2
_PLAIN = re.compile(r"[A-Za-z0-9_.'-]*")

_PRODUCT = re.compile(r"^(Pan-Sharpen|PAN|MS|MUL)_(?=.*nadir\d)")
_LATER_BUCKET = re.compile(
    r"^SN4_buildings_[a-z]+_AOI_\d+_(?P<collect>.+_nadir\d+_catid_[0-9A-Za-z]+)"
    r"_(?:PS-RGBNIR|Pan-Sharpen|PAN|MS|MUL)_(?P<tile>\d+_\d+)$"
)


def image_id(file_name: str) -> str:
    """Derive the ImageId from a file name: drop the extension and the product's name.

    File names of both SpaceNet 4 buckets give the ImageId of the truth tables; any other
    name loses only its extension.

    >>> image_id("Pan-Sharpen_Atlanta_nadir8_catid_10300100023BC100_743501_3728739.tif")
    'Atlanta_nadir8_catid_10300100023BC100_743501_3728739'
    >>> image_id("SN4_buildings_train_AOI_6_Atlanta_nadir7_catid_1030010003D22F00"
    ...          "_PS-RGBNIR_732701_3730989.tif")
    'Atlanta_nadir7_catid_1030010003D22F00_732701_3730989'
    >>> image_id("my.town.tif")
    'my.town'
    """
    stem = _without_extension(file_name)
    if later := _LATER_BUCKET.match(stem):
        return f"{later['collect']}_{later['tile']}"
    return _PRODUCT.sub("", stem)


def _without_extension(file_name: str) -> str:
    return re.sub(r"(?i)\.(tiff?|vrt|jp2|png|jpe?g|img|json)$", "", file_name)


def write(path: Path, content: Content, crs: CRS, description: Mapping[str, str]) -> int:
    """Write the SpaceNet columns, then the layer's fields; returns the number of features.

    A table cannot hold `description`, nor a CRS.
    """
    layer, batches = content
    more = tuple(name for name in MORE_COLUMNS if name in layer.fields)
    form = _Form(layer, more, _decimals(crs))
    with _table(path, (*COLUMNS, MORE_COLUMNS[0], *more)) as file:
        return sum(map(len, _passed(file, batches, form)))


def _decimals(crs: CRS) -> int:
    """Digits after the point by which coordinates are known to a millimetre, or a little worse.

    >>> _decimals(CRS.from_epsg(4326)), _decimals(CRS.from_epsg(32616))
    (9, 3)
    >>> _decimals(CRS.from_string("+proj=utm +zone=16 +units=km +type=crs"))
    6
    """
    if crs.is_geographic:
        return 9
    unit_m = crs.linear_units_factor[1] if crs.is_projected else 1.0
    return 3 + max(0, math.ceil(math.log10(unit_m)))


def tapped(path: Path, batches: Iterable[Footprints]) -> Iterator[Footprints]:
    """Pass the batches through, and write the challenge's four columns to `path`."""
    with _table(path, COLUMNS) as file:
        yield from _passed(file, batches, _Form(footprints_layer(None)))


@dataclass(frozen=True, slots=True)
class _Form:
    """What a line holds: the challenge's columns, and perhaps more."""

    layer: Layer
    more: tuple[str, ...] = ()
    """The layer's fields behind PolygonWKT_Geo."""
    geo_decimals: int | None = None
    """Of PolygonWKT_Geo; None: the challenge's columns alone."""


@contextmanager
def _table(path: Path, columns: tuple[str, ...]) -> Iterator[TextIO]:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(",".join(columns) + "\n")
        yield file


def _passed(file: TextIO, batches: Iterable[Footprints], form: _Form) -> Iterator[Footprints]:
    """Write each batch and pass it on; a scene without footprints gets one empty line."""
    last, written = None, False
    for batch in batches:
        if last is not None and last.source != batch.source:
            if not written:
                file.write(_empty_line(last, form))
            written = False
        file.writelines(_lines(batch, form))
        last, written = batch, written or len(batch) > 0
        yield batch
    if last is not None and not written:
        file.write(_empty_line(last, form))


def _id_of(batch: Footprints) -> str:
    return _quoted(batch.source.image_id or image_id(batch.source.scene))


def _empty_line(batch: Footprints, form: _Form) -> str:
    line = f"{_id_of(batch)},-1,POLYGON EMPTY,1"
    if form.geo_decimals is not None:
        shared = {"area_m2": "0", **_shared_cells(form.layer.features(batch))}
        line = ",".join([line, "POLYGON EMPTY", *(shared.get(name, "") for name in form.more)])
    return line + "\n"


def _lines(batch: Footprints, form: _Form) -> Iterator[str]:
    head, found = _id_of(batch), form.layer.features(batch)
    pixels = _wkt(found.shapes_px.polygons_N, _PX_DECIMALS)
    ids, confidence = batch.footprint_id_N.tolist(), batch.confidence_N.tolist()
    if form.geo_decimals is None:
        for number, wkt, share in zip(ids, pixels, confidence, strict=True):
            yield f'{head},{number},"{wkt}",{share:g}\n'
        return
    shared, count = _shared_cells(found), len(batch)
    columns = [
        [shared[name]] * count if name in shared else list(map(_cell, found.own[name]))
        for name in form.more
    ]
    places = _wkt(found.polygons_N, form.geo_decimals)
    for number, wkt, share, place, *cells in zip(
        ids, pixels, confidence, places, *columns, strict=True
    ):
        yield f'{head},{number},"{wkt}",{share:g},"{place}",{",".join(cells)}\n'


def _shared_cells(found: Features) -> dict[str, str]:
    """The cells that are equal for a whole scene."""
    return {name: _cell(value) for name, value in found.shared.items()}


def _cell(value: Any) -> str:
    """A field as a cell; NULL is empty."""
    if value is None:
        return ""
    return _quoted(value) if isinstance(value, str) else repr(value)


def _wkt(polygons: Polygons, decimals: int) -> list[str]:
    return list(shapely.to_wkt(rounded(polygons, decimals), rounding_precision=-1))


def _quoted(text: str) -> str:
    """Format a text cell: never a formula, and quoted unless it is plain.

    A semicolon or a blank is quoted too, as not every spreadsheet splits at commas.
    """
    safe = cell(storable(text))
    if _PLAIN.fullmatch(safe):
        return safe
    return '"' + safe.replace('"', '""') + '"'
