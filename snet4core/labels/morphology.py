"""Binary morphology on small masks: erosion, dilation, and depth in erosion steps.

Array names end in their axes: H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels

Mask = NDArray[np.bool_]

STEPS = ("square", "cross", "square", "cross", "square", "cross")
"""Structuring elements of successive erosions; alternating, they approximate a disc."""


def eroded(mask_HW: Mask, step: str) -> Mask:
    """Binary erosion by a 3 x 3 "cross" (4 neighbours) or "square" (8); outside counts as False.

    >>> eroded(np.ones((3, 4), bool), "square").astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    if kernels.compiled():
        return kernels.eroded(mask_HW, step == "square")
    left = np.zeros_like(mask_HW)
    if min(mask_HW.shape) < 3:
        return left
    inner = left[1:-1, 1:-1]
    if step == "square":
        rows = mask_HW[:, :-2] & mask_HW[:, 1:-1] & mask_HW[:, 2:]
        np.logical_and(rows[:-2], rows[1:-1], out=inner)
        inner &= rows[2:]
    else:
        np.logical_and(mask_HW[1:-1, 1:-1], mask_HW[:-2, 1:-1], out=inner)
        inner &= mask_HW[2:, 1:-1]
        inner &= mask_HW[1:-1, :-2]
        inner &= mask_HW[1:-1, 2:]
    return left


def dilated(mask_HW: Mask, step: str) -> Mask:
    """Binary dilation by a 3 x 3 "cross" (4 neighbours) or "square" (8).

    >>> dilated(np.array([[1, 0, 0], [0, 0, 0]], bool), "cross").astype(int).tolist()
    [[1, 1, 0], [1, 0, 0]]
    """
    wide_HW = mask_HW.copy()
    wide_HW[:, 1:] |= mask_HW[:, :-1]
    wide_HW[:, :-1] |= mask_HW[:, 1:]
    source_HW, grown_HW = (wide_HW, wide_HW.copy()) if step == "square" else (mask_HW, wide_HW)
    grown_HW[1:] |= source_HW[:-1]
    grown_HW[:-1] |= source_HW[1:]
    return grown_HW


def depths(mask_HW: Mask, most: int) -> NDArray[np.uint8]:
    """Depth of each pixel in the mask, in erosion steps: 0 outside, 1 at the rim, <= `most`.

    >>> depths(np.ones((5, 5), bool), 3)[2].tolist()
    [1, 2, 3, 2, 1]
    """
    depth_HW = mask_HW.astype(np.uint8)
    for step in range(1, most):
        mask_HW = eroded(mask_HW, STEPS[step % 2])
        depth_HW += mask_HW
    return depth_HW
