"""Simplifies exact outlines: Douglas-Peucker, then merging of nearly collinear sides.

Douglas-Peucker (`douglas_peucker`) keeps corners until none of those removed is beyond the
tolerance. Then sides that continue each other are merged (`collinear_merged`), because chords
between corners of the pixel stairs bend where a line fitted to the stairs would not.

Both work on all rings at once and depend on the shape alone, with symmetric ties: a ring
gives the same corners from every start, in both directions (two neighbours traverse their
common wall in opposite ones), and under rotation by 90 degrees.

Axis letters: E walls of the exact rings, R rings, P points of rings as open paths,
T stretches of a path between two kept points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels
from snet4core.labels.runs import positions
from snet4core.outlines.fitting import Sides, Stairs
from snet4core.outlines.rings import Ints, Rings, successor

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def douglas_peucker(rings: Rings, tolerance_E: Floats) -> Flags:
    """Select corners by Douglas-Peucker; True for the walls whose corner stays, shape (E,).

    The corner farthest from the chord stays if it is beyond the tolerance, and so on between
    it and both ends. Of several that are equally far the first and the last stay, the same
    pair from either end. A ring without joints begins at its corners farthest from its centre.
    """
    if kernels.compiled():
        return kernels.simplified(rings.x_E, rings.y_E, rings.joint_E, rings.first_R, tolerance_E)
    x, y = rings.x_E.astype(np.float64), rings.y_E.astype(np.float64)
    kept_E = rings.joint_E | _beginnings(rings, x, y)
    wall_P = _paths(rings, kept_E)
    stays_P, path = kept_E[wall_P], (x[wall_P], y[wall_P])
    # A tolerance belongs to a wall; between two kept corners it is the same for all.
    fixed = np.flatnonzero(stays_P)
    open_T = _open(fixed[:-1], fixed[1:], tolerance_E[wall_P[fixed[:-1]]] ** 2)
    while open_T[0].size:
        low_T, high_T, square_T = open_T
        split_T, near_T, off_T = _farthest(*path, low_T, high_T, square_T)
        low_T, high_T, square_T = low_T[split_T], high_T[split_T], square_T[split_T]
        stays_P[near_T] = stays_P[off_T] = True
        open_T = _open(
            np.column_stack([low_T, near_T, off_T]).ravel(),
            np.column_stack([near_T, off_T, high_T]).ravel(),
            np.repeat(square_T, 3),
        )
    kept_E[wall_P[stays_P]] = True
    return kept_E


def _paths(rings: Rings, kept_E: Flags) -> Ints:
    """Walls of each ring, from its first kept corner around to the same one, ring after ring."""
    begin_R, size_R = rings.first_R[:-1], rings.size_R
    lead_R = np.minimum.reduceat(np.where(kept_E, np.arange(kept_E.size), kept_E.size), begin_R)
    wall_P = positions(lead_R, size_R + 1)
    beyond_P = wall_P >= np.repeat(begin_R + size_R, size_R + 1)
    return wall_P - beyond_P * np.repeat(size_R, size_R + 1)


def _open(low_T: Ints, high_T: Ints, square_T: Floats) -> tuple[Ints, Ints, Floats]:
    """Select the stretches that have points between their ends."""
    open_T = np.flatnonzero(high_T - low_T > 1)
    return low_T[open_T], high_T[open_T], square_T[open_T]


def _farthest(
    x_P: Floats, y_P: Floats, low_T: Ints, high_T: Ints, square_T: Floats
) -> tuple[Ints, Ints, Ints]:
    """Find stretches with points farther from their chord than the root of `square_T`.

    Returns their indices, and the first and the last of each one's farthest points. A chord
    is the segment, perhaps of no length, from point `low` to point `high` of a path, with
    others between them. Coordinates are integers, so all is exact but the one division.
    """
    many_T = high_T - low_T - 1
    begin_T = np.cumsum(many_T) - many_T
    point = positions(low_T + 1, many_T)
    x_T, y_T = x_P[low_T], y_P[low_T]
    cx_T, cy_T = x_P[high_T] - x_T, y_P[high_T] - y_T
    chord_T = cx_T * cx_T + cy_T * cy_T
    cx, cy, chord = (np.repeat(each_T, many_T) for each_T in (cx_T, cy_T, chord_T))
    ax, ay = x_P[point] - np.repeat(x_T, many_T), y_P[point] - np.repeat(y_T, many_T)
    along, across, direct = ax * cx + ay * cy, ax * cy - ay * cx, ax * ax + ay * ay
    beside = (along > 0) & (along < chord)
    to_line = across * across / np.maximum(chord, 1)
    to_end = np.minimum(direct, direct - 2 * along + chord)
    far = np.where(beside, to_line, to_end)
    most_T = np.maximum.reduceat(far, begin_T)
    extreme = np.flatnonzero(far == np.repeat(np.where(most_T > square_T, most_T, np.inf), many_T))
    split_T = np.flatnonzero(most_T > square_T)
    owner = np.searchsorted(begin_T[split_T], extreme, side="right") - 1
    near_T, off_T = np.zeros((2, split_T.size), np.int64)
    # Of repeated indices the last assignment stays.
    near_T[owner[::-1]] = point[extreme[::-1]]
    off_T[owner] = point[extreme]
    return split_T, near_T, off_T


def _beginnings(rings: Rings, x: Floats, y: Floats) -> Flags:
    """True for all corners farthest from the mean corner, in rings without joints."""
    begin, size = rings.first_R[:-1], rings.size_R
    ring = rings.ring_E
    # Times the number of corners, so that all numbers are integers and sums exact.
    dx = x * size[ring] - np.add.reduceat(x, begin)[ring]
    dy = y * size[ring] - np.add.reduceat(y, begin)[ring]
    far = dx * dx + dy * dy
    alone = ~np.logical_or.reduceat(rings.joint_E, begin)
    found: Flags = (far == np.maximum.reduceat(far, begin)[ring]) & alone[ring]
    return found


STRAIGHT = 0.85
"""Sides are merged if one line passes all their corners within this share of the tolerance."""

MOST_ROUNDS = 8


def collinear_merged(stairs: Stairs, sides: Sides, tolerance_E: Floats, locked_E: Flags) -> Sides:
    """Merge nearly collinear sides; corners of locked steps stay.

    Every round removes the corners whose error is a local minimum, below that of both
    neighbouring corners, so that the order of the corners does not matter.
    """
    cost_S = np.full(sides.begin_S.size, np.inf)
    grown_S = np.ones(sides.begin_S.size, np.bool_)
    for _ in range(MOST_ROUNDS):
        before, after = sides.before(), successor(sides.first_R)
        # The error changes only at corners with a side that grew in the last round.
        fresh = np.flatnonzero(grown_S | grown_S[before])
        begin = sides.begin_S[fresh]
        limit = STRAIGHT * tolerance_E[begin]
        able = ~locked_E[begin] & (_heights(sides, fresh, before, after) <= 2 * limit)
        cost_S[fresh] = np.inf
        fresh, limit = np.extract(able, fresh), np.extract(able, limit)
        missed = _missed(stairs, sides, fresh, before)
        cost_S[fresh] = np.where(missed <= limit, missed, np.inf)
        least_S = (cost_S < cost_S[before]) & (cost_S < cost_S[after])
        absorbed_S = sides.sparing(least_S)
        if not absorbed_S.any():
            break
        stays_S = np.flatnonzero(~absorbed_S)
        grown_S, cost_S = absorbed_S[after][stays_S], cost_S[stays_S]
        sides = sides.without(absorbed_S)
    return sides


def _heights(sides: Sides, corner: Ints, before: Ints, after: Ints) -> Floats:
    """Distance of some corners from the chord between their neighbours, in pixels.

    If a line passes three corners within d, this is at most 2 d: a cheap test that rules out
    most corners of a house.
    """
    x_S, y_S = sides.x_S, sides.y_S
    x, y, last = x_S[before[corner]], y_S[before[corner]], after[corner]
    cx, cy, px, py = x_S[last] - x, y_S[last] - y, x_S[corner] - x, y_S[corner] - y
    chord = np.sqrt(cx * cx + cy * cy)
    return np.abs(cx * py - cy * px) / np.where(chord > 0, chord, 1.0)


def _missed(stairs: Stairs, sides: Sides, corner: Ints, before: Ints) -> Floats:
    """Greatest distance of the exact corners of both sides at a corner from their common line."""
    if corner.size == 0:
        return np.zeros(0)
    rings, ring = stairs.rings, sides.ring_S[corner]
    begin, stop = sides.begin_S[before[corner]], sides.stop_S[corner]
    if kernels.compiled():
        stretches = np.column_stack([begin, stop, rings.first_R[ring], rings.first_R[ring + 1]])
        return _rounded(kernels.missed(rings.x_E, rings.y_E, stairs.sums, stretches))
    line = stairs.lines(begin, stop, ring)
    size, ring_stop = rings.size_R[ring], rings.first_R[1:][ring]
    many = stop - begin + (stop <= begin) * size + 1  # the last corner counts too
    first = np.cumsum(many) - many
    step = positions(begin, many)
    step -= np.repeat(size, many) * (step >= np.repeat(ring_stop, many))
    dx = rings.x_E[step] - np.repeat(line.x_S, many)
    dy = rings.y_E[step] - np.repeat(line.y_S, many)
    off = np.abs(np.repeat(line.tx_S, many) * dy - np.repeat(line.ty_S, many) * dx)
    return _rounded(np.maximum.reduceat(off, first))


def _rounded(most: Floats) -> Floats:
    """Round off the last bits, so that ties are ties wherever the picture lies."""
    return np.asarray(np.rint(most * 2**20) / 2**20, np.float64)
