"""Where chips come from: rendered places, leaned drone pictures, and pictures on disk.

`fill` writes every chunk of every source that is not there yet. A chunk depends on the
recipe's seed, its source and its number alone, so that a store can be filled by any
number of processes, stopped and continued.
"""

from __future__ import annotations

import json
import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snet4_training.cutting import draw_cut, draw_gsd_m
from snet4_training.folder import mosaic
from snet4_training.lean import leaned
from snet4_training.pictures import Chip, Picture, cut_chip, stretched
from snet4_training.real import picture_chunk, split_of
from snet4_training.recipe import Recipe
from snet4_training.scenes import make_place, random_sensor, render, truth
from snet4_training.scenes.write import parse_looks
from snet4_training.store import ChipStore
from snet4core.errors import UsageError
from snet4core.look import CATEGORIES, Category, Look
from snet4core.progress import Progress, Silent, stop_if_cancelled

CATEGORY_CHIPS = 8
"""Chips of each look category in a chunk, category after category."""

CHUNK_CHIPS = CATEGORY_CHIPS * len(CATEGORIES)
"""Chips per chunk."""

PLACE_PX, PLACE_GSD_M = 640, 0.5
"""Side and pixel size of a rendered place."""

_RENDERED = ("blue", "green", "red", "nir")
"""Band order of `scenes.render`."""

ANGLES_DEG: dict[Category, tuple[float, float]] = {
    "nadir": (0.0, 25.9),
    "off-nadir": (26.0, 40.9),
    "very-off-nadir": (41.0, 55.0),
}
"""Looks are drawn evenly over these, so that each head gets a third of the chips."""

VALIDATION = "validation"
"""Folder in the store for what is never trained on."""

HELD_OUT = "held-out.txt"
"""File in the store: the places of pictures that are never trained on, one per line."""

VALIDATION_SEED = 9000
"""Below 10000, so no recipe trains on these places."""

