"""Scores the network on validation chips: its roofs, or its footprints where chips know no roofs.

Per source and look category: IoU of the footprint map (all pixels), the challenge's F1, and how
far off heights are, where the network maps them and they are known. Chips take all steps of a
scene in `snet4 run`: maps in 8 bits, labels, split, outlines, and polygons matched with polygons
at an IoU above 0.5, none below 20 px2 taking part. So the log's scores are those of `snet4 score`.
Axes: B bands, H rows, W columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.features import shapes
from shapely.geometry import shape as geometry_of

from snet4_training.chips.augment import Example, plain
from snet4_training.chips.batches import collate
from snet4_training.chips.store import ChipStore
from snet4_training.chips.weighing import buildings
from snet4_training.pictures.picture import Chip
from snet4_training.pictures.targets import Polygons
from snet4_training.recipe import Recipe
from snet4core import score
from snet4core.footprints.footprints import Source
from snet4core.footprints.shaping import footprints_from
from snet4core.grid import Grid
from snet4core.labels.labels import Labels
from snet4core.look.look import Look
from snet4core.maps.heights import height_m_of
from snet4core.maps.maps import Maps, quantised_threshold
from snet4core.model.card import FIVE_MAPS, TWO_MAPS, Card
from snet4core.model.network import OffNadirNet, quantised
from snet4core.outlines.outline import outlines
from snet4core.settings import ShapeSettings
from snet4core.windows import Window

_NOWHERE = CRS.from_wkt('LOCAL_CS["chip",UNIT["metre",1]]')
"""A chip has no place on Earth any more, only a pixel size."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One validation chip with maps, true and found polygons (in its pixels), and counts."""

    name: str
    """`source/category`."""
    chip: Chip
    """What the network was shown."""
    maps: Maps
    """What it said, of roofs where it maps them and they are known, else of footprints."""
    height_HW: NDArray[np.uint8] | None
    """What it said of heights, on the scale of `maps.heights`; None: it maps none."""
    solid_HW: NDArray[np.uint8]
    """The true map of the same, 0..255."""
    truth: Polygons
    """The buildings that there are, cut at the chip's edge and where data end."""
    found: Polygons
    """The buildings that were made of the maps, the surest first."""
    counts: score.Tally
    """How they match."""


@dataclass(slots=True)
class Tally:
    """Counts summed over chips."""

    both: int = 0
    """Pixels that are building in truth and in the map."""
    either: int = 0
    """Pixels that are building in one of them."""
    counts: score.Tally = field(default_factory=score.Tally)
    """Buildings: right, too many, missed."""
    off_m: float = 0.0
    """Sum of how far off the heights of roof pixels are."""
    height_m: float = 0.0
    """Sum of the true ones."""

    def add(self, one: Judged) -> None:
        """Count one more chip."""
        true_HW = (one.solid_HW >= quantised_threshold(0.5)) & one.maps.valid_HW
        said_HW = (one.maps.footprint_HW >= quantised_threshold(0.5)) & one.maps.valid_HW
        self.both += int((true_HW & said_HW).sum())
        self.either += int((true_HW | said_HW).sum())
        self.counts += one.counts
        if one.height_HW is not None:
            true_HW = one.chip.targets_MHW[FIVE_MAPS.index("height")]
            known_HW = (true_HW > 0) & one.maps.valid_HW
            true_m = height_m_of(true_HW[known_HW])
            self.off_m += float(np.abs(height_m_of(one.height_HW[known_HW]) - true_m).sum())
            self.height_m += float(true_m.sum())

    def summary(self) -> dict[str, float]:
        """IoU, precision, recall and F1, 0..1, and how many buildings there are.

        `height_error` is the mean absolute error of heights as a share of the mean height, >= 0;
        it is left out where no height is known.
        """
        heights = {"height_error": round(self.off_m / self.height_m, 4)} if self.height_m else {}
        return {
            "iou": round(self.both / max(1, self.either), 4),
            "precision": round(self.counts.precision, 4),
            "recall": round(self.counts.recall, 4),
            "f1": round(self.counts.f1, 4),
            "truths": self.counts.tp + self.counts.fn,
            **heights,
        }


