"""The picture of a report: an overview of the scene at the size of a screen, as a data URI."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from rasterio.enums import Resampling

from snet4core.errors import InputError
from snet4core.scene import door
from snet4core.scene.gdal import GDAL_ERRORS, gdal_settings
from snet4core.scene.preview import natural_colours
from snet4core.scene.scene import Scene

SIDE_PX = 1600
"""Longest side of the picture."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An overview of a scene."""

    uri: str
    """WebP as `data:image/webp;base64,...`."""
    size_px: tuple[int, int]
    """Width and height."""
    scale: float
    """Pixels of the overview per pixel of the scene, equal in both directions."""


def picture_of(scene: Scene) -> Picture:
    """Read the scene at the size of a screen, from its overviews where it has some."""
    rows, cols = scene.grid.shape
    scale = min(1.0, SIDE_PX / max(rows, cols))
    height, width = max(1, round(rows * scale)), max(1, round(cols * scale))
    bands = [0 if each is None else each for each in scene.bands.file_bands[:3]]
    try:
        with gdal_settings(), door.opened(scene.admitted) as file:
            counts_BHW = np.stack(
                [
                    file.read(max(1, band), out_shape=(height, width),
                              resampling=Resampling.average)
                    for band in bands
                ]
            )  # fmt: skip
            valid_HW = file.dataset_mask(out_shape=(height, width)) > 0
    except GDAL_ERRORS as problem:
        raise InputError(f"{scene.admitted.shown}: cannot be read ({problem}).") from None
    colours = natural_colours(counts_BHW, valid_HW & (counts_BHW != 0).any(axis=0))
    held = io.BytesIO()
    Image.fromarray(colours).save(held, "WEBP", quality=82)
    text = base64.b64encode(held.getvalue()).decode("ascii")
    return Picture(f"data:image/webp;base64,{text}", (width, height), scale)
