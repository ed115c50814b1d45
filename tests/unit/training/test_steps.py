"""Optimisers, schedules, stopping early, and steps made of several parts."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers.training import bright_squares, small_recipe
from snet4_training.chips.batches import Batch, Steps, batches
from snet4_training.loop.checkpoint import State, read_checkpoint, write_checkpoint
from snet4_training.loop.loop import BEST, MODEL, start, step_once, train
from snet4_training.loop.records import LOG
from snet4_training.loop.schedule import learning_rate, steps_in_all, take_score
from snet4_training.loop.start import load_encoder
from snet4_training.loop.team import Team
from snet4_training.recipe import Recipe, TrainRecipe
from snet4_training.validation.validate import score_of
from snet4core.errors import InputError, OutputError, UsageError
from snet4core.look.look import CATEGORIES
from snet4core.model import weights

CPU = torch.device("cpu")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return small_recipe(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return bright_squares(tmp_path / "run")


def with_train(recipe: Recipe, **keys: object) -> Recipe:
    return replace(recipe, train=replace(recipe.train, **keys))  # type: ignore[arg-type]  # a test's


def stepped(recipe: Recipe, parts: list[Batch], steps: int = 1) -> State:
    state = start(recipe, CPU)
    state.net.train()
    for _ in range(steps):
        step_once(state, parts, recipe.train, recipe.model.architecture())
    return state


def test_adam_and_adamw_differ_by_how_weights_decay_alone(recipe: Recipe, run: Path) -> None:
    batch = Steps(recipe, run / "chips")[0]
    for decay, alike in ((0.0, True), (0.5, False)):
        one, other = (
            stepped(with_train(recipe, optimizer=name, weight_decay=decay), [batch], 2).net
            for name in ("adam", "adamw")
        )
        pairs = zip(one.parameters(), other.parameters(), strict=True)
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs) == alike


def test_step_schedule_halves_at_every_mark() -> None:
    recipe = TrainRecipe(schedule="step", decay_steps=10, warmup_steps=1, learning_rate=1.0)
    rates = [learning_rate(recipe, step, 0.0) for step in (0, 9, 10, 25, 30)]
    assert rates == [1.0, 1.0, 0.5, 0.25, 0.125]


def test_constant_schedule_is_constant_after_the_warm_up() -> None:
    recipe = TrainRecipe(schedule="constant", warmup_steps=4, learning_rate=1.0)
    rates = [learning_rate(recipe, step, 0.0) for step in (0, 1, 4, 2999)]
    assert rates == [0.25, 0.5, 1.0, 1.0]


def test_plateau_lowers_the_rate_only_while_scores_do_not_rise(recipe: Recipe) -> None:
    quick = with_train(recipe, schedule="plateau", patience=2, decay=0.1, learning_rate=1.0)
    state = start(quick, CPU)
    state.step = 100
    seen = []
    for score in (0.3, 0.4, 0.4, 0.39, 0.5, 0.5, 0.5, 0.4, 0.4):
        take_score(quick.train, state, score)
        seen.append(round(learning_rate(quick.train, 100, 0.0, state.drops), 6))
    assert seen == [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001]


@pytest.mark.parametrize(
    ("minutes", "step", "seconds", "wanted"),
    [
        (0.0, 500, 100.0, 3000),
        (10.0, 500, 300.0, 1000),  # half of the time is over
        (10.0, 500, 10.0, 3000),  # the steps will be over first
        (10.0, 500, 601.0, 500),  # never less than what is done
        (10.0, 0, 0.0, 3000),
    ],
)
def test_how_many_steps_there_will_be_is_told_by_the_time_that_is_left(
    recipe: Recipe, minutes: float, step: int, seconds: float, wanted: int
) -> None:
    state = start(recipe, CPU)
    state.step, state.seconds = step, seconds
    assert steps_in_all(TrainRecipe(steps=3000, minutes=minutes), state) == wanted


def test_the_run_ends_when_scores_stop_rising(recipe: Recipe, run: Path) -> None:
    """A learning rate of almost nothing: no validation after the first is better."""
    still = with_train(
        recipe, steps=50, validate_steps=1, early_stop=3, learning_rate=1e-12, checkpoint_steps=50
    )
    assert train(still, run).exists()
    log = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    assert [line["step"] for line in log if "validation" in line] == [1, 2, 3, 4]
    assert weights.load(run / BEST)[1] == weights.load(run / MODEL)[1]
    # A run that ended stays ended.
    train(still, run, resume=True)
    assert '"step": 5' not in (run / LOG).read_text()


def test_what_was_waited_for_survives_a_checkpoint(recipe: Recipe, tmp_path: Path) -> None:
    state = start(recipe, CPU)
    state.best, state.stale, state.drops = 0.5, 3, 2
    write_checkpoint(tmp_path / "c.pt", state, {})
    back = start(recipe, CPU)
    read_checkpoint(tmp_path / "c.pt", back)
    assert (back.best, back.stale, back.drops) == (0.5, 3, 2)


class Trap:
    """What a hostile pickle would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("trapped",)


