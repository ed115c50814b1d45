"""Footprint and border probability maps of one window.

Probabilities are quantised to uint8 (0..255 = 0..1) before anything else uses them, so that
stored maps and maps in memory give the same polygons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4core.windows import Window


@dataclass(frozen=True, slots=True)
class Maps:
    """Both maps of one window, and where they are valid; arrays have the window's shape (H, W)."""

    window: Window
    """Position of the maps in the raster."""
    footprint_HW: NDArray[np.uint8]
    """Probability that the pixel is part of a building's ground footprint, 0..255 = 0..1."""
    border_HW: NDArray[np.uint8]
    """Probability that the pixel lies on a footprint's edge or between two, 0..255 = 0..1."""
    valid_HW: NDArray[np.bool_]
    """True where the picture has data; no building can be elsewhere."""


def quantised_threshold(probability: float) -> int:
    """Smallest uint8 value (0..255 = 0..1) that is at least `probability` (0..1).

    >>> quantised_threshold(0.5), quantised_threshold(0.0), quantised_threshold(1.0)
    (128, 0, 255)
    """
    return math.ceil(probability * 255)
