"""Who yields where two footprints overlap: a rule that looks at each pair alone.

Within a component neighbours share their walls. Two components know nothing of each other,
and where they come closer than the tolerance their simplified walls may cross. Then the
later footprint, in the order of the anchors (row, column of the first pixel), gives up what
it has in common with the earlier one *as that one was drawn*, whatever happened to it since.
So what remains of a footprint depends on its own overlapping pairs only, not on blocks,
batches or the fate of others, and no two of the remaining shapes overlap: the earlier one
has only lost, and the later one has nothing of it.

Axis letters: N footprints, all in the order of their anchors.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

Polygons = NDArray[np.object_]

REACH_PX = 16.0
"""A footprint's upper edge lies no farther than this from the upper edge of its pixels."""

SLIVER = 1e-6
"""Less than this in common is no overlap, in square units of the polygons."""


class Sweep:
    """Settles overlaps of footprints that come in batches, in the order of their anchors.

    It remembers only footprints that reach down to where the next ones may begin.

    >>> early, late = shapely.box(0, 0, 4, 4), shapely.box(3, 1, 6, 3)
    >>> sweep = Sweep()
    >>> [float(shapely.area(sweep.settle(np.array([each]))[0])) for each in (early, late)]
    [16.0, 4.0]
    """

    def __init__(self, reach: float = REACH_PX) -> None:
        """`reach` is in the unit of the polygons; y must grow with the anchors' row."""
        self._reach = reach
        self._open: Polygons = np.empty(0, object)

    def settle(self, polygons_N: Polygons) -> Polygons:
        """What remains of each, shape (N,): a Polygon, empty where nothing does.

        Of a footprint that falls apart the largest piece remains.
        """
        if len(polygons_N) == 0:
            return polygons_N
        drawn = np.concatenate([self._open, polygons_N])
        before = len(self._open)
        settled = polygons_N.copy()
        late, early = _overlapping(drawn, before)
        for begin, end in _stretches(late):
            index = late[begin]
            lost = shapely.union_all(drawn[early[begin:end]])
            settled[index - before] = _largest(shapely.difference(drawn[index], lost))
        bounds = shapely.bounds(drawn)
        self._open = drawn[bounds[:, 3] >= bounds[-1, 1] - 2 * self._reach]
        return settled


def yield_overlaps(polygons_N: Polygons, anchors_N2: NDArray[np.int64]) -> Polygons:
    """The rule for footprints in any order, all at once; in the order they came in."""
    order = np.lexsort((anchors_N2[:, 1], anchors_N2[:, 0]))
    settled = np.empty(len(order), object)
    settled[order] = Sweep().settle(polygons_N[order])
    return settled


def _overlapping(drawn: Polygons, before: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(later, earlier) indices of pairs whose interiors meet, sorted; later ones >= `before`."""
    tree = shapely.STRtree(drawn)
    late, early = tree.query(drawn[before:], predicate="intersects")
    late = late + before
    earlier = early < late
    late, early = late[earlier], early[earlier]
    # Neighbours along a common wall touch; that is no overlap.
    meet = shapely.relate_pattern(drawn[late], drawn[early], "T********")
    late, early = late[meet], early[meet]
    # Nor are the last bits of a common wall that was scaled.
    common = shapely.area(shapely.intersection(drawn[late], drawn[early]))
    late, early = late[common > SLIVER], early[common > SLIVER]
    order = np.lexsort((early, late))
    return late[order], early[order]


def _stretches(sorted_values: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Begin and end of each stretch of equal values."""
    cut = np.flatnonzero(np.diff(sorted_values)) + 1
    edges = [0, *cut.tolist(), sorted_values.size] if sorted_values.size else []
    return list(pairwise(edges))


def _largest(shape: shapely.Geometry) -> shapely.Polygon:
    """The largest polygon of what a difference leaves, or an empty one."""
    parts = shapely.get_parts(shape)
    parts = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    if not len(parts):
        return shapely.Polygon()
    largest: shapely.Polygon = parts[np.argmax(shapely.area(parts))]
    return largest
