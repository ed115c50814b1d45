"""The scale on which a map holds heights in 8 bits.

A height is the one by which a roof's outline is displaced: that of the eaves, or of the whole
roof where it is flat. Steps grow with the root of the height, as errors do: 0.16 m at 4 m,
0.25 m at 10 m, 0.55 m at 50 m.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HIGHEST_M = 100.0
"""The height of the largest value, 255."""


def height_m_of(value: NDArray[Any]) -> NDArray[np.float64]:
    """Heights above the ground in metres, 0..`HIGHEST_M`, of map values 0..255.

    >>> height_m_of(np.array([0, 51, 255], np.uint8)).round(9).tolist()
    [0.0, 4.0, 100.0]
    """
    return np.asarray(HIGHEST_M * (value / 255.0) ** 2, np.float64)


def height_value_of(height_m: NDArray[Any]) -> NDArray[np.uint8]:
    """Map values 0..255 of heights above the ground in metres; higher ones become 255.

    >>> height_value_of(np.array([0.0, 4.0, 3.0, 250.0])).tolist()
    [0, 51, 44, 255]
    """
    share = np.clip(np.asarray(height_m) / HIGHEST_M, 0.0, 1.0)
    return np.asarray(np.rint(255 * np.sqrt(share)), np.uint8)
