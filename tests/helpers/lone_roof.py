"""Pictures of one roof, 10 m above dark ground, as the renderer of scenes sees it.

    python lone_roof.py FOLDER ANGLE:AZIMUTH ...

Writes FOLDER/ANGLE_AZIMUTH.tif for every look: one band, white where the roof is seen, 0.5 m in UTM
zone 16. The renderer follows lines of sight down to heights; it knows nothing of the plugin's rule.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import rasterio

from snet4_training.scenes.place import make_place
from snet4_training.scenes.sweep import Box, seen
from snet4_training.scenes.world import LIT_ONE, Place

ROOF_M = 10.0
SIDE_PX = 120
WEST, NORTH = 733770, 3725030


def lone_roof() -> Place:
    """A place with nothing but a roof of 12 x 9 m in its middle; walls are black."""
    place = make_place(np.random.default_rng(2), SIDE_PX, 0.5, kind="suburb", oversample=2)
    high = np.zeros_like(place.height_HW)
    middle = high.shape[0] // 2
    high[middle - 9 : middle + 9, middle - 12 : middle + 12] = round(ROOF_M * 100)
    owner = (high > 0).astype(place.owner_HW.dtype)
    light = np.where(high[..., None] > 0, round(LIT_ONE), 0).astype(place.lit_HWC.dtype)
    light = np.repeat(light, place.lit_HWC.shape[2], axis=2)
    dark = dataclasses.replace(place.facades, colour_NC=np.zeros_like(place.facades.colour_NC))
    return dataclasses.replace(place, height_HW=high, owner_HW=owner, lit_HWC=light, facades=dark)


def main(folder: Path, looks: list[str]) -> None:
    """Write the pictures."""
    place = lone_roof()
    side = SIDE_PX * place.oversample
    start = place.margin_px * place.oversample
    transform = rasterio.transform.from_origin(WEST, NORTH, place.cell_m, place.cell_m)
    for look in looks:
        angle, azimuth = map(float, look.split(":"))
        light = seen(place, angle, azimuth, Box(start, start, side, side))
        counts = np.clip(light[..., 0] * 255, 0, 255).astype(np.uint8)
        name = folder / f"{look.replace(':', '_')}.tif"
        with rasterio.open(
            name, "w", driver="GTiff", height=side, width=side, count=1, dtype="uint8",
            crs="EPSG:32616", transform=transform,
        ) as file:  # fmt: skip
            file.write(counts, 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
