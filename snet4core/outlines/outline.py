"""Vectorises labels: traces exact outlines, simplifies them, keeps area and validity.

Rules, each tested:

- Outlines follow pixel edges (`rings`), holes are kept, one polygon per label. A label in
  several 4-connected pieces, which the watershed does not make, gives one per piece.
- Few corners stay (`simplify`), and the walls between them are fitted to the pixel stairs
  (`fitting`). No corner of the exact outline is farther from the polygon than the tolerance
  plus half a pixel.
- The area is that of the pixels: all walls towards the background move by one distance.
- Neighbours have the same corners along their common wall: no gap, no overlap.
- A polygon that is invalid, or overlaps its neighbour, is drawn again: first without moving
  its corners, then with half the tolerance, at last with none, which is the exact outline.
- The result depends on the connected component alone: not on the window, the numbering of
  labels or what lies beside it. It is invariant under rotation by 90 degrees.

Axis letters: N buildings, L labels (buildings and background), E walls, S sides, R rings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4core import kernels
from snet4core.errors import UsageError
from snet4core.labels.labels import Labels
from snet4core.labels.runs import joined, of_labels
from snet4core.maps.heights import height_m_of
from snet4core.outlines.fitting import (
    Flags,
    Floats,
    Sides,
    Stairs,
    area_restored,
    areas,
    corners_fitted,
    sides_between,
    strays,
    summed,
)
from snet4core.outlines.regularize import regular
from snet4core.outlines.rings import Ints, Rings, pieces, some_labels, trace, twice_area
from snet4core.outlines.simplify import collinear_merged, douglas_peucker

Polygons = NDArray[np.object_]

STEPS_PER_PX = 1024
"""Corners are rounded to 1 / this of a pixel, so that adding a window's offset is exact."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Settings of one attempt at an outline; where it fails, the next stage is tried."""

    share: float
    """Factor on the tolerance within which corners are removed."""
    fitted: bool
    """Whether corners move to the intersection of the lines fitted to their walls."""
    regular: bool = False
    """Whether walls are turned to right angles first."""


STAGES = (
    Stage(2.5, True, regular=True),
    Stage(1.5, True, regular=True),
    Stage(1.0, True),
    Stage(1.0, False),
    Stage(0.5, False),
    Stage(0.25, False),
    Stage(0.0, False),
)
PLAIN, EXACT = 2, len(STAGES) - 1

LEAST_REGULAR_PX = 1.0
"""Least tolerance of regular outlines."""

WORSE_PX = 0.03
"""A regular outline may differ from the mask by this much more than the plain one, along its
length, ..."""

CORNER_PX2 = 9.0
"""... and by this area for every corner that it saves, which on ragged masks are many."""

LOST_SHARE, LOST_PX = 0.02, 0.05
"""An outline fails if its area is off by more than this share plus this much along its length.

That happens to shapes thinner than the tolerance, and, far less, to parts with neighbours
all around, whose walls do not move.
"""

SLACK_PX = 0.5
"""How far beyond the tolerance a fitted outline may be from the exact corners."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """Polygons of buildings; all arrays have one entry per building."""

    polygons_N: Polygons
    """shapely Polygons in the raster's pixels, x = column, y = row, edges at whole numbers."""
    anchors_N2: Ints
    """Raster (row, col) of the first pixel in raster order: a unique, stable key."""
    confidence_N: Floats
    """Mean footprint probability of the building's pixels, 0..1."""
    area_px_N: Floats
    """Number of the building's pixels."""
    height_m_N: Floats | None = None
    """Median of the heights of its pixels, in metres; None where the labels have no heights."""


def outlines(
    labels: Labels, tolerance_px: float, regularize: bool = False, aspect: float = 1.0
) -> Outlines:
    """Trace and simplify all labels of one window; polygons in the order of the labels.

    `tolerance_px` is how far a corner of the exact outline may be from the wall that replaces
    it, plus up to half a pixel where walls are fitted; 0 gives the exact outline.
    `regularize` turns walls to right angles where the mask supports it; they are right on the
    ground, where a pixel is `aspect` times as wide as high. Raises UsageError for a negative
    tolerance.

    >>> image = np.array([[0, 1, 1, 1], [0, 1, 1, 1]], np.int32)
    >>> footprint = image.astype(np.uint8) * 255
    >>> found = outlines(Labels.of_image(image, footprint, 0 * footprint), tolerance_px=0)
    >>> found.polygons_N[0].normalize().wkt, found.area_px_N.tolist()
    ('POLYGON ((1 0, 1 2, 4 2, 4 0, 1 0))', [6.0])
    """
    if not tolerance_px >= 0:
        raise UsageError(f"A tolerance of {tolerance_px} px is impossible; use 0 or more.")
    rings = trace(labels.labels_HW)
    apart = pieces(labels.labels_HW, rings)
    if apart is not None:
        _, first = np.unique(apart, return_index=True)
        owner_N = labels.labels_HW.ravel()[first[apart.ravel()[first] > 0]]
        origin_N2 = labels.origin_N2[np.append(0, owner_N)]
        labels = replace(labels, labels_HW=apart, origin_N2=origin_N2)
        rings = trace(apart)
    area_px = summed(rings.label_R, -twice_area(rings) / 2, labels.count + 1)
    polygons = _simplified(rings, area_px, float(tolerance_px), aspect if regularize else None)
    origin_N2 = labels.origin_N2[1:]
    return Outlines(
        _moved(polygons, origin_N2[:, ::-1]),
        _first_pixels(rings) + origin_N2,
        _mean_footprint(labels, area_px[1:]),
        area_px[1:],
        None if labels.height_HW is None else _median_heights(labels.labels_HW, labels.height_HW),
    )


