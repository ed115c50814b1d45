"""The look of a scene as one source gives it, before the sources are compared."""

from __future__ import annotations

from dataclasses import dataclass

AGREE_DEG = 2.0
"""Tolerance, as vendors round and angles vary along a strip; beyond it one source is wrong."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Off-nadir angle and azimuth as one source gives them, not yet checked."""

    off_nadir_deg: float | None
    """Angle at the satellite; None if the source does not give it."""
    azimuth_deg: float | None
    """From satellite to ground, clockwise from north; None if the source does not give it."""
    source: str
    """Kind of source, as written to the layer: see `Look.source`."""
    where: str
    """The option, file or name, for messages."""
    certainty: float | None = None
    """How sure a guess is of its azimuth, 0..1; None of sources that state one."""
    lean_deg: float | None = None
    """Of a guess: its azimuth if the picture is tilted, which another source may know."""

    @property
    def says_something(self) -> bool:
        """Whether either angle is known."""
        return self.off_nadir_deg is not None or self.azimuth_deg is not None


_MOST_DEG = 720.0
"""Azimuths may go once round too far; no angle is larger."""


def degrees(text: object) -> float | None:
    """Parse an angle in degrees from metadata; None for anything else.

    As for numbers that programs write where they know none, such as -9999.

    >>> degrees(" 29.1 "), degrees("n/a"), degrees("nan"), degrees(True), degrees(-9999)
    (29.1, None, None, None, None)
    >>> degrees("29,1")  # as programs write it in countries with decimal commas
    29.1
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    try:
        value = float(text.replace(",", ".") if isinstance(text, str) else text)
    except (ValueError, OverflowError):
        return None
    return value if abs(value) <= _MOST_DEG else None


def reversed_azimuth(azimuth_deg: float | None) -> float | None:
    """Reverse an azimuth: from "ground to satellite" to "satellite to ground", or back.

    >>> reversed_azimuth(201.5), reversed_azimuth(21.5), reversed_azimuth(None)
    (21.5, 201.5, None)
    """
    return None if azimuth_deg is None else (azimuth_deg + 180.0) % 360.0


def angle_between_deg(one_deg: float, other_deg: float) -> float:
    """Angle between two directions, 0 to 180 degrees.

    >>> angle_between_deg(350.0, 5.0)
    15.0
    """
    return abs((one_deg - other_deg + 180.0) % 360.0 - 180.0)
