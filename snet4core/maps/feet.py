"""Heights once more, from where the feet of the buildings stand.

The network says how high each roof is, and beside it where the footprints are. In a tilted
picture the second knows about the first: a roof of height h lies h x tan(off-nadir) from its
footprint. So each roof is slid back along the lean, and stays where the map of footprints fits
it best: likely inside, unlikely around, borders under its border. How far it was slid is its
height. What the network said of the height holds it back: the less a picture is tilted, the
less a height moves its roof, and the more of the network's own height is kept.

It is a function of one window's maps, halo included, like the maps themselves. So nothing that
comes after depends on blocks, parts or workers. It works on every second pixel.

Axis letters: M maps, H rows, W columns, K candidates, S segments (0 is none), P pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4core.maps.heights import height_m_of

POOLED_PX = 2
"""Side of the squares of pixels whose means are looked at."""
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
TRUST = 0.02 / 7.65**2
"""How much a fit must gain (0..1) for each square step away from the network's own height."""
TILTED_FROM_PX = 0.1
"""Pixels for each metre of height below which a slide would say nothing."""

Floats = NDArray[np.float64]


def heights_by_feet(maps_MHW: NDArray[np.uint8], lean_px: tuple[float, float]) -> NDArray[np.uint8]:
    """The five maps of a window with better heights: (M, H, W), a copy; the others as they are.

    `lean_px` are the columns and rows by which a roof one metre high lies from its footprint.
    Roofs whose footprint would lie outside of the window keep the height they have.
    """
    if np.hypot(*lean_px) < TILTED_FROM_PX:
        return maps_MHW
    footprint_HW, border_HW, roof_HW, roof_border_HW, height_HW = map(_pooled, maps_MHW)
    segments_HW, count = _segments(roof_HW, roof_border_HW)
    if count == 0:
        return maps_MHW
    inside = _Weighed.of(segments_HW, roof_HW, count)
    borders = _Weighed.of(segments_HW, roof_border_HW, count)
    around_HW = np.where(segments_HW > 0, 0, _grown(segments_HW, AROUND))
    around = _Weighed.of(around_HW, np.ones_like(roof_HW), count)
    own_S = inside.mean(height_HW * 255.0)
    step_px = (lean_px[0] / POOLED_PX, lean_px[1] / POOLED_PX)
    fit_KS = np.full((len(CANDIDATES_K), count + 1), -np.inf)
    for fit_S, change in zip(fit_KS, CANDIDATES_K, strict=True):
        value_S = own_S + change
        height_m_S = height_m_of(np.maximum(value_S, 0.0))
        held_back = TRUST * change**2
        fit_S[:] = (
            inside.slid(footprint_HW, height_m_S, step_px)
            - around.slid(footprint_HW, height_m_S, step_px)
            + borders.slid(border_HW, height_m_S, step_px)
            - held_back
        )
        fit_S[(value_S < LOWEST) | np.isnan(fit_S)] = -np.inf
    better_S = np.clip(np.rint(own_S + _best(fit_KS)), 0, 255).astype(np.uint8)
    return _with_heights(maps_MHW, segments_HW, better_S)


@dataclass(frozen=True, slots=True)
class _Weighed:
    """Pixels of segments, with weights."""

    row_P: NDArray[np.intp]
    col_P: NDArray[np.intp]
    segment_P: NDArray[np.intp]
    weight_P: Floats
    total_S: Floats
    """Sum of the weights in each segment."""

    @staticmethod
    def of(segments_HW: NDArray[np.int32], weight_HW: Floats, count: int) -> _Weighed:
        row_P, col_P = np.nonzero(segments_HW)
        segment_P = segments_HW[row_P, col_P].astype(np.intp)
        weight_P = weight_HW[row_P, col_P]
        total_S = np.bincount(segment_P, weight_P, count + 1).astype(np.float64)
        return _Weighed(row_P, col_P, segment_P, weight_P, total_S)

    def mean(self, map_HW: Floats) -> Floats:
        """The weighed mean of a map in each segment; 0 where there is none."""
        sum_S = self._summed(self.weight_P * map_HW[self.row_P, self.col_P])
        return np.asarray(sum_S / np.maximum(self.total_S, 1e-9))

    def slid(
        self,
        map_HW: Floats,
        height_m_S: Floats,
        lean_px: tuple[float, float],
    ) -> Floats:
        """The mean of a map below segments that are slid back by their height.

        NaN where less than half of a segment stays inside of the map, 0 where it has no pixels.
        """
        height_m_P = height_m_S[self.segment_P]
        row_P = np.rint(self.row_P - height_m_P * lean_px[1]).astype(np.intp)
        col_P = np.rint(self.col_P - height_m_P * lean_px[0]).astype(np.intp)
        rows, cols = map_HW.shape
        there_P = (row_P >= 0) & (row_P < rows) & (col_P >= 0) & (col_P < cols)
        weight_P = self.weight_P * there_P
        found_P = map_HW.ravel()[np.where(there_P, row_P * cols + col_P, 0)]
        sum_S, total_S = self._summed(weight_P * found_P), self._summed(weight_P)
        mean_S = sum_S / np.maximum(total_S, 1e-9)
        return np.where(total_S >= 0.5 * self.total_S, mean_S, np.nan)

    def _summed(self, value_P: Floats) -> Floats:
        return np.bincount(self.segment_P, value_P, len(self.total_S)).astype(np.float64)


def _pooled(map_HW: NDArray[np.uint8]) -> Floats:
    """Means (0..1) of squares of pixels; an odd row or column at the end is left out."""
    rows, cols = (side // POOLED_PX for side in map_HW.shape)
    cut_HW = map_HW[: rows * POOLED_PX, : cols * POOLED_PX].astype(np.uint16)
    squares = cut_HW.reshape(rows, POOLED_PX, cols, POOLED_PX).sum((1, 3), dtype=np.uint16)
    return np.asarray(squares / (255.0 * POOLED_PX**2))


def _segments(roof_HW: Floats, border_HW: Floats) -> tuple[NDArray[np.int32], int]:
    """Pixels of about one roof each: connected ones without a border between, then their rims."""
    from scipy.ndimage import label  # takes a tenth of a second to import

    segments_HW, count = label((roof_HW >= SEED) & (border_HW < SEED))
    grown_HW = _grown(segments_HW.astype(np.int32), GROWN_BY)
    return np.where(roof_HW >= LEAST_ROOF, grown_HW, 0), int(count)


def _grown(segments_HW: NDArray[np.int32], steps: int) -> NDArray[np.int32]:
    """Segments grown into pixels of none; where two meet, the one with the larger number."""
    from scipy.ndimage import maximum_filter

    for _ in range(steps):
        segments_HW = np.where(segments_HW > 0, segments_HW, maximum_filter(segments_HW, 3))
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
    whole_HW = segments_HW.repeat(POOLED_PX, 0).repeat(POOLED_PX, 1)
    maps_MHW = maps_MHW.copy()
    height_HW = maps_MHW[-1, : whole_HW.shape[0], : whole_HW.shape[1]]
    height_HW[:] = np.where(whole_HW > 0, value_S[whole_HW], height_HW)
    return maps_MHW
