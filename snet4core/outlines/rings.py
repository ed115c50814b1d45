"""Traces exact outlines: walls between pixels of different labels, linked to closed rings.

A *wall* is a straight run of pixel edges between two labels. Every wall is traversed once
for each building it belongs to, with that building on its left. Corners have integer
coordinates, x = column and y = row, so nothing is shifted by half a pixel.

Where a building touches itself at a corner only,

    1 1 1        1 building          the ring stays with the background pixel that it
    1 0 1        0 background, two   follows, so that background counts as connected
    1 1 0        touch at a corner   over edges only

the courtyard becomes a hole that touches the outer ring in one point. No ring ever
meets itself that way: if it did, the two background pixels at the corner would be
4-connected, and the building, 4-connected too, would have to cross their connection.

Axis letters: H rows, W columns, E walls, R rings, D headings (east, north, west, south).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Rings:
    """Closed rings of walls, sorted by label, outer ring before its holes.

    Ring r consists of walls first_R[r] to first_R[r + 1] - 1; a wall goes from its own
    corner to that of the next, the last one back to the first.
    """

    x_E: Ints
    """Column of the corner where the wall begins."""
    y_E: Ints
    """Row of the corner where the wall begins."""
    other_E: NDArray[np.int32]
    """Label on the other side of the wall, 0 for background."""
    joint_E: NDArray[np.bool_]
    """True where walls of more than one neighbour meet, so that the corner is shared."""
    first_R: Ints
    """Index of the first wall of each ring, then the number of walls; shape (R + 1,)."""
    label_R: NDArray[np.int32]
    """Label that each ring belongs to."""
    hole_R: NDArray[np.bool_]
    """False for the outer ring of a building."""

    @property
    def size_R(self) -> Ints:
        """Number of walls of each ring."""
        return np.diff(self.first_R)

    @property
    def ring_E(self) -> Ints:
        """The ring of each wall."""
        return np.repeat(np.arange(self.label_R.size), self.size_R)

    @property
    def label_E(self) -> NDArray[np.int32]:
        """Label that each wall belongs to."""
        return np.repeat(self.label_R, self.size_R)

    def joints(self) -> Ints:
        """Number of the joint at each wall's corner, equal wherever walls share it; -1 for none."""
        number = np.full(self.x_E.size, -1, np.int64)
        shared = np.flatnonzero(self.joint_E)
        place = self.y_E[shared] * (self.x_E.max(initial=0) + 1) + self.x_E[shared]
        number[shared] = np.unique(place, return_inverse=True)[1]
        return number


@dataclass(frozen=True, slots=True)
class _Walls:
    """Directed walls, grouped by heading, in the order of the headings.

    A corner is the flat index, in an image with a rim of background, of the pixel to the
    lower right of it.
    """

    begin_E: Ints
    """Corner where the wall begins."""
    end_E: Ints
    """Corner where it ends."""
    own_E: NDArray[np.int32]
    """Label on its left."""
    other_E: NDArray[np.int32]
    """Label on its right, 0 for background."""
    first_D: Ints
    """Index of the first wall of each heading, then the number of walls; shape (5,)."""


def trace(labels_HW: NDArray[np.int32]) -> Rings:
    """Trace the rings of every label (0 is background); (0, 0) is the array's upper left corner.

    Every label must be 4-connected; see `pieces`.

    >>> rings = trace(np.array([[1, 1], [0, 1]], np.int32))
    >>> [(int(x), int(y)) for x, y in zip(rings.x_E, rings.y_E)]
    [(0, 1), (1, 1), (1, 2), (2, 2), (2, 0), (0, 0)]
    """
    padded_HW = np.pad(labels_HW, 1)
    if kernels.compiled():
        rings = Rings(*kernels.trace(padded_HW))
        return _sorted(rings, rings.hole_R)
    walls = _walls_of(padded_HW)
    position, first_R = _walk(_following(padded_HW, walls))
    order = np.empty_like(position)
    order[position] = np.arange(position.size)
    corner_E, own_E, other_E = walls.begin_E[order], walls.own_E[order], walls.other_E[order]
    joint_E = _joints(padded_HW, corner_E)
    y_E, x_E = np.divmod(corner_E, padded_HW.shape[1])
    rings = Rings(x_E - 1, y_E - 1, other_E, joint_E, first_R, own_E[first_R[:-1]], np.array([]))
    # Seen with y downwards, a building on the left of its outer ring gives a negative area.
    hole_R = twice_area(rings) > 0
    return _sorted(rings, hole_R)


