"""Splits attached buildings: seeded watershed, then merging of regions that are one building.

1. `seeds` finds seeds: pieces of strong pixels that belong to one building each. Components
   with one seed or none stay whole.
2. The others are flooded from their seeds, so that every pixel belongs to one seed's region.
3. `cuts` measures every cut between two regions: how much border is crossed from seed to
   seed, where the border is open, how long the cut is, how large and how rectangular the
   parts are, and how well the border map shows their outlines.
4. `judge` gives the log-odds that a wall between two buildings runs along the cut. Regions
   whose cut is less likely than `cut_probability` are merged, the least likely first, and
   the rest is measured again, until all remaining cuts are likely enough.

Example, with pixels of 0.5 m. Two houses of 15 m x 11 m share a wall. The border map shows it
4 px wide, with a gap of a sixth of its length. Profiles across it cross 2.0 px of border on
average; 28 % of the cut is open; it is 15 m long (2^3.9) and separates two full rectangles
of 165 m2 (2^7.4); the border map shows two thirds of their outlines. The networks' log-odds
are +2.6, the costs 0, and 0 is required (a probability of 0.5): the cut is kept, which gives
two footprints.
Across the middle of a hall of 70 m x 50 m runs a ridge that the border map takes for a wall,
3 px wide from end to end: 1.9 px of border, nowhere open, both parts full. But the cut is
50 m long and the parts have 1,740 m2: the networks' log-odds are +1.6, the cost of a cut
between parts that large is 4 x log2(1,740 / 280) = 10.6, in total -9.0: the hall stays whole.

The partition of a component depends on its own pixels alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snet4core.labels import cuts, flood, runs
from snet4core.labels.judge import features_CK, trained
from snet4core.labels.labels import Labels
from snet4core.labels.morphology import STEPS, depths, dilated, eroded
from snet4core.labels.packing import Sheet, sheet_of
from snet4core.labels.seeds import seeds_of
from snet4core.maps.maps import quantised_threshold
from snet4core.settings import SplitSettings

Ints = NDArray[np.int64]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Oversegmentation:
    """Components with several seeds, partitioned into regions by flooding."""

    sheet: Sheet
    """Positions of the components on the sheet and in the block."""
    regions_HW: NDArray[np.int32]
    """Region of each pixel on the sheet, 0 outside."""
    graph: cuts.RegionGraph
    """Region adjacency graph."""


def split(labels: Labels, settings: SplitSettings, gsd_m: float) -> Labels:
    """Split attached buildings into labels of their own; the foreground stays the same.

    `gsd_m` is the maps' ground sample distance in metres. Labels are 1..count.
    """
    found = oversegmented(labels, settings)
    if found is None:
        return labels
    building_R = merged_regions(found.graph, settings, gsd_m)
    return _relabelled(labels, found.sheet, found.regions_HW, building_R)


def oversegmented(labels: Labels, settings: SplitSettings) -> Oversegmentation | None:
    """Flood the components that have several seeds; None if there are none."""
    if labels.count == 0:
        return None
    seed_level = max(1, quantised_threshold(settings.seed_threshold))
    seeds = seeds_of(_strength(labels.footprint_HW, labels.border_HW) >= seed_level)
    owner_N = labels.labels_HW.ravel()[seeds.place_N]
    several_N = np.bincount(owner_N[1:], minlength=labels.count + 1) >= 2
    if not several_N.any():
        return None
    found = runs.of_labels(labels.labels_HW)
    sheet = sheet_of(found, labels.labels_HW.shape[1], several_N)
    seeds_HW = sheet.laid(seeds.painted(several_N[owner_N]))
    border_HW = sheet.laid(labels.border_HW)
    strength_HW = _strength(sheet.laid(labels.footprint_HW), border_HW)
    body_HW = dilated(eroded(strength_HW >= seed_level, "square"), "square") | (seeds_HW > 0)
    regions_HW = _regions(seeds_HW, body_HW, sheet)
    return Oversegmentation(
        sheet, regions_HW, cuts.region_graph(regions_HW, body_HW, strength_HW, border_HW, sheet)
    )


def _strength(footprint_HW: Image, border_HW: Image) -> Image:
    """footprint x (1 - border), 0..255 = 0..1; 0 outside the components, as both maps are."""
    product = footprint_HW * (255 - border_HW.astype(np.uint16))
    product += 127
    product //= 255
    return product.astype(np.uint8)


AROUND = 7
"""Dilations of the bodies that are flooded level by level; what lies farther comes last."""


def _regions(
    seeds_HW: NDArray[np.int32], body_HW: NDArray[np.bool_], sheet: Sheet
) -> NDArray[np.int32]:
    """Assign every pixel of the sheet's components to a seed; returns region numbers (H, W).

    The bodies are flooded first, from their cores to their rims, then what lies around them.
    """
    inside_HW = np.zeros(sheet.shape, np.bool_)
    inside_HW.ravel()[sheet.place_P] = True
    top = len(STEPS) + AROUND + 1
    level_HW = len(STEPS) - depths(body_HW, len(STEPS))
    reached_HW = body_HW
    for step in range(1, AROUND + 1):
        reached_HW = dilated(reached_HW, STEPS[step % 2]) & inside_HW
        level_HW += ~reached_HW
    np.putmask(level_HW, ~inside_HW, top)
    return flood.flooded(level_HW, seeds_HW, top)


def merged_regions(graph: cuts.RegionGraph, settings: SplitSettings, gsd_m: float) -> Ints:
    """Merge regions into buildings; returns the building of each region, shape (R,).

    A building's number is that of one of its regions; index 0 is unused. Every round removes
    the cuts that are too unlikely and less likely than every other cut of their two regions,
    so that the order of the cuts does not matter.
    """
    building_R = np.arange(len(graph.moments_R6))
    asked = _log_odds(settings.cut_probability)
    while True:
        surplus_C = trained().log_odds_C(features_CK(graph, gsd_m)) - asked
        back_C = locally_weakest(graph, surplus_C) & (surplus_C < 0)
        if not back_C.any():
            return building_R
        component_C = graph.component_R[graph.one_C]
        # In components without a removed cut nothing changes any more.
        goes_on_C = np.isin(component_C, component_C[back_C])
        graph, into_R = graph.merged(back_C, goes_on_C)
        building_R = into_R[building_R]


def _log_odds(probability: float) -> float:
    """Natural log-odds of a probability, which is clipped to 1e-6..1 - 1e-6."""
    inside = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(inside / (1 - inside))


def locally_weakest(graph: cuts.RegionGraph, surplus_C: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True for cuts with the lowest surplus (on ties, number) of all cuts of both regions; (C,)."""
    rank_C = np.empty(surplus_C.size, np.int64)
    rank_C[np.argsort(surplus_C, kind="stable")] = np.arange(surplus_C.size)
    best_R = np.full(len(graph.moments_R6), surplus_C.size)
    np.minimum.at(best_R, graph.one_C, rank_C)
    np.minimum.at(best_R, graph.two_C, rank_C)
    return np.asarray((best_R[graph.one_C] == rank_C) & (best_R[graph.two_C] == rank_C))


def _relabelled(
    labels: Labels, sheet: Sheet, regions_HW: NDArray[np.int32], building_R: Ints
) -> Labels:
    """Write buildings into the labels: a component's first keeps its label, others get new ones."""
    region_P = regions_HW.ravel()[sheet.place_P]
    label_R = np.zeros(building_R.size, np.int32)
    label_R[region_P] = sheet.label_P
    is_first_R = building_R == np.arange(building_R.size)  # of its building
    is_first_R &= label_R > 0
    first = np.flatnonzero(is_first_R)
    is_new = np.ones(first.size, np.bool_)
    is_new[np.unique(label_R[first], return_index=True)[1]] = False
    number_R = label_R.copy()
    number_R[first[is_new]] = labels.count + np.arange(1, is_new.sum() + 1)
    labels_HW = labels.labels_HW.copy()
    labels_HW.ravel()[sheet.source_P] = number_R[building_R][region_P]
    origin_N2 = np.vstack([labels.origin_N2, labels.origin_N2[label_R[first[is_new]]]])
    return replace(labels, labels_HW=labels_HW, origin_N2=origin_N2)
