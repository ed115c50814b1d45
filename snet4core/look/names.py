"""Reads the look from a file's name: `nadir29`, and the catalogue ids of SpaceNet 4.

Only a number directly after the word `nadir` counts: SpaceNet 4 names end in tile
coordinates, whose digits are no angle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from snet4core.errors import LookError
from snet4core.files.names import printable
from snet4core.look.look import Look
from snet4core.look.sighting import Sighting
from snet4core.sentence import OFF_NADIR

_ANGLE = re.compile(r"(?<![a-z])(?:off[-_]?)?nadir[-_]?(\d{1,2}(?:\.\d+)?)(?![\d.]*\d)", re.I)
_CATALOGUE_ID = re.compile(r"(?<![0-9A-Z])(10300100[0-9A-F]{8})(?![0-9A-Z])", re.I)


@dataclass(frozen=True, slots=True)
class Collect:
    """One of SpaceNet 4's collects."""

    catalogue_id: str
    """The image vendor's catalogue id, 16 hexadecimal digits."""
    folder: str
    """`nadir` and the angle as the challenge's names say it."""
    off_nadir_deg: float
    """At the satellite, between straight down and the line of sight."""
    azimuth_deg: float
    """From satellite to ground, clockwise from north."""
    pan_gsd_m: float
    """Native ground sample distance of the panchromatic band."""

    @property
    def named_deg(self) -> int:
        """The angle in the folder's name, degrees."""
        return int(self.folder.removeprefix("nadir"))

    @property
    def look(self) -> Look:
        """The look that a scene of this collect has."""
        return Look(self.off_nadir_deg, self.azimuth_deg, "table")


SPACENET4_LOOKS: tuple[Collect, ...] = (
    Collect("1030010003D22F00", "nadir7", 7.8, 118.4, 0.48),
    Collect("10300100023BC100", "nadir8", 8.3, 78.4, 0.49),
    Collect("1030010003993E00", "nadir10", 10.5, 148.6, 0.49),
    Collect("1030010003CAF100", "nadir10", 10.6, 57.6, 0.48),
    Collect("1030010002B7D800", "nadir13", 13.9, 162.0, 0.49),
    Collect("10300100039AB000", "nadir14", 14.8, 43.0, 0.49),
    Collect("1030010002649200", "nadir16", 16.9, 168.7, 0.52),
    Collect("1030010003C92000", "nadir19", 19.3, 35.1, 0.52),
    Collect("1030010003127500", "nadir21", 21.3, 174.7, 0.54),
    Collect("103001000352C200", "nadir23", 23.5, 30.7, 0.54),
    Collect("103001000307D800", "nadir25", 25.4, 178.4, 0.57),
    Collect("1030010003472200", "nadir27", 27.4, 27.7, 0.58),
    Collect("1030010003315300", "nadir29", 29.1, 181.0, 0.61),
    Collect("10300100036D5200", "nadir30", 31.0, 25.5, 0.62),
    Collect("103001000392F600", "nadir32", 32.5, 182.8, 0.65),
    Collect("1030010003697400", "nadir34", 34.0, 23.8, 0.68),
    Collect("1030010003895500", "nadir36", 37.0, 22.6, 0.74),
    Collect("1030010003832800", "nadir39", 39.6, 21.5, 0.80),
    Collect("10300100035D1B00", "nadir42", 42.0, 20.7, 0.87),
    Collect("1030010003CCD700", "nadir44", 44.2, 20.0, 0.95),
    Collect("1030010003713C00", "nadir46", 46.1, 19.5, 1.03),
    Collect("10300100033C5200", "nadir47", 47.8, 19.0, 1.13),
    Collect("1030010003492700", "nadir49", 49.3, 18.5, 1.23),
    Collect("10300100039E6200", "nadir50", 50.9, 18.0, 1.36),
    Collect("1030010003BDDC00", "nadir52", 52.2, 17.7, 1.48),
    Collect("1030010003CD4300", "nadir53", 53.4, 17.4, 1.63),
    Collect("1030010003193D00", "nadir53", 54.0, 17.4, 1.67),
)
"""The collects of one WorldView-2 pass over Atlanta, 22 December 2009, ordered by angle.

From the challenge's public pages. For three of them the metadata say 31, 37 and 54 where the
names say 30, 36 and 53; the category is the same.
"""

SPACENET4 = {one.catalogue_id: one for one in SPACENET4_LOOKS}
"""Catalogue id -> collect."""


def sighting_in_name(location: str) -> Sighting | None:
    """The look in the names of a path: the file's first, then those of its nearest folders.

    A known catalogue id gives the true angle and the azimuth, unless the angle in the name
    contradicts it; an angle in the name alone is truncated, and has no azimuth.
    LookError when one name holds two different angles.
    """
    return next((s for s in map(_in_one_name, _names_in(location)) if s is not None), None)


def sightings_in_path(location: str, warnings: list[str]) -> Iterator[Sighting]:
    """The look in each of these names; one that holds two angles adds a warning instead."""
    for name in _names_in(location):
        try:
            found = _in_one_name(name)
        except LookError as problem:
            warnings.append(problem.sentence)
            return
        if found is not None:
            yield found


def _names_in(location: str) -> list[str]:
    path = PurePath(location)
    return [path.stem, *[folder.name for folder in list(path.parents)[:3]]]


def _in_one_name(name: str) -> Sighting | None:
    angles = {float(text) for text in _ANGLE.findall(name)}
    known = {SPACENET4[i.upper()] for i in _CATALOGUE_ID.findall(name) if i.upper() in SPACENET4}
    if len(angles) > 1 or len(known) > 1:
        raise LookError(
            f"The name {printable(name)} holds more than one look angle; give the true one with ",
            OFF_NADIR,
            ".",
        )
    where = f"the name {printable(name)}"
    angle = angles.pop() if angles else None
    if known:
        collect = known.pop()
        if angle is None or angle == collect.named_deg:
            return Sighting(collect.off_nadir_deg, collect.azimuth_deg, "name", where)
    return None if angle is None else Sighting(angle, None, "name", where)


def catalogue_ids(location: str) -> set[str]:
    """All catalogue ids in a path, in capitals: 16 hexadecimal digits standing alone."""
    found = re.findall(r"(?<![0-9A-Z])([0-9A-F]{16})(?![0-9A-Z])", location, re.I)
    return {text.upper() for text in found}
