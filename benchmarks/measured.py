"""One child process, its time and its peak memory, as the operating system counts them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUT = Path("benchmarks/out")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one finished process cost."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def measured(command: Sequence[str | Path]) -> Measured:
    """Run `command` to its end; its output is thrown away. Raises when it fails."""
    started = time.monotonic()
    child = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None  # it is a pipe
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{command[:4]} ended with {child.returncode}: {said.decode()[-300:]}")
    return Measured(
        time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    )


def keep(name: str, figures: Any) -> None:
    """Write the figures of one benchmark as benchmarks/out/NAME.json."""
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
