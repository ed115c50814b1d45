"""Cuts chips from pictures on disk: SpaceNet 4's folders, or any rasters with labels.

Pictures are read as in `snet4 run`: bands by name, ranges from the whole picture, look from
table, name or metadata.

Labels that outline roofs as seen become footprints first, which is what the network learns: a
roof of height h appears h x tan(off-nadir) from its foot, towards the azimuth, and is moved
back by that. Below `ROOFS_ARE_FOOTPRINTS_DEG` it is near enough. Tilted pictures whose roofs
cannot be moved, for want of heights or azimuth, are left out with a warning.

Axes: B bands, H rows, W columns, N buildings.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4_training.chips.cutting import draw_cut, draw_gsd_m
from snet4_training.pictures.ground import Ground, footprints_on
from snet4_training.pictures.picture import Chip, Picture, cut_chip, stretched, wrapped_deg
from snet4_training.pictures.roofs import displacement_px
from snet4_training.pictures.splits import Shot, Split, found, looks_table, shots
from snet4_training.pictures.targets import Polygons
from snet4_training.recipe import DataRecipe, RealSource, Recipe
from snet4core.errors import InputError
from snet4core.grid import Grid
from snet4core.look.look import CATEGORIES, Look
from snet4core.scene.radiometry import BandRange
from snet4core.scene.ranges import scene_ranges
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import Scene, open_scene
from snet4core.windows import Window

log = logging.getLogger("snet4")

TRIES = 4
"""Cuts that are drawn until one has buildings; every fourth chip takes the first."""

ENOUGH_BUILDING = 0.02
"""Share of a chip that counts as having buildings."""

SMALLEST_SIDE_PX = 1024
"""At least this much of a picture is read at once."""

ROOFS_ARE_FOOTPRINTS_DEG = 7.0
"""Up to this off-nadir angle roofs as seen are used as footprints: there the roof of a house of
two storeys (6 m) lies 0.74 m from its foot, which is half the width of a border in pixels of
0.5 m (`targets.BORDER_PX`)."""

HIGHEST_M = 150.0
"""Roofs up to this height whose foot lies inside of a picture are found outside of it."""


def splits_of(data: DataRecipe) -> dict[str, Split]:
    """The split by place of every source of real pictures without `lean`, by its name."""
    dealt = [source for source in data.real_sources if not source.lean]
    folders = tuple((Path(each.folder).absolute(), _labels_of(each)) for each in dealt)
    splits = found(folders, data.folds, data.fold, data.split_seed)
    return {source.name: split for source, split in zip(dealt, splits, strict=True)}


def _labels_of(source: RealSource) -> Path | None:
    return Path(source.labels_file).absolute() if source.labels_file else None


def shots_of(data: DataRecipe, source: RealSource, held_out: bool) -> tuple[Shot, ...]:
    """The pictures of one side of a source's split, with their looks.

    Raises `InputError` when there is none whose labels can be used.
    """
    split = splits_of(data)[source.name]
    chosen = split.held_out if held_out else split.train
    every = shots(chosen, looks_table(Path(source.folder), source.looks))
    if source.labels == "roofs":
        every = _usable(every, source)
    if not every:
        purpose = "validate with" if held_out else "train on"
        raise InputError(
            f"data.real: {source.name} has no picture to {purpose}{_WHY_NONE[source.labels]}"
        )
    return every


_WHY_NONE = {
    "footprints": "; add places, or change data.split_seed.",
    "roofs": f": its labels are roofs, which in pictures tilted by more than "
    f"{ROOFS_ARE_FOOTPRINTS_DEG:g} degrees need an azimuth and heights (data.real.height_field).",
}


@lru_cache(maxsize=32)
def _usable(every: tuple[Shot, ...], source: RealSource) -> tuple[Shot, ...]:
    """The pictures with labels of roofs from which footprints are known; warns of the others."""
    kept = []
    for shot in every:
        flat = shot.look.off_nadir_deg <= ROOFS_ARE_FOOTPRINTS_DEG
        if flat or (shot.look.azimuth_deg is not None and _has_heights(shot, source)):
            kept.append(replace(shot, roofs=True, height_field=source.height_field or None))
    if left_out := len(every) - len(kept):
        log.warning(
            "data.real: %d of %d pictures of %s are left out: they are tilted by more than %g "
            "degrees, their labels are roofs, and azimuth or heights are unknown.",
            left_out, len(every), source.name, ROOFS_ARE_FOOTPRINTS_DEG,
        )  # fmt: skip
    return tuple(kept)


def _has_heights(shot: Shot, source: RealSource) -> bool:
    """Whether every roof in the picture has a height."""
    if not source.height_field:
        return False
    scene = open_scene(shot.pair.image)
    heights_m = _ground(shot.pair.labels, scene.grid, source.height_field, 0.0).heights_m
    return heights_m is not None and bool(np.isfinite(heights_m).all())


@lru_cache(maxsize=32)
def _opened(image: Path, bands: tuple[str, ...]) -> tuple[Scene, tuple[BandRange | None, ...]]:
    scene = open_scene(image, model_bands=bands)
    return scene, scene_ranges(scene)


@lru_cache(maxsize=8)
def _ground(labels: Path, grid: Grid, height_field: str | None, margin_px: float) -> Ground:
    return footprints_on(labels, grid, height_field, margin_px)


@dataclass(frozen=True, slots=True)
class Truth:
    """What the labels of a picture tell, in its pixels."""

    footprints: Polygons
    """On the ground."""
    roofs: Polygons | None
    """As seen; None where they are the footprints, or unknown."""
    heights_m: NDArray[np.float64] | None
    """Of the roofs; None where unknown."""
    roofs_known: bool
    """False where labels are footprints and the picture is tilted."""


def _truth(shot: Shot, grid: Grid) -> Truth:
    """The footprints and roofs that the labels tell, in the picture's pixels."""
    look = _in_picture(shot.look, grid)
    flat = look.off_nadir_deg <= ROOFS_ARE_FOOTPRINTS_DEG
    if not shot.roofs or flat:
        return Truth(_ground(shot.pair.labels, grid, None, 0.0).polygons, None, None, flat)
    farthest_px = math.hypot(*displacement_px(HIGHEST_M, look, grid.gsd_m))
    ground = _ground(shot.pair.labels, grid, shot.height_field, math.ceil(farthest_px))
    assert ground.heights_m is not None  # or the picture would have been left out
    # Outside of the picture a height may be missing, and with it the footprint.
    known = np.isfinite(ground.heights_m)
    roofs, heights_m = ground.polygons[known], ground.heights_m[known]
    return Truth(on_ground(roofs, heights_m, look, grid.gsd_m), roofs, heights_m, True)


