"""Training data for the judge of cuts (`judge`): regions with their true buildings.

They come from two kinds of maps, of places that no test uses:

- **Degraded** maps of known buildings: made places, terraces, halls and, if given, real
  footprints. Walls reach too far; borders are faint, broken, wandering or
  absent; false ridges run over large roofs (`degraded_maps`). No network is needed.
- **A network's own** maps of made places that it did not train on, at looks of SpaceNet 4, and of
  the validation chips of its training, which are real ones too. They have the errors of real maps:
  uncertain areas are faint, small houses merge, and large roofs show their structure.

Where a network maps roofs, those are what is judged, against the roofs as they are seen.

Axes: H rows, W columns, N regions, T true buildings.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4_training.judge import degraded_maps
from snet4_training.pictures.roofs import roofs_as_seen
from snet4_training.scenes import SPACENET4_LOOKS, Collect, Place, make_place, render
from snet4_training.scenes.dataset import day_of
from snet4_training.scenes.materials import season
from snet4_training.scenes.place import KINDS, make_plan
from snet4_training.scenes.spacenet_files import TileName, write_image
from snet4_training.validation.validate import Judged
from snet4core.labels import cuts, seams, watershed
from snet4core.layers.read import read_buildings
from snet4core.look.look import CATEGORIES
from snet4core.maps.maps import Maps
from snet4core.maps.predictor import Predictor
from snet4core.model.card import Card
from snet4core.parts.plan import Choices, plan_for
from snet4core.parts.work import maps_of
from snet4core.settings import ShapeSettings
from snet4core.windows import Window

GSD_M = 0.5
SIDE_PX = 900

_SEEN_SEED = 7200
"""Places that a network sees are drawn from here on; those of training begin at 10000."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lesson:
    """The regions of one block, with their overlap with the true buildings."""

    graph: cuts.RegionGraph
    shared_NT: Floats
    """Pixels that region n has in common with building t; column 0 is background."""
    size_T: Floats
    """Pixels of each building, in a region or not."""
    gsd_m: float
    """Ground length of a pixel side."""


# ---------------------------------------------------------------- degraded maps


def random_block(rng: np.random.Generator, real: list[degraded_maps.Block]) -> degraded_maps.Block:
    """Buildings in pixels of 0.5 m: a made place, a terrace, halls, or real ones."""
    draw = rng.random()
    if draw < 0.55:
        return _made_place(rng)
    seed = int(rng.integers(1 << 30))
    if draw < 0.75:
        return degraded_maps.terraces(seed)
    if draw < 0.9 or not real:
        return degraded_maps.halls(seed)
    block, scale = real[rng.integers(len(real))], rng.uniform(0.6, 1.6)
    return degraded_maps.Block(
        block.name,
        degraded_maps.affinity(block.polygons, np.eye(2) * scale, np.zeros(2)),
        (int(block.shape[0] * scale) + 1, int(block.shape[1] * scale) + 1),
    )


def _made_place(rng: np.random.Generator) -> degraded_maps.Block:
    kind = str(rng.choice(list(KINDS)))
    plan = make_plan(rng, kind, season(rng), SIDE_PX * GSD_M, 30.0)
    outlines = np.array([each.outline for each in plan.structures], object)
    scale = rng.uniform(0.75, 1.35) / GSD_M
    outlines = degraded_maps.affinity(outlines, np.eye(2) * scale, np.zeros(2))
    frame = shapely.box(0, 0, SIDE_PX, SIDE_PX)
    inside = degraded_maps.solid(shapely.intersection(outlines, frame))
    return degraded_maps.Block(kind, inside, (SIDE_PX, SIDE_PX))


