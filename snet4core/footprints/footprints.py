"""Footprints: outlines in map coordinates, with confidence, area and look.

This is the only place where pixel coordinates of outlines become map coordinates. `ordering`
numbers the footprints, which takes all of a raster's.

Array names end in their axes: N footprints.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from snet4core.errors import InputError
from snet4core.files.names import printable, storable
from snet4core.footprints.polygons import Polygons, Shapes
from snet4core.grid import Grid
from snet4core.look.look import Look
from snet4core.outlines.outline import Outlines
from snet4core.settings import UNCALIBRATED, Calibration


@dataclass(frozen=True, slots=True)
class Source:
    """Attributes shared by all footprints of one scene."""

    scene: str
    """Name of the scene, as written on every feature."""
    crs: CRS
    """CRS of the scene and of the polygons."""
    look: Look | None = None
    """Viewing geometry of the picture; None leaves the look fields NULL."""
    model: str | None = None
    """Name of the model; None leaves the field NULL."""
    image_id: str | None = None
    """ImageId in SpaceNet tables; None: derived from `scene`."""
    has_roofs: bool = False
    """Whether footprints come with roofs and heights; the layer then has `HEIGHT_FIELDS` too."""

    @property
    def layer_fields(self) -> dict[str, str]:
        """Names and types of the layer's fields, in order."""
        return FIELDS | HEIGHT_FIELDS if self.has_roofs else FIELDS

    def fields(self) -> dict[str, Any]:
        """The shared values by name of the layer's field (None = NULL)."""
        look = self.look
        return {
            "scene": storable(self.scene),
            "off_nadir_deg": look.off_nadir_deg if look else None,
            "azimuth_deg": look.azimuth_deg if look else None,
            "look": look.category if look else None,
            "look_source": look.source if look else None,
            "model": storable(self.model) if self.model is not None else None,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Footprint:
    """One building of the result."""

    polygon: shapely.Polygon
    """In map units of the scene's CRS."""
    footprint_id: int
    """1, 2, ... by row and column of the first pixel."""
    confidence: float
    """0..1."""
    area_m2: float
    """True ground area in square metres."""
    source: Source
    """Scene, CRS, look and model."""
    height_m: float | None = None
    """Height above the ground by which the roof's outline is displaced; None: unknown."""
    roof: shapely.Polygon | None = None
    """The roof where the picture shows it, in map units as if it lay on the ground."""


@dataclass(frozen=True, slots=True, eq=False)
class Footprints:
    """Footprints of one scene as columns of equal length N."""

    source: Source
    """Attributes that they share."""
    shapes: Shapes
    """Valid polygons in map units, outer rings counter-clockwise."""
    shapes_px: Shapes
    """The same polygons in pixels of the delivered scene: x right, y down."""
    anchors_N2: NDArray[np.int64]
    """(N, 2) row, column of the first pixel: the sort key."""
    confidence_N: NDArray[np.float64]
    """0..1, rounded to four decimals."""
    area_m2_N: NDArray[np.float64]
    """True ground area in square metres, rounded to two decimals."""
    footprint_id_N: NDArray[np.int64]
    """1, 2, ... after `ordering.in_order`; 0 before."""
    height_m_N: NDArray[np.float64]
    """Height above the ground in metres, rounded to one decimal; NaN: unknown."""
    roofs: Shapes | None = None
    """Roofs where the picture shows them, in map units as if they lay on the ground; None
    exactly where `source.has_roofs` is False."""
    roofs_px: Shapes | None = None
    """The same roofs in pixels of the delivered scene."""

    def __post_init__(self) -> None:
        if not (self.source.has_roofs is (self.roofs is not None) is (self.roofs_px is not None)):
            raise ValueError("A table has roofs exactly where its source says so.")

    @staticmethod
    def of(
        source: Source,
        polygons_N: Polygons,
        polygons_px_N: Polygons,
        anchors_N2: NDArray[np.int64],
        confidence_N: NDArray[np.float64],
        area_m2_N: NDArray[np.float64],
        height_m_N: NDArray[np.float64] | None = None,
        roofs_N: Polygons | None = None,
        roofs_px_N: Polygons | None = None,
    ) -> Footprints:
        """Build a table from polygons that are not numbered yet; without heights they are NaN."""
        count = len(polygons_N)
        return Footprints(
            source,
            Shapes.of(polygons_N),
            Shapes.of(polygons_px_N),
            anchors_N2,
            confidence_N,
            area_m2_N,
            np.zeros(count, np.int64),
            np.full(count, np.nan) if height_m_N is None else height_m_N,
            None if roofs_N is None else Shapes.of(roofs_N),
            None if roofs_px_N is None else Shapes.of(roofs_px_N),
        )

    @property
    def polygons_N(self) -> Polygons:
        """(N,) shapely polygons in map units."""
        return self.shapes.polygons_N

    @property
    def polygons_px_N(self) -> Polygons:
        """(N,) shapely polygons in pixels of the delivered scene."""
        return self.shapes_px.polygons_N

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, which: slice | NDArray[Any]) -> Footprints:
        """Select footprints by slice, mask or indices."""
        chosen: list[Any] = [None if each is None else each[which] for each in self._columns()]
        return Footprints(self.source, *chosen)

    def _columns(self) -> list[Any]:
        return [getattr(self, each.name) for each in fields(self) if each.name != "source"]

    def __iter__(self) -> Iterator[Footprint]:
        for index in range(len(self)):
            yield Footprint(
                self.polygons_N[index],
                int(self.footprint_id_N[index]),
                float(self.confidence_N[index]),
                float(self.area_m2_N[index]),
                self.source,
                _known(float(self.height_m_N[index])),
                None if self.roofs is None else self.roofs.polygons_N[index],
            )

    def columns(self) -> dict[str, list[Any]]:
        """All fields of the layer, in order, as plain Python values (None = NULL)."""
        found = self.own_columns()
        found |= {name: [value] * len(self) for name, value in self.source.fields().items()}
        return {name: found[name] for name in self.source.layer_fields}

    def own_columns(self) -> dict[str, list[Any]]:
        """The fields that differ between footprints, as plain Python values."""
        found: dict[str, list[Any]] = {
            "footprint_id": self.footprint_id_N.tolist(),
            "confidence": self.confidence_N.tolist(),
            "area_m2": self.area_m2_N.tolist(),
        }
        if self.source.has_roofs:
            found["height_m"] = [_known(height_m) for height_m in self.height_m_N.tolist()]
            found["height_source"] = [None if each is None else "map" for each in found["height_m"]]
        return found