def twice_area(rings: Rings) -> Ints:
    """Twice the signed area of each ring; negative for outer rings, positive for holes."""
    if rings.x_E.size == 0:
        return np.zeros(0, np.int64)
    x, y, after = rings.x_E, rings.y_E, successor(rings.first_R)
    return np.add.reduceat(x * y[after] - x[after] * y, rings.first_R[:-1])


def some_labels(rings: Rings, wanted_L: NDArray[np.bool_]) -> Rings:
    """Select the rings of the labels for which `wanted_L` is True."""
    is_wanted_R = wanted_L[rings.label_R]
    ring, wall = np.flatnonzero(is_wanted_R), np.flatnonzero(np.repeat(is_wanted_R, rings.size_R))
    return Rings(
        rings.x_E[wall],
        rings.y_E[wall],
        rings.other_E[wall],
        rings.joint_E[wall],
        np.append(0, np.cumsum(rings.size_R[ring])),
        rings.label_R[ring],
        rings.hole_R[ring],
    )


def successor(first_R: Ints) -> Ints:
    """Index of the wall that follows each wall in its ring.

    >>> successor(np.array([0, 3, 5])).tolist()
    [1, 2, 0, 4, 3]
    """
    after = np.arange(1, first_R[-1] + 1)
    after[first_R[1:] - 1] = first_R[:-1]
    return after


def pieces(labels_HW: NDArray[np.int32], rings: Rings) -> NDArray[np.int32] | None:
    """Relabel so that every 4-connected piece has its own number; None if all labels are whole.

    A label in several pieces has two outer rings, or, where its pieces touch at a corner, a
    ring that passes one corner twice.
    """
    outer = np.bincount(rings.label_R[~rings.hole_R])
    width = labels_HW.shape[1] + 1
    passed = (rings.ring_E * (labels_HW.shape[0] + 1) + rings.y_E) * width + rings.x_E
    passed = np.sort(np.extract(rings.joint_E, passed))
    if (outer <= 1).all() and (passed[1:] != passed[:-1]).all():
        return None
    from skimage.measure import label as connected_labels  # it takes a tenth of a second to import

    found = connected_labels(labels_HW, connectivity=1)  # type: ignore[no-untyped-call]  # scikit-image has no types
    return np.asarray(found, np.int32)


def _runs_of(
    a: NDArray[np.int32], b: NDArray[np.int32], place: Ints, step: int = 1
) -> tuple[Ints, Ints]:
    """First and last index of runs of places that are `step` apart and have equal labels."""
    same = (np.diff(place) == step) & (a[1:] == a[:-1]) & (b[1:] == b[:-1])
    cut = np.flatnonzero(~same)
    return np.append(0, cut + 1)[: place.size], np.append(cut, place.size - 1)[: place.size]


def _walls_of(padded_HW: NDArray[np.int32]) -> _Walls:
    """Find all walls of an image that has a rim of background."""
    flat, row = padded_HW.ravel(), padded_HW.shape[1]
    upper = np.flatnonzero(flat[:-row] != flat[row:])  # pixels with another one below
    up, down = flat[upper], flat[upper + row]
    begin, end = _runs_of(up, down, upper)
    western, eastern, up, down = upper[begin] + row, upper[end] + row + 1, up[begin], down[begin]
    left = _by_columns(np.flatnonzero(flat[:-1] != flat[1:]), padded_HW.shape)
    west, east = flat[left], flat[left + 1]
    begin, end = _runs_of(west, east, left, row)
    northern, southern, west, east = left[begin] + 1, left[end] + 1 + row, west[begin], east[begin]
    # Eastward below a building, northward on its right, westward above it, southward on its left.
    begin_E = np.concatenate([western, southern, eastern, northern])
    end_E = np.concatenate([eastern, northern, western, southern])
    own_E, other_E = np.concatenate([up, west, down, east]), np.concatenate([down, east, up, west])
    heading_E = np.repeat([0, 1, 2, 3], [up.size, west.size, down.size, east.size])
    real = np.flatnonzero(own_E)
    first_D = np.searchsorted(heading_E[real], np.arange(5))
    return _Walls(begin_E[real], end_E[real], own_E[real], other_E[real], first_D)


