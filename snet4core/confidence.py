"""Confidence that means something: 0.8 = 80 in 100 such footprints are buildings.

A model's card and its maps carry the calibration, footprints apply it; so it stands beside
`settings`, where all three may import it, and loads numpy only when it is applied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from snet4core.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
