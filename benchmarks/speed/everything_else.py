"""What a run costs beside its network, room by room.

    python -m benchmarks.speed.everything_else [--sides 1024,4096] [--rounds 3] [--shapers 1,2,4]

The network's place is taken by maps that are there already: made from a rendered place's true
buildings and their roofs as LOOK shows them (blurred, noisy, with borders that have gaps), as the
picture repeated to any size. Everything else is the real run, from file to layer. `suburb` is the
scene of the other benchmarks, `country` has few buildings, `informal` many.

1. Processor seconds by room, a MPix and a building. A room's seconds are its own: what it calls
   in another room counts there. The median of the rounds, which go over all scenes in turn.
   Ranges come from a sample, at most 4 MPix, and a layer's tables are made once: both weigh
   less in a large scene.
2. Wall time of the suburb with 1, 2, 4 processes that shape, and the processor time of all.
   On a busy machine the wall time says little.
3. How fast a card could be before it waits: here, and by 16 processors like these. The latter is
   projected from the processor time of 1. and was measured nowhere.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import shapely
import shapely.affinity
from numpy.typing import NDArray
from rasterio.features import rasterize

from benchmarks.measured import keep
from benchmarks.scene_file import LOOK, PLACE_PX, PLACED, place_of, write_scene
from snet4_training.judge.degraded_maps import Block, border_map, footprint_map
from snet4_training.scenes import truth
from snet4core.footprints import shaping
from snet4core.labels import joiner, seams
from snet4core.layers.write import write_layer
from snet4core.look.look import Look
from snet4core.maps.feet import heights_by_feet
from snet4core.maps.heights import height_value_of
from snet4core.maps.maps import Maps
from snet4core.maps.predictor import Picture, Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.header import find_model
from snet4core.parts import shaping_pool, work
from snet4core.parts.detect import detect
from snet4core.parts.plan import Choices
from snet4core.scene import reader
from snet4core.windows import Tile, Window

ROOMS = (
    "reading", "ranges", "normalising", "heights by feet", "components", "cuts and flood",
    "outlines", "footprints", "layer", "the rest",
)  # fmt: skip
SHAPES = ("components", "cuts and flood", "outlines")
PROJECTED = "projected, 16 cores, MPix/s"
"""All of 16 processors like this at work all the time: no measurement."""
STORED = "stored maps"
"""The room of what stands in for the network; in no total."""

Stored = NDArray[np.uint8]
"""The five maps of a place, (5, PLACE_PX, PLACE_PX)."""


class Clock:
    """Processor seconds of each room, over all threads; a room entered inside another counts
    for itself alone."""

    def __init__(self) -> None:
        self.spent_s: defaultdict[str, float] = defaultdict(float)
        self._adding = threading.Lock()
        self._own = threading.local()

    @contextmanager
    def room(self, name: str) -> Iterator[None]:
        """Count this thread's processor time for a room."""
        stack = self._own.__dict__.setdefault("stack", [])
        self._count(stack)
        stack.append(name)
        try:
            yield
        finally:
            self._count(stack)
            stack.pop()

    def _count(self, stack: list[str]) -> None:
        now = time.thread_time()
        if stack:
            with self._adding:
                self.spent_s[stack[-1]] += now - self._own.since
        self._own.since = now

    def within(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose time counts for a room."""

        def counted(*pieces: Any, **named: Any) -> Any:
            with self.room(name):
                return work(*pieces, **named)

        return counted

    def steps(self, name: str, work: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """The same generator, whose steps count for a room."""

        def counted(*pieces: Any, **named: Any) -> Iterator[Any]:
            return self.along(name, work(*pieces, **named))

        return counted

    def along(self, name: str, values: Iterator[Any]) -> Iterator[Any]:
        """The same values; the time to make them counts for a room."""
        while True:
            with self.room(name):
                value = next(values, None)
            if value is None:
                return
            yield value


@contextmanager
def rooms_counted(clock: Clock) -> Iterator[None]:
    """Count the time of each room, in this process, while the block runs."""
    label_block = clock.within("components", seams.label_block)

    def labelled(*pieces: Any, **named: Any) -> Any:
        inside, rest = label_block(*pieces, **named)
        return clock.along("components", inside), rest

    doors: list[tuple[Any, str, Callable[..., Any]]] = [
        (reader.SceneReader, "read", clock.within("reading", reader.SceneReader.read)),
        (work, "normalise", clock.within("normalising", work.normalise)),
        (work, "scene_ranges", clock.within("ranges", work.scene_ranges)),
        (shaping_pool, "finish", clock.within("components", shaping_pool.finish)),
        (seams, "label_block", labelled),
        (joiner.Joiner, "take", clock.within("components", joiner.Joiner.take)),
        (joiner.Joiner, "finished", clock.within("components", joiner.Joiner.finished)),
        (shaping.watershed, "split", clock.within("cuts and flood", shaping.watershed.split)),
        (shaping.outline, "outlines", clock.within("outlines", shaping.outline.outlines)),
        (shaping, "footprints_of", clock.within("footprints", shaping.footprints_of)),
        (shaping, "without_overlaps", clock.within("footprints", shaping.without_overlaps)),
        (shaping, "in_order", clock.steps("footprints", shaping.in_order)),
    ]
    with ExitStack() as stack:
        for place, name, counted in doors:
            stack.enter_context(mock.patch.object(place, name, counted))
        yield


class StoredPredictor(Predictor):
    """Reads as the real one does, in its threads, and then has the maps at once."""

    def __init__(self, stored: Stored, clock: Clock, shapers: int = 1) -> None:
        super().__init__(find_model("default"), choose_runtime("cpu"), shapers=shapers)
        self._network = mock.Mock()  # nothing is compiled
        self._stored, self._clock = stored, clock

    def _maps_of(
        self,
        group: list[Tile],
        coming: list[Future[Picture]],
        look: Look,
        head: str,
        lean_px: tuple[float, float] | None,
    ) -> list[Maps]:
        seen = [each.result()[1] for each in coming]
        coming.clear()
        found = []
        for tile, valid_HW in zip(group, seen, strict=True):
            with self._clock.room(STORED):
                maps_MHW = self._there(tile.read)
            if lean_px is not None:
                with self._clock.room("heights by feet"):
                    maps_MHW = heights_by_feet(maps_MHW, lean_px)
            cut = tile.own.slices(tile.read)
            found.append(Maps.of(tile.own, maps_MHW[:, *cut], valid_HW[cut]))
        return found

    def _there(self, window: Window) -> Stored:
        rows = np.arange(window.row, window.row_stop) % PLACE_PX
        cols = np.arange(window.col, window.col_stop) % PLACE_PX
        return np.ascontiguousarray(self._stored[:, rows[:, None], cols])


def stored_maps(kind: str) -> Stored:
    """The maps that a network of realistic quality would give for a rendered place."""
    buildings = truth(place_of(kind))
    footprints = np.array([each.footprint for each in buildings], object)
    eave_m_N = np.array([each.eave_m for each in buildings])
    lean_N2 = eave_m_N[:, None] * np.array(LOOK.lean_m) / PLACED.a * (1, -1)
    roofs = np.array(
        [
            shapely.affinity.translate(each, *lean_2)
            for each, lean_2 in zip(footprints, lean_N2, strict=True)
        ],
        object,
    )
    shape = (PLACE_PX, PLACE_PX)
    on_ground, above = Block(kind, footprints, shape), Block(kind, roofs, shape)
    # A network says about how high a roof is, also a little beside it.
    drawn = zip(shapely.buffer(roofs, 3), height_value_of(eave_m_N).tolist(), strict=True)
    height_HW = rasterize(sorted(drawn, key=lambda each: each[1]), shape, dtype=np.uint8)
    maps = (footprint_map(on_ground), border_map(on_ground), footprint_map(above, seed=1))
    return np.stack([*maps, border_map(above, seed=1), height_HW])


def run(scene: Path, layer: Path, predictor: Predictor) -> int:
    """From file to layer; returns the number of footprints."""
    choices = Choices(off_nadir_deg=LOOK.off_nadir_deg, azimuth_deg=LOOK.azimuth_deg)
    found = detect(scene, predictor, choices)
    return write_layer(layer, found.footprints, found.plan.grid.crs, overwrite=True)


def by_room(scene: Path, stored: Stored, mpix: float) -> dict[str, float]:
    """Processor seconds of one run: of each room, and of all but the stored maps."""
    clock = Clock()
    predictor = StoredPredictor(stored, clock)
    layer = scene.with_suffix(".gpkg")
    began = time.process_time()
    with rooms_counted(clock), clock.room("layer"):
        count = run(scene, layer, predictor)
    total_s = time.process_time() - began - clock.spent_s[STORED]
    found = {room: clock.spent_s[room] for room in ROOMS}
    found["the rest"] = total_s - sum(found.values())
    return {**found, "all": total_s, "buildings": count, "mpix": mpix}


def row_of(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Medians, a MPix and a building."""
    middle = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    mpix, buildings = middle["mpix"], max(1.0, middle["buildings"])
    shapes_s = sum(middle[room] for room in SHAPES)
    return {
        **{f"{room}, ms a MPix": round(1000 * middle[room] / mpix, 1) for room in ROOMS},
        "all, ms a MPix": round(1000 * middle["all"] / mpix, 1),
        "all, us a building": round(1e6 * middle["all"] / buildings, 1),
        "buildings": buildings,
        "buildings shaped a second": round(buildings / shapes_s),
        PROJECTED: round(16_000 * mpix / (1000 * middle["all"])),
    }


def with_shapers(scene: Path, stored: Stored, mpix: float, shapers: int) -> dict[str, float]:
    """Wall time, and processor time of this process and of those that shape."""
    predictor = StoredPredictor(stored, Clock(), shapers)
    began, own = time.perf_counter(), time.process_time()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with mock.patch.object(shaping_pool, "FEW_PARTS", 0):
        run(scene, scene.with_suffix(".gpkg"), predictor)
    wall_s, own_s = time.perf_counter() - began, time.process_time() - own
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    others_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "wall_s": round(wall_s, 2),
        "first_process_s": round(own_s, 2),
        "shapers_s": round(others_s, 2),
        "mpix_per_s": round(mpix / wall_s, 1),
    }


