"""How long a person waits before anything happens.

    python -m benchmarks.speed.start_up [--rounds N]

In turn, the median of the ratios: `snet4 --help` against `python -c "import click"`, and a
whole `snet4 run` of one chip of 900 x 900 pixels, from a cold start to the finished layer,
against `python -c "import torch"` alone. The chip twice: with the compiled network kept from a
run before, and compiled anew. Of the chip also the processor time, which a busy machine leaves be.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.measured import Measured, keep, measured
from benchmarks.scene_file import OPTIONS, write_scene

CACHE = "SNET4_CACHE"


def _figures(chips: list[Measured], imports: list[Measured], name: str) -> dict[str, float]:
    pairs = list(zip(chips, imports, strict=True))
    return {
        f"chip{name}_s": round(statistics.median(each.wall_s for each in chips), 2),
        f"chip{name}_cpu_s": round(statistics.median(each.cpu_s for each in chips), 2),
        f"chip{name}_over_import_torch": round(
            statistics.median(chip.wall_s / torch.wall_s for chip, torch in pairs), 2
        ),
        f"chip{name}_cpu_over_import_torch": round(
            statistics.median(chip.cpu_s / torch.cpu_s for chip, torch in pairs), 2
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    click = [sys.executable, "-c", "import click"]
    torch = [sys.executable, "-c", "import torch"]
    help_ = [sys.executable, "-c", "import sys; sys.argv = ['snet4', '--help']; "
             "from snet4_cli.main import main; main()"]  # fmt: skip
    help_over_click = [measured(help_).wall_s / measured(click).wall_s for _ in range(rounds)]
    chips: dict[str, list[Measured]] = {"kept": [], "off": []}
    imports: list[Measured] = []
    with tempfile.TemporaryDirectory() as name:
        scene, layer = write_scene(Path(name, "chip.tif"), 900), Path(name, "out.gpkg")
        run = [sys.executable, "-m", "snet4_cli", "run", scene, "-o", layer, *OPTIONS,
               "--overwrite"]  # fmt: skip
        measured(run, {CACHE: name})  # the disk's cache is warm for all
        for _ in range(rounds):
            chips["kept"].append(measured(run, {CACHE: name}))
            chips["off"].append(measured(run, {CACHE: "off"}))
            imports.append(measured(torch))
    figures = {
        "help_over_click": round(statistics.median(help_over_click), 2),
        **_figures(chips["kept"], imports, ""),
        **_figures(chips["off"], imports, "_compiled"),
        "rounds": rounds,
    }
    print(f"snet4 --help / import click: {figures['help_over_click']} (goal 2.5)")
    for name, what in (("", "the network kept"), ("_compiled", "compiled anew")):
        print(f"one chip, cold, {what}: {figures[f'chip{name}_s']} s, of processors "
              f"{figures[f'chip{name}_cpu_s']} s; / import torch: "
              f"{figures[f'chip{name}_over_import_torch']}, of processors "
              f"{figures[f'chip{name}_cpu_over_import_torch']} (goal 0.9)")  # fmt: skip
    keep("start_up", figures)


if __name__ == "__main__":
    main()
