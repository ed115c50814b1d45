"""Chooses the working grid: the pixel size at which the network runs on a scene.

Its pixels have about the size of those that most of the model's training pictures had. A roof
is found best at that size, also within the range that training touched (experiments.md). Scene
pixels become working pixels by a simple ratio (3/2, 2, 3 and so on; 2/3, 1/2, 1/3), and stay as
they are where that is near enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from snet4core.errors import InputError
from snet4core.grid import Grid

NEAR = 1.25
"""Pixels that are larger or smaller by less are not resampled: it costs sharpness and time."""

MOST_COARSER = 128
"""Beyond it, the pixel size is a mistake."""

FRACTIONS = ((1, 3), (1, 2), (2, 3), (3, 2))
"""Ratios beside the whole numbers; finer than 3-fold invents detail."""


@dataclass(frozen=True, slots=True)
class WorkingScale:
    """How scene pixels become working pixels: `finer`-fold interpolation, then means of
    `coarser` x `coarser`."""

    coarser: int = 1
    finer: int = 1
    """The side of a working pixel is `coarser` / `finer` scene pixels, in lowest terms."""
    gsd_m: float = 0.0
    """Side of a working pixel on the ground, metres."""
    warning: str | None = None
    """Set when even the working pixels are outside the sizes seen in training."""

    def grid(self, native: Grid) -> Grid:
        """The working grid for a scene's own grid."""
        if self.coarser == self.finer:
            return native
        return native.scaled(self.coarser, self.finer)


def working_scale(
    gsd_m: float, trained_range_m: tuple[float, float], work_gsd_m: float, name: str = "A scene"
) -> WorkingScale:
    """The ratio that brings pixels of `gsd_m` closest to the model's own, `work_gsd_m`.

    `trained_range_m` are the smallest and the largest pixels seen in training. InputError, which
    names the scene, for pixels so small that they must be a mistake.

    >>> working_scale(0.5, (0.3, 1.0), 0.5)
    WorkingScale(coarser=1, finer=1, gsd_m=0.5, warning=None)
    >>> working_scale(0.3, (0.3, 1.0), 0.5)  # doctest: +ELLIPSIS
    WorkingScale(coarser=3, finer=2, gsd_m=0.44..., warning=None)
    >>> working_scale(2.0, (0.3, 1.0), 0.5)  # doctest: +ELLIPSIS
    WorkingScale(coarser=1, finer=3, gsd_m=0.666..., warning=None)
    """
    ideal = work_gsd_m / gsd_m
    if ideal > MOST_COARSER:
        raise InputError(
            f"{name}: a pixel measures {gsd_m:.3g} m, the model's {work_gsd_m:g} m; check the "
            "transform and its CRS with 'gdalinfo', and correct them with "
            "'gdal_translate -a_srs CRS -a_ullr ULX ULY LRX LRY IN OUT'."
        )
    coarser, finer = _ratio(ideal)
    got_m = gsd_m * coarser / finer
    low_m, high_m = trained_range_m
    unlike = not low_m * 0.8 <= got_m <= high_m * 1.25
    warning = (
        f"A pixel measures {gsd_m:.3g} m, and the model was trained on {low_m:g} to {high_m:g} m; "
        "expect poor footprints."
    )
    return WorkingScale(coarser, finer, got_m, warning if unlike else None)


def _ratio(ideal: float) -> tuple[int, int]:
    """Numerator and denominator of the simple ratio that is nearest to `ideal` on a log scale."""
    if 1 / NEAR <= ideal <= NEAR:
        return 1, 1
    whole = {(max(1, math.floor(ideal)), 1), (math.ceil(ideal), 1)}
    return min(sorted(whole | set(FRACTIONS)), key=lambda r: abs(math.log(ideal * r[1] / r[0])))
