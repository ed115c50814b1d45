"""Pictures and curves of a run: what they show, that they are whole, and that they go on."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from helpers.training import (
    APART,
    MADE_PX,
    SMALL,
    WALL_TO_WALL,
    Oracle,
    bright_squares,
    chip_of,
    small_recipe,
    store_of,
)
from snet4_cli.train import train as train_command
from snet4_training.loop import curves
from snet4_training.loop.curves import FOLDER, Curves
from snet4_training.loop.loop import train
from snet4_training.loop.records import LOG, PICTURES
from snet4_training.validation.card import card_of
from snet4_training.validation.gallery import PANEL_PX, Gallery, keep, visible
from snet4_training.validation.validate import Judged, judged
from snet4core.errors import DependencyError, UsageError

BANDS = ("blue", "green")

with_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="needs tensorboard"
)


@pytest.fixture
def chips(tmp_path: Path) -> list[Judged]:
    """Two of nadir, none with buildings of off-nadir, one of very-off-nadir."""
    recipe = small_recipe(tmp_path, [f"model.bands={list(BANDS)}"])
    looks = ((APART, 10.0), (WALL_TO_WALL, 12.0), ([], 30.0), (APART, 50.0))
    store = store_of(tmp_path / "s", [chip_of(houses, deg) for houses, deg in looks])
    return list(judged(Oracle(), card_of(recipe), recipe, store))  # type: ignore[arg-type]


def test_all_chips_pass_and_some_with_buildings_are_kept(chips: list[Judged]) -> None:
    shown = Gallery(BANDS, 1)
    assert list(shown.passing(chips)) == chips
    chosen = shown.chosen()
    assert {name: len(kept) for name, kept in chosen.items()} == {
        "made/nadir": 1, "made/very-off-nadir": 1,
    }  # fmt: skip
    assert chosen["made/nadir"][0] is chips[0]


def test_chips_of_several_places_are_shown_first(chips: list[Judged]) -> None:
    """Those of one chunk are of one place or two."""
    many = [replace(chips[0], found=np.full(number, None)) for number in range(24)]
    shown = Gallery(BANDS, 4)
    list(shown.passing(many))
    assert [len(one.found) for one in shown.chosen()["made/nadir"]] == [0, 8, 16, 1]


@pytest.mark.parametrize(("each", "columns"), [(1, 3), (2, 6)])
def test_a_sheet_has_a_row_for_each_category_with_buildings(
    chips: list[Judged], each: int, columns: int
) -> None:
    shown = Gallery(BANDS, each)
    list(shown.passing(chips))
    drawn = shown.drawn()
    assert drawn is not None
    assert drawn.width == columns * (PANEL_PX + 4)
    assert 2 * PANEL_PX < drawn.height < 3 * PANEL_PX


def test_outlines_lie_on_the_houses_walls(chips: list[Judged]) -> None:
    """The third panel: white where the network says footprint, cyan along the truth."""
    shown = Gallery(BANDS, 1)
    list(shown.passing(chips))
    drawn = shown.drawn()
    assert drawn is not None
    scale = PANEL_PX / MADE_PX
    left, top = 2 * (PANEL_PX + 4) + 2, 34
    colours = np.asarray(drawn).astype(int)

    def at(col: float, row: float) -> list[int]:
        return list(colours[top + round(row * scale), left + round(col * scale)])

    assert min(at(20, 18)) > 240  # inside of the first house
    assert max(at(45, 60)) < 15  # between the houses
    red, green, blue = at(10, 18)  # on its western wall
    assert red < 60 < 150 < min(green, blue)


def test_no_pictures_where_none_are_wanted(chips: list[Judged]) -> None:
    shown = Gallery(BANDS, 0)
    list(shown.passing(chips))
    assert shown.drawn() is None


def test_colours_are_found_by_the_names_of_the_bands() -> None:
    chip = chip_of(APART)
    counts_BHW = np.stack([np.full((4, 4), value, np.uint8) for value in (1, 2, 3, 4)])
    four = replace(chip, counts_BHW=counts_BHW, known=(True,) * 4)
    assert visible(four, ("nir", "red", "green", "blue"))[:, 0, 0].tolist() == [4, 3, 2]
    unknown = replace(four, known=(False, True, True, False))
    assert visible(unknown, ("nir", "red", "green", "blue"))[:, 0, 0].tolist() == [2, 2, 2]


def test_a_picture_replaces_the_one_of_an_earlier_try_whole(tmp_path: Path) -> None:
    path = keep(Image.new("RGB", (4, 3)), tmp_path / PICTURES, 7)
    assert keep(Image.new("RGB", (5, 3)), tmp_path / PICTURES, 7) == path
    assert [each.name for each in path.parent.iterdir()] == ["step-000007.png"]
    with Image.open(path) as again:
        assert again.size == (5, 3)


def points(out: Path) -> dict[str, dict[int, float]]:
    """All curves as TensorBoard shows them: step -> value."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read: Any = EventAccumulator(str(out / FOLDER))
    read.Reload()
    return {
        name: {each.step: each.value for each in read.Scalars(name)}
        for name in read.Tags()["scalars"]
    }


@with_tensorboard
def test_a_resumed_curve_goes_on_and_takes_back_what_was_lost(tmp_path: Path) -> None:
    first = Curves(tmp_path, 0)
    for step in (1, 2, 3):
        first.numbers(step, {"train/loss": step / 10})
    first.close()
    # Its checkpoint was that of step 2.
    second = Curves(tmp_path, 2)
    second.numbers(4, {"train/loss": 9.0})
    second.close()
    assert points(tmp_path)["train/loss"] == pytest.approx({1: 0.1, 2: 0.2, 4: 9.0})


@with_tensorboard
def test_a_run_leaves_pictures_and_the_curves_of_its_log(tmp_path: Path) -> None:
    keys = ["train.tensorboard=true", "train.pictures=1", "train.steps=2", "train.validate_steps=1"]
    recipe = small_recipe(tmp_path, keys)
    run = bright_squares(tmp_path / "run")
    train(recipe, run)
    log = [json.loads(line) for line in (run / LOG).read_text().splitlines()]
    validations = {line["step"]: line for line in log if "validation" in line}
    assert sorted(each.name for each in (run / PICTURES).iterdir()) == [
        "step-000001.png", "step-000002.png",
    ]  # fmt: skip
    drawn = points(run)
    assert drawn["validation/score"] == pytest.approx(
        {step: line["score"] for step, line in validations.items()}
    )
    assert set(drawn) >= {"f1/scenes nadir", "iou/scenes very-off-nadir", "train/learning rate"}
    (told,) = (line for line in log if "loss" in line)
    assert drawn["train/loss"][2] == pytest.approx(told["loss"])
    assert drawn["train/waiting"][2] == pytest.approx(told["waiting"], abs=1e-4)
    assert 0 < told["waiting"] <= 1  # at least the first batch was waited for


def test_without_tensorboard_one_sentence_comes_before_the_chips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves.importlib.util, "find_spec", lambda name: None)
    path, out = tmp_path / "r.toml", tmp_path / "run"
    path.write_text(SMALL)
    options = [str(path), "--out", str(out), "--set", "train.tensorboard=true"]
    with pytest.raises(DependencyError, match="-m pip install tensorboard"):
        CliRunner().invoke(train_command, options, catch_exceptions=False)
    assert not (out / "chips").exists()


def test_fewer_pictures_than_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pictures must be 0 or more"):
        small_recipe(tmp_path, ["train.pictures=-1"])
