"""Chips from pictures on disk: SpaceNet 4's folders, or any rasters with footprints.

Read as `snet4 run` reads them: bands by name, ranges from the whole picture, look from
table, name or metadata. Axes: B bands, H rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import shapely

from snet4_training.cutting import draw_cut, draw_gsd_m
from snet4_training.folder import Ground, footprints_on
from snet4_training.pictures import Chip, Picture, cut_chip, stretched, wrapped_deg
from snet4_training.places import Shot, Split, found, looks_table, shots, split_by_place
from snet4_training.recipe import DataRecipe, Recipe
from snet4core.grid import Grid
from snet4core.look import CATEGORIES, Look
from snet4core.radiometry import BandRange
from snet4core.raster import Scene, SceneReader, open_scene
from snet4core.scene_ranges import scene_ranges
from snet4core.windows import Window

TRIES = 4
"""Cuts that are drawn until one has buildings; every fourth chip takes the first."""

ENOUGH_BUILDING = 0.02
"""Share of a chip that counts as having buildings."""

SMALLEST_SIDE_PX = 1024
"""At least this much of a picture is read at once."""


def split_of(data: DataRecipe) -> Split:
    """The recipe's pictures, split by place."""
    labels = Path(data.labels).absolute() if data.labels else None
    every = found(Path(data.pictures).absolute(), labels)
    return split_by_place(every, data.folds, data.fold, data.split_seed)


def shots_of(data: DataRecipe, held_out: bool) -> tuple[Shot, ...]:
    """The pictures of one side of the split, with their looks."""
    split = split_of(data)
    chosen = split.held_out if held_out else split.train
    return shots(chosen, looks_table(Path(data.pictures), data.looks))


@lru_cache(maxsize=32)
def _opened(image: Path, bands: tuple[str, ...]) -> tuple[Scene, tuple[BandRange | None, ...]]:
    scene = open_scene(image, model_bands=bands)
    return scene, scene_ranges(scene)


@lru_cache(maxsize=8)
def _ground(labels: Path, grid: Grid) -> Ground:
    return footprints_on(labels, grid)


def picture_of(
    shot: Shot, bands: tuple[str, ...], side_px: int, rng: np.random.Generator
) -> tuple[Picture, tuple[BandRange | None, ...]]:
    """The picture, or a random part of `side_px` of a larger one, and its bands' ranges."""
    scene, ranges = _opened(shot.pair.image, bands)
    rows, cols = scene.grid.shape
    height, width = min(rows, side_px), min(cols, side_px)
    row, col = int(rng.integers(rows - height + 1)), int(rng.integers(cols - width + 1))
    with SceneReader(scene) as reader:
        counts_BHW, valid_HW = reader.read(Window(row, col, height, width))
    ground = _ground(shot.pair.labels, scene.grid).polygons
    near = ground[shapely.intersects(ground, shapely.box(col, row, col + width, row + height))]
    return (
        Picture(
            counts_BHW=counts_BHW,
            known=tuple(band is not None for band in scene.bands.file_bands),
            valid_HW=valid_HW,
            polygons=shapely.transform(near, lambda xy: xy - (col, row)),
            look=_in_picture(shot.look, scene.grid),
            gsd_m=scene.grid.gsd_m,
        ),
        ranges,
    )


def _in_picture(look: Look, grid: Grid) -> Look:
    """The look with its azimuth counted from the picture's upper edge, as at inference."""
    if look.azimuth_deg is None:
        return look
    return replace(look, azimuth_deg=wrapped_deg(look.azimuth_deg - grid.up_deg))


def picture_chunk(recipe: Recipe, seed: int, number: int, held_out: bool, each: int) -> list[Chip]:
    """`each` chips of each look category, from two pictures of it.

    A category of which there is no picture is filled from all others: the look that goes
    with a chip is always its own.
    """
    rng = np.random.default_rng([seed, 3, number])
    every = shots_of(recipe.data, held_out)
    chips: list[Chip] = []
    for category in CATEGORIES:
        fitting = [shot for shot in every if shot.look.category == category] or list(every)
        for half in range(2):
            shot = fitting[int(rng.integers(len(fitting)))]
            count = each // 2 if half else each - each // 2
            chips += _chips_of(recipe, shot, count, rng)
    return chips


def _chips_of(recipe: Recipe, shot: Shot, count: int, rng: np.random.Generator) -> Sequence[Chip]:
    data = recipe.data
    size_px = data.chip_px + data.spare_px
    scene, _ = _opened(shot.pair.image, recipe.model.bands)
    reach_px = math.ceil(1.5 * size_px * data.gsd_range_m[1] / scene.grid.gsd_m)
    picture, ranges = picture_of(shot, recipe.model.bands, max(SMALLEST_SIDE_PX, reach_px), rng)
    bands_BHW = stretched(picture, ranges)
    chips = []
    for index in range(count):
        for _ in range(1 if index % 4 == 3 else TRIES):
            cut = draw_cut(picture, draw_gsd_m(recipe, rng), size_px, rng)
            chip = cut_chip(picture, bands_BHW, cut, size_px)
            if (chip.targets_2HW[0] >= 128).mean() >= ENOUGH_BUILDING:
                break
        chips.append(chip)
    return chips
