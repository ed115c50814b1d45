"""Peak memory against the size of the picture: it must not grow with it.

    python -m benchmarks.memory.memory [--sides 4096,8192,16384,32768] [--formats gpkg,csv]
        [--engine E]

`snet4 run` as a process of its own on ever larger pictures; the high-water mark is the
kernel's, of that process alone. Once more with --memory, which it has to respect.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measured import keep, measured
from benchmarks.scene_file import OPTIONS, write_scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", default="2048,4096")
    parser.add_argument("--formats", default="gpkg")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--memory", default="", help="also with this limit")
    asked = parser.parse_args()
    figures: list[dict[str, Any]] = []
    sides = [int(each) for each in asked.sides.split(",")]
    for side in sides:
        with tempfile.TemporaryDirectory() as name:
            scene = write_scene(Path(name, "scene.tif"), side)
            for extension in asked.formats.split(","):
                for limit in ["", asked.memory] if asked.memory else [""]:
                    layer = Path(name, f"out.{extension}")
                    more = ["--memory", limit] if limit else []
                    started = time.monotonic()
                    cost = measured(
                        [sys.executable, "-m", "snet4_cli", "run", scene, "-o", layer, *OPTIONS,
                         "--runtime", asked.engine, "--overwrite", *more]
                    )  # fmt: skip
                    figures.append(
                        {"side_px": side, "format": extension, "limit": limit,
                         "peak_mib": round(cost.peak_mib), "layer_mib": layer.stat().st_size >> 20,
                         "wall_s": round(time.monotonic() - started, 1),
                         "mpix_per_s": round(side**2 / 1e6 / cost.wall_s, 2)}
                    )  # fmt: skip
                    print(figures[-1], flush=True)
    of = {
        (each["format"], each["limit"]): each["peak_mib"]
        for each in figures
        if each["side_px"] == sides[0]
    }
    growth = {
        f"{each['format']} {each['limit']}".strip(): round(
            each["peak_mib"] / of[each["format"], each["limit"]], 3
        )
        for each in figures
        if each["side_px"] == sides[-1]
    }
    print(f"growth from {sides[0]} to {sides[-1]} px: {growth} (goal 1.10)")
    keep(
        "memory" if asked.formats == "gpkg" else "memory_formats",
        {"engine": asked.engine, "sizes": figures, "growth": growth},
    )


if __name__ == "__main__":
    main()
