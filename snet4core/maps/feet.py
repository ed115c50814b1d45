"""Heights once more, from where the feet of the buildings stand.

The network says how high each roof is, and beside it where the footprints are. In a tilted
picture the second knows about the first: a roof of height h lies h x tan(off-nadir) from its
footprint. So each roof is slid back along the lean, and stays where the map of footprints fits
it best: likely inside, unlikely around, borders under its border. How far it was slid is its
height. What the network said of the height holds it back: the less a picture is tilted, the
less a height moves its roof, and the more of the network's own height is kept.

Roofs are slid by whole pixels, and the fit of heights between is interpolated: rounded to the next
pixel, several heights would have the same fit where a picture is little tilted.

It is a function of one window's maps, halo included, like the maps themselves. So nothing that
comes after depends on blocks, parts or workers. It works on every second pixel.

Sums are of whole numbers, so their order does not matter, and nothing is rounded before the end.

Axis letters: M maps, H rows, W columns, K heights, N places, S segments (from 1 on), R runs of
pixels, P pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels
from snet4core.maps.heights import height_m_of

POOLED_PX = 2
"""Side of the squares of pixels whose sums are looked at."""
SURE = 255 * POOLED_PX**2
"""The sum of such a square where a map is 1."""
SEED = 0.5
"""Least roof, and largest border of roofs, of the pixels that begin a segment, 0..1."""
LEAST_ROOF = 0.2
"""Least probability of a roof of the other pixels of a segment, 0..1."""
GROWN_BY = 3
"""Pooled pixels by which segments grow over their borders."""
AROUND = 2
"""Width of the ring around segments, pooled pixels."""
CANDIDATES_K = np.arange(-44.0, 45.0, 4.0)
"""Heights that are tried, counted from the network's own on the scale of `maps.heights`."""
LOWEST = 25.0
"""The smallest value tried on that scale: 1 m."""
PLACES = 24
"""Most places in which a segment is tried; of a long way they are two, three ... pixels apart."""
BORDER_WEIGHT = 1.5
"""What borders count beside the inside of a segment and its surroundings, 1 each."""
TRUST = 0.02 / 7.65**2
"""How much a fit must gain (0..1) for each square step away from the network's own height."""
TILTED_FROM_PX = 0.1
"""Pixels for each metre of height below which a slide would say nothing."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Sums = NDArray[np.int16]
"""Sums of squares of pixels, 0..`SURE`, (H, W)."""


def heights_by_feet(maps_MHW: NDArray[np.uint8], lean_px: tuple[float, float]) -> NDArray[np.uint8]:
    """The five maps of a window, (M, H, W), with better heights; the input stays as it is.

    Where nothing leans, or no roof is there, they are the input itself.

    `lean_px` are the columns and rows by which a roof one metre high lies from its footprint.
    Roofs whose footprint would lie outside of the window keep the height they have.
    """
    if np.hypot(*lean_px) < TILTED_FROM_PX:
        return maps_MHW
    footprint_HW, border_HW, roof_HW, roof_border_HW, height_HW = map(_pooled, maps_MHW)
    segments_HW, count = _segments(roof_HW, roof_border_HW)
    if count == 0:
        return maps_MHW
    roofs = _Segments.of(segments_HW, count)
    around = _Segments.of(_grown(segments_HW, AROUND) * (segments_HW == 0), count)
    own_S = roofs.means(roof_HW, height_HW)[0] * 255.0
    value_KS = own_S + CANDIDATES_K[:, None]
    places = _Places.of(own_S, lean_px)
    fit_NS = (
        roofs.means(roof_HW, footprint_HW, places.steps_NS2)
        + BORDER_WEIGHT * roofs.means(roof_border_HW, border_HW, places.steps_NS2)
        - around.means(None, footprint_HW, places.steps_NS2)
    )
    fit_KS = places.between(fit_NS, value_KS) - TRUST * CANDIDATES_K[:, None] ** 2
    offset_px_KS2 = height_m_of(np.maximum(value_KS, 0.0))[..., None] * np.array(lean_px)
    foot_KS2 = roofs.middles() - offset_px_KS2 / POOLED_PX
    there_KS2 = (foot_KS2 >= 0) & (foot_KS2 < footprint_HW.shape[::-1])
    fit_KS[(value_KS < LOWEST) | ~there_KS2.all(-1)] = -np.inf
    better_S = np.clip(np.rint(own_S + _best(fit_KS)), 0, 255).astype(np.uint8)
    return _with_heights(maps_MHW, segments_HW, better_S)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where each segment is tried: whole pooled pixels along the longer axis of the lean."""

    px_per_m: float
    """Pooled pixels along that axis for each metre of height."""
    first_S: Floats
    """The place next to the roof, pooled pixels."""
    every_S: Floats
    """Pooled pixels from one place to the next."""
    steps_NS2: Ints
    """Columns and rows by which a segment is slid back."""

    @staticmethod
    def of(own_S: Floats, lean_px: tuple[float, float]) -> _Places:
        """Those around all heights that are tried, counted from the network's own."""
        longer_px = max(abs(each) for each in lean_px)
        px_per_m = longer_px / POOLED_PX
        ends_2S = np.maximum(own_S + CANDIDATES_K[[0, -1], None], LOWEST)
        first_S, last_S = height_m_of(ends_2S) * px_per_m
        first_S, last_S = np.floor(first_S), np.ceil(last_S)
        every_S = np.maximum(np.ceil((last_S - first_S) / (PLACES - 1)), 1.0)
        # One more for the interpolation before the last; where a segment has fewer places than
        # others, its last is repeated, which costs nothing.
        many_S = np.ceil((last_S - first_S) / every_S) + 2
        number_NS = np.minimum(np.arange(many_S.max())[:, None], many_S - 1)
        place_NS = first_S + every_S * number_NS
        steps_NS2 = np.rint(place_NS[..., None] * np.array(lean_px) / longer_px).astype(np.int64)
        return _Places(px_per_m, first_S, every_S, steps_NS2)

    def between(self, fit_NS: Floats, value_KS: Floats) -> Floats:
        """The fit (K, S) of heights on the scale of `maps.heights`: cubic (Catmull and Rom)."""
        place_KS = height_m_of(np.maximum(value_KS, LOWEST)) * self.px_per_m
        number_KS = (place_KS - self.first_S) / self.every_S
        before_KS = np.floor(number_KS).astype(np.int64)
        part_KS = number_KS - before_KS
        a_KS, b_KS, c_KS, d_KS = (
            np.take_along_axis(fit_NS, np.clip(before_KS + step, 0, len(fit_NS) - 1), 0)
            for step in (-1, 0, 1, 2)
        )
        cubic_KS = 3 * (b_KS - c_KS) + d_KS - a_KS
        square_KS = 2 * a_KS - 5 * b_KS + 4 * c_KS - d_KS
        sloped_KS = (c_KS - a_KS + part_KS * (square_KS + part_KS * cubic_KS)) * part_KS
        return np.asarray(b_KS + 0.5 * sloped_KS)