def summed(chips: Iterable[Judged]) -> dict[str, dict[str, float]]:
    """The scores of scored chips, 0..1, by `source/category`."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for one in chips:
        tallies[one.name].add(one)
    return {name: tally.summary() for name, tally in sorted(tallies.items())}


def judged(net: OffNadirNet, card: Card, recipe: Recipe, store: Path) -> Iterator[Judged]:
    """Score every validation chip of the store; sources and chips in a fixed order.

    They are cut with the settings of `card`, the one that the weights are exported with.
    """
    for folder in sorted((store / "validation").glob("*")):
        chips = ChipStore(folder)
        for number in chips.chunks():
            outlines_of = chips.outlines(number)
            for index in range(len(chips.facts(number))):
                chip = chips.read(number, index)
                # Labels of tilted pictures that outline footprints tell nothing of roofs.
                roofs = net.architecture.maps_roofs and chip.roofs_known
                known = None if outlines_of is None else outlines_of[index][roofs]
                # As most users come: a picture without infrared in every second chip.
                hidden = _infrared(recipe) if index % 2 == 1 else ()
                example = plain(chip, chip.valid_HW.shape[0], hidden)
                maps, height_HW = maps_of(net, example, roofs=roofs, bf16=recipe.train.bf16)
                truth = truth_of(chip, known, roofs=roofs)
                found = found_in(maps, chip.gsd_m, card.shapes[chip.look.category])
                counts = score.match(found, truth, min_area=score.MIN_AREA_PX)
                name = f"{folder.name}/{chip.look.category}"
                solid_HW = _pair(chip.targets_MHW, roofs)[0]
                yield Judged(name, chip, maps, height_HW, solid_HW, truth, found, counts)


def _pair(maps_MHW: NDArray[np.uint8], roofs: bool) -> NDArray[np.uint8]:
    """The maps (2, H, W) of roofs and their borders, or of footprints and theirs."""
    names = FIVE_MAPS[2:4] if roofs else TWO_MAPS
    return maps_MHW[[FIVE_MAPS.index(name) for name in names]]


def score_of(scores: Mapping[str, Mapping[str, float]], *, heights: bool = False) -> float | None:
    """One figure for a validation: mean F1 over look categories of each source, then over sources.

    With `heights`, where nothing else learns, the mean of 1 - `height_error` instead. Categories
    without a building, or without a known height, do not count; None when nothing was validated.

    >>> score_of({"a/nadir": {"f1": 0.5, "truths": 3}, "b/nadir": {"f1": 1.0, "truths": 1}})
    0.75
    >>> score_of({"a/nadir": {"f1": 0.5, "truths": 3, "height_error": 0.25}}, heights=True)
    0.75
    """
    by_source: dict[str, list[float]] = defaultdict(list)
    for name, values in scores.items():
        if heights and "height_error" in values:
            by_source[name.split("/")[0]].append(1.0 - values["height_error"])
        elif not heights and values["truths"]:
            by_source[name.split("/")[0]].append(values["f1"])
    means = [sum(each) / len(each) for each in by_source.values()]
    return sum(means) / len(means) if means else None


@torch.inference_mode()
def maps_of(
    net: OffNadirNet, example: Example, *, roofs: bool, bf16: bool
) -> tuple[Maps, NDArray[np.uint8] | None]:
    """The network's maps of roofs, or of footprints, quantised to 8 bits as in a run.

    Beside them the map of heights (H, W) of a network that has one.
    """
    batch = collate([example])
    head = net.architecture.head_for(example.true)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        logits_BMHW = net(batch.images_BCHW, batch.looks_BL, head)
    maps_MHW = quantised(logits_BMHW.float())[0].numpy()
    valid_HW = example.valid_HW > 0
    solid_HW, border_HW = _pair(maps_MHW, roofs)
    height_HW = maps_MHW[FIVE_MAPS.index("height")] if net.architecture.maps_roofs else None
    return Maps(Window(0, 0, *valid_HW.shape), solid_HW, border_HW, valid_HW), height_HW


def found_in(maps: Maps, gsd_m: float, settings: ShapeSettings) -> Polygons:
    """The buildings that a run extracts from the maps, in pixels, most confident first."""
    grid = Grid(maps.window.shape, Affine.scale(gsd_m, -gsd_m), _NOWHERE)
    source = Source("chip", _NOWHERE, Look(0.0, None, "table"))
    tables = list(footprints_from([maps], grid, settings, source))
    polygons = np.concatenate([table.polygons_px_N for table in tables])
    confidence_N = np.concatenate([table.confidence_N for table in tables])
    surest: Polygons = polygons[np.argsort(-confidence_N, kind="stable")]
    return surest


def truth_of(chip: Chip, known: Polygons | None, *, roofs: bool = False) -> Polygons:
    """The buildings, or their roofs, that can be found in a chip, in its pixels.

    The true polygons where the store has them. Else those of the burned targets, whose
    borders tell attached buildings apart, to the nearest pixel.
    """
    if known is None:
        return _burned(chip, _pair(chip.targets_MHW, roofs))
    seen, cut = _seen(chip.valid_HW > 0), known.copy()
    shapely.prepare(seen)
    crossing = np.flatnonzero(~shapely.contains_properly(seen, known))
    cut[crossing] = shapely.intersection(shapely.make_valid(known[crossing]), seen)
    # What is left of a polygon that only touches the edge is a point or a line.
    left: Polygons = cut[shapely.area(cut) > 0]
    return left


def _seen(valid_HW: NDArray[np.bool_]) -> shapely.Geometry:
    """The area of the valid pixels as a geometry."""
    if valid_HW.all():
        return shapely.box(0, 0, valid_HW.shape[1], valid_HW.shape[0])
    valid = [geometry_of(each) for each, _ in shapes(valid_HW.astype(np.uint8), valid_HW)]
    return shapely.union_all(valid)


def _burned(chip: Chip, pair_2HW: NDArray[np.uint8]) -> Polygons:
    valid_HW = chip.valid_HW > 0
    labels_HW = np.where(valid_HW, buildings(pair_2HW), 0).astype(np.int32)
    _, flat = np.unique(np.append(0, labels_HW), return_inverse=True)
    numbered_HW = flat[1:].reshape(valid_HW.shape).astype(np.int32)
    if not numbered_HW.any():
        return np.empty(0, object)
    labels = Labels.of_image(numbered_HW, *pair_2HW)
    return outlines(labels, tolerance_px=0.0).polygons_N


def _infrared(recipe: Recipe) -> tuple[int, ...]:
    """The bands to hide from the network, if it was trained for pictures without infrared."""
    bands = recipe.model.bands
    if not recipe.augment.drop_nir or set(bands) == {"nir"}:
        return ()
    return tuple(index for index, name in enumerate(bands) if name == "nir")
