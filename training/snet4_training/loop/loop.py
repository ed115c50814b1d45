"""The training loop.

`train` steps through the batches of a store that `sources.fill` has filled. It writes the last
and the best model file, a checkpoint and the `records` to the run's folder.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from snet4_training.chips.batches import Batch, batches
from snet4_training.loop.checkpoint import State, read_checkpoint, update_average, write_checkpoint
from snet4_training.loop.losses import look_loss, loss
from snet4_training.loop.pace import Pace
from snet4_training.loop.records import Records
from snet4_training.loop.schedule import finished, learning_rate, steps_in_all, take_score
from snet4_training.loop.settling import settled
from snet4_training.loop.start import go_on_from, load_encoder, pretrained_file
from snet4_training.loop.team import Team, gathered, surroundings
from snet4_training.recipe import Recipe, TrainRecipe
from snet4_training.recipe_file import as_plain
from snet4_training.validation.card import card_of
from snet4_training.validation.gallery import Gallery
from snet4_training.validation.validate import judged, score_of, summed
from snet4core.errors import EngineError
from snet4core.model import weights
from snet4core.model.card import Architecture, Card
from snet4core.model.header import find_model
from snet4core.model.network import OffNadirNet
from snet4core.progress import Progress, Silent, stop_if_cancelled

CHECKPOINT = "checkpoint.pt"
MODEL, BEST = "model.safetensors", "best.safetensors"

ALONE = Team()


def step_once(
    state: State,
    parts: Sequence[Batch],
    recipe: TrainRecipe,
    architecture: Architecture,
    team: Team = ALONE,
) -> float:
    """One optimiser step over the parts of all processes; returns their mean loss.

    Every part starts from the same running statistics, and the step leaves their mean, so
    that it does not matter which process computes which part.

    Raises `EngineError` when the loss is not a number: the weights would be lost.
    """
    assert isinstance(state.net, OffNadirNet)
    rate = learning_rate(recipe, state.step, state.seconds, state.drops)
    shares = (recipe.encoder_rate, 1.0)[-len(state.optimizer.param_groups) :]
    for group, share in zip(state.optimizer.param_groups, shares, strict=True):
        group["lr"] = rate * share
    _set_learning(state.net, recipe, state.step)
    state.optimizer.zero_grad(set_to_none=True)
    running = _running(state.net) if recipe.accumulate > 1 else []
    counters = [value for value in _changing(state.net) if not value.is_floating_point()]
    before = [value.clone() for value in running]
    sums = [torch.zeros_like(value) for value in running]
    total = torch.zeros(1, device=parts[0].images_BCHW.device)
    for batch in parts:
        for value, old in zip(running, before, strict=True):
            value.copy_(old)
        heads = [architecture.head_for(look) for look in batch.looks]
        with torch.autocast(total.device.type, torch.bfloat16, enabled=recipe.bf16):
            features = state.net.encoder(batch.images_BCHW)
            logits_BMHW = state.net.mixed(features, batch.looks_BL, heads)
        targets_BMHW = batch.targets_BMHW / 255
        value = loss(logits_BMHW, targets_BMHW, batch.weight_BHW, recipe, batch.roofs_known_B)
        if state.net.look is not None:
            # Outside of autocast: the guess is a mean over the picture, and needs the digits.
            guess_B3 = state.net.look(features[-1].float())
            value = value + recipe.look_weight * look_loss(guess_B3, batch.looks)
        value = value / recipe.accumulate
        total += value.detach()
        torch.autograd.backward(value)
        for whole, one in zip(sums, running, strict=True):
            whole += one / recipe.accumulate
    team.add_up([total, *sums])
    if not bool(torch.isfinite(total)):
        raise EngineError(
            f"The loss is {total.item()} at step {state.step}; lower train.learning_rate and "
            "resume from the last checkpoint."
        )
    for value, mean in zip(running, sums, strict=True):
        value.copy_(mean)
    if elsewhere := recipe.accumulate - len(parts):
        for counter in counters:
            counter += elsewhere  # as many as if all parts had been here
    _share_gradients(state.net, team)
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip_norm)
    state.optimizer.step()
    state.step += 1
    update_average(state, recipe.average)
    return float(total)


def _set_learning(net: OffNadirNet, recipe: TrainRecipe, step: int) -> None:
    """Which parts the next step changes; the others compute as they do at inference."""
    learns = recipe.encoder_learns(step)
    net.encoder.train(learns).requires_grad_(learns)
    if recipe.only_heights:
        net.eval().requires_grad_(False)
        for branch in net.branches.values():
            branch.get_submodule("heights").train().requires_grad_(True)


def _running(net: nn.Module) -> list[Tensor]:
    """Running statistics of batch normalisation: buffers that forward passes change."""
    return [value for value in _changing(net) if value.is_floating_point()]


def _changing(net: nn.Module) -> Iterator[Tensor]:
    """Buffers of the parts that learn."""
    return (value for part in net.modules() if part.training for value in part.buffers(False))


def _share_gradients(net: nn.Module, team: Team) -> None:
    """Sum the gradients of all processes; a head that none of them used keeps none."""
    if team.size == 1:
        return
    parameters = list(net.parameters())
    used = torch.tensor([p.grad is not None for p in parameters], device=team.device).float()
    team.add_up([used])
    chosen = [p for p, times in zip(parameters, used.tolist(), strict=True) if times]
    for parameter in chosen:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    team.add_up([p.grad for p in chosen if p.grad is not None])


def start(recipe: Recipe, device: torch.device) -> State:
    """A new network as the recipe initialises it, its running average and its optimiser."""
    torch.manual_seed(recipe.train.seed)
    net = OffNadirNet(recipe.model.architecture())
    if recipe.model.start_from:
        go_on_from(net, find_model(recipe.model.start_from))
    if recipe.model.pretrained:
        load_encoder(net, pretrained_file(recipe.model.pretrained))
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[recipe.train.optimizer]
    optimizer = kind(
        _groups(net, recipe.train),
        lr=recipe.train.learning_rate,
        weight_decay=recipe.train.weight_decay,
        fused=device.type == "cuda",  # one kernel instead of some hundred
    )
    average = {name: value.detach().clone() for name, value in net.state_dict().items()}
    return State(net, average, optimizer)


def _groups(net: OffNadirNet, recipe: TrainRecipe) -> list[dict[str, list[nn.Parameter]]]:
    """All parameters; or the encoder's and the others, where their learning rates differ."""
    if recipe.encoder_rate in (0.0, 1.0):
        return [{"params": list(net.parameters())}]
    encoder = list(net.encoder.parameters())
    known = {id(value) for value in encoder}
    others = [value for value in net.parameters() if id(value) not in known]
    return [{"params": encoder}, {"params": others}]


