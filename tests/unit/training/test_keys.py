"""No key of a recipe is idle: another value changes a batch, a loss, a step or a pace.

One table for each kind of effect. Together they name every key of `[augment]` and `[train]`,
and `ELSEWHERE` those whose effect has a test of its own; a key that is added and not
listed fails here.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.training import bright_squares, small_recipe
from snet4_training.chips import batches as batches_room
from snet4_training.chips import sources
from snet4_training.chips.batches import Batch, Steps, batches
from snet4_training.chips.cutting import TURN_DEG
from snet4_training.chips.store import ChipStore
from snet4_training.loop.checkpoint import State
from snet4_training.loop.loop import start, step_once
from snet4_training.loop.losses import loss
from snet4_training.loop.schedule import finished, learning_rate, take_score
from snet4_training.pictures.picture import Chip
from snet4_training.recipe import AugmentRecipe, Recipe, TrainRecipe
from snet4_training.scenes import Place, make_place
from snet4core.errors import UsageError
from snet4core.look.look import Look

CPU = torch.device("cpu")

AUGMENT: dict[str, float] = {
    "stretch": 0.4, "gamma": 0.9, "band_gain": 0.5, "blur": 1.0, "sharpen": 0.7, "noise": 1.0,
    "haze": 1.0, "cutout": 1.0, "edge": 1.0, "drop_nir": 1.0, "grey": 1.0, "forget_azimuth": 1.0,
    "angle_noise_deg": 3.0, "azimuth_noise_deg": 20.0, "flips": 1.0, "quarter_turns": 1.0,
    "saturation": 1.0, "hue": 1.0, "jpeg": 1.0,
}  # fmt: skip
"""Change a batch."""

BATCH: dict[str, Any] = {"batch": 6, "seed": 2, "size_weight": 1.0, "gap_weight": 1.0}
"""Keys of `[train]` that change a batch."""

LOSS: dict[str, dict[str, Any]] = {
    "loss": {"loss": "lovasz"},
    "focal_gamma": {"loss": "focal", "focal_gamma": 0.5},
    "focal_weight": {"loss": "focal", "focal_weight": 3.0},
    "border_weight": {"border_weight": 1.0},
    "dice_weight": {"dice_weight": 0.1},
    "footprint_weight": {"footprint_weight": 0.1},
    "height_weight": {"height_weight": 50.0},
}
"""Change the loss of the same logits; the first of two keys is what the second needs."""

STEP: dict[str, Any] = {
    "optimizer": "adam", "learning_rate": 0.1, "weight_decay": 5.0, "average": 0.0,
    "clip_norm": 1e-9, "bf16": True, "look_weight": 5.0, "encoder_rate": 0.1,
    "encoder_from_step": 1,
}  # fmt: skip
"""Change what one step makes of the weights or of their average."""

PACE: dict[str, dict[str, Any]] = {
    "steps": {"steps": 700},
    "warmup_steps": {"warmup_steps": 1000},
    "minutes": {"minutes": 9.0},
    "schedule": {"schedule": "step", "decay_steps": 100},
    "decay": {"schedule": "step", "decay_steps": 100, "decay": 0.9},
    "decay_steps": {"schedule": "step", "decay_steps": 300},
    "patience": {"schedule": "plateau", "patience": 1},
    "early_stop": {"early_stop": 3},
}
"""Change the learning rate, or when the run ends."""

ELSEWHERE = {
    "accumulate": ("steps", "test_processes_share_the_parts_of_a_step_without_gap_or_overlap"),
    "checkpoint_steps": ("loop", "test_resumed_run_equals_an_undisturbed_one"),
    "validate_steps": ("steps", "test_the_run_ends_when_scores_stop_rising"),
    "pictures": ("records", "test_a_sheet_has_a_row_for_each_category_with_buildings"),
    "tensorboard": ("records", "test_a_run_leaves_pictures_and_the_curves_of_its_log"),
    "loaders": ("keys", "test_loaders_are_processes_that_change_no_batch"),
    "statistics_batches": (
        "settling", "test_statistics_are_those_of_the_batches_after_the_training",
    ),
    "encoder_return": ("settling", "test_each_part_goes_its_own_way_back_and_heads_stay"),
    "decoder_return": ("settling", "test_each_part_goes_its_own_way_back_and_heads_stay"),
    "only_heights": ("heights", "test_heights_learn_alone"),
}  # fmt: skip
"""Keys of `[train]` with a test of their own: its file and name."""


def names(kind: type[Any]) -> set[str]:
    return {each.name for each in fields(kind)}


def test_every_key_is_in_a_table() -> None:
    assert set(AUGMENT) == names(AugmentRecipe)
    tables = [*BATCH, *LOSS, *STEP, *PACE, *ELSEWHERE]
    assert sorted(tables) == sorted(names(TrainRecipe))


def test_tests_elsewhere_are_there() -> None:
    for file, name in ELSEWHERE.values():
        text = (Path(__file__).parent / f"test_{file}.py").read_text()
        assert f"def {name}(" in text


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Houses with texture in them, for what only shows there (blur, turns)."""
    folder = bright_squares(tmp_path_factory.mktemp("keys"))
    store, rng = ChipStore(folder / "chips" / "scenes"), np.random.default_rng(0)
    textured = []
    for index in range(24):
        chip = store.read(0, index)
        counts_BHW = chip.counts_BHW // 2 + rng.integers(0, 90, chip.counts_BHW.shape, np.uint8)
        targets_MHW = chip.targets_MHW.copy()
        targets_MHW[0, 36:39, 2:12] = 255  # a second, small house
        look = Look(chip.look.off_nadir_deg, 70.0, "table")
        textured.append(Chip(counts_BHW, targets_MHW, chip.valid_HW, chip.known, look, 0.5))
    store.write(0, textured)
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    changes = ["model.estimates_look=true", 'model.heads=["any"]']
    return small_recipe(tmp_path_factory.mktemp("recipe"), changes)