def _moved(polygons_N: Polygons, shift_N2: Ints) -> Polygons:
    """Translate each polygon by its (x, y) shift."""
    shift_V2 = np.repeat(shift_N2, shapely.get_num_coordinates(polygons_N), axis=0)
    return np.asarray(shapely.transform(polygons_N, lambda xy_V2: xy_V2 + shift_V2), object)


def _first_pixels(rings: Rings) -> Ints:
    """(row, col) of each building's first pixel: the first corner of its outer ring."""
    if rings.x_E.size == 0:
        return np.zeros((0, 2), np.int64)
    pitch = int(rings.x_E.max()) + 1
    first_R = np.minimum.reduceat(rings.y_E * pitch + rings.x_E, rings.first_R[:-1])
    return np.column_stack(np.divmod(first_R[~rings.hole_R], pitch))


def _mean_footprint(labels: Labels, area_px_N: Floats) -> Floats:
    """Mean footprint probability (0..1) of each label; sums are integers, so exact."""
    if kernels.compiled():
        return kernels.label_sums(labels.labels_HW, labels.footprint_HW, labels.count) / (
            255.0 * area_px_N
        )
    found, width = of_labels(labels.labels_HW), labels.labels_HW.shape[1]
    # May overflow: differences of unsigned numbers are right all the same.
    upto = np.append(np.uint32(0), np.cumsum(labels.footprint_HW.ravel(), dtype=np.uint32))
    first = found.row_R * width + found.start_R
    total_R = upto[first + found.lengths] - upto[first]
    total_N = summed(found.label_R, total_R.astype(np.float64), labels.count + 1)[1:]
    return total_N / (255.0 * area_px_N)


AT_ONCE = 4096
"""Labels whose heights are counted at a time, which bounds the table of counts."""


def _median_heights(labels_HW: NDArray[np.int32], height_HW: NDArray[np.uint8]) -> Floats:
    """Median height of each label's pixels in metres; between the middle two if they are even.

    >>> labels, values = np.array([[1, 1, 0, 2]], np.int32), np.array([[0, 255, 9, 51]], np.uint8)
    >>> _median_heights(labels, values).round(9).tolist()
    [50.0, 4.0]
    """
    label_P, height_P = labels_HW.ravel(), height_HW.ravel()
    middles = [np.zeros((0, 2), np.int64)]
    count = int(label_P.max(initial=0))
    for first in range(1, count + 1, AT_ONCE):
        stop = min(first + AT_ONCE, count + 1)
        if kernels.compiled():
            middles.append(kernels.middles(labels_HW, height_HW, first, stop))
            continue
        if count > AT_ONCE:
            label_P = np.where((labels_HW >= first) & (labels_HW < stop), labels_HW - first + 1, 0)
            label_P = label_P.ravel()
        # How often each height is there, of each label.
        many_N = np.bincount(label_P << 8 | height_P, minlength=stop - first + 1 << 8)
        upto_N = many_N.reshape(-1, 256)[1:].cumsum(axis=1)
        middle_N2 = np.stack([upto_N[:, -1] - 1, upto_N[:, -1]], axis=1) // 2
        middles.append((upto_N[:, None, :] <= middle_N2[..., None]).sum(axis=-1))
    return np.asarray(height_m_of(np.concatenate(middles)).mean(axis=1), np.float64)


def _simplified(
    rings: Rings, area_px_L: Floats, tolerance_px: float, aspect: float | None
) -> Polygons:
    """Valid polygons of all labels 1..N, in pixels of the window.

    With right angles in pixels of the given aspect; None: without.
    """
    every = np.append(False, np.ones(area_px_L.size - 1, bool))
    first = PLAIN if tolerance_px else EXACT
    plain = _drawn(rings, area_px_L, tolerance_px, np.where(every, first, 0))
    if aspect is None or not every.any():
        return plain[1:]
    exact = plain.copy()
    exact[1:] = _assembled(rings, sides_between(rings, rings.x_E >= 0))
    miss_L, corners_L = np.zeros(every.size), shapely.get_num_coordinates(plain)
    miss_L[1:] = difference_area(plain[1:], exact[1:])

    def worse(polygons_L: Polygons, drawn_L: Flags) -> Flags:
        drawn = polygons_L[drawn_L]
        saved = np.maximum(corners_L[drawn_L] - shapely.get_num_coordinates(drawn), 0)
        allowed = miss_L[drawn_L] + WORSE_PX * shapely.length(drawn) + CORNER_PX2 * saved
        bad = drawn_L.copy()
        bad[drawn_L] = difference_area(drawn, exact[drawn_L]) > allowed
        return bad

    tolerance_px = max(tolerance_px, LEAST_REGULAR_PX)
    begin_L = np.zeros(every.size, np.int64)
    return _drawn(rings, area_px_L, tolerance_px, begin_L, aspect, worse)[1:]


