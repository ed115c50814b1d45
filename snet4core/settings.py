"""Settings for making footprints from maps, and their defaults without a model card.

Lengths are in metres on the ground and become pixels once, in `shaping`. `Calibration` turns a
mean probability into a confidence: the card and the maps carry it, footprints apply it, so it
stands here, where all three may import it. numpy is loaded only when it is applied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from snet4core.errors import ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def _share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"{name} is {value}; it must be between 0 and 1.")


def _length(name: str, value: float) -> None:
    if not 0.0 <= value < float("inf"):
        raise UsageError(f"{name} is {value}; it must be 0 or more.")


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """How attached buildings are split; `watershed` explains how the values interact."""

    seed_threshold: float = 0.75
    """footprint x (1 - border) from which a pixel can seed a building, 0..1."""
    cut_probability: float = 0.5
    """Least probability that a cut between two buildings is right, 0..1; lower cuts more."""

    def __post_init__(self) -> None:
        _share("seed_threshold", self.seed_threshold)
        _share("cut_probability", self.cut_probability)


@dataclass(frozen=True, slots=True)
class ShapeSettings:
    """Settings for making footprints from maps; the model card has one set per look category."""

    threshold: float = 0.5
    """Footprint probability from which a pixel counts as building, 0..1."""
    min_area_m2: float = 5.0
    """Smaller footprints are dropped; true ground area."""
    min_confidence: float = 0.0
    """Footprints of lower confidence are dropped, 0..1."""
    simplify_m: float = 0.5
    """Largest distance of a simplified wall from the mask's edge, metres."""
    regularize: bool = False
    """Fit right angles and straight walls where the mask supports them."""
    split: SplitSettings = field(default_factory=SplitSettings)
    """How attached buildings are split."""

    def __post_init__(self) -> None:
        _share("threshold", self.threshold)
        _length("min_area_m2", self.min_area_m2)
        _share("min_confidence", self.min_confidence)
        _length("simplify_m", self.simplify_m)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Maps the mean probability inside a footprint to the share of such footprints that are
    true: a rising line through knots, fitted on validation data.

    >>> import numpy as np
    >>> Calibration(((0.0, 0.0), (0.5, 0.2), (1.0, 1.0)))(np.array([0.25, 0.75]))
    array([0.1, 0.6])
    """

    knots: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))
    """At least two (mean probability, share of true buildings) pairs; probabilities rise
    strictly, shares never fall and lie in 0..1."""

    def __post_init__(self) -> None:
        fits = (
            len(self.knots) >= 2
            and all(len(knot) == 2 and all(map(math.isfinite, knot)) for knot in self.knots)
            and all(one[0] < two[0] and one[1] <= two[1] for one, two in pairwise(self.knots))
            and self.knots[0][1] >= 0
            and self.knots[-1][1] <= 1
        )
        if not fits:
            raise ModelError(
                f"The confidence knots {self.knots} must rise, and their shares stay between 0 "
                "and 1; calibrate the model again with `snet4 calibrate`."
            )

    def __call__(self, confidence_N: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean probabilities (N,) -> calibrated confidence (N,), both 0..1."""
        import numpy as np

        raw_K, share_K = zip(*self.knots, strict=True)
        return np.asarray(np.interp(confidence_N, raw_K, share_K))


UNCALIBRATED = Calibration()
"""Confidence is the mean probability inside, as it is."""