def with_train(recipe: Recipe, **keys: Any) -> Recipe:
    return replace(recipe, train=replace(recipe.train, **keys))


def same(one: Batch, other: Batch) -> bool:
    """Whether two batches are alike to the last bit."""
    names = ("images_BCHW", "looks_BL", "targets_BMHW", "weight_BHW", "roofs_known_B")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in names)


def test_nothing_changed_changes_nothing(recipe: Recipe, run: Path) -> None:
    assert same(Steps(recipe, run / "chips")[1], Steps(recipe, run / "chips")[1])


@pytest.mark.parametrize("key", AUGMENT)
def test_key_of_augment_changes_the_batch(recipe: Recipe, run: Path, key: str) -> None:
    # Azimuths are not forgotten, or an error on them might not show.
    calm = replace(recipe, augment=replace(recipe.augment, forget_azimuth=0.0))
    other = replace(calm, augment=replace(calm.augment, **{key: AUGMENT[key]}))
    assert not same(Steps(calm, run / "chips")[1], Steps(other, run / "chips")[1])


@pytest.mark.parametrize("key", BATCH)
def test_key_of_train_changes_the_batch(recipe: Recipe, run: Path, key: str) -> None:
    other = with_train(recipe, **{key: BATCH[key]})
    assert not same(Steps(recipe, run / "chips")[1], Steps(other, run / "chips")[1])


@pytest.mark.parametrize("key", LOSS)
def test_key_changes_the_loss(recipe: Recipe, key: str) -> None:
    needs = {name: value for name, value in LOSS[key].items() if name != key}
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 5, 8, 8), torch.rand(2, 5, 8, 8)
    before, after = (
        float(loss(logits, targets, torch.ones(2, 8, 8), replace(recipe.train, **keys)))
        for keys in (needs, LOSS[key])
    )
    assert before != pytest.approx(after, rel=1e-3)


def stepped(recipe: Recipe, batch: Batch) -> State:
    """The state after one step over a given batch."""
    state = start(recipe, CPU)
    state.net.train()
    step_once(state, [batch], recipe.train, recipe.model.architecture())
    return state


