"""The scene that speed is measured on: a rendered suburb, repeated to any size."""

from __future__ import annotations

from pathlib import Path

import fiona
import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.windows import Window

from snet4_training.scenes import PLAIN, Place, make_place, render, truth
from snet4core.look.look import Look

LOOK = Look(30.0, 20.0, "option")
OPTIONS = ("--off-nadir", "30", "--azimuth", "20")
"""The same on the command line."""

PLACE_PX = 900
STRIP = 512
CRS = "EPSG:32616"
PLACED = Affine(0.5, 0, 740000, 0, -0.5, 3720000)


SEED = 9_200_000


def place_of(kind: str = "suburb", seed: int = SEED) -> Place:
    """The place that a scene repeats; `kind` as in `snet4_training.scenes.place.KINDS`."""
    return make_place(np.random.default_rng(seed), PLACE_PX, 0.5, kind=kind)


def write_scene(path: Path, side: int, seed: int = SEED, kind: str = "suburb") -> Path:
    """Blue, green, red, infrared, uint16, 0.5 m, tiled and deflated; written strip by strip.

    What a run costs depends on the buildings in the picture, so they must be there.
    """
    tile_CHW = render(place_of(kind, seed), LOOK, PLAIN)
    across = np.tile(tile_CHW, (1, 1, -(-side // PLACE_PX)))[:, :, :side]
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint16", count=4, width=side, height=side, tiled=True,
        blockxsize=512, blockysize=512, compress="deflate", zlevel=1, num_threads="all_cpus",
        bigtiff="if_safer", crs=CRS, transform=PLACED,
    ) as file:  # fmt: skip
        for top in range(0, side, STRIP):
            rows = np.arange(top, min(side, top + STRIP)) % PLACE_PX
            file.write(across[:, rows], window=Window(0, top, side, len(rows)))
    return path


def write_truth(path: Path, side: int, seed: int = SEED) -> Path:
    """The true footprints of that scene: those of the place, wherever it is repeated."""
    place = place_of(seed=seed)
    frame = shapely.box(0, 0, side, side)
    schema = {"geometry": "Polygon", "properties": {}}
    with fiona.open(path, "w", driver="GPKG", crs=CRS, schema=schema) as layer:
        for top in range(0, side, PLACE_PX):
            for left in range(0, side, PLACE_PX):
                for building in truth(place):
                    shifted = shapely.transform(
                        building.footprint,
                        lambda xy, at=(left, top): xy + np.array(at),  # type: ignore[misc]
                    )
                    inside = shapely.intersection(shifted, frame)
                    if inside.geom_type == "Polygon" and inside.area > 20:
                        placed = shapely.transform(inside, lambda xy: np.column_stack(
                            [PLACED.a * xy[:, 0] + PLACED.c, PLACED.e * xy[:, 1] + PLACED.f]
                        ))  # fmt: skip
                        geometry = shapely.geometry.mapping(placed)
                        layer.write({"geometry": geometry, "properties": {}})
    return path
