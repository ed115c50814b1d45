"""Distributed training: the processes that a launcher started, or one alone.

`torchrun` and `accelerate launch` tell each process its place by the environment. What
is learned does not depend on how many there are: they share out the `train.accumulate`
parts of every step, and take the mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from snet4core import __version__
from snet4core.errors import DependencyError, EngineError, UsageError
from snet4core.extras import how_to_install

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Team:
    """Rank, size and collective operations of the processes that train together."""

    rank: int = 0
    """0 writes, validates and tells how far it is."""
    size: int = 1
    """How many there are."""
    device: torch.device = _CPU
    """Where this one computes."""

    @property
    def leads(self) -> bool:
        """Whether this is the first process, which writes the files."""
        return self.rank == 0

    def parts(self, accumulate: int) -> range:
        """Which of a step's `accumulate` parts are this process's: as many for each.

        >>> Team(rank=1, size=2).parts(4)
        range(2, 4)
        """
        if accumulate % self.size:
            raise UsageError(
                f"{self.size} processes cannot share train.accumulate = {accumulate} parts of a "
                f"step; set it to a multiple of {self.size}."
            )
        share = accumulate // self.size
        return range(self.rank * share, (self.rank + 1) * share)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, in place."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _all_present():
            distributed.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def from_leader(self, number: float) -> float:
        """Broadcast the first process's number to all."""
        if self.size == 1:
            return number
        told = torch.tensor([number], dtype=torch.float64, device=self.device)
        with _all_present():
            distributed.broadcast(told, src=0)
        return float(told)

    def wait(self) -> None:
        """Barrier: wait for all processes."""
        self.from_leader(0.0)


def gathered() -> Team:
    """Join the process group that the environment variables describe.

    Raises `DependencyError` when there is one, and accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Team(device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        from accelerate import PartialState
    except ImportError as problem:
        raise DependencyError(
            "Training in several processes needs accelerate, which is not installed: "
            f"{how_to_install('accelerate')}"
        ) from problem
    # The others wait while the first one prepares chips, which may take hours.
    state = PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(days=2))
    return Team(state.process_index, state.num_processes, state.device)


@contextmanager
def _all_present() -> Iterator[None]:
    """Say what a collective operation fails for: another process is gone, or not reached."""
    try:
        yield
    except RuntimeError as problem:
        # The cause is that process's to tell; a traceback of this one would hide it.
        raise EngineError(
            "Another process of this training has ended, and its own message says why, or the "
            "connection to it broke; mend that, and start all processes again."
        ) from problem


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
