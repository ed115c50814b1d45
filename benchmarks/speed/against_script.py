"""snet4 against the script that a user would write, command against command.

    python -m benchmarks.speed.against_script [--side PX] [--rounds N] [--small PX]

Whole processes from start to layer, in turn: `benchmarks/speed/plain_script.py`, `snet4 run` with
torch, `snet4 run` with OpenVINO. Each layer is scored against the scene's truth, and ours
against the script's: the network sees less context in the script's tiles, and the script
cuts at every seed, so the two differ as the maps and the splitting do. Then once more on a
smaller picture with the processor's bf16 and AMX switched off, where snet4 must not be
slower than the script.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measured import Measured, keep, measured
from benchmarks.scene_file import OPTIONS, write_scene, write_truth

GOALS = {"torch": 2.5, "openvino": 6.0}
NO_BF16 = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}


def script(scene: Path, layer: Path, env: dict[str, str] | None = None) -> Measured:
    layer.unlink(missing_ok=True)
    return measured(
        [sys.executable, "-m", "benchmarks.speed.plain_script", scene, layer, *OPTIONS], env
    )


def snet4(
    scene: Path,
    layer: Path,
    engine: str,
    env: dict[str, str] | None = None,
    model: str = "default",
) -> Measured:
    return measured(
        [sys.executable, "-m", "snet4_cli", "run", scene, "-o", layer, *OPTIONS, "--overwrite",
         "--runtime", engine, "--model", model], env,
    )  # fmt: skip


def f1(found: Path, expected: Path) -> float:
    """How far two layers are the same, by snet4's own score (IoU above 0.5)."""
    said = measured([sys.executable, "-m", "snet4_cli", "score", found, expected, "--json"]).said
    return float(json.loads(said)["total"]["f1"])


def compared(
    scene: Path,
    truth: Path,
    folder: Path,
    engines: list[str],
    rounds: int,
    env: dict[str, str] | None,
) -> dict[str, Any]:
    """Medians and ratios of alternating rounds."""
    plain, ours = [], {engine: [] for engine in engines}  # type: ignore[var-annotated]
    for _ in range(rounds):
        plain.append(script(scene, folder / "script.gpkg", env))
        for engine in engines:
            ours[engine].append(snet4(scene, folder / f"{engine}.gpkg", engine, env))
    figures: dict[str, Any] = {
        "script": {"wall_s": [round(one.wall_s, 1) for one in plain],
                   "peak_mib": round(max(one.peak_mib for one in plain)),
                   "f1": round(f1(folder / "script.gpkg", truth), 4)}
    }  # fmt: skip
    for engine, costs in ours.items():
        ratios = [one.wall_s / mine.wall_s for one, mine in zip(plain, costs, strict=True)]
        figures[engine] = {
            "wall_s": [round(one.wall_s, 1) for one in costs],
            "peak_mib": round(max(one.peak_mib for one in costs)),
            "times_faster": round(statistics.median(ratios), 2),
            "times_less_processor_time": round(
                min(one.cpu_s for one in plain) / min(one.cpu_s for one in costs), 2
            ),
            "f1": round(f1(folder / f"{engine}.gpkg", truth), 4),
            "f1_against_script": round(f1(folder / f"{engine}.gpkg", folder / "script.gpkg"), 4),
        }
    for name, each in figures.items():
        print(f"{name:9} {each}", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--small", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene = write_scene(folder / "scene.tif", asked.side)
        truth = write_truth(folder / "truth.gpkg", asked.side)
        print(f"{asked.side} px, goals: {GOALS}")
        figures = compared(scene, truth, folder, ["torch", "openvino"], asked.rounds, None)
        small = write_scene(folder / "small.tif", asked.small)
        truth = write_truth(folder / "small-truth.gpkg", asked.small)
        print(f"{asked.small} px without bf16 and AMX, goal: 0.95 and more")
        without = compared(small, truth, folder, ["torch", "openvino"], asked.rounds, NO_BF16)
    keep(
        "against_script",
        {"side_px": asked.side, "fast": figures, "small_px": asked.small, "without_bf16": without},
    )


if __name__ == "__main__":
    main()
