"""One child process, its time and its peak memory, as the operating system counts them."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from snet4core.extras import installed

OUT = Path("benchmarks/out")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one finished process cost."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    """Its own high-water mark, and no other's: what a fork inherits is not in it."""
    said: str = ""
    """Its standard output."""


def measured(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Measured:
    """Run `command` to its end, with `env` added to the environment. Raises when it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.monotonic()
        child = subprocess.Popen(
            list(map(str, command)), stdout=out, stderr=err, env={**os.environ, **(env or {})}
        )
        peak = _Peak(child.pid)
        peak.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - started
        peak.finish()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode:
            said = err.read().decode()[-300:]
            raise RuntimeError(f"{command[:4]} ended with {child.returncode}: {said}")
        cpu_s = usage.ru_utime + usage.ru_stime
        return Measured(wall_s, cpu_s, peak.mib, out.read().decode())


class _Peak(threading.Thread):
    """Asks the kernel for a process's high-water mark until it is gone.

    The mark only rises, so looking often enough misses no more than the last moment.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.mib = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.02):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            marks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
            self.mib = max([self.mib, *(kib / 1024 for kib in marks)])

    def finish(self) -> None:
        self._over.set()
        self.join()


def machine() -> dict[str, Any]:
    """Where the figures were taken: without it they mean nothing."""
    facts = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    named = [line.partition(":")[2].strip() for line in facts.splitlines() if "model name" in line]
    flags = next((line for line in facts.splitlines() if line.startswith("flags")), "")
    return {
        "processor": named[0] if named else platform.processor(),
        "processors": os.cpu_count(),
        "has": [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.platform(),
        "load_before": [round(each, 2) for each in os.getloadavg()],
        "libraries": {
            name: metadata.version(name)
            for name in ("torch", "openvino", "rasterio", "numpy", "scipy", "shapely")
            if installed(name)
        },
    }


def keep(name: str, figures: Any) -> None:
    """Write the figures of one benchmark, with the machine, as benchmarks/out/NAME.json."""
    OUT.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), "figures": figures}, indent=2)
    (OUT / f"{name}.json").write_text(text + "\n")
