"""How chips lie in their pictures, drawn at random."""

from __future__ import annotations

import math

import numpy as np

from snet4_training.pictures import Cut, Picture
from snet4_training.recipe import Recipe

TURN_DEG = 5.0
"""How far a chip is turned at most, unless any turn will do."""


def draw_gsd_m(recipe: Recipe, rng: np.random.Generator) -> float:
    """A pixel size: most near the middle, all of the range now and then."""
    low, high = recipe.data.gsd_range_m
    if rng.random() < 0.25:
        return float(np.exp(rng.uniform(math.log(low), math.log(high))))
    spread = float(np.exp(rng.normal(0.0, 0.2)))
    return float(np.clip(recipe.data.gsd_m * spread, low, high))


def draw_cut(
    picture: Picture, gsd_m: float, size_px: int, rng: np.random.Generator, free: bool = False
) -> Cut:
    """A part of the picture at about `gsd_m`, mostly inside, turned a few degrees.

    `free`: any turn and mirroring. Only for pictures from straight above: nothing leans,
    and where the light came from differs from place to place anyway.
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
