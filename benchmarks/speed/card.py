"""What a card does with the default model, and what keeps it waiting: all figures in one call.

    python -m benchmarks.speed.card [--device cuda] [--side 16384] [--limit-s 540]

1. The network alone on windows that are on the card, so with no copies, for each precision and
   several batches: the floor of all that follows.
2. The same with the copies there and back, from one thread, and in the run's batches and lanes.
3. Whole runs in this process, from file to layer, with 1, 2, ... processes that shape; beside each
   the share of its time that the floor of 1. takes, in which the card was busy.
4. Parts a second of 1, 2, ... workers that share the card, over the second half of the parts.

MPix/s of the picture, with both looks. It stops in time: what `--limit-s` leaves no time for is not
measured, and the figures say so. `--device cpu` runs all of it on torch's path for processors.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measured import keep
from benchmarks.scene_file import LOOK, write_scene
from benchmarks.speed.run_speed import forward, timed, whole
from benchmarks.speed.scaling import parts_per_s
from snet4core.jobs.executors import worker_model
from snet4core.jobs.processes import Processes
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import Precision, choose_runtime
from snet4core.maps.torch_network import TorchNetwork
from snet4core.model.header import find_model, read_header
from snet4core.parts.part import PART_WINDOWS

MODEL = "default"
ROUNDS = 3
PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32")

Step = tuple[str, Callable[[], float]]
"""A title, and what measures its MPix/s."""


def predictor_on(device: str, **more: Any) -> Predictor:
    """The model by torch; on a processor OpenVINO would be chosen."""
    precision = more.pop("precision", "auto")
    wanted = choose_runtime(device, precision, "torch")
    return Predictor(find_model(MODEL), wanted, **more)


def best_mpix_per_s(work: Callable[[], object], mpix: float) -> float:
    """Of several rounds after one that warms up."""
    work()
    return mpix / min(timed(lambda: work() is None)[0] for _ in range(ROUNDS))


def alone(device: str, precision: Precision, batch: int, *, copied: bool) -> float:
    """MPix/s of the network's windows, halo not counted, with or without copies."""
    predictor = predictor_on(device, precision=precision, batch=batch)
    network, card = predictor._network, predictor.card
    assert isinstance(network, TorchNetwork)
    head, windows = card.architecture.head_for(LOOK), card.windows
    side_px = windows.core_px + 2 * windows.halo_px
    shape = (batch, len(card.architecture.bands), side_px, side_px)
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    there = torch.from_numpy(noise).to(network._device)

    def without_copies() -> object:
        # One number comes back, so that all has been computed.
        return network._finished(there, LOOK, head, lambda maps: maps.mean())

    def with_copies() -> object:
        return network.forward(noise, LOOK, head)

    mpix = batch * windows.core_px**2 / 1e6
    return best_mpix_per_s(with_copies if copied else without_copies, mpix)


def in_lanes(device: str, side: int) -> float:
    """MPix/s of the network in the batches and lanes of a run."""
    predictor = predictor_on(device)
    return best_mpix_per_s(lambda: forward(predictor, side), side**2 / 1e6)


def run(device: str, scene: Path, side: int, shapers: int) -> float:
    """MPix/s from file to layer."""
    predictor = predictor_on(device, shapers=shapers)
    layer = scene.with_suffix(".gpkg")
    return best_mpix_per_s(lambda: whole(predictor, scene, layer), side**2 / 1e6)


def shared(device: str, scene: Path, workers: int) -> float:
    """MPix/s of so many workers on one device."""
    model, elsewhere = worker_model(
        read_header(find_model(MODEL)), choose_runtime(device, engine="torch")
    )
    rate = parts_per_s(Processes(model, workers), scene, elsewhere, workers)
    return rate * part_side_px() ** 2 / 1e6


def part_side_px() -> int:
    """Side of a whole part."""
    return PART_WINDOWS * read_header(find_model(MODEL)).card.windows.core_px


def counts(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [2**power for power in range(most.bit_length()) if 2**power <= most]


def steps(device: str, scene: Path, side: int, batches: list[int]) -> Iterator[Step]:
    """All measurements, the most telling first."""
    cores = os.cpu_count() or 1
    for batch in batches:
        yield f"alone bf16 {batch}", lambda batch=batch: alone(device, "bf16", batch, copied=False)
    for shapers in counts(min(8, cores)):
        yield f"run {shapers} shaping", lambda some=shapers: run(device, scene, side, some)
    parts = (side // part_side_px()) ** 2
    for workers in counts(min(4, cores, parts // 2)):
        yield f"workers {workers}", lambda some=workers: shared(device, scene, some)
    yield "lanes", lambda: in_lanes(device, side)
    for precision in PRECISIONS:
        for batch in batches:
            yield (
                f"copied {precision} {batch}",
                lambda one=precision, some=batch: alone(device, one, some, copied=True),
            )
    for batch in batches:
        yield f"alone fp32 {batch}", lambda batch=batch: alone(device, "fp32", batch, copied=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--side", type=int, default=16384)
    parser.add_argument("--batches", default="16,4,32")
    parser.add_argument("--limit-s", type=float, default=540.0, help="nothing begins later")
    asked = parser.parse_args()
    began = time.monotonic()
    found: dict[str, float] = {}
    left_out: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        scene = write_scene(Path(folder, "scene.tif"), asked.side)
        batches = [int(each) for each in asked.batches.split(",")]
        for title, measure in steps(asked.device, scene, asked.side, batches):
            if time.monotonic() - began > asked.limit_s:
                left_out.append(title)
                continue
            found[title] = round(measure(), 2)
            floor = max(each for name, each in found.items() if name.startswith("alone"))
            busy = f", the card busy for {found[title] / floor:.0%}" if "alone" not in title else ""
            print(f"{title:18} {found[title]:9.2f} MPix/s{busy}", flush=True)
    if left_out:
        print("no time was left for:", ", ".join(left_out))
    keep("card", {"mpix_per_s": found, "side_px": asked.side, "left_out": left_out})


if __name__ == "__main__":
    main()
