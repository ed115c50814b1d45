"""Fits lines to pixel stairs, moves corners to their intersections, and restores areas.

Between two kept corners the mask's edge is a staircase that oscillates about the true wall.
Its total least squares line, weighted by length, follows from sums over its steps (length,
first and second moments), which are integers and additive: the line of any stretch of a
ring comes from two prefix sums.

Axis letters: E walls (steps) of the exact rings, S sides of simplified rings, R rings.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from snet4core.outlines.rings import Ints, Rings, successor

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

STAY = 0.02
"""Weight of a corner's old position, against 1 for its distance from each of its lines."""

REACH_PX = 1.5
"""Farthest that a corner may move towards the intersection of its lines."""

MOST_SHIFT_PX = 0.5
"""Farthest that walls may move to restore an area."""


def summed(index: NDArray[np.integer], values: Floats, count: int) -> Floats:
    """Sum of the values by index, shape (count,).

    >>> summed(np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0]), 3).tolist()
    [1.0, 0.0, 5.0]
    """
    return np.asarray(np.bincount(index, values, count), np.float64)


@dataclass(frozen=True, slots=True)
class Sides:
    """Simplified rings; side s runs from corner s to the corner of its successor."""

    begin_S: Ints
    """First step of the stairs that the side replaces."""
    stop_S: Ints
    """Step after its last one; <= `begin` where the stretch passes the ring's end."""
    x_S: Floats
    """Column of the corner where the side begins, in pixels."""
    y_S: Floats
    """Row of the corner where the side begins, in pixels."""
    first_R: Ints
    """Index of the first side of each ring, then the number of sides; rings as in `Rings`."""

    @property
    def ring_S(self) -> Ints:
        """The ring of each side."""
        return np.repeat(np.arange(self.first_R.size - 1), np.diff(self.first_R))

    def before(self) -> Ints:
        """Index of the side before each side in its ring."""
        after = successor(self.first_R)
        before = np.empty_like(after)
        before[after] = np.arange(after.size)
        return before

    def stretched(self, x: float, y: float) -> Sides:
        """The same where columns are `x` times as wide and rows `y` times as high."""
        return replace(self, x_S=self.x_S * x, y_S=self.y_S * y)

    def without(self, absorbed_S: Flags, dropped_S: Flags | None = None) -> Sides:
        """Remove sides from the rings.

        The side before takes over the stairs of an absorbed side. The stairs of a dropped
        side are discarded, and its neighbours meet in its middle, until corners are fitted.
        """
        before, after = self.before(), successor(self.first_R)
        stop, x, y, gone = self.stop_S.copy(), self.x_S, self.y_S, absorbed_S
        head = np.flatnonzero(~absorbed_S)
        tail = after[head]
        while (more := absorbed_S[tail]).any():
            head, tail = np.extract(more, head), np.extract(more, tail)
            stop[head] = self.stop_S[tail]
            tail = after[tail]
        if dropped_S is not None:
            cut, gone = dropped_S[before], absorbed_S | dropped_S
            x, y = np.where(cut, (x + x[before]) / 2, x), np.where(cut, (y + y[before]) / 2, y)
        stay = np.flatnonzero(~gone)
        first = np.searchsorted(stay, self.first_R)
        return Sides(self.begin_S[stay], stop[stay], x[stay], y[stay], first)

    def sparing(self, gone_S: Flags, twice_S: Flags | None = None) -> Flags:
        """Clear `gone_S` in rings that would be left with fewer than four sides.

        A side in `twice_S` counts as two.
        """
        count = gone_S.astype(np.float64) + (0.0 if twice_S is None else gone_S & twice_S)
        left = np.diff(self.first_R) - summed(self.ring_S, count, self.first_R.size - 1)
        return np.asarray(gone_S & (left >= 4)[self.ring_S], bool)

    def of_steps(self, rings: Rings, step: Ints) -> Ints:
        """Index of the side that replaces each of the given steps of the exact rings."""
        begun_E = np.cumsum(np.bincount(self.begin_S, minlength=rings.x_E.size))
        side, ring = begun_E[step] - 1, rings.ring_E[step]
        # Steps before a ring's first kept corner belong to its last side.
        return np.where(side < self.first_R[ring], self.first_R[ring + 1] - 1, side)