def _known(height_m: float) -> float | None:
    return None if math.isnan(height_m) else height_m


FIELDS = {
    "footprint_id": "int64",
    "scene": "str",
    "confidence": "float",
    "area_m2": "float",
    "off_nadir_deg": "float",
    "azimuth_deg": "float",
    "look": "str",
    "look_source": "str",
    "model": "str",
}
"""Names and types of the layer's fields, equal in every format."""

HEIGHT_FIELDS = {"height_m": "float", "height_source": "str"}
"""Further fields, after the others, of a table with roofs. The source of a height is `map`."""


def none_of(source: Source) -> Footprints:
    """Return an empty table: the scene was searched and holds no buildings."""
    none, numbers = np.empty(0, object), np.empty(0)
    roofs = none if source.has_roofs else None
    anchors_N2 = np.empty((0, 2), np.int64)
    return Footprints.of(source, none, none, anchors_N2, numbers, numbers, numbers, roofs, roofs)


def concatenated(source: Source, batches: Sequence[Footprints]) -> Footprints:
    """Concatenate tables of one scene, in the order given."""
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return none_of(source)
    return Footprints(
        source,
        Shapes.joined([each.shapes for each in batches]),
        Shapes.joined([each.shapes_px for each in batches]),
        np.concatenate([each.anchors_N2 for each in batches]),
        np.concatenate([each.confidence_N for each in batches]),
        np.concatenate([each.area_m2_N for each in batches]),
        np.concatenate([each.footprint_id_N for each in batches]),
        np.concatenate([each.height_m_N for each in batches]),
        _joined([each.roofs for each in batches]),
        _joined([each.roofs_px for each in batches]),
    )


def _joined(roofs: Sequence[Shapes | None]) -> Shapes | None:
    """Concatenate the roofs of several tables, which all have them or all have none."""
    there = [each for each in roofs if each is not None]
    return Shapes.joined(there) if there else None


