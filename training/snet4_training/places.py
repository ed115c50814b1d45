"""Pictures on disk, split by place: nothing on the ground is on both sides.

All looks of a tile are one place. So are pictures of any name that show the same ground:
27 looks at one building in training, and a 28th in validation, would flatter a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from snet4_training.pairs import Pair, pairs
from snet4core.errors import InputError
from snet4core.look import Look
from snet4core.look_names import sighting_in_name
from snet4core.look_sources import find_look
from snet4core.look_table import sighting_in_table
from snet4core.raster import open_scene

SAME_GROUND = 0.05
"""Pictures that share more of the smaller one's ground than this are one place."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a place, and how it was taken."""

    pair: Pair
    """The picture, its footprints, its place."""
    look: Look
    """The direction of view."""


@dataclass(frozen=True, slots=True)
class Split:
    """Two sides that share no ground."""

    train: tuple[Pair, ...]
    """Of the places that may be learned from."""
    held_out: tuple[Pair, ...]
    """Of the places of one fold."""

    @property
    def held_out_places(self) -> tuple[str, ...]:
        """Names of the places that are never trained on, in order."""
        return tuple(sorted({pair.place for pair in self.held_out}))


def split_by_place(every: Sequence[Pair], folds: int, fold: int, seed: int) -> Split:
    """Deal the places out to `folds` folds by the seed, and hold one fold out.

    Raises `InputError` when there are fewer places than folds.
    """
    places = sorted({pair.place for pair in every})
    if len(places) < folds:
        raise InputError(
            f"The pictures show {len(places)} place(s), too few for {folds} folds: splitting the "
            "pictures of one place would put the same buildings on both sides; add places, or "
            "lower data.folds."
        )
    order = np.random.default_rng(seed).permutation(len(places))
    held = {places[index] for index in order[fold::folds]}
    return Split(
        tuple(pair for pair in every if pair.place not in held),
        tuple(pair for pair in every if pair.place in held),
    )


def joined_places(every: Sequence[Pair]) -> list[Pair]:
    """The pairs, with one name of place for all pictures that show the same ground.

    Tiles of SpaceNet 4 say by their names where they are and are not opened.
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


def _extent(image: Path) -> shapely.Polygon:
    """The ground of a picture in degrees."""
    try:
        with rasterio.open(image) as file:
            if file.crs is None:
                raise InputError(f"{image} has no CRS, so nobody knows its place; assign one.")
            west, south, east, north = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
            return shapely.Polygon.from_bounds(west, south, east, north)
    except RasterioError as problem:
        raise InputError(f"{image} is not a raster that can be read ({problem}).") from problem


@lru_cache(maxsize=2)
def found(folder: Path, labels: Path | None) -> tuple[Pair, ...]:
    """All pictures of a folder with their footprints, places joined; looked up once."""
    return tuple(joined_places(pairs(folder, labels)))


def looks_table(folder: Path, looks: str) -> Path | None:
    """The table that was named, else `looks.csv` in the folder, else none."""
    if looks:
        return Path(looks)
    beside = folder / "looks.csv"
    return beside if beside.is_file() else None


@lru_cache(maxsize=4)
def shots(every: tuple[Pair, ...], table: Path | None) -> tuple[Shot, ...]:
    """Each pair with its look: by the table, else by the name, else as in `snet4 run`.

    Table and name are asked first because they spare opening thousands of files. Raises
    `LookError` for a picture of which nobody knows how tilted it is.
    """
    return tuple(Shot(pair, _look(pair.image, table)) for pair in every)


def _look(image: Path, table: Path | None) -> Look:
    for sighting in (
        sighting_in_table(table, str(image)) if table else None,
        sighting_in_name(str(image)),
    ):
        if sighting is not None and sighting.off_nadir_deg is not None:
            azimuth_deg = sighting.azimuth_deg
            azimuth_deg = None if azimuth_deg is None else azimuth_deg % 360
            return Look(abs(sighting.off_nadir_deg), azimuth_deg, sighting.source)
    return find_look(open_scene(image), table=table).look
