"""Does Ctrl-C end `snet4` with 130 and leave nothing, whenever it comes in the first seconds?

    python -m benchmarks.faults.interrupts [--times 1000] [--within 3] [--jobs 2] [--seed 1]

The first seconds are imports, where an interrupt can come out as another error or not at all.
Moments count from the line that installs the handler: before it, only Python itself runs. As
on a terminal, the whole group of processes gets the signal.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

_START = (
    "from snet4_cli import interrupt; interrupt.install(); print('ready', flush=True)\n"
    "import snet4_cli.main as entry\n"
    "{prepare}entry.main()"
)
_QUICK_MAPS = (
    "from benchmarks.faults import quick_maps; own_data = entry.use_own_data\n"
    "entry.use_own_data = lambda: own_data() or quick_maps.install()\n"
)
SAID = re.compile(r"\s*snet4: Interrupted; (nothing was written\.|finished parts are in .*)\n")
COMMANDS = {
    "run": ("run",),
    "torch": ("run", "--runtime", "torch"),
    "workers": ("run", "--workers", "2"),
    "resume": ("run", "--resume"),
    "shaping": ("run",),
}
"""Name -> how `snet4` is called. Workers and resumed runs keep their finished parts. The last
has processes that shape, which a small machine starts for no other run."""


@dataclass(slots=True)
class Seen:
    """What came of all interrupts."""

    interrupted: int = 0
    too_late: int = 0
    """Runs that had ended before."""
    complaints: list[str] = field(default_factory=list)


def scene_in(folder: Path, side: int = 3000) -> Path:
    """A picture that takes longer than the seconds in question."""
    path = folder / "scene.tif"
    pixels = np.random.default_rng(1).integers(1, 255, (3, side, side), np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=3, dtype="uint8",
        crs="EPSG:32616", transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000), photometric="RGB",
    ) as file:  # fmt: skip
        file.write(pixels)
    return path


def interrupt_once(
    scene: Path, command: Sequence[str], after_s: float, *, quick_maps: bool = False
) -> str | None:
    """What was wrong; "" if nothing was, None if the run had ended before the interrupt."""
    with tempfile.TemporaryDirectory(prefix="snet4-interrupts-") as name:
        kept = {"o.gpkg.parts"} if {"--resume", "--workers"} & set(command) else set()
        outputs, scratch = Path(name, "outputs"), Path(name, "scratch")
        outputs.mkdir()
        scratch.mkdir()
        start = _START.format(prepare=_QUICK_MAPS if quick_maps else "")
        process = subprocess.Popen(
            [sys.executable, "-c", start, command[0], scene, "-o", outputs / "o.gpkg",
             "--off-nadir", "30", "--azimuth", "20", "--device", "cpu", *command[1:]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"TMPDIR": str(scratch)}, start_new_session=True,
            # Whoever was started in the background has Ctrl-C ignored, and so would snet4.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            return f"did not start: {process.communicate()[1][-300:]}"
        time.sleep(after_s)
        if process.poll() is not None:
            return None if process.returncode == 0 else f"failed: {process.communicate()[1]}"
        os.killpg(process.pid, signal.SIGINT)
        try:  # windows under way are finished first, which takes long on a busy machine
            _, said = process.communicate(timeout=180)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return f"{after_s:.3f} s: did not end"
        wrong = []
        if process.returncode != 130:
            wrong.append(f"code {process.returncode}")
        if not SAID.fullmatch(said):
            wrong.append(f"said {said[-1500:]!r}")
        if left := {path.name for path in outputs.iterdir()} - kept:
            wrong.append(f"left {left}")
        if left := [path.name for path in scratch.iterdir() if path.name[:5] != "torch"]:
            wrong.append(f"left {left} in TMPDIR")  # torch keeps its own cache there
        return f"{after_s:.3f} s: " + ", ".join(wrong) if wrong else ""


def interrupt_many(
    times: int, within_s: float, jobs: int, seed: int, commands: Sequence[str] = tuple(COMMANDS)
) -> Seen:
    """Interrupt the commands in turn, each at a random moment."""
    rng = random.Random(seed)
    moments = [(commands[n % len(commands)], rng.uniform(0, within_s)) for n in range(times)]
    seen = Seen()
    with tempfile.TemporaryDirectory(prefix="snet4-interrupts-") as folder:
        scene = scene_in(Path(folder))

        def one(each: tuple[str, float]) -> str | None:
            name, after_s = each
            quick_maps = name == "shaping"
            wrong = interrupt_once(scene, COMMANDS[name], after_s, quick_maps=quick_maps)
            return f"{name}: {wrong}" if wrong else wrong

        with ThreadPoolExecutor(jobs) as pool:
            for wrong in pool.map(one, moments):
                seen.too_late += wrong is None
                seen.interrupted += wrong is not None
                if wrong:
                    seen.complaints.append(wrong)
                    print(wrong, flush=True)
                elif seen.interrupted % 50 == 0:
                    print(f"{seen.interrupted} interrupted", flush=True)
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--within", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    seen = interrupt_many(given.times, given.within, given.jobs, given.seed)
    print(
        f"{seen.interrupted} interrupted, {seen.too_late} had ended before, "
        f"{len(seen.complaints)} wrong"
    )
    return bool(seen.complaints)


if __name__ == "__main__":
    sys.exit(main())
