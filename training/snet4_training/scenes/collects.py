"""Looks drawn at random, and what an angle does to the pixels, by SpaceNet 4's 27 looks."""

from __future__ import annotations

import math

import numpy as np

from snet4core.look.look import Look
from snet4core.look.names import SPACENET4_LOOKS

STEEPEST_SCENE_DEG = 58.0
"""Random looks end a little beyond the challenge's 54 degrees."""


_ANGLES_DEG = np.array([0.0, *(one.off_nadir_deg for one in SPACENET4_LOOKS), 58.0])
_GSDS_M = np.array([0.47, *(one.pan_gsd_m for one in SPACENET4_LOOKS), 2.1])


def native_gsd_m(off_nadir_deg: float) -> float:
    """The pan ground sample distance that the table implies for an angle, metres.

    >>> native_gsd_m(39.6)
    0.8
    """
    return float(np.interp(off_nadir_deg, _ANGLES_DEG, _GSDS_M))


def footprint_stretch(off_nadir_deg: float) -> float:
    """How much longer than wide a pixel's footprint on the ground is, along the look.

    The line of sight meets the ground at the incidence angle, which the earth's
    curvature makes larger than the off-nadir angle (orbit at 770 km).
    """
    sine = min((6371.0 + 770.0) / 6371.0 * math.sin(math.radians(off_nadir_deg)), 0.98)
    return 1.0 / math.sqrt(1.0 - sine * sine)


def random_look(rng: np.random.Generator) -> Look:
    """Any azimuth; the angle evenly over the three categories, then evenly inside one."""
    low_deg, high_deg = ((0.0, 26.0), (26.0, 41.0), (41.0, STEEPEST_SCENE_DEG))[rng.integers(3)]
    return Look(float(rng.uniform(low_deg, high_deg)), float(rng.uniform(0.0, 360.0)), "table")
