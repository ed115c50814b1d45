"""Checkpoints: the complete state of a training run, saved and restored.

A resumed run gives the same weights as an uninterrupted one. The file holds weights, their
running average, the optimiser's state and the step; it is written to a temporary file and
renamed, so that it is never incomplete.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from snet4core.errors import InputError
from snet4core.files import outputs


@dataclass(slots=True)
class State:
    """The mutable state of a training run."""

    net: nn.Module
    """The network in training."""
    average: dict[str, Tensor]
    """Running average of its parameters and buffers: what is validated and exported."""
    optimizer: torch.optim.Optimizer
    """The optimiser, with its moments."""
    step: int = 0
    """Steps done."""
    seconds: float = 0.0
    """Time spent, over all resumed parts."""
    best: float = -1.0
    """Highest validation score so far; -1 before the first."""
    stale: int = 0
    """Validations since then."""
    drops: int = 0
    """How often the learning rate was lowered on a plateau."""


def update_average(state: State, keep: float) -> None:
    """Update the exponential moving average of the weights; faster in the first steps."""
    keep = min(keep, (1 + state.step) / (10 + state.step))
    now = state.net.state_dict()
    floats = [name for name, value in now.items() if value.is_floating_point()]
    # In one call: several hundred small kernels would leave a GPU idle between them.
    move = get_ema_multi_avg_fn(keep)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    move([state.average[name] for name in floats], [now[name] for name in floats], state.step)
    for name in now.keys() - set(floats):
        state.average[name].copy_(now[name])


def write_checkpoint(path: Path, state: State, recipe: dict[str, Any]) -> None:
    """Write the state to `path`, whole or not at all. Raises `OutputError`."""
    kept = {
        "net": state.net.state_dict(),
        "average": state.average,
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
        "best": state.best,
        "stale": state.stale,
        "drops": state.drops,
        "recipe": recipe,
    }
    with outputs.replacing(path) as (temporary,), outputs.driver_errors("checkpoint"):
        torch.save(kept, temporary)


def read_checkpoint(path: Path, state: State) -> None:
    """Load a checkpoint into `state`; raises `InputError` when it does not fit."""
    try:
        # weights_only: tensors and plain values; a checkpoint cannot run code either.
        saved = torch.load(path, map_location="cpu", weights_only=True)
        state.net.load_state_dict(saved["net"])
        state.optimizer.load_state_dict(saved["optimizer"])
        for name, value in saved["average"].items():
            state.average[name].copy_(value)  # to where the network computes
        state.step, state.seconds = int(saved["step"]), float(saved["seconds"])
        state.best = float(saved.get("best", -1.0))
        state.stale, state.drops = int(saved.get("stale", 0)), int(saved.get("drops", 0))
    except (OSError, RuntimeError, KeyError, ValueError, pickle.UnpicklingError) as problem:
        raise InputError(
            f"{path}: the checkpoint cannot be resumed ({problem}); use the recipe it was "
            "written with, or start again without --resume."
        ) from problem