def sides_between(rings: Rings, kept_E: Flags) -> Sides:
    """Build sides from the kept corners, at their positions in the exact outline."""
    keep = np.flatnonzero(kept_E)
    first = np.searchsorted(keep, rings.first_R)
    stop = keep[successor(first)]
    x, y = rings.x_E[keep].astype(np.float64), rings.y_E[keep].astype(np.float64)
    return Sides(keep, stop, x, y, first)


@dataclass(frozen=True, slots=True)
class Stairs:
    """Prefix sums along the rings, which give the fitted line of any stretch."""

    rings: Rings
    sums: NDArray[np.int64]
    """(6, E + 1): length, 2 x first and 12 x second moments about the ring's start."""

    @classmethod
    def of(cls, rings: Rings) -> Stairs:
        """Compute the sums; they are integers, so the order of summation does not matter."""
        x, y = rings.x_E, rings.y_E
        after, start = successor(rings.first_R), rings.first_R[:-1][rings.ring_E]
        ux, uy = x + x[after] - 2 * x[start], y + y[after] - 2 * y[start]
        lx, ly = x[after] - x, y[after] - y
        length = np.abs(lx + ly)
        sums = np.zeros((6, x.size + 1), np.int64)
        # A step of length l has l^2 / 12 of its own about its middle.
        for row, values in enumerate(
            (1, ux, uy, 3 * ux * ux + lx * lx, 3 * uy * uy + ly * ly, 3 * ux * uy)
        ):
            np.cumsum(length * values, out=sums[row, 1:])
        return cls(rings, sums)

    def lines_of(self, sides: Sides) -> Lines:
        """Fit a line to each side's stairs."""
        return self.lines(sides.begin_S, sides.stop_S, sides.ring_S)

    def lines(self, begin: Ints, stop: Ints, ring: Ints) -> Lines:
        """Fit a line to the stairs from step `begin` to before `stop`, within `ring`."""
        rings = self.rings
        ring_begin, ring_stop = rings.first_R[ring], rings.first_R[ring + 1]
        total = self.sums[:, stop] - self.sums[:, begin]
        around = stop <= begin
        total += around * (self.sums[:, ring_stop] - self.sums[:, ring_begin])
        x, y = rings.x_E, rings.y_E
        last = np.where(stop == ring_stop, ring_begin, stop)
        x0, y0, x1, y1 = x[begin], y[begin], x[last], y[last]
        # From moments about the ring's start to those about the middle of the chord; both
        # doubled, so still integers.
        bx, by = x0 + x1 - 2 * x[ring_begin], y0 + y1 - 2 * y[ring_begin]
        s, sx, sy, sxx, syy, sxy = total
        sxx = sxx - 6 * bx * sx + 3 * bx * bx * s
        syy = syy - 6 * by * sy + 3 * by * by * s
        sxy = sxy - 3 * bx * sy - 3 * by * sx + 3 * bx * by * s
        sx, sy = sx - bx * s, sy - by * s
        length = s.astype(np.float64)
        mx, my = sx / length, sy / length
        vxx, vyy, vxy = (sxx / 3 - sx * mx) / 4, (syy / 3 - sy * my) / 4, (sxy / 3 - sx * my) / 4
        d, e = vxx - vyy, 2 * vxy
        h = np.sqrt(d * d + e * e)
        known = h > 0
        ratio = np.where(known, d / np.where(known, h, 1.0), 1.0)
        # Direction of the largest moment: half the angle of (d, e). Written so that a
        # quarter turn of the stairs gives the very same numbers, turned.
        tx = np.sqrt((1 + ratio) / 2)
        ty = np.where(e < 0, -1.0, 1.0) * np.sqrt((1 - ratio) / 2)
        return Lines(
            tx, ty, (x0 + x1 + mx) / 2, (y0 + y1 + my) / 2, length, known.astype(np.float64)
        )