@pytest.mark.parametrize("read", ["checkpoint", "encoder"])
def test_weights_from_elsewhere_run_nothing(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pt"
    torch.save({"net": Trap(), "state_dict": Trap()}, path)
    state = start(recipe, torch.device("cpu"))
    with pytest.raises(InputError, match=r"hostile\.pt"):
        read_checkpoint(path, state) if read == "checkpoint" else load_encoder(state.net, path)
    assert not (tmp_path / "trapped").exists()


def test_a_checkpoint_that_cannot_be_finished_leaves_the_old_one(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "c.pt").write_bytes(b"old")

    def half(kept: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OutputError, match="checkpoint could not be written"):
        write_checkpoint(folder / "c.pt", start(recipe, CPU), {})
    assert (folder / "c.pt").read_bytes() == b"old"
    assert [path.name for path in folder.iterdir()] == ["c.pt"]


def test_score_leaves_out_categories_without_buildings() -> None:
    none = {"f1": 0.0, "truths": 0}
    assert score_of({"a/nadir": {"f1": 0.5, "truths": 3}, "a/off-nadir": none}) == 0.5
    assert score_of({"a/off-nadir": none}) is None
    assert score_of({}) is None


def test_two_equal_parts_make_the_step_of_one(recipe: Recipe, run: Path) -> None:
    batch = Steps(recipe, run / "chips")[0]
    once = stepped(recipe, [batch])
    twice = stepped(with_train(recipe, accumulate=2), [batch, batch])
    pairs = zip(once.net.state_dict().items(), twice.net.state_dict().values(), strict=True)
    for (name, one), two in pairs:
        if "num_batches" not in name:
            torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5)


def test_the_order_of_parts_plays_no_role(recipe: Recipe, run: Path) -> None:
    steps = Steps(recipe, run / "chips")
    quick = with_train(recipe, accumulate=2)
    one, other = (stepped(quick, [steps[a], steps[1 - a]]).net.state_dict() for a in (0, 1))
    assert not torch.equal(steps[0].images_BCHW, steps[1].images_BCHW)
    for name in one:
        torch.testing.assert_close(one[name], other[name], atol=1e-5, rtol=1e-4)


def test_processes_share_the_parts_of_a_step_without_gap_or_overlap(
    recipe: Recipe, run: Path
) -> None:
    quick = with_train(recipe, accumulate=4, steps=3)
    whole = [part for step in batches(quick, run / "chips", 1) for part in step]
    teams = [Team(rank, 2) for rank in (0, 1)]
    shares = [list(batches(quick, run / "chips", 1, team.parts(4))) for team in teams]
    together = [part for a, b in zip(*shares, strict=True) for part in (*a, *b)]
    assert len(whole) == len(together) == 2 * 4
    for one, other in zip(whole, together, strict=True):
        assert torch.equal(one.images_BCHW, other.images_BCHW)
    for one, other in itertools.combinations(whole, 2):
        assert not torch.equal(one.images_BCHW, other.images_BCHW)


def test_parts_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match="multiple of 2"):
        Team(0, 2).parts(3)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"optimizer": "sgd"}, "adamw, adam"),
        ({"schedule": "linear"}, "cosine, step"),
        ({"accumulate": 0}, "above 0"),
        ({"decay": 1.5}, "between 0 and 1"),
        ({"early_stop": -1}, "0 or more"),
    ],
)
def test_steps_that_make_no_sense_are_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainRecipe(**keys)  # type: ignore[arg-type]  # on purpose


def test_a_batch_holds_every_category_alike_or_one_alone(recipe: Recipe, run: Path) -> None:
    alike = [look.category for look in Steps(recipe, run / "chips")[0].looks]
    assert sorted(alike) == sorted(CATEGORIES)
    tilted = replace(recipe, data=replace(recipe.data, category="off-nadir"))
    assert {look.category for look in Steps(tilted, run / "chips")[0].looks} == {"off-nadir"}
    with pytest.raises(UsageError, match="must be one of"):
        replace(recipe.data, category="sideways")
