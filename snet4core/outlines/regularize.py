"""Regularises outlines: straight walls and right angles, where the mask supports them.

1. *Directions*: a building has one main direction, and a second one where a wing stands at
   another angle. They are the peaks of the histogram of its walls' angles modulo 90
   degrees, weighted by squared length.
2. *Turning*: a wall is turned into the nearest direction of its building (of either, when
   two buildings share it) if that moves its ends by less than TURN_PX. The others stay
   slanted.
3. *Tidying*: neighbouring walls on nearly the same line are merged, walls shorter than
   STEP_PX are removed and their neighbours extended; where two parallel walls are farther
   apart than that, a step at a right angle connects them.

A round building, or one whose walls agree on no direction, is left unchanged. `outline`,
which has the mask, decides whether to take the result.

Axis letters: S sides, L labels, D directions of a building.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snet4core.outlines.fitting import Flags, Floats, Lines, Sides, Stairs, summed
from snet4core.outlines.rings import Ints, Rings, successor

RULE = 2
"""Number of the rules and constants below: parts of a run that others made are not gone on with."""

BIN_DEG = 1.5
"""Width of the histogram's bins."""

PEAK_DEG = 9.0
"""Walls whose angles differ by less support the same direction."""

APART_DEG = 18.0
"""A second direction differs from the first by at least this."""

WING_SHARE = 0.25
"""Least share of the outline that must lie within PEAK_DEG of a second direction."""

AGREED_SHARE = 0.3
"""Least share of the outline that must lie within PEAK_DEG of the directions."""

ROUND = 0.9
"""4 pi area / perimeter^2 from which a building is round: 1 for a disc, 0.79 for a square."""

TURN_PX = 3.0
"""Farthest that the ends of a wall may move when it is turned."""

TURN_DEG = 38.0
"""Largest angle by which a wall is turned."""

STEP_PX = 2.0
"""Walls shorter than this, and steps between walls lower than this, count as noise."""

CUT_PX = 5.0
"""A slanted side shorter than this, between walls at right angles, is a rounded corner."""

FREE = -1


def regular(
    rings: Rings,
    stairs: Stairs,
    sides: Sides,
    lines: Lines,
    wanted_E: Flags,
    count: int,
    aspect: float = 1.0,
) -> tuple[Sides, Lines, Flags]:
    """Turn and tidy the wanted sides, in pixels that are `aspect` times as wide as high.

    Returns sides, lines, and flags, shape (count,), True for labels without a direction. A
    common wall comes out the same for both of its buildings, unless one of their rings would
    lose its area.
    """
    label_S, other_S = rings.label_E[sides.begin_S], rings.other_E[sides.begin_S]
    # To square pixels of the same area, where a right angle is one on the ground, and back.
    wide, high = math.sqrt(aspect), math.sqrt(1 / aspect)

    def squared(lines: Lines) -> Lines:
        return lines if aspect == 1 else lines.stretched(wide, high)

    lines = squared(lines)
    if aspect != 1:
        sides = sides.stretched(wide, high)
    direction_LD = directions(lines, label_S, count)
    outer_S = ~rings.hole_R[sides.ring_S]
    direction_LD[compactness(sides, label_S, outer_S, count) > ROUND] = np.nan
    wanted_S = wanted_E[sides.begin_S]
    snapped, axis = turned(lines, label_S, other_S, direction_LD)
    plan = Regularised(
        sides,
        snapped.chosen(wanted_S, lines),
        np.where(wanted_S, axis, FREE),
        ~wanted_S | rings.joint_E[sides.begin_S],
    )
    plan = tidied(plan, lambda sides: squared(stairs.lines_of(sides)))
    none_L = np.isnan(direction_LD[:, 0])
    if aspect == 1:
        return plan.sides, plan.lines, none_L
    return plan.sides.stretched(high, wide), plan.lines.stretched(high, wide), none_L


