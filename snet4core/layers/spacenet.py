"""Writes SpaceNet tables: one building per line, its outline as WKT in pixels of the image.

    ImageId,BuildingId,PolygonWKT_Pix,Confidence
    Atlanta_nadir8_catid_10300100023BC100_743501_3728739,1,"POLYGON ((...))",0.93
    Atlanta_nadir8_catid_10300100023BC100_743501_3729189,-1,POLYGON EMPTY,1

x runs right, y down, pixel edges are whole numbers. An image without buildings has one
line, so that it counts as searched; its Confidence is 1, as in the challenge's tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import shapely
from rasterio.crs import CRS

from snet4core.files.names import cell, storable
from snet4core.footprints.footprints import Footprints, rounded
from snet4core.footprints.polygons import Polygons

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
)
"""Further columns of a .csv result; PolygonWKT_Geo is in the scene's CRS."""

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


def write(
    path: Path, batches: Iterable[Footprints], crs: CRS, description: Mapping[str, str]
) -> int:
    """Write the SpaceNet columns, then the layer's fields; returns the number of footprints.

    A table cannot hold `description`, nor a CRS.
    """
    geo_decimals = 9 if crs.is_geographic else 3
    with _table(path, COLUMNS + MORE_COLUMNS) as file:
        return sum(map(len, _passed(file, batches, geo_decimals)))


def tapped(path: Path, batches: Iterable[Footprints]) -> Iterator[Footprints]:
    """Pass the batches through, and write the challenge's four columns to `path`."""
    with _table(path, COLUMNS) as file:
        yield from _passed(file, batches, None)


@contextmanager
def _table(path: Path, columns: tuple[str, ...]) -> Iterator[TextIO]:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(",".join(columns) + "\n")
        yield file


def _passed(
    file: TextIO, batches: Iterable[Footprints], geo_decimals: int | None
) -> Iterator[Footprints]:
    """Write each batch and pass it on; a scene without footprints gets one empty line."""
    last, written = None, False
    for batch in batches:
        if last is not None and last.source != batch.source:
            if not written:
                file.write(_empty_line(last, geo_decimals))
            written = False
        file.writelines(_lines(batch, geo_decimals))
        last, written = batch, written or len(batch) > 0
        yield batch
    if last is not None and not written:
        file.write(_empty_line(last, geo_decimals))


def _id_of(batch: Footprints) -> str:
    return _quoted(batch.source.image_id or image_id(batch.source.scene))


def _empty_line(batch: Footprints, geo_decimals: int | None) -> str:
    line = f"{_id_of(batch)},-1,POLYGON EMPTY,1"
    if geo_decimals is not None:
        tail = _tail(batch)
        line += f",POLYGON EMPTY,0,{tail}"
    return line + "\n"


def _lines(batch: Footprints, geo_decimals: int | None) -> Iterator[str]:
    head = _id_of(batch)
    pixels = _wkt(batch.polygons_px_N, _PX_DECIMALS)
    ids, confidence = batch.footprint_id_N.tolist(), batch.confidence_N.tolist()
    if geo_decimals is None:
        for number, wkt, share in zip(ids, pixels, confidence, strict=True):
            yield f'{head},{number},"{wkt}",{share:g}\n'
        return
    tail = _tail(batch)
    places, areas = _wkt(batch.polygons_N, geo_decimals), batch.area_m2_N.tolist()
    for number, wkt, share, place, area in zip(ids, pixels, confidence, places, areas, strict=True):
        yield f'{head},{number},"{wkt}",{share:g},"{place}",{area!r},{tail}\n'


def _tail(batch: Footprints) -> str:
    """The cells that are equal for a whole scene."""
    look, source = batch.source.look, batch.source
    cells = (
        f"{look.off_nadir_deg!r}" if look else "",
        f"{look.azimuth_deg!r}" if look and look.azimuth_deg is not None else "",
        look.category if look else "",
        _quoted(look.source) if look else "",
        _quoted(source.model or ""),
        _quoted(source.scene),
    )
    return ",".join(cells)


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
