"""What this machine can compute with: processors, a GPU's driver, fast bf16. Loads no library."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def processor_threads() -> int:
    """Number of processors that this process may use; OMP_NUM_THREADS limits it, as elsewhere."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(int(asked), count or 1) if asked.isdigit() and int(asked) else count or 1


def most_processes(asked: int) -> int:
    """So many of them as the system can wait for at once: Windows for 63, some of them its own."""
    return min(asked, 60) if sys.platform == "win32" else asked


def gpu_may_be_there() -> bool:
    """Check cheaply for a GPU's driver, because asking torch takes two seconds."""
    if sys.platform == "darwin":
        return os.uname().machine == "arm64"
    if sys.platform == "win32":
        return Path(os.environ.get("SYSTEMROOT", "C:/Windows"), "System32/nvcuda.dll").exists()
    return any(Path("/dev").glob("nvidia[0-9]*")) or any(
        Path(each).exists() for each in ("/dev/dxg", "/dev/kfd")
    )


def cpu_gains_from_bf16() -> tuple[bool, str]:
    """Whether bf16 is faster than fp32 on this CPU, and why: with AMX, or AMD's AVX512_BF16.

    Measured against fp32, torch with channels_last: AMX 2.8 x, AMD AVX512_BF16 2.0 to 2.2 x;
    but Intel's AVX512_BF16 0.88 x, AVX-512 0.38 x and AVX2 0.13 x: no other CPU uses bf16.
    OpenVINO gains the same 2.0 x on AMD, and crashes or is very slow on those others.
    """
    # The kernels obey this variable, so the choice of precision has to as well.
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    unlimited = allowed in ("", "ALL", "DEFAULT")
    vendor, flags = _cpu_facts()
    if {"amx_tile", "amx_bf16"} <= flags and (unlimited or "AMX" in allowed):
        return True, "the CPU has AMX"
    if (
        vendor == "AuthenticAMD"
        and "avx512_bf16" in flags
        and (unlimited or "BF16" in allowed or "AMX" in allowed)
    ):
        return True, "the CPU is an AMD with AVX512_BF16"
    return False, "this CPU has no fast bf16"


def _cpu_facts() -> tuple[str, frozenset[str]]:
    """Vendor and feature flags from Linux's /proc/cpuinfo; empty on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "", frozenset()
    facts = {name.strip(): value for name, _, value in (line.partition(":") for line in lines)}
    return facts.get("vendor_id", "").strip(), frozenset(facts.get("flags", "").split())
