"""Run-length encoded masks, and their 4-connected components.

A building of 600 pixels is about 24 runs, so work on runs costs a fraction of the same work
on pixels; all of it is vectorised. Array names end in their axes: H rows, W columns, R runs
(in raster order unless stated otherwise).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels


@dataclass(frozen=True, slots=True)
class Runs:
    """Maximal horizontal runs of pixels of equal label."""

    row_R: NDArray[np.int64]
    """Row of the run."""
    start_R: NDArray[np.int64]
    """First column of the run."""
    stop_R: NDArray[np.int64]
    """Column after the last one of the run."""
    label_R: NDArray[np.int32]
    """Label of the run's pixels, 1..count."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Pixels of each run, shape (R,)."""
        return self.stop_R - self.start_R

    def some(self, chosen_N: NDArray[np.bool_]) -> Runs:
        """Select the labels whose entry (index = label, 0 unused) is true.

        They are renumbered 1, 2, ... in the order of the labels.
        """
        kept_R = np.flatnonzero(chosen_N[self.label_R])
        number_N = np.cumsum(chosen_N, dtype=np.int32)
        return Runs(
            self.row_R[kept_R],
            self.start_R[kept_R],
            self.stop_R[kept_R],
            number_N[self.label_R[kept_R]],
        )

    def by_label(self) -> Runs:
        """Sort the runs by label."""
        order_R = np.argsort(self.label_R, kind="stable")
        return Runs(
            self.row_R[order_R], self.start_R[order_R], self.stop_R[order_R], self.label_R[order_R]
        )

    def moved(self, shift_N2: NDArray[np.int64]) -> Runs:
        """Shift the runs of each label by (rows, columns); entry 0 is for label 1."""
        shift_R2 = shift_N2[self.label_R - 1]
        return Runs(
            self.row_R + shift_R2[:, 0],
            self.start_R + shift_R2[:, 1],
            self.stop_R + shift_R2[:, 1],
            self.label_R,
        )

    def flat(self, width: int) -> NDArray[np.int64]:
        """Flat index of every pixel, run after run, in an array with `width` columns."""
        return positions(self.row_R * width + self.start_R, self.lengths)

    def values(self, image_HW: NDArray[Any]) -> NDArray[Any]:
        """An image's value at every pixel, run after run."""
        if kernels.compiled():
            first_R = self.row_R * image_HW.shape[1] + self.start_R
            return kernels.take_runs(image_HW, first_R, self.lengths)
        return np.asarray(image_HW.ravel()[self.flat(image_HW.shape[1])])


def positions(first_R: NDArray[np.int64], length_R: NDArray[np.int64]) -> NDArray[np.int64]:
    """Concatenate the ranges first, first + 1, ... of every run.

    >>> positions(np.array([3, 10]), np.array([2, 3])).tolist()
    [3, 4, 10, 11, 12]
    """
    before_R = np.cumsum(length_R) - length_R
    return np.repeat(first_R - before_R, length_R) + np.arange(int(length_R.sum()))


def of_labels(labels_HW: NDArray[np.int32]) -> Runs:
    """Encode a label image (0 is background) as runs.

    >>> found = of_labels(np.array([[1, 1, 2], [0, 2, 2]], np.int32))
    >>> list(zip(found.row_R, found.start_R, found.stop_R, found.label_R)) == [
    ...     (0, 0, 2, 1), (0, 2, 3, 2), (1, 1, 3, 2)]
    True
    """
    if kernels.compiled():
        return Runs(*kernels.runs_of_labels(labels_HW))
    flat, pitch = _rows_apart(labels_HW)
    changes = _changes(flat)
    label = flat[changes]
    is_run = np.flatnonzero(label)
    # A run ends at the next change, whatever begins there.
    start, stop = changes[is_run], np.append(changes, flat.size)[is_run + 1]
    row = start // pitch
    return Runs(row, start - row * pitch, stop - row * pitch, label[is_run])


def components(mask_HW: NDArray[np.bool_]) -> tuple[Runs, int]:
    """Label the 4-connected components of a mask; returns labelled runs and their number.

    Components are numbered by their first pixel in raster order.

    >>> found, count = components(np.array([[1, 0, 1], [1, 1, 1], [0, 0, 0], [0, 1, 0]], bool))
    >>> count, found.label_R.tolist()
    (2, [1, 1, 1, 2])
    """
    if kernels.compiled():
        row_R, start_R, stop_R, label_R, count = kernels.components(mask_HW)
        return Runs(row_R, start_R, stop_R, label_R), count
    flat, pitch = _rows_apart(mask_HW)
    changes = _changes(flat)
    # Changes alternate: into the mask, out of it.
    starts, stops = changes[::2], changes[1::2]
    label_R, count = _joined_runs(starts, stops, pitch)
    row = starts // pitch  # twice as fast as divmod
    return Runs(row, starts - row * pitch, stops - row * pitch, label_R), count


def _rows_apart(image_HW: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Flatten an image so that no run continues in the next row; returns it and its row length.

    Unless all rows end in 0 anyway, as on a sheet, each is extended by a 0.
    """
    height, width = image_HW.shape
    if not image_HW[:, -1:].any():
        return image_HW.ravel(), width
    padded_HW = np.zeros((height, width + 1), image_HW.dtype)
    padded_HW[:, :width] = image_HW
    return padded_HW.ravel(), width + 1


def _changes(flat: NDArray[Any]) -> NDArray[np.int64]:
    """Indices where a flattened image differs from the pixel before; 0 precedes the first."""
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.append(0, changes) if flat[:1].any() else changes


def _joined_runs(
    starts: NDArray[np.int64], stops: NDArray[np.int64], pitch: int
) -> tuple[NDArray[np.int32], int]:
    """Label runs, given as flat indices, that overlap in columns in neighbouring rows.

    Shifted by `pitch`, the row length, a run overlaps those of the next row.
    """
    first_below = np.searchsorted(stops, starts + pitch, side="right")
    after_below = np.searchsorted(starts, stops + pitch, side="left")
    many = np.maximum(after_below - first_below, 0)
    above = np.repeat(np.arange(starts.size), many)
    least_R = joined(above, positions(first_below, many), starts.size)
    # A component's first run is its least, and runs come in raster order.
    number_R = np.cumsum(least_R == np.arange(starts.size), dtype=np.int32)
    return number_R[least_R], int(number_R[-1]) if number_R.size else 0


def joined(one_E: NDArray[np.integer], two_E: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Least member of the set of each of 0..count - 1, where `one_E` and `two_E` are in one set.

    Every round hangs each root under the least that it meets, and shortens all ways to the roots.

    >>> joined(np.array([1, 4, 2]), np.array([3, 3, 5]), 6).tolist()
    [0, 1, 2, 1, 1, 2]
    """
    under_N = np.arange(count)
    # The greatest of a pair hangs under another of it: for most this is all.
    high_E, low_E = np.maximum(one_E, two_E), np.minimum(one_E, two_E)
    while high_E.size:
        np.minimum.at(under_N, high_E, low_E)
        while True:
            shorter_N = under_N[under_N]
            if np.array_equal(shorter_N, under_N):
                break
            under_N = shorter_N
        one_E, two_E = under_N[one_E], under_N[two_E]
        apart = np.flatnonzero(one_E != two_E)
        one_E, two_E = one_E[apart], two_E[apart]
        high_E, low_E = np.maximum(one_E, two_E), np.minimum(one_E, two_E)
    return under_N
