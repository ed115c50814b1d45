"""The decoder that heights have of their own: how it starts, what it sees, and that it learns
alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from helpers.training import bright_squares, small_recipe
from snet4_training.chips.batches import Steps
from snet4_training.chips.store import ChipStore
from snet4_training.loop.loop import start, step_once, train
from snet4_training.recipe import Recipe
from snet4_training.validation.card import card_of
from snet4core.errors import UsageError
from snet4core.look.look import Look
from snet4core.model import weights
from snet4core.model.card import FIVE_MAPS, Card
from snet4core.model.network import OffNadirNet
from snet4core.model.upsampling import unrolled
from snet4core.settings import Calibration

CPU = torch.device("cpu")
MAPPED = [
    'model.heads=["any"]', f"model.maps={list(FIVE_MAPS)}", "model.sweeps_lean=true",
    "model.shared_decoder=true", "model.decoder_channels=[16, 8, 8, 8]",
]  # fmt: skip
APART = [*MAPPED, "model.heights_apart=true"]
SURE = Calibration(((0.0, 0.0), (1.0, 0.8)))
EAST_45 = Look(45.0, 90.0, "option")


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A model whose heights are the other decoder's, with a look that it hears."""
    torch.manual_seed(3)
    net = OffNadirNet(small_recipe(tmp_path, MAPPED).model.architecture()).eval()
    for name, value in net.named_parameters():
        if ".gate.outer." in name or "widen." in name:
            nn.init.normal_(value, std=0.1)
    path = tmp_path / "before.safetensors"
    weights.save(path, net, Card("before", net.architecture, confidence_knots=SURE), half=False)
    return path


def going_on(tmp_path: Path, before: Path) -> Recipe:
    return small_recipe(tmp_path, [*APART, f"model.start_from={before}", "train.only_heights=true"])


def network(recipe: Recipe) -> OffNadirNet:
    net = start(recipe, CPU).net
    assert isinstance(net, OffNadirNet)
    return net


def test_it_begins_as_the_decoder_of_maps_and_changes_nothing(tmp_path: Path, before: Path) -> None:
    old, _ = weights.load(before)
    net = network(going_on(tmp_path, before)).eval()
    ours = net.branches["shared"].heights
    theirs = net.branches["shared"].decoder
    images, looks = torch.randn(2, 4, 64, 64), torch.tensor([EAST_45.features()] * 2)
    with torch.inference_mode():
        torch.testing.assert_close(net(images, looks, "any"), old(images, looks, "any"))
        # Without its search for feet, it decodes what the other does down to a stride of 4.
        levels = net.encoder(images)
        coarse, *_, wanted = unrolled(theirs, levels)[: len(ours.decoder.blocks) + 1]
        decoded = unrolled(ours.decoder, [levels[0], *levels[2:-2], coarse])[-1]
        torch.testing.assert_close(decoded, wanted)
        torch.testing.assert_close(unrolled(theirs, levels)[-1], theirs(levels))


def test_every_level_that_it_is_given_tells_it_something(tmp_path: Path) -> None:
    heights = network(small_recipe(tmp_path, APART)).eval().branches["shared"].heights
    nn.init.normal_(heights.height.weight)
    channels = [heights.decoder.blocks[-1].conv1[0].in_channels - heights.decoder.blocks[-1].coarse]
    channels += [narrow.in_channels for narrow in heights.back.narrow]
    levels = [
        torch.randn(1, count, 32 >> index, 32 >> index, requires_grad=True)
        for index, count in enumerate(channels)
    ]
    heights(levels, torch.tensor([EAST_45.features()])).sum().backward()
    assert all(level.grad is not None and level.grad.abs().sum() > 0 for level in levels)


def test_it_looks_for_the_foot_against_the_azimuth(tmp_path: Path) -> None:
    """With 1 x 1 kernels, which look nowhere else, a height depends on where its foot may be."""
    net = network(small_recipe(tmp_path, APART)).eval()
    sweep = net.branches["shared"].heights.back
    for name, value in sweep.named_parameters():
        if "widen." in name:
            nn.init.normal_(value)
    levels = [
        torch.randn(1, narrow.in_channels, 32 >> index, 64 >> index, requires_grad=True)
        for index, narrow in enumerate(sweep.narrow)
    ]
    seen = sweep(levels, torch.tensor([EAST_45.features()]))
    for index, level in enumerate(levels):
        row, col, stride_px = 16 >> index, 32 >> index, 8 << index
        seen[index][0, :, row, col].sum().backward()
        assert level.grad is not None
        rows, cols = level.grad[0].abs().sum(0).nonzero().T
        assert set(rows.tolist()) == {row}  # the lean is to the east
        # At 45 degrees a roof that is 80 pixels high lies 80 pixels east of its foot.
        assert min(cols.tolist()) == col - 80 // stride_px
        assert max(cols.tolist()) == col


def test_heights_learn_alone(tmp_path: Path, before: Path) -> None:
    recipe = going_on(tmp_path, before)
    recipe = replace(recipe, train=replace(recipe.train, bf16=False, learning_rate=0.01))
    run = bright_squares(tmp_path / "run")
    state = start(recipe, CPU)
    state.net.train()
    old = {name: value.clone() for name, value in state.net.state_dict().items()}
    for number in range(3):
        batch = Steps(recipe, run / "chips")[number]
        batch.targets_BMHW[:, -1] = 150  # of another height than it says
        step_once(state, [batch], recipe.train, recipe.model.architecture())
    changed = {n for n, value in state.net.state_dict().items() if not torch.equal(value, old[n])}
    assert changed
    own = "branches.shared.heights"
    assert all(name.startswith(own) for name in changed)
    for part in ("back.narrow.0.weight", "decoder.blocks.0.conv1.1.running_mean", "height.bias"):
        assert f"{own}.{part}" in changed


def test_the_best_are_those_of_the_best_heights(tmp_path: Path, before: Path) -> None:
    run = bright_squares(tmp_path / "run")
    validation = ChipStore(run / "chips" / "validation" / "scenes")
    chips = [validation.read(0, index) for index in range(3)]
    for chip in chips:
        chip.targets_MHW[-1] = 150  # known
    validation.write(0, chips)
    train(going_on(tmp_path, before), run)
    entries = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    last = next(entry for entry in reversed(entries) if "validation" in entry)
    errors = [one["height_error"] for one in last["validation"].values()]
    assert last["score"] == pytest.approx(1.0 - sum(errors) / 3)
    assert (run / "best.safetensors").exists()


def test_what_heights_do_not_touch_stays_on_the_card(tmp_path: Path, before: Path) -> None:
    assert card_of(going_on(tmp_path, before)).confidence_knots == SURE


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (MAPPED, "set both"),
        (APART, "set both"),
        ([*APART, "model.start_from=default", "train.statistics_batches=4"], "leave train.stat"),
        ([*APART, "model.start_from=default", "train.decoder_return=0.5"], "leave train.stat"),
    ],
)
def test_heights_that_cannot_learn_alone_are_refused(
    tmp_path: Path, changes: list[str], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        small_recipe(tmp_path, [*changes, "train.only_heights=true"])
