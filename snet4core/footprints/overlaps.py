"""Removes overlaps between footprints, by a rule that depends on each pair alone.

Within a component neighbours share their walls. Separate components are simplified
independently, and where they come closer than the tolerance their walls may cross. Then the
later footprint, in the order of the anchors (row, column of the first pixel), loses its
intersection with the earlier one *as that one was drawn*, before any loss of its own. So
what remains of a footprint depends on its own overlapping pairs only, not on blocks, batches
or other pairs, and no two of the remaining shapes overlap: the earlier one has only shrunk,
and the later one holds nothing of it.

Few footprints overlap, and few boxes do; so boxes are compared first, and only the polygons
of overlapping boxes are decoded.

Axis letters: N footprints, all in the order of their anchors; K of them changed.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4core.footprints.footprints import Footprints, outward
from snet4core.footprints.polygons import Polygons, Shapes
from snet4core.grid import Grid
from snet4core.labels.runs import positions

REACH_PX = 16.0
"""Farthest that an outline's upper edge may be from the upper edge of its pixels."""

SLIVER = 1e-6
"""A smaller common area is no overlap, in square units of the polygons."""


class OverlapSweep:
    """Removes overlaps from batches of footprints that come in the order of their anchors.

    Only footprints that reach down to where later ones may begin are kept in memory.

    >>> early, late = shapely.box(0, 0, 4, 4), shapely.box(3, 1, 6, 3)
    >>> sweep = OverlapSweep()
    >>> changed, left = sweep.settle(Shapes.of(np.array([early, late])))
    >>> changed.tolist(), shapely.area(left).tolist()
    ([1], [4.0])
    """

    def __init__(
        self, reach: float = REACH_PX, row_of: tuple[float, float, float] = (0.0, 1.0, 0.0)
    ) -> None:
        """`row_of` (x, y, 1) gives the row, in which anchors are sorted, of a polygon's x, y.

        `reach` is half of how much farther up, in rows, a later polygon may begin.
        """
        self._reach, self._row_of = reach, row_of
        self._open = Shapes.of(np.empty(0, object))

    def settle(self, shapes: Shapes) -> tuple[Indices, Polygons]:
        """Return ascending indices of the shapes that lose something, and what remains; (K,).

        What remains is a Polygon, empty if nothing does; of a footprint that falls into pieces
        it is the largest.
        """
        if len(shapes) == 0:
            return np.empty(0, np.int64), np.empty(0, object)
        drawn, before = Shapes.joined([self._open, shapes]), len(self._open)
        late, early = overlapping_boxes(drawn.boxes_N4)
        new = late >= before
        late, early, polygons_N = _overlapping(drawn, late[new], early[new])
        stretches = _stretches(late)
        left_K = np.empty(len(stretches), object)
        for k, (begin, end) in enumerate(stretches):
            lost = shapely.union_all(polygons_N[early[begin:end]])
            left_K[k] = _largest(shapely.difference(polygons_N[late[begin]], lost))
        first_N, last_N = rows_of(drawn.boxes_N4, self._row_of)
        self._open = drawn[last_N >= first_N[-1] - 2 * self._reach]
        return late[[begin for begin, _ in stretches]] - before, left_K


