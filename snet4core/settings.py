"""What can be chosen about footprints, and the defaults without a model's card.

Lengths are in metres on the ground and become pixels once, in `for_gsd`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from snet4core.errors import UsageError


def _share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"{name} is {value}; it must be between 0 and 1.")


def _length(name: str, value: float) -> None:
    if not 0.0 <= value < float("inf"):
        raise UsageError(f"{name} is {value}; it must be 0 or more.")


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """How attached buildings come apart; `watershed` says how the numbers work together."""

    seed_threshold: float = 0.75
    """footprint x (1 - border) from which a pixel can be the heart of a building, 0..1."""
    cut_probability: float = 0.5
    """How likely a cut between two buildings has to be worth it, 0..1: lower cuts more."""

    def __post_init__(self) -> None:
        _share("seed_threshold", self.seed_threshold)
        _share("cut_probability", self.cut_probability)


@dataclass(frozen=True, slots=True)
class ShapeSettings:
    """From maps to footprints: one set per look category, carried in the model's card."""

    threshold: float = 0.5
    """Footprint probability from which a pixel is building, 0..1."""
    min_area_m2: float = 5.0
    """Smaller footprints are dropped; true ground area."""
    min_confidence: float = 0.0
    """Footprints that are less likely right are dropped, 0..1."""
    simplify_m: float = 0.5
    """How far a simplified wall may lie from the mask's edge."""
    regularize: bool = False
    """Right angles and straight walls where the mask supports them."""
    split: SplitSettings = field(default_factory=SplitSettings)
    """How attached buildings come apart."""

    def __post_init__(self) -> None:
        _share("threshold", self.threshold)
        _length("min_area_m2", self.min_area_m2)
        _share("min_confidence", self.min_confidence)
        _length("simplify_m", self.simplify_m)