@dataclass(frozen=True, slots=True)
class _Segments:
    """Runs of pixels of the segments 1 to S, one segment after the other."""

    row_R: Ints
    start_R: Ints
    stop_R: Ints
    """The column after the last one."""
    many_S: Ints
    """Runs of each segment; some may have none."""

    @staticmethod
    def of(segments_HW: NDArray[np.int32], count: int) -> _Segments:
        if kernels.compiled():
            row_R, start_R, stop_R, segment_R = kernels.runs_of_labels(segments_HW)
        else:
            row_R, start_R, stop_R, segment_R = _runs(segments_HW)
        # Of 16 bits, numpy sorts in one pass over each byte.
        few_R = segment_R.astype(np.uint16) if count < 1 << 16 else segment_R
        order_R = np.argsort(few_R, kind="stable")
        many_S = np.bincount(segment_R, minlength=count + 1)[1:]
        return _Segments(row_R[order_R], start_R[order_R], stop_R[order_R], many_S)

    def means(self, weight_HW: Sums | None, map_HW: Sums, steps_KS2: Ints | None = None) -> Floats:
        """The mean (K, S) of each segment over a map, 0..1; 0 where nothing weighs.

        Pixels weigh the same or as `weight_HW` says. For each candidate every segment is moved
        back by its columns and rows, without its weights; None: one that stays. What would lie
        outside of the map is at its edge.
        """
        stay_KS2 = np.zeros((1, len(self.many_S), 2), np.int64)
        total_KS = self.slid_sums(stay_KS2 if steps_KS2 is None else steps_KS2, map_HW, weight_HW)
        weight_S = (
            self.sums(self.lengths)
            if weight_HW is None
            else self.slid_sums(stay_KS2, weight_HW, None)[0]
        )
        return np.asarray(total_KS / (float(SURE) * np.maximum(weight_S, 1)))

    def slid_sums(self, steps_KS2: Ints, map_HW: Sums, weight_HW: Sums | None) -> Ints:
        """The sums (K, S) of each segment over a map times weights, see `means`."""
        if kernels.compiled():
            runs = self.row_R, self.start_R, self.stop_R
            return kernels.slid_sums(runs, self.many_S, steps_KS2, map_HW, weight_HW)
        rows, cols = map_HW.shape
        length_R = self.lengths
        row_P = self.row_R.repeat(length_R)
        first_R = np.cumsum(length_R) - length_R
        col_P = np.arange(length_R.sum()) + (self.start_R - first_R).repeat(length_R)
        weight_P = 1 if weight_HW is None else weight_HW[row_P, col_P].astype(np.int64)
        pixels_S = self.sums(length_R)
        sums_KS = np.empty(steps_KS2.shape[:2], np.int64)
        for sums_S, steps_S2 in zip(sums_KS, steps_KS2, strict=True):
            steps_P2 = steps_S2.repeat(pixels_S, 0)
            there_P = (
                np.clip(row_P - steps_P2[:, 1], 0, rows - 1),
                np.clip(col_P - steps_P2[:, 0], 0, cols - 1),
            )
            sums_S[:] = _sums(weight_P * map_HW[there_P].astype(np.int64), pixels_S)
        return sums_KS

    @property
    def lengths(self) -> Ints:
        """Pixels of each run."""
        return self.stop_R - self.start_R

    def sums(self, value_R: Ints) -> Ints:
        """The sum of each segment's values, one for each of its runs."""
        return _sums(value_R, self.many_S)

    def middles(self) -> Floats:
        """The mean column and row of each segment, (S, 2)."""
        length_R = self.lengths
        twice_2S = [
            self.sums(each_R * length_R)
            for each_R in (self.start_R + self.stop_R - 1, 2 * self.row_R)
        ]
        pixels_S = np.maximum(self.sums(length_R), 1)
        return np.asarray(np.column_stack(twice_2S) / (2 * pixels_S)[:, None])


