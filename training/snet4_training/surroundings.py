"""Describes hardware and versions of a run, for the first line of its log."""

from __future__ import annotations

from typing import Any

import torch

from snet4_training.team import Team
from snet4core import __version__


def surroundings(team: Team) -> dict[str, Any]:
    """Versions, device, threads and processes: what speed and rounding depend on."""
    return {
        "snet4": __version__,
        "torch": torch.__version__,
        "device": device_name(team.device),
        "threads": torch.get_num_threads(),
        "processes": team.size,
    }


def device_name(device: torch.device) -> str:
    """Name of the GPU, or the widest instruction set of the CPU."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.backends.cpu.get_cpu_capability()})"
