"""Seeded watershed over whole arrays at once, independent of what else is in the image.

In scikit-image's `watershed`, the order of seeds on one level depends on the rest of the
image, so a component would come out differently in another block. Here all seeds grow at
the same speed, and where several arrive together the lowest number wins.

Axes: H rows, W columns, F pixels of the front.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels

Ints = NDArray[np.int64]


def flooded(
    level_HW: NDArray[np.uint8], sources_HW: NDArray[np.int32], top: int
) -> NDArray[np.int32]:
    """Flood the pixels below level `top` from numbered sources; returns source numbers (H, W).

    A pixel is reached over its 4 neighbours once the flood stands at its level. Pixels that
    no source reaches stay 0. The outermost rows and columns must be at `top`, as the rim of
    a sheet is. The cost is linear in the flooded pixels, plus a little for each step.

    >>> level = np.full((3, 7), 9, np.uint8)
    >>> level[1, 1:6] = [0, 0, 5, 1, 0]
    >>> sources = np.zeros((3, 7), np.int32)
    >>> sources[1, [1, 5]] = [1, 2]
    >>> flooded(level, sources, 9)[1].tolist()
    [0, 1, 1, 1, 2, 2, 0]
    """
    if kernels.compiled():
        return kernels.flooded(level_HW, sources_HW, top)
    width = level_HW.shape[1]
    steps_4 = np.array([[-width], [-1], [1], [width]])
    level, region = level_HW.ravel(), sources_HW.astype(np.int32).ravel()
    np.putmask(region, level >= top, _NEVER)
    is_free = region == 0

    def taken(beside_4F: Ints) -> Ints:
        """The free pixels among these, each once: from now on none of them is free."""
        found = []
        for beside_F in beside_4F:  # the pixels of one row differ
            beside_F = beside_F.compress(is_free[beside_F])
            is_free[beside_F] = False
            found.append(beside_F)
        return np.concatenate(found)

    waiting = taken(np.flatnonzero(region > 0) + steps_4)
    for height in range(top):
        is_reached_F = level[waiting] <= height
        edge_F, later = waiting.compress(is_reached_F), [waiting.compress(~is_reached_F)]
        while edge_F.size:
            beside_4F = edge_F + steps_4
            # Minus 1 and unsigned, unflooded pixels and those that never flood are the largest.
            region[edge_F] = (region[beside_4F].view(np.uint32) - np.uint32(1)).min(axis=0) + 1
            next_F = taken(beside_4F)
            is_reached_F = level[next_F] <= height
            later.append(next_F.compress(~is_reached_F))
            edge_F = next_F.compress(is_reached_F)
        waiting = np.concatenate(later)
    return np.maximum(region, 0).reshape(level_HW.shape)


_NEVER = -1
"""Region number of pixels that never flood."""
