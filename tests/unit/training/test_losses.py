"""The losses by hand and against their definitions, and what each pixel weighs."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import shapely
import torch

from snet4_training.chips.weighing import NARROW_PX, SMALL_PX, buildings, by_gap, by_size, weights
from snet4_training.loop.losses import cross_entropy, focal_loss, look_loss, loss, lovasz_loss
from snet4_training.pictures.targets import targets
from snet4_training.recipe import LOSSES, TrainRecipe
from snet4core.errors import UsageError
from snet4core.look.look import Look


def random_maps(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, targets of 0 and 1, and validity, of two chips with two maps each."""
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 2, 8, 8, generator=rng)
    return logits, (torch.rand(2, 2, 8, 8, generator=rng) > 0.6).float(), torch.ones(2, 8, 8)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_small_where_all_is_right_and_large_where_all_is_wrong(name: str) -> None:
    _, true, valid = random_maps()
    recipe = TrainRecipe(loss=name)
    right = (true * 2 - 1) * 12
    assert float(loss(right, true, valid, recipe)) < 0.01
    assert float(loss(-right, true, valid, recipe)) > 1


@pytest.mark.parametrize("name", LOSSES)
def test_pixels_of_weight_zero_do_not_count_in_any_loss(name: str) -> None:
    logits, true, valid = random_maps()
    valid[0, :4] = 0
    other = torch.where(valid[:, None] > 0, logits, torch.full_like(logits, 30.0))
    recipe = TrainRecipe(loss=name)
    assert torch.allclose(loss(logits, true, valid, recipe), loss(other, true, valid, recipe))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_goes_down_by_its_own_gradient(name: str) -> None:
    logits, true, valid = random_maps()
    logits.requires_grad_()
    recipe = TrainRecipe(loss=name)
    before = loss(logits, true, valid, recipe)
    (slope,) = torch.autograd.grad(before, logits)
    assert torch.isfinite(slope).all()
    after = loss(logits.detach() - 0.1 * slope, true, valid, recipe)
    assert float(after) < float(before.detach())


@pytest.mark.parametrize("name", LOSSES)
def test_a_chip_without_any_valid_pixel_gives_a_finite_loss(name: str) -> None:
    logits, true, valid = random_maps()
    assert math.isfinite(float(loss(logits, true, valid * 0, TrainRecipe(loss=name))))


def test_focal_loss_by_hand() -> None:
    """p = 0.8 of a building: (1 - 0.8)^2 x -ln 0.8."""
    logit = torch.tensor([[[math.log(4.0)]]])
    one = torch.ones_like(logit)
    assert float(focal_loss(logit, one, one, 2.0)) == pytest.approx(0.04 * -math.log(0.8), rel=1e-5)
    assert float(focal_loss(logit, one, one, 0.0)) == pytest.approx(-math.log(0.8), rel=1e-5)


def test_focal_loss_with_gamma_zero_is_cross_entropy() -> None:
    logits, true, valid = random_maps()
    assert torch.allclose(
        focal_loss(logits[:, 0], true[:, 0], valid, 0.0),
        cross_entropy(logits[:, 0], true[:, 0], valid),
    )


def test_lovasz_at_whole_answers_is_the_jaccard_loss() -> None:
    """At margins of exactly 0 or 2 the extension is 2 x (1 - IoU), for all 2^4 answers."""
    true = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    for said in itertools.product((-1.0, 1.0), repeat=4):
        logits = torch.tensor([[said]])
        building = logits > 0
        together = float((building & (true > 0)).sum())
        either = float((building | (true > 0)).sum())
        value = float(lovasz_loss(logits, true, torch.ones(1, 1, 4)))
        assert value == pytest.approx(2 * (1 - together / either), abs=1e-6)


def test_doubled_weight_counts_twice_in_cross_entropy() -> None:
    logits, true, _ = random_maps()
    weight = torch.ones(2, 8, 8)
    weight[0] = 2
    per_chip = [
        cross_entropy(logits[i : i + 1, 0], true[i : i + 1, 0], torch.ones(1, 8, 8)) for i in (0, 1)
    ]
    expected = (2 * per_chip[0] + per_chip[1]) / 3
    assert torch.allclose(cross_entropy(logits[:, 0], true[:, 0], weight), expected)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"loss": "hinge"}, "bce\\+dice, focal"),
        ({"loss": "lovasz", "gap_weight": 1.0}, "do nothing to lovasz"),
        ({"size_weight": -1.0}, "0 or more"),
    ],
)
def test_losses_that_make_no_sense_are_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainRecipe(**keys)  # type: ignore[arg-type]  # on purpose


HOUSES = np.array([shapely.box(4, 4, 14, 14), shapely.box(20, 4, 50, 34)])


def test_burned_targets_give_back_their_buildings() -> None:
    walls = np.array([shapely.box(5, 5, 20, 20), shapely.box(20, 5, 35, 20)])
    found_HW = buildings(targets(walls, (30, 40)))
    assert found_HW.max() == 2
    assert (found_HW == found_HW[10, 10]).sum() == pytest.approx(225, abs=15)
    assert (found_HW > 0).sum() == 450


def test_a_building_too_thin_for_an_inside_is_a_building_still() -> None:
    found_HW = buildings(targets(np.array([shapely.box(5, 5, 7, 20)]), (30, 30)))
    assert (found_HW == 1).sum() == 30


def test_small_buildings_weigh_more_by_the_root_of_their_area() -> None:
    """100 px: the whole extra weight; 900 px: the root of 150 / 900."""
    weight_HW = by_size(buildings(targets(HOUSES, (40, 60))))
    assert weight_HW[9, 9] == pytest.approx(1.0)
    assert weight_HW[20, 30] == pytest.approx(math.sqrt(SMALL_PX / 900))
    assert weight_HW[38, 2] == 0


def test_a_gap_weighs_by_its_width() -> None:
    """Six pixels between two parallel walls, exp(-36 / 50) all across; nothing far away."""
    weight_HW = by_gap(buildings(targets(HOUSES, (40, 60))))
    assert weight_HW[9, 14:20] == pytest.approx(math.exp(-36 / (2 * NARROW_PX**2)), abs=0.01)
    assert weight_HW[38, 59] < 0.01


def test_one_building_alone_has_no_gap() -> None:
    assert not by_gap(buildings(targets(HOUSES[:1], (40, 60)))).any()
    assert not by_gap(buildings(targets(HOUSES[:0], (40, 60)))).any()


def test_without_wishes_every_pixel_weighs_one() -> None:
    burned = targets(HOUSES, (40, 60))
    assert (weights(burned, 0.0, 0.0) == 1).all()
    both_HW = weights(burned, 2.0, 3.0)
    assert both_HW.min() >= 1
    assert both_HW.max() <= 6
    assert both_HW[9, 16] == pytest.approx(1 + 3 * math.exp(-36 / 50), abs=0.05)


def test_a_right_guess_of_the_look_costs_nothing_and_an_unknown_azimuth_is_not_asked() -> None:
    looks = (Look(30.0, 90.0, "table"), Look(30.0, None, "table"))
    right = torch.tensor([[0.5, 0.5, 0.0], [0.5, 9.0, 9.0]])
    assert float(look_loss(right, looks)) == pytest.approx(0.0, abs=1e-6)
    turned = torch.tensor([[0.5, -0.5, 0.0], [0.5, 0.0, 0.0]])
    assert float(look_loss(turned, looks)) > 0.1
