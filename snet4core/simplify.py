"""Few corners instead of pixel stairs, with the area kept: from rings of walls to polygons.

Three steps, each over all rings at once:

1. *Corners*: which corners of the exact outline stay (`corners`), by Douglas-Peucker.
2. *Fit*: between two kept corners the mask's edge is a staircase that swings about the
   true wall. A line is fitted to the stairs, and neighbouring lines meet in the corner.
3. *Area*: walls towards the background move by one distance per building, so that its
   area is that of its pixels. Walls between two buildings stay where both have them.

Every step looks at the shape alone and treats ties alike, so that a ring gives the same
result from every start, in both walking directions (two neighbours walk their common wall
in opposite ones), and turned with the picture.

Axis letters: E walls of the exact rings, S sides of the simplified rings, R rings, N labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4core.rings import Ints, Rings, successor

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

STEP_PER_PX = 1024
"""Corners lie on this fraction of a pixel, so that adding a window's offset is exact."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Simplified rings; side s goes from its corner to that of the next in its ring."""

    x_S: Floats
    """Corner where the side begins, pixels."""
    y_S: Floats
    """Corner where the side begins, pixels."""
    first_R: Ints
    """Where each ring begins, and behind the last; rings as in the exact ones."""


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
    square = square if square.size else np.zeros(0)
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


def fitted(rings: Rings, kept_E: Flags, exact_E: Flags) -> Sides:
    """The kept corners, moved to where lines fitted to the stairs beside them meet.

    Each corner v makes w1 (n1.(v - c1))^2 + w2 (n2.(v - c2))^2 + STAY |v - p|^2 least: its squared
    distances from the two lines (unit normal n, centre c), and a little from where it was,
    p, which decides along lines that are nearly parallel. Joints stay where they are.
    """
    keep = np.flatnonzero(kept_E)
    first = np.searchsorted(keep, rings.first_R)
    x, y = rings.x_E[keep].astype(np.float64), rings.y_E[keep].astype(np.float64)
    nx, ny, offset, weight = _lines(rings, keep, first)
    ahead = np.arange(keep.size)
    behind = np.empty_like(ahead)
    behind[successor(first)] = ahead
    # Normal equations of the least squares, relative to the corner.
    a = weight[behind] * nx[behind] ** 2 + weight * nx**2 + STAY
    b = weight[behind] * nx[behind] * ny[behind] + weight * nx * ny
    c = weight[behind] * ny[behind] ** 2 + weight * ny**2 + STAY
    after = successor(first)
    end = np.zeros((2, keep.size))
    end[0], end[1] = x[after] - x, y[after] - y
    # Distance of each line from its side's first corner and from its last one.
    to_first = offset
    to_last = offset - (nx * end[0] + ny * end[1])
    u = weight * to_first * nx + weight[behind] * to_last[behind] * nx[behind]
    v = weight * to_first * ny + weight[behind] * to_last[behind] * ny[behind]
    det = a * c - b * b
    dx, dy = (c * u - b * v) / det, (a * v - b * u) / det
    length = np.sqrt(dx * dx + dy * dy)
    limit = np.minimum(1.0, REACH / np.where(length > 0, length, 1.0))
    limit[rings.joint_E[keep] | exact_E[keep]] = 0.0
    return Sides(x + dx * limit, y + dy * limit, first)


STAY = 0.02
REACH = 1.5


