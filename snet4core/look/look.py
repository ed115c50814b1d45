"""The look of a picture: off-nadir angle and azimuth, and the category that selects the head.

Off-nadir is the angle at the satellite between straight down and the line of sight,
in degrees. Azimuth is the direction from satellite to ground, clockwise from north:
roofs lean towards it. `look.sources` finds the look of a scene.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from snet4core.errors import LookError
from snet4core.sentence import AZIMUTH, OFF_NADIR

Category = Literal["nadir", "off-nadir", "very-off-nadir"]
CATEGORIES: tuple[Category, ...] = get_args(Category)

STEEPEST_DEG = 80.0
"""Beyond this a satellite at 500 km sees only the horizon; such a number is a mistake."""

LOOK_FEATURES = 5
"""Length of `Look.features()`."""


def category_of(off_nadir_deg: float) -> Category:
    """SpaceNet 4's category, by the TRUNCATED absolute angle: <= 25, 26-40, > 40.

    >>> category_of(25.9), category_of(26.0), category_of(-40.9), category_of(41.0)
    ('nadir', 'off-nadir', 'off-nadir', 'very-off-nadir')
    """
    whole_deg = math.floor(abs(off_nadir_deg))
    if whole_deg <= 25:
        return "nadir"
    return "off-nadir" if whole_deg <= 40 else "very-off-nadir"


@dataclass(frozen=True, slots=True)
class Look:
    """Viewing direction of a picture, and where it was read."""

    off_nadir_deg: float
    """0 (straight down) to 80 degrees."""
    azimuth_deg: float | None
    """[0, 360), from satellite to ground, clockwise from north; None when unknown."""
    source: str
    """Where the angle was read: `option`, `table`, `stac`, `metadata`, `name`, `estimated`."""

    def __post_init__(self) -> None:
        if not 0 <= self.off_nadir_deg <= STEEPEST_DEG:
            raise LookError(
                f"An off-nadir angle of {self.off_nadir_deg} degrees ({self.source}) is not "
                f"between 0 and {STEEPEST_DEG:g}; give the true one with ",
                OFF_NADIR,
                ".",
            )
        if self.azimuth_deg is not None and not 0 <= self.azimuth_deg < 360:
            raise LookError(
                f"An azimuth of {self.azimuth_deg} degrees ({self.source}) is not in [0, 360); "
                "give the direction from satellite to ground with ",
                AZIMUTH,
                ".",
            )

    @property
    def category(self) -> Category:
        """nadir, off-nadir or very-off-nadir."""
        return category_of(self.off_nadir_deg)

    @property
    def side(self) -> Literal["north", "south"] | None:
        """Side to which the satellite looks, as five-headed models split it; None if unknown."""
        if self.azimuth_deg is None:
            return None
        return "north" if math.cos(math.radians(self.azimuth_deg)) >= 0 else "south"

    @property
    def lean_m(self) -> tuple[float, float] | None:
        """Metres east and north by which a roof one metre high lies from its footprint.

        None where the azimuth is unknown.

        >>> east_m, north_m = Look(45.0, 90.0, "option").lean_m
        >>> round(east_m, 6), round(north_m, 6)
        (1.0, 0.0)
        """
        if self.azimuth_deg is None:
            return None
        turn, length_m = math.radians(self.azimuth_deg), math.tan(math.radians(self.off_nadir_deg))
        return length_m * math.sin(turn), length_m * math.cos(turn)

    def features(self) -> tuple[float, float, float, float, float]:
        """The network's input: sin and cos of off-nadir, sin and cos of azimuth, known.

        An unknown azimuth is (0, 0) with known = 0, as it also occurs in training.
        """
        tilt = math.radians(self.off_nadir_deg)
        if self.azimuth_deg is None:
            return math.sin(tilt), math.cos(tilt), 0.0, 0.0, 0.0
        turn = math.radians(self.azimuth_deg)
        return math.sin(tilt), math.cos(tilt), math.sin(turn), math.cos(turn), 1.0
