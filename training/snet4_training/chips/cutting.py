"""Draws pixel size, position and rotation of chips at random."""

from __future__ import annotations

import math

import numpy as np

from snet4_training.pictures.picture import Cut, Picture
from snet4_training.recipe import Recipe

TURN_DEG = 5.0
"""Largest rotation of a chip, unless it may be turned freely."""


def draw_gsd_m(recipe: Recipe, rng: np.random.Generator) -> float:
    """A random pixel size in metres: three in four near `data.gsd_m`, the others over the range."""
    low, high = recipe.data.gsd_range_m
    if rng.random() < 0.25:
        return float(np.exp(rng.uniform(math.log(low), math.log(high))))
    spread = float(np.exp(rng.normal(0.0, 0.2)))
    return float(np.clip(recipe.data.gsd_m * spread, low, high))


def draw_cut(
    picture: Picture, gsd_m: float, size_px: int, rng: np.random.Generator, free: bool = False
) -> Cut:
    """A random cut of the picture at `gsd_m`, mostly inside of it, turned a few degrees.

    `free`: any rotation and mirroring. Only for nadir pictures: nothing leans there, and the
    sun's direction differs from place to place anyway.
    """
    scale = gsd_m / picture.gsd_m
    rows, cols = picture.valid_HW.shape
    half = size_px * scale / 2

    def centre(length: int) -> float:
        # A chip larger than the picture stands in its middle, with nothing around it.
        reach = min(0.9 * half, length / 2)
        return float(rng.uniform(reach, length - reach))

    turn_deg = rng.uniform(0, 360) if free else rng.uniform(-TURN_DEG, TURN_DEG)
    return Cut((centre(cols), centre(rows)), scale, turn_deg, free and rng.random() < 0.5)
