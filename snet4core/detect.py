"""From a picture to footprints, on one screen.

    scene -> tiles -> maps -> labels -> outlines -> footprints

The command line, the QGIS worker and a notebook call `detect` and nothing else:

>>> predictor = Predictor(find_model("default"), choose_runtime())  # doctest: +SKIP
>>> found = detect("scene.tif", predictor, Choices(off_nadir_deg=32))  # doctest: +SKIP
>>> layers.write(Path("out.gpkg"), found.footprints, found.plan.grid.crs)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from snet4core import mapsfile, outline, scene_ranges, seams, watershed
from snet4core.footprints import Calibration, Footprints, Source, footprints_of, in_order
from snet4core.grid import Grid
from snet4core.look import Look
from snet4core.maps import Maps
from snet4core.plan import Choices, Plan, plan_for
from snet4core.progress import Progress, Silent, stop_if_cancelled
from snet4core.radiometry import normalise
from snet4core.raster import SceneReader
from snet4core.region import Region
from snet4core.scene_inputs import SceneInput
from snet4core.settings import ShapeSettings
from snet4core.windows import Tile

if TYPE_CHECKING:
    from snet4core.predict import Picture, Predictor

Knots = tuple[tuple[float, float], ...]

UNCALIBRATED: Knots = ((0.0, 0.0), (1.0, 1.0))
"""Confidence is the mean probability inside, as it is."""


@dataclass(frozen=True, slots=True)
class Detected:
    """One scene's result: what was decided, and its footprints as they come."""

    plan: Plan
    """Scene, look, grid and settings."""
    footprints: Iterator[Footprints]
    """In order, numbered; computed while it is read, so an error may come from here too."""


def detect(
    scene: str | Path | SceneInput,
    predictor: Predictor,
    choices: Choices | None = None,
    progress: Progress | None = None,
    save_maps: Path | None = None,
    *,
    overwrite: bool = False,
) -> Detected:
    """Find the building footprints of one scene.

    Metadata are read and checked at once, pixels while `footprints` is consumed.
    `save_maps` also keeps the maps, from which `snet4 polygonize` gives the same footprints;
    `overwrite` allows to replace that file.

    Raises InputError (LookError without a look angle), and Cancelled from `progress`.
    """
    plan = plan_for(scene, predictor.header, choices or Choices())
    maps = watched(maps_of(plan, predictor), plan.grid, plan.region, progress, plan.source.scene)
    if save_maps is not None:
        maps = mapsfile.saved(maps, save_maps, plan.grid, plan.origin, overwrite=overwrite)
    footprints = footprints_from(
        maps,
        plan.grid,
        plan.settings,
        plan.source,
        native=plan.scene.stored_grid,
        knots=predictor.header.card.confidence_knots,
    )
    return Detected(plan, footprints)


def maps_of(plan: Plan, predictor: Predictor) -> Iterator[Maps]:
    """The network's maps of a scene, on the fixed grid of windows, row by row."""
    ranges = scene_ranges.scene_ranges(plan.scene)
    with SceneReader(plan.scene, plan.scale) as reader:

        def read(tile: Tile) -> Picture:
            if not plan.region.touches(tile.own):
                nothing = np.zeros((len(ranges), *tile.read.shape), dtype=np.float32)
                return nothing, np.zeros(tile.read.shape, dtype=np.bool_)
            counts_BHW, valid_HW = reader.read(tile.read)
            return normalise(counts_BHW, valid_HW, ranges), valid_HW

        yield from predictor.maps(read, plan.grid.shape, look_in_picture(plan))


def look_in_picture(plan: Plan) -> Look:
    """The look with its azimuth counted from the picture's upper edge, as the network sees it."""
    look = plan.source.look
    assert look is not None  # a plan has a look, or it was never made
    if look.azimuth_deg is None:
        return look
    return replace(look, azimuth_deg=(look.azimuth_deg - plan.grid.up_deg) % 360)


def footprints_from(
    maps: Iterable[Maps],
    grid: Grid,
    settings: ShapeSettings,
    source: Source,
    *,
    native: Grid | None = None,
    knots: Knots = UNCALIBRATED,
) -> Iterator[Footprints]:
    """Maps, in blocks of any size and order, to footprints in order.

    `grid` is the maps' own, `native` the scene's; `knots` calibrate the confidence.
    """
    raw, share = zip(*knots, strict=True)
    calibration = Calibration(raw, share)
    tolerance_px = settings.simplify_m / grid.gsd_m
    # Outlines keep the area of their pixels; half of it as a limit is safe everywhere.
    specks_px = 0.5 * settings.min_area_m2 / grid.gsd_m**2

    def placed() -> Iterator[Footprints]:
        for labels in seams.joined(maps, grid.shape, settings.threshold, specks_px):
            parts = watershed.split(labels, settings.split)
            yield footprints_of(
                outline.outlines(parts, tolerance_px, settings.regularize),
                grid,
                source,
                native=native,
                min_area_m2=settings.min_area_m2,
                calibration=calibration,
            )

    return in_order(source, placed())


def watched(
    maps: Iterable[Maps], grid: Grid, region: Region, progress: Progress | None, what: str
) -> Iterator[Maps]:
    """The maps inside the region, while progress (in MPix) is told and may stop the run."""
    progress = progress or Silent()
    total_mpix, done_mpix = grid.shape[0] * grid.shape[1] / 1e6, 0.0
    progress.step(done_mpix, total_mpix, what)
    for each in maps:
        stop_if_cancelled(progress)
        yield replace(each, valid_HW=each.valid_HW & region.mask(each.window))
        done_mpix += each.window.height * each.window.width / 1e6
        progress.step(done_mpix, total_mpix, what)
