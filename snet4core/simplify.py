"""Which corners of the exact outline stay when pixel stairs become straight walls.

First Douglas-Peucker, which keeps corners until none that went lies beyond the tolerance
(`corners`); then sides that continue each other are joined again, because a chord between
two corners of the stairs bends where a line through their middle would not (`straightened`).

Both work on all rings at once and without a beginning: they look at the shape alone and
treat ties alike, so that a ring gives the same corners from every start, in both walking
directions (two neighbours walk their common wall in opposite ones), and turned with the
picture.

Axis letters: E walls of the exact rings, R rings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snet4core.rings import Ints, Rings, successor
from snet4core.walls import Sides, Stairs

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def corners(rings: Rings, tolerance_E: Floats) -> Flags:
    """True for the walls whose corner stays, so that none that goes lies beyond the tolerance.

    The farthest corner from the chord stays, then the same between it and the ends. Of
    several that are equally far the first and the last stay, which is the same pair from
    either end. A ring without joints begins at its corners farthest from its centre.
    """
    x, y = rings.x_E.astype(np.float64), rings.y_E.astype(np.float64)
    kept = rings.joint_E | _beginnings(rings, x, y)
    # Lay each ring out from a kept corner and back to it.
    lead_R = np.minimum.reduceat(np.where(kept, np.arange(x.size), x.size), rings.first_R[:-1])
    size = rings.size_R
    first = np.append(0, np.cumsum(size + 1))
    ring = np.repeat(np.arange(size.size), size + 1)
    step = np.arange(first[-1]) - first[ring]
    place = rings.first_R[ring] + (lead_R[ring] - rings.first_R[ring] + step) % size[ring]
    px, py, stays, square = x[place], y[place], kept[place], tolerance_E[place] ** 2
    # A tolerance belongs to a wall; between two kept corners it is the same for all.
    fixed = np.flatnonzero(stays)
    point = np.flatnonzero(~stays)
    high = np.searchsorted(fixed, point)
    low, high = fixed[high - 1], fixed[high]
    square = square[low]
    while point.size:
        far = _distance2(px, py, point, low, high)
        begin = np.flatnonzero(np.append(True, low[1:] != low[:-1]))
        group = np.cumsum(np.append(True, low[1:] != low[:-1])) - 1
        most = np.maximum.reduceat(far, begin)[group]
        split = most > square
        point, low, high, far, most, group, square = (
            a[split] for a in (point, low, high, far, most, group, square)
        )
        if not point.size:
            break
        extreme = np.flatnonzero(far == most)
        order = group[extreme]
        first_one = np.zeros(group[-1] + 1, np.int64)
        last_one = np.zeros(group[-1] + 1, np.int64)
        first_one[order[::-1]] = point[extreme[::-1]]
        last_one[order] = point[extreme]
        near, off = first_one[group], last_one[group]
        stays[near] = stays[off] = True
        low, high = (
            np.where(point > off, off, np.where(point > near, near, low)),
            np.where(point < near, near, np.where(point < off, off, high)),
        )
        rest = (point != near) & (point != off)
        point, low, high, square = point[rest], low[rest], high[rest], square[rest]
    kept = kept.copy()
    kept[place[stays]] = True
    return kept


def _beginnings(rings: Rings, x: Floats, y: Floats) -> Flags:
    """Corners farthest from the mean corner, all of them, in rings without joints."""
    begin, size = rings.first_R[:-1], rings.size_R
    ring = rings.ring_E
    # Times the number of corners, so that all numbers are whole and sums exact.
    dx = x * size[ring] - np.add.reduceat(x, begin)[ring]
    dy = y * size[ring] - np.add.reduceat(y, begin)[ring]
    far = dx * dx + dy * dy
    alone = ~np.logical_or.reduceat(rings.joint_E, begin)
    found: Flags = (far == np.maximum.reduceat(far, begin)[ring]) & alone[ring]
    return found


def _distance2(x: Floats, y: Floats, point: Ints, low: Ints, high: Ints) -> Floats:
    """Squared distance of points from the chord low-high (a segment, perhaps of no length)."""
    cx, cy = x[high] - x[low], y[high] - y[low]
    ax, ay = x[point] - x[low], y[point] - y[low]
    bx, by = x[high] - x[point], y[high] - y[point]
    chord = cx * cx + cy * cy
    before, behind = ax * cx + ay * cy, bx * cx + by * cy
    cross = ax * cy - ay * cx
    inside = (before > 0) & (behind > 0)
    line = cross * cross / np.where(chord > 0, chord, 1.0)
    end = np.minimum(ax * ax + ay * ay, bx * bx + by * by)
    return np.asarray(np.where(inside, line, end), np.float64)


STRAIGHT = 0.85
"""Sides are joined if one line passes all their corners within this share of the tolerance."""

MOST_ROUNDS = 8


def straightened(stairs: Stairs, sides: Sides, tolerance_E: Floats, locked_E: Flags) -> Sides:
    """Sides that continue each other joined; corners of locked steps stay.

    In every round those corners go that are missed least and less than both neighbouring
    ones, so that the order of the corners plays no part.
    """
    rings = stairs.rings
    changed_R = np.ones(rings.label_R.size, bool)
    missed = np.full(sides.begin_S.size, np.inf)
    for _ in range(MOST_ROUNDS):
        begin, ring = sides.begin_S, sides.ring_S
        limit = STRAIGHT * tolerance_E[begin]
        # Rings that lost nothing in the last round have the same sides as then.
        fresh = changed_R[ring]
        able = fresh & ~locked_E[begin] & (_height(sides) <= 2 * limit)
        missed[fresh] = np.inf
        missed[able] = _missed(stairs, sides, able, np.flatnonzero(changed_R[rings.ring_E]))
        cost = np.where(missed <= limit, missed, np.inf)
        least = (cost < cost[sides.before()]) & (cost < cost[successor(sides.first_R)])
        absorbed = sides.sparing(least)
        if not absorbed.any():
            break
        changed_R = np.bincount(ring[absorbed], minlength=changed_R.size) > 0
        sides, missed = sides.without(absorbed), missed[~absorbed]
    return sides


def _height(sides: Sides) -> Floats:
    """Distance of each corner from the chord between its neighbours.

    A line that misses three corners by at most d leaves at most 2 d of it, which tells
    most corners of a house at a glance.
    """
    before, after = sides.before(), successor(sides.first_R)
    cx, cy = sides.x_S[after] - sides.x_S[before], sides.y_S[after] - sides.y_S[before]
    px, py = sides.x_S - sides.x_S[before], sides.y_S - sides.y_S[before]
    chord = np.sqrt(cx * cx + cy * cy)
    return np.abs(cx * py - cy * px) / np.where(chord > 0, chord, 1.0)


def _missed(stairs: Stairs, sides: Sides, able_S: Flags, step: Ints) -> Floats:
    """How far the line through both sides at a corner misses one of their corners at most.

    For the corners that are `able_S`, in their order; `step` holds all steps of their sides.
    """
    rings, before, after = stairs.rings, sides.before(), successor(sides.first_R)
    line = stairs.lines(sides.begin_S[before][able_S], sides.stop_S[able_S], sides.ring_S[able_S])
    place = np.cumsum(able_S) - 1
    most = np.zeros(line.x_S.size)
    side = sides.of_steps(rings, step)
    # Each step belongs to the line about the corner before its side, and about that behind.
    for about in (side, after[side]):
        used = able_S[about]
        corner, here = place[about[used]], step[used]
        for at in (here, successor(rings.first_R)[here]):
            dx, dy = rings.x_E[at] - line.x_S[corner], rings.y_E[at] - line.y_S[corner]
            np.maximum.at(most, corner, np.abs(line.tx_S[corner] * dy - line.ty_S[corner] * dx))
    # What is equal must stay equal wherever the picture lies: drop the last bits.
    return np.rint(most * 2**20) / 2**20
