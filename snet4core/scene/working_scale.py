"""Chooses the working grid: the pixel size at which the network runs on a scene.

Its pixels have about the size that the model was trained on: scene pixels averaged k by k,
or interpolated k-fold finer. k is a whole number, and 1 for most scenes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from snet4core.errors import InputError
from snet4core.grid import Grid

MOST_FINER, MOST_COARSER = 3, 128
"""Finer than 3-fold invents detail; beyond 128-fold coarser, the pixel size is a mistake."""


@dataclass(frozen=True, slots=True)
class WorkingScale:
    """How scene pixels become working pixels."""

    factor: int = 1
    """k: side of a working pixel in scene pixels, or the reverse if `finer`."""
    finer: bool = False
    """True: k x k working pixels lie in one scene pixel."""
    gsd_m: float = 0.0
    """Side of a working pixel on the ground, metres."""
    warning: str | None = None
    """Set when even the working pixels are outside the sizes seen in training."""

    def grid(self, native: Grid) -> Grid:
        """The working grid for a scene's own grid."""
        return native if self.factor == 1 else native.scaled(self.factor, finer=self.finer)


def working_scale(
    gsd_m: float, trained_range_m: tuple[float, float], work_gsd_m: float
) -> WorkingScale:
    """The whole-number factor that brings pixels of `gsd_m` closest to the model's own.

    Inside the trained range nothing is resampled. InputError for pixels so small that
    they must be a mistake.

    >>> working_scale(0.5, (0.3, 1.0), 0.5).factor, working_scale(0.13, (0.3, 1.0), 0.5).factor
    (1, 4)
    >>> working_scale(2.0, (0.3, 1.0), 0.5)  # doctest: +ELLIPSIS
    WorkingScale(factor=3, finer=True, gsd_m=0.666..., warning=None)
    """
    low_m, high_m = trained_range_m
    if low_m * 0.98 <= gsd_m <= high_m * 1.02:
        return WorkingScale(gsd_m=gsd_m)
    if gsd_m < low_m:
        ideal = work_gsd_m / gsd_m
        if ideal > MOST_COARSER:
            raise InputError(
                f"A pixel measures {gsd_m:.3g} m, the model's {work_gsd_m:g} m; check the "
                "transform and its units, or average the picture first."
            )
    else:
        ideal = gsd_m / work_gsd_m
    candidates = {max(1, math.floor(ideal)), math.ceil(ideal)}
    finer = gsd_m > high_m
    if finer:
        candidates = {min(k, MOST_FINER) for k in candidates}
    factor = min(sorted(candidates), key=lambda k: abs(math.log(ideal / k)))
    got_m = gsd_m / factor if finer else gsd_m * factor
    unlike = not low_m * 0.8 <= got_m <= high_m * 1.25
    warning = (
        f"A pixel measures {gsd_m:.3g} m, and the model was trained on {low_m:g} to {high_m:g} m; "
        "expect poor footprints."
    )
    return WorkingScale(factor, finer and factor > 1, got_m, warning if unlike else None)
