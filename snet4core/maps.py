"""What the network says of one window: footprint and border probability.

Probabilities are quantised to uint8 (0..255 = 0..1) before anything else sees them,
so that a stored map and a map in memory give the same polygons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4core.windows import Window


@dataclass(frozen=True, slots=True)
class Maps:
    """The two maps of one window; all three arrays have the window's shape (H, W)."""

    window: Window
    """Where the maps lie in the raster."""
    footprint_HW: NDArray[np.uint8]
    """Probability that the pixel is part of a building's ground footprint."""
    border_HW: NDArray[np.uint8]
    """Probability that the pixel lies on a footprint's edge or between two of them."""
    valid_HW: NDArray[np.bool_]
    """True where the picture has data; elsewhere nothing can be a building."""


def quantised_threshold(probability: float) -> int:
    """The smallest uint8 value that counts as at least `probability` (0..1).

    >>> quantised_threshold(0.5), quantised_threshold(0.0), quantised_threshold(1.0)
    (128, 0, 255)
    """
    return math.ceil(probability * 255)
