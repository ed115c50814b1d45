"""What more processors bring: one process with more threads, or more processes.

    python -m benchmarks.scaling [--side PX] [--engine E]

`snet4 run` as a process that may use 1, 2, 4, ... processors (the system holds it to them),
once as it is and once with `--workers` as many. All layers must be equal to the byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measured import keep
from benchmarks.scene_file import OPTIONS, write_scene


def run_s(scene: Path, layer: Path, engine: str, processors: set[int], workers: int) -> float:
    """Wall seconds of one run on these processors only."""
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "snet4_cli", "run", scene, "-o", layer, *OPTIONS, "--overwrite",
         "--runtime", engine, "--workers", str(workers)],
        check=True,
        capture_output=True,
        preexec_fn=lambda: os.sched_setaffinity(0, processors),
    )  # fmt: skip
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--engine", default="auto")
    asked = parser.parse_args()
    allowed = sorted(os.sched_getaffinity(0))
    counts = [1 << power for power in range(10) if 1 << power <= len(allowed)]
    rows: list[dict[str, Any]] = []
    digests = set()
    with tempfile.TemporaryDirectory() as name:
        scene, layer = write_scene(Path(name, "scene.tif"), asked.side), Path(name, "out.gpkg")
        for count in counts:
            for workers in sorted({1, count}):
                wall_s = run_s(scene, layer, asked.engine, set(allowed[:count]), workers)
                digests.add(hashlib.sha256(layer.read_bytes()).hexdigest())
                rows.append(
                    {"processors": count, "workers": workers, "wall_s": round(wall_s, 1),
                     "times_faster": round(rows[0]["wall_s"] / wall_s, 2) if rows else 1.0}
                )  # fmt: skip
                print(rows[-1], flush=True)
    print(f"layers equal to the byte: {len(digests) == 1}")
    keep("scaling", {"side_px": asked.side, "runs": rows, "equal": len(digests) == 1})


if __name__ == "__main__":
    main()
