"""The scene that speed is measured on: a rendered suburb, repeated to any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

from snet4_training.scenes import PLAIN, make_place, render
from snet4core.look import Look

LOOK = Look(30.0, 20.0, "option")
OPTIONS = ("--off-nadir", "30", "--azimuth", "20")
"""The same on the command line."""

PLACE_PX = 900
STRIP = 512


def write_scene(path: Path, side: int, seed: int = 9_200_000) -> Path:
    """Blue, green, red, infrared, uint16, 0.5 m, tiled and deflated; written strip by strip.

    What a run costs depends on the buildings in the picture, so they must be there.
    """
    place = make_place(np.random.default_rng(seed), PLACE_PX, 0.5)
    tile_CHW = render(place, LOOK, PLAIN)
    across = np.tile(tile_CHW, (1, 1, -(-side // PLACE_PX)))[:, :, :side]
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint16", count=4, width=side, height=side, tiled=True,
        blockxsize=512, blockysize=512, compress="deflate", zlevel=1, num_threads="all_cpus",
        bigtiff="if_safer", crs="EPSG:32616", transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000),
    ) as file:  # fmt: skip
        for top in range(0, side, STRIP):
            rows = np.arange(top, min(side, top + STRIP)) % PLACE_PX
            file.write(across[:, rows], window=Window(0, top, side, len(rows)))
    return path
