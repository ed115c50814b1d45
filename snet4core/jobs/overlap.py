"""Resolves overlaps between scenes: which scene's footprints are kept where.

    keep        every scene's footprints, overlapping or not
    best-look   where scenes overlap, those of the least off-nadir one that has data there
    fuse        maps of scenes of the same ground are averaged into one, see `fusion`

A roof lies elsewhere in each look, so fused layers have footprints from the maps of footprints,
without heights and roofs (`Job.scene_choices`).
Two scenes show the same ground when they share at least half of the smaller one's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from snet4core.footprints.footprints import Footprints, none_of
from snet4core.footprints.shaping import footprints_from
from snet4core.grid import Grid
from snet4core.jobs.job import Done, Result
from snet4core.maps import fusion
from snet4core.maps.file import open_maps
from snet4core.maps.fusion import LookMaps
from snet4core.scene.gdal import gdal_settings
from snet4core.settings import UNCALIBRATED

log = logging.getLogger("snet4")

SAME_GROUND = 0.5
"""Share of the smaller scene's ground from which two scenes are looks at one place."""

_BLOCK_PX = 512


def resolved(
    scenes: Iterable[Result], overlap: Literal["best-look", "fuse"], done: Done
) -> Iterator[Result]:
    """The same scenes with their overlaps resolved; each scene's maps must have been kept.

    All maps are computed before the first result comes. Memory holds one block of each look.
    """
    every = [replace(scene, batches=iter(())) for scene in scenes]
    if not every:
        return
    if overlap == "best-look":
        for scene, better in zip(every, _better(every), strict=True):
            yield replace(scene, batches=_uncovered(scene, better))
        return
    for group in _places(every):
        if len(group) == 1:
            yield replace(group[0], batches=_footprints(group[0]))
        else:
            yield _fused(group, done)


def _better(scenes: Sequence[Result]) -> Iterator[list[Result]]:
    """For each scene, those that overlap it and are less off-nadir (of equal ones, earlier)."""
    outlines = [_outline(scene.plan.grid) for scene in scenes]
    tree = shapely.STRtree(outlines)
    for index, (scene, outline) in enumerate(zip(scenes, outlines, strict=True)):
        near = sorted(tree.query(outline, predicate="intersects").tolist())
        yield [scenes[n] for n in near if _tilt(scenes[n], n) < _tilt(scene, index)]


def _tilt(scene: Result, number: int) -> tuple[float, int]:
    return scene.plan.look.off_nadir_deg, number


def _footprints(scene: Result) -> Iterator[Footprints]:
    """Polygonize a scene's maps: cheaper than keeping all scenes' footprints in memory."""
    assert scene.maps is not None  # they were kept for this
    file = open_maps(scene.maps)
    return footprints_from(
        file.blocks(fusion.BLOCK_PX),
        scene.plan.grid,
        scene.plan.settings,
        scene.plan.source,
        native=scene.plan.scene.stored_grid,
        calibration=file.origin.confidence_knots or UNCALIBRATED,
    )


# --- best-look ---


def _uncovered(scene: Result, better: Sequence[Result]) -> Iterator[Footprints]:
    """A scene's footprints outside the valid data of better scenes, numbered anew."""
    source, count, is_first = scene.plan.source, 0, True
    with ExitStack() as stack:
        stack.enter_context(gdal_settings())
        covers = [stack.enter_context(_Ground(other.maps, other.plan.grid)) for other in better]
        for batch in _footprints(scene):
            points_N2 = shapely.get_coordinates(shapely.point_on_surface(batch.polygons_N))
            free_N = np.ones(len(batch), np.bool_)
            for cover in covers:
                free_N[free_N] = ~cover.shows(points_N2[free_N])
            kept = batch[free_N]
            numbers_N = np.arange(count + 1, count + 1 + len(kept))
            count += len(kept)
            if len(kept) or is_first:
                is_first = False
                yield replace(kept, footprint_id_N=numbers_N) if len(kept) else none_of(source)