@dataclass(frozen=True, slots=True)
class Lines:
    """One line per side, through (x, y) along (tx, ty), a unit vector of either sign."""

    tx_S: Floats
    ty_S: Floats
    x_S: Floats
    """Column of the stairs' centre."""
    y_S: Floats
    """Row of the stairs' centre."""
    length_S: Floats
    """Length of the stairs in pixels."""
    weight_S: Floats
    """1, or 0 where the stairs have no direction."""

    def stretched(self, x: float, y: float) -> Lines:
        """The same where columns are `x` times as wide and rows `y` times as high."""
        tx, ty = self.tx_S * x, self.ty_S * y
        longer = np.hypot(tx, ty)
        return Lines(
            tx / longer, ty / longer, self.x_S * x, self.y_S * y, self.length_S * longer,
            self.weight_S,
        )  # fmt: skip

    def chosen(self, here_S: Flags, other: Lines) -> Lines:
        """Choose these lines where `here_S` is True, the others elsewhere."""
        return Lines(
            *(
                np.where(here_S, getattr(self, field.name), getattr(other, field.name))
                for field in fields(self)
            )
        )


def corners_fitted(sides: Sides, lines: Lines, joint_S: Ints, still_S: Flags) -> Sides:
    """Move each corner to the intersection of its lines.

    Corner v minimises the sum of (n.(v - c))^2 over its lines (normal n, centre c) plus
    STAY |v - p|^2; p is its old position, which decides along lines that are nearly parallel.
    Corners with the same number >= 0 in `joint_S` are one point, fitted to the lines of all
    of them. Corners that are `still_S` stay, and so do those of a side that would reverse.
    """
    # A corner without a joint is a point of its own.
    alone = joint_S < 0
    point = np.where(alone, np.cumsum(alone) - 1 + joint_S.max(initial=-1) + 1, joint_S)
    count = int(point.max(initial=-1)) + 1
    before, after = sides.before(), successor(sides.first_R)
    nx, ny, weight = -lines.ty_S, lines.tx_S, lines.weight_S

    def total(ahead: Floats, behind: Floats) -> Floats:
        both = ahead + behind[before]
        return summed(point, both, count)[point]

    aa, ab, bb = weight * nx * nx, weight * nx * ny, weight * ny * ny
    a, b, c = total(aa, aa), total(ab, ab), total(bb, bb)
    several = np.bincount(point, minlength=count)[point]
    a, c = a + STAY * several, c + STAY * several
    # Distance of a side's line from its first corner and from its last one.
    off = weight * (nx * (lines.x_S - sides.x_S) + ny * (lines.y_S - sides.y_S))
    end = weight * (nx * (lines.x_S - sides.x_S[after]) + ny * (lines.y_S - sides.y_S[after]))
    u, v = total(nx * off, nx * end), total(ny * off, ny * end)
    det = a * c - b * b
    dx, dy = (c * u - b * v) / det, (a * v - b * u) / det
    length = np.sqrt(dx * dx + dy * dy)
    short = np.minimum(1.0, REACH_PX / np.where(length > 0, length, 1.0))
    dx, dy = dx * short, dy * short
    still = np.bincount(point, still_S, count)[point] > 0
    ex, ey = sides.x_S[after] - sides.x_S, sides.y_S[after] - sides.y_S
    while True:
        dx, dy = np.where(still, 0.0, dx), np.where(still, 0.0, dy)
        along = ex * (ex + dx[after] - dx) + ey * (ey + dy[after] - dy)
        # A side that reverses, or nearly vanishes, makes its ring cross itself.
        turned = along <= SHRUNK * (ex * ex + ey * ey)
        turned &= ~(still & still[after])
        if not turned.any():
            return replace(sides, x_S=sides.x_S + dx, y_S=sides.y_S + dy)
        ends = turned | turned[before]
        still |= np.bincount(point, ends, count)[point] > 0


