"""From labels to polygons: exact tracing, few corners, the area kept, always valid.

Rules, each tested:

- Outlines follow pixel edges (`rings`), holes are kept, one polygon per label. A label in
  several 4-connected pieces, which the watershed does not make, gives one per piece.
- Few corners stay (`simplify`), and the walls between them lie in the middle of the mask's
  stairs (`walls`). No corner of the exact outline is farther from the polygon than the
  tolerance and half a pixel.
- The area is that of the pixels: walls towards the background move, all by one distance.
- Neighbours have the same corners along their common wall: no gap, no overlap.
- A polygon that comes out invalid, or into its neighbour, is done again, first without
  moving its corners, then with half the tolerance, in the end with none: the exact outline.
- The result depends on the connected component alone: not on the window, the numbering of
  labels or what lies beside it; turned by 90 degrees with the picture it stays the same.

Axis letters: N buildings, L labels (buildings and background), E walls, S sides, R rings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from snet4core.errors import UsageError
from snet4core.labels import Labels
from snet4core.rings import Ints, Rings, pieces, some_labels, trace, twice_area
from snet4core.simplify import corners
from snet4core.walls import (
    Flags,
    Floats,
    Sides,
    Stairs,
    area_kept,
    meeting,
    sides_between,
    strays,
    summed,
)

Polygons = NDArray[np.object_]

STEPS_PER_PX = 1024
"""Corners lie on this fraction of a pixel, so that adding a window's offset is exact."""

STAGES = ((1.0, True), (1.0, False), (0.5, False), (0.25, False), (0.0, False))
"""What is tried in turn: share of the tolerance, and whether corners move to their lines."""

SLACK_PX = 0.5
"""How far beyond the tolerance fitted corners may lie."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """Buildings as polygons; all arrays have one entry per building."""

    polygons_N: Polygons
    """shapely Polygons in the raster's pixels, x = column, y = row, edges at whole numbers."""
    anchors_N2: Ints
    """Raster (row, col) of the first pixel in raster order: a unique, stable key."""
    confidence_N: Floats
    """Mean footprint probability of the building's pixels, 0..1."""
    area_px_N: Floats
    """Number of the building's pixels."""


def outlines(labels: Labels, tolerance_px: float, regularize: bool = False) -> Outlines:
    """The polygons of all labels of one window, in the order of the labels.

    `tolerance_px` is how far a corner of the exact outline may lie from the wall that
    replaces it, give or take the half pixel by which fitted walls may be better;
    0 gives the exact outline. Raises UsageError for a negative tolerance.
    """
    if not tolerance_px >= 0:
        raise UsageError(f"A tolerance of {tolerance_px} px is impossible; use 0 or more.")
    rings = trace(labels.labels_HW)
    apart = pieces(labels.labels_HW, rings)
    if apart is not None:
        labels = replace(labels, labels_HW=apart, count=int(apart.max()))
        rings = trace(apart)
    area_px = summed(rings.label_R, -twice_area(rings) / 2, labels.count + 1)
    polygons = _simplified(rings, area_px, float(tolerance_px))
    offset = np.array([labels.window.col, labels.window.row], np.float64)
    return Outlines(
        np.asarray(shapely.transform(polygons, lambda xy: xy + offset), object),
        _first_pixels(rings) + np.array([labels.window.row, labels.window.col]),
        _mean_footprint(labels, area_px[1:]),
        area_px[1:],
    )


def _first_pixels(rings: Rings) -> Ints:
    """(row, col) of each building's first pixel: the first corner of its outer ring."""
    if rings.x_E.size == 0:
        return np.zeros((0, 2), np.int64)
    pitch = int(rings.x_E.max()) + 1
    first_R = np.minimum.reduceat(rings.y_E * pitch + rings.x_E, rings.first_R[:-1])
    return np.column_stack(np.divmod(first_R[~rings.hole_R], pitch))


def _mean_footprint(labels: Labels, area_px_N: Floats) -> Floats:
    """Mean probability 0..1 of each label's pixels; sums are whole numbers, so exact."""
    inside = labels.labels_HW > 0
    value = labels.footprint_HW[inside].astype(np.float64)
    total = summed(labels.labels_HW[inside], value, labels.count + 1)[1:]
    return total / (255.0 * area_px_N)


