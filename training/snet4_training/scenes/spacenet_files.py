"""SpaceNet 4's file layout: folders, file names and contents.

Both naming generations are in use: that of the competition and that of the bucket where
the data moved later. Numbers in a tile's name are its LOWER left corner in metres.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from shapely.geometry import Polygon

from snet4_training.scenes.world import Building
from snet4core.look.names import Collect

Layout = Literal["competition", "bucket"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

EPSG = 32616
"""UTM zone 16 north, where Atlanta lies."""

BAND_NAMES = ("blue", "green", "red", "nir")


@dataclass(frozen=True, slots=True)
class TileName:
    """One tile, named by its lower left corner in metres of `EPSG`."""

    x_m: int
    y_m: int

    def transform(self, size_px: int, gsd_m: float) -> Affine:
        """(column, row) of a pixel edge -> (x, y) in metres."""
        top = self.y_m + size_px * gsd_m
        return Affine(gsd_m, 0, self.x_m, 0, -gsd_m, top)


def image_id(collect: Collect, tile: TileName) -> str:
    """Image id in the format of the challenge's tables.

    >>> from snet4core.look.names import SPACENET4_LOOKS
    >>> image_id(SPACENET4_LOOKS[1], TileName(743501, 3728739))
    'Atlanta_nadir8_catid_10300100023BC100_743501_3728739'
    """
    return f"Atlanta_{collect.folder}_catid_{collect.catalogue_id}_{tile.x_m}_{tile.y_m}"


def image_path(layout: Layout, collect: Collect, tile: TileName) -> PurePosixPath:
    """Path of a tile's picture, relative to the data set's folder."""
    taken = f"{collect.folder}_catid_{collect.catalogue_id}"
    spot = f"{tile.x_m}_{tile.y_m}"
    if layout == "competition":
        name = f"Pan-Sharpen_Atlanta_{taken}_{spot}.tif"
        return PurePosixPath(f"Atlanta_{taken}", "Pan-Sharpen", name)
    name = f"SN4_buildings_train_AOI_6_Atlanta_{taken}_PS-RGBNIR_{spot}.tif"
    return PurePosixPath(taken, "PS-RGBNIR", name)


def labels_path(layout: Layout, tile: TileName) -> PurePosixPath:
    """Path of a tile's footprints, one file for all of its looks."""
    spot = f"{tile.x_m}_{tile.y_m}"
    if layout == "competition":
        return PurePosixPath("geojson", "spacenet-buildings", f"spacenet-buildings_{spot}.geojson")
    name = f"SN4_buildings_train_AOI_6_Atlanta_geojson_buildings_{spot}.geojson"
    return PurePosixPath("geojson_buildings", name)


def summary_path(collect: Collect) -> PurePosixPath:
    """Path of the table of a collect's footprints."""
    name = f"Atlanta_{collect.folder}_catid_{collect.catalogue_id}_Train.csv"
    return PurePosixPath("summaryData", name)


def write_image(path: Path, counts_BHW: NDArray[np.uint16], tile: TileName, gsd_m: float) -> None:
    """Write a GeoTIFF of four described uint16 bands, as the challenge's pan-sharpened product."""
    bands, rows, cols = counts_BHW.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=rows, width=cols, dtype="uint16",
        crs=f"EPSG:{EPSG}", transform=tile.transform(rows, gsd_m), compress="deflate",
        predictor=2, tiled=True, blockxsize=256, blockysize=256, photometric="minisblack",
    ) as file:  # fmt: skip
        file.write(counts_BHW)
        file.descriptions = BAND_NAMES
        file.colorinterp = (
            ColorInterp.blue,
            ColorInterp.green,
            ColorInterp.red,
            ColorInterp.undefined,
        )


def labels_text(buildings: Sequence[Building], to_map: Affine) -> str:
    """The footprints as GeoJSON in the tile's CRS, with the height of each."""
    features = [
        {
            "type": "Feature",
            "properties": {
                "building_id": number,
                "height_m": round(one.height_m, 2),
                "roof": one.roof,
            },
            "geometry": {"type": "Polygon", "coordinates": _rings(one.footprint, to_map)},
        }
        for number, one in enumerate(buildings)
    ]
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{EPSG}"}}
    return json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}) + "\n"


def summary_text(rows: Sequence[tuple[str, Sequence[Building], Affine]]) -> str:
    """The table of one collect: a row per building, one row `-1` for a tile without any."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("ImageId", "BuildingId", "PolygonWKT_Pix", "PolygonWKT_Geo"))
    for name, buildings, to_map in rows:
        if not buildings:
            table.writerow((name, -1, "POLYGON EMPTY", "POLYGON EMPTY"))
        for number, one in enumerate(buildings):
            pixels = _wkt(_rings(one.footprint, Affine.identity()))
            table.writerow((name, number, pixels, _wkt(_rings(one.footprint, to_map))))
    return text.getvalue()


def looks_text(collects: Sequence[Collect]) -> str:
    """The table of looks, for readers that do not know the collects by name."""
    lines = ["catalogue_id,folder,off_nadir_deg,azimuth_deg,pan_gsd_m"]
    lines += [
        f"{one.catalogue_id},{one.folder},{one.off_nadir_deg:g},{one.azimuth_deg:g},"
        f"{one.pan_gsd_m:g}"
        for one in collects
    ]
    return "\n".join(lines) + "\n"


def _rings(shape: Polygon, to: Affine) -> list[list[list[float]]]:
    """Exterior first, then holes; centimetres are enough."""
    a, b, c, d, e, f = to[:6]
    return [
        [[round(a * x + b * y + c, 2), round(d * x + e * y + f, 2)] for x, y in ring.coords]
        for ring in (shape.exterior, *shape.interiors)
    ]


def _wkt(rings: list[list[list[float]]]) -> str:
    parts = ("(" + ", ".join(f"{x:.2f} {y:.2f}" for x, y in ring) + ")" for ring in rings)
    return f"POLYGON ({', '.join(parts)})"
