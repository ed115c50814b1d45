"""Computes cast shadows and direct sunlight on a surface."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from snet4_training.scenes.world import LIT_ONE, PLANT, Floats, Sun


def shadow_ceiling(height_HW: Floats, cell_m: float, sun: Sun) -> Floats:
    """Height in metres up to which each cell lies in the shadow of others.

    ceiling(q) = max over s > 0 of height(q + s * towards the sun) - s * tan(elevation),
    computed by doubling the reach, so 8 passes see 256 cells far. -1e3 where none.
    """
    east, south, _up = sun.direction
    flat = math.hypot(east, south)
    fall = math.tan(math.radians(sun.elevation_deg)) * cell_m
    ceiling = _shifted(height_HW, south / flat, east / flat) - np.float32(fall)
    reach = 1
    limit = float(height_HW.max()) / fall if fall else 1.0
    while reach < limit and reach < 512:
        further = _shifted(ceiling, reach * south / flat, reach * east / flat)
        np.maximum(ceiling, further - np.float32(fall * reach), out=ceiling)
        reach *= 2
    return ceiling


def _shifted(field: Floats, down: float, right: float) -> Floats:
    """field(q + shift) for every q, by whole cells; far below ground outside."""
    rows, cols = field.shape
    dr, dc = round(down), round(right)
    out = np.full(field.shape, -1e3, dtype=np.float32)
    if abs(dr) >= rows or abs(dc) >= cols:
        return out
    to_r, from_r = slice(max(-dr, 0), rows - max(dr, 0)), slice(max(dr, 0), rows + min(dr, 0))
    to_c, from_c = slice(max(-dc, 0), cols - max(dc, 0)), slice(max(dc, 0), cols + min(dc, 0))
    out[to_r, to_c] = field[from_r, from_c]
    return out


def lit(
    colour_HWC: Floats,
    shade_HW: Floats,
    height_HW: Floats,
    ceiling_HW: Floats,
    owner_HW: NDArray[np.uint16],
    sun: Sun,
) -> NDArray[np.uint16]:
    """Reflectance times light, in counts of `LIT_ONE`, (H, W, 4); strips keep memory small."""
    out = np.empty(colour_HWC.shape, dtype=np.uint16)
    ambient = sun.ambient_C
    for start in range(0, len(out), 128):
        rows = slice(start, start + 128)
        # A crown is no wall: light reaches a little below its top.
        above = ceiling_HW[rows] - height_HW[rows] - np.float32(0.9) * (owner_HW[rows] == PLANT)
        sunny = np.clip(1 - above / np.float32(0.35), 0, 1)
        direct = (sunny * shade_HW[rows])[..., None]
        value = colour_HWC[rows] * (ambient + (1 - ambient) * direct)
        out[rows] = np.clip(value * np.float32(LIT_ONE), 1, 65535)
    return out