@dataclass(frozen=True, slots=True)
class Angles:
    """Angle of each side's line modulo 90 degrees; exact under rotation by 90 degrees."""

    folded_S: Floats
    """0 <= angle < pi / 2."""
    quarter_S: Ints
    """1 where folding rotated the line by a quarter turn, else 0."""

    @classmethod
    def of(cls, lines: Lines) -> Angles:
        """Fold the lines' angles; a line has no sign, so a half turn changes nothing."""
        # lines.tx_S >= 0; what points to the second quarter is turned back into the first.
        turned = (lines.ty_S < 0) | (lines.tx_S == 0)
        x = np.where(turned, np.abs(lines.ty_S), lines.tx_S)
        y = np.where(turned, lines.tx_S, lines.ty_S)
        return cls(np.arctan2(y, x), turned.astype(np.int64))


def angle_from(folded: Floats, direction: Floats) -> Floats:
    """Signed angle from a direction in radians, folded into -pi / 4 .. pi / 4.

    >>> float(np.round(np.degrees(angle_from(np.radians([1.0]), np.radians([88.0]))), 6)[0])
    3.0
    """
    quarter = math.pi / 2
    return np.asarray((folded - direction + quarter / 2) % quarter - quarter / 2, np.float64)


def directions(lines: Lines, label_S: NDArray[np.int32], count: int) -> Floats:
    """Main and second direction of every label, shape (count, 2); NaN where there is none.

    In radians, 0 .. pi / 2.
    """
    folded = Angles.of(lines).folded_S
    weight = lines.length_S**2 * lines.weight_S
    perimeter = summed(label_S, lines.length_S, count)
    main = _peak(folded, weight, label_S, count)
    away = np.abs(angle_from(folded, main[label_S]))
    wing = _peak(folded, np.where(away > math.radians(APART_DEG), weight, 0.0), label_S, count)
    near = math.radians(PEAK_DEG)
    apart = np.abs(angle_from(folded, wing[label_S]))
    in_main = summed(label_S, np.where(away <= near, lines.length_S, 0.0), count)
    in_wing = summed(label_S, np.where(apart <= near, lines.length_S, 0.0), count)
    winged = (in_wing >= WING_SHARE * perimeter) & (
        np.abs(angle_from(wing, main)) >= math.radians(APART_DEG)
    )
    agreed = in_main + np.where(winged, in_wing, 0.0) >= AGREED_SHARE * perimeter
    found = np.column_stack([main, np.where(winged, wing, np.nan)])
    found[~agreed] = np.nan
    return found


def _peak(folded: Floats, weight: Floats, label_S: NDArray[np.int32], count: int) -> Floats:
    """Peak of each label's weighted histogram of angles, in radians."""
    bins = round(90 / BIN_DEG)
    spread = round(PEAK_DEG / BIN_DEG)
    here = np.minimum((folded * (2 * bins / math.pi)).astype(np.int64), bins - 1)
    histogram = summed(label_S * bins + here, weight, count * bins).reshape(count, bins)
    # Of square pixels weights are integers, so sums are exact and ties are ties everywhere.
    smooth = sum(
        (spread + 1 - abs(step)) * np.roll(histogram, step, axis=1)
        for step in range(-spread, spread + 1)
    )
    top = (np.argmax(smooth, axis=1) + 0.5) * (math.pi / 2 / bins)
    # The weighted mean near the peak; a line's angle is as certain as its length cubed.
    away = angle_from(folded, top[label_S])
    sure = np.where(np.abs(away) <= math.radians(PEAK_DEG), weight, 0.0)
    total = summed(label_S, sure, count)
    mean = summed(label_S, sure * away, count) / np.where(total > 0, total, 1.0)
    return np.asarray((top + mean) % (math.pi / 2), np.float64)


