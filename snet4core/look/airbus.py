"""Reads look angles from the DIMAP files of Airbus (`DIM_*.XML`): Pléiades, Neo, SPOT.

The angle at the satellite is `VIEWING_ANGLE`, else `INCIDENCE_ANGLE` converted with the height of
the orbit. The direction of the view has to be computed. Seen from the ground, the satellite
stands

    orientation - atan2(tan(INCIDENCE_ANGLE_ACROSS_TRACK), tan(INCIDENCE_ANGLE_ALONG_TRACK))

where the orientation of the picture's columns is `IMAGE_ORIENTATION`, and on Pléiades, which does
not have that, `AZIMUTH_ANGLE`. On SPOT 6 and 7 `AZIMUTH_ANGLE` is the result of this sum already.
A test compares the formula with the sensor models (RPC) of three published pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from snet4core.look.orbits import off_nadir_of_incidence, orbit_km
from snet4core.look.sighting import (
    AGREE_DEG,
    Sighting,
    angle_between_deg,
    degrees,
    reversed_azimuth,
)

Elements = Sequence[tuple[tuple[str, ...], str]]
"""(path of tags, text) of an XML file, in its order."""

_PLACES = ("LOCATION_TYPE", "SCENE_SOURCE", "STRIP_SOURCE")

_MOST_WRONG_DEG = 5.0
"""Azimuths in one DIM that differ by more contradict each other; they are rounded, and taken at
places some kilometres apart."""


def sighting_in_dim(elements: Elements, where: str, warnings: list[str]) -> Sighting:
    """The look at the centre of the picture; none, and a warning, if its strips differ."""
    common, places = _records(elements)
    found = [each for each in (_angles({**common, **place}) for place in places) if each[0]]
    angles = [angle for angle, _ in found if angle is not None]
    if not angles:
        return Sighting(None, None, "metadata", where)
    if max(angles) - min(angles) > AGREE_DEG:
        warnings.append(
            f"{where} describes {len(angles)} strips, from {min(angles):.1f} to {max(angles):.1f} "
            "degrees off nadir; one look cannot serve them all, and its angles are not used."
        )
        return Sighting(None, None, "metadata", where)
    azimuths = [azimuth for _, azimuth in found if azimuth is not None]
    apart = [angle_between_deg(azimuths[0], other) for other in azimuths[1:]]
    if any(each > _MOST_WRONG_DEG for each in apart) and angles[0] > AGREE_DEG:
        warnings.append(
            f"{where} describes strips that were seen from different sides; its azimuths are "
            "not used."
        )
        azimuths = []
    if not azimuths and _contradicts({**common, **places[0]}):
        warnings.append(
            f"{where}: its AZIMUTH_ANGLE contradicts its INCIDENCE_ANGLEs; its azimuth is not used."
        )
    return Sighting(angles[0], azimuths[0] if azimuths else None, "metadata", where)


def _records(elements: Elements) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Values that hold for the whole product, and those of each place where angles are given.

    Of the places, those at the centre; all of them if no place is called so.
    """
    common: dict[str, str] = {}
    places: list[dict[str, str]] = []
    kinds: list[str] = []
    for tags, text in elements:
        name = tags[-1].upper()
        inside = any(tag.upper() in ("LOCATED_GEOMETRIC_VALUES", "SCENE_SOURCE") for tag in tags)
        starts = name == "LOCATION_TYPE" or (
            "SCENE_SOURCE" in map(str.upper, tags) and places and name in places[-1]
        )
        if inside and (starts or not places):
            places.append({})
            kinds.append("")
        if name == "LOCATION_TYPE":
            kinds[-1:] = [text.strip().lower()]
        (places[-1] if inside else common).setdefault(name, text)
    centres = [place for place, kind in zip(places, kinds, strict=True) if kind == "center"]
    return common, centres or places or [{}]


def _angles(values: Mapping[str, str]) -> tuple[float | None, float | None]:
    """(off-nadir, azimuth from satellite to ground) by the values of one place."""
    viewing = degrees(values.get("VIEWING_ANGLE"))
    incidence = degrees(values.get("INCIDENCE_ANGLE"))
    if viewing is None and incidence is not None and abs(incidence) < 90:
        mission = values.get("MISSION", "") + values.get("MISSION_INDEX", "")
        viewing = off_nadir_of_incidence(abs(incidence), orbit_km(mission))
    azimuth = None if _contradicts(values) else reversed_azimuth(_to_satellite(values))
    return None if viewing is None else abs(viewing), azimuth


def _to_satellite(values: Mapping[str, str]) -> float | None:
    """Direction from the ground to the satellite, clockwise from north; None if unknown."""
    mission = values.get("MISSION", "").upper()
    azimuth = degrees(values.get("AZIMUTH_ANGLE"))
    orientation = degrees(values.get("IMAGE_ORIENTATION"))
    if orientation is None and mission.startswith("PHR"):
        orientation = azimuth
    along = degrees(values.get("INCIDENCE_ANGLE_ALONG_TRACK"))
    across = degrees(values.get("INCIDENCE_ANGLE_ACROSS_TRACK"))
    if orientation is not None and along is not None and across is not None:
        return to_satellite_deg(orientation, along, across)
    index = values.get("MISSION_INDEX", "")
    return azimuth if mission.startswith("SPOT") and index in ("6", "7") else None


def to_satellite_deg(orientation_deg: float, along_deg: float, across_deg: float) -> float:
    """Direction in which the satellite stands, 0 to 360 degrees clockwise from north.

    `orientation_deg` is that of the picture's columns, downwards; `along_deg` and `across_deg`
    are the parts of the incidence angle along and across them.

    >>> round(to_satellite_deg(180.0, -18.1, -1.8), 1)
    354.5
    """
    along, across = (math.tan(math.radians(angle)) for angle in (along_deg, across_deg))
    return (orientation_deg - math.degrees(math.atan2(across, along))) % 360.0


def _contradicts(values: Mapping[str, str]) -> bool:
    """Whether a file that gives both the direction and its parts gives two directions."""
    azimuth = degrees(values.get("AZIMUTH_ANGLE"))
    if azimuth is None or "IMAGE_ORIENTATION" not in values:
        return False
    computed = _to_satellite(values)
    along = degrees(values.get("INCIDENCE_ANGLE")) or degrees(values.get("VIEWING_ANGLE")) or 0.0
    if computed is None or abs(along) <= AGREE_DEG:
        return False  # Straight down, a direction means nothing.
    return angle_between_deg(azimuth % 360.0, computed) > _MOST_WRONG_DEG
