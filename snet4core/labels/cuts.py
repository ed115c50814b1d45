"""Region adjacency graph: measures the cut between each pair of adjacent regions.

A region is the set of pixels flooded from one seed; a cut is the boundary between two
regions. Measured are the border crossed, the cut's length, and the sizes and shapes of both
regions. For each pair of pixels that face each other across a cut, a straight profile from
the seed on one side to the seed on the other sums the weakness along it: a fully weak pixel
counts 1 px, a strong one 0. So the evidence for a cut is the width of the border crossed, in
pixels: 2 to 4 along a wall that both maps show, 0 where there is no border.

Axes: H rows, W columns (of a sheet), P pixels, R regions (index 0 unused), C cuts, F facing
pixel pairs, S samples of a profile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snet4core.labels import morphology, runs
from snet4core.labels.packing import Sheet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAMPLES = 13
"""Samples of a profile, both ends included."""

FULL_STRENGTH = 0.95
"""Strength, 0..1, from which a pixel does not count as border at all."""

MAX_BORDER_PX = 8.0
"""Cap on the border of one profile, so that a single gap cannot decide a cut."""

THIN_PX, OPEN_PX = 0.8, 0.4
"""Border widths below which a cut is thin, and below which it is open."""

DEEP_PX = 6
"""Cap on the weight of a facing pair, which is its depth inside the component in pixels: near
the rim every map is weak."""

NEAR_PX = 4
"""How far inside the outline a border may lie where the mask is too large."""

REGION_SPACING = float(1 << 20)
"""Step of the third coordinate per region, so that nearest points are of the same region."""

TIE_BREAK = (1e-3, 1.4142135623730951e-3)
"""Offset that breaks ties between equally near points in the same way wherever the component
lies."""


@dataclass(frozen=True, slots=True)
class RegionGraph:
    """Region adjacency graph of any number of components."""

    component_R: Ints
    """Component that each region belongs to."""
    moments_R6: Floats
    """Pixel count, and sums of row, col, row², col², row x col within the component's box;
    0 for a region merged into another."""
    rims_R2: Floats
    """Pixels on the component's outline, and the sum of the border (0..1) near them."""
    one_C: Ints
    """Lower region number of each cut."""
    two_C: Ints
    """Higher region number of each cut."""
    tallies_C7: Floats
    """Facing pairs side by side; facing pairs one above the other; sums over all pairs of:
    weight, weight x border, weight x border capped at 2 px, weight where the border is below
    THIN_PX, weight where it is below OPEN_PX."""

    def merged(
        self, chosen_C: NDArray[np.bool_], kept_C: NDArray[np.bool_] | None = None
    ) -> tuple[RegionGraph, Ints]:
        """Merge the regions on both sides of the chosen cuts.

        Returns the new graph and each old region's new number, shape (R,). The higher region
        joins the lower one; no region may be on two chosen cuts. `kept_C` selects the cuts
        that stay in the graph; by default all others.
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
        return RegionGraph(self.component_R, moments_R6, rims_R2, *cuts), into_R

    def lengths_C(self) -> Floats:
        """Length of each cut in pixels: the hypotenuse of its vertical and horizontal edges."""
        return np.hypot(self.tallies_C7[:, 0], self.tallies_C7[:, 1])


def rectangularity(moments_N6: Floats) -> Floats:
    """Area divided by that of the rectangle with the same second moments, shape (N,).

    1 for rectangles at any angle, .95 for a disc, .6 for a thin L: the moments of a
    rectangle a x b are a²/12 and b²/12, so its area is 12 x sqrt(their product).

    >>> rows, cols = np.divmod(np.arange(24.0), 6)
    >>> sums = [24, *(x.sum() for x in (rows, cols, rows**2, cols**2, rows * cols))]
    >>> rectangularity(np.array([sums])).round(6).tolist()
    [1.0]
    """
    area_N = np.maximum(moments_N6[:, 0], 1)
    row_N, col_N, rows_N, cols_N, both_N = (moments_N6[:, 1:] / area_N[:, None]).T
    # A pixel is a square, not a point: 1/12 each way.
    var_row_N = rows_N - row_N**2 + 1 / 12
    var_col_N = cols_N - col_N**2 + 1 / 12
    spread_N = var_row_N * var_col_N - (both_N - row_N * col_N) ** 2
    return np.asarray(area_N / (12 * np.sqrt(np.maximum(spread_N, 1e-9))))


def region_graph(
    regions_HW: NDArray[np.int32],
    body_HW: NDArray[np.bool_],
    strength_HW: NDArray[np.uint8],
    border_HW: NDArray[np.uint8],
    sheet: Sheet,
) -> RegionGraph:
    """Build the region adjacency graph of a sheet's regions (region numbers, H, W).

    Profiles begin and end in `body_HW`, the seeds and the strong pixels around them.
    `strength_HW` and `border_HW` are 0..255.
    """
    region_P = regions_HW.ravel()[sheet.place_P]
    component_R = np.zeros(int(region_P.max()) + 1, np.int64)
    component_R[region_P] = sheet.label_P
    moments_R6 = _moments(runs.of_labels(regions_HW), sheet.corner_N2[component_R])
    rims_R2 = _rims(regions_HW, border_HW)
    here_F, there_F, is_below_F = _facing(regions_HW, sheet.place_P)
    border_F = _border_crossed(regions_HW, body_HW, strength_HW, here_F, there_F)
    depth = morphology.depths(regions_HW > 0, DEEP_PX).ravel()
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
    return RegionGraph(component_R, moments_R6, rims_R2, *cuts)


def _added_up(
    one_F: Ints | NDArray[np.int32], two_F: Ints | NDArray[np.int32], tallies_F7: Floats, size: int
) -> tuple[Ints, Ints, Floats]:
    """Sum facing pairs to cuts: lower region, higher region, tallies; ignore pairs within one."""
    low_F, high_F = np.minimum(one_F, two_F).astype(np.int64), np.maximum(one_F, two_F)
    apart = low_F != high_F
    key_C, index = np.unique(low_F[apart] * size + high_F[apart], return_inverse=True)
    sums = [np.bincount(index, each_F, key_C.size) for each_F in tallies_F7[apart].T]
    return key_C // size, key_C % size, np.stack(sums, axis=1)


def _facing(regions_HW: NDArray[np.int32], place_P: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Flat indices of 4-neighbours in different regions; True where the second lies below."""
    flat, width = regions_HW.ravel(), regions_HW.shape[1]
    pairs = []
    for step in (1, width):
        neighbour_P = place_P + step  # stays on the sheet: components have a background rim
        differs = (flat[neighbour_P] != flat[place_P]) & (flat[neighbour_P] > 0)
        pairs.append((np.extract(differs, place_P), np.extract(differs, neighbour_P)))
    (left, right), (upper, lower) = pairs
    is_below_F = np.repeat([False, True], [left.size, upper.size])
    return np.concatenate([left, upper]), np.concatenate([right, lower]), is_below_F