def _by_columns(place: Ints, shape: tuple[int, int]) -> Ints:
    """Sort flat indices column by column."""
    rows, cols = shape
    row = place // cols
    turned = (place - row * cols) * rows + row
    turned.sort()
    col = turned // rows
    return np.asarray((turned - col * rows) * cols + col, np.int64)


def _following(padded_HW: NDArray[np.int32], walls: _Walls) -> Ints:
    """Index of the wall that continues each wall, by the label ahead on its left and right."""
    flat, row = padded_HW.ravel(), padded_HW.shape[1]
    # The pixel ahead on the left and on the right, seen from the end of an eastward, ... wall.
    left_D, right_D = np.array([-row, -row - 1, -1, 0]), np.array([0, -row, -row - 1, -1])
    heading_E = np.repeat(np.arange(4, dtype=np.int8), np.diff(walls.first_D))
    is_left_E = flat[walls.end_E + left_D[heading_E]] == walls.own_E
    is_right_E = flat[walls.end_E + right_D[heading_E]] == walls.own_E
    next_E = (heading_E + np.where(is_right_E, 3, np.where(is_left_E, 0, 1)).astype(np.int8)) % 4
    begun = np.empty(flat.size, np.int32)  # read only where it was written for that heading
    following_E = np.empty(walls.end_E.size, np.int64)
    for heading in range(4):
        some = slice(walls.first_D[heading], walls.first_D[heading + 1])
        begun[walls.begin_E[some]] = np.arange(some.start, some.stop)
        here = np.flatnonzero(next_E == heading)
        following_E[here] = begun[walls.end_E[here]]
    return following_E


def _walk(following: Ints) -> tuple[Ints, Ints]:
    """Position of each wall when rings are stored one after another, and where rings begin.

    Pointer doubling: after k rounds every wall knows the smallest index among the 2**k
    walls ahead of it, so the work is walls x log(longest ring), without a loop over walls.
    """
    count = following.size
    leader, jump = np.arange(count), following
    while True:
        smaller = np.minimum(leader, leader[jump])
        if np.array_equal(smaller, leader):
            break
        leader, jump = smaller, jump[jump]
    # Count steps to the leader, where the ring begins and the pointer stops.
    is_leader = leader == np.arange(count)
    steps = np.where(is_leader, 0, 1)
    jump = np.where(is_leader, np.arange(count), following)
    while True:
        further = steps + steps[jump]
        if np.array_equal(further, steps):
            break
        steps, jump = further, jump[jump]
    size = np.bincount(leader, minlength=count)
    begin = np.cumsum(size) - size
    position = begin[leader] + (size[leader] - steps) % size[leader]
    leaders = np.flatnonzero(is_leader)
    return position, np.append(begin[leaders], count)


def _joints(padded_HW: NDArray[np.int32], corner_E: Ints) -> NDArray[np.bool_]:
    """True for corners where three or four walls meet, except two labels touching at a corner.

    Two buildings that touch only at a corner need not be of one component, and if such a
    corner counted, an outline would depend on how the raster is divided into blocks.
    """
    flat, row = padded_HW.ravel(), padded_HW.shape[1]
    nw, ne = flat[corner_E - row - 1], flat[corner_E - row]
    sw, se = flat[corner_E - 1], flat[corner_E]
    walls = (nw != ne).astype(np.int8) + (ne != se) + (se != sw) + (sw != nw)
    strangers = ((nw == 0) & (se == 0) & (ne != sw)) | ((ne == 0) & (sw == 0) & (nw != se))
    joints: NDArray[np.bool_] = (walls >= 3) & ~((walls == 4) & strangers)
    return joints


def _sorted(rings: Rings, hole_R: NDArray[np.bool_]) -> Rings:
    """Sort rings by label, outer ring first."""
    order = np.lexsort((hole_R, rings.label_R))
    size = rings.size_R[order]
    first = np.append(0, np.cumsum(size))
    take = np.arange(first[-1]) + np.repeat(rings.first_R[:-1][order] - first[:-1], size)
    return Rings(
        rings.x_E[take],
        rings.y_E[take],
        rings.other_E[take],
        rings.joint_E[take],
        first,
        rings.label_R[order],
        hole_R[order],
    )