SHRUNK = 0.1
"""A side that would shrink to less than this share of its length keeps its corners."""


def area_restored(
    sides: Sides, label_S: NDArray[np.int32], free_S: Flags, area_px_L: Floats
) -> Sides:
    """Offset the free walls of each building so that its area is `area_px_L`, by label.

    All of them move by one distance, outwards or inwards, which is the root of a quadratic;
    so the area is exact unless that takes more than MOST_SHIFT_PX. A corner moves only
    if both its sides are free.
    """
    x, y = sides.x_S, sides.y_S
    after, before = successor(sides.first_R), sides.before()
    ex, ey = x[after] - x, y[after] - y
    length = np.sqrt(ex * ex + ey * ey)
    length = np.where(length > 0, length, 1.0)
    # With the building on the left and y downwards, (-dy, dx) / length points outwards.
    ox, oy = -ey / length, ex / length
    # The mitre: each corner moves so that both its sides move by 1; at spikes by less.
    reach = np.maximum(1 + ox * ox[before] + oy * oy[before], 0.5)
    mx = np.where(free_S, (ox + ox[before]) / reach, 0.0)
    my = np.where(free_S, (oy + oy[before]) / reach, 0.0)

    def total(values: Floats) -> Floats:
        return summed(label_S, values, area_px_L.size)

    area, _ = areas(sides, label_S, area_px_L.size)
    # How area grows with the distance, and with its square; seen with y downwards.
    grow = -total(x * my[after] + mx * y[after] - x[after] * my - mx[after] * y) / 2
    bend = -total(mx * my[after] - mx[after] * my) / 2
    lack = area_px_L - area
    below = grow + np.sqrt(np.maximum(grow * grow + 4 * bend * lack, 0.0))
    shift = np.where(below > 0, 2 * lack / np.where(below > 0, below, 1.0), 0.0)
    shift = np.clip(shift, -MOST_SHIFT_PX, MOST_SHIFT_PX)[label_S]
    return replace(sides, x_S=x + mx * shift, y_S=y + my * shift)


def areas(sides: Sides, label_S: NDArray[np.int32], count: int) -> tuple[Floats, Floats]:
    """Area and perimeter of each label's rings, by label; holes count against the area."""
    after = successor(sides.first_R)
    # Relative to each ring's first corner, so that the window's offset costs no precision.
    start = sides.first_R[:-1][sides.ring_S]
    x, y = sides.x_S - sides.x_S[start], sides.y_S - sides.y_S[start]
    length = np.hypot(x[after] - x, y[after] - y)
    # Seen with y downwards outer rings are negative: half the sum of cross products.
    doubled = summed(label_S, x[after] * y - x * y[after], count)
    return doubled / 2, summed(label_S, length, count)


def strays(rings: Rings, sides: Sides, limit_E: Floats) -> Flags:
    """True for the steps whose corner is farther than `limit_E` from the simplified ring.

    A corner is compared with the side that replaces its step and, where it was kept, with
    the side before.
    """
    after = successor(sides.first_R)
    every = np.arange(rings.x_E.size)
    far = _from_side(rings, sides, after, every, sides.of_steps(rings, every))
    kept = sides.begin_S
    far[kept] = np.minimum(far[kept], _from_side(rings, sides, after, kept, sides.before()))
    return np.asarray(far > limit_E * limit_E, bool)


def _from_side(rings: Rings, sides: Sides, after: Ints, wall: Ints, side: Ints) -> Floats:
    """Squared distance of the corners of some walls from some sides."""
    px, py = rings.x_E[wall] - sides.x_S[side], rings.y_E[wall] - sides.y_S[side]
    cx, cy = sides.x_S[after[side]] - sides.x_S[side], sides.y_S[after[side]] - sides.y_S[side]
    chord = cx * cx + cy * cy
    share = np.clip((px * cx + py * cy) / np.where(chord > 0, chord, 1.0), 0.0, 1.0)
    dx, dy = px - share * cx, py - share * cy
    return np.asarray(dx * dx + dy * dy, np.float64)
