"""Reads the look from a file's name: `nadir29`, and the catalogue ids of SpaceNet 4.

Only a number directly after the word `nadir` counts: SpaceNet 4 names end in tile
coordinates, whose digits are no angle.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from snet4core.errors import LookError
from snet4core.sighting import Sighting
from snet4core.text import printable

_ANGLE = re.compile(r"(?<![a-z])(?:off[-_]?)?nadir[-_]?(\d{1,2}(?:\.\d+)?)(?![\d.]*\d)", re.I)
_CATALOGUE_ID = re.compile(r"(?<![0-9A-Z])(10300100[0-9A-F]{8})(?![0-9A-Z])", re.I)

SPACENET4 = {
    "1030010003D22F00": (7, 7.8, 118.4),
    "10300100023BC100": (8, 8.3, 78.4),
    "1030010003993E00": (10, 10.5, 148.6),
    "1030010003CAF100": (10, 10.6, 57.6),
    "1030010002B7D800": (13, 13.9, 162.0),
    "10300100039AB000": (14, 14.8, 43.0),
    "1030010002649200": (16, 16.9, 168.7),
    "1030010003C92000": (19, 19.3, 35.1),
    "1030010003127500": (21, 21.3, 174.7),
    "103001000352C200": (23, 23.5, 30.7),
    "103001000307D800": (25, 25.4, 178.4),
    "1030010003472200": (27, 27.4, 27.7),
    "1030010003315300": (29, 29.1, 181.0),
    "10300100036D5200": (30, 31.0, 25.5),
    "103001000392F600": (32, 32.5, 182.8),
    "1030010003697400": (34, 34.0, 23.8),
    "1030010003895500": (36, 37.0, 22.6),
    "1030010003832800": (39, 39.6, 21.5),
    "10300100035D1B00": (42, 42.0, 20.7),
    "1030010003CCD700": (44, 44.2, 20.0),
    "1030010003713C00": (46, 46.1, 19.5),
    "10300100033C5200": (47, 47.8, 19.0),
    "1030010003492700": (49, 49.3, 18.5),
    "10300100039E6200": (50, 50.9, 18.0),
    "1030010003BDDC00": (52, 52.2, 17.7),
    "1030010003CD4300": (53, 53.4, 17.4),
    "1030010003193D00": (53, 54.0, 17.4),
}
"""Catalogue id -> (angle in the folder's name, off-nadir, target azimuth), in degrees.

The 27 collects of one WorldView-2 pass over Atlanta, 22 December 2009, from the
challenge's public pages. For three of them the metadata have 31, 37 and 54 where the names
have 30, 36 and 53; the category is the same.
"""


def sighting_in_name(location: str) -> Sighting | None:
    """The look in the names of a path: the file's first, then those of its nearest folders.

    A known catalogue id gives the true angle and the azimuth, unless the angle in the name
    contradicts it; an angle in the name alone is truncated, and has no azimuth.
    LookError when one name holds two different angles.
    """
    path = PurePath(location)
    for name in (path.stem, *[folder.name for folder in list(path.parents)[:3]]):
        found = _in_one_name(name)
        if found is not None:
            return found
    return None


def _in_one_name(name: str) -> Sighting | None:
    angles = {float(text) for text in _ANGLE.findall(name)}
    known = {SPACENET4[i.upper()] for i in _CATALOGUE_ID.findall(name) if i.upper() in SPACENET4}
    if len(angles) > 1 or len(known) > 1:
        raise LookError(
            f"The name {printable(name)} holds more than one look angle; give the true one with "
            "--off-nadir."
        )
    where = f"the name {printable(name)}"
    angle = angles.pop() if angles else None
    if known:
        named_deg, off_nadir_deg, azimuth_deg = known.pop()
        if angle is None or angle == named_deg:
            return Sighting(off_nadir_deg, azimuth_deg, "name", where)
    return None if angle is None else Sighting(angle, None, "name", where)


def catalogue_ids(location: str) -> set[str]:
    """All catalogue ids in a path, in capitals: 16 hexadecimal digits standing alone."""
    found = re.findall(r"(?<![0-9A-Z])([0-9A-F]{16})(?![0-9A-Z])", location, re.I)
    return {text.upper() for text in found}