def random_maps(
    rng: np.random.Generator, block: degraded_maps.Block
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Footprint and border map (H, W) of a block, randomly degraded."""
    fat_px = rng.uniform(0, 3.3) if rng.random() < 0.6 else 0.0
    quality = degraded_maps.BorderQuality(
        strength=(rng.uniform(0.3, 0.65), rng.uniform(0.85, 1.0)),
        breaks_per_100px=rng.uniform(1, 6),
        break_radius_px=(1.5, rng.uniform(3, 6)),
        shift_px=rng.uniform(0.3, 1.1),
        blur_px=rng.uniform(0.7, 1.5),
        noise=rng.uniform(0.03, 0.1),
    )
    seed, draw = int(rng.integers(1 << 30)), rng.random()
    if rng.random() < 0.9:
        blur_px, noise = rng.uniform(0.4, 1.2), rng.uniform(0.01, 0.06)
        footprint_HW = degraded_maps.footprint_map(block, fat_px, blur_px, noise, seed)
    else:
        footprint_HW = degraded_maps.perfect_mask(block, fat_px)
    if draw < 0.12:
        return footprint_HW, np.zeros_like(footprint_HW)
    if draw < 0.62:
        over_px2 = float(rng.choice([600, 1200, 2500]))
        strength = (rng.uniform(0.15, 0.35), rng.uniform(0.5, 0.85))
        return footprint_HW, degraded_maps.border_map_with_ridges(
            block, quality, seed, over_px2, strength
        )
    return footprint_HW, degraded_maps.border_map(block, quality, seed)


def degraded_lessons(seed: int, count: int, real: list[degraded_maps.Block]) -> Iterator[Lesson]:
    """Lessons from `count` degraded blocks; deterministic for a seed."""
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        block = random_block(rng, real)
        footprint_HW, border_HW = random_maps(rng, block)
        window = Window(0, 0, *footprint_HW.shape)
        maps = Maps(window, footprint_HW, border_HW, np.ones(window.shape, np.bool_))
        yield from lesson(block, [maps], ShapeSettings())


def real_blocks(folder: Path, gsd_m: float = 0.35, side_px: int = 500) -> list[degraded_maps.Block]:
    """Squares of real footprints (`buildings.geojson` in degrees) with 15 houses or more."""
    houses = read_buildings(folder / "buildings.geojson", confidence=False).polygons_N
    west, south, east, north = shapely.total_bounds(houses)
    metres = 111_320.0 / gsd_m
    scale = np.array([metres * np.cos(np.radians((south + north) / 2)), -metres])
    houses = degraded_maps.affinity(houses, np.diag(scale), -np.array([west, north]) * scale)
    blocks = []
    for row in range(0, int((north - south) * metres) - side_px, side_px):
        for col in range(0, int((east - west) * scale[0]) - side_px, side_px):
            frame = shapely.box(col, row, col + side_px, row + side_px)
            near = houses[shapely.intersects(houses, frame)]
            if len(near) >= 15:
                inside = shapely.intersection(shapely.make_valid(near), frame)
                moved = degraded_maps.affinity(inside, np.eye(2), -np.array([col, row]))
                blocks.append(
                    degraded_maps.Block("real", degraded_maps.solid(moved), (side_px, side_px))
                )
    return blocks


# ---------------------------------------------------------------- maps of a network


def seen_lessons(seed: int, count: int, predictor: Predictor) -> Iterator[Lesson]:
    """Lessons from `count` made places, each at one look of every category."""
    with tempfile.TemporaryDirectory(prefix="snet4-lessons-") as folder:
        for index in range(count):
            rng = np.random.default_rng((_SEEN_SEED + seed, index))
            place = make_place(rng, SIDE_PX, GSD_M)
            for category in CATEGORIES:
                collects = [one for one in SPACENET4_LOOKS if one.look.category == category]
                collect = collects[rng.integers(len(collects))]
                counts_BHW = render(place, collect.look, day_of(collect, _SEEN_SEED + seed))
                path = Path(folder, f"{index}-{category}.tif")
                write_image(path, counts_BHW, TileName(733601, 3720139), GSD_M)
                yield from _seen(path, collect, place, predictor)
                path.unlink()


def _seen(path: Path, collect: Collect, place: Place, predictor: Predictor) -> Iterator[Lesson]:
    """Lessons from the network's maps of a picture, as in `snet4 run`."""
    told = Choices(off_nadir_deg=collect.off_nadir_deg, azimuth_deg=collect.azimuth_deg)
    plan = plan_for(path, predictor.header, told)
    outlines = np.array([building.footprint for building in place.buildings], object)
    if plan.has_roofs:
        eaves_m = np.array([building.eave_m for building in place.buildings])
        outlines = roofs_as_seen(outlines, eaves_m, collect.look, GSD_M)
    tile = shapely.box(0, 0, place.size_px, place.size_px)
    inside = degraded_maps.solid(shapely.intersection(shapely.make_valid(outlines), tile))
    block = degraded_maps.Block(place.kind, inside, (place.size_px, place.size_px))
    yield from lesson(block, maps_of(plan, predictor), plan.settings, of_roofs=plan.has_roofs)


def chip_lessons(seen: Iterable[Judged], card: Card) -> Iterator[Lesson]:
    """Lessons from validation chips as a network maps them, with the settings of its `card`."""
    for one in seen:
        block = degraded_maps.Block(one.name, degraded_maps.solid(one.truth), one.solid_HW.shape)
        # `Judged` has the roofs in the place of the footprints already.
        yield from lesson(block, [one.maps], card.shapes[one.chip.look.category], one.chip.gsd_m)


# ---------------------------------------------------------------- from maps to a lesson


def lesson(
    block: degraded_maps.Block,
    maps: Iterable[Maps],
    settings: ShapeSettings,
    gsd_m: float = GSD_M,
    *,
    of_roofs: bool = False,
) -> Iterator[Lesson]:
    """The regions of the block with their true buildings; none where nothing could be split."""
    true_HW = degraded_maps.labels_of(block)
    size_T = np.bincount(true_HW.ravel(), minlength=block.polygons.size + 1).astype(float)
    for labels in seams.complete_components(
        maps, block.shape, settings.threshold, of_roofs=of_roofs
    ):
        flooded = watershed.oversegmented(labels, settings.split)
        if flooded is not None and flooded.graph.one_C.size:
            row_P, col_P = np.divmod(flooded.sheet.source_P, labels.labels_HW.shape[1])
            origin_P2 = labels.origin_N2[flooded.sheet.label_P]
            true_P = true_HW[row_P + origin_P2[:, 0], col_P + origin_P2[:, 1]]
            region_P = flooded.regions_HW.ravel()[flooded.sheet.place_P]
            shared_NT = np.zeros((len(flooded.graph.moments_R6), size_T.size))
            np.add.at(shared_NT, (region_P, true_P), 1)
            shared_NT[:, 0] = 0
            yield Lesson(flooded.graph, shared_NT, size_T, gsd_m)
