"""Resamples scene pixels to working pixels: block means, or bilinear interpolation.

All are sums of elementwise operations in a fixed order, so a pixel's value does not
depend on the window in which it is computed. Array axes: B bands, H rows, W columns.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels

Counts = NDArray[np.generic]
Valid = NDArray[np.bool_]


def averaged(counts_BHW: Counts, valid_HW: Valid, k: int) -> tuple[NDArray[np.float32], Valid]:
    """Mean of the valid pixels in each k x k cell; H and W are multiples of k.

    A cell is valid if at least half of its pixels are; invalid cells hold 0.

    >>> counts = np.array([[[1, 3], [0, 0]]])
    >>> mean, valid = averaged(counts, np.array([[True, True], [False, False]]), 2)
    >>> mean.tolist(), valid.tolist()
    ([[[2.0]]], [[True]])
    """
    count_HW = _cell_sums(valid_HW, k)
    total_BHW = _cell_sums(np.where(valid_HW, counts_BHW, 0), k)
    keep_HW = 2 * count_HW >= k * k
    mean_BHW = total_BHW / np.maximum(count_HW, 1)
    return np.where(keep_HW, mean_BHW, 0).astype(np.float32), keep_HW


def _cell_sums(values: NDArray[np.generic], k: int) -> NDArray[np.float64]:
    """Sums over k x k cells of the last two axes: rows first, each in reading order."""
    rows = np.zeros((*values.shape[:-2], values.shape[-2] // k, values.shape[-1]))
    for offset in range(k):
        rows += values[..., offset::k, :]
    cells = np.zeros((*rows.shape[:-1], rows.shape[-1] // k))
    for offset in range(k):
        cells += rows[..., offset::k]
    return cells


def interpolated(counts_BHW: Counts, valid_HW: Valid, k: int) -> tuple[NDArray[np.float32], Valid]:
    """Interpolate bilinearly between pixel centres, k-fold finer; invalid pixels weigh nothing.

    The outermost pixels have neighbours on one side only: pass one pixel more on every side
    than is needed. A fine pixel is valid if the pixel that it lies in is; invalid ones hold 0.
    """
    fine_valid_HW = valid_HW.repeat(k, axis=0).repeat(k, axis=1)
    if valid_HW.all():
        # The weights would sum to exactly 1, see `_finer`.
        return _finer(_finer(counts_BHW, k, -2), k, -1).astype(np.float32), fine_valid_HW
    known_BHW = np.where(valid_HW, counts_BHW, 0)
    total_BHW = _finer(_finer(known_BHW, k, -2), k, -1)
    weight_HW = _finer(_finer(valid_HW, k, -2), k, -1)
    total_BHW /= np.where(fine_valid_HW, weight_HW, 1)
    return np.where(fine_valid_HW, total_BHW, 0).astype(np.float32), fine_valid_HW


def resized(values_BCHW: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize pictures or maps (B, C, H, W) to `shape` (rows, columns).

    Linear between pixel centres; when shrinking, a triangle filter weighs all covered pixels,
    against aliasing. Edge pixels are repeated beyond the edge.

    >>> ramp = np.array([[[[0, 1, 2, 3]]]], dtype=np.float32)
    >>> resized(ramp, (1, 2)).tolist(), resized(ramp, (1, 8))[0, 0, 0, 1:4].tolist()
    ([[[[0.625, 2.375]]]], [0.25, 0.75, 1.25])
    """
    return _along(_along(values_BCHW, shape[0], 2), shape[1], 3)


def _along(values: NDArray[np.float32], count: int, axis: int) -> NDArray[np.float32]:
    """Resize one axis to `count` pixels."""
    if values.shape[axis] == count:
        return values
    index_TN, weight_TN = taps(values.shape[axis], count)
    if kernels.compiled():
        return kernels.resampled(values, axis, index_TN, weight_TN)
    total: NDArray[np.float32] | None = None
    for index, weight in zip(index_TN, weight_TN, strict=True):
        part = values.take(index, axis=axis)
        part *= np.expand_dims(weight, tuple(range(1, values.ndim - axis)))
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None  # there are always two taps at least
    return total


def taps(old: int, new: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Indices into `old` pixels and their weights for each of `new` ones: (taps, new) each.

    >>> [each.tolist() for each in taps(2, 4)]
    [[[0, 0, 0, 1], [0, 1, 1, 1]], [[0.25, 0.75, 0.25, 0.75], [0.75, 0.25, 0.75, 0.25]]]
    """
    step = old / new
    reach = max(1.0, step)  # of a triangle around the new pixel's centre
    centre_N = (np.arange(new) + 0.5) * step - 0.5
    first_N = np.ceil(centre_N - reach).astype(np.int64)
    index_TN = first_N + np.arange(math.ceil(2 * reach) + 1)[:, None]
    weight_TN = np.maximum(0.0, 1 - np.abs(index_TN - centre_N) / reach)
    weight_TN /= weight_TN.sum(axis=0)
    used_T = weight_TN.any(axis=1)  # the last are needed where centres meet alone
    return np.clip(index_TN[used_T], 0, old - 1), weight_TN[used_T].astype(np.float32)


def _finer(values: NDArray[np.generic], k: int, axis: int) -> NDArray[np.float64]:
    """Linear interpolation along one axis; fine pixel j has its centre at (j + 0.5) / k.

    Weights are multiples of 2**-20, so that products of two of them are exact and the
    weights of a pixel's neighbours sum to exactly 1.
    """
    axis %= values.ndim
    count = values.shape[axis]
    edge = [(0, 0)] * values.ndim
    edge[axis] = (1, 1)
    edged = np.pad(values.astype(np.float64), edge, mode="edge")
    before, own, after = (
        edged[(slice(None),) * axis + (slice(first, first + count),)] for first in range(3)
    )
    phases = []
    for phase in range(k):
        centre = (phase + 0.5) / k - 0.5  # In pixels from the own centre.
        share = round(abs(centre) * 2**20) / 2**20
        mixed = own * (1 - share)
        mixed += (after if centre > 0 else before) * share
        phases.append(mixed)
    shape = (*values.shape[:axis], count * k, *values.shape[axis + 1 :])
    return np.stack(phases, axis=axis + 1).reshape(shape)
