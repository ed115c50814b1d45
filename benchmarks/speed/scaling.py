"""What the engine around the network costs, and how fast parts become a layer.

    python -m benchmarks.speed.scaling [--part-s 2] [--parts 16] [--features 200000]

1. Parts of a fixed time, computed by one and by two workers, as processes and on a Dask
   cluster on this machine. The network is replaced by one that waits: so what is measured is
   the engine (giving out, storing, merging), on any machine, however busy; not whether two
   workers disturb each other in the processor's caches.
2. `--real`: the same with the shipped model, one thread a worker. Needs a quiet machine.
3. Merging stored parts of 2,000 buildings each into a GeoPackage, and what a part weighs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import numpy as np
import shapely

from benchmarks.measured import keep
from helpers.bright import CARD, ELSEWHERE, Bright, BrightModel, write_town
from snet4core.files.places import FolderPlace
from snet4core.footprints.footprints import Footprints
from snet4core.jobs.cluster import Cluster
from snet4core.jobs.executors import Executor, worker_model
from snet4core.jobs.job import Job
from snet4core.jobs.merge import Merge, merge
from snet4core.jobs.processes import Processes
from snet4core.jobs.run import run_job
from snet4core.maps.runtime import choose_runtime
from snet4core.model.header import find_model, read_header
from snet4core.parts import store as partstore
from snet4core.parts.part import PartResult, lost
from snet4core.parts.plan import Choices, plan_for
from snet4core.parts.work import Elsewhere, SceneWork
from snet4core.progress import Silent
from snet4core.scene.inputs import SceneInput


class Clock(Silent):
    """When each part was done."""

    def __init__(self) -> None:
        self.done_s: list[float] = []

    def step(self, done: float, total: float, what: str) -> None:
        if what == "parts" and done > len(self.done_s):
            self.done_s.append(time.perf_counter())


def parts_per_s(executor: Executor, scene: Path, elsewhere: Elsewhere, workers: int) -> float:
    """The rate over the second half of the parts, when every worker has long been at work."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        job = Job((SceneInput(str(scene)),), Choices(off_nadir_deg=30.0), Path(folder, "o.gpkg"))
        run_job(job, elsewhere, clock, executor)
    return _rate(clock.done_s, workers)


def _rate(done_s: list[float], workers: int) -> float:
    # What all workers do at once comes in groups; whole groups are counted.
    half = len(done_s) // 2 // workers * workers
    return half / (done_s[-1] - done_s[-1 - half])


def bare_parts_per_s(model: BrightModel, scene: Path) -> float:
    """The same parts in this process: read, computed and drawn, but neither kept nor given out."""
    plan = plan_for(SceneInput(str(scene)), ELSEWHERE.header, Choices(off_nadir_deg=30.0))
    work = SceneWork(plan)
    return _rate([time.perf_counter() for _ in work.computed(work.parts, Bright(model))], 1)


def engine(part_s: float, parts: int) -> dict[str, dict[str, float]]:
    """Rates of one and two workers whose network waits."""
    side = 64 * round(parts**0.5)
    with tempfile.TemporaryDirectory() as folder:
        scene = write_town(Path(folder, "town.tif"), shape=(side, side))
        model = BrightModel(pause_s=part_s / 4)
        bare = bare_parts_per_s(model, scene)
        found = {}
        for name, make in (
            ("processes", lambda n: Processes(model, n)),
            ("dask", lambda n: Cluster(model, "local", n)),
        ):
            one, two = (parts_per_s(make(n), scene, ELSEWHERE, n) for n in (1, 2))
            found[name] = {
                "overhead": round(1 - one / bare, 4),
                "two_over_one": round(two / one, 3),
            }
    return found


def real(rounds: int = 3) -> dict[str, float]:
    """Two workers against one with the shipped model, one thread each, in turn."""
    import os

    os.environ["OMP_NUM_THREADS"] = "1"
    header = read_header(find_model("default"))
    wanted = choose_runtime("cpu", threads=1)
    model, elsewhere = worker_model(header, wanted)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        scene = write_town(Path(folder, "town.tif"), shape=(6144, 6144))
        for _ in range(rounds):
            one = parts_per_s(Processes(model, 1), scene, elsewhere, 1)
            two = parts_per_s(Processes(model, 2), scene, elsewhere, 2)
            ratios.append(two / one)
            print(f"one {one:.3f} parts/s, two {two:.3f} parts/s: {two / one:.2f}", flush=True)
    return {"two_over_one": round(float(np.median(ratios)), 3)}


def merging(features: int) -> dict[str, float]:
    """Features a second from stored parts to a GeoPackage, and bytes a feature in the store."""
    per_part = 2_000
    side_parts = max(1, round((features / per_part) ** 0.5))
    side = side_parts * 2 * CARD.windows.core_px
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        scene = write_town(folder / "town.tif", shape=(side, side))
        plan = plan_for(SceneInput(str(scene)), ELSEWHERE.header, Choices(off_nadir_deg=30.0))
        work = SceneWork(plan)
        with partstore.opened(FolderPlace(folder / "o.gpkg.parts")) as store:
            shelf = work.folder_shelf(store, ELSEWHERE)
            for part in work.parts:
                shelf.put(part, crowded(lost(part, work.shaping), part.index, per_part))
        size = sum(path.stat().st_size for path in folder.rglob("*.part"))
        started = time.perf_counter()
        done = merge(Merge((FolderPlace(folder / "o.gpkg.parts"),), folder / "o.gpkg"), Silent())
        spent_s = time.perf_counter() - started
    return {
        "features": done.footprints,
        "features_per_s": round(done.footprints / spent_s),
        "bytes_per_feature": round(size / done.footprints),
        "parts": len(work.parts),
    }


def crowded(empty: PartResult, index: int, count: int) -> PartResult:
    """A part's result with so many footprints of nine corners, none over another."""
    angle = np.linspace(0, 2 * np.pi, 10)
    ring_px = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 16
    centre_px = np.stack([np.arange(count) * 40.0 + 20, np.full(count, index * 40.0 + 20)], axis=1)
    rings_px = centre_px[:, None] + ring_px
    rings_px[:, -1] = rings_px[:, 0]
    table = Footprints.of(
        empty.footprints.source,
        shapely.polygons(rings_px * [0.5, -0.5] + [740000, 3720000]),
        shapely.polygons(rings_px),
        np.floor(centre_px[:, ::-1] - [16, 0]).astype(np.int64),
        np.full(count, 0.9),
        np.full(count, 190.0),
    )
    return replace(empty, footprints=table)


def main(arguments: Iterable[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part-s", type=float, default=2.0)
    parser.add_argument("--parts", type=int, default=16)
    parser.add_argument("--features", type=int, default=200_000)
    parser.add_argument("--real", action="store_true")
    options = parser.parse_args(None if arguments is None else list(arguments))
    figures: dict[str, object] = {"merge": merging(options.features)}
    print("merge:", figures["merge"], flush=True)
    figures["engine"] = engine(options.part_s, options.parts)
    for name, row in figures["engine"].items():  # type: ignore[attr-defined]
        print(
            f"{name}: overhead {row['overhead']:.1%} of parts of {options.part_s:g} s, "
            f"two workers {row['two_over_one']:.2f} x one"
        )
    if options.real:
        figures["real"] = real()
    keep("scaling", figures)


if __name__ == "__main__":
    main()
