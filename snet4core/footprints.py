"""Footprints: outlines placed on the ground, with confidence, area and look.

Here pixel coordinates become map coordinates, once, and footprints get their numbers:
1, 2, ... by the row and column of the first pixel, over the whole raster, whatever the
order and size of the blocks they were found in.

Array names end in their axes: N footprints.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from snet4core.errors import InputError, ModelError
from snet4core.grid import Grid
from snet4core.look import Look
from snet4core.outline import Outlines
from snet4core.overlaps import Sweep
from snet4core.text import printable, storable

Polygons = NDArray[np.object_]
"""(N,) shapely Polygons."""

BATCH = 10_000
"""Footprints handed on together: large enough for speed, small enough for memory."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence that means something: 0.8 = 80 in 100 such footprints are buildings.

    A rising line through knots, fitted on validation data and kept in the model's card.

    >>> Calibration((0.0, 0.5, 1.0), (0.0, 0.2, 1.0))(np.array([0.25, 0.75]))
    array([0.1, 0.6])
    """

    raw: tuple[float, ...] = (0.0, 1.0)
    """Mean probabilities, rising strictly."""
    share: tuple[float, ...] = (0.0, 1.0)
    """The share of true buildings at each of them, never falling, 0..1."""

    def __post_init__(self) -> None:
        raw_K, share_K = np.asarray(self.raw, float), np.asarray(self.share, float)
        fits = (
            len(raw_K) == len(share_K) >= 2
            and bool(np.isfinite(raw_K).all() and np.isfinite(share_K).all())
            and bool(np.all(np.diff(raw_K) > 0) and np.all(np.diff(share_K) >= 0))
            and bool(share_K[0] >= 0 and share_K[-1] <= 1)
        )
        if not fits:
            raise ModelError(
                f"The confidence knots {self.raw} -> {self.share} do not rise between 0 and 1; "
                "calibrate the model again with `snet4 calibrate`."
            )

    def __call__(self, confidence_N: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean probabilities -> calibrated confidence, both 0..1."""
        return np.asarray(np.interp(confidence_N, self.raw, self.share))


@dataclass(frozen=True, slots=True)
class Source:
    """What all footprints of one scene have in common."""

    scene: str
    """Name of the scene, as it stands on every feature."""
    crs: CRS
    """The scene's CRS: that of the polygons."""
    look: Look | None = None
    """How tilted the picture is; None leaves the look fields NULL."""
    model: str | None = None
    """Name of the model; None leaves the field NULL."""
    image_id: str | None = None
    """ImageId in the SpaceNet form; None: made from `scene`."""


@dataclass(frozen=True, slots=True, eq=False)
class Footprint:
    """One building, as a reader of the result meets it."""

    polygon: shapely.Polygon
    """In map units of the scene's CRS."""
    footprint_id: int
    """1, 2, ... by row and column of the first pixel."""
    confidence: float
    """0..1."""
    area_m2: float
    """True ground area."""
    source: Source
    """Scene, CRS, look and model."""


@dataclass(frozen=True, slots=True, eq=False)
class Footprints:
    """Many footprints of one scene, as columns of one length N."""

    source: Source
    """What they have in common."""
    polygons_N: Polygons
    """(N,) valid Polygons in map units, outer rings counter-clockwise."""
    polygons_px_N: Polygons
    """(N,) the same in pixels of the scene as it was delivered: x right, y down."""
    anchors_N2: NDArray[np.int64]
    """(N, 2) row, column that decide the order."""
    confidence_N: NDArray[np.float64]
    """0..1, four decimals."""
    area_m2_N: NDArray[np.float64]
    """True ground area in square metres, two decimals."""
    footprint_id_N: NDArray[np.int64]
    """1, 2, ... once `in_order` has seen the whole raster; 0 before."""

    def __len__(self) -> int:
        return len(self.polygons_N)

    def __iter__(self) -> Iterator[Footprint]:
        for index in range(len(self)):
            yield Footprint(
                self.polygons_N[index],
                int(self.footprint_id_N[index]),
                float(self.confidence_N[index]),
                float(self.area_m2_N[index]),
                self.source,
            )

    def columns(self) -> dict[str, list[Any]]:
        """The layer's fields, in their order, as plain Python values (None = NULL)."""
        look, count = self.source.look, len(self)
        shared: dict[str, Any] = {
            "off_nadir_deg": look.off_nadir_deg if look else None,
            "azimuth_deg": look.azimuth_deg if look else None,
            "look": look.category if look else None,
            "look_source": look.source if look else None,
            "model": storable(self.source.model) if self.source.model is not None else None,
        }
        return {
            "footprint_id": self.footprint_id_N.tolist(),
            "scene": [storable(self.source.scene)] * count,
            "confidence": self.confidence_N.tolist(),
            "area_m2": self.area_m2_N.tolist(),
            **{name: [value] * count for name, value in shared.items()},
        }


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
"""Names and types of the layer's fields, the same in every format."""


def none_of(source: Source) -> Footprints:
    """A table without footprints: a scene that was searched and is empty."""
    return Footprints(
        source,
        np.empty(0, object),
        np.empty(0, object),
        np.empty((0, 2), np.int64),
        np.empty(0),
        np.empty(0),
        np.empty(0, np.int64),
    )