def turned(
    lines: Lines, label_S: NDArray[np.int32], other_S: NDArray[np.int32], direction_LD: Floats
) -> tuple[Lines, Ints]:
    """Turn lines into the directions of their buildings; returns them and the axis of each.

    Sides with the same axis number are parallel; the numbers of two sides at right angles
    differ in the last bit. A line that is not turned has the axis FREE.
    """
    angles = Angles.of(lines)
    none = np.full(direction_LD.shape[1], np.nan)
    choices = np.vstack([direction_LD, none])
    own, other = label_S, np.where(other_S > 0, other_S, len(direction_LD))
    candidate = np.concatenate([choices[own], choices[other]], axis=1)
    away = np.abs(angle_from(angles.folded_S[:, None], candidate))
    away = np.where(np.isnan(away), np.inf, away)
    best = np.argmin(away, axis=1)
    rows = np.arange(best.size)
    angle = candidate[rows, best]
    turn = np.minimum(away[rows, best], 1.0)  # infinity, where there is no direction, becomes 1 rad
    snapped = (turn <= math.radians(TURN_DEG)) & (np.sin(turn) * lines.length_S / 2 <= TURN_PX)
    snapped &= lines.weight_S > 0
    angle = np.where(snapped, angle, 0.0)
    # 89 degrees are near 1 degree only after a quarter turn.
    wrapped = np.abs(angles.folded_S - angle) > math.pi / 4
    quarter = (angles.quarter_S == 1) ^ wrapped
    cos, sin = np.cos(angle), np.sin(angle)
    # A quarter turn of (cos, sin) is (-sin, cos), but the sign of a line is free.
    tx, ty = np.where(quarter, sin, cos), np.where(quarter, -cos, sin)
    number = np.unique(angle, return_inverse=True)[1].reshape(angle.shape)
    axis = np.where(snapped, 2 * number + quarter, FREE)
    return (
        replace(
            lines,
            tx_S=np.where(snapped, tx, lines.tx_S),
            ty_S=np.where(snapped, ty, lines.ty_S),
        ),
        axis,
    )


def compactness(sides: Sides, label_S: NDArray[np.int32], outer_S: Flags, count: int) -> Floats:
    """Compactness (4 pi area / perimeter^2) of each label's outer ring, shape (count,)."""
    after = successor(sides.first_R)
    x0, y0, x1, y1 = sides.x_S, sides.y_S, sides.x_S[after], sides.y_S[after]
    length = np.where(outer_S, np.hypot(x1 - x0, y1 - y0), 0.0)
    cross = np.where(outer_S, x1 * y0 - x0 * y1, 0.0)
    perimeter = summed(label_S, length, count)
    twice = summed(label_S, cross, count)
    return np.asarray(2 * math.pi * twice / np.where(perimeter > 0, perimeter, 1) ** 2, np.float64)


@dataclass(frozen=True, slots=True)
class Regularised:
    """Sides during regularisation; all arrays but `sides.first_R` are by side."""

    sides: Sides
    lines: Lines
    axis_S: Ints
    """Axis of each side; sides of the same axis are parallel, FREE has none."""
    locked_S: Flags
    """True where the corner at which the side begins must stay in the ring."""


def tidied(plan: Regularised, fitted: Callable[[Sides], Lines]) -> Regularised:
    """Merge sides on nearly the same line, remove short ones, insert right-angled steps.

    `fitted` gives the lines of sides, fitted to their stairs.
    """
    for _ in range(MOST_ROUNDS):
        absorbed, dropped = _nearly_one_line(plan), np.zeros(plan.axis_S.size, bool)
        if not absorbed.any():
            absorbed, dropped = _short(plan)
        if not (absorbed | dropped).any():
            break
        plan = _reduced(plan, fitted, absorbed, dropped)
    return _stepped(plan)


MOST_ROUNDS = 12


def _gap(lines: Lines, one: Ints, two: Ints) -> Floats:
    """Distance of the centre of line `one` from line `two`."""
    dx, dy = lines.x_S[one] - lines.x_S[two], lines.y_S[one] - lines.y_S[two]
    return np.abs(lines.tx_S[two] * dy - lines.ty_S[two] * dx)


def _nearly_one_line(plan: Regularised) -> Flags:
    """True for sides that are collinear with the side before them, within STEP_PX."""
    before, here = plan.sides.before(), np.arange(plan.axis_S.size)
    same = (plan.axis_S == plan.axis_S[before]) & (plan.axis_S != FREE) & ~plan.locked_S
    near = same & (_gap(plan.lines, before, here) < STEP_PX)
    return plan.sides.sparing(near)