@pytest.fixture(scope="module")
def batch(recipe: Recipe, run: Path) -> Batch:
    return Steps(recipe, run / "chips")[0]


@pytest.fixture(scope="module")
def before(recipe: Recipe, batch: Batch) -> State:
    return stepped(recipe, batch)


def changed(before: State, after: State) -> bool:
    """Whether any averaged weight differs by more than rounding."""
    return any(
        not torch.allclose(value, after.average[name], rtol=1e-3, atol=1e-7)
        for name, value in before.average.items()
    )


def test_the_same_step_gives_the_same_weights(recipe: Recipe, batch: Batch, before: State) -> None:
    assert not changed(before, stepped(recipe, batch))


@pytest.mark.parametrize("key", STEP)
def test_key_changes_the_step(recipe: Recipe, batch: Batch, before: State, key: str) -> None:
    after = stepped(with_train(recipe, **{key: STEP[key]}), batch)
    assert changed(before, after)


def course(recipe: TrainRecipe) -> list[tuple[float, bool]]:
    """Learning rate and whether all is over, along a run whose second score was its best."""
    state = State(torch.nn.Identity(), {}, torch.optim.SGD([torch.zeros(1)]))
    told = []
    for index, score in enumerate((0.1, 0.3, 0.2, 0.2, 0.2, 0.2)):
        take_score(recipe, state, score)
        state.step, state.seconds = 150 * (index + 1), 100.0 * (index + 1)
        rate = learning_rate(recipe, state.step, state.seconds, state.drops)
        told.append((rate, finished(recipe, state)))
    return told


@pytest.mark.parametrize("key", PACE)
def test_key_changes_the_pace(key: str) -> None:
    needs = {name: value for name, value in PACE[key].items() if name != key}
    usual = TrainRecipe(**needs)
    assert getattr(usual, key) != PACE[key][key]
    assert course(usual) != course(replace(usual, **{key: PACE[key][key]}))


def test_loaders_are_processes_that_change_no_batch(
    recipe: Recipe, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    usual = batches_room.DataLoader

    def watched(steps: Steps, **options: Any) -> Any:
        asked.append(options["num_workers"])
        return usual(steps, **options)

    monkeypatch.setattr(batches_room, "DataLoader", watched)
    none, one = (
        next(iter(batches(with_train(recipe, loaders=count, steps=1), run / "chips", 0)))
        for count in (0, 1)
    )
    assert asked == [0, 1]
    assert same(none[0], one[0])


def test_rendered_chips_show_the_kinds_and_the_looks_that_were_asked_for(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = replace(
        recipe.data, scene_kinds=("industry",), scene_looks="nadir8, 30:200, 33:10, 50:90"
    )
    kinds: list[str | None] = []

    def noted(*rest: Any, kind: str | None) -> Place:
        kinds.append(kind)
        return make_place(*rest, kind=kind, oversample=1)

    monkeypatch.setattr(sources, "make_place", noted)
    chips = sources.scene_chunk(replace(recipe, data=data), 20000, 3)
    assert kinds == ["industry"]
    asked_deg = {8.3: 78.4, 30.0: 200.0, 33.0: 10.0, 50.0: 90.0}
    shown = {round(chip.look.off_nadir_deg, 1) for chip in chips}
    assert {8.3, 50.0} <= shown <= set(asked_deg)
    for chip in chips:
        assert chip.look.azimuth_deg is not None
        # A chip may be cut at a slant, and its azimuth is turned with it.
        turned_deg = chip.look.azimuth_deg - asked_deg[round(chip.look.off_nadir_deg, 1)]
        assert abs(turned_deg) <= TURN_DEG + 1e-6


def test_kinds_and_looks_that_nobody_knows_are_refused(recipe: Recipe) -> None:
    with pytest.raises(UsageError, match="scene_kinds is 'moon'; it must be one of suburb"):
        replace(recipe.data, scene_kinds=("moon",))
    with pytest.raises(UsageError, match="no look that is off-nadir or very-off-nadir"):
        replace(recipe.data, scene_looks="nadir7")