def footprints_of(
    outlines: Outlines,
    grid: Grid,
    source: Source,
    *,
    native: Grid | None = None,
    min_area_m2: float = 0.0,
    calibration: Calibration | None = None,
) -> Footprints:
    """Place outlines (pixels of `grid`, the maps' grid) on the ground.

    `native` is the scene's own grid where the maps are coarser or finer. Footprints below
    `min_area_m2` are dropped. Raises `InputError` where an area cannot be measured.
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
    kept = np.flatnonzero((area_m2_N >= min_area_m2) & (area_m2_N > 0))
    polygons_px_N = outlines.polygons_N[kept]
    confidence_N = np.clip(outlines.confidence_N[kept], 0.0, 1.0)
    if calibration is not None:
        confidence_N = calibration(confidence_N)
    return Footprints(
        source,
        _outward(shapely.transform(polygons_px_N, grid.to_map)),
        _native_px(polygons_px_N, grid, native or grid),
        outlines.anchors_N2[kept],
        np.round(confidence_N, 4),
        np.round(area_m2_N[kept], 2),
        np.zeros(len(kept), np.int64),
    )


def _outward(polygons: Polygons) -> Polygons:
    """Outer rings counter-clockwise, holes clockwise: a north-up transform mirrors them."""
    return np.asarray(shapely.orient_polygons(polygons, exterior_cw=False), dtype=object)


def _native_px(polygons_px: Polygons, grid: Grid, native: Grid) -> Polygons:
    """Pixels of the maps -> pixels of the scene. Both grids come from one affine, so the way
    between them is `k` or `1 / k` and whole offsets; the last bits of the detour are cut off."""
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


def in_order(
    source: Source,
    batches: Iterable[Footprints],
    settle: Callable[[Footprints], Footprints] | None = None,
) -> Iterator[Footprints]:
    """All footprints of one scene, sorted by anchor and numbered from 1, in batches.

    `settle` sees them once they are sorted, batch by batch, and may change or drop some.

    Blocks and seams deliver in any order, and the first row may come last, so everything
    is collected; in a temporary database that SQLite keeps in memory while it is small and
    in an unnamed file after that. The result depends on the footprints alone. At least
    one batch comes out, an empty one when there are none.
    """
    with closing(sqlite3.connect("", isolation_level=None)) as spool:
        spool.execute("PRAGMA journal_mode = OFF")
        spool.execute("PRAGMA cache_size = -32768")  # 32 MiB, then the unnamed file
        spool.execute(
            "CREATE TABLE f (row INTEGER, col INTEGER, map BLOB, px BLOB, confidence REAL, "
            "area REAL, PRIMARY KEY (row, col)) WITHOUT ROWID"
        )
        spool.execute("BEGIN")
        for batch in batches:
            spool.executemany("INSERT INTO f VALUES (?, ?, ?, ?, ?, ?)", _rows(batch))
        ordered = spool.execute("SELECT * FROM f ORDER BY row, col")
        first, is_empty = 1, True
        while rows := ordered.fetchmany(BATCH):
            batch = _table(source, rows)
            if settle is not None:
                batch = settle(batch)
            numbers = np.arange(first, first + len(batch), dtype=np.int64)
            yield replace(batch, footprint_id_N=numbers)
            first, is_empty = first + len(batch), False
        if is_empty:
            yield none_of(source)


def settled(batch: Footprints, sweep: Sweep, native: Grid, min_area_m2: float) -> Footprints:
    """A sorted batch in which later footprints gave up what they share with earlier ones.

    `sweep` has seen all batches before; its reach is in pixels of `native`, the scene's own
    grid. What is left below `min_area_m2` is dropped. The confidence stays.
    """
    drawn_N = batch.polygons_px_N
    left_N = sweep.settle(drawn_N)
    changed = np.flatnonzero([one is not other for one, other in zip(left_N, drawn_N, strict=True)])
    if changed.size == 0:
        return batch
    kept_N = np.ones(len(batch), np.bool_)
    kept_N[changed] = shapely.area(left_N[changed]) > 0
    changed = changed[kept_N[changed]]
    polygons_N, area_m2_N = batch.polygons_N.copy(), batch.area_m2_N.copy()
    centres_N2 = shapely.get_coordinates(shapely.centroid(left_N[changed]))
    area_N = shapely.area(left_N[changed]) * native.pixel_area_m2(centres_N2)
    area_m2_N[changed] = np.round(area_N, 2)
    polygons_N[changed] = _outward(shapely.transform(left_N[changed], native.to_map))
    kept_N[changed] = area_N >= min_area_m2
    return replace(
        batch,
        polygons_N=polygons_N[kept_N],
        polygons_px_N=left_N[kept_N],
        anchors_N2=batch.anchors_N2[kept_N],
        confidence_N=batch.confidence_N[kept_N],
        area_m2_N=area_m2_N[kept_N],
        footprint_id_N=batch.footprint_id_N[kept_N],
    )


def _rows(batch: Footprints) -> Iterator[tuple[Any, ...]]:
    return zip(
        batch.anchors_N2[:, 0].tolist(),
        batch.anchors_N2[:, 1].tolist(),
        shapely.to_wkb(batch.polygons_N).tolist(),
        shapely.to_wkb(batch.polygons_px_N).tolist(),
        batch.confidence_N.tolist(),
        batch.area_m2_N.tolist(),
        strict=True,
    )


def _table(source: Source, rows: Sequence[tuple[Any, ...]]) -> Footprints:
    row, col, polygons, polygons_px, confidence, area = zip(*rows, strict=True)
    return Footprints(
        source,
        shapely.from_wkb(np.array(polygons, object)),
        shapely.from_wkb(np.array(polygons_px, object)),
        np.column_stack([row, col]).astype(np.int64),
        np.array(confidence, np.float64),
        np.array(area, np.float64),
        np.zeros(len(rows), np.int64),
    )


def rounded(polygons: Polygons, decimals: int) -> Polygons:
    """Coordinates with so many decimals; a polygon that would break keeps them all."""
    short = np.asarray(
        shapely.transform(polygons, lambda points: np.round(points, decimals) + 0.0), dtype=object
    )
    return np.where(shapely.is_valid(short) | ~shapely.is_valid(polygons), short, polygons)
