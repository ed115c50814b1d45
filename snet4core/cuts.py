"""What speaks for every cut between two regions: border crossed, length, sizes, shapes.

A region is what was flooded from one heart. For each pair of pixels that face each other
across a cut, one walks straight from the heart on this side to the heart on that side and
adds up the weakness met on the way: a fully weak pixel counts 1 px, a strong one nothing.
So the evidence of a cut is the width, in pixels, of the border one has to cross; a cut
along a wall that both maps know shows 2 to 4, and where there is no border it shows 0.

Axes: H rows, W columns (of a sheet), P pixels, R regions (index 0 unused), C cuts, F facing
pixel pairs, S steps of a walk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from snet4core import hearts, runs
from snet4core.sheet import Sheet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEPS = 13
"""Points of a walk, both ends included."""

FULL = 0.95
"""Strength from which a pixel does not count as border at all."""

ENOUGH_PX = 8.0
"""More border than this on one walk proves no more: a single gap must not carry a cut."""

THIN_PX, OPEN_PX = 0.8, 0.4
"""Less border than this is thin; less than that is an open door."""

DEEP_PX = 6
"""Pairs weigh by their depth inside the component, up to this: at the rim all maps are weak."""

NEAR_PX = 4
"""So far inside the outline of a mask that is too fat a border may lie."""

APART = float(1 << 20)
"""Added per region to a third coordinate, so that nearest points are of one's own region."""

NUDGE = (1e-3, 1.4142135623730951e-3)
"""Moves points off whole numbers by a share that no two distances have in common, so that
the nearest of two equally near points is the same wherever the component lies."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Regions of any number of components, and the cuts between neighbours."""

    component_R: Ints
    """The component that each region is part of."""
    moments_R6: Floats
    """Pixels, and their sums of row, col, row², col², row x col within the component's box;
    0 for a region that joined another."""
    rims_R2: Floats
    """Pixels of the component's outline, and the sum of the border seen near them, 0..1."""
    one_C: Ints
    """The lower region of each cut."""
    two_C: Ints
    """The higher one."""
    tallies_C7: Floats
    """Facing pairs side by side; pairs one above the other; sums over all pairs of: weight,
    weight x border, weight x border up to 2 px, weight where it is below THIN_PX, where it is
    below OPEN_PX."""

    def merged(
        self, chosen_C: NDArray[np.bool_], kept_C: NDArray[np.bool_] | None = None
    ) -> tuple[Graph, Ints]:
        """The graph after taking the chosen cuts back, and each old region's new number.

        No region may be on two chosen cuts. The higher region joins the lower one. Of the
        others only the cuts in `kept_C` go on, if it is given.
        """
        into_R = np.arange(len(self.moments_R6))
        low, high = self.one_C[chosen_C], self.two_C[chosen_C]
        into_R[high] = low
        moments_R6, rims_R2 = self.moments_R6.copy(), self.rims_R2.copy()
        moments_R6[low] += self.moments_R6[high]
        rims_R2[low] += self.rims_R2[high]
        moments_R6[high] = 0
        kept_C = np.ones(chosen_C.size, np.bool_) if kept_C is None else kept_C
        one_C, two_C = into_R[self.one_C[kept_C]], into_R[self.two_C[kept_C]]
        cuts = _added_up(one_C, two_C, self.tallies_C7[kept_C], into_R.size)
        return Graph(self.component_R, moments_R6, rims_R2, *cuts), into_R

    def lengths_C(self) -> Floats:
        """Length of each cut in pixels, as the crow flies over its stairs."""
        return np.hypot(self.tallies_C7[:, 0], self.tallies_C7[:, 1])