def footprints_of(
    outlines: Outlines,
    grid: Grid,
    source: Source,
    *,
    native: Grid | None = None,
    min_area_m2: float = 0.0,
    min_confidence: float = 0.0,
    calibration: Calibration = UNCALIBRATED,
    roofs_N: Polygons | None = None,
) -> Footprints:
    """Georeference outlines, which are in pixels of `grid`, the maps' grid.

    `native` is the scene's own grid where the maps are coarser or finer; `roofs_N` are the
    roofs of a source that has them. Footprints below `min_area_m2` or `min_confidence` are
    dropped. Raises `InputError` where an area cannot be measured.
    """
    if len(outlines.polygons_N) == 0:
        return none_of(source)
    area_px_N = shapely.area(outlines.polygons_N)
    centres_N2 = shapely.get_coordinates(shapely.centroid(outlines.polygons_N))
    area_m2_N = area_px_N * grid.pixel_area_m2(centres_N2)
    if not np.all(np.isfinite(area_m2_N)):
        raise InputError(
            f"Scene {printable(source.scene)} has footprints without a place on Earth; "
            "check its CRS."
        )
    confidence_N = np.round(calibration(np.clip(outlines.confidence_N, 0.0, 1.0)), 4)
    is_kept_N = (area_m2_N >= min_area_m2) & (area_m2_N > 0) & (confidence_N >= min_confidence)
    kept = np.flatnonzero(is_kept_N)
    height_m_N = outlines.height_m_N

    def placed(polygons_N: Polygons) -> tuple[Polygons, Polygons]:
        on_map_N = outward(shapely.transform(polygons_N[kept], grid.to_map))
        return on_map_N, _native_px(polygons_N[kept], grid, native or grid)

    return Footprints.of(
        source,
        *placed(outlines.polygons_N),
        outlines.anchors_N2[kept],
        confidence_N[kept],
        np.round(area_m2_N[kept], 2),
        None if height_m_N is None else height_m_N[kept],
        *(() if roofs_N is None else placed(roofs_N)),
    )


def outward(polygons: Polygons) -> Polygons:
    """Orient outer rings counter-clockwise, holes clockwise: a north-up transform mirrors them."""
    return np.asarray(shapely.orient_polygons(polygons, exterior_cw=False), dtype=object)


def _native_px(polygons_px: Polygons, grid: Grid, native: Grid) -> Polygons:
    """Transform polygons from pixels of the maps to pixels of the scene.

    Both grids come from one affine, so their relation is a scale of `k` or `1 / k` and whole
    offsets; rounding errors of the product of affines are removed.
    """
    if grid.transform == native.transform:
        return polygons_px
    a, b, c, d, e, f = (
        float(Fraction(value).limit_denominator(1000))
        for value in (~native.transform @ grid.transform)[:6]
    )

    def move(points_N2: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points_N2[:, 0], points_N2[:, 1]
        return np.column_stack([a * x + b * y + c, d * x + e * y + f])

    return np.asarray(shapely.transform(polygons_px, move), dtype=object)


def rounded(polygons: Polygons, decimals: int) -> Polygons:
    """Round coordinates; polygons that would become invalid stay as they are.

    >>> rounded(np.array([shapely.box(0, 0, 1.006, 2)]), 2).tolist()
    [<POLYGON ((1.01 0, 1.01 2, 0 2, 0 0, 1.01 0))>]
    """
    short = np.asarray(
        shapely.transform(polygons, lambda points: np.round(points, decimals) + 0.0), dtype=object
    )
    return np.where(shapely.is_valid(short) | ~shapely.is_valid(polygons), short, polygons)


Arrays = dict[str, NDArray[Any]]


def to_arrays(table: Footprints) -> Arrays:
    """Everything but the source; equal tables give equal arrays. Heights go with roofs."""
    found: Arrays = {
        "anchors": table.anchors_N2,
        "confidence": table.confidence_N,
        "area_m2": table.area_m2_N,
        "footprint_id": table.footprint_id_N,
    }
    if table.source.has_roofs:
        found["height_m"] = table.height_m_N
    for name, shapes in (
        ("map", table.shapes),
        ("px", table.shapes_px),
        ("roof.map", table.roofs),
        ("roof.px", table.roofs_px),
    ):
        if shapes is not None:
            found[f"{name}.wkb"], found[f"{name}.lengths"] = shapes.flat()
            found[f"{name}.boxes"] = shapes.boxes_N4
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def from_arrays(found: Mapping[str, NDArray[Any]], source: Source) -> Footprints:
    """Inverse of `to_arrays`. Raises KeyError where an array is missing."""

    def shapes(name: str) -> Shapes:
        return Shapes.from_flat(
            found[f"{name}.wkb"], found[f"{name}.lengths"], found[f"{name}.boxes"]
        )

    return Footprints(
        source,
        shapes("map"),
        shapes("px"),
        found["anchors"],
        found["confidence"],
        found["area_m2"],
        found["footprint_id"],
        found["height_m"] if source.has_roofs else np.full(len(found["anchors"]), np.nan),
        shapes("roof.map") if source.has_roofs else None,
        shapes("roof.px") if source.has_roofs else None,
    )
