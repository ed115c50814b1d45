"""Renders a picture of a place from a look and a sensor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snet4_training.scenes.sensor import Sensor, counts, hazed, imaged, random_sensor
from snet4_training.scenes.sweep import Box, seen
from snet4_training.scenes.world import Floats, Place
from snet4core.look.look import Look

_RIM_PX = 6
"""Rendered around a window and cut away, so that blur and noise know no edge."""


def render(
    place: Place,
    look: Look,
    sensor: Sensor | np.random.Generator,
    window: tuple[int, int, int, int] | None = None,
) -> NDArray[np.uint16]:
    """The picture of a place: uint16 (4, rows, cols), bands B, G, R, NIR, 0 never occurs.

    `window` is (row, col, rows, cols) in tile pixels, the whole tile when None. A generator
    instead of a sensor draws a random one. An unknown azimuth is taken as north.
    """
    if isinstance(sensor, np.random.Generator):
        sensor = random_sensor(sensor)
    row, col, rows, cols = window or (0, 0, place.size_px, place.size_px)
    azimuth_deg = look.azimuth_deg or 0.0
    light = light_of(
        place, look.off_nadir_deg, azimuth_deg,
        (row - _RIM_PX, col - _RIM_PX, rows + 2 * _RIM_PX, cols + 2 * _RIM_PX),
    )  # fmt: skip
    light = hazed(light, sensor, look.off_nadir_deg)
    light = imaged(light, sensor, look.off_nadir_deg, azimuth_deg, place.gsd_m)
    return counts(light[:, _RIM_PX:-_RIM_PX, _RIM_PX:-_RIM_PX], sensor)


def light_of(
    place: Place, off_nadir_deg: float, azimuth_deg: float, window: tuple[int, int, int, int]
) -> Floats:
    """Light at the tile's pixels, without atmosphere and sensor: float32 (4, rows, cols)."""
    fine, margin = place.oversample, place.margin_px
    row, col, rows, cols = window
    box = Box((row + margin) * fine, (col + margin) * fine, rows * fine, cols * fine)
    light = seen(place, off_nadir_deg, azimuth_deg, box)
    if fine > 1:
        total = light[0::fine, 0::fine].copy()
        for i in range(fine):
            for j in range(fine):
                if i or j:
                    total += light[i::fine, j::fine]
        light = total * np.float32(1 / fine**2)
    return np.ascontiguousarray(np.moveaxis(light, -1, 0))
