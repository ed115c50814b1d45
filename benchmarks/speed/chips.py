"""Many small pictures in one process: a thousand chips of 900 x 900 pixels.

    python -m benchmarks.speed.chips [--count N]

`run_job` over all of them into one layer, against the bare forward pass of as many windows.
Nothing may be loaded twice: a chip costs the same at the end as at the beginning.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.measured import keep
from benchmarks.scene_file import LOOK, write_scene
from benchmarks.speed.run_speed import forward, timed
from snet4core.jobs.job import Job
from snet4core.jobs.run import run_job
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.header import find_model
from snet4core.parts.plan import Choices
from snet4core.progress import Silent
from snet4core.scene.inputs import expand

SIDE = 900


class Clock(Silent):
    """When each chip was begun."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}

    def step(self, done: float, total: float, what: str) -> None:
        self.begun.setdefault(what, time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    count = parser.parse_args().count
    predictor = Predictor(find_model("default"), choose_runtime())
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "chips").mkdir()
        scene = write_scene(folder / "scene.tif", SIDE)
        for index in range(count):
            shutil.copyfile(scene, folder / "chips" / f"chip{index:04}.tif")
        forward(predictor, SIDE)
        bare_s, _, _ = timed(lambda: sum(forward(predictor, SIDE) for _ in range(20)))
        job = Job(
            inputs=tuple(expand([folder / "chips"])),
            choices=Choices(off_nadir_deg=LOOK.off_nadir_deg, azimuth_deg=LOOK.azimuth_deg),
            output=folder / "out.gpkg",
        )
        wall_s, cpu_s, _ = timed(lambda: run_job(job, predictor, clock).footprints)
    starts = sorted(clock.begun.values())
    tenth = max(1, count // 10)
    first, last = starts[tenth] - starts[0], starts[-1] - starts[-1 - tenth]
    figures = {
        "chips": count,
        "ms_per_chip": round(1000 * wall_s / count, 1),
        "ms_forward_per_chip": round(1000 * bare_s / 20, 1),
        "run_over_forward": round(wall_s / count / (bare_s / 20), 2),
        "cpu_ms_per_chip": round(1000 * cpu_s / count, 1),
        "last_tenth_over_first": round(last / first, 2),
    }
    print(figures)
    keep("chips", figures)


if __name__ == "__main__":
    main()
