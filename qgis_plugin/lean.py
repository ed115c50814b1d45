"""How roofs lean: from a look to metres on the ground, and back. Standard library alone.

A roof of height h is seen h x tan(off-nadir) away from its foot, towards the azimuth (from
satellite to ground, clockwise from true north). Places are longitude and latitude in degrees on
WGS 84, so that no CRS, and no rotation of a map, has to be thought of here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

ROOF_M = 10.0
"""Height of the roof that the arrow shows."""

_EQUATOR_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563


class Place(NamedTuple):
    """A point on the ground."""

    lon: float
    """Degrees east."""
    lat: float
    """Degrees north."""


class Offset(NamedTuple):
    """A way on the ground."""

    east_m: float
    north_m: float

    @property
    def length_m(self) -> float:
        """0 or more."""
        return math.hypot(self.east_m, self.north_m)

    @property
    def azimuth_deg(self) -> float:
        """Clockwise from true north, [0, 360)."""
        return math.degrees(math.atan2(self.east_m, self.north_m)) % 360


def lean(off_nadir_deg: float, azimuth_deg: float, height_m: float = ROOF_M) -> Offset:
    """From the foot of a building to its roof, as the picture shows it.

    >>> lean(45, 90, 10)  # the satellite looks east
    Offset(east_m=10.0, north_m=0.0)
    """
    length_m = height_m * math.tan(math.radians(off_nadir_deg))
    azimuth = math.radians(azimuth_deg)
    return Offset(round(length_m * math.sin(azimuth), 9), round(length_m * math.cos(azimuth), 9))


def off_nadir_of(seen: Offset, height_m: float) -> float:
    """The angle, in degrees, at which a roof of `height_m`, above 0, leans as far as `seen`.

    >>> round(off_nadir_of(Offset(3.0, 4.0), 5.0), 6)
    45.0
    """
    return math.degrees(math.atan2(seen.length_m, height_m))


def between(start: Place, end: Place) -> Offset:
    """From one place to another; for places that are at most some kilometres apart."""
    east_m, north_m = _degree_m((start.lat + end.lat) / 2)
    across_deg = (end.lon - start.lon + 180) % 360 - 180
    return Offset(across_deg * east_m, (end.lat - start.lat) * north_m)


def moved(start: Place, way: Offset) -> Place:
    """The reverse of `between`: where the way from `start` ends."""
    lat = start.lat + way.north_m / _degree_m(start.lat)[1]
    return Place(start.lon + way.east_m / _degree_m((start.lat + lat) / 2)[0], lat)


def _degree_m(lat: float) -> tuple[float, float]:
    """Metres of a degree of longitude and of latitude there, on the ellipsoid."""
    squared = _FLATTENING * (2 - _FLATTENING)
    bent = 1 - squared * math.sin(math.radians(lat)) ** 2
    across_m = _EQUATOR_M * math.cos(math.radians(lat)) / math.sqrt(bent)
    along_m = _EQUATOR_M * (1 - squared) / bent**1.5
    return math.radians(across_m), math.radians(along_m)
