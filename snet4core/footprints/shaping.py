"""Vectorises one scene's connected components: all steps between labels and the layer.

One frozen value holds it, so that a part computed anywhere and a seam joined later are cut
by the same rule. It is plain enough to be kept as JSON beside stored parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from affine import Affine
from rasterio.crs import CRS

from snet4core.footprints.footprints import Footprints, Source, footprints_of
from snet4core.footprints.ordering import in_order
from snet4core.footprints.overlaps import REACH_PX, OverlapSweep, without_overlaps
from snet4core.grid import Grid
from snet4core.labels import seams, watershed
from snet4core.labels.labels import Labels
from snet4core.look.look import Look
from snet4core.maps.maps import Maps
from snet4core.outlines import outline
from snet4core.settings import UNCALIBRATED, Calibration, ShapeSettings, SplitSettings


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
        return footprints_of(
            outline.outlines(parts, tolerance_px, self.settings.regularize),
            self.grid,
            self.source,
            native=self.native,
            min_area_m2=self.settings.min_area_m2,
            min_confidence=self.settings.min_confidence,
            calibration=self.calibration,
        )

    def in_order(self, found: Iterable[Footprints]) -> Iterator[Footprints]:
        """All footprints sorted and numbered; where two overlap, the later one yields."""
        native = self.native or self.grid
        scale = native.shape[0] / self.grid.shape[0]
        sweep = OverlapSweep(REACH_PX * max(1.0, scale))

        def settle(batch: Footprints) -> Footprints:
            return without_overlaps(batch, sweep, native, self.settings.min_area_m2)

        return in_order(self.source, found, settle)

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
            ),
            native=None if raw["native"] is None else _grid(raw["native"]),
            calibration=Calibration(tuple((float(x), float(y)) for x, y in raw["knots"])),
        )


def footprints_from(
    maps: Iterable[Maps],
    grid: Grid,
    settings: ShapeSettings,
    source: Source,
    *,
    native: Grid | None = None,
    calibration: Calibration = UNCALIBRATED,
) -> Iterator[Footprints]:
    """Vectorise maps, in blocks of any size and order, to footprints in order.

    `grid` is the maps' own, `native` the scene's; `calibration` that of the confidence.
    """
    shaping = Shaping(grid, settings, source, native, calibration)
    labels = seams.complete_components(maps, grid.shape, settings.threshold, shaping.specks_px)
    return shaping.in_order(map(shaping.footprints, labels))


def _grid_json(grid: Grid) -> dict[str, Any]:
    return {
        "shape": list(grid.shape),
        "transform": list(grid.transform[:6]),
        "crs": grid.crs.to_wkt(),
    }


def _grid(raw: Mapping[str, Any]) -> Grid:
    rows, cols = raw["shape"]
    return Grid((int(rows), int(cols)), Affine(*raw["transform"]), CRS.from_wkt(raw["crs"]))