def on_ground(
    roofs: Polygons, heights_m: NDArray[np.float64], look: Look, gsd_m: float
) -> Polygons:
    """Roofs as seen moved onto the ground: polygons in pixels, one height for each.

    >>> roof, look = np.array([shapely.box(20, 0, 30, 10)]), Look(45.0, 90.0, "table")
    >>> on_ground(roof, np.array([10.0]), look, 0.5)[0].bounds  # 10 m lean 20 pixels to the east
    (0.0, 0.0, 10.0, 10.0)
    """
    rows, cols = displacement_px(1.0, look, gsd_m)
    points, of_roof = shapely.get_coordinates(roofs), shapely.get_num_coordinates(roofs)
    moved_N2 = np.repeat(heights_m, of_roof)[:, None] * np.array([cols, rows])
    # A copy: set_coordinates changes its argument.
    out: Polygons = shapely.set_coordinates(roofs.copy(), np.round(points - moved_N2, 6))
    return out


def picture_of(
    shot: Shot, bands: tuple[str, ...], side_px: int, rng: np.random.Generator
) -> tuple[Picture, tuple[BandRange | None, ...]]:
    """A random part of `side_px` of the picture, or all of a smaller one, and its bands' ranges."""
    scene, ranges = _opened(shot.pair.image, bands)
    rows, cols = scene.grid.shape
    height, width = min(rows, side_px), min(cols, side_px)
    row, col = int(rng.integers(rows - height + 1)), int(rng.integers(cols - width + 1))
    with SceneReader(scene) as reader:
        counts_BHW, valid_HW = reader.read(Window(row, col, height, width))
    truth = _truth(shot, scene.grid)
    frame = shapely.box(col, row, col + width, row + height)

    def near(polygons: Polygons) -> tuple[Polygons, NDArray[np.bool_]]:
        inside = shapely.intersects(polygons, frame)
        return shapely.transform(polygons[inside], lambda xy: xy - (col, row)), inside

    roofs, heights_m = None, None
    if truth.roofs is not None and truth.heights_m is not None:
        roofs, inside = near(truth.roofs)
        heights_m = truth.heights_m[inside]
    return (
        Picture(
            counts_BHW=counts_BHW,
            known=tuple(band is not None for band in scene.bands.file_bands),
            valid_HW=valid_HW,
            polygons=near(truth.footprints)[0],
            look=_in_picture(shot.look, scene.grid),
            gsd_m=scene.grid.gsd_m,
            roofs=roofs,
            heights_m=heights_m,
            roofs_known=truth.roofs_known,
        ),
        ranges,
    )


def _in_picture(look: Look, grid: Grid) -> Look:
    """The look with its azimuth clockwise from the picture's up direction, as at inference."""
    if look.azimuth_deg is None:
        return look
    return replace(look, azimuth_deg=wrapped_deg(look.azimuth_deg - grid.up_deg))


def picture_chunk(
    recipe: Recipe, source: RealSource, seed: int, number: int, held_out: bool, each: int
) -> list[Chip]:
    """`each` chips of each look category, from two pictures of it.

    A category without pictures is filled from all others; each chip keeps its true look.
    """
    rng = np.random.default_rng([seed, 3, number])
    every = shots_of(recipe.data, source, held_out)
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
            if (chip.targets_MHW[0] >= 128).mean() >= ENOUGH_BUILDING:
                break
        chips.append(chip)
    return chips
