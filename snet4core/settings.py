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
    """How attached buildings come apart. Lengths in pixels of the maps."""

    seed_threshold: float = 0.6
    """footprint x (1 - border) from which a pixel can be the heart of a building, 0..1."""
    seed_min_px: int = 12
    """Hearts smaller than this are noise."""
    cut_evidence: float = 0.45
    """Mean border along a cut from which it stands, 0..1."""
    part_min_px: int = 24
    """Smaller parts go back to the neighbour they share most border with."""

    def __post_init__(self) -> None:
        _share("seed_threshold", self.seed_threshold)
        _share("cut_evidence", self.cut_evidence)
        _length("seed_min_px", self.seed_min_px)
        _length("part_min_px", self.part_min_px)


@dataclass(frozen=True, slots=True)
class ShapeSettings:
    """From maps to footprints: one set per look category, carried in the model's card."""

    threshold: float = 0.5
    """Footprint probability from which a pixel is building, 0..1."""
    min_area_m2: float = 5.0
    """Smaller footprints are dropped; true ground area."""
    simplify_m: float = 0.5
    """How far a simplified wall may lie from the mask's edge."""
    regularize: bool = False
    """Right angles and straight walls where the mask supports them."""
    split: SplitSettings = field(default_factory=SplitSettings)
    """How attached buildings come apart."""

    def __post_init__(self) -> None:
        _share("threshold", self.threshold)
        _length("min_area_m2", self.min_area_m2)
        _length("simplify_m", self.simplify_m)
