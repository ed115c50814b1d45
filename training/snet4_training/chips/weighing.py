"""Per-pixel weights of the loss: extra weight for small buildings and narrow gaps.

They are computed from the burned targets, so they need no new chips.
Axes: H rows, W columns, N buildings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SMALL_PX = 150
"""Buildings up to this area get the whole extra weight: one in twenty of SpaceNet 4's."""

NARROW_PX = 5.0
"""Gaps of this width get 61 % of the extra weight, twice as wide ones 14 %."""


def buildings(targets_MHW: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Buildings of burned targets, (H, W): 0 background, 1..n; shared walls tell them apart."""
    footprint_HW = targets_MHW[0] >= 128
    seeds_HW, count = ndimage.label(footprint_HW & (targets_MHW[1] < 128))
    if count == 0:
        alone_HW, _ = ndimage.label(footprint_HW)
        return np.asarray(alone_HW, dtype=np.int32)
    nearest_2HW = ndimage.distance_transform_edt(
        seeds_HW == 0, return_distances=False, return_indices=True
    )
    return np.asarray(np.where(footprint_HW, seeds_HW[tuple(nearest_2HW)], 0), dtype=np.int32)


def by_size(buildings_HW: NDArray[np.int32]) -> NDArray[np.float32]:
    """1 on buildings up to `SMALL_PX`, falling with the root of the area above, 0 outside."""
    area_N = np.bincount(buildings_HW.ravel()).astype(np.float32)
    share_N = np.sqrt(np.minimum(1.0, SMALL_PX / np.maximum(area_N, 1.0))).astype(np.float32)
    share_N[0] = 0.0
    weight_HW: NDArray[np.float32] = share_N[buildings_HW]
    return weight_HW


def by_gap(buildings_HW: NDArray[np.int32]) -> NDArray[np.float32]:
    """Near 1 between two buildings that nearly touch, near 0 far from any second one.

    As in U-Net (Ronneberger et al. 2015): exp(-(d1 + d2)^2 / (2 x NARROW_PX^2)) with the
    distances to the nearest two buildings. The second is found by way of the line half
    way between two buildings, which is exact where their walls are parallel.
    """
    if buildings_HW.max(initial=0) < 2:
        return np.zeros(buildings_HW.shape, dtype=np.float32)
    first_HW, nearest_2HW = ndimage.distance_transform_edt(buildings_HW == 0, return_indices=True)
    owner_HW = buildings_HW[tuple(nearest_2HW)]
    middle_HW = np.zeros(buildings_HW.shape, dtype=bool)
    down_HW, across_HW = owner_HW[1:] != owner_HW[:-1], owner_HW[:, 1:] != owner_HW[:, :-1]
    for here_HW, changes_HW in (
        (middle_HW[1:], down_HW),
        (middle_HW[:-1], down_HW),
        (middle_HW[:, 1:], across_HW),
        (middle_HW[:, :-1], across_HW),
    ):
        here_HW |= changes_HW
    to_middle_HW = ndimage.distance_transform_edt(~middle_HW)
    both_HW = 2.0 * (first_HW + to_middle_HW)
    return np.asarray(np.exp(-(both_HW**2) / (2 * NARROW_PX**2)), dtype=np.float32)


def weights(
    targets_MHW: NDArray[np.uint8], size_weight: float, gap_weight: float
) -> NDArray[np.float32]:
    """1 everywhere, plus what size and gap add: (H, W), 1 .. 1 + size_weight + gap_weight."""
    weight_HW = np.ones(targets_MHW.shape[1:], dtype=np.float32)
    if not (size_weight or gap_weight):
        return weight_HW
    buildings_HW = buildings(targets_MHW)
    weight_HW += np.float32(size_weight) * by_size(buildings_HW)
    weight_HW += np.float32(gap_weight) * by_gap(buildings_HW)
    return weight_HW
