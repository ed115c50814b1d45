"""How long a person waits before anything happens.

    python -m benchmarks.speed.start_up [--rounds N]

In turn, the median of the ratios: `snet4 --help` against `python -c "import click"`, and a
whole `snet4 run` of one chip of 900 x 900 pixels, from a cold start to the finished layer,
against `python -c "import torch"` alone.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.measured import keep, measured
from benchmarks.scene_file import OPTIONS, write_scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    click = [sys.executable, "-c", "import click"]
    torch = [sys.executable, "-c", "import torch"]
    help_ = [sys.executable, "-c", "import sys; sys.argv = ['snet4', '--help']; "
             "from snet4_cli.main import main; main()"]  # fmt: skip
    help_over_click = [measured(help_).wall_s / measured(click).wall_s for _ in range(rounds)]
    chips, ratios = [], []
    with tempfile.TemporaryDirectory() as name:
        scene, layer = write_scene(Path(name, "chip.tif"), 900), Path(name, "out.gpkg")
        run = [sys.executable, "-m", "snet4_cli", "run", scene, "-o", layer, *OPTIONS,
               "--overwrite"]  # fmt: skip
        measured(run)  # the disk's cache is warm for both
        for _ in range(rounds):
            chips.append(measured(run).wall_s)
            ratios.append(chips[-1] / measured(torch).wall_s)
    figures = {
        "help_over_click": round(statistics.median(help_over_click), 2),
        "chip_s": round(statistics.median(chips), 2),
        "chip_over_import_torch": round(statistics.median(ratios), 2),
        "rounds": rounds,
    }
    print(f"snet4 --help / import click: {figures['help_over_click']} (goal 2.5)")
    print(f"one chip, cold: {figures['chip_s']} s; / import torch: "
          f"{figures['chip_over_import_torch']}")  # fmt: skip
    keep("start_up", figures)


if __name__ == "__main__":
    main()
