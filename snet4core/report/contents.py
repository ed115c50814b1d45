"""What a report shows, as plain values: read from a layer and, where there is one, its scene.

Coordinates on the page are in pixels of the page's picture, x to the right and y downwards.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from snet4core.errors import InputError
from snet4core.files.names import printable
from snet4core.layers.buildings import Buildings
from snet4core.layers.features import FOOTPRINTS, ROOFS
from snet4core.layers.read import read_buildings
from snet4core.layers.reproject import reprojected
from snet4core.layers.vectors import plainly_reached
from snet4core.report.packed import packed
from snet4core.report.picture import SIDE_PX, Picture
from snet4core.scene.scene import Scene

MOST_DRAWN = 100_000
"""Buildings on the map; of more, those of highest confidence. Counts are of all."""


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """A layer as the page shows it. N buildings, M of them drawn."""

    name: str
    sha256: str
    """Of the layer's file."""
    confidence_N: NDArray[np.float64]
    area_m2_N: NDArray[np.float64]
    """NaN where the layer does not say it."""
    height_m_N: NDArray[np.float64]
    """NaN where unknown."""
    size_px: tuple[int, int]
    """Width and height of the map."""
    drawn: int
    """M."""
    outlines: str
    """Of the buildings drawn, see `packed.py`."""
    roofs: str
    """The same of the roofs, of which there may be none."""
    fields: dict[str, list[Any]]
    """Attributes of the buildings drawn: name -> M plain values."""
    facts: dict[str, str]
    """What was assumed when the layer was made, as the file itself says: of its first scene."""
    of_another: bool
    """Whether the facts tell of another scene than the one that is shown."""
    azimuth_deg: float | None
    off_nadir_deg: float | None


def contents_of(path: Path, scene: Scene | None, picture: Picture | None) -> Contents:
    """Read a layer for the page. InputError, naming the file, for what cannot be read."""
    found = read_buildings(path)
    fields, facts = _fields(path, FOOTPRINTS, len(found.polygons_N))
    roofs = _roofs(path, scene)
    here_N = _of_scene(fields, facts, scene, len(found.polygons_N))
    if scene is not None:
        found = in_crs_of(found, scene)
        roofs = None if roofs is None else in_crs_of(roofs, scene)
    roofs_R = np.empty(0, object) if roofs is None else roofs.polygons_N
    confidence_N = found.confidence_N[here_N]
    order_M = np.sort(np.argsort(-confidence_N, kind="stable")[:MOST_DRAWN])
    polygons_N = found.polygons_N[here_N]
    place = Place.of(scene, picture, polygons_N)
    count = len(confidence_N)
    numbers = {
        name: np.array([_number(each) for each in fields[name]])[here_N]
        for name in ("area_m2", "height_m", "off_nadir_deg", "azimuth_deg")
        if name in fields
    }
    unknown_N = np.full(count, math.nan)
    drawn = np.flatnonzero(here_N)[order_M]
    return Contents(
        name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        confidence_N=confidence_N,
        area_m2_N=numbers.get("area_m2", unknown_N),
        height_m_N=numbers.get("height_m", unknown_N),
        size_px=place.size_px,
        drawn=len(order_M),
        outlines=packed(polygons_N[order_M], place.matrix),
        roofs=packed(roofs_R[:MOST_DRAWN], place.matrix),
        fields={name: [_plain(values[each]) for each in drawn] for name, values in fields.items()}
        or {"confidence": [round(each, 3) for each in confidence_N[order_M].tolist()]},
        facts=facts,
        of_another=scene is not None and Path(facts.get("scene", scene.name)).stem != scene.name,
        azimuth_deg=_only(numbers.get("azimuth_deg", unknown_N)),
        off_nadir_deg=_only(numbers.get("off_nadir_deg", unknown_N)),
    )


