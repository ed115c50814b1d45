"""Errors of heights: those of proposals against those of the truth that they match.

Array names end in their axes: M matched buildings.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snet4core.errors import InputError
from snet4core.files.names import printable
from snet4core.layers.buildings import Buildings
from snet4core.sentence import HEIGHT_FIELD

LOW_BELOW_M = 15.0
"""Heights are judged apart below this height and from it on."""


@dataclass(frozen=True, slots=True)
class HeightErrors:
    """Errors of the heights of some matched buildings."""

    count: int
    """Buildings whose height is known in truth and proposals."""
    median_abs_m: float | None
    """Median of the absolute errors, metres; None without buildings."""
    median_relative: float | None
    """Median of absolute error / true height, of those that are higher than 0."""

    @staticmethod
    def of(found_m_M: NDArray[np.float64], true_m_M: NDArray[np.float64]) -> HeightErrors:
        """Compare known heights, (M,) each.

        >>> HeightErrors.of(np.array([3.0, 9.0, 40.0]), np.array([4.0, 10.0, 50.0]))
        HeightErrors(count=3, median_abs_m=1.0, median_relative=0.2)
        """
        error_m_M, high_M = np.abs(found_m_M - true_m_M), true_m_M > 0
        relative_M = error_m_M[high_M] / true_m_M[high_M]
        return HeightErrors(
            len(error_m_M),
            float(np.median(error_m_M)) if len(error_m_M) else None,
            float(np.median(relative_M)) if len(relative_M) else None,
        )


@dataclass(frozen=True, slots=True)
class HeightScore:
    """How well the heights of matched buildings are known."""

    matched: int
    """Matched buildings whose true height is known; of the others nothing can be said."""
    total: HeightErrors
    """Of those whose height was found."""
    low: HeightErrors
    """Of those that are truly lower than `LOW_BELOW_M`."""
    high: HeightErrors
    """Of the others."""

    def as_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON."""
        groups = {"all": self.total, "under_15_m": self.low, "from_15_m": self.high}
        return {"matched": self.matched} | {name: asdict(each) for name, each in groups.items()}


def height_score(
    proposals: Buildings, truth: Buildings, pairs_M2: NDArray[np.int64]
) -> HeightScore | None:
    """Compare the heights of matched buildings, (M, 2) rows of proposal and truth.

    None where one of the two tables has no heights at all.
    """
    if proposals.height_m_N is None or truth.height_m_N is None:
        return None
    found_m_M = proposals.height_m_N[pairs_M2[:, 0]]
    true_m_M = truth.height_m_N[pairs_M2[:, 1]]
    known_M = ~np.isnan(found_m_M) & ~np.isnan(true_m_M)
    found_m_M, low_M = found_m_M[known_M], true_m_M[known_M] < LOW_BELOW_M
    return HeightScore(
        int(np.count_nonzero(~np.isnan(true_m_M))),
        HeightErrors.of(found_m_M, true_m_M[known_M]),
        HeightErrors.of(found_m_M[low_M], true_m_M[known_M][low_M]),
        HeightErrors.of(found_m_M[~low_M], true_m_M[known_M][~low_M]),
    )


def check_heights(proposals: Buildings, truth: Buildings, field: str) -> None:
    """Raise InputError where heights were asked for by name, but a file has none."""
    if truth.height_m_N is None:
        raise InputError(
            f"{truth.name} has no field {printable(field)}; name the one with the heights with ",
            HEIGHT_FIELD,
            ".",
        )
    if proposals.height_m_N is None:
        raise InputError(
            f"{proposals.name} has no field height_m, so no heights can be compared; leave out ",
            HEIGHT_FIELD,
            ".",
        )
