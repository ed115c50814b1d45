"""Flooding from numbered sources, level by level, over whole arrays at once.

The idea is that of scikit-image's `watershed`. But there the order of sources on one level
hangs on whatever else lies in the image, so a component would come out differently in
another block. Here the water spreads from all sources at the same speed, and of several
that arrive together the lowest number wins.

Axes: H rows, W columns, F pixels at the water's edge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def flooded(
    level_HW: NDArray[np.uint8], sources_HW: NDArray[np.int32], top: int
) -> NDArray[np.int32]:
    """Every pixel whose level is below `top` gets the number of the source that reaches it.

    A pixel is reached over its 4 neighbours once the water stands at its level. What no
    source can reach stays 0. The outermost rows and columns must be at `top`, as the rim of
    a sheet is. Cost: that of the flooded pixels, and a little for every step of the water.

    >>> level = np.full((3, 7), 9, np.uint8)
    >>> level[1, 1:6] = [0, 0, 5, 1, 0]
    >>> flooded(level, np.array([[0] * 7, [0, 1, 0, 0, 0, 2, 0], [0] * 7]), 9)[1].tolist()
    [0, 1, 1, 1, 2, 2, 0]
    """
    width = level_HW.shape[1]
    steps_4 = np.array([[-width], [-1], [1], [width]])
    level, region = level_HW.ravel(), sources_HW.astype(np.int32).ravel()
    np.putmask(region, level >= top, _NEVER)
    ticket = np.empty(region.size, np.int64)

    def dry(beside: Ints) -> Ints:
        """Those that may be flooded and are not, each once."""
        return _once(np.extract(region[beside] == 0, beside), ticket)

    waiting = dry(np.flatnonzero(region > 0) + steps_4)
    for height in range(top):
        is_reached_F = level[waiting] <= height
        edge_F, later = np.extract(is_reached_F, waiting), [np.extract(~is_reached_F, waiting)]
        while edge_F.size:
            beside_4F = edge_F + steps_4
            # Less 1 and without a sign, what is dry and what never floods are the largest.
            around_4F = region[beside_4F]
            region[edge_F] = (around_4F.view(np.uint32) - np.uint32(1)).min(axis=0) + 1
            next_F = dry(np.extract(around_4F == 0, beside_4F))
            is_reached_F = level[next_F] <= height
            later.append(np.extract(~is_reached_F, next_F))
            edge_F = np.extract(is_reached_F, next_F)
        waiting = _once(np.concatenate(later), ticket)
    return np.maximum(region, 0).reshape(level_HW.shape)


_NEVER = -1
"""Stands for a region where no water comes."""


def _once(pixels: Ints, ticket: Ints) -> Ints:
    """The pixels without repetitions: of several that write their turn, the last one stays."""
    turn = np.arange(pixels.size)
    ticket[pixels] = turn
    return np.extract(ticket[pixels] == turn, pixels)