def _simplified(rings: Rings, area_px_L: Floats, tolerance_px: float) -> Polygons:
    """Valid polygons of all labels 1..N, in pixels of the window."""
    polygons = np.empty(area_px_L.size, object)
    # Background (label 0) asks for nothing; its stage is the first.
    stage_L = np.zeros(area_px_L.size, np.int64)
    stage_L[1:] = 0 if tolerance_px else len(STAGES) - 1
    todo_L = np.append(False, np.ones(area_px_L.size - 1, bool))
    group_L = _groups(rings, area_px_L.size)
    while todo_L.any():
        some = some_labels(rings, todo_L)
        sides, failed = _sides(some, stage_L, tolerance_px, area_px_L)
        polygons[todo_L] = _assembled(some, sides)
        failed |= _clashing(some, polygons, todo_L)
        failed &= stage_L < len(STAGES) - 1
        stage_L[failed] += 1
        # What a failed polygon shares with its neighbours changes for them as well.
        todo_L = np.isin(group_L, group_L[failed])
    return polygons[1:]


def _groups(rings: Rings, count: int) -> Ints:
    """A number for each label that is the same for labels that share walls."""
    shared = rings.other_E > 0
    pair = (rings.label_E[shared], rings.other_E[shared])
    graph = coo_array((np.ones(pair[0].size, bool), pair), shape=(count, count))
    return np.asarray(connected_components(graph.tocsr(), directed=False)[1], np.int64)


def _sides(
    rings: Rings, stage_L: Ints, tolerance_px: float, area_px_L: Floats
) -> tuple[Sides, Flags]:
    """Simplified rings, and True for the labels for which that did not work."""
    share, moved = (np.array(values) for values in zip(*STAGES, strict=True))
    # Both neighbours must treat their common wall alike: as the worse of them needs.
    stage_E = np.maximum(stage_L[rings.label_E], stage_L[rings.other_E])
    tolerance_E = tolerance_px * share[stage_E]
    kept_E = corners(rings, tolerance_E) | (tolerance_E == 0)
    # A ring that is left with two corners has no area.
    thin_R = np.add.reduceat(kept_E.astype(np.int64), rings.first_R[:-1]) < 3
    kept_E |= thin_R[rings.ring_E]
    failed_L = np.zeros(stage_L.size, bool)
    failed_L[rings.label_R[thin_R]] = True
    sides = sides_between(rings, kept_E)
    lines = Stairs.of(rings).lines(sides)
    sides = meeting(sides, lines, rings.joints()[sides.begin_S], ~moved[stage_E[sides.begin_S]])
    free_S = ~rings.joint_E[sides.begin_S] & (rings.other_E[sides.begin_S] == 0)
    label_S = rings.label_E[sides.begin_S]
    sides = area_kept(sides, label_S, free_S, area_px_L)
    failed_L[rings.label_E[strays(rings, sides, tolerance_E + SLACK_PX)]] = True
    return sides, failed_L


def _assembled(rings: Rings, sides: Sides) -> Polygons:
    """One polygon per building: its outer ring and its holes."""
    xy = np.rint(np.column_stack([sides.x_S, sides.y_S]) * STEPS_PER_PX) / STEPS_PER_PX
    linear = np.asarray(shapely.linearrings(xy, indices=sides.ring_S))
    building_R = np.cumsum(~rings.hole_R) - 1
    return np.asarray(shapely.polygons(linear, indices=building_R), object)


def _clashing(rings: Rings, polygons_L: Polygons, todo_L: Flags) -> Flags:
    """True for labels whose polygon is invalid or overlaps a neighbour across a wall."""
    bad_L = np.zeros(todo_L.size, bool)
    bad_L[todo_L] = ~shapely.is_valid(polygons_L[todo_L])
    shared = (rings.other_E > 0) & (rings.label_E < rings.other_E)
    pair = np.unique(rings.label_E[shared].astype(np.int64) * todo_L.size + rings.other_E[shared])
    one, two = np.divmod(pair, todo_L.size)
    sound = ~(bad_L[one] | bad_L[two])
    one, two = one[sound], two[sound]
    clash = ~shapely.touches(polygons_L[one], polygons_L[two])
    bad_L[one[clash]] = bad_L[two[clash]] = True
    return bad_L