def rows_of(
    boxes_N4: NDArray[np.float64], row_of: tuple[float, float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last row (N,) of boxes, of which `row_of` (x, y, 1) gives the rows.

    >>> first, last = rows_of(np.array([[0.0, 2.0, 1.0, 6.0]]), (0.0, -0.5, 9.0))
    >>> first.tolist(), last.tolist()
    ([6.0], [8.0])
    """
    of_x, of_y, start = row_of
    x_2N, y_2N = of_x * boxes_N4[:, [0, 2]].T, of_y * boxes_N4[:, [1, 3]].T
    return (
        np.asarray(x_2N.min(axis=0) + y_2N.min(axis=0) + start),
        np.asarray(x_2N.max(axis=0) + y_2N.max(axis=0) + start),
    )


def remove_overlaps(polygons_N: Polygons, anchors_N2: NDArray[np.int64]) -> Polygons:
    """Remove overlaps from footprints in any order, all at once; the order is kept.

    >>> early, late = shapely.box(0, 0, 4, 4), shapely.box(3, 1, 6, 3)
    >>> shapely.area(remove_overlaps(np.array([late, early]), np.array([[1, 3], [0, 0]]))).tolist()
    [4.0, 16.0]
    """
    order = np.lexsort((anchors_N2[:, 1], anchors_N2[:, 0]))
    changed, left_K = OverlapSweep().settle(Shapes.of(polygons_N[order]))
    settled = polygons_N.copy()
    settled[order[changed]] = left_K
    return settled


def _overlapping(drawn: Shapes, late: Indices, early: Indices) -> tuple[Indices, Indices, Polygons]:
    """Filter pairs of overlapping boxes to those whose interiors overlap, sorted.

    Also returns the decoded polygons, (N,), None for those without an overlapping box.
    """
    polygons_N = np.empty(len(drawn), object)
    some = np.unique(np.concatenate([late, early]))
    polygons_N[some] = drawn[some].polygons_N
    shapely.prepare(polygons_N[some])
    meet = shapely.intersects(polygons_N[early], polygons_N[late])
    late, early = late[meet], early[meet]
    # Neighbours along a common wall touch; that is no overlap.
    meet = shapely.relate_pattern(polygons_N[late], polygons_N[early], "T********")
    late, early = late[meet], early[meet]
    # Nor are the last bits of a common wall that was scaled.
    common = shapely.area(shapely.intersection(polygons_N[late], polygons_N[early]))
    late, early = late[common > SLIVER], early[common > SLIVER]
    order = np.lexsort((early, late))
    return late[order], early[order], polygons_N


def _stretches(sorted_values: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Start and stop of each run of equal values."""
    cut = np.flatnonzero(np.diff(sorted_values)) + 1
    edges = [0, *cut.tolist(), sorted_values.size] if sorted_values.size else []
    return list(pairwise(edges))


def _largest(shape: shapely.Geometry) -> shapely.Polygon:
    """The largest polygon of a geometry, or an empty one."""
    parts = shapely.get_parts(shape)
    parts = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    if not len(parts):
        return shapely.Polygon()
    largest: shapely.Polygon = parts[np.argmax(shapely.area(parts))]
    return largest


def without_overlaps(
    batch: Footprints, sweep: OverlapSweep, native: Grid, min_area_m2: float
) -> Footprints:
    """Remove from each footprint of a sorted batch what overlaps an earlier one.

    `sweep` has seen all earlier batches; the polygons are in pixels of `native`, the scene's own
    grid. Remainders below `min_area_m2` are dropped. The confidence stays as it was.
    """
    changed, left_N = sweep.settle(batch.shapes_px)
    if changed.size == 0:
        return batch
    area_px_N = shapely.area(left_N)
    centres_N2 = shapely.get_coordinates(shapely.centroid(left_N[area_px_N > 0]))
    area_m2_N = area_px_N.copy()
    area_m2_N[area_px_N > 0] *= native.pixel_area_m2(centres_N2)
    stays_N = (area_px_N > 0) & (area_m2_N >= min_area_m2)
    kept_N = np.ones(len(batch), np.bool_)
    kept_N[changed[~stays_N]] = False
    changed, left_N, area_m2_N = changed[stays_N], left_N[stays_N], area_m2_N[stays_N]
    on_map_N = outward(shapely.transform(left_N, native.to_map))
    areas_N = batch.area_m2_N.copy()
    areas_N[changed] = np.round(area_m2_N, 2)
    return replace(
        batch,
        shapes=batch.shapes.replaced(changed, on_map_N),
        shapes_px=batch.shapes_px.replaced(changed, left_N),
        area_m2_N=areas_N,
    )[kept_N]


Indices = NDArray[np.int64]


def overlapping_boxes(boxes_N4: NDArray[np.float64]) -> tuple[Indices, Indices]:
    """Return all index pairs (later, earlier) whose boxes overlap; touching is not enough.

    `boxes_N4` holds xmin, ymin, xmax, ymax. Each pair comes once, in no particular order.

    >>> boxes = np.array([[0, 0, 4, 4], [3, 3, 5, 5], [4, 0, 6, 3]], float)
    >>> [index.tolist() for index in overlapping_boxes(boxes)]
    [[1], [0]]
    """
    if len(boxes_N4) < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    x0_N, y0_N, x1_N, y1_N = boxes_N4.T
    # Rounded outwards to integers: exact as keys, and never smaller than the boxes.
    left_N = np.floor(x0_N - x0_N.min()).astype(np.int64)
    right_N = np.ceil(x1_N - x0_N.min()).astype(np.int64)
    width = int(right_N.max()) + 1
    band_height = max(1.0, float((y1_N - y0_N).mean()))
    first_N = np.floor((y0_N - y0_N.min()) / band_height).astype(np.int64)
    last_N = np.floor((y1_N - y0_N.min()) / band_height).astype(np.int64)

    which_E = np.repeat(np.arange(len(boxes_N4)), last_N - first_N + 1)
    start_E = positions(first_N, last_N - first_N + 1) * width
    key_E = start_E + left_N[which_E]
    order_E = np.argsort(key_E, kind="stable")
    which_E, start_E, key_E = which_E[order_E], start_E[order_E], key_E[order_E]
    # The entries of the band that begin before this one ends follow it directly.
    after_E = np.searchsorted(key_E, start_E + right_N[which_E])
    here_E = np.arange(len(key_E))
    count_E = np.maximum(after_E - here_E - 1, 0)
    entry_P = np.repeat(here_E, count_E)
    one_P, other_P = which_E[entry_P], which_E[positions(here_E + 1, count_E)]
    meets_P = (
        (x0_N[one_P] < x1_N[other_P])
        & (x0_N[other_P] < x1_N[one_P])
        & (y0_N[one_P] < y1_N[other_P])
        & (y0_N[other_P] < y1_N[one_P])
        # Report a pair that shares several bands only in the first of them.
        & (start_E[entry_P] == width * np.maximum(first_N[one_P], first_N[other_P]))
    )
    one_P, other_P = one_P[meets_P], other_P[meets_P]
    return np.maximum(one_P, other_P), np.minimum(one_P, other_P)
