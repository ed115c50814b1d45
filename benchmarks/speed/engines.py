"""Do all engines and precisions find the same footprints, whatever the batch?

    python -m benchmarks.speed.engines [--side PX]

F1 of each engine and precision against torch in fp32 on one scene, the F1 of each against
the truth, and whether batches and memory limits leave a layer equal to the byte.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measured import keep
from benchmarks.scene_file import write_scene, write_truth
from benchmarks.speed.against_script import f1
from benchmarks.speed.run_speed import timed, whole
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import AnyEngine, Precision, choose_runtime
from snet4core.model.header import find_model

GOAL = 0.99
WAYS: tuple[tuple[AnyEngine, Precision], ...] = (
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    side = parser.parse_args().side
    figures: dict[str, Any] = {"side_px": side}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene, truth = write_scene(folder / "scene.tif", side), folder / "truth.gpkg"
        write_truth(truth, side)
        first = folder / "torch-fp32.gpkg"
        for engine, precision in WAYS:
            layers = []
            for batch, memory_bytes in ((1, None), (4, None), (1, 1)):
                predictor = Predictor(
                    find_model("default"),
                    choose_runtime("cpu", precision, engine),
                    batch,
                    memory_bytes=memory_bytes,
                )
                layer = folder / f"{engine}-{precision}.gpkg"
                wall_s, _, count = timed(lambda: whole(predictor, scene, layer))  # noqa: B023  # called at once
                layers.append(hashlib.sha256(layer.read_bytes()).hexdigest())
            figures[f"{engine} {precision}"] = {
                "footprints": count,
                "f1_against_torch_fp32": round(f1(layer, first), 4),
                "f1": round(f1(layer, truth), 4),
                "same_bytes_for_any_batch": len(set(layers)) == 1,
                "wall_s": round(wall_s, 1),
            }
            print(f"{engine} {precision}: {figures[f'{engine} {precision}']} (goal {GOAL})")
    keep("engines", figures)


if __name__ == "__main__":
    main()