def fullness(moments_N6: Floats) -> Floats:
    """Area over that of the rectangle with the same second moments, shape (N,).

    1 for rectangles at any angle, .95 for a disc, .6 for a thin L: the moments of a
    rectangle a x b are a²/12 and b²/12, so its area is 12 x sqrt(their product).

    >>> rows, cols = np.divmod(np.arange(24.0), 6)
    >>> sums = [24, *(x.sum() for x in (rows, cols, rows**2, cols**2, rows * cols))]
    >>> fullness(np.array([sums])).round(6).tolist()
    [1.0]
    """
    area_N = np.maximum(moments_N6[:, 0], 1)
    row_N, col_N, rows_N, cols_N, both_N = (moments_N6[:, 1:] / area_N[:, None]).T
    # A pixel is a square, not a point: 1/12 each way.
    var_row_N = rows_N - row_N**2 + 1 / 12
    var_col_N = cols_N - col_N**2 + 1 / 12
    spread_N = var_row_N * var_col_N - (both_N - row_N * col_N) ** 2
    return np.asarray(area_N / (12 * np.sqrt(np.maximum(spread_N, 1e-9))))


def measured(
    regions_HW: NDArray[np.int32],
    body_HW: NDArray[np.bool_],
    strength_HW: NDArray[np.uint8],
    border_HW: NDArray[np.uint8],
    sheet: Sheet,
) -> Graph:
    """The graph of the regions (numbers, H, W) on a sheet.

    `body_HW` are the places from which and to which one walks; `strength_HW` and
    `border_HW` are 0..255.
    """
    region_P = regions_HW.ravel()[sheet.place_P]
    component_R = np.zeros(int(region_P.max()) + 1, np.int64)
    component_R[region_P] = sheet.label_P
    moments_R6 = _moments(runs.of_labels(regions_HW), sheet.corner_N2[component_R])
    rims_R2 = _rims(regions_HW, border_HW)
    here_F, there_F, is_below_F = _facing(regions_HW, sheet.place_P)
    border_F = _border_crossed(regions_HW, body_HW, strength_HW, here_F, there_F)
    depth = hearts.depths(regions_HW > 0, DEEP_PX).ravel()
    weight_F = np.minimum(depth[here_F], depth[there_F]).astype(np.float64)
    tallies_F7 = np.stack(
        [
            ~is_below_F,
            is_below_F,
            weight_F,
            weight_F * border_F,
            weight_F * np.minimum(border_F, 2),
            weight_F * (border_F < THIN_PX),
            weight_F * (border_F < OPEN_PX),
        ],
        axis=1,
    )
    flat = regions_HW.ravel()
    cuts = _added_up(flat[here_F], flat[there_F], tallies_F7, len(moments_R6))
    return Graph(component_R, moments_R6, rims_R2, *cuts)


def _added_up(
    one_F: Ints | NDArray[np.int32], two_F: Ints | NDArray[np.int32], tallies_F7: Floats, size: int
) -> tuple[Ints, Ints, Floats]:
    """Lower region, higher region and tallies of every cut; pairs within one region left out."""
    low_F, high_F = np.minimum(one_F, two_F).astype(np.int64), np.maximum(one_F, two_F)
    apart = low_F != high_F
    key_C, index = np.unique(low_F[apart] * size + high_F[apart], return_inverse=True)
    tallies_C7 = np.zeros((key_C.size, tallies_F7.shape[1]))
    np.add.at(tallies_C7, index, tallies_F7[apart])
    return key_C // size, key_C % size, tallies_C7


