"""From labels to polygons: exact tracing, few corners, the area kept, always valid.

Rules, each tested:

- Outlines follow pixel edges (`rings`), holes are kept, one polygon per label. A label in
  several 4-connected pieces, which the watershed does not make, gives one per piece.
- A wall lies where the stairs of the mask have their middle (`simplify`).
- Neighbours have the same corners along their common wall: no gap, no overlap.
- A polygon that comes out invalid, or into its neighbour, is done again with half the
  tolerance, in the end with none, which gives the exact outline.
- The result depends on the connected component alone: not on the window, the numbering of
  labels or what lies beside it; turned by 90 degrees with the picture it stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4core import labels as counting
from snet4core.labels import Labels
from snet4core.rings import Ints, Rings, pieces, trace
from snet4core.simplify import STEP_PER_PX, Floats, area_kept, corners, fitted

Polygons = NDArray[np.object_]

HALVINGS = 3
"""How often a polygon that failed gets half the tolerance before it stays exact."""


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
    replaces it, before the wall is fitted; 0 gives the exact outline.
    """
    rings = trace(labels.labels_HW)
    apart = pieces(labels.labels_HW, rings)
    if apart is not None:
        labels = replace(labels, labels_HW=apart, count=int(apart.max()))
        rings = trace(apart)
    area_px = counting.areas(labels).astype(np.float64)
    polygons = _simplified(rings, area_px, tolerance_px)
    confidence = counting.sums(labels, labels.footprint_HW) / (255.0 * area_px)
    offset = np.array([labels.window.col, labels.window.row], np.float64)
    return Outlines(
        shapely.transform(polygons, lambda xy: xy + offset),
        counting.anchors(labels),
        confidence,
        area_px,
    )


def _simplified(rings: Rings, area_px_N: Floats, tolerance_px: float) -> Polygons:
    """Valid polygons of all labels 1..N, in pixels of the window."""
    count = area_px_N.size
    area_px = np.append(0.0, area_px_N)
    tolerance = np.full(count + 1, float(tolerance_px))
    tolerance[0] = np.inf  # background asks for nothing
    polygons = np.empty(count + 1, object)
    todo = np.append(False, np.ones(count, bool))
    for halving in range(HALVINGS + 2):
        some = _of_labels(rings, todo)
        made, thin = _polygons(some, area_px, tolerance)
        polygons[todo] = made
        if not tolerance_px:
            break
        bad = _failed(some, polygons, todo)
        bad[thin] = True
        if not bad.any():
            break
        tolerance[bad] = tolerance[bad] / 2 if halving < HALVINGS else 0.0
        # What a failed polygon shares with its neighbours changes for them as well.
        todo = bad.copy()
        touched = rings.other_E[bad[np.repeat(rings.label_R, rings.size_R)]]
        todo[touched] = True
        todo[0] = False
    return polygons[1:]


def _polygons(
    rings: Rings, area_px_L: Floats, tolerance_L: Floats
) -> tuple[Polygons, NDArray[np.int32]]:
    """Polygons of the labels in `rings`, and the labels that have too few corners left."""
    label = np.repeat(rings.label_R, rings.size_R)
    # Both neighbours must see the same tolerance along their common wall.
    tolerance = np.minimum(tolerance_L[label], tolerance_L[rings.other_E])
    kept = corners(rings, tolerance) | (tolerance == 0)
    few_R = np.add.reduceat(kept.astype(np.int64), rings.first_R[:-1]) < 3
    thin = np.unique(rings.label_R[few_R])
    kept |= few_R[rings.ring_E]
    sides = area_kept(rings, kept, fitted(rings, kept, tolerance == 0), area_px_L)
    xy = np.rint(np.column_stack([sides.x_S, sides.y_S]) * STEP_PER_PX) / STEP_PER_PX
    ring = np.repeat(np.arange(rings.label_R.size), np.diff(sides.first_R))
    linear = np.asarray(shapely.linearrings(xy, indices=ring))
    building = np.cumsum(~rings.hole_R) - 1
    return np.asarray(shapely.polygons(linear, indices=building), object), thin


def _failed(rings: Rings, polygons_L: Polygons, todo_L: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """True for labels whose polygon is invalid or overlaps a neighbour across a wall."""
    bad = np.zeros(todo_L.size, bool)
    bad[todo_L] = ~shapely.is_valid(polygons_L[todo_L])
    label = np.repeat(rings.label_R, rings.size_R)
    shared = rings.other_E > 0
    pairs = np.unique(np.column_stack([label[shared], rings.other_E[shared]]), axis=0)
    one, two = pairs[~bad[pairs].any(axis=1)].T
    clash = ~shapely.touches(polygons_L[one], polygons_L[two])
    bad[one[clash]] = bad[two[clash]] = True
    return bad


def _of_labels(rings: Rings, wanted_L: NDArray[np.bool_]) -> Rings:
    """The rings of some labels."""
    ring = wanted_L[rings.label_R]
    wall = np.repeat(ring, rings.size_R)
    return Rings(
        rings.x_E[wall],
        rings.y_E[wall],
        rings.other_E[wall],
        rings.joint_E[wall],
        np.append(0, np.cumsum(rings.size_R[ring])),
        rings.label_R[ring],
        rings.hole_R[ring],
    )
