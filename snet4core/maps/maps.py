"""Maps of one window: probabilities of footprint and border, and perhaps roofs and heights.

Values are quantised to uint8 (0..255 = 0..1) before anything else uses them, so that
stored maps and maps in memory give the same polygons.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4core.errors import UsageError
from snet4core.windows import Window

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Maps:
    """Maps of one window, and where they are valid; arrays have the window's shape (H, W).

    The last three are there together, or None: of a model that maps no roofs.
    """

    window: Window
    """Position of the maps in the raster."""
    footprint_HW: NDArray[np.uint8]
    """Probability that the pixel is part of a building's ground footprint, 0..255 = 0..1."""
    border_HW: NDArray[np.uint8]
    """Probability that the pixel lies on a footprint's edge or between two, 0..255 = 0..1."""
    valid_HW: NDArray[np.bool_]
    """True where the picture has data; no building can be elsewhere."""
    roof_HW: Image | None = None
    """Probability that the pixel shows a roof, 0..255 = 0..1."""
    roof_border_HW: Image | None = None
    """Probability that the pixel lies on a roof's edge or between two, 0..255 = 0..1."""
    height_HW: Image | None = None
    """Height of the roof that the pixel shows, on the scale of `maps.heights`."""

    @staticmethod
    def of(window: Window, layers: Iterable[Image], valid_HW: NDArray[np.bool_]) -> Maps:
        """Maps from images in the order of `model.card.TWO_MAPS` or `FIVE_MAPS`."""
        footprint_HW, border_HW, *others = layers
        return Maps(window, footprint_HW, border_HW, valid_HW, *others)

    def __post_init__(self) -> None:
        others = (self.roof_HW, self.roof_border_HW, self.height_HW)
        if len({each is None for each in others}) > 1:
            raise UsageError("Maps of roofs, their borders and heights belong together; give all.")

    @property
    def layers(self) -> tuple[Image, ...]:
        """All maps that are there, in the order of the model card; the reverse of `of`."""
        found = (self.footprint_HW, self.border_HW)
        return found if self.roofs is None else found + self.roofs

    @property
    def roofs(self) -> tuple[Image, Image, Image] | None:
        """Roof, its border and height; None where the model maps none."""
        if self.roof_HW is None or self.roof_border_HW is None or self.height_HW is None:
            return None
        return self.roof_HW, self.roof_border_HW, self.height_HW

    def part(self, window: Window) -> Maps:
        """The maps in a window inside of this one."""
        here = window.slices(self.window)
        return Maps.of(window, [each[here] for each in self.layers], self.valid_HW[here])


def quantised_threshold(probability: float) -> int:
    """Smallest uint8 value (0..255 = 0..1) that is at least `probability` (0..1).

    >>> quantised_threshold(0.5), quantised_threshold(0.0), quantised_threshold(1.0)
    (128, 0, 255)
    """
    return math.ceil(probability * 255)
