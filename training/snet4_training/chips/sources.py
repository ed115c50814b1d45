"""Fills a chip store from rendered places and from the recipe's sources of real pictures.

`fill` writes the chunks that are missing. A chunk depends only on the recipe's seed, its
source and its number, so a store can be filled by any number of processes, interrupted and
continued.
"""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snet4_training.chips.cutting import draw_cut, draw_gsd_m
from snet4_training.chips.from_pictures import picture_chunk, splits_of
from snet4_training.chips.store import ChipStore, make_folder
from snet4_training.pictures.doubts import tell_of_all
from snet4_training.pictures.flat import flat_pictures, tiles_in
from snet4_training.pictures.lean import leaned
from snet4_training.pictures.pairs import pairs
from snet4_training.pictures.picture import VISIBLE, Chip, Picture, cut_chip, stretched
from snet4_training.pictures.roofs import roofs_as_seen
from snet4_training.pictures.splits import looks_table
from snet4_training.recipe import RealSource, Recipe
from snet4_training.scenes import make_place, random_sensor, render
from snet4_training.scenes.dataset import parse_looks
from snet4_training.scenes.world import RENDERED
from snet4core.errors import InputError, UsageError
from snet4core.files import outputs
from snet4core.look.look import CATEGORIES, Category, Look
from snet4core.maps.hardware import most_processes
from snet4core.model.card import FIVE_MAPS
from snet4core.progress import Progress, Silent, stop_if_cancelled

CATEGORY_CHIPS = 8
"""Chips of each look category in a chunk, category after category."""

CHUNK_CHIPS = CATEGORY_CHIPS * len(CATEGORIES)
"""Chips per chunk."""

PLACE_PX, PLACE_GSD_M = 640, 0.5
"""Side and pixel size of a rendered place."""

ANGLES_DEG: dict[Category, tuple[float, float]] = {
    "nadir": (0.0, 25.9),
    "off-nadir": (26.0, 40.9),
    "very-off-nadir": (41.0, 55.0),
}
"""Off-nadir angles of random looks, uniform within each category."""

SCENES = "scenes"
"""Folder in the store for chips of rendered places."""

VALIDATION = "validation"
"""Folder in the store for chips that are never trained on."""

HELD_OUT = "held-out.txt"
"""File in the store: the places of pictures that are never trained on, one per line."""

VALIDATION_SEED = 9000
"""Below 10000, so no recipe trains on these places."""

_SCENES_STREAM, _LEANED_STREAM = 1, 2
"""Streams of random numbers; `real.picture_chunk` has the third."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of chips: one folder of the store."""

    name: str
    """Folder in the store."""
    chunks: int
    """How many chunks the recipe asks for."""
    chips_of: Callable[[int], list[Chip]]
    """Chunk number -> its chips."""


def sources(recipe: Recipe) -> list[Source]:
    """The sources that the recipe trains on; those without chips are left out."""
    data = recipe.data
    found = [
        Source(
            SCENES,
            math.ceil(data.scene_chips / CHUNK_CHIPS),
            partial(scene_chunk, recipe, data.seed),
        )
    ]
    found += [
        Source(
            real.name,
            math.ceil(real.chips / CHUNK_CHIPS),
            partial(real_chunk, recipe, real, data.seed, False),
        )
        for real in data.real_sources
    ]
    return [source for source in found if source.chunks]


def validation_sources(recipe: Recipe) -> list[Source]:
    """The same for validation: other seeds of rendered places, the held-out real places."""
    chunks = math.ceil(recipe.data.validation_chips * len(CATEGORIES) / CHUNK_CHIPS)
    found = [
        Source(
            f"{VALIDATION}/{SCENES}",
            chunks if recipe.data.scene_chips else 0,
            partial(scene_chunk, recipe, VALIDATION_SEED),
        )
    ]
    found += [
        Source(
            f"{VALIDATION}/{real.name}",
            chunks,
            partial(real_chunk, recipe, real, VALIDATION_SEED, True),
        )
        for real in recipe.data.real_sources
    ]
    return [source for source in found if source.chunks]


def real_chunk(
    recipe: Recipe, source: RealSource, seed: int, held_out: bool, number: int
) -> list[Chip]:
    """One chunk of a source of real pictures."""
    if source.lean:
        return leaned_chunk(recipe, source, seed, held_out, number)
    return picture_chunk(recipe, source, seed, number, held_out, CATEGORY_CHIPS)


