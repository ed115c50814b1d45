"""Recipe, loss, and the loop: it learns, stops for NaN, and resumes as if undisturbed."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from helpers.training import SMALL, bright_squares, small_recipe
from snet4_cli.train import train as train_command
from snet4_training.chips.batches import Batch, Steps
from snet4_training.loop.checkpoint import State, read_checkpoint
from snet4_training.loop.loop import MODEL, start, step_once, train
from snet4_training.loop.losses import dice_loss, loss
from snet4_training.loop.records import LOG
from snet4_training.loop.schedule import learning_rate
from snet4_training.recipe import Recipe, TrainRecipe
from snet4_training.recipe_file import read_recipe
from snet4core import __version__
from snet4core.errors import EngineError, InputError, OutputError, UsageError
from snet4core.look.look import CATEGORIES
from snet4core.model import weights
from snet4core.model.network import OffNadirNet


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return small_recipe(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return bright_squares(tmp_path / "run")


def test_recipe_reads_and_changes(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(SMALL)
    changed = read_recipe(path, ["train.steps=9", "train.learning_rate=1", "data.pictures=/a/b c"])
    assert changed.train.steps == 9
    assert changed.train.learning_rate == 1.0
    assert changed.data.pictures == "/a/b c"
    assert changed.model.decoder_channels == (16, 8, 8, 8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.stepz=9", "stepz"),
        ("trian.steps=9", "trian"),
        ("train.steps=many", "must be a int"),
        ("train.steps=0", "above 0"),
        ("train.steps", "section.key=value"),
        ("augment.sharpen=0.8", "sum must be 1"),
        ("data.seed=77", "kept for tests"),
        ("data.seed=9000000", "kept for tests"),
        ("data.chip_px=100", "multiple of 32"),
        ("augment.blur=1.5", "between 0 and 1"),
    ],
)
def test_impossible_recipes_are_refused_at_once(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text(SMALL)
    with pytest.raises(UsageError, match=message):
        read_recipe(path, [change])


def test_unreadable_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml"):
        read_recipe(tmp_path / "none.toml")


RECIPES = Path(__file__).parents[3] / "training" / "recipes"


def test_the_recipe_without_gpu_goes_on_with_the_network_of_the_default() -> None:
    shipped, more = (read_recipe(RECIPES / name) for name in ("default.toml", "cpu.toml"))
    assert more.model.architecture() == shipped.model.architecture()
    assert more.augment == shipped.augment
    assert more.data.seed != shipped.data.seed


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipe_is_sound(path: Path) -> None:
    recipe = read_recipe(path, ["data.pictures=SN4"])  # spacenet4.toml asks for them
    assert recipe.model.architecture().bands == ("blue", "green", "red", "nir")
    assert not Path(recipe.data.store).is_absolute()
    assert recipe.data.real == (), "sources are the user's to name"


def test_dice_by_hand() -> None:
    """Said 1, 1, 0, 0, true 1, 0, 0, 0: 2 x 1 over 2 + 1, each with the 1 that keeps
    an empty batch at 0."""
    said, true = torch.tensor([[[1.0, 1, 0, 0]]]), torch.tensor([[[1.0, 0, 0, 0]]])
    assert float(dice_loss(said, true, torch.ones_like(said))) == pytest.approx(1 - 3 / 4)


def test_loss_is_small_where_all_is_right_and_large_where_all_is_wrong() -> None:
    targets = torch.randint(0, 2, (2, 2, 8, 8)).float()
    logits = (targets * 2 - 1) * 12
    valid = torch.ones(2, 8, 8)
    assert float(loss(logits, targets, valid)) < 0.01
    assert float(loss(-logits, targets, valid)) > 10


def test_invalid_pixels_do_not_count() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 2, 8, 8), torch.rand(2, 2, 8, 8)
    valid = (torch.rand(2, 8, 8) > 0.5).float()
    other = torch.where(valid[:, None] > 0, logits, torch.randn_like(logits) * 50)
    assert float(loss(logits, targets, valid)) == pytest.approx(
        float(loss(other, targets, valid)), rel=1e-5
    )


def test_border_weight_scales_the_border_alone() -> None:
    torch.manual_seed(0)
    logits, targets, valid = torch.randn(1, 2, 8, 8), torch.rand(1, 2, 8, 8), torch.ones(1, 8, 8)
    none, half, one = (
        float(loss(logits, targets, valid, TrainRecipe(border_weight=w))) for w in (0.0, 0.5, 1.0)
    )
    assert half == pytest.approx((none + one) / 2, rel=1e-5)
    assert one > none


def test_batch_is_a_function_of_its_step(recipe: Recipe, run: Path) -> None:
    first, second = Steps(recipe, run / "chips"), Steps(recipe, run / "chips")
    later = second[3]
    assert torch.equal(first[3].images_BCHW, later.images_BCHW)
    assert not torch.equal(first[2].images_BCHW, later.images_BCHW)
    assert sorted(look.category for look in later.looks) == sorted(CATEGORIES)


def test_empty_store_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no chips"):
        Steps(recipe, tmp_path / "nothing")[0]


def test_network_learns_bright_squares(recipe: Recipe, run: Path) -> None:
    torch.manual_seed(0)
    quick = replace(recipe.train, steps=40, warmup_steps=5, learning_rate=3e-3)
    state = start(replace(recipe, train=quick), torch.device("cpu"))
    state.net.train()
    steps = Steps(recipe, run / "chips")
    architecture = recipe.model.architecture()
    losses = [step_once(state, [steps[i]], quick, architecture) for i in range(25)]
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])


def test_only_the_heads_of_the_batch_learn(recipe: Recipe, run: Path) -> None:
    state = start(recipe, torch.device("cpu"))
    before = {name: value.clone() for name, value in state.net.state_dict().items()}
    batch = Steps(recipe, run / "chips")[0]
    nadir = [i for i, look in enumerate(batch.looks) if look.category == "nadir"]
    one = replace(
        batch,
        images_BCHW=batch.images_BCHW[nadir].repeat(2, 1, 1, 1),
        looks_BL=batch.looks_BL[nadir].repeat(2, 1),
        targets_BMHW=batch.targets_BMHW[nadir].repeat(2, 1, 1, 1),
        weight_BHW=batch.weight_BHW[nadir].repeat(2, 1, 1),
        looks=batch.looks[nadir[0] : nadir[0] + 1] * 2,
    )
    state.net.train()
    step_once(state, [one], recipe.train, recipe.model.architecture())
    after = state.net.state_dict()
    assert not torch.equal(after["heads.nadir.weight"], before["heads.nadir.weight"])
    assert torch.equal(after["heads.off-nadir.weight"], before["heads.off-nadir.weight"])


@pytest.mark.parametrize("accumulate", [1, 3])
def test_an_encoder_that_waits_stays_as_it_is_and_the_rest_learns(
    recipe: Recipe, run: Path, accumulate: int
) -> None:
    waits = replace(recipe.train, encoder_from_step=2, accumulate=accumulate, bf16=False)
    state = start(replace(recipe, train=waits), torch.device("cpu"))
    state.net.train()
    steps = Steps(recipe, run / "chips")
    encoder, others = zip(*[_both(state)] + [
        _taught(state, [steps[i] for i in range(accumulate)], waits, recipe) for _ in range(3)
    ], strict=True)  # fmt: skip
    same = [all(torch.equal(a, b) for a, b in itertools.zip_longest(*two)) for two in
            itertools.pairwise(encoder)]  # fmt: skip
    assert same == [True, True, False]
    assert not any(torch.equal(a, b) for two in itertools.pairwise(others) for a, b in [two])


def _both(state: State) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The encoder's weights and statistics, and weights of the decoder."""
    assert isinstance(state.net, OffNadirNet)
    encoder = [value.clone() for value in state.net.encoder.state_dict().values()]
    return encoder, next(state.net.branches.parameters()).detach().clone()