_SOURCE_SEEDS = {"scenes": 1, "banepa": 2}


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of chips within a store."""

    name: str
    """Folder in the store."""
    chunks: int
    """How many chunks the recipe asks for."""
    chips_of: Callable[[int], list[Chip]]
    """Chunk number -> its chips."""


def sources(recipe: Recipe) -> list[Source]:
    """The sources that the recipe trains on."""
    data = recipe.data
    found = [
        Source(
            "scenes",
            math.ceil(data.scene_chips / CHUNK_CHIPS),
            lambda number: scene_chunk(recipe, data.seed, number),
        ),
        Source(
            "banepa",
            math.ceil(data.banepa_chips / CHUNK_CHIPS) if data.banepa else 0,
            lambda number: banepa_chunk(recipe, data.seed, number, "train"),
        ),
        Source(
            "pictures",
            math.ceil(data.picture_chips / CHUNK_CHIPS) if data.pictures else 0,
            lambda number: picture_chunk(recipe, data.seed, number, False, CATEGORY_CHIPS),
        ),
    ]
    return [source for source in found if source.chunks]


def validation_sources(recipe: Recipe) -> list[Source]:
    """The same from other places: seeds and a part of the town that training never sees."""
    chunks = math.ceil(recipe.data.validation_chips * len(CATEGORIES) / CHUNK_CHIPS)
    found = [
        Source(
            f"{VALIDATION}/scenes",
            chunks if recipe.data.scene_chips else 0,
            lambda number: scene_chunk(recipe, VALIDATION_SEED, number),
        ),
        Source(
            f"{VALIDATION}/banepa",
            chunks if recipe.data.banepa else 0,
            lambda number: banepa_chunk(recipe, VALIDATION_SEED, number, "val"),
        ),
        Source(
            f"{VALIDATION}/pictures",
            chunks if recipe.data.pictures else 0,
            lambda number: picture_chunk(recipe, VALIDATION_SEED, number, True, CATEGORY_CHIPS),
        ),
    ]
    return [source for source in found if source.chunks]


def fill(recipe: Recipe, store: Path, workers: int = 1, progress: Progress | None = None) -> None:
    """Write the missing chunks of all sources, in `workers` processes.

    Validation comes first: without it nobody knows whether the rest is any good. Raises
    `UsageError` when the store was filled by another recipe.
    """
    progress = progress or Silent()
    _claim(recipe, store)
    order = list(_in_turn([*validation_sources(recipe), *sources(recipe)]))
    missing = [
        (source.name, number)
        for source, number in order
        if not ChipStore(store / source.name).path(number).exists()
    ]
    if workers <= 1:
        made: Iterable[str] = (make_chunk(recipe, store, *one) for one in missing)
        _follow(made, len(missing), progress)
        return
    # Fresh processes: forking one that has opened GDAL or torch may hang.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(make_chunk, recipe, store, *one) for one in missing]
        try:
            _follow((each.result() for each in as_completed(futures)), len(missing), progress)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _follow(made: Iterable[str], total: int, progress: Progress) -> None:
    for done, _ in enumerate(made, start=1):
        progress.step(done, total, "chunks of chips")
        stop_if_cancelled(progress)


def make_chunk(recipe: Recipe, store: Path, name: str, number: int) -> str:
    """Make one chunk of the source of that name, put it into the store, and name it."""
    every = {one.name: one for one in (*validation_sources(recipe), *sources(recipe))}
    ChipStore(store / name).write(number, every[name].chips_of(number))
    return f"{name}/{number}"


def _claim(recipe: Recipe, store: Path) -> None:
    """Write down which recipe fills the store; another one may not add to it."""
    facts = {"bands": recipe.model.bands, **asdict(recipe.data)}
    for key in ("scene_kinds", "scene_looks"):  # unset, they leave older stores as they are
        if not facts[key]:
            del facts[key]
    # Where things lie and how many there are does not change what a chunk holds.
    idle = ["store", "banepa", "banepa_share", "scene_chips", "banepa_chips", "category"]
    idle += ["pictures", "labels", "looks", "picture_chips", "picture_share"]
    if not recipe.data.pictures:
        idle += ["folds", "fold", "split_seed"]
    for key in idle:
        del facts[key]
    text = json.dumps(facts, sort_keys=True)
    path = store / "recipe.json"
    store.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise UsageError(
            f"{store} holds chips of another recipe; name another folder by data.store, or "
            "remove it."
        )
    if recipe.data.pictures:
        places = split_of(recipe.data).held_out_places
        (store / HELD_OUT).write_text("\n".join(places) + "\n", encoding="utf-8")


def _in_turn(chosen: list[Source]) -> Iterator[tuple[Source, int]]:
    """Chunks in an order in which all sources grow in proportion."""
    order = [
        # A validation chunk counts as due at once.
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
    """A look of the category, from any side."""
    return Look(rng.uniform(*ANGLES_DEG[category]), rng.uniform(0, 360), source)


def draw_scene_look(recipe: Recipe, category: Category, rng: np.random.Generator) -> Look:
    """A look of the category that the recipe allows for rendered places."""
    if not recipe.data.scene_looks:
        return draw_look(category, rng)
    every = [one.look for one in parse_looks(recipe.data.scene_looks)]
    allowed = [look for look in every if look.category == category]
    return allowed[rng.integers(len(allowed))]


def scene_chunk(recipe: Recipe, seed: int, number: int) -> list[Chip]:
    """One rendered place from two looks of each category, four chips of each."""
    rng = np.random.default_rng([seed, _SOURCE_SEEDS["scenes"], number])
    size_px = recipe.data.chip_px + recipe.data.spare_px
    kinds = recipe.data.scene_kinds
    kind = str(rng.choice(list(kinds))) if kinds else None
    place = make_place(rng, PLACE_PX, PLACE_GSD_M, kind=kind)
    polygons = np.array([building.footprint for building in truth(place)], dtype=object)
    chips: list[Chip] = []
    for category in CATEGORIES:
        for _ in range(2):
            look = draw_scene_look(recipe, category, rng)
            counts_BHW = render(place, look, random_sensor(rng))
            picture = Picture(
                counts_BHW=counts_BHW[[_RENDERED.index(name) for name in recipe.model.bands]],
                known=(True,) * len(recipe.model.bands),
                valid_HW=np.ones(counts_BHW.shape[1:], dtype=bool),
                polygons=polygons,
                look=look,
                gsd_m=PLACE_GSD_M,
            )
            bands_BHW = stretched(picture)
            for _ in range(CATEGORY_CHIPS // 2):
                cut = draw_cut(picture, draw_gsd_m(recipe, rng), size_px, rng)
                chips.append(cut_chip(picture, bands_BHW, cut, size_px))
    return chips


@lru_cache(maxsize=2)
def banepa_picture(folder: str, part: str, bands: tuple[str, ...]) -> Picture:
    """All chips of one part (`train` or `val`) side by side at 0.26 m."""
    rasters = sorted((Path(folder) / part).glob("*.tif"))
    labels = Path(folder) / "buildings.geojson"
    return mosaic(rasters, labels, bands, 2, Look(0.0, None, "table"))


def draw_heights_m(picture: Picture, rng: np.random.Generator) -> NDArray[np.float64]:
    """Heights of one to four storeys, alike within a picture."""
    typical_m = rng.uniform(3.5, 9.0)
    return np.clip(typical_m * np.exp(rng.normal(0, 0.3, len(picture.polygons))), 2.5, 14.0)


def banepa_chunk(recipe: Recipe, seed: int, number: int, part: str) -> list[Chip]:
    """The drone mosaic from above (in every second chunk as it is, else leaned a little), and
    leaned to two looks, one of each tilted category."""
    rng = np.random.default_rng([seed, _SOURCE_SEEDS["banepa"], number])
    size_px = recipe.data.chip_px + recipe.data.spare_px
    flat = banepa_picture(recipe.data.banepa, part, recipe.model.bands)
    chips: list[Chip] = []
    for category in CATEGORIES:
        # Half of the chips from straight above are as they were taken.
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