class _Ground:
    """Tells whether a scene has valid data at given points."""

    def __init__(self, maps: Path | None, grid: Grid) -> None:
        assert maps is not None  # they were kept for this
        self._maps, self._grid = maps, grid
        self._stack = ExitStack()

    def __enter__(self) -> _Ground:
        self._file = self._stack.enter_context(rasterio.open(self._maps, driver="GTiff"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def shows(self, points_N2: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) whether there is valid data, for points (N, 2) in map units."""
        pixels_N2 = np.floor(self._grid.to_pixels(points_N2)).astype(np.int64)
        rows, cols = self._grid.shape
        col_N, row_N = pixels_N2[:, 0], pixels_N2[:, 1]
        found_N = (col_N >= 0) & (row_N >= 0) & (col_N < cols) & (row_N < rows)
        inside = np.flatnonzero(found_N)
        block_N = (row_N[inside] // _BLOCK_PX) * cols + col_N[inside] // _BLOCK_PX
        for block in np.unique(block_N).tolist():
            of_block = inside[block_N == block]
            row, col = block // cols * _BLOCK_PX, block % cols * _BLOCK_PX
            window = RasterioWindow(
                col, row, min(_BLOCK_PX, cols - col), min(_BLOCK_PX, rows - row)
            )
            mask_HW = self._file.read_masks(1, window=window)
            found_N[of_block] = mask_HW[row_N[of_block] - row, col_N[of_block] - col] > 0
        return found_N


# --- fuse ---


def _places(scenes: Sequence[Result]) -> list[list[Result]]:
    """Group scenes of the same ground; groups and their scenes keep the order given."""
    outlines = [_outline(scene.plan.grid) for scene in scenes]
    tree = shapely.STRtree(outlines)
    group = list(range(len(scenes)))
    for one, other in tree.query(outlines, predicate="intersects").T.tolist():
        common = outlines[one].intersection(outlines[other]).area
        smaller = min(outlines[one].area, outlines[other].area)
        if one < other and common >= SAME_GROUND * smaller:
            old, new = group[other], group[one]
            group = [new if each == old else each for each in group]
    return [
        [scene for scene, mine in zip(scenes, group, strict=True) if mine == each]
        for each in dict.fromkeys(group)
    ]


def _fused(group: Sequence[Result], done: Done) -> Result:
    """Fuse several looks into one result, named after the best."""
    by_path = {str(scene.maps): scene for scene in group}
    laid = fusion.registered([_look_maps(scene) for scene in group])
    best = by_path[str(laid[0].maps.path)]
    told = ", ".join(
        f"{each.maps.scene} at {each.maps.look.off_nadir_deg:g} degrees (weight "
        f"{each.weight:.2f}, moved by {each.shift_px[1]} columns, {each.shift_px[0]} rows)"
        for each in laid
    )
    log.info("fused: %s", told)
    frame = fusion.common_grid([each.maps for each in laid])
    for scene in group:
        done.found.setdefault(scene.location, 0)
    assert best.maps is not None  # they were kept for this
    batches = footprints_from(
        fusion.fused(laid, frame),
        frame,
        best.plan.settings,
        best.plan.source,
        native=best.plan.scene.stored_grid,
        calibration=open_maps(best.maps).origin.confidence_knots or UNCALIBRATED,
    )
    return replace(best, batches=batches, description={**best.description, "fused": told})


def _look_maps(scene: Result) -> LookMaps:
    assert scene.maps is not None  # they were kept for this
    return LookMaps(scene.maps, scene.plan.grid, scene.plan.look, scene.plan.scene.name)


def _outline(grid: Grid) -> shapely.Polygon:
    rows, cols = grid.shape
    outline: shapely.Polygon = shapely.transform(shapely.box(0, 0, cols, rows), grid.to_map)
    return outline