def _taught(
    state: State, parts: list[Batch], train: TrainRecipe, recipe: Recipe
) -> tuple[list[torch.Tensor], torch.Tensor]:
    step_once(state, parts, train, recipe.model.architecture())
    return _both(state)


def test_the_encoder_learns_at_its_own_rate(recipe: Recipe, run: Path) -> None:
    slow = replace(recipe.train, encoder_rate=0.25, warmup_steps=0, learning_rate=0.1)
    state = start(replace(recipe, train=slow), torch.device("cpu"))
    state.net.train()
    step_once(state, [Steps(recipe, run / "chips")[0]], slow, recipe.model.architecture())
    rates = [group["lr"] for group in state.optimizer.param_groups]
    assert rates == pytest.approx([0.025, 0.1])
    counts = [len(group["params"]) for group in state.optimizer.param_groups]
    assert isinstance(state.net, OffNadirNet)
    assert counts[0] == len(list(state.net.encoder.parameters()))
    assert sum(counts) == len(list(state.net.parameters()))


def test_loss_that_is_no_number_stops_with_a_sentence(recipe: Recipe, run: Path) -> None:
    state = start(recipe, torch.device("cpu"))
    batch = Steps(recipe, run / "chips")[0]
    broken = replace(batch, images_BCHW=batch.images_BCHW * math.nan)
    with pytest.raises(EngineError, match=r"step 0; lower train\.learning_rate"):
        step_once(state, [broken], recipe.train, recipe.model.architecture())