def _fields(path: Path, layer: str, count: int) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Attributes, name -> values, and the facts that the layer carries; empty where a format
    has none, or where some of its rows are no buildings."""
    if path.suffix.lower() in (".csv", ".txt", ".parquet"):
        return {}, {}
    several = {"layer": layer} if path.suffix.lower() == ".gpkg" and _has(path, layer) else {}
    with plainly_reached(path.absolute()) as plain:
        meta, _, _, columns = pyogrio.raw.read(plain, read_geometry=False, **several)
        told = pyogrio.read_info(plain, **several)["layer_metadata"] or {}
    # GDAL adds a GeoPackage's own metadata, which is XML and says the same once more.
    facts = {name: _plainly(value) for name, value in told.items() if not name.startswith("GPKG_")}
    if any(len(column) != count for column in columns):
        return {}, facts
    names = (str(name) for name in meta["fields"])
    return {name: column.tolist() for name, column in zip(names, columns, strict=True)}, facts


def _plainly(fact: str) -> str:
    """A fact without names of classes, which mean nothing to a reader.

    >>> _plainly("ShapeSettings(threshold=0.5, split=SplitSettings(cut_probability=0.9))")
    'threshold=0.5, cut_probability=0.9'
    """
    if not re.fullmatch(r"\w+Settings\(.*\)", fact):
        return fact
    return re.sub(r"(\w+=)?\w+Settings\(|\)", "", fact)


def _has(path: Path, layer: str) -> bool:
    with plainly_reached(path.absolute()) as plain:
        return layer in pyogrio.list_layers(plain)[:, 0]


def _roofs(path: Path, scene: Scene | None) -> Buildings | None:
    """Roofs of the scene, or of all where the layer does not tell; None without a layer of them."""
    if path.suffix.lower() != ".gpkg" or not _has(path, ROOFS):
        return None
    found = read_buildings(path, geometry="roof")
    count = len(found.polygons_N)
    fields, facts = _fields(path, ROOFS, count)
    return replace(found, polygons_N=found.polygons_N[_of_scene(fields, facts, scene, count)])


def _of_scene(
    fields: Mapping[str, list[Any]], facts: Mapping[str, str], scene: Scene | None, count: int
) -> Any:
    """(N,) True for buildings of the scene, or for all where the layer does not tell.

    A layer of one other scene is shown as well: pictures are renamed. Where facts or buildings
    tell that it has this scene or several, one without buildings has none.
    """
    if scene is None or "scene" not in fields:
        return np.ones(count, bool)
    mine_N = np.array([each == scene.name for each in fields["scene"]], bool)
    told = Path(facts.get("scene", "")).stem == scene.name or len(set(fields["scene"])) > 1
    return mine_N if told or mine_N.any() else np.ones(count, bool)


def in_crs_of(found: Buildings, scene: Scene) -> Buildings:
    """The buildings in the CRS of the scene."""
    if found.in_pixels or found.crs is None or found.crs == scene.grid.crs:
        return found
    moved_N = reprojected(found.polygons_N, found.crs, scene.grid.crs, found.name)
    return replace(found, polygons_N=moved_N, crs=scene.grid.crs)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the coordinates of a layer lie on the page."""

    size_px: tuple[int, int]
    matrix: tuple[float, ...]
    """a, b, d, e, xoff, yoff of shapely.affinity: from the layer's coordinates to the page's."""

    @staticmethod
    def of(scene: Scene | None, picture: Picture | None, polygons_N: Any) -> Place:
        if scene is not None and picture is not None:
            whole = ~scene.grid.transform
            return Place(
                picture.size_px,
                tuple(
                    each * picture.scale
                    for each in (whole.a, whole.b, whole.d, whole.e, whole.c, whole.f)
                ),
            )
        if not len(polygons_N):
            return Place((SIDE_PX, SIDE_PX), (1, 0, 0, -1, 0, 0))
        left, low, right, high = shapely.total_bounds(polygons_N).tolist()
        scale = (SIDE_PX - 40) / max(right - left, high - low, 1e-9)
        size = round((right - left) * scale) + 40, round((high - low) * scale) + 40
        return Place(size, (scale, 0, 0, -scale, 20 - left * scale, 20 + high * scale))


def _only(values_N: NDArray[np.float64]) -> float | None:
    """The value that all have in common."""
    known = np.unique(values_N[~np.isnan(values_N)])
    return float(known[0]) if len(known) == 1 else None


def _number(value: Any) -> float:
    try:
        return math.nan if value is None else float(value)
    except (TypeError, ValueError):
        return math.nan


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None
    return value if value is None or isinstance(value, int | bool) else printable(str(value))


def refuse_others(path: Path) -> None:
    """InputError for files of ours that cannot be shown: tables in pixels, and CityJSON."""
    endings = {".csv": "is a table in pixels", ".city.json": "is CityJSON"}
    name = path.name.lower()
    what = next((says for ending, says in endings.items() if name.endswith(ending)), None)
    if what is not None:
        raise InputError(
            f"{printable(path)} {what}; make the report of a .gpkg, .fgb, .geojson or .parquet."
        )
