"""The work on one scene, divided into parts that can be computed separately.

`SceneWork` is made from a plan alone, without pixels, and can be sent to other processes.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from snet4core.footprints.shaping import Shaping
from snet4core.grid import Grid
from snet4core.look.look import Look
from snet4core.maps.look_guesser import LookGuesser
from snet4core.maps.maps import Maps
from snet4core.model.header import Header
from snet4core.outlines.regularize import RULE
from snet4core.parts.part import (
    ROOFS_FORMAT,
    Part,
    PartResult,
    Windows,
    format_fact,
    lost,
    parts_of,
    side_by_side,
)
from snet4core.parts.plan import Plan
from snet4core.parts.shaping_pool import shaped
from snet4core.parts.shelf import Facts, PartStore, Shelf
from snet4core.parts.store import FolderShelf, FolderStore
from snet4core.progress import Progress, Silent, Step, stop_if_cancelled
from snet4core.scene.radiometry import BandRange, normalise
from snet4core.scene.ranges import scene_ranges
from snet4core.scene.reader import SharedReader
from snet4core.scene.scene import digest
from snet4core.windows import Tile, Window

if TYPE_CHECKING:
    from snet4core.maps.predictor import Picture, Predictor


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Placeholder for a predictor that runs in other processes; knows only the model's header."""

    header: Header
    key: str
    """As `Predictor.key` of those that compute."""
    guesser: LookGuesser | None = None
    """Guesses looks in this process, before there are parts, so that all workers use the same."""
    together: int = 1
    """As `Predictor.together`; what is left to do is bound by Python."""


@dataclass(frozen=True)
class SceneWork:
    """One scene to be computed in parts."""

    plan: Plan
    """Scene, look, grid and settings."""
    keep_maps: bool = False
    """Whether the maps are part of what is computed."""
    ranges: tuple[BandRange | None, ...] | None = None
    """`scene_ranges` of the scene, where they are known already."""
    given: str | None = None
    """The scene's location as the user gave it, where the plan holds an absolute one."""

    @property
    def location(self) -> str:
        """The scene's location as the user gave it."""
        return self.plan.scene.location if self.given is None else self.given

    def for_travel(self) -> SceneWork:
        """The same with an absolute path and without the tags, to be sent to another process."""
        scene = self.plan.scene
        place = scene.location if scene.path is None else str(scene.path.absolute())
        light = replace(scene, metadata={}, admitted=replace(scene.admitted, location=place))
        return replace(self, plan=replace(self.plan, scene=light), given=self.location)

    @cached_property
    def shaping(self) -> Shaping:
        """How components become footprints."""
        return Shaping(
            self.plan.grid,
            self.plan.settings,
            self.plan.source,
            self.plan.scene.stored_grid,
            self.plan.model.card.confidence_knots,
        )

    @cached_property
    def parts(self) -> list[Part]:
        """The scene in parts, row by row."""
        return parts_of(self.plan.grid.shape, self._windows)

    @property
    def _windows(self) -> Windows:
        card = self.plan.model.card
        return card.windows.core_px, card.windows.halo_px, card.architecture.stride_px

    def shelf(self, store: PartStore, predictor: Predictor | Elsewhere) -> Shelf:
        """Open the scene's shelf in a store. OutputError if it was begun with other settings."""
        return store.shelf(
            self.location,
            lambda: self.facts(predictor.key),
            self.plan.source,
            self.recipe(),
        )

    def folder_shelf(self, store: FolderStore, predictor: Predictor | Elsewhere) -> FolderShelf:
        """The same in a folder store, which other processes can read."""
        return store.shelf(
            self.location,
            lambda: self.facts(predictor.key),
            self.plan.source,
            self.recipe(),
        )

    def facts(self, network: str) -> Facts:
        """Everything that the parts depend on, in words; reads the whole file for its digest."""
        plan, look, settings = self.plan, self.plan.look, self.plan.settings
        area = plan.region.area_px
        # The words of parts that were stored before there were ratios.
        finer = plan.scale.finer if plan.scale.finer > 1 else False
        roofs = {
            "footprints from": "roofs" if plan.has_roofs else "maps",
            "roofs": f"results of form {ROOFS_FORMAT}",
        }
        return {
            "picture": digest(plan.scene),
            "bands": plan.description["bands"],
            "nodata": plan.description["nodata"],
            "working grid": f"{plan.grid.shape} x {plan.scale.coarser} finer={finer}",
            "area searched": "all" if area is None else hashlib.sha256(area.wkb).hexdigest(),
            "look": f"{look.off_nadir_deg!r} degrees, azimuth {look.azimuth_deg!r}",
            "model": plan.model.network,
            "windows": repr(self._windows),
            "threshold": repr(settings.threshold),
            "smallest area": f"{settings.min_area_m2!r} m2",
            "least confidence": repr(settings.min_confidence),
            "simplify": f"{settings.simplify_m!r} m",
            "regularize": self._right_angles,
            "splitting": repr(settings.split),
            "confidence": repr(plan.model.card.confidence_knots.knots),
            "engine": network,
            "maps": "kept" if self.keep_maps else "not kept",
            "snet4": format_fact(),
            **(roofs if plan.model.card.architecture.maps_roofs else {}),
        }

    @property
    def _right_angles(self) -> str:
        """Whether walls are turned to right angles, and what these depend on besides the mask."""
        if not self.plan.settings.regularize:
            return "False"
        aspect = self.plan.grid.aspect
        return f"True, rule {RULE}" + ("" if aspect == 1 else f", aspect {aspect!r}")

    def recipe(self) -> dict[str, Any]:
        """All that merging the parts needs, without scene and model, as plain JSON."""
        return {
            "shaping": self.shaping.as_json(),
            "windows": list(self._windows),
            "description": dict(self.plan.description),
        }

    def _watch(self, progress: Progress) -> Watch:
        return Watch(progress, self.plan.grid, self.plan.scene.name)

    def computed(
        self, parts: Iterable[Part], predictor: Predictor, watch: Watch | None = None
    ) -> Iterator[tuple[Part, PartResult]]:
        """Yield the results of some parts in order; the network runs ahead, and
        `predictor.shapers` processes vectorise."""
        parts = list(parts)
        if not parts:
            return
        maps = maps_of(self.plan, predictor, in_few_sizes(parts), self.ranges)
        watch = watch or self._watch(Silent())

        def maps_of_part(part: Part) -> list[Maps]:
            found = watch.seen(islice(maps, len(part.tiles)))
            if self.keep_maps or len(part.tiles) == 1:
                places = [tile.own for tile in part.tiles]
                return sorted(found, key=lambda each: places.index(each.window))
            # Together they take half of what they do one by one, with their halos.
            return [side_by_side(part.window, found)]

        yield from shaped(
            ((part, maps_of_part(part)) for part in parts),
            len(parts),
            predictor.shapers,
            self.shaping,
            keep_maps=self.keep_maps,
        )

    def results(
        self,
        shelf: Shelf,
        predictor: Predictor | Elsewhere,
        progress: Progress | None = None,
        gone: list[str] | None = None,
    ) -> Iterator[PartResult]:
        """Yield the results of all parts: those on the shelf first, then the others, computed.

        Progress is reported in MPix. With `Elsewhere` nothing is computed: parts that are not
        on the shelf are named in `gone`, and count as nodata.
        """
        watch = self._watch(progress or Silent())
        here, missing = shelf.here(), []
        for part in self.parts:
            result = shelf.take(part) if part.index in here else None
            if result is None:
                missing.append(part)
                continue
            watch.add(part.window)
            yield result
        if isinstance(predictor, Elsewhere):
            for part in missing:
                (gone if gone is not None else []).append(f"{self.plan.scene.name}, {part.name}")
                yield lost(part, self.shaping)
            return
        for part, result in self.computed(missing, predictor, watch):
            shelf.put(part, result)
            yield shelf.take(part) or result