def fill(recipe: Recipe, store: Path, workers: int = 1, progress: Progress | None = None) -> None:
    """Write the missing chunks of all sources, in `workers` processes.

    Validation chunks come first, so that a run on a growing store can be validated. What is
    doubtful about the pictures is logged before. Raises `UsageError` when the store was filled by
    another recipe or from other pictures, or where rendered places lack a band.
    """
    progress = progress or Silent()
    _claim(recipe, store)
    order = list(_in_turn([*validation_sources(recipe), *sources(recipe)]))
    missing = [
        (source.name, number)
        for source, number in order
        if not ChipStore(store / source.name).path(number).exists()
    ]
    if {SCENES, f"{VALIDATION}/{SCENES}"} & {name for name, _ in missing}:
        _check_bands(recipe)
    _tell_doubts(recipe, {name.removeprefix(f"{VALIDATION}/") for name, _ in missing})
    if workers <= 1:
        made: Iterable[str] = (make_chunk(recipe, store, *one) for one in missing)
        _follow(made, len(missing), progress)
        return
    # Fresh processes: forking one that has opened GDAL or torch may hang.
    with ProcessPoolExecutor(most_processes(workers), multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(make_chunk, recipe, store, *one) for one in missing]
        try:
            _follow((each.result() for each in as_completed(futures)), len(missing), progress)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _check_bands(recipe: Recipe) -> None:
    if strange := sorted(set(recipe.model.bands) - set(RENDERED)):
        raise UsageError(
            f"Rendered places have no band {', '.join(strange)}, which model.bands names; they "
            f"have {', '.join(RENDERED)}. Set data.scene_chips=0, or other bands."
        )


def _tell_doubts(recipe: Recipe, names: Collection[str]) -> None:
    """Log what is doubtful about the pictures of these sources, once for all that have it."""
    told: set[str] = set()
    splits = splits_of(recipe.data)
    for source in recipe.data.real_sources:
        if source.name not in names:
            continue
        if source.lean:
            tiles = [tile for side in (False, True) for tile in tiles_in(source.folder, side)]
            tell_of_all(tiles, VISIBLE, told)
        else:
            split = splits[source.name]
            pictures = [pair.image for pair in (*split.train, *split.held_out)]
            tell_of_all(pictures, recipe.model.bands, told)


def _follow(made: Iterable[str], total: int, progress: Progress) -> None:
    for done, _ in enumerate(made, start=1):
        progress.step(done, total, "chunks of chips")
        stop_if_cancelled(progress)


def make_chunk(recipe: Recipe, store: Path, name: str, number: int) -> str:
    """Make one chunk of the named source and write it into the store; returns NAME/NUMBER.

    One that another process has made meanwhile stays as it is.
    """
    chips = ChipStore(store / name)
    if not chips.path(number).exists():
        every = {one.name: one for one in (*validation_sources(recipe), *sources(recipe))}
        chips.write(number, every[name].chips_of(number))
    return f"{name}/{number}"


def _claim(recipe: Recipe, store: Path) -> None:
    """Record what fills the store; raises `UsageError` if another recipe or other pictures have."""
    facts = {"bands": recipe.model.bands, "maps": FIVE_MAPS, **asdict(recipe.data)}
    for key in ("scene_kinds", "scene_looks"):  # unset, they leave older stores as they are
        if not facts[key]:
            del facts[key]
    # Where things lie and how many there are does not change what a chunk holds.
    idle = ["store", "scene_chips", "category", "real"]
    idle += ["pictures", "labels", "looks", "picture_chips", "picture_share"]
    dealt = any(not source.lean for source in recipe.data.real_sources)
    if not dealt:
        idle += ["folds", "fold", "split_seed"]
    for key in idle:
        del facts[key]
    _claim_file(store / "recipe.json", json.dumps(facts, sort_keys=True), "another recipe")
    for source in recipe.data.real_sources:
        meaning = {"labels": source.labels, "height_field": source.height_field}
        text = json.dumps({**meaning, "lean": source.lean}, sort_keys=True)
        _claim_file(store / source.name / "source.json", text, "another recipe")
        # What lies where the recipe says may have changed since. A machine that trains on
        # prepared chips may do without it.
        if Path(source.folder).is_dir():
            _claim_file(store / source.name / "pictures.txt", _pictures(source), "other pictures")
    if dealt:
        splits = splits_of(recipe.data).values()
        places = sorted({place for split in splits for place in split.held_out_places})
        _claim_file(store / HELD_OUT, "\n".join(places) + "\n", "another split")


def _claim_file(path: Path, text: str, other: str) -> None:
    """Write a new file; an existing one must say the same, or the chips are of something other."""
    if not path.exists():
        make_folder(path.parent)
        with outputs.replacing(path) as (temporary,):
            temporary.write_text(text, encoding="utf-8", newline="\n")
    elif path.read_text(encoding="utf-8") != text:
        raise UsageError(
            f"{path.parent} holds chips of {other} ({path.name}); name another folder by "
            "data.store, or remove it."
        )


def _pictures(source: RealSource) -> str:
    """What a source's chips are cut from: a line for each file, with its size, and the looks.

    Names are those in the source's folder, so that it may move.
    """
    folder = Path(source.folder)
    if source.lean:
        tiles = [tile for side in (False, True) for tile in tiles_in(source.folder, side)]
        files = [*tiles, Path(source.labels_file or folder / "buildings.geojson")]
    else:
        every = pairs(folder, Path(source.labels_file) if source.labels_file else None)
        files = [file for pair in every for file in (pair.image, pair.labels)]
    table = None if source.lean else looks_table(folder, source.looks)
    try:
        lines = [f"{file.stat().st_size} {_name_in(folder, file)}" for file in dict.fromkeys(files)]
        if table is not None:
            lines.append(f"looks {hashlib.sha256(table.read_bytes()).hexdigest()}")
    except OSError as problem:
        raise InputError(
            f"{problem.filename} cannot be read ({problem.strerror}); copy it again, or correct "
            "data.real."
        ) from None
    return "\n".join(sorted(lines)) + "\n"


