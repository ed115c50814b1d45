"""Attached buildings come apart where the maps say so, and nowhere else.

`hearts` finds the places that surely belong to one building. A component with two or more
of them is flooded from them, strong pixels first, and every cut between two regions is
judged:

    evidence   pixels of border that lie on the way from heart to heart (`cuts`)
    demand     what a cut of this kind has to show before it is believed

The demand starts at `evidence_px` and grows where a cut is implausible: with its length
beyond `wide_cut_m` and the size of the parts beyond `large_part_m2` (a hall is cut by a
ridge more often than by a wall), with parts below `small_part_m2` (a dormer is no house),
with parts that are no rectangles. It shrinks where the cut runs through a neck. The weakest
cuts are taken back first, all is measured again, until every cut that is left stands.

Example, in pixels of 0.5 m, defaults. Two houses of 15 m x 10 m share a wall of 20 px; the
border map shows it 3 px wide at 0.8, broken along a quarter: evidence .75 x 3 x .8 = 1.8.
Parts of 150 m2 ask for 0.5 x log2(150 / 109) = 0.2 above the first 0.56; the cut is no neck,
but short, and both parts are rectangles: demand 0.8, the cut stands. A ridge of the same
kind across a hall of 60 m x 30 m: a cut of 60 px asks for 0.35 x log2(30 / 14.6) = 0.4,
parts of 900 m2 for 0.5 x log2(900 / 109) = 1.5: demand 2.5, and the hall stays whole.

A component's partition depends on its own pixels alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from snet4core import cuts, runs
from snet4core.hearts import STEPS, depths, grown, hearts_of, worn
from snet4core.labels import Labels
from snet4core.maps import quantised_threshold
from snet4core.settings import SplitSettings
from snet4core.sheet import Sheet, sheet_of

Ints = NDArray[np.int64]


def split(labels: Labels, settings: SplitSettings, gsd_m: float) -> Labels:
    """The same foreground, with attached buildings under labels of their own, 1..count.

    `gsd_m` is the maps' ground sample distance in metres.
    """
    if labels.count == 0:
        return labels
    heart_level = max(1, quantised_threshold(settings.seed_threshold))
    found = runs.of_labels(labels.labels_HW)
    everything = sheet_of(found, labels.window.width, np.arange(labels.count + 1) > 0)
    hearts_HW = hearts_of(_strength(labels, everything) >= heart_level)
    several_N = _hearts_per_label(labels, everything, hearts_HW) >= 2
    if not several_N.any():
        return labels
    sheet = sheet_of(found, labels.window.width, several_N)
    hearts_HW = sheet.laid_from(everything, hearts_HW)
    strength_HW = _strength(labels, sheet)
    body_HW = grown(worn(strength_HW >= heart_level, "square"), "square") | (hearts_HW > 0)
    regions_HW = _flooded(hearts_HW, body_HW, sheet)
    graph = cuts.measured(regions_HW, body_HW, strength_HW, sheet)
    building_R = judged(graph, settings, gsd_m)
    return _relabelled(labels, sheet, regions_HW, building_R)


def _strength(labels: Labels, sheet: Sheet) -> NDArray[np.uint8]:
    """footprint x (1 - border) on the sheet, 0..255 = 0..1; 0 outside the components."""
    inside = 255 - sheet.laid(labels.border_HW).astype(np.uint16)
    return ((sheet.laid(labels.footprint_HW) * inside + 127) // 255).astype(np.uint8)


def _hearts_per_label(labels: Labels, sheet: Sheet, hearts_HW: NDArray[np.int32]) -> Ints:
    """How many hearts each label has; index 0 unused."""
    heart_P = hearts_HW.ravel()[sheet.place_P]
    owner_N = np.zeros(int(heart_P.max()) + 1, np.int64)
    owner_N[heart_P] = sheet.label_P
    return np.bincount(owner_N[1:], minlength=labels.count + 1)


def _flooded(
    hearts_HW: NDArray[np.int32], body_HW: NDArray[np.bool_], sheet: Sheet
) -> NDArray[np.int32]:
    """Every pixel of the sheet's components goes to one of the hearts.

    First the bodies fill up, from their depths to their rims, then what lies around them.
    """
    inside_HW = np.zeros(sheet.shape, np.bool_)
    inside_HW.ravel()[sheet.place_P] = True
    level_HW = -depths(body_HW, len(STEPS)).astype(np.int16)
    reached_HW = body_HW
    for step in range(1, 8):
        reached_HW = grown(reached_HW, STEPS[step % 2]) & inside_HW
        level_HW += ~reached_HW
    regions: NDArray[np.int32] = watershed(level_HW, hearts_HW, mask=inside_HW)  # type: ignore[no-untyped-call]  # unannotated
    return regions


def judged(graph: cuts.Graph, settings: SplitSettings, gsd_m: float) -> Ints:
    """Which building each region is part of, shape (R,): a region's number, index 0 unused.

    In every round all cuts are taken back that lack evidence and lack more of it than every
    other cut of their two regions; so the order plays no part.
    """
    building_R = np.arange(len(graph.moments_R6))
    while True:
        surplus_C = graph.evidence_C() - demand_C(graph, settings, gsd_m)
        back_C = _weakest_here(graph, surplus_C) & (surplus_C < 0)
        if not back_C.any():
            return building_R
        graph, into_R = graph.merged(back_C)
        building_R = into_R[building_R]


def demand_C(graph: cuts.Graph, settings: SplitSettings, gsd_m: float) -> NDArray[np.float64]:
    """Pixels of border that each cut has to show."""
    area_R2 = graph.areas_R()[np.stack([graph.one_C, graph.two_C])] * gsd_m**2
    small_C, large_C = area_R2.min(axis=0), area_R2.max(axis=0)
    length_C = graph.lengths_C() * gsd_m
    fullness_R = graph.fullness_R()
    fullness_C = np.minimum(fullness_R[graph.one_C], fullness_R[graph.two_C])
    # The size that counts lies between the two, nearer to the larger one.
    size_C = small_C * (large_C / small_C) ** LARGER_COUNTS
    neck_C = length_C / np.sqrt(small_C)
    return np.asarray(
        0.56
        + WIDE * _doublings(length_C / 14.6)
        + LARGE * _doublings(size_C / 109)
        + SMALL * _doublings(51 / small_C)
        + BROAD * np.maximum(0, neck_C - BROAD_FROM)
        - NECK * np.maximum(0, NECK_BELOW - neck_C)
        + RAGGED * np.maximum(0, FULLNESS - fullness_C)
        - GAIN * np.maximum(0, fullness_C - graph.union_fullness_C())
        + HOLE * graph.tallies_C7[:, 6] / graph.tallies_C7[:, 2]
        + HOLE2 * graph.tallies_C7[:, 5] / graph.tallies_C7[:, 2]
    )


LARGER_COUNTS = 0.684
"""0: the smaller part decides what is large; 1: the larger one."""
WIDE, LARGE, SMALL = 0.353, 0.5, 2.0
"""Pixels of border for every doubling."""
BROAD, BROAD_FROM = 0.66, 1.564
NECK, NECK_BELOW = 3.221, 0.654
"""A cut's length over the square root of the smaller part's area: 1 cuts a square from a row."""
GAIN = HOLE = HOLE2 = 0.0
RAGGED, FULLNESS = 1.292, 0.91
"""Parts that fill less of their rectangle are doubtful."""


def _doublings(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """How often 1 has to be doubled to reach the ratio; 0 below."""
    return np.log2(np.maximum(ratio, 1))


def _weakest_here(graph: cuts.Graph, surplus_C: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each cut comes first, by surplus, then number, among all of both its regions."""
    rank_C = np.empty(surplus_C.size, np.int64)
    rank_C[np.argsort(surplus_C, kind="stable")] = np.arange(surplus_C.size)
    best_R = np.full(len(graph.moments_R6), surplus_C.size)
    np.minimum.at(best_R, graph.one_C, rank_C)
    np.minimum.at(best_R, graph.two_C, rank_C)
    return np.asarray((best_R[graph.one_C] == rank_C) & (best_R[graph.two_C] == rank_C))


def _relabelled(
    labels: Labels, sheet: Sheet, regions_HW: NDArray[np.int32], building_R: Ints
) -> Labels:
    """The block with its buildings: a component's first keeps its label, others count on."""
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
    return replace(labels, labels_HW=labels_HW, count=labels.count + int(is_new.sum()))