def _facing(regions_HW: NDArray[np.int32], place_P: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Flat places of neighbours in different regions, and whether the second lies below."""
    flat, width = regions_HW.ravel(), regions_HW.shape[1]
    pairs = []
    for step in (1, width):
        neighbour_P = place_P + step  # on the sheet: every component has a rim of background
        differs = (flat[neighbour_P] != flat[place_P]) & (flat[neighbour_P] > 0)
        pairs.append((np.extract(differs, place_P), np.extract(differs, neighbour_P)))
    (left, right), (upper, lower) = pairs
    is_below_F = np.repeat([False, True], [left.size, upper.size])
    return np.concatenate([left, upper]), np.concatenate([right, lower]), is_below_F


def _moments(found: runs.Runs, corner_R2: Ints) -> Floats:
    """Sums over each region's pixels, counted from its corner; whole numbers, so exact in any
    order."""
    row, col = (
        found.row_R - corner_R2[found.label_R, 0],
        found.start_R - corner_R2[found.label_R, 1],
    )
    many, stop = found.lengths, col + found.lengths
    cols = _below(stop) - _below(col)
    squares = _squares_below(stop) - _squares_below(col)
    sums = (many, many * row, cols, many * row * row, squares, row * cols)
    return np.stack([np.bincount(found.label_R, each, len(corner_R2)) for each in sums], axis=1)


def _below(number: Ints) -> Ints:
    """Sum of the whole numbers from 0 to before each number."""
    return number * (number - 1) // 2


def _squares_below(number: Ints) -> Ints:
    """Sum of their squares."""
    return (number - 1) * number * (2 * number - 1) // 6


def _rims(regions_HW: NDArray[np.int32], border_HW: NDArray[np.uint8]) -> Floats:
    """Outline pixels of each region, and the sum of the border seen near them, 0..1 each."""
    inside_HW = regions_HW > 0
    near_HW = border_HW
    for _ in range(NEAR_PX):
        near_HW = _highest_around(near_HW) * inside_HW
    rim = np.flatnonzero(inside_HW & ~hearts.worn(inside_HW, "cross"))
    region = regions_HW.ravel()[rim]
    size = int(regions_HW.max()) + 1
    seen_R = np.bincount(region, near_HW.ravel()[rim] / 255, minlength=size)
    return np.stack([np.bincount(region, minlength=size), seen_R], axis=1)


def _highest_around(image_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The highest value among a pixel and its 8 neighbours."""
    rows = np.pad(image_HW, 1)
    rows = np.maximum(np.maximum(rows[:-2], rows[1:-1]), rows[2:])
    return np.maximum(np.maximum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _border_crossed(
    regions_HW: NDArray[np.int32],
    body_HW: NDArray[np.bool_],
    strength_HW: NDArray[np.uint8],
    here_F: Ints,
    there_F: Ints,
) -> Floats:
    """Weak pixels on the straight way from heart to heart through each facing pair."""
    if here_F.size == 0:
        return np.zeros(0)
    nearest_F2 = _nearest_of_own_body(regions_HW, body_HW, np.concatenate([here_F, there_F]))
    start_F2, end_F2 = nearest_F2[: here_F.size], nearest_F2[here_F.size :]
    share_S = np.linspace(0, 1, STEPS)[:, None, None]
    # Halves are rounded up along the way, not to even places: those change with the sheet.
    step_SF2 = np.floor((end_F2 - start_F2) * share_S + 0.5).astype(np.int64)
    way_SF2 = start_F2 + step_SF2
    strength_SF = strength_HW[way_SF2[..., 0], way_SF2[..., 1]] / 255
    length_F = np.hypot(*(end_F2 - start_F2).T)
    weak_F = np.maximum(0, FULL - strength_SF).mean(axis=0) * length_F
    return np.asarray(np.minimum(weak_F, ENOUGH_PX))


def _nearest_of_own_body(
    regions_HW: NDArray[np.int32], body_HW: NDArray[np.bool_], place_F: Ints
) -> Ints:
    """Sheet (row, col) of the body's pixel nearest to each place, within the same region."""
    region, is_body, width = regions_HW.ravel(), body_HW.ravel(), regions_HW.shape[1]
    nearest_F = place_F.copy()
    outside = np.flatnonzero(~is_body[place_F])  # the others are their own nearest
    place_F = place_F[outside]
    if place_F.size:
        # Seen from outside, the nearest pixel of a body is on its rim or at the cut.
        is_rim_HW = body_HW & ~hearts.worn(body_HW, "cross")
        is_met_R = np.zeros(int(region.max()) + 1, np.bool_)
        is_met_R[region[place_F]] = True
        rim = np.flatnonzero(is_rim_HW)
        rim = rim[is_met_R[region[rim]]]
        tree = cKDTree(
            _in_space(rim, width, region[rim], NUDGE), balanced_tree=False, compact_nodes=False
        )
        nearest_F[outside] = rim[tree.query(_in_space(place_F, width, region[place_F], (0, 0)))[1]]
    return np.stack(np.divmod(nearest_F, width), axis=1)


def _in_space(
    place_N: Ints, width: int, region_N: NDArray[np.int32], nudge: tuple[float, float]
) -> Floats:
    """(row, col, region) of each place, so that places of other regions are far away."""
    row_N, col_N = np.divmod(place_N, width)
    return np.column_stack([row_N + nudge[0], col_N + nudge[1], region_N * APART])
