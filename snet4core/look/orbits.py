"""Heights of satellites, and what follows from them: the angle at the satellite."""

from __future__ import annotations

import math
import re

_EARTH_KM = 6371.0

_ORBIT_KM = {
    "PNEO": 620.0, "PLEIADESNEO": 620.0, "PHR": 694.0, "PLEIADES": 694.0,
    "SPOT6": 694.0, "SPOT7": 694.0, "SPOT": 822.0,
    "WV01": 496.0, "WORLDVIEW1": 496.0, "WV02": 770.0, "WORLDVIEW2": 770.0,
    "WV03": 617.0, "WORLDVIEW3": 617.0, "WV04": 617.0, "WORLDVIEW4": 617.0,
    "LG0": 518.0, "WVLEGION": 518.0, "WORLDVIEWLEGION": 518.0, "LEGION": 518.0,
    "GE01": 681.0, "GEOEYE": 681.0, "QB02": 450.0, "QUICKBIRD": 450.0, "IK": 681.0,
    "SKYSAT": 450.0, "SS": 450.0, "PLANETSCOPE": 475.0, "DOVE": 475.0, "SUPERDOVE": 475.0,
    "RAPIDEYE": 630.0, "BLACKSKY": 430.0, "GLOBAL": 430.0, "KOMPSAT3A": 528.0,
    "KOMPSAT": 685.0, "CARTOSAT": 509.0, "SUPERVIEW": 530.0, "JL1": 535.0, "JILIN": 535.0,
}  # fmt: skip
"""Mean height by how a platform's name begins, in capitals, without punctuation."""

USUAL_KM = 620.0
"""For platforms not listed. At 30 degrees of incidence, 450 or 770 km move the angle at the
satellite by 0.7 degrees."""


def orbit_km(*names: str) -> float:
    """Height of the orbit of a platform, mission or constellation, the first that is known.

    >>> orbit_km("", "PHR-1A"), orbit_km("SPOT", "7"), orbit_km("unheard of")
    (694.0, 822.0, 620.0)
    """
    for name in names:
        plain = re.sub(r"[^0-9A-Z]", "", name.upper().replace("É", "E"))
        for beginning, height_km in _ORBIT_KM.items():
            if plain.startswith(beginning):
                return height_km
    return USUAL_KM


def off_nadir_of_incidence(incidence_deg: float, height_km: float) -> float:
    """The off-nadir angle for an incidence angle, on a spherical Earth.

    The law of sines in the triangle of satellite, ground and Earth's centre: the incidence
    angle is always the larger of the two.

    >>> round(off_nadir_of_incidence(30.0, 694.0), 2)
    26.8
    """
    share = _EARTH_KM / (_EARTH_KM + height_km)
    return math.degrees(math.asin(share * math.sin(math.radians(incidence_deg))))
