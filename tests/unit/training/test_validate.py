"""Validation counts as the challenge does: maps, polygons, matches, as in a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy import ndimage

from helpers.training import (
    APART,
    WALL_TO_WALL,
    Oracle,
    boxes,
    bright_squares,
    chip_of,
    small_recipe,
    store_of,
)
from helpers.training import MADE_PX as SIDE_PX
from snet4_training.chips.augment import plain
from snet4_training.chips.store import ChipStore
from snet4_training.loop.loop import start, train
from snet4_training.pictures.picture import Chip
from snet4_training.recipe import Recipe
from snet4_training.validation.card import card_of
from snet4_training.validation.validate import found_in, judged, maps_of, score_of, summed, truth_of
from snet4core.errors import InputError
from snet4core.grid import Grid
from snet4core.layers.buildings import Buildings
from snet4core.look.look import CATEGORIES
from snet4core.maps import file as mapsfile
from snet4core.maps.heights import height_value_of
from snet4core.maps.maps import Maps
from snet4core.model import weights
from snet4core.model.card import FIVE_MAPS, Architecture, Card
from snet4core.parts.polygonize import polygonize
from snet4core.score import MIN_AREA_PX, Tally, match, score
from snet4core.settings import UNCALIBRATED, Calibration, ShapeSettings
from snet4core.windows import Window


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return small_recipe(tmp_path, ['model.bands=["blue", "green"]'])


def test_who_knows_the_answer_scores_one(recipe: Recipe, tmp_path: Path) -> None:
    store = store_of(tmp_path / "s", [chip_of(APART), chip_of(WALL_TO_WALL, 45.0)])
    scores = summed(judged(Oracle(), card_of(recipe), recipe, store))  # type: ignore[arg-type]
    assert list(scores) == ["made/nadir", "made/very-off-nadir"]
    for name, truths in (("made/nadir", 3), ("made/very-off-nadir", 2)):
        assert scores[name]["truths"] == truths
        assert scores[name]["f1"] == scores[name]["precision"] == scores[name]["recall"] == 1.0
        assert scores[name]["iou"] > 0.97


class FivefoldOracle(Oracle):
    """It knows the footprints; the roofs that it names are the borders."""

    architecture = Architecture(bands=("blue", "green"), maps=FIVE_MAPS)

    def __call__(self, images: torch.Tensor, looks: torch.Tensor, head: str) -> torch.Tensor:
        pair = super().__call__(images, looks, head)
        return torch.cat([pair, pair.flip(1), pair[:, :1]], dim=1)


def test_tilted_pictures_labelled_with_footprints_are_judged_by_footprints(
    recipe: Recipe, tmp_path: Path
) -> None:
    tilted = replace(chip_of(APART, 33.0), roofs_known=False)
    store = store_of(tmp_path / "s", [tilted, chip_of(APART)])
    oracle: Any = FivefoldOracle()  # no nn.Module, but called like one
    scores = summed(judged(oracle, card_of(recipe), recipe, store))
    assert scores["made/off-nadir"]["f1"] == 1.0
    assert scores["made/nadir"]["f1"] < 1.0, "there the roofs are known"


class SixMetresOracle(FivefoldOracle):
    """Every pixel is six metres high."""

    def __call__(self, images: torch.Tensor, looks: torch.Tensor, head: str) -> torch.Tensor:
        maps = super().__call__(images, looks, head)
        maps[:, -1] = torch.logit(torch.tensor(float(height_value_of(np.array(6.0))) / 255))
        return maps


def test_heights_are_judged_where_they_are_known(recipe: Recipe, tmp_path: Path) -> None:
    high, unknown = chip_of(APART), chip_of(APART, 33.0)
    roof_HW = high.targets_MHW[FIVE_MAPS.index("roof")] > 0
    high.targets_MHW[FIVE_MAPS.index("height"), roof_HW] = height_value_of(np.array(8.0))
    store = store_of(tmp_path / "s", [high, unknown])
    oracle: Any = SixMetresOracle()
    scores = summed(judged(oracle, card_of(recipe), recipe, store))
    assert scores["made/nadir"]["height_error"] == pytest.approx(0.25, abs=0.01)
    assert "height_error" not in scores["made/off-nadir"]
    assert score_of(scores, heights=True) == 1 - scores["made/nadir"]["height_error"]
    unknown_alone = {"made/off-nadir": scores["made/off-nadir"]}
    assert score_of(unknown_alone, heights=True) is None


def random_maps(seed: int) -> Maps:
    """Blurred noise: houses of all shapes, holes, specks, attached ones."""
    rng = np.random.default_rng(seed)
    soft_2HW = ndimage.gaussian_filter(rng.standard_normal((2, SIDE_PX, SIDE_PX)), (0, 3, 3))
    maps_2HW = np.clip(128 + 700 * soft_2HW, 0, 255).astype(np.uint8)
    valid_HW = np.ones((SIDE_PX, SIDE_PX), bool)
    valid_HW[:, :9] = False
    return Maps(Window(0, 0, SIDE_PX, SIDE_PX), *maps_2HW, valid_HW)


@pytest.mark.parametrize("seed", range(4))
def test_a_chips_footprints_and_score_are_those_of_polygonize_and_score(
    tmp_path: Path, seed: int
) -> None:
    """The long way round: maps to a file, `snet4 polygonize`, `snet4 score`."""
    maps, settings = random_maps(seed), ShapeSettings(threshold=0.55)
    grid = Grid(maps.window.shape, Affine(0.5, 0, 5e5, 0, -0.5, 4e6), CRS.from_epsg(32616))
    origin = mapsfile.MapsOrigin(scene="chip", shapes=settings)
    list(mapsfile.saved([maps], tmp_path / "m.tif", grid, origin, lambda each: [each]))
    tables = list(polygonize(tmp_path / "m.tif").footprints)
    wanted = [polygon for table in tables for polygon in table.polygons_px_N]
    confidence = [float(value) for table in tables for value in table.confidence_N]
    found = found_in(maps, grid.gsd_m, settings)
    assert len(wanted) > 4
    assert {polygon.wkb for polygon in wanted} == {polygon.wkb for polygon in found}
    truth = list(np.array(WALL_TO_WALL + APART, dtype=object))
    image = "Atlanta_nadir8_catid_1030_1_2"
    official = score(
        Buildings.of([image] * len(wanted), wanted, confidence),
        Buildings.of([image] * len(truth), truth),
    )
    assert match(found, np.array(truth, dtype=object), min_area=MIN_AREA_PX) == official.total


def test_the_surest_choose_first() -> None:
    maps = random_maps(0)
    strong_HW = np.zeros_like(maps.footprint_HW)
    strong_HW[60:80, 60:80], strong_HW[20:40, 20:40] = 250, 140
    only = replace(maps, footprint_HW=strong_HW, border_HW=np.zeros_like(strong_HW))
    first, second = found_in(only, 0.5, ShapeSettings())
    assert first.centroid.x > second.centroid.x


def counts(chip: Chip, known: bool = True) -> Tally:
    """How the oracle scores on one chip."""
    oracle: Any = Oracle()  # no nn.Module, but called like one
    maps, _ = maps_of(oracle, plain(chip, SIDE_PX), roofs=False, bf16=False)
    truth = truth_of(chip, chip.polygons if known else None)
    found = found_in(maps, chip.gsd_m, ShapeSettings(min_area_m2=0.0))
    return match(found, truth, min_area=MIN_AREA_PX)


def test_specks_take_part_neither_as_truth_nor_as_proposal() -> None:
    speck = boxes((80, 80, 84, 84))
    assert counts(chip_of(APART + speck)) == Tally(3, 0, 0)
    twenty_one = boxes((80, 80, 87, 83))
    assert counts(chip_of(APART + twenty_one)).tp + counts(chip_of(APART + twenty_one)).fn == 4


def test_buildings_end_at_the_chips_edge_and_where_data_end() -> None:
    """Two thirds of a house beyond the edge would make every answer wrong."""
    chip = chip_of(boxes((-40, 10, 20, 40), (50, 50, 90, 80)))
    dark_HW = chip.valid_HW.copy()
    dark_HW[:, 62:] = 0
    chip = replace(chip, valid_HW=dark_HW)
    truth = truth_of(chip, chip.polygons)
    assert sorted(shapely.area(truth).tolist()) == [12 * 30, 20 * 30]
    assert counts(chip) == Tally(2, 0, 0)


def test_a_house_in_the_dark_is_nobodys_fault() -> None:
    chip = chip_of(APART)
    chip = replace(chip, valid_HW=np.zeros_like(chip.valid_HW))
    assert counts(chip) == counts(chip, known=False) == Tally(0, 0, 0)


def test_stores_without_outlines_still_tell_attached_buildings_apart(
    recipe: Recipe, tmp_path: Path
) -> None:
    store = store_of(tmp_path / "s", [chip_of(APART), chip_of(WALL_TO_WALL, 45.0)])
    (store / "validation" / "made" / "00000.outlines.json").unlink()
    assert ChipStore(store / "validation" / "made").outlines(0) is None
    scores = summed(judged(Oracle(), card_of(recipe), recipe, store))  # type: ignore[arg-type]
    assert [each["truths"] for each in scores.values()] == [3, 2]
    assert [each["f1"] for each in scores.values()] == [1.0, 1.0]


def test_outlines_come_back_as_they_were_written(tmp_path: Path) -> None:
    store = ChipStore(tmp_path)
    chips = [chip_of(APART), chip_of([]), chip_of(WALL_TO_WALL)]
    store.write(3, chips)
    back = store.outlines(3)
    assert back is not None
    for polygons, chip in zip(back, chips, strict=True):
        assert chip.polygons is not None
        assert shapely.equals_exact(polygons, chip.polygons).all()
    (tmp_path / "00003.outlines.json").write_text('[["00"]]')
    with pytest.raises(InputError, match=r"00003\.outlines\.json"):
        store.outlines(3)


@pytest.mark.parametrize(("drop_nir", "hidden"), [(0.5, 1), (0.0, 0)])
def test_infrared_is_hidden_by_name_and_only_from_who_was_trained_for_it(
    tmp_path: Path, drop_nir: float, hidden: int
) -> None:
    bands = 'model.bands=["nir", "red"]'
    recipe = small_recipe(tmp_path, [bands, f"augment.drop_nir={drop_nir}"])
    seen: list[NDArray[np.float32]] = []

    class Watches(Oracle):
        def __call__(self, images: torch.Tensor, looks: torch.Tensor, head: str) -> torch.Tensor:
            seen.append(images[0].numpy().copy())
            return super().__call__(images, looks, head)

    store = store_of(tmp_path / "s", [chip_of(APART), chip_of(APART)])
    list(judged(Watches(), card_of(recipe), recipe, store))  # type: ignore[arg-type]
    assert seen[0][0].any()
    assert int(not seen[1][0].any()) == hidden
    assert seen[1][1].any()


def test_cut_with_the_settings_that_the_model_is_exported_with(
    recipe: Recipe, tmp_path: Path
) -> None:
    store = store_of(tmp_path / "s", [chip_of(APART)])
    card = card_of(recipe)
    large = dict.fromkeys(CATEGORIES, ShapeSettings(min_area_m2=100.0))
    (one,) = judged(Oracle(), replace(card, shapes=large), recipe, store)  # type: ignore[arg-type]
    # Of 80, 140 and 84 square metres.
    assert one.counts == Tally(1, 0, 2)


def test_a_model_that_goes_on_keeps_settings_data_and_licence_of_the_first(tmp_path: Path) -> None:
    old = small_recipe(tmp_path)
    path = tmp_path / "old.safetensors"
    shapes = dict.fromkeys(CATEGORIES, ShapeSettings(threshold=0.4))
    net = start(old, torch.device("cpu")).net
    card = Card(
        "old", old.model.architecture(), shapes=shapes, training_data="Atlanta.", licence="Theirs.",
        scales=(0.7, 1.0), confidence_knots=Calibration(((0.0, 0.0), (1.0, 0.8))),
    )  # fmt: skip
    weights.save(path, net, card)  # type: ignore[arg-type]
    recipe = small_recipe(tmp_path, [f"model.start_from={path}", "train.steps=1"])
    new = weights.load(train(recipe, bright_squares(tmp_path / "run")))[1]
    assert (new.shapes, new.scales) == (shapes, (0.7, 1.0)), "shapes were fitted at these scales"
    assert new.confidence_knots == UNCALIBRATED, "another network is as sure of other things"
    assert new.training_data.endswith("Went on from old: Atlanta.")
    assert new.licence.endswith("old: Theirs.")
