"""Writes CityJSON 2.0: each building as a block, its footprint drawn up to its height.

    building of known height    a Solid, LoD 1: ground, roof and walls, closed, seen from outside
    building of unknown height  its footprint, LoD 0: a MultiSurface, as no height is invented

The ground lies at z = 0: heights are above the ground, and where that lies is not known.
Vertices are whole millimetres. CityJSON counts in metres, so a scene in degrees or feet, in a
projection whose metres are none on the ground (Mercator's, those of world maps) or without an EPSG
code is moved to the UTM zone of its first building.
"""

from __future__ import annotations

import json
import logging
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from snet4core.files.names import printable
from snet4core.layers.features import Content, Features, title_of
from snet4core.layers.reproject import reprojected

log = logging.getLogger("snet4")

EXTENSION = ".city.json"

SCALE_M = 0.001
"""Unit of the stored coordinates."""

TRUE_TO_SCALE = 0.01
"""Blocks may be longer or shorter by this share than they are on the ground; UTM's own are by up to
a thousandth."""

_STEP_M = 100.0
"""How far from the first building's corner that is measured."""

SHARED = 10_000
"""Buildings that share their common vertices: so many in a row, so that memory stays flat."""

_LON_LAT = CRS.from_epsg(4326)
_GROUND, _ROOF, _WALL = 0, 1, 2
_SURFACES = [{"type": "GroundSurface"}, {"type": "RoofSurface"}, {"type": "WallSurface"}]

Ring = list[tuple[int, int]]
"""Corners in millimetres from the frame's origin, each once."""


def write(path: Path, content: Content, crs: CRS, description: Mapping[str, str]) -> int:
    """Write a new CityJSON file; returns the number of buildings.

    Of `description` the scene is told. Raises InputError for places outside of the CRS.
    """
    layer, batches = content
    if not layer.has_heights:
        log.warning(
            "The model gives no heights, so the CityJSON holds footprints (LoD 0) and no blocks."
        )
    frame, count = None, 0
    with path.open("w", encoding="utf-8", newline="\n") as file, _Vertices() as vertices:
        file.write('{"type": "CityJSON", "version": "2.0",\n"CityObjects": {')
        for batch in batches:
            features = layer.features(batch)
            if len(features) == 0:
                continue
            frame = frame or _frame(crs, features)
            for building in _buildings(features, crs, frame, vertices, count):
                count += 1
                file.write(f'{"," if count > 1 else ""}\n"building-{count}": {building}')
        file.write('\n},\n"vertices": [\n')
        file.writelines(vertices.lines())
        file.write("],\n")
        tail = _tail(frame or _Frame(crs, crs.to_epsg(), (0.0, 0.0)), vertices, description)
        file.write(json.dumps(tail, ensure_ascii=False)[1:] + "\n")
    return count


# --- where ---


@dataclass(frozen=True, slots=True)
class _Frame:
    """The coordinates of a file."""

    crs: CRS
    epsg: int | None
    """The code of `crs`."""
    origin: tuple[float, float]
    """What is taken from x and y before they are counted in millimetres."""


def _frame(crs: CRS, features: Features) -> _Frame:
    """The scene's own CRS where CityJSON can have it, else a UTM zone."""
    x, y = features.shapes.boxes_N4[0, :2].tolist()
    name, own = printable(features.scene), crs.to_epsg()
    if own is not None and counts_metres(crs):
        near = _in_utm(crs, np.array([[x, y], [x + _STEP_M, y], [x, y + _STEP_M]]), name)
        sides_2 = np.hypot(*(near.points_N2[1:] - near.points_N2[0]).T)
        if np.abs(sides_2 / _STEP_M - 1).max() <= TRUE_TO_SCALE:
            return _Frame(crs, own, (float(math.floor(x)), float(math.floor(y))))
    found = _in_utm(crs, np.array([[x, y]]), name)
    why = "the scene does not" if own is not None else "the scene's CRS has no EPSG code"
    log.warning(
        "The CityJSON is in EPSG:%d, because it counts in metres on the ground and %s.",
        found.epsg,
        why,
    )
    x, y = np.floor(found.points_N2[0]).tolist()
    return _Frame(CRS.from_epsg(found.epsg), found.epsg, (x, y))


def counts_metres(crs: CRS) -> bool:
    """Whether x and y are called metres, and by no Mercator projection, where only those of the
    equator are.

    >>> [counts_metres(CRS.from_epsg(code)) for code in (32616, 4326, 2263, 3857)]
    [True, False, False, False]
    """
    if not crs.is_projected or re.search(r'PROJECTION\["Mercator', crs.to_wkt()):
        return False
    return bool(crs.linear_units_factor[1] == 1.0)


class _InUtm(NamedTuple):
    epsg: int
    points_N2: NDArray[np.float64]


def _in_utm(crs: CRS, points_N2: NDArray[np.float64], name: str) -> _InUtm:
    """The points in the UTM zone of the first; `InputError` where there is no such place."""
    points_N = np.asarray(shapely.points(points_N2), dtype=object)
    lon_lat_N2 = shapely.get_coordinates(reprojected(points_N, crs, _LON_LAT, name))
    epsg = _utm(*lon_lat_N2[0].tolist())
    moved_N = reprojected(points_N, crs, CRS.from_epsg(epsg), name)
    return _InUtm(epsg, shapely.get_coordinates(moved_N))


