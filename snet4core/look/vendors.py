"""Reads look angles from vendors' files and from tags of the raster.

Maxar (`.IMD`, `.XML`): `meanOffNadirViewAngle`; `meanSatAz` points from the ground to the
satellite and is reversed here. Airbus (`DIM_*.XML`): see `snet4core.look.airbus`. Planet
(`_metadata.json`): `view_angle`; `satellite_azimuth` points to the satellite and is reversed.

A file that describes several pictures with different angles gives none of them, and a warning.
docs/guide/look-sources.md names the sources of all this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from snet4core.errors import InputError
from snet4core.files.names import printable
from snet4core.files.sidecars import read_json, read_text, xml_values
from snet4core.look.airbus import sighting_in_dim
from snet4core.look.sighting import (
    AGREE_DEG,
    Sighting,
    angle_between_deg,
    degrees,
    reversed_azimuth,
)
from snet4core.scene.deliveries import Delivery

Values = Sequence[tuple[str, str]]
"""(name in upper case, text) in the order of the file; a name may come several times."""

_OFF_NADIR = ("MEANOFFNADIRVIEWANGLE", "OFFNADIRVIEWANGLE")
_SATELLITE_AZIMUTH = ("MEANSATAZ", "SATAZ")


def sighting_in_tags(tags: Mapping[str, str], warnings: list[str]) -> Sighting:
    """Vendor angles in the raster's own tags, whose names are in upper case.

    >>> found = sighting_in_tags({"IMAGE_1.MEANOFFNADIRVIEWANGLE": "29.1", "MEANSATAZ": "1.0"}, [])
    >>> found.off_nadir_deg, found.azimuth_deg
    (29.1, 181.0)
    """
    if "OFF_NADIR_DEG" in tags:  # as `snet4 lean` writes
        angle, azimuth = degrees(tags["OFF_NADIR_DEG"]), degrees(tags.get("AZIMUTH_DEG"))
        azimuth = None if azimuth is None else azimuth % 360
        return Sighting(angle, azimuth, "metadata", "its own tags")
    values = [(name.rpartition(".")[2], value) for name, value in tags.items()]
    return _maxar(values, "its own tags", warnings)


def vendor_sightings(delivery: Delivery, warnings: list[str]) -> Iterator[Sighting]:
    """Sightings in the delivery's files; an unreadable file adds a warning instead."""
    readers: tuple[tuple[Path | None, Callable[[Path, list[str]], Sighting]], ...] = (
        (delivery.imd, _from_imd),
        (delivery.xml, _from_xml),
        (delivery.dim, _from_xml),
        (delivery.planet, _from_planet),
        (delivery.planet_xml, _from_planet_xml),
    )
    for file, read in readers:
        if file is not None:
            try:
                yield read(file, warnings)
            except InputError as problem:
                warnings.append(problem.sentence)


def _maxar(values: Values, where: str, warnings: list[str]) -> Sighting:
    # In some deliveries a minus sign gives the side; the angle itself has no sign.
    angles = [abs(angle) for angle in _numbers(values, _OFF_NADIR)]
    azimuths = _numbers(values, _SATELLITE_AZIMUTH)
    if _differ(angles):
        warnings.append(
            f"{where} describes {len(angles)} pictures, from {min(angles):g} to {max(angles):g} "
            "degrees off nadir, and not which of them this is; its angles are not used."
        )
        return Sighting(None, None, "metadata", where)
    turned = any(angle_between_deg(azimuths[0], other) > AGREE_DEG for other in azimuths[1:])
    if turned:
        warnings.append(
            f"{where} describes {len(azimuths)} pictures with different azimuths, and not which "
            "of them this is; its azimuths are not used."
        )
    azimuth = reversed_azimuth(azimuths[0]) if azimuths and not turned else None
    return Sighting(angles[0] if angles else None, azimuth, "metadata", where)


def _numbers(values: Values, names: tuple[str, ...]) -> list[float]:
    """All numbers under the first of these names that has any."""
    for wanted in names:
        found = [degrees(text) for name, text in values if name == wanted]
        if numbers := [each for each in found if each is not None]:
            return numbers
    return []


def _differ(angles: Sequence[float]) -> bool:
    return bool(angles) and max(angles) - min(angles) > AGREE_DEG


def _from_imd(path: Path, warnings: list[str]) -> Sighting:
    """Maxar's text format, lines of `name = value;` in groups, one for each image."""
    lines = re.findall(r"^\s*(\w+)\s*=\s*([^;\n]*);", read_text(path), re.M)
    values = [(name.upper(), value.strip().strip('"')) for name, value in lines]
    return _maxar(values, printable(path), warnings)


def _from_xml(path: Path, warnings: list[str]) -> Sighting:
    """Maxar's or Airbus's XML; any other XML gives no angle."""
    elements = list(xml_values(path))
    values = [(tags[-1].upper(), text) for tags, text in elements]
    if any(name in _OFF_NADIR for name, _ in values):
        return _maxar(values, printable(path), warnings)
    return sighting_in_dim(elements, printable(path), warnings)


def _from_planet(path: Path, warnings: list[str]) -> Sighting:
    """Planet's description of one item; any other JSON gives no angle."""
    found = read_json(path, "copy or download it again")
    facts = found.get("properties") if isinstance(found, dict) else None
    facts = facts if isinstance(facts, dict) else {}
    angle = degrees(facts.get("view_angle"))
    azimuth = reversed_azimuth(degrees(facts.get("satellite_azimuth")))
    return Sighting(None if angle is None else abs(angle), azimuth, "metadata", printable(path))


def _from_planet_xml(path: Path, warnings: list[str]) -> Sighting:
    """Planet's XML. Its `azimuthAngle` is the direction of the picture's lines, not of the view."""
    values = [(tags[-1].upper(), text) for tags, text in xml_values(path)]
    angles = [abs(angle) for angle in _numbers(values, ("SPACECRAFTVIEWANGLE",))]
    return Sighting(angles[0] if angles else None, None, "metadata", printable(path))
