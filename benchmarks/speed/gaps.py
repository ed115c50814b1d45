"""What an executor costs between two parts: processor time, and time in which nobody waits.

    python -m benchmarks.speed.gaps [--part-s 2] [--parts 16]

The network waits instead of computing, and notes when it begins and ends to wait and how much
processor time its process has used. What lies between two waits of a worker is the engine:
drawing, keeping, giving out, reading. Processor time says what it costs on any machine; the time
that passed says it only on a quiet one, because whoever shares the processor is in it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from benchmarks.measured import keep
from helpers.bright import ELSEWHERE, Bright, BrightModel, write_town
from snet4core.jobs.cluster import Cluster
from snet4core.jobs.executors import Executor, InProcess
from snet4core.jobs.job import Job
from snet4core.jobs.processes import Processes
from snet4core.jobs.run import run_job
from snet4core.parts.plan import Choices
from snet4core.progress import Silent
from snet4core.scene.inputs import SceneInput
from snet4core.windows import Window

WINDOWS = 4
"""Of each part."""


@dataclass(frozen=True, slots=True)
class NotingModel(BrightModel):
    """Notes each wait, in a file for each process."""

    notes: Path = Path()

    def act(self, window: Window) -> None:
        began = time.time(), time.process_time()
        time.sleep(self.pause_s)
        line = json.dumps([*began, time.time(), time.process_time()])
        with (self.notes / f"{os.getpid()}.txt").open("a") as file:
            file.write(line + "\n")


def between_parts(notes: Path) -> dict[str, float]:
    """Medians over all workers, from the second part on; in milliseconds."""
    passed, used, inside = [], [], []
    for file in notes.iterdir():
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        pairs = list(pairwise(rows))[WINDOWS:]
        for number, (before, after) in enumerate(pairs, start=WINDOWS + 1):
            if number % WINDOWS == 0:
                passed.append(after[0] - before[2])
                used.append(after[1] - before[3])
            else:
                inside.append(after[0] - before[2])
    return {
        "between_parts_ms": round(1000 * statistics.median(passed), 1),
        "between_parts_cpu_ms": round(1000 * statistics.median(used), 1),
        "inside_a_part_ms": round(1000 * 3 * statistics.median(inside), 1),
    }


def gaps(make: Callable[[NotingModel], Executor], part_s: float, scene: Path) -> dict[str, float]:
    """Of one run with one worker."""
    with tempfile.TemporaryDirectory() as temporary:
        notes = Path(temporary, "notes")
        notes.mkdir()
        model = NotingModel(pause_s=part_s / WINDOWS, notes=notes)
        job = Job((SceneInput(str(scene)),), Choices(off_nadir_deg=30.0), Path(temporary, "o.gpkg"))
        run_job(job, ELSEWHERE, Silent(), make(model))
        return between_parts(notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part-s", type=float, default=2.0)
    parser.add_argument("--parts", type=int, default=16)
    options = parser.parse_args()
    makers: dict[str, Callable[[NotingModel], Any]] = {
        "in process": lambda model: InProcess(Bright(model)),
        "processes": lambda model: Processes(model, 1),
        "dask": lambda model: Cluster(model, "local", 1),
    }
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        side = 64 * round(options.parts**0.5)
        scene = write_town(Path(folder, "town.tif"), shape=(side, side))
        for name, make in makers.items():
            row = gaps(make, options.part_s, scene)
            row["share_of_part"] = round(row["between_parts_ms"] / 1000 / options.part_s, 4)
            row["cpu_share_of_part"] = round(row["between_parts_cpu_ms"] / 1000 / options.part_s, 4)
            figures[name] = row
            print(name, row, flush=True)
    keep("gaps", figures)


if __name__ == "__main__":
    main()
