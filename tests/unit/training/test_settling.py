"""How weights settle: the way back to the model that they started from, and statistics anew."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from helpers.training import bright_squares, small_recipe
from snet4_training.chips.batches import Steps
from snet4_training.loop.checkpoint import State
from snet4_training.loop.loop import BEST, MODEL, start, train
from snet4_training.loop.settling import settled
from snet4_training.recipe import Recipe
from snet4_training.validation.card import card_of
from snet4core.errors import UsageError
from snet4core.model import weights

CPU = torch.device("cpu")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return bright_squares(tmp_path / "run")


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A model file with weights of its own."""
    recipe = small_recipe(tmp_path, ["train.seed=77"])
    path = tmp_path / "begun.safetensors"
    net = start(recipe, CPU).net
    assert isinstance(net, weights.OffNadirNet)
    weights.save(path, net, card_of(recipe), half=False)
    return path


def trained(recipe: Recipe) -> State:
    """A state whose average differs from everything that it could have started from."""
    alone = replace(recipe.train, encoder_return=0.0, decoder_return=0.0)
    return start(replace(recipe, model=replace(recipe.model, start_from=""), train=alone), CPU)


def test_statistics_are_those_of_the_batches_after_the_training(tmp_path: Path, run: Path) -> None:
    recipe = small_recipe(tmp_path, ["train.statistics_batches=3", "train.accumulate=2"])
    state = trained(recipe)
    net = settled(state, recipe, run / "chips", CPU)

    steps = Steps(recipe, run / "chips")
    first = recipe.train.steps * recipe.train.accumulate
    seen = [net.encoder.conv1(steps[first + number].images_BCHW) for number in range(3)]
    means = torch.stack([each.mean(dim=(0, 2, 3)) for each in seen]).mean(0)
    variances = torch.stack([each.var(dim=(0, 2, 3)) for each in seen]).mean(0)
    assert torch.allclose(net.encoder.bn1.running_mean, means, atol=1e-5)
    assert torch.allclose(net.encoder.bn1.running_var, variances, rtol=1e-4)
    assert not torch.allclose(net.encoder.bn1.running_var, torch.ones(1), atol=0.1)


def test_every_normalisation_gets_statistics_and_no_weight_changes(
    tmp_path: Path, run: Path
) -> None:
    recipe = small_recipe(tmp_path, ["train.statistics_batches=2"])
    state = trained(recipe)
    net = settled(state, recipe, run / "chips", CPU)
    assert not any(part.training for part in net.modules())
    for name, value in net.named_parameters():
        assert torch.equal(value, state.average[name]), name
    for name, part in net.named_modules():
        if isinstance(part, nn.BatchNorm2d):
            assert not torch.equal(part.running_mean, state.average[f"{name}.running_mean"]), name
            assert part.momentum == 0.1


def test_without_batches_statistics_stay(tmp_path: Path, run: Path) -> None:
    recipe = small_recipe(tmp_path)
    state = trained(recipe)
    net = settled(state, recipe, run / "chips", CPU)
    for name, value in net.state_dict().items():
        assert torch.equal(value, state.average[name]), name


def test_each_part_goes_its_own_way_back_and_heads_stay(
    tmp_path: Path, run: Path, begun: Path
) -> None:
    changes = [f"model.start_from={begun}", "train.encoder_return=1", "train.decoder_return=0.25"]
    recipe = small_recipe(tmp_path, changes)
    state = trained(recipe)
    net, (old, _) = settled(state, recipe, run / "chips", CPU), weights.load(begun)
    was = old.state_dict()
    for name, value in net.state_dict().items():
        now, ended = value, state.average[name]
        if name.startswith("encoder."):
            assert torch.equal(now, was[name]), name
        elif name.startswith("branches.") and ended.is_floating_point():
            assert torch.allclose(now, 0.75 * ended + 0.25 * was[name], atol=1e-6), name
        else:
            assert torch.equal(now, ended), name


def test_a_run_writes_settled_weights_and_twice_the_same(
    tmp_path: Path, run: Path, begun: Path
) -> None:
    changes = [f"model.start_from={begun}", "train.encoder_return=0.5"]
    plain = small_recipe(tmp_path, changes)
    whole = small_recipe(tmp_path, [*changes, "train.statistics_batches=2"])
    files = []
    for number, recipe in enumerate((plain, whole, whole)):
        out = bright_squares(tmp_path / str(number))
        train(recipe, out)
        files.append(weights.load(out / MODEL)[0].state_dict())
        best = weights.load(out / BEST)[0].state_dict()
        # The last step is the only one that is validated.
        assert all(torch.equal(best[name], value) for name, value in files[-1].items())
    first, second, again = files
    name = "encoder.bn1.running_var"
    assert not torch.equal(first[name], second[name])
    assert torch.equal(first["encoder.conv1.weight"], second["encoder.conv1.weight"])
    assert all(torch.equal(again[name], value) for name, value in second.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.encoder_return=0.5", r"model\.start_from, which is not given"),
        ("train.decoder_return=0.5", r"model\.start_from, which is not given"),
        ("train.encoder_return=1.5", "between 0 and 1"),
        ("train.statistics_batches=-1", "0 or more"),
    ],
)
def test_impossible_ways_are_refused(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        small_recipe(tmp_path, [change])
