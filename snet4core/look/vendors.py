"""Reads look angles from STAC items, from tags of the raster, and from vendor files.

Maxar (`.IMD`, `.XML`): `meanOffNadirViewAngle`; `meanSatAz` points from the ground to the
satellite and is reversed here. Airbus (`DIM_*.XML`): the viewing angle, or the incidence
angle converted to off-nadir with the orbit's height. Airbus's `AZIMUTH_ANGLE` is the
direction of the scan, not of the view, so the azimuth stays unknown there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from snet4core.errors import InputError
from snet4core.files.names import printable
from snet4core.look.sighting import Sighting, number, reversed_azimuth
from snet4core.scene.inputs import read_stac
from snet4core.scene.sidecars import beside, read_text, xml_values

_EARTH_KM = 6371.0

_ORBIT_KM = {"PHR": 694.0, "PNEO": 620.0, "SPOT6": 694.0, "SPOT7": 694.0, "SPOT": 822.0}
"""Mean orbit height by the mission's name in DIMAP; 694 for the others, which is about theirs."""


def sighting_in_stac(path: Path) -> Sighting:
    """`view:off_nadir` and `view:azimuth` of a STAC item. InputError if it is not one.

    STAC's azimuth runs from the sub-satellite point to the scene, as snet4's does.
    """
    properties = read_stac(path).get("properties")
    values = properties if isinstance(properties, dict) else {}
    azimuth = number(values.get("view:azimuth"))
    azimuth = None if azimuth is None else azimuth % 360.0
    off_nadir = number(values.get("view:off_nadir"))
    return Sighting(off_nadir, azimuth, "stac", printable(path))


def sighting_in_tags(tags: Mapping[str, str]) -> Sighting:
    """Vendor angles in the raster's own tags, whose names are in upper case.

    >>> found = sighting_in_tags({"IMAGE_1.MEANOFFNADIRVIEWANGLE": "29.1", "MEANSATAZ": "1.0"})
    >>> found.off_nadir_deg, found.azimuth_deg
    (29.1, 181.0)
    """
    plain = {name.rpartition(".")[2]: value for name, value in tags.items()}
    return _maxar(plain, "its own tags")


def vendor_sightings(path: Path, warnings: list[str]) -> Iterator[Sighting]:
    """Sightings in vendor files beside a raster; an unreadable file adds a warning instead."""
    stem = re.sub(r"_R\d+C\d+$", "", path.stem, flags=re.I)  # One file for all tiles of a product.
    names = [path.stem, stem]
    imd = beside(path, *[f"{name}.IMD" for name in names])
    xml = beside(path, *[f"{name}.XML" for name in names])
    dim = beside(path, *[f"DIM_{name.removeprefix('IMG_')}.XML" for name in names])
    for found, read in ((imd, _from_imd), (xml, _from_xml), (dim, _from_xml)):
        if found is None:
            continue
        try:
            yield read(found)
        except InputError as problem:
            warnings.append(problem.sentence)


def _maxar(values: Mapping[str, str], where: str) -> Sighting:
    off_nadir = number(values.get("MEANOFFNADIRVIEWANGLE", values.get("OFFNADIRVIEWANGLE")))
    azimuth = reversed_azimuth(number(values.get("MEANSATAZ", values.get("SATAZ"))))
    # In some deliveries a minus sign gives the side; the angle itself has no sign.
    return Sighting(None if off_nadir is None else abs(off_nadir), azimuth, "metadata", where)


def _from_imd(path: Path) -> Sighting:
    """Maxar's text format, lines of `name = value;`. The first image of the product counts."""
    values: dict[str, str] = {}
    for name, value in re.findall(r"^\s*(\w+)\s*=\s*([^;\n]*);", read_text(path), re.M):
        values.setdefault(name.upper(), value.strip().strip('"'))
    return _maxar(values, printable(path))


def _from_xml(path: Path) -> Sighting:
    """Maxar's or Airbus's XML; any other XML gives no angle."""
    values: dict[str, str] = {}
    place = ""
    centre: dict[str, str] = {}
    for tags, text in xml_values(path):
        name = tags[-1].upper()
        values.setdefault(name, text)
        if name == "LOCATION_TYPE":
            place = text.strip().lower()
        elif place == "center":
            centre.setdefault(name, text)
    if "MEANOFFNADIRVIEWANGLE" in values:
        return _maxar(values, printable(path))
    return _airbus({**values, **centre}, printable(path))


def _airbus(values: Mapping[str, str], where: str) -> Sighting:
    viewing = number(values.get("VIEWING_ANGLE"))
    incidence = number(values.get("INCIDENCE_ANGLE"))
    if viewing is None and incidence is not None and abs(incidence) < 90:
        mission = values.get("MISSION", "").upper().replace(" ", "")
        mission += values.get("MISSION_INDEX", "") if mission == "SPOT" else ""
        viewing = off_nadir_of_incidence(abs(incidence), _orbit_km(mission))
    return Sighting(None if viewing is None else abs(viewing), None, "metadata", where)


def _orbit_km(mission: str) -> float:
    return next((km for name, km in _ORBIT_KM.items() if mission.startswith(name)), 694.0)


def off_nadir_of_incidence(incidence_deg: float, height_km: float) -> float:
    """The off-nadir angle for an incidence angle, on a spherical Earth.

    The law of sines in the triangle of satellite, ground and Earth's centre: the incidence
    angle is always the larger of the two.

    >>> round(off_nadir_of_incidence(30.0, 694.0), 2)
    26.8
    """
    share = _EARTH_KM / (_EARTH_KM + height_km)
    return math.degrees(math.asin(share * math.sin(math.radians(incidence_deg))))
