"""Reads `--looks TABLE.csv`: a look per scene, by file name, scene name or catalogue id.

    scene,off_nadir_deg,azimuth_deg
    tile_17.tif,31.5,24

The first column may be called `scene`, `name`, `file`, `image`, `catid` or `catalogue_id`;
`azimuth_deg` may be absent or empty (unknown); other columns are ignored. A table of semicolons or
tabs may have decimal commas. A scene that is listed with a path of another machine is found by its
file name, and where several are, by the folders that it shares with them.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path, PurePath

from snet4core.errors import InputError
from snet4core.files.names import printable
from snet4core.files.sidecars import read_text
from snet4core.look.names import catalogue_ids
from snet4core.look.sighting import Sighting

_KEYS = ("scene", "name", "file", "filename", "image", "imageid", "catid", "catalogid",
         "catalogue_id")  # fmt: skip
_OFF_NADIR = ("off_nadir_deg", "off_nadir", "offnadir", "off-nadir")
_AZIMUTH = ("azimuth_deg", "azimuth", "target_azimuth_deg")


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    key: str
    off_nadir_deg: float
    azimuth_deg: float | None


def sighting_in_table(table: Path, location: str) -> Sighting | None:
    """The look that the table gives for the scene at `location`; None if it is not listed.

    InputError, with the line number, for a table with bad numbers, missing columns, or two
    different looks for this scene. Every row is checked, not only the one that matches.
    """
    status = _status(table)
    by_key = _parsed(table, status.st_size, status.st_mtime_ns)
    rows = sorted(
        (row for key in _keys_of(location) for row in by_key.get(key, ())),
        key=lambda row: row.line,
    )
    rows = rows or _by_other_paths(by_key, location)
    if not rows:
        return None
    first = rows[0]
    for row in rows[1:]:
        if (row.off_nadir_deg, row.azimuth_deg) != (first.off_nadir_deg, first.azimuth_deg):
            raise InputError(
                f"{printable(table)}, line {row.line}: gives another look for "
                f"{printable(first.key)} than line {first.line}; remove one of them."
            )
    where = f"{printable(table)}, line {first.line}"
    return Sighting(first.off_nadir_deg, first.azimuth_deg, "table", where)


def _keys_of(location: str) -> set[str]:
    """All names under which a table may list a scene, in upper case."""
    path = PurePath(location)
    names = {location, path.name, path.stem, path.stem.removeprefix("Pan-Sharpen_")}
    for part in path.parts:
        names |= set(re.findall(r"catid_([0-9A-Za-z]+)", part))
    return {name.upper() for name in names | catalogue_ids(location)}


def _by_other_paths(by_key: dict[str, list[_Row]], location: str) -> list[_Row]:
    """Rows whose key is a path of another machine to a file of this name, the most alike."""
    own = [part.upper() for part in PurePath(location).parts]
    alike: dict[int, list[_Row]] = {}
    for key, rows in by_key.items():
        parts = re.split(r"[\\/]", key)
        if len(parts) > 1 and own and parts[-1] in (own[-1], PurePath(own[-1]).stem):
            pairs = zip(reversed(parts[:-1]), reversed(own[:-1]), strict=False)
            shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
            alike.setdefault(shared, []).extend(rows)
    return sorted(alike[max(alike)], key=lambda row: row.line) if alike else []


def _status(table: Path) -> os.stat_result:
    try:
        return table.stat()
    except OSError as problem:
        raise InputError(
            f"{printable(table)} cannot be read ({problem.strerror}); check the path."
        ) from problem


@lru_cache(maxsize=4)
def _parsed(table: Path, size_bytes: int, modified_ns: int) -> dict[str, list[_Row]]:
    """Rows by name in upper case; cached for many scenes, with size and time as part of the key."""
    found: dict[str, list[_Row]] = {}
    for row in _rows(table):
        found.setdefault(row.key.upper(), []).append(row)
    return found


def _rows(table: Path) -> Iterator[_Row]:
    name = printable(table)
    lines = read_text(table).splitlines()
    above = next((n for n, line in enumerate(lines) if not _says_nothing(line)), 0)
    header_line = lines[above] if lines else ""
    delimiter = next((sign for sign in ",;\t" if sign in header_line), ",")
    reader = csv.reader(lines[above:], strict=True, delimiter=delimiter)
    try:
        header = [column.strip().lower() for column in next(reader, [])]
        at = f"{name}, line {above + 1}"
        key, off_nadir = _column(at, header, _KEYS), _column(at, header, _OFF_NADIR)
        azimuth = next((header.index(c) for c in _AZIMUTH if c in header), None)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"{name}, line {above + reader.line_num}: has {len(cells)} columns, the header "
                    f"{len(header)}; write numbers with a decimal point, and quote commas."
                )
            where = f"{name}, line {above + reader.line_num}"
            if delimiter != ",":  # As spreadsheets write them where numbers have decimal commas.
                cells = [
                    cell if n == key else cell.replace(",", ".") for n, cell in enumerate(cells)
                ]
            angle = _angle(where, cells[off_nadir], -90.0, 90.0)
            if angle is None:
                raise InputError(f"{where}: has no off-nadir angle; fill it in or remove the line.")
            turn = None if azimuth is None else _angle(where, cells[azimuth], -360.0, 360.0)
            turn = None if turn is None else turn % 360.0
            yield _Row(above + reader.line_num, cells[key].strip(), abs(angle), turn)
    except csv.Error as problem:
        raise InputError(
            f"{name}, line {above + reader.line_num}: is no CSV ({problem}); correct it."
        ) from problem


def _says_nothing(line: str) -> bool:
    """Whether a line above the header is blank, a comment, or Excel's `sep=;`."""
    return not line.strip() or line.startswith(("#", "sep="))


def _column(where: str, header: list[str], wanted: tuple[str, ...]) -> int:
    found = [column for column in header if column in wanted]
    if len(found) == 1:
        return header.index(found[0])
    what = "has no column" if not found else "has more than one column of"
    raise InputError(
        f"{where}: {what} {', '.join(wanted[:3])}; "
        "write a header such as scene,off_nadir_deg,azimuth_deg."
    )


def _angle(where: str, text: str, low: float, high: float) -> float | None:
    text = text.strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InputError(
            f"{where}: '{printable(text[:40])}' is no angle between {low:g} and {high:g} degrees; "
            "correct it."
        )
    return value
