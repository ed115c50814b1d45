"""The worker with a network whose answer is known, and with faults on demand.

    python worker_stub.py [MODE]

Bright is building. MODE: `plain`; `noisy` (prints and a C library write on stdout); `slow`
(a second for each window); `steady` (a seventh of one); `stuck` (never comes back and hears
nothing); `bug`, `memory` (exceptions in mid-run); `segfault`, `killed` (the process ends in
mid-run); `child` (starts a process that would outlive it); `dark` (finds nothing); `roofed` (finds
the town of `roofed.py`, with roofs and heights, whatever the picture).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from snet4core.maps.maps import Maps
from snet4core.maps.runtime import RuntimeChoice
from snet4core.model.card import Architecture, Card, WindowSettings
from snet4core.model.header import Header
from snet4core.windows import tiles
from snet4core.worker import __main__, jobs

MODE = sys.argv[1] if len(sys.argv) > 1 else "plain"
CORE_PX = 64
HEADER = Header(
    Path("bright.safetensors"),
    Card("bright", Architecture(), WindowSettings(CORE_PX, 32), gsd_range_m=(0.3, 1.0)),
    "0" * 64,
)


class BrightIsBuilding:
    """Stands where the network stands."""

    def __init__(
        self, header: Header, *_: Any, shapers: int, guesser: Any, on_maps: Callable[[Maps], None]
    ) -> None:
        self.header, self.shapers, self.together = header, shapers, 2
        self.key, self.guesser, self._on_maps = "exact", guesser, on_maps
        seen_at = f" at {', '.join(f'{each:g}' for each in header.scales)}" * bool(header.scales)
        engine = f"stand-in{seen_at}"
        self.runtime = types.SimpleNamespace(device="cpu", engine=engine, precision="fp32")

    def maps(
        self,
        read: Any,
        shape: tuple[int, int],
        look: Any,
        wanted: Iterable[Any] | None = None,
        lean_px: object = None,
    ) -> Iterator[Maps]:
        for number, tile in enumerate(tiles(shape, CORE_PX, 32, 32) if wanted is None else wanted):
            if number == 1:
                if "SNET4_STUB_MARK" in os.environ:  # tells a test that we are in mid-run
                    Path(os.environ["SNET4_STUB_MARK"]).touch()
                _misbehave()
            time.sleep({"slow": 1.0, "child": 1.0, "steady": 0.15}.get(MODE, 0.0))
            picture_CHW, valid_HW = read(tile)
            cut = tile.own.slices(tile.read)
            bright_HW = np.where(picture_CHW[1][cut] > 0.5, 230, 10).astype(np.uint8)
            if MODE == "dark":
                bright_HW = np.minimum(bright_HW, 100)
            maps = Maps(tile.own, bright_HW, np.zeros_like(bright_HW), valid_HW[cut])
            self._on_maps(maps)
            yield maps


def _misbehave() -> None:
    if MODE == "noisy":
        print("a print", flush=True)
        os.write(1, b"a C library\n")
    elif MODE == "stuck":
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        time.sleep(600)
    elif MODE == "bug":
        raise ZeroDivisionError("nobody foresaw this")
    elif MODE == "memory":
        raise MemoryError
    elif MODE == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif MODE == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif MODE == "child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(f"child {child.pid}", file=sys.stderr, flush=True)


def _roofed_town(request: Any, telling: Any) -> dict[str, Any]:
    """The answer of a model that gives roofs and heights."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from helpers.roofed import UTM, town
    from snet4core.layers.write import write_layer
    from snet4core.parts.heights import not_lower

    output = telling.scratch(request.folder) / "footprints.gpkg"
    batches = not_lower([town()], request.choices.height_min_m)
    count = write_layer(output, batches, UTM)
    layers = {"layer": "footprints", "roofs_layer": "roofs"}
    facts = {"look": "45 degrees off nadir", "device": "cpu", "s_per_mpix": 1.0, "why_none": None}
    return {"output": str(output), "count": count, "maps": None, **layers, **facts}


def main() -> None:
    """Put the stand-in where `extract` looks for the network, then be a worker."""
    predict = types.ModuleType("snet4core.maps.predictor")
    predict.Predictor = BrightIsBuilding  # type: ignore[attr-defined]
    predict.choose_runtime = lambda *_: RuntimeChoice()  # type: ignore[attr-defined]
    sys.modules["snet4core.maps.predictor"] = predict
    jobs.find_model = Path  # type: ignore[assignment]
    jobs.read_header = lambda _: HEADER
    if MODE == "roofed":
        jobs.JOBS["extract"] = _roofed_town
    __main__.main()


if __name__ == "__main__":
    main()
