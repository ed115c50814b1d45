"""Renders scenes in natural colours with outlines drawn on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from snet4core.scene.radiometry import band_range

FOUND_COLOUR = "#ffd400"
TRUTH_COLOUR = "#00e5ff"

_TITLE_PX = 34
"""Height of the strip that holds a panel's title."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a sheet, with outlines."""

    title: str
    """One line of text above the picture."""
    colours: NDArray[np.uint8]
    """(H, W, 3) RGB, see `natural_colours`."""
    polygons: NDArray[np.object_]
    """(N,) outlines in pixels of the picture, x = column, y = row."""
    colour: str
    """Colour of the outlines, as `#rrggbb`."""


def natural_colours(
    counts_BHW: NDArray[np.generic], valid_HW: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Convert blue, green, red counts (the first three bands) to stretched 8-bit RGB (H, W, 3).

    Pixels outside `valid_HW` are black. All three bands share one stretch, so that a grey
    road stays grey and haze stays blue.
    """
    bgr_3HW = counts_BHW[:3].astype(np.float32)
    limits = band_range(bgr_3HW[:, valid_HW])
    share = np.clip((bgr_3HW - limits.low) / (limits.high - limits.low), 0, 1) ** 0.8
    return (np.where(valid_HW, share, 0)[::-1] * 255).astype(np.uint8).transpose(1, 2, 0)


def sheet(rows: Sequence[Sequence[Panel]], panel_px: int = 700) -> Image.Image:
    """Draw panels in rows, each `panel_px` wide, with their titles."""
    drawn = [[_drawn(panel, panel_px) for panel in row] for row in rows]
    width = max(sum(each.width for each in row) for row in drawn)
    height = sum(max(each.height for each in row) for row in drawn)
    whole = Image.new("RGB", (width, height), "#101418")
    top = 0
    for row in drawn:
        left = 0
        for each in row:
            whole.paste(each, (left, top))
            left += each.width
        top += max(each.height for each in row)
    return whole


def _drawn(panel: Panel, panel_px: int) -> Image.Image:
    rows, cols = panel.colours.shape[:2]
    scale = panel_px / cols
    picture = Image.fromarray(panel.colours).resize(
        (panel_px, round(rows * scale)), Image.Resampling.LANCZOS
    )
    pen = ImageDraw.Draw(picture)
    rings = shapely.get_rings(np.asarray(panel.polygons, dtype=object))
    for ring in rings:
        corners = [tuple(xy) for xy in (shapely.get_coordinates(ring) * scale).tolist()]
        pen.line(corners, fill="#000000", width=3)
        pen.line(corners, fill=panel.colour, width=1)
    framed = Image.new("RGB", (panel_px + 4, picture.height + _TITLE_PX + 4), "#101418")
    framed.paste(picture, (2, _TITLE_PX))
    font = ImageFont.load_default(size=20)
    ImageDraw.Draw(framed).text((8, 5), panel.title, fill="#ffffff", font=font)
    return framed
