"""Flips and quarter turns of chips, with the azimuth changed accordingly.

Off as shipped: shadow and lean have a direction, sunlight comes from the south or from
the north, and the challenge's best found that flips hurt. Some data want them all the same: few
pictures, taken at noon in the tropics, or looks that all face one way.

Pixels only change places, so a chip of any number of bands loses nothing.
Axes: B bands, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snet4_training.pictures.picture import Chip, wrapped_deg
from snet4_training.recipe import AugmentRecipe
from snet4core.look.look import Look

Layers = NDArray[np.uint8]
"""(..., H, W)."""


def faced(chip: Chip, recipe: AugmentRecipe, rng: np.random.Generator) -> Chip:
    """The chip with random flips and quarter turns, by the recipe's probabilities.

    Nothing is drawn for a key that is 0, so that a recipe without them gives the batches
    that it gave before there were such keys.
    """
    if recipe.flips and rng.random() < recipe.flips:
        chip = (mirrored_east_west, mirrored_north_south)[rng.integers(2)](chip)
    if recipe.quarter_turns and rng.random() < recipe.quarter_turns:
        chip = turned(chip, int(rng.integers(1, 4)))
    return chip


def mirrored_east_west(chip: Chip) -> Chip:
    """The chip flipped left to right; a lean to the east becomes one to the west."""
    return _changed(chip, lambda layers: layers[..., ::-1], lambda azimuth_deg: -azimuth_deg)


def mirrored_north_south(chip: Chip) -> Chip:
    """The chip flipped top to bottom; a lean to the north becomes one to the south."""
    return _changed(
        chip, lambda layers: layers[..., ::-1, :], lambda azimuth_deg: 180 - azimuth_deg
    )


def turned(chip: Chip, quarters: int) -> Chip:
    """The chip turned clockwise by so many right angles."""
    return _changed(
        chip,
        # numpy turns from rows to columns, which is anticlockwise where rows go down.
        lambda layers: np.rot90(layers, -quarters, axes=(-2, -1)),
        lambda azimuth_deg: azimuth_deg + 90 * quarters,
    )


def _changed(
    chip: Chip, moved: Callable[[Layers], Layers], direction: Callable[[float], float]
) -> Chip:
    """The chip with the same transform applied to all layers, and a new azimuth."""
    return replace(
        chip,
        counts_BHW=np.ascontiguousarray(moved(chip.counts_BHW)),
        targets_MHW=np.ascontiguousarray(moved(chip.targets_MHW)),
        valid_HW=np.ascontiguousarray(moved(chip.valid_HW)),
        look=_facing(chip.look, direction),
        polygons=None,  # burned already: training needs no more
    )


def _facing(look: Look, direction: Callable[[float], float]) -> Look:
    if look.azimuth_deg is None:
        return look
    return replace(look, azimuth_deg=wrapped_deg(direction(look.azimuth_deg)))
