"""Vectorises one scene's connected components: all steps between labels and the layer.

One frozen value holds it, so that a part computed anywhere and a seam joined later are cut
by the same rule. It is plain enough to be kept as JSON beside stored parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from snet4core.footprints.footprints import Footprints, Source, footprints_of
from snet4core.footprints.from_roofs import on_the_ground
from snet4core.footprints.ordering import in_order
from snet4core.footprints.overlaps import REACH_PX, OverlapSweep, rows_of, without_overlaps
from snet4core.grid import Grid
from snet4core.labels import seams, watershed
from snet4core.labels.labels import Labels
from snet4core.look.look import Look
from snet4core.maps.maps import Maps
from snet4core.outlines import outline
from snet4core.settings import UNCALIBRATED, Calibration, ShapeSettings, SplitSettings
from snet4core.windows import Window


@dataclass(frozen=True)
class Shaping:
    """Turns complete components into placed footprints."""

    grid: Grid
    """The maps' own grid."""
    settings: ShapeSettings
    """Threshold, smallest area, least confidence, tolerance, right angles, splitting."""
    source: Source
    """What all footprints of the scene have in common."""
    native: Grid | None = None
    """The scene's own grid, where the maps are coarser or finer."""
    calibration: Calibration = UNCALIBRATED
    """Of the confidence."""

    @property
    def specks_px(self) -> float:
        """Components below this many pixels cannot become a footprint.

        Outlines keep the area of their pixels; half of it as a limit is safe everywhere.
        """
        return 0.5 * self.settings.min_area_m2 / self.grid.gsd_m**2

    def footprints(self, labels: Labels) -> Footprints:
        """Split, traced, simplified and placed; not yet in order. A function of `labels` alone."""
        tolerance_px = self.settings.simplify_m / self.grid.gsd_m
        parts = watershed.split(labels, self.settings.split, self.grid.gsd_m)
        right = self.settings.regularize
        aspect = self.grid.aspect if right else 1.0
        drawn = outline.outlines(parts, tolerance_px, right, aspect)
        roofs_N = None
        if self.source.has_roofs:
            roofs_N = drawn.polygons_N
            drawn = on_the_ground(drawn, self.grid, self.source.look)
        return footprints_of(
            drawn,
            self.grid,
            self.source,
            native=self.native,
            min_area_m2=self.settings.min_area_m2,
            min_confidence=self.settings.min_confidence,
            calibration=self.calibration,
            roofs_N=roofs_N,
        )

    def in_order(self, found: Iterable[Footprints]) -> Iterator[Footprints]:
        """All footprints sorted and numbered; where two overlap, the later one yields."""
        native, spread = self.native or self.grid, _Spread()
        row_of = (~self.grid.transform @ native.transform)[3:6]
        sweep: OverlapSweep | None = None

        def settle(batch: Footprints) -> Footprints:
            nonlocal sweep
            if sweep is None:  # all footprints have been seen
                sweep = OverlapSweep(REACH_PX + spread.rows / 2, row_of)
            return without_overlaps(batch, sweep, native, self.settings.min_area_m2)

        return in_order(self.source, spread.seen(found, row_of), settle)

    def as_json(self) -> dict[str, Any]:
        """Plain values from which `from_json` makes the same again."""
        look, native = self.source.look, self.native
        return {
            "grid": _grid_json(self.grid),
            "native": None if native is None else _grid_json(native),
            "settings": asdict(self.settings),
            "scene": self.source.scene,
            "look": None if look is None else asdict(look),
            "model": self.source.model,
            "image_id": self.source.image_id,
            "knots": [list(pair) for pair in self.calibration.knots],
            **({"has_roofs": True} if self.source.has_roofs else {}),
        }

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> Shaping:
        """The reverse of `as_json`; KeyError, TypeError or ValueError for anything else."""
        grid, look = _grid(raw["grid"]), raw["look"]
        settings = dict(raw["settings"])
        split = SplitSettings(**settings.pop("split"))
        return Shaping(
            grid=grid,
            settings=ShapeSettings(**settings, split=split),
            source=Source(
                str(raw["scene"]),
                grid.crs,
                None if look is None else Look(**look),
                raw["model"],
                raw["image_id"],
                bool(raw.get("has_roofs", False)),
            ),
            native=None if raw["native"] is None else _grid(raw["native"]),
            calibration=Calibration(tuple((float(x), float(y)) for x, y in raw["knots"])),
        )


class _Spread:
    """Measures how differently footprints were moved from where they are sorted, in rows."""

    def __init__(self) -> None:
        self._least = self._most = 0.0

    @property
    def rows(self) -> float:
        """The largest difference between two footprints so far."""
        return self._most - self._least

    def seen(
        self, found: Iterable[Footprints], row_of: tuple[float, float, float]
    ) -> Iterator[Footprints]:
        """Pass tables on; anchors are those of their roofs, if they have any."""
        for table in found:
            if table.roofs_px is not None and len(table):
                ground_N, _ = rows_of(table.shapes_px.boxes_N4, row_of)
                roof_N, _ = rows_of(table.roofs_px.boxes_N4, row_of)
                self._least = min(self._least, float((ground_N - roof_N).min()))
                self._most = max(self._most, float((ground_N - roof_N).max()))
            yield table


def footprints_from(
    maps: Iterable[Maps],
    grid: Grid,
    settings: ShapeSettings,
    source: Source,
    *,
    native: Grid | None = None,
    calibration: Calibration = UNCALIBRATED,
    within: Window | None = None,
) -> Iterator[Footprints]:
    """Vectorise maps, in blocks of any size and order, to footprints in order.

    `grid` is the maps' own, `native` the scene's; `calibration` that of the confidence. The maps
    cover the raster, or only the window `within`: then buildings end at its edge, and those that
    do not reach it are, but for their numbers, the same as from all maps.
    """
    shaping = Shaping(grid, settings, source, native, calibration)
    here = within or Window(0, 0, *grid.shape)
    labels = seams.complete_components(
        (_moved(each, -here.row, -here.col) for each in maps),
        here.shape,
        settings.threshold,
        shaping.specks_px,
        of_roofs=source.has_roofs,
    )
    corner_2 = np.array([here.row, here.col])
    return shaping.in_order(
        shaping.footprints(replace(each, origin_N2=each.origin_N2 + corner_2)) for each in labels
    )


def _moved(maps: Maps, rows: int, cols: int) -> Maps:
    window = maps.window
    return replace(maps, window=replace(window, row=window.row + rows, col=window.col + cols))


def _grid_json(grid: Grid) -> dict[str, Any]:
    return {
        "shape": list(grid.shape),
        "transform": list(grid.transform[:6]),
        "crs": grid.crs.to_wkt(),
    }


def _grid(raw: Mapping[str, Any]) -> Grid:
    rows, cols = raw["shape"]
    return Grid((int(rows), int(cols)), Affine(*raw["transform"]), CRS.from_wkt(raw["crs"]))