def _moments(found: runs.Runs, corner_R2: Ints) -> Floats:
    """Raw moments of each region, relative to its corner; integers, so exact in any order."""
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
    """Sum of the integers from 0 to `number` - 1."""
    return number * (number - 1) // 2


def _squares_below(number: Ints) -> Ints:
    """Sum of the squares of the integers from 0 to `number` - 1."""
    return (number - 1) * number * (2 * number - 1) // 6


def _rims(regions_HW: NDArray[np.int32], border_HW: NDArray[np.uint8]) -> Floats:
    """Outline pixels of each region, and the sum of the border (0..1) near them."""
    inside_HW = regions_HW > 0
    near_HW = border_HW
    for _ in range(NEAR_PX):
        near_HW = _highest_around(near_HW) * inside_HW
    rim = np.flatnonzero(inside_HW & ~morphology.eroded(inside_HW, "cross"))
    region = regions_HW.ravel()[rim]
    size = int(regions_HW.max()) + 1
    seen_R = np.bincount(region, near_HW.ravel()[rim] / 255, minlength=size)
    return np.stack([np.bincount(region, minlength=size), seen_R], axis=1)


def _highest_around(image_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Maximum filter over each pixel and its 8 neighbours."""
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
    """Border width in pixels along the profile from seed to seed through each facing pair."""
    if here_F.size == 0:
        return np.zeros(0)
    nearest_F2 = _nearest_of_own_body(regions_HW, body_HW, np.concatenate([here_F, there_F]))
    start_F2, end_F2 = nearest_F2[: here_F.size], nearest_F2[here_F.size :]
    share_S = np.linspace(0, 1, SAMPLES)[:, None, None]
    # Round halves up along the profile, not to even indices: those change with the sheet.
    step_SF2 = np.floor((end_F2 - start_F2) * share_S + 0.5).astype(np.int64)
    way_SF2 = start_F2 + step_SF2
    strength_SF = strength_HW[way_SF2[..., 0], way_SF2[..., 1]] / 255
    length_F = np.hypot(*(end_F2 - start_F2).T)
    weak_F = np.maximum(0, FULL_STRENGTH - strength_SF).mean(axis=0) * length_F
    return np.asarray(np.minimum(weak_F, MAX_BORDER_PX))


def _nearest_of_own_body(
    regions_HW: NDArray[np.int32], body_HW: NDArray[np.bool_], place_F: Ints
) -> Ints:
    """Sheet (row, col) of the body pixel nearest to each flat index, within the same region."""
    region, width = regions_HW.ravel(), regions_HW.shape[1]
    nearest_F = place_F.copy()
    outside = np.flatnonzero(~body_HW.ravel()[place_F])  # pixels of a body are their own nearest
    place_F = place_F[outside]
    if place_F.size:
        # Seen from outside, the nearest pixel of a body is on its rim or at the cut.
        is_rim_HW = body_HW & ~morphology.eroded(body_HW, "cross")
        near_F, far = _nearest_around(np.where(is_rim_HW, regions_HW, 0), place_F, region[place_F])
        if far.size:
            rim = np.flatnonzero(is_rim_HW)
            near_F[far] = _nearest_of_all(
                rim, region[rim], place_F[far], region[place_F[far]], width
            )
        nearest_F[outside] = near_F
    return np.stack(np.divmod(nearest_F, width), axis=1)


def _steps_by_distance() -> list[tuple[int, int]]:
    """All (rows, columns) of at most `AROUND_PX`, the nearest first."""
    reach = range(-AROUND_PX, AROUND_PX + 1)
    steps = [(row, col) for row in reach for col in reach if row**2 + col**2 <= AROUND_PX**2]
    return sorted(steps, key=lambda step: math.dist(step, (-TIE_BREAK[0], -TIE_BREAK[1])))


AROUND_PX = 5
"""Distance within which the nearest pixel is looked for step by step: it holds nearly all."""


def _nearest_around(
    goal_HW: NDArray[np.int32], place_F: Ints, region_F: NDArray[np.int32]
) -> tuple[Ints, Ints]:
    """Flat index of the pixel nearest to each place whose goal is the place's region.

    Also returns the indices of the places that have none within `AROUND_PX`, whose pixel is
    undefined.
    """
    width = goal_HW.shape[1]
    goal = np.pad(goal_HW, AROUND_PX)
    pitch = goal.shape[1]
    row_F, col_F = np.divmod(place_F, width)
    near_F, at_F = place_F.copy(), (row_F + AROUND_PX) * pitch + col_F + AROUND_PX
    goal, left = goal.ravel(), np.arange(place_F.size)
    for row, col in _steps_by_distance():
        is_there_F = goal[at_F + (row * pitch + col)] == region_F
        found = left.compress(is_there_F)
        near_F[found] += row * width + col
        is_there_F = ~is_there_F
        left, at_F = left.compress(is_there_F), at_F.compress(is_there_F)
        region_F = region_F.compress(is_there_F)
        if left.size == 0:
            break
    return near_F, left


def _nearest_of_all(
    rim_N: Ints,
    region_N: NDArray[np.int32],
    place_F: Ints,
    region_F: NDArray[np.int32],
    width: int,
) -> Ints:
    """The same among the pixels `rim_N`, at any distance; each region has some."""
    chosen = np.flatnonzero(np.isin(region_N, region_F))
    chosen = chosen[np.argsort(region_N[chosen], kind="stable")]
    first_F, stop_F = (np.searchsorted(region_N[chosen], region_F, side) for side in SIDES)
    rim_in_space = _in_space(rim_N[chosen], width, region_N[chosen], TIE_BREAK)
    place_in_space = _in_space(place_F, width, region_F, (0, 0))
    if (stop_F - first_F).sum() <= FEW_PAIRS:
        found = _nearest_of_pairs(rim_in_space, first_F, stop_F - first_F, place_in_space)
    else:
        from scipy.spatial import cKDTree  # takes a tenth of a second to import

        tree = cKDTree(rim_in_space, balanced_tree=False, compact_nodes=False)
        found = tree.query(place_in_space)[1]
    return np.asarray(rim_N[chosen[found]])


SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")

FEW_PAIRS = 2**18
"""Pairs of places and pixels that are all compared, in 15 MB; a tree would have to be imported."""


def _nearest_of_pairs(rim_N3: Floats, first_F: Ints, many_F: Ints, place_F3: Floats) -> Ints:
    """Index of the nearest of `many_F` pixels from `first_F` on, of each place."""
    pair_P = runs.positions(first_F, many_F)
    row_P, col_P, _ = (rim_N3[pair_P] - place_F3.repeat(many_F, 0)).T  # of one region
    square_P = row_P * row_P + col_P * col_P
    begin_F = np.cumsum(many_F) - many_F
    is_least_P = square_P == np.minimum.reduceat(square_P, begin_F).repeat(many_F)
    least = np.flatnonzero(is_least_P)
    return np.asarray(pair_P[least[np.searchsorted(least, begin_F)]])


def _in_space(
    place_N: Ints, width: int, region_N: NDArray[np.int32], nudge: tuple[float, float]
) -> Floats:
    """(row, col, region) coordinates that put pixels of other regions far away."""
    row_N, col_N = np.divmod(place_N, width)
    return np.column_stack([row_N + nudge[0], col_N + nudge[1], region_N * REGION_SPACING])
