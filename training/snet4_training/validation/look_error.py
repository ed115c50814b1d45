"""Measures the error of the network's look estimates on pictures with known looks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snet4core.look.look import Look
from snet4core.look.sighting import Sighting, angle_between_deg

Guessed = tuple[Look, Sighting]
"""A picture's true look, and what the network guessed."""


def look_error(sets: Sequence[Sequence[Guessed]]) -> tuple[float, float | None] | None:
    """Median error in degrees of the off-nadir angle, and of the azimuth.

    Of several data sets each counts the same. The azimuth counts where it is known and the
    guess was clear; None where it never was. None for no pictures at all.

    >>> true = Look(30.0, 350.0, "table")
    >>> look_error([[(true, Sighting(33.0, 5.0, "estimated", "a model"))]])
    (3.0, 15.0)
    """
    tilts_deg = [_median([_tilt_deg(one) for one in every]) for every in sets if every]
    turns_deg = [_median(turns) for every in sets if (turns := _turns_deg(every))]
    if not tilts_deg:
        return None
    return _mean(tilts_deg), _mean(turns_deg) if turns_deg else None


def _tilt_deg(one: Guessed) -> float:
    look, guess = one
    assert guess.off_nadir_deg is not None  # a guess may lack the azimuth alone
    return abs(guess.off_nadir_deg - look.off_nadir_deg)


def _turns_deg(every: Sequence[Guessed]) -> list[float]:
    return [
        angle_between_deg(guess.azimuth_deg, look.azimuth_deg)
        for look, guess in every
        if guess.azimuth_deg is not None and look.azimuth_deg is not None
    ]


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 2)
