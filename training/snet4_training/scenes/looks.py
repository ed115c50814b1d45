"""The 27 looks of SpaceNet 4, and random looks.

Catalogue ids, folder names and angles are the challenge's public facts (satellite
WorldView-2, one pass over Atlanta on 22 December 2009).
"""

from __future__ import annotations

import math

import numpy as np

from snet4core.look import Look
from snet4core.look_names import SPACENET4_LOOKS

STEEPEST_SCENE_DEG = 58.0
"""Random looks end a little beyond the challenge's 54 degrees."""


@dataclass(frozen=True, slots=True)
class Collect:
    """One of SpaceNet 4's collects."""

    catalogue_id: str
    """The image vendor's catalogue id, 16 hexadecimal digits."""
    folder: str
    """`nadir` and the angle as the challenge's names say it."""
    off_nadir_deg: float
    """At the satellite, between straight down and the line of sight."""
    azimuth_deg: float
    """From satellite to ground, clockwise from north."""
    pan_gsd_m: float
    """Native ground sample distance of the panchromatic band."""

    @property
    def look(self) -> Look:
        """The look of a scene of this collect."""
        return Look(self.off_nadir_deg, self.azimuth_deg, "table")


SPACENET4_LOOKS: tuple[Collect, ...] = (
    Collect("1030010003D22F00", "nadir7", 7.8, 118.4, 0.48),
    Collect("10300100023BC100", "nadir8", 8.3, 78.4, 0.49),
    Collect("1030010003993E00", "nadir10", 10.5, 148.6, 0.49),
    Collect("1030010003CAF100", "nadir10", 10.6, 57.6, 0.48),
    Collect("1030010002B7D800", "nadir13", 13.9, 162.0, 0.49),
    Collect("10300100039AB000", "nadir14", 14.8, 43.0, 0.49),
    Collect("1030010002649200", "nadir16", 16.9, 168.7, 0.52),
    Collect("1030010003C92000", "nadir19", 19.3, 35.1, 0.52),
    Collect("1030010003127500", "nadir21", 21.3, 174.7, 0.54),
    Collect("103001000352C200", "nadir23", 23.5, 30.7, 0.54),
    Collect("103001000307D800", "nadir25", 25.4, 178.4, 0.57),
    Collect("1030010003472200", "nadir27", 27.4, 27.7, 0.58),
    Collect("1030010003315300", "nadir29", 29.1, 181.0, 0.61),
    Collect("10300100036D5200", "nadir30", 31.0, 25.5, 0.62),
    Collect("103001000392F600", "nadir32", 32.5, 182.8, 0.65),
    Collect("1030010003697400", "nadir34", 34.0, 23.8, 0.68),
    Collect("1030010003895500", "nadir36", 37.0, 22.6, 0.74),
    Collect("1030010003832800", "nadir39", 39.6, 21.5, 0.80),
    Collect("10300100035D1B00", "nadir42", 42.0, 20.7, 0.87),
    Collect("1030010003CCD700", "nadir44", 44.2, 20.0, 0.95),
    Collect("1030010003713C00", "nadir46", 46.1, 19.5, 1.03),
    Collect("10300100033C5200", "nadir47", 47.8, 19.0, 1.13),
    Collect("1030010003492700", "nadir49", 49.3, 18.5, 1.23),
    Collect("10300100039E6200", "nadir50", 50.9, 18.0, 1.36),
    Collect("1030010003BDDC00", "nadir52", 52.2, 17.7, 1.48),
    Collect("1030010003CD4300", "nadir53", 53.4, 17.4, 1.63),
    Collect("1030010003193D00", "nadir53", 54.0, 17.4, 1.67),
)
"""Ordered by angle; the rows of SPACENET4's public table."""

_ANGLES_DEG = np.array([0.0, *(one.off_nadir_deg for one in SPACENET4_LOOKS), 58.0])
_GSDS_M = np.array([0.47, *(one.pan_gsd_m for one in SPACENET4_LOOKS), 2.1])


def native_gsd_m(off_nadir_deg: float) -> float:
    """The pan ground sample distance that the table implies for an angle, metres.

    >>> native_gsd_m(39.6)
    0.8
    """
    return float(np.interp(off_nadir_deg, _ANGLES_DEG, _GSDS_M))


def footprint_stretch(off_nadir_deg: float) -> float:
    """Ratio of length (along the look) to width of a pixel on the ground.

    The line of sight meets the ground at the incidence angle, which the earth's
    curvature makes larger than the off-nadir angle (orbit at 770 km).
    """
    sine = min((6371.0 + 770.0) / 6371.0 * math.sin(math.radians(off_nadir_deg)), 0.98)
    return 1.0 / math.sqrt(1.0 - sine * sine)


def random_look(rng: np.random.Generator) -> Look:
    """A random look: any azimuth; category, then off-nadir angle within it, uniform."""
    low_deg, high_deg = ((0.0, 26.0), (26.0, 41.0), (41.0, STEEPEST_SCENE_DEG))[rng.integers(3)]
    return Look(float(rng.uniform(low_deg, high_deg)), float(rng.uniform(0.0, 360.0)), "table")