def in_few_sizes(parts: Iterable[Part]) -> Iterator[Tile]:
    """The tiles of some parts, part by part; in each, those of the size that came last go first.

    Other sizes are other programs of an engine, of which only one holds working memory.
    """
    last: tuple[int, int] | None = None
    for part in parts:
        same = [tile for tile in part.tiles if tile.read.shape == last]
        yield from same
        others = [tile for tile in part.tiles if tile.read.shape != last]
        yield from others
        last = (same + others)[-1].read.shape


class Watch:
    """Reports progress over one raster, in MPix, and raises Cancelled when the user stops."""

    def __init__(self, progress: Progress, grid: Grid, what: str) -> None:
        rows, cols = grid.shape
        self._progress, self._what = progress, Step(what, "MPix")
        self._total_mpix, self._done_mpix = rows * cols / 1e6, 0.0
        progress.step(0.0, self._total_mpix, self._what)

    def add(self, window: Window) -> None:
        """Count a window as done. Raises Cancelled when the user stops."""
        stop_if_cancelled(self._progress)
        self._done_mpix += window.height * window.width / 1e6
        self._progress.step(self._done_mpix, self._total_mpix, self._what)

    def seen(self, maps: Iterable[Maps]) -> Iterator[Maps]:
        """Pass maps on, counting each once it was consumed."""
        for each in maps:
            stop_if_cancelled(self._progress)
            yield each
            self.add(each.window)


def maps_of(
    plan: Plan,
    predictor: Predictor,
    wanted: Iterable[Tile] | None = None,
    ranges: tuple[BandRange | None, ...] | None = None,
) -> Iterator[Maps]:
    """The network's maps of a scene, or of some of its windows; valid inside the region only.

    `ranges` are the scene's, where they are known already.
    """
    settling, found = threading.Lock(), [] if ranges is None else [ranges]

    def settled() -> tuple[BandRange | None, ...]:
        # By whoever reads first: meanwhile the network gets ready.
        with settling:
            if not found:
                found.append(scene_ranges(plan.scene))
            return found[0]

    with SharedReader(plan.scene, plan.scale) as reader:

        def read(tile: Tile) -> Picture:
            if plan.region.touches(tile.own):
                counts_BHW, valid_HW = reader.read(tile.read)
                if valid_HW.any():
                    return normalise(counts_BHW, valid_HW, settled()), valid_HW
            bands = len(plan.scene.bands.file_bands)
            nothing = np.zeros((bands, *tile.read.shape), dtype=np.float32)
            return nothing, np.zeros(tile.read.shape, dtype=np.bool_)

        seen = look_in_picture(plan)
        for each in predictor.maps(read, plan.grid.shape, seen, wanted, lean_px(plan)):
            yield replace(each, valid_HW=each.valid_HW & plan.region.mask(each.window))


def lean_px(plan: Plan) -> tuple[float, float] | None:
    """Columns and rows by which a roof one metre high lies from its footprint; at the centre.

    None where the azimuth is not known.
    """
    lean_m = plan.look.lean_m
    if lean_m is None:
        return None
    rows, cols = plan.grid.shape
    centre = np.array([[cols / 2, rows / 2]])
    [[across, down]] = plan.grid.pixels_of_offset(np.array([lean_m]), centre)
    return float(across), float(down)


def look_in_picture(plan: Plan) -> Look:
    """The look with its azimuth counted from the picture's upper edge, as the network sees it."""
    look = plan.look
    if look.azimuth_deg is None:
        return look
    return replace(look, azimuth_deg=(look.azimuth_deg - plan.grid.up_deg) % 360)