def _drawn(
    rings: Rings,
    area_px_L: Floats,
    tolerance_px: float,
    stage_L: Ints,
    aspect: float = 1.0,
    worse: Callable[[Polygons, Flags], Flags] | None = None,
) -> Polygons:
    """Draw polygons by label, each at the first stage, from `stage_L` on, that does not fail."""
    polygons = np.empty(area_px_L.size, object)
    todo_L = np.append(False, np.ones(area_px_L.size - 1, bool))
    group_L = _groups(rings, area_px_L.size)
    while todo_L.any():
        some = some_labels(rings, todo_L)
        sides, failed = _sides(some, stage_L, tolerance_px, area_px_L, aspect)
        polygons[todo_L] = _assembled(some, sides)
        failed |= _clashing(some, polygons, todo_L)
        if worse is not None:
            failed |= worse(polygons, todo_L & (stage_L < PLAIN) & ~failed)
        failed &= stage_L < EXACT
        stage_L[failed] += 1
        # Walls of a failed polygon change for its neighbours as well.
        todo_L = np.isin(group_L, group_L[failed])
    return polygons


def difference_area(one: Polygons, other: Polygons) -> Floats:
    """Area of the symmetric difference of each pair of polygons, shape (N,).

    >>> one, other = shapely.box(0, 0, 4, 1), shapely.box(1, 0, 5, 1)
    >>> difference_area(np.array([one]), np.array([other])).tolist()
    [2.0]
    """
    common = shapely.area(shapely.intersection(one, other))
    return np.asarray(shapely.area(one) + shapely.area(other) - 2 * common, np.float64)


def _groups(rings: Rings, count: int) -> Ints:
    """Group number of each label, equal for labels that are connected by shared walls."""
    shared = np.flatnonzero(rings.other_E)
    return joined(rings.label_E[shared], rings.other_E[shared], count)


def _sides(
    rings: Rings, stage_L: Ints, tolerance_px: float, area_px_L: Floats, aspect: float
) -> tuple[Sides, Flags]:
    """Simplify rings; returns them, and True for the labels whose outline fails."""
    # Both neighbours must treat their common wall alike: at the later stage of the two.
    stage_E = np.maximum(stage_L[rings.label_E], stage_L[rings.other_E])
    tolerance_E = tolerance_px * np.array([stage.share for stage in STAGES])[stage_E]
    kept_E = douglas_peucker(rings, tolerance_E) | (tolerance_E == 0)
    # A ring that is left with two corners has no area.
    thin_R = np.add.reduceat(kept_E.astype(np.int64), rings.first_R[:-1]) < 3
    kept_E |= thin_R[rings.ring_E]
    failed_L = np.zeros(stage_L.size, bool)
    failed_L[rings.label_R[thin_R]] = True
    sides = sides_between(rings, kept_E)
    stairs = Stairs.of(rings)
    fitted_E = np.array([stage.fitted for stage in STAGES])[stage_E]
    regular_E = stage_E < PLAIN
    sides = collinear_merged(stairs, sides, tolerance_E, rings.joint_E | ~fitted_E | regular_E)
    lines = stairs.lines_of(sides)
    if regular_E.any():
        sides, lines, none_L = regular(rings, stairs, sides, lines, regular_E, stage_L.size, aspect)
        failed_L |= none_L & (stage_L < PLAIN)
    begin = sides.begin_S
    sides = corners_fitted(sides, lines, rings.joints()[begin], ~fitted_E[begin])
    free_S = ~rings.joint_E[begin] & (rings.other_E[begin] == 0)
    label_S = rings.label_E[begin]
    sides = area_restored(sides, label_S, free_S, area_px_L)
    area_L, perimeter_L = areas(sides, label_S, stage_L.size)
    lost_L = np.abs(area_L - area_px_L) > LOST_SHARE * area_px_L + LOST_PX * perimeter_L
    failed_L |= lost_L & (perimeter_L > 0)  # the others were not drawn
    plain_E = np.where(regular_E, np.inf, tolerance_E + SLACK_PX)
    failed_L[rings.label_E[strays(rings, sides, plain_E)]] = True
    return sides, failed_L


def _assembled(rings: Rings, sides: Sides) -> Polygons:
    """Build one polygon per building from its outer ring and its holes."""
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
