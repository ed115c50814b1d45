"""Finds seeds of buildings by stepwise erosion.

A pixel's strength is footprint x (1 - border). Seeds are connected pieces of strong pixels
after one erosion; two buildings that share a wall have one on either side of it. Where the
border map has a gap, a bridge connects them to one piece. So erosion continues, and a seed
that falls into several pieces is replaced by them (ultimate erosion).
Too many seeds do no harm: `watershed` judges every cut between them afterwards.

Axes: H rows, W columns (of a sheet), R runs, N pieces or seeds (index 0 unused).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4core.labels import runs
from snet4core.labels.morphology import STEPS, Mask, eroded

SMALLEST_PX = (4, 2, 1, 1, 1, 1)
"""Least pixels of a piece, after each step, for it to become a seed."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """Numbered seeds 1, 2, ..., each in the size at which it was found."""

    shape: tuple[int, int]
    """Rows and columns of the sheet."""
    born: list[tuple[runs.Runs, NDArray[np.int64]]]
    """Per step, the runs of the pieces found, and each piece's seed number, 0 for none."""
    place_N: NDArray[np.int64]
    """Flat index of one pixel of each seed; entry 0 is unused."""

    def painted(self, chosen_N: NDArray[np.bool_] | None = None) -> NDArray[np.int32]:
        """Seed numbers as an image (H, W), 0 elsewhere; only of the `chosen_N` seeds if given."""
        seeds_HW = np.zeros(self.shape, np.int32)
        for found, number_N in self.born:
            shown_N = number_N if chosen_N is None else number_N * chosen_N[number_N]
            _paint(seeds_HW, found, shown_N)
        return seeds_HW


def seeds_of(strong_HW: Mask) -> Seeds:
    """Find the seeds of a mask of strong pixels (H, W).

    Within a component, numbers follow the order of discovery: by step, then by first pixel.
    A seed that fell apart is not in the result; its pieces have numbers of their own.
    """
    width = strong_HW.shape[1]
    # Seed that each run of the previous step belongs to, and flat index where the run begins.
    seed_of_run_R, first_R = np.zeros(1, np.int64), np.zeros(1, np.int64)
    born: list[tuple[runs.Runs, NDArray[np.int64]]] = []
    total, fallen = 0, [np.zeros(0, np.int64)]
    core_HW = strong_HW
    for step, smallest_px in zip(STEPS, SMALLEST_PX, strict=True):
        core_HW = eroded(core_HW, step)
        found, count = runs.components(core_HW)
        if count == 0:
            break
        parent_N = np.zeros(count + 1, np.int64)
        last_R, first_R = first_R, found.row_R * width + found.start_R
        # An eroded run lies inside its parent, the last run that begins before it.
        before_R = np.searchsorted(last_R, first_R, side="right") - 1
        parent_N[found.label_R] = seed_of_run_R[before_R]
        size_N = np.bincount(found.label_R, found.lengths, count + 1)
        is_kid_N = size_N >= smallest_px
        is_kid_N[0] = False
        if born:
            kids = np.bincount(parent_N[is_kid_N], minlength=total + 1)
            is_kid_N &= (kids >= 2)[parent_N] & (parent_N > 0)
            gone = np.unique(parent_N[is_kid_N])
            fallen.append(gone)
            parent_N[np.isin(parent_N, gone)] = 0
        number_N = (total + np.cumsum(is_kid_N)) * is_kid_N.astype(np.int64)
        total += int(is_kid_N.sum())
        born.append((found, number_N))
        seed_of_run_R = np.where(is_kid_N, number_N, parent_N)[found.label_R]
    return _alive((strong_HW.shape[0], width), born, total, np.concatenate(fallen))


def _alive(
    shape: tuple[int, int],
    born: list[tuple[runs.Runs, NDArray[np.int64]]],
    total: int,
    fallen: NDArray[np.int64],
) -> Seeds:
    """The seeds that did not fall apart, renumbered."""
    lives_N = np.ones(total + 1, np.bool_)
    lives_N[0] = False
    lives_N[fallen] = False
    final_N = np.where(lives_N, np.cumsum(lives_N), 0)
    alive = [(found, final_N[number_N]) for found, number_N in born]
    place_N = np.zeros(int(lives_N.sum()) + 1, np.int64)
    for found, number_N in alive:
        place_N[number_N[found.label_R]] = found.row_R * shape[1] + found.start_R
    return Seeds(shape, alive, place_N)


def _paint(image_HW: NDArray[np.int32], found: runs.Runs, number_N: NDArray[np.int64]) -> None:
    """Write the non-zero numbers of the runs' pieces into the image, in place."""
    some = found.some(number_N > 0)
    number_R = number_N[number_N > 0][some.label_R - 1]
    image_HW.ravel()[some.flat(image_HW.shape[1])] = np.repeat(number_R, some.lengths)