def _name_in(folder: Path, file: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name


def _in_turn(chosen: list[Source]) -> Iterator[tuple[Source, int]]:
    """The chunks of all sources, ordered so that these grow in proportion; validation first."""
    order = [
        (
            0.0 if source.name.startswith(VALIDATION) else (number + 0.5) / source.chunks,
            index,
            number,
        )
        for index, source in enumerate(chosen)
        for number in range(source.chunks)
    ]
    for _, index, number in sorted(order):
        yield chosen[index], number


def draw_look(category: Category, rng: np.random.Generator, source: str = "table") -> Look:
    """A random look of the category: uniform off-nadir angle, any azimuth."""
    return Look(rng.uniform(*ANGLES_DEG[category]), rng.uniform(0, 360), source)


def draw_scene_look(recipe: Recipe, category: Category, rng: np.random.Generator) -> Look:
    """A random look of the category for a rendered place, from `data.scene_looks` if set."""
    if not recipe.data.scene_looks:
        return draw_look(category, rng)
    every = [one.look for one in parse_looks(recipe.data.scene_looks)]
    allowed = [look for look in every if look.category == category]
    return allowed[rng.integers(len(allowed))]


def scene_chunk(recipe: Recipe, seed: int, number: int) -> list[Chip]:
    """One rendered place from two looks of each category, four chips of each."""
    rng = np.random.default_rng([seed, _SCENES_STREAM, number])
    size_px = recipe.data.chip_px + recipe.data.spare_px
    kinds = recipe.data.scene_kinds
    kind = str(rng.choice(list(kinds))) if kinds else None
    place = make_place(rng, PLACE_PX, PLACE_GSD_M, kind=kind)
    # All of them: a tower outside of the picture may lean into it.
    polygons = np.array([building.footprint for building in place.buildings], dtype=object)
    heights_m = np.array([building.eave_m for building in place.buildings])
    chips: list[Chip] = []
    for category in CATEGORIES:
        for _ in range(2):
            look = draw_scene_look(recipe, category, rng)
            counts_BHW = render(place, look, random_sensor(rng))
            picture = Picture(
                counts_BHW=counts_BHW[[RENDERED.index(name) for name in recipe.model.bands]],
                known=(True,) * len(recipe.model.bands),
                valid_HW=np.ones(counts_BHW.shape[1:], dtype=bool),
                polygons=polygons,
                look=look,
                gsd_m=PLACE_GSD_M,
                roofs=roofs_as_seen(polygons, heights_m, look, PLACE_GSD_M),
                heights_m=heights_m,
            )
            bands_BHW = stretched(picture)
            for _ in range(CATEGORY_CHIPS // 2):
                cut = draw_cut(picture, draw_gsd_m(recipe, rng), size_px, rng)
                chips.append(cut_chip(picture, bands_BHW, cut, size_px))
    return chips


def draw_heights_m(picture: Picture, rng: np.random.Generator) -> NDArray[np.float64]:
    """Random heights of one to four storeys in metres, similar within a picture."""
    typical_m = rng.uniform(3.5, 9.0)
    return np.clip(typical_m * np.exp(rng.normal(0, 0.3, len(picture.polygons))), 2.5, 14.0)


def leaned_chunk(
    recipe: Recipe, source: RealSource, seed: int, held_out: bool, number: int
) -> list[Chip]:
    """Near-nadir pictures as taken or slightly leaned, by turns, and leaned to one look of
    each tilted category."""
    rng = np.random.default_rng([seed, _LEANED_STREAM, number])
    size_px = recipe.data.chip_px + recipe.data.spare_px
    # From above, roofs as seen are footprints, so both kinds of labels mean the same here.
    flats = flat_pictures(source.folder, source.labels_file, held_out, recipe.model.bands)
    areas = np.array([each.valid_HW.sum() for each in flats], dtype=float)
    chips: list[Chip] = []
    for category in CATEGORIES:
        flat = flats[int(rng.choice(len(flats), p=areas / areas.sum()))]
        # Half of the nadir chips are as taken.
        as_taken = category == "nadir" and number % 2 == 0
        look = Look(rng.uniform(0, 8), None, "table") if as_taken else draw_look(category, rng)
        if as_taken:
            picture = Picture(
                flat.counts_BHW, flat.known, flat.valid_HW, flat.polygons, look, flat.gsd_m
            )
        else:
            picture = leaned(flat, draw_heights_m(flat, rng), look, rng)
        bands_BHW = stretched(picture)
        for _ in range(CATEGORY_CHIPS):
            cut = draw_cut(picture, draw_gsd_m(recipe, rng), size_px, rng, free=as_taken)
            chips.append(cut_chip(picture, bands_BHW, cut, size_px))
    return chips