def fed(shaped: dict[str, dict[str, float]], mpix: float) -> dict[str, Any]:
    """MPix/s of a card that would not wait: measured here, and what 16 processors could do."""
    several = [each for count, each in shaped.items() if count != "1"]
    found: dict[str, Any] = {"here": max(each["mpix_per_s"] for each in shaped.values())}
    if several:
        first_s = min(each["first_process_s"] for each in several)
        found["projected, 16 processors, the first process on one of them"] = round(mpix / first_s)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sides", default="1024,4096", help="16384 takes 2 GB of disk")
    parser.add_argument("--kinds", default="suburb,country,informal")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapers", default="1,2,4", help="empty: leave out")
    parser.add_argument("--shaped-side", type=int, default=6144)
    asked = parser.parse_args()
    kinds, sides = asked.kinds.split(","), list(map(int, asked.sides.split(",")))
    stored = {kind: stored_maps(kind) for kind in kinds}
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        scenes = {
            (kind, side): write_scene(Path(name, f"{kind} {side}.tif"), side, kind=kind)
            for kind in kinds
            for side in sides
        }
        for (kind, side), scene in scenes.items():  # libraries are loaded, the disk's cache is warm
            if side == min(sides):
                by_room(scene, stored[kind], 1.0)
        rounds: defaultdict[tuple[str, int], list[dict[str, float]]] = defaultdict(list)
        for _ in range(asked.rounds):
            for (kind, side), scene in scenes.items():
                rounds[kind, side].append(by_room(scene, stored[kind], side**2 / 1e6))
        rows = {f"{kind}, {side} px": row_of(each) for (kind, side), each in rounds.items()}
        figures["rooms"] = rows
        print_table(rows)
        if asked.shapers:
            figures |= shaped_figures(asked, Path(name), stored[kinds[0]])
    keep("everything_else", figures)


def shaped_figures(asked: argparse.Namespace, folder: Path, stored: Stored) -> dict[str, Any]:
    """The second and third table, printed, as figures."""
    side = asked.shaped_side
    mpix = side**2 / 1e6
    kind = asked.kinds.split(",")[0]
    scene = write_scene(folder / "shaped.tif", side, kind=kind)
    measure = partial(with_shapers, scene, stored, mpix)
    shaped = {count: measure(int(count)) for count in asked.shapers.split(",")}
    for count, each in shaped.items():
        print(f"{kind}, {side} px, {count} shaping: {each}")
    card = fed(shaped, mpix)
    print("a card could be this fast and not wait, MPix/s:", card)
    return {"shapers": shaped, "side_px": side, "fed_mpix_per_s": card}


def print_table(rows: dict[str, dict[str, float]]) -> None:
    """One column a scene."""
    print(" " * 28 + "  ".join(f"{name:>16}" for name in rows))
    for key in next(iter(rows.values())):
        print(f"{key:<28}" + "  ".join(f"{each[key]:>16,}" for each in rows.values()))


if __name__ == "__main__":
    main()