def _lines(rings: Rings, keep: Ints, first: Ints) -> tuple[Floats, Floats, Floats, Floats]:
    """Unit normal, distance from the side's first corner, and weight of each side's line.

    The moments are those of the walls as continuous lines, about the middle of the chord.
    """
    x, y = rings.x_E, rings.y_E
    after = successor(rings.first_R)
    # The side to which each wall belongs; those before a ring's first kept corner belong
    # to its last side.
    side = np.cumsum(np.isin(np.arange(x.size), keep)) - 1
    ring = rings.ring_E
    side = np.where(side < first[:-1][ring], first[1:][ring] - 1, side)
    sx, sy = x[keep], y[keep]
    nxt = successor(first)
    mx, my = (sx + sx[nxt]), (sy + sy[nxt])  # twice the middle
    # Everything doubled: whole numbers, so that sums are exact in any order.
    ux, uy = (x + x[after]) - mx[side], (y + y[after]) - my[side]
    lx, ly = x[after] - x, y[after] - y
    length = np.abs(lx + ly)
    n = keep.size

    def total(values: Ints) -> Floats:
        return np.asarray(np.bincount(side, values.astype(np.float64), n), np.float64)

    s0 = total(length)
    s1x, s1y = total(length * ux), total(length * uy)
    # 3 x the doubled second moments: a wall of length l has l^2 / 12 of its own.
    sxx = total(length * (3 * ux * ux + lx * lx)) / 3
    syy = total(length * (3 * uy * uy + ly * ly)) / 3
    sxy = total(length * ux * uy)
    cx, cy = s1x / s0, s1y / s0
    vxx, vyy, vxy = sxx - s1x * cx, syy - s1y * cy, sxy - s1x * cy
    d, e = vxx - vyy, 2 * vxy
    h = np.sqrt(d * d + e * e)
    ok = h > 0
    ratio = np.where(ok, d / np.where(ok, h, 1.0), 1.0)
    # Direction of the largest moment: half the angle of (d, e).
    tx = np.sqrt((1 + ratio) / 2)
    ty = np.where(e < 0, -1.0, 1.0) * np.sqrt((1 - ratio) / 2)
    nx, ny = -ty, tx
    # centre is (cx, cy) / 2 from the middle of the chord; distance from the first corner:
    offset = nx * (cx / 2 + mx / 2 - sx) + ny * (cy / 2 + my / 2 - sy)
    weight = np.where(ok, 1.0, 0.0)
    return nx, ny, offset, weight


def area_kept(rings: Rings, kept_E: Flags, sides: Sides, area_px_L: Floats) -> Sides:
    """Move the walls of each building that face background until its area is `area_px_L`.

    All of them by one distance, outwards or inwards, which is the root of a quadratic; so
    the area is exact unless that takes more than MOST_SHIFT_PX. Joints stay.
    `area_px_L` is indexed by label.
    """
    x, y = sides.x_S, sides.y_S
    after = successor(sides.first_R)
    before = np.empty_like(after)
    before[after] = np.arange(after.size)
    ex, ey = x[after] - x, y[after] - y
    length = np.sqrt(ex * ex + ey * ey)
    length = np.where(length > 0, length, 1.0)
    # With the building on the left and y downwards, (-dy, dx) / length points outwards.
    ox, oy = -ey / length, ex / length
    bx, by = ox[before], oy[before]
    # The mitre: each corner moves so that both its sides move by 1; at spikes by less.
    reach = np.maximum(1 + ox * bx + oy * by, 0.5)
    free = ~rings.joint_E[kept_E] & (rings.other_E[kept_E] == 0)
    mx = np.where(free, (ox + bx) / reach, 0.0)
    my = np.where(free, (oy + by) / reach, 0.0)
    label = np.repeat(rings.label_R, np.diff(sides.first_R))
    count = area_px_L.size

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(label, values, count), np.float64)

    # Seen with y downwards all areas are negative: half the sum of cross products.
    area = -total(x * y[after] - x[after] * y) / 2
    grow = -total(x * my[after] + mx * y[after] - x[after] * my - mx[after] * y) / 2
    bend = -total(mx * my[after] - mx[after] * my) / 2
    lack = area_px_L - area
    root = grow * grow + 4 * bend * lack
    below = grow + np.sqrt(np.maximum(root, 0.0))
    shift = np.where(below > 0, 2 * lack / np.where(below > 0, below, 1.0), 0.0)
    shift = np.clip(shift, -MOST_SHIFT_PX, MOST_SHIFT_PX)[label]
    return Sides(x + mx * shift, y + my * shift, sides.first_R)


MOST_SHIFT_PX = 0.5