def train(
    recipe: Recipe,
    out: Path,
    resume: bool = False,
    progress: Progress | None = None,
    team: Team | None = None,
) -> Path:
    """Train as the recipe says, in the folder `out`; returns the model file.

    The store of chips must hold at least one chunk (see `sources.fill`); it may grow
    meanwhile, but only over a complete one is a resumed run the same as an undisturbed one.
    """
    progress, team = progress or Silent(), team or gathered()
    store = out / recipe.data.store
    architecture = recipe.model.architecture()
    card = card_of(recipe)
    parts = team.parts(recipe.train.accumulate)
    state = start(recipe, team.device)
    if resume and (out / CHECKPOINT).exists():
        read_checkpoint(out / CHECKPOINT, state)
    records = Records.of(recipe, out, state.step) if team.leads else None
    if records:
        records.begin({"step": state.step, **surroundings(team), "recipe": as_plain(recipe)})
    pace = Pace()
    before_s, started, exported = state.seconds, time.monotonic(), -1
    state.net.train()
    for of_step in pace.watched(batches(recipe, store, state.step, parts)):
        if finished(recipe.train, state):
            break
        stop_if_cancelled(progress)
        mine = [batch.to(team.device) for batch in of_step]
        pace.add(step_once(state, mine, recipe.train, architecture, team))
        state.seconds = team.from_leader(before_s + time.monotonic() - started)
        progress.step(state.step, steps_in_all(recipe.train, state), "steps")
        last = finished(recipe.train, state)
        if state.step % 50 == 0 or last:
            lately = pace.lately()
            if records:
                rate = learning_rate(recipe.train, state.step, state.seconds, state.drops)
                records.stepped(state.step, lately, rate, state.seconds)
        validates = state.step % recipe.train.validate_steps == 0 or last
        keeps = state.step % recipe.train.checkpoint_steps == 0 or last
        settles = team.leads and (validates or keeps)
        net = settled(state, recipe, store, team.device) if settles else None
        # Before the checkpoint, which then knows the score: a resumed run goes on alike.
        if validates:
            _validated(recipe, state, net, card, out, records, team)
            last = finished(recipe.train, state)
        if (keeps or last) and net is not None:
            write_checkpoint(out / CHECKPOINT, state, as_plain(recipe))
            weights.save(out / MODEL, net, card)
            exported = state.step
    if records:
        records.close()
        # A run that was killed between its last checkpoint and this file ends here.
        if exported != state.step:
            weights.save(out / MODEL, settled(state, recipe, store, team.device), card)
    team.wait()
    return out / MODEL


def _validated(
    recipe: Recipe,
    state: State,
    net: OffNadirNet | None,
    card: Card,
    out: Path,
    records: Records | None,
    team: Team,
) -> None:
    """Validate `net`, share the score with all processes, and export the best weights; it is
    settled, and the leader alone has it."""
    score = math.nan
    if records and net is not None:
        shown = Gallery(recipe.model.bands, recipe.train.pictures)
        scores = summed(shown.passing(judged(net, card, recipe, out / recipe.data.store)))
        found = score_of(scores, heights=recipe.train.only_heights)
        records.validated(state.step, scores, found, shown)
        score = math.nan if found is None else found
    score = team.from_leader(score)
    if not math.isnan(score) and take_score(recipe.train, state, score) and net is not None:
        weights.save(out / BEST, net, card)
