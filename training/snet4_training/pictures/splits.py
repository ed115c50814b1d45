"""Splits pictures into training and validation by place, so that no ground is in both.

All looks of a tile are one place, and so are pictures of any name that show the same ground:
with 27 looks at a building in training and a 28th in validation, scores would be too high.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import shapely
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely.geometry.base import BaseGeometry

from snet4_training.pictures.pairs import Pair, pairs
from snet4core.errors import InputError
from snet4core.layers.reproject import within_180
from snet4core.look.look import Look
from snet4core.look.names import sighting_in_name
from snet4core.look.sources import find_look
from snet4core.look.table import sighting_in_table
from snet4core.scene.scene import open_scene

SAME_GROUND = 0.05
"""Pictures that share more of the smaller one's ground than this are one place."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture with its labels, and its look."""

    pair: Pair
    """The picture, its labels, its place."""
    look: Look
    """The direction of view."""
    roofs: bool = False
    """Whether the labels outline roofs as seen, not footprints on the ground."""
    height_field: str | None = None
    """Field of the labels with the roofs' heights in metres, where it is needed."""


@dataclass(frozen=True, slots=True)
class Split:
    """Training and validation pictures, which share no ground."""

    train: tuple[Pair, ...]
    """Pictures of the places that are trained on."""
    held_out: tuple[Pair, ...]
    """Pictures of the places of one fold, for validation."""

    @property
    def held_out_places(self) -> tuple[str, ...]:
        """Sorted names of the places that are never trained on.

        All that the pictures of a place may be called: a folder that has only some of them
        names it after the first of these.
        """
        names = {name for pair in self.held_out for name in (pair.place, pair.name)}
        return tuple(sorted(names))


def split_by_place(
    every: Sequence[Pair],
    folds: int,
    fold: int,
    seed: int,
    known: Mapping[str, bool] | None = None,
) -> Split:
    """Deal the places out to `folds` folds by the random seed, and hold one fold out.

    `known` says of places that another source has, too, whether they are held out. Raises
    `InputError` when there are fewer places than folds.
    """
    places = sorted({pair.place for pair in every})
    if len(places) < folds:
        raise InputError(
            f"The pictures show {len(places)} place(s), too few for {folds} folds: splitting the "
            "pictures of one place would put the same buildings on both sides; add places, or "
            "lower data.folds."
        )
    known = known or {}
    new = [place for place in places if place not in known]
    order = np.random.default_rng(seed).permutation(len(new))
    held = {new[index] for index in order[fold::folds]} | {name for name in known if known[name]}
    return Split(
        tuple(pair for pair in every if pair.place not in held),
        tuple(pair for pair in every if pair.place in held),
    )


def split_sources(
    sources: Sequence[tuple[Pair, ...]], folds: int, fold: int, seed: int
) -> tuple[Split, ...]:
    """Split each source by place; ground that several sources show is on one side in all.

    Each source is dealt out on its own, so that every one has `folds` folds; a place that an
    earlier source has shown keeps its side.
    """
    joined = iter(joined_places([pair for source in sources for pair in source]))
    known: dict[str, bool] = {}
    splits = []
    for source in sources:
        split = split_by_place(list(islice(joined, len(source))), folds, fold, seed, known)
        known |= {pair.place: False for pair in split.train}
        known |= {pair.place: True for pair in split.held_out}
        splits.append(split)
    return tuple(splits)


def joined_places(every: Sequence[Pair]) -> list[Pair]:
    """The pairs, with the same place for all pictures that show the same ground.

    Names of SpaceNet 4 tiles hold their position, so these files are not opened.
    """
    unnamed = [n for n, pair in enumerate(every) if not pair.tiled]
    if not unnamed:
        return list(every)
    boxes = np.array([_extent(every[n].image) for n in unnamed], dtype=object)
    one, other = shapely.STRtree(boxes).query(boxes, predicate="intersects")
    shared = shapely.area(shapely.intersection(boxes[one], boxes[other]))
    smaller = np.minimum(shapely.area(boxes[one]), shapely.area(boxes[other]))
    same = shared > SAME_GROUND * smaller
    links = coo_array((np.ones(same.sum()), (one[same], other[same])), shape=(len(boxes),) * 2)
    _, group_N = connected_components(links, directed=False)
    joined = list(every)
    for n, group in zip(unnamed, group_N, strict=True):
        first = every[unnamed[int(np.flatnonzero(group_N == group)[0])]]
        joined[n] = replace(every[n], place=first.place)
    return joined


def _extent(image: Path) -> BaseGeometry:
    """Bounding box of a picture in degrees (EPSG:4326), in two parts across the antimeridian."""
    grid = open_scene(image).grid
    bounds = array_bounds(*grid.shape, grid.transform)
    west, south, east, north = transform_bounds(grid.crs, "EPSG:4326", *bounds)
    box = shapely.box(west, south, east + 360 * (east < west), north)
    extent: BaseGeometry = within_180(np.array([box]))[0]
    return extent


@lru_cache(maxsize=2)
def found(
    folders: tuple[tuple[Path, Path | None], ...], folds: int, fold: int, seed: int
) -> tuple[Split, ...]:
    """The splits of folders of pictures, each with the file of its labels or None; cached."""
    return split_sources([tuple(pairs(*each)) for each in folders], folds, fold, seed)


def looks_table(folder: Path, looks: str | Path | None) -> Path | None:
    """The given table of looks, else `looks.csv` in the folder, else None."""
    if looks:
        return Path(looks)
    beside = folder / "looks.csv"
    return beside if beside.is_file() else None


@lru_cache(maxsize=32)
def shots(every: tuple[Pair, ...], table: Path | None) -> tuple[Shot, ...]:
    """Each pair with its look, as in `snet4 run`.

    A table or a name that tells angle and azimuth is believed without the file: there may be
    thousands. Raises `LookError` for a picture whose off-nadir angle is unknown.
    """
    return tuple(Shot(pair, _look(pair.image, table)) for pair in every)


def _look(image: Path, table: Path | None) -> Look:
    for sighting in (
        sighting_in_table(table, str(image)) if table else None,
        sighting_in_name(str(image)),
    ):
        if sighting is None or sighting.off_nadir_deg is None:
            continue
        if sighting.azimuth_deg is None:
            break  # other sources may know it
        return Look(abs(sighting.off_nadir_deg), sighting.azimuth_deg % 360, sighting.source)
    return find_look(open_scene(image), table=table).look