def _sums(value_N: Ints, many_S: Ints) -> Ints:
    """The sums of so many values each, one after the other; 0 of none."""
    upto_N = np.concatenate([np.zeros(1, np.int64), np.cumsum(value_N)])
    ends_S = np.cumsum(many_S)
    return np.asarray(upto_N[ends_S] - upto_N[ends_S - many_S])


def _runs(segments_HW: NDArray[np.int32]) -> tuple[Ints, Ints, Ints, NDArray[np.int32]]:
    """Row, start, stop and number of each run of equal numbers other than 0, in raster order."""
    before_HW, after_HW = (np.pad(segments_HW, ((0, 0), each)) for each in ((1, 0), (0, 1)))
    is_other_HW = before_HW != after_HW
    row_R, start_R = np.nonzero(is_other_HW & (after_HW > 0))
    _, stop_R = np.nonzero(is_other_HW & (before_HW > 0))
    return row_R, start_R, stop_R, segments_HW[row_R, start_R]


def _pooled(map_HW: NDArray[np.uint8]) -> Sums:
    """Sums of squares of pixels; an odd row or column at the end is left out."""
    if kernels.compiled():
        return kernels.pooled(map_HW)
    rows, cols = (side // POOLED_PX * POOLED_PX for side in map_HW.shape)
    # Two pixels side by side are the two bytes of one number.
    pairs_HW = np.ascontiguousarray(map_HW[:rows, :cols]).view(np.uint16)
    sum_HW = (pairs_HW & 255) + (pairs_HW >> 8)
    return np.asarray((sum_HW[::2] + sum_HW[1::2]).view(np.int16))


def _segments(roof_HW: Sums, border_HW: Sums) -> tuple[NDArray[np.int32], int]:
    """Pixels of about one roof each: connected ones without a border between, then their rims."""
    seed, least_roof = round(SEED * SURE), round(LEAST_ROOF * SURE)
    segments_HW, count = _numbered((roof_HW >= seed) & (border_HW < seed))
    return _grown(segments_HW, GROWN_BY) * (roof_HW >= least_roof), count


def _numbered(mask_HW: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """The 4-connected pieces of a mask, 1, 2, ... by their first pixel, and how many they are."""
    if kernels.compiled():
        row_R, start_R, stop_R, label_R, count = kernels.components(mask_HW)
        pieces_HW = np.zeros(mask_HW.shape, np.int32)
        first_R = row_R * mask_HW.shape[1] + start_R
        kernels.fill_runs(pieces_HW, first_R, stop_R - start_R, label_R)
        return pieces_HW, count
    from scipy.ndimage import label  # takes a tenth of a second to import

    pieces_HW, count = label(mask_HW)
    return np.asarray(pieces_HW, np.int32), int(count)


def _grown(segments_HW: NDArray[np.int32], steps: int) -> NDArray[np.int32]:
    """Segments grown into pixels of none; where two meet, the one with the larger number."""
    if kernels.compiled():
        return kernels.grown(segments_HW, steps)
    for _ in range(steps):
        padded_HW = np.pad(segments_HW, 1)
        most_HW = np.maximum(np.maximum(padded_HW[:-2], padded_HW[2:]), padded_HW[1:-1])
        most_HW = np.maximum(np.maximum(most_HW[:, :-2], most_HW[:, 2:]), most_HW[:, 1:-1])
        segments_HW = np.where(segments_HW > 0, segments_HW, most_HW)
    return segments_HW


def _best(fit_KS: Floats) -> Floats:
    """The best change of each segment, between the candidates by a parabola.

    0 where the network's own height has no fit: what lies there is not known.
    """
    best_S = fit_KS.argmax(0)
    middle_S = np.clip(best_S, 1, len(CANDIDATES_K) - 2)
    every_S = np.arange(fit_KS.shape[1])
    before_S, at_S, after_S = (fit_KS[middle_S + step, every_S] for step in (-1, 0, 1))
    sound_S = np.isfinite(before_S + at_S + after_S) & (middle_S == best_S)
    with np.errstate(invalid="ignore", divide="ignore"):
        shift_S = 0.5 * (before_S - after_S) / (before_S - 2 * at_S + after_S)
    sound_S &= np.isfinite(shift_S)
    width = CANDIDATES_K[1] - CANDIDATES_K[0]
    change_S = CANDIDATES_K[best_S] + np.where(sound_S, np.clip(shift_S, -0.5, 0.5), 0.0) * width
    return np.where(np.isfinite(fit_KS[len(CANDIDATES_K) // 2]), change_S, 0.0)


def _with_heights(
    maps_MHW: NDArray[np.uint8], segments_HW: NDArray[np.int32], value_S: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """A copy whose height map has one value in each segment."""
    if kernels.compiled():
        maps_MHW = maps_MHW.copy()
        kernels.paint(maps_MHW[-1], segments_HW, value_S)
        return maps_MHW
    value_S = np.concatenate([[np.uint8(0)], value_S])
    value_HW, is_segment_HW = (
        each_HW.repeat(POOLED_PX, 0).repeat(POOLED_PX, 1)
        for each_HW in (value_S[segments_HW], segments_HW > 0)
    )
    maps_MHW = maps_MHW.copy()
    height_HW = maps_MHW[-1, : value_HW.shape[0], : value_HW.shape[1]]
    np.copyto(height_HW, value_HW, where=is_segment_HW)
    return maps_MHW