def _utm(lon_deg: float, lat_deg: float) -> int:
    """EPSG code of the zone of WGS 84 / UTM, and of UPS at the poles.

    >>> _utm(-84.4, 33.7), _utm(85.5, -27.6), _utm(0.0, 89.0)
    (32616, 32745, 32661)
    """
    if abs(lat_deg) > 84:
        return 32661 if lat_deg > 0 else 32761
    zone = int((lon_deg + 180) % 360 // 6) + 1
    return (32600 if lat_deg >= 0 else 32700) + zone


def _tail(frame: _Frame, vertices: _Vertices, description: Mapping[str, str]) -> dict[str, Any]:
    """All that is known only when the buildings are written."""
    scene = title_of(description)
    title = (
        f"Buildings{f' of {scene}' if scene else ''}, found by snet4; heights in metres above the "
        "ground, which is z = 0"
    )
    metadata: dict[str, Any] = {"title": title}
    if frame.epsg is not None:
        metadata["referenceSystem"] = f"https://www.opengis.net/def/crs/EPSG/0/{frame.epsg}"
    translate = [*frame.origin, 0.0]
    if vertices.count:
        corners_23 = np.array([vertices.low, vertices.high]) * SCALE_M + translate
        metadata["geographicalExtent"] = np.round(corners_23, 3).ravel().tolist()
    return {"transform": {"scale": [SCALE_M] * 3, "translate": translate}, "metadata": metadata}


# --- what ---


class _Vertices:
    """The vertices of all buildings, as text in an unnamed file; equal ones are stored once."""

    def __init__(self) -> None:
        self.count = 0
        self.low, self.high = [2**62] * 3, [-(2**62)] * 3
        self._index: dict[tuple[int, int, int], int] = {}

    def __enter__(self) -> _Vertices:
        self._file: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def forget(self) -> None:
        """Share no vertex with the buildings before."""
        self._index.clear()

    def at(self, x: int, y: int, z: int) -> int:
        """The number of a vertex."""
        found = self._index.get((x, y, z))
        if found is None:
            found = self._index[x, y, z] = self.count
            self._file.write(f"{',' if self.count else ''}[{x},{y},{z}]\n")
            self.count += 1
            self.low = [min(pair) for pair in zip(self.low, (x, y, z), strict=True)]
            self.high = [max(pair) for pair in zip(self.high, (x, y, z), strict=True)]
        return found

    def lines(self) -> Iterator[str]:
        """All of them in order, a line each."""
        self._file.seek(0)
        yield from self._file


def _buildings(
    features: Features, crs: CRS, frame: _Frame, vertices: _Vertices, before: int
) -> Iterator[str]:
    """Each building as JSON; `before` of them are written already."""
    columns = features.columns()
    heights_m = columns.get("height_m") or [None] * len(features)
    for row, rings in enumerate(_rings(features, crs, frame)):
        if (before + row) % SHARED == 0:
            vertices.forget()
        height_m = heights_m[row]
        top = round(height_m / SCALE_M) if height_m else 0
        values = {name: column[row] for name, column in columns.items()}
        building = {
            "type": "Building",
            "attributes": {name: value for name, value in values.items() if value is not None},
            "geometry": [_solid(rings, top, vertices) if top > 0 else _surface(rings, vertices)],
        }
        yield json.dumps(building, ensure_ascii=False, separators=(",", ":"))


def _rings(features: Features, crs: CRS, frame: _Frame) -> Iterator[list[Ring]]:
    """The rings of each footprint: the outer one counter-clockwise, then holes clockwise."""
    polygons_N = reprojected(features.polygons_N, crs, frame.crs, printable(features.scene))
    polygons_N = np.asarray(shapely.orient_polygons(polygons_N, exterior_cw=False), object)
    rings_R, owner_R = shapely.get_rings(polygons_N, return_index=True)
    points_M2, ring_M = shapely.get_coordinates(rings_R, return_index=True)
    whole_M2 = np.rint((points_M2 - frame.origin) / SCALE_M).astype(np.int64)
    starts_R = np.searchsorted(ring_M, np.arange(len(rings_R) + 1)).tolist()
    corners = list(map(tuple, whole_M2.tolist()))
    rings = [_ring(corners[start:stop]) for start, stop in pairwise(starts_R)]
    for _, group in groupby(zip(owner_R.tolist(), rings, strict=True), key=lambda pair: pair[0]):
        outer, *holes = [ring for _, ring in group]
        yield [outer, *(hole for hole in holes if len(hole) > 2)]


def _ring(corners: Ring) -> Ring:
    """Corners of a closed ring, each once, without those that rounding made equal."""
    return [point for point, _ in groupby(corners)][:-1]


def _solid(rings: list[Ring], top: int, vertices: _Vertices) -> dict[str, Any]:
    """The block over a footprint, from the ground to `top` millimetres above it.

    Surfaces turn counter-clockwise as seen from outside: the roof like the footprint, the ground
    the other way round, walls up from each of its edges.
    """
    low = [[vertices.at(x, y, 0) for x, y in ring] for ring in rings]
    high = [[vertices.at(x, y, top) for x, y in ring] for ring in rings]
    walls = [
        [[below[each - 1], below[each], above[each], above[each - 1]]]
        for below, above in zip(low, high, strict=True)
        for each in range(len(below))
    ]
    return {
        "type": "Solid",
        "lod": "1",
        "boundaries": [[[ring[::-1] for ring in low], high, *walls]],
        "semantics": {
            "surfaces": _SURFACES,
            "values": [[_GROUND, _ROOF, *[_WALL] * len(walls)]],
        },
    }


def _surface(rings: list[Ring], vertices: _Vertices) -> dict[str, Any]:
    """A footprint alone."""
    flat = [[vertices.at(x, y, 0) for x, y in ring] for ring in rings]
    return {"type": "MultiSurface", "lod": "0", "boundaries": [flat]}
