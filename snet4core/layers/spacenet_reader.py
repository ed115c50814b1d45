"""Reads SpaceNet tables, submissions as well as truth; every error names its line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4core.errors import InputError
from snet4core.files.names import cell_text, printable
from snet4core.layers.buildings import Buildings, height_of, is_plausible
from snet4core.layers.spacenet import COLUMNS

LONGEST_CELL = 1 << 24
"""Characters allowed in one cell; a building of a million vertices has fewer."""

_AREAS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)


def read(path: Path, *, confidence: bool = True, height_field: str = "height_m") -> Buildings:
    """Read the columns ImageId and PolygonWKT_Pix, and with `confidence` also Confidence.

    Heights in metres are read from the column `height_field`, where there is one.

    Other columns (PolygonWKT_Geo, Occluded) are ignored; a third dimension is dropped; an
    EMPTY row states that its image was searched. Raises `InputError`.
    """
    name = printable(path)
    rows = _rows(_text(path, name), name)
    header = next(rows, (1, []))[1]
    place = _places(header, name)
    with_confidence = confidence and "Confidence" in place
    lines: list[int] = []
    ids: list[str] = []
    wkt: list[str] = []
    rates: list[str] = []
    heights_m: list[float] = []
    for line, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"{name}, line {line}: {len(row)} cells instead of {len(header)}; "
                "put text with commas into double quotes."
            )
        image = cell_text(row[place["ImageId"]])
        if not image:
            raise InputError(f"{name}, line {line}: the ImageId is empty; fill it in.")
        lines.append(line)
        ids.append(image)
        wkt.append(row[place["PolygonWKT_Pix"]])
        rates.append(row[place["Confidence"]] if with_confidence else "1")
        if height_field in place:
            heights_m.append(height_of(row[place[height_field]].strip(), f"{name}, line {line}"))
    return _buildings(
        name, lines, ids, wkt, rates, np.array(heights_m) if height_field in place else None
    )


def _buildings(
    name: str,
    lines: list[int],
    ids: list[str],
    wkt: list[str],
    rates: list[str],
    height_m_N: NDArray[np.float64] | None,
) -> Buildings:
    polygons_N = _polygons(wkt, lines, name)
    kinds_N = shapely.get_type_id(polygons_N)
    empty_N = shapely.is_empty(polygons_N)
    area_N = np.isin(kinds_N, _AREAS) & ~empty_N
    kept = np.flatnonzero(area_N)
    ids_N = np.empty(len(ids), object)
    ids_N[:] = ids
    no_area = int(np.count_nonzero(~area_N & ~empty_N))
    return Buildings(
        ids_N[kept],
        polygons_N[kept],
        np.array([_rate(rates[i], lines[i], name) for i in kept.tolist()], np.float64),
        tuple(dict.fromkeys(ids)),
        skipped={"points or lines, not areas": no_area} if no_area else {},
        name=name,
        height_m_N=None if height_m_N is None else height_m_N[kept],
    )


def _text(path: Path, name: str) -> str:
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{name} is UTF-16 text; save it as UTF-8.")
    if (place := raw.find(b"\0")) >= 0:
        line = raw.count(b"\n", 0, place) + 1
        raise InputError(f"{name}, line {line}: it holds a NUL byte; save the table as UTF-8 CSV.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{name}, line {line}: it is not UTF-8; save the table as UTF-8."
        ) from None


def _rows(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of every row that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    with _long_cells():
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise InputError(
                    f"{name}, line {line}: {error}; check the quotes around it."
                ) from None
            if row:
                yield line, row


@contextmanager
def _long_cells() -> Iterator[None]:
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _places(header: list[str], name: str) -> dict[str, int]:
    """Position of each column by name."""
    names = [column.strip() for column in header]
    if not names:
        raise InputError(f"{name} is empty; it should begin with {','.join(COLUMNS)}.")
    missing = [column for column in ("ImageId", "PolygonWKT_Pix") if column not in names]
    if missing:
        found = printable(", ".join(names)[:120])
        raise InputError(
            f"{name} has no column {' and no column '.join(missing)}, only: {found}; "
            f"its first line should be {','.join(COLUMNS)}."
        )
    twice = sorted({column for column in names if column and names.count(column) > 1})
    if twice:
        raise InputError(f"{name} has the column {printable(twice[0])} twice; remove one.")
    return {column: index for index, column in enumerate(names)}


def _polygons(wkt: list[str], lines: list[int], name: str) -> NDArray[np.object_]:
    with np.errstate(invalid="ignore"):
        texts = np.empty(len(wkt), object)
        texts[:] = wkt
        polygons_N = shapely.from_wkt(texts, on_invalid="ignore")
        polygons_N = np.asarray(shapely.force_2d(polygons_N), dtype=object)
    bad = shapely.is_missing(polygons_N)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{name}, line {lines[first]}: PolygonWKT_Pix is not a WKT polygon "
            f"({printable(wkt[first][:40])}); write POLYGON ((x y, ...)) or POLYGON EMPTY."
        )
    points_M2, owner_M = shapely.get_coordinates(polygons_N, return_index=True)
    wild = owner_M[~is_plausible(points_M2).all(axis=1)]
    if len(wild):
        raise InputError(
            f"{name}, line {lines[int(wild[0])]}: PolygonWKT_Pix has a coordinate beyond "
            "any image; correct it."
        )
    return polygons_N


def _rate(text: str, line: int, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(
            f"{name}, line {line}: the Confidence '{printable(text[:20])}' is no number; write "
            "one like 0.93, with a point."
        )
    return value
