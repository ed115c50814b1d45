"""The training loop: plain, so that it can be read from top to bottom.

`train` steps through the batches of a store that `sources.fill` has filled, and leaves a
model file, a checkpoint and a log (one JSON object per line) in the run's folder.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from snet4_training.batches import Batch, batches
from snet4_training.checkpoint import State, read_checkpoint, update_average, write_checkpoint
from snet4_training.losses import loss
from snet4_training.recipe import Recipe, TrainRecipe, as_plain
from snet4_training.validate import validate
from snet4core import __version__, weights
from snet4core.card import Architecture, Card
from snet4core.errors import EngineError
from snet4core.model import OffNadirNet
from snet4core.progress import Progress, Silent, stop_if_cancelled

CHECKPOINT, MODEL, LOG = "checkpoint.pt", "model.safetensors", "log.jsonl"

Log = Callable[[dict[str, Any]], None]


def learning_rate(recipe: TrainRecipe, step: int, seconds: float) -> float:
    """Linear warm-up, then a cosine down to 1 % at the end, by steps or by time.

    >>> recipe = TrainRecipe(steps=100, warmup_steps=10, learning_rate=1.0)
    >>> [round(learning_rate(recipe, step, 0.0), 2) for step in (0, 9, 55, 100)]
    [0.1, 0.98, 0.43, 0.01]
    """
    done = step / recipe.steps
    if recipe.minutes:
        done = max(done, seconds / (60 * recipe.minutes))
    falling = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return recipe.learning_rate * min(1.0, (step + 1) / max(1, recipe.warmup_steps)) * falling


def finished(recipe: TrainRecipe, state: State) -> bool:
    """Whether steps or time are used up."""
    return state.step >= recipe.steps or bool(
        recipe.minutes and state.seconds >= 60 * recipe.minutes
    )


def step_once(state: State, batch: Batch, recipe: TrainRecipe, architecture: Architecture) -> float:
    """One step of the optimiser; returns the batch's loss.

    Raises `EngineError` when the loss is not a number: going on would save ruined weights.
    """
    assert isinstance(state.net, OffNadirNet)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(recipe, state.step, state.seconds)
    heads = [architecture.head_for(look) for look in batch.looks]
    device = batch.images_BCHW.device
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bf16):
        logits_B2HW = state.net.mixed(batch.images_BCHW, batch.looks_BL, heads)
    value = loss(logits_B2HW, batch.targets_B2HW, batch.weight_BHW, recipe)
    if not bool(torch.isfinite(value)):
        raise EngineError(
            f"The loss is {value.item()} at step {state.step}; lower train.learning_rate and "
            "resume from the last checkpoint."
        )
    state.optimizer.zero_grad(set_to_none=True)
    value.backward()  # type: ignore[no-untyped-call]  # torch's own
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip_norm)
    state.optimizer.step()
    state.step += 1
    update_average(state, recipe.average)
    return float(value.detach())


def start(recipe: Recipe, device: torch.device) -> State:
    """A fresh network, its average and its optimiser."""
    torch.manual_seed(recipe.train.seed)
    net = OffNadirNet(recipe.model.architecture())
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        net.parameters(),
        lr=recipe.train.learning_rate,
        weight_decay=recipe.train.weight_decay,
    )
    average = {name: value.detach().clone() for name, value in net.state_dict().items()}
    return State(net, average, optimizer)


def card_of(recipe: Recipe) -> Card:
    """What the model file says of itself, as far as the recipe knows it."""
    data = "Rendered places of snet4's own (seen from 0 to 55 degrees, any azimuth)."
    licence = "MIT."
    if recipe.data.banepa:
        data += (
            " Drone pictures of Banepa, Nepal (training columns), as taken and leaned over by "
            "geometry; footprints of OpenStreetMap. Look angles of leaned pictures and heights "
            "of their buildings are drawn at random."
        )
        licence += (
            " Trained on imagery of OpenAerialMap contributors (CC BY 4.0) and footprints of "
            "OpenStreetMap contributors (ODbL)."
        )
    return Card(
        name=recipe.model.name,
        architecture=recipe.model.architecture(),
        gsd_m=recipe.data.gsd_m,
        gsd_range_m=recipe.data.gsd_range_m,
        off_nadir_range_deg=(0.0, 55.0),
        training_data=data,
        licence=licence,
        code_version=__version__,
    )


def averaged_net(state: State, architecture: Architecture) -> OffNadirNet:
    """A copy of the network with the averaged weights, ready to be asked."""
    net = OffNadirNet(architecture)
    net.load_state_dict({name: value.cpu() for name, value in state.average.items()})
    return net.eval()


def export(path: Path, state: State, card: Card) -> None:
    """Write the averaged weights as a model file."""
    weights.save(path, averaged_net(state, card.architecture), card)


def log_to(path: Path) -> Log:
    """A log that appends one JSON object per line."""

    def log(entry: dict[str, Any]) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    return log


def train(
    recipe: Recipe,
    out: Path,
    resume: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train by the recipe into the folder `out`; returns the model file.

    The store of chips must hold at least one chunk (see `sources.fill`); it may grow
    meanwhile, but only over a complete one is a resumed run the same as an undisturbed one.
    """
    progress = progress or Silent()
    store = out / recipe.data.store
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    architecture = recipe.model.architecture()
    card, log = card_of(recipe), log_to(out / LOG)
    state = start(recipe, device)
    if resume and (out / CHECKPOINT).exists():
        read_checkpoint(out / CHECKPOINT, state)
    log({"event": "start", "step": state.step, "code": __version__, "recipe": as_plain(recipe)})
    recent: list[float] = []
    before_s, started = state.seconds, time.monotonic()
    state.net.train()
    for batch in batches(recipe, store, state.step):
        if finished(recipe.train, state):
            break
        stop_if_cancelled(progress)
        recent.append(step_once(state, batch.to(device), recipe.train, architecture))
        state.seconds = before_s + time.monotonic() - started
        progress.step(state.step, recipe.train.steps, "steps")
        last = finished(recipe.train, state)
        if state.step % 50 == 0 or last:
            log(
                {
                    "step": state.step,
                    "loss": sum(recent) / len(recent),
                    "learning_rate": learning_rate(recipe.train, state.step, state.seconds),
                    "seconds": round(state.seconds, 1),
                }
            )
            recent.clear()
        if state.step % recipe.train.checkpoint_steps == 0 or last:
            write_checkpoint(out / CHECKPOINT, state, as_plain(recipe))
            export(out / MODEL, state, card)
        if state.step % recipe.train.validate_steps == 0 or last:
            scores = validate(averaged_net(state, architecture), recipe, store)
            log({"step": state.step, "validation": scores})
    return out / MODEL