def test_resumed_run_equals_an_undisturbed_one(recipe: Recipe, run: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
        (folder / "chips").symlink_to(run / "chips")
    train(recipe, whole)

    class StopAfterThree:
        """Stops as a kill would: after step 3, whose checkpoint is that of step 2."""

        def step(self, done: float, total: float, what: str) -> None:
            if done == 3:
                raise KeyboardInterrupt

        def cancelled(self) -> bool:
            return False

    with pytest.raises(KeyboardInterrupt):
        train(recipe, parts, progress=StopAfterThree())
    train(recipe, parts, resume=True)
    assert (whole / MODEL).read_bytes() == (parts / MODEL).read_bytes()
    starts = [json.loads(line) for line in (parts / LOG).read_text().splitlines()]
    assert [line["step"] for line in starts if line.get("event") == "start"] == [0, 2]


def test_trained_model_has_a_card_and_runs(recipe: Recipe, run: Path) -> None:
    net, card = weights.load(train(recipe, run))
    assert card.architecture == recipe.model.architecture()
    assert "Rendered places" in card.training_data
    log = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    begin = log[0]
    assert begin["event"] == "start"
    assert (begin["snet4"], begin["torch"]) == (__version__, torch.__version__)
    assert begin["device"].startswith("c")  # cpu or cuda, and what it can do
    assert begin["threads"] == torch.get_num_threads()
    assert begin["processes"] == 1
    scores = next(line["validation"] for line in log if "validation" in line)
    assert set(scores) == {f"scenes/{category}" for category in CATEGORIES}
    with torch.inference_mode():
        out = net(torch.zeros(1, 4, 64, 64), torch.zeros(1, 5), "nadir")
    assert out.shape == (1, 2, 64, 64)


def test_checkpoint_of_another_network_is_refused(recipe: Recipe, run: Path) -> None:
    train(recipe, run)
    other = replace(recipe, model=replace(recipe.model, heads=("any",)))
    with pytest.raises(InputError, match="cannot be resumed"):
        read_checkpoint(run / "checkpoint.pt", start(other, torch.device("cpu")))


def test_time_limit_ends_a_run(recipe: Recipe, run: Path) -> None:
    hasty = replace(recipe, train=replace(recipe.train, steps=1000, minutes=1e-6))
    assert train(hasty, run).exists()
    log = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    assert max(line["step"] for line in log) == 1


def test_learning_rate_never_rises_after_the_warm_up() -> None:
    recipe = TrainRecipe(steps=200, warmup_steps=20)
    rates = [learning_rate(recipe, step, 0.0) for step in range(201)]
    assert max(rates) <= recipe.learning_rate
    assert all(a <= b for a, b in itertools.pairwise(rates[:20]))
    assert all(a >= b for a, b in itertools.pairwise(rates[20:]))


def test_command_does_not_run_over_a_checkpoint(tmp_path: Path) -> None:
    recipe, out = tmp_path / "r.toml", tmp_path / "run"
    recipe.write_text(SMALL)
    out.mkdir()
    (out / "checkpoint.pt").write_bytes(b"of an earlier run")
    with pytest.raises(OutputError, match="--resume"):
        CliRunner().invoke(train_command, [str(recipe), "--out", str(out)], catch_exceptions=False)
