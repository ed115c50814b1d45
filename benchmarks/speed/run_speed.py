"""What a whole run costs beside the bare forward pass of the same windows.

    python -m benchmarks.speed.run_speed [--side PX] [--model NAME or FILE] [--rounds N]
        [--precisions auto,fp32,bf16]

For each engine against its own floor: same model, precision, threads, process and windows.
The floor is the network alone, on noise that is ready in memory, in the run's batches and
lanes; then `detect` from file to layer; in turn. On a GPU floor over run is the share of time
that the card is busy. Wall time is what counts; the processor time is there because on a
busy machine it is the steadier of the two.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measured import keep
from benchmarks.scene_file import LOOK, write_scene
from snet4core.layers.write import write_layer
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.header import find_model
from snet4core.parts.detect import detect
from snet4core.parts.plan import Choices
from snet4core.windows import Tile

GOAL = 1.15


def forward(predictor: Predictor, side: int) -> int:
    """The network alone over all windows, in the run's batches; returns how many there are."""
    bands = len(predictor.card.architecture.bands)
    widest_px = predictor.card.windows.core_px + 2 * predictor.card.windows.halo_px
    noise = np.random.default_rng(0).standard_normal(
        (predictor.batch, bands, widest_px, widest_px), dtype=np.float32
    )
    head = predictor.card.architecture.head_for(LOOK)

    def compute(group: list[Tile]) -> int:
        rows, cols = group[0].read.shape
        images = np.ascontiguousarray(noise[: len(group), :, :rows, :cols])
        return len(predictor._network.forward(images, LOOK, head))

    batches = list(predictor._batches(predictor.tiles((side, side))))
    with ThreadPoolExecutor(predictor.runtime.lanes) as lanes:
        return sum(lanes.map(compute, batches))


def whole(predictor: Predictor, scene: Path, layer: Path) -> int:
    """From file to layer; returns the number of footprints."""
    choices = Choices(off_nadir_deg=LOOK.off_nadir_deg, azimuth_deg=LOOK.azimuth_deg)
    found = detect(scene, predictor, choices)
    return write_layer(layer, found.footprints, found.plan.grid.crs, overwrite=True)


def timed(work: Callable[[], int]) -> tuple[float, float, int]:
    """(wall seconds, processor seconds, what it returned)."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    return time.perf_counter() - wall, time.process_time() - cpu, count


def measured(predictor: Predictor, scene: Path, side: int, count: int, name: str) -> dict[str, Any]:
    """Rounds of floor and run in turn, printed, and what they say together."""
    forward(predictor, 1200)  # compiled and warm
    precision = predictor.runtime.precision
    rounds = []
    for _ in range(count):
        bare_s, bare_cpu_s, _ = timed(lambda: forward(predictor, side))
        run_s, run_cpu_s, layer_count = timed(
            lambda: whole(predictor, scene, scene.with_suffix(".gpkg"))
        )
        rounds.append(
            {"forward_s": round(bare_s, 2), "run_s": round(run_s, 2),
             "ratio": round(run_s / bare_s, 3),
             "cpu_ratio": round(run_cpu_s / bare_cpu_s, 3), "footprints": layer_count}
        )  # fmt: skip
        print(f"{name}: {precision}, {side} px: {rounds[-1]}", flush=True)
    best = min(each["run_s"] for each in rounds) / min(each["forward_s"] for each in rounds)
    found = {
        "precision": precision,
        "rounds": rounds,
        "median_ratio": round(statistics.median(each["ratio"] for each in rounds), 3),
        "median_cpu_ratio": round(statistics.median(each["cpu_ratio"] for each in rounds), 3),
        "best_over_best": round(best, 3),
        "mpix_per_s": round(side**2 / 1e6 / min(each["run_s"] for each in rounds), 2),
    }
    print(f"{name}: {found['median_ratio']} (goal {GOAL}), best over best {best:.3f}, of "
          f"processors {found['median_cpu_ratio']}")  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--model", default="default")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--engines", default="openvino,torch")
    parser.add_argument("--precisions", default="auto", help="auto: what this machine would choose")
    asked = parser.parse_args()
    figures: dict[str, Any] = {"side_px": asked.side}
    with tempfile.TemporaryDirectory() as folder:
        scene = write_scene(Path(folder, "scene.tif"), asked.side)
        for engine in asked.engines.split(","):
            for precision in asked.precisions.split(","):
                runtime = choose_runtime(engine=engine, precision=precision)
                predictor = Predictor(find_model(asked.model), runtime)
                name = engine if precision == "auto" else f"{engine} {precision}"
                figures[name] = measured(predictor, scene, asked.side, asked.rounds, name)
    keep("run_speed", figures)


if __name__ == "__main__":
    main()