def _short(plan: Regularised) -> tuple[Flags, Flags]:
    """Find short sides: (sides to merge into the side before, sides to drop).

    A short side between two walls of one axis is a step, and the three become one wall; any
    other is a cut corner, and its neighbours are extended until they meet. Only sides shorter
    than both neighbours are removed in one round.
    """
    before, after = plan.sides.before(), successor(plan.sides.first_R)
    x, y = plan.sides.x_S, plan.sides.y_S
    length = np.hypot(x[after] - x, y[after] - y)
    axis = plan.axis_S
    # A slanted side between two walls at right angles is a corner that the mask has lost.
    lost = (axis == FREE) & (axis[before] != FREE) & (axis[before] == axis[after] ^ 1)
    short = length < np.where(lost, CUT_PX, STEP_PX)
    short &= (length < length[before]) & (length < length[after])
    short &= ~plan.locked_S & ~plan.locked_S[after]
    step = short & (axis[before] == axis[after]) & (axis[before] != FREE)
    tx, ty = plan.lines.tx_S, plan.lines.ty_S
    cross = np.abs(tx[before] * ty[after] - ty[before] * tx[after])
    corner = short & ~step & (cross > math.sin(math.radians(30)))
    gone = plan.sides.sparing(step | corner, step)
    step, corner = step & gone, corner & gone
    absorbed = step | step[before]
    return absorbed, corner


def _reduced(
    plan: Regularised, fitted: Callable[[Sides], Lines], absorbed: Flags, dropped: Flags
) -> Regularised:
    """Remove sides from the plan; lines whose stairs grew keep their direction."""
    stay = ~(absorbed | dropped)
    sides, lines = plan.sides.without(absorbed, dropped), plan.lines
    fresh = fitted(sides)
    grown = sides.stop_S != plan.sides.stop_S[stay]
    lines = Lines(
        lines.tx_S[stay],
        lines.ty_S[stay],
        np.where(grown, fresh.x_S, lines.x_S[stay]),
        np.where(grown, fresh.y_S, lines.y_S[stay]),
        fresh.length_S,
        lines.weight_S[stay],
    )
    return Regularised(sides, lines, plan.axis_S[stay], plan.locked_S[stay])


def _stepped(plan: Regularised) -> Regularised:
    """Insert a step at a right angle between consecutive walls of one axis."""
    sides, lines, axis = plan.sides, plan.lines, plan.axis_S
    before = sides.before()
    at = np.flatnonzero((axis == axis[before]) & (axis != FREE) & ~plan.locked_S)
    if not at.size:
        return plan
    tx, ty, x, y = lines.tx_S[at], lines.ty_S[at], sides.x_S[at], sides.y_S[at]

    def foot(side: Ints) -> tuple[Floats, Floats]:
        """Perpendicular foot of the corner on the line of a side."""
        along = tx * (x - lines.x_S[side]) + ty * (y - lines.y_S[side])
        return lines.x_S[side] + along * tx, lines.y_S[side] + along * ty

    x0, y0 = foot(before[at])
    x1, y1 = foot(at)
    new_x, new_y = sides.x_S.copy(), sides.y_S.copy()
    new_x[at], new_y[at] = x1, y1
    first = sides.first_R + np.searchsorted(at, sides.first_R)

    def with_steps(values: Floats, steps: Floats) -> Floats:
        return np.insert(values, at, steps)

    sides = Sides(
        np.insert(sides.begin_S, at, sides.begin_S[at]),
        np.insert(sides.stop_S, at, sides.begin_S[at]),
        with_steps(new_x, x0),
        with_steps(new_y, y0),
        first,
    )
    lines = Lines(
        with_steps(lines.tx_S, -ty),
        with_steps(lines.ty_S, tx),
        with_steps(lines.x_S, x),
        with_steps(lines.y_S, y),
        with_steps(lines.length_S, np.zeros(at.size)),
        with_steps(lines.weight_S, np.ones(at.size)),
    )
    return Regularised(
        sides,
        lines,
        np.insert(axis, at, axis[at] ^ 1),
        np.insert(plan.locked_S, at, np.zeros(at.size, bool)),
    )
