"""Mirrored and turned chips: a roof still lies where the told azimuth says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from helpers.training import QUIET
from snet4_training.chips.augment import augmented
from snet4_training.chips.turning import faced, mirrored_east_west, mirrored_north_south, turned
from snet4_training.pictures.picture import Chip
from snet4_training.recipe import AugmentRecipe
from snet4core.look.look import Look

SIDE_PX, LEAN_PX = 96, 14.0

CHANGES: dict[str, Callable[[Chip], Chip]] = {
    "east and west": mirrored_east_west,
    "north and south": mirrored_north_south,
    "a quarter": lambda chip: turned(chip, 1),
    "two quarters": lambda chip: turned(chip, 2),
    "three quarters": lambda chip: turned(chip, 3),
}


def disc(col: float, row: float, radius_px: float = 7.0) -> NDArray[np.uint8]:
    """A round house: 255 inside."""
    rows, cols = np.indices((SIDE_PX, SIDE_PX)) + 0.5
    return np.where(np.hypot(cols - col, rows - row) < radius_px, 255, 0).astype(np.uint8)


def leaning(azimuth_deg: float, bands: int = 4) -> Chip:
    """A bright roof that appears `LEAN_PX` from its footprint, towards the azimuth."""
    turn = math.radians(azimuth_deg)
    ground_HW = disc(52.0, 41.0)
    roof_HW = disc(52.0 + LEAN_PX * math.sin(turn), 41.0 - LEAN_PX * math.cos(turn))
    return Chip(
        counts_BHW=np.stack([60 + roof_HW // 2] * bands),
        targets_MHW=np.stack([ground_HW, ground_HW, roof_HW, roof_HW, ground_HW]),
        valid_HW=np.ones((SIDE_PX, SIDE_PX), dtype=np.uint8),
        known=(True,) * bands,
        look=Look(35.0, azimuth_deg, "table"),
        gsd_m=0.5,
    )


def centre(weights_HW: NDArray[np.generic]) -> NDArray[np.float64]:
    """(column, row) of the centre of mass."""
    rows, cols = np.indices(weights_HW.shape) + 0.5
    shares_HW = weights_HW / weights_HW.sum()
    return np.array([(cols * shares_HW).sum(), (rows * shares_HW).sum()])


def seen_azimuth_deg(
    image_HW: NDArray[np.generic], footprint_HW: NDArray[np.generic]
) -> tuple[float, float]:
    """Direction and length in pixels from the footprint to the roof."""
    right, down = centre(image_HW - image_HW.min()) - centre(footprint_HW)
    return math.degrees(math.atan2(right, -down)) % 360, math.hypot(right, down)


def apart_deg(one_deg: float, other_deg: float) -> float:
    """0..180."""
    return abs((one_deg - other_deg + 180) % 360 - 180)


@pytest.mark.parametrize("change", CHANGES)
@settings(deadline=None, max_examples=20)
@given(azimuth_deg=st.floats(0, 359.9), bands=st.sampled_from([1, 3, 4, 8]))
def test_the_roof_lies_where_the_azimuth_says(change: str, azimuth_deg: float, bands: int) -> None:
    chip = CHANGES[change](leaning(azimuth_deg, bands))
    told_deg = chip.look.azimuth_deg
    assert told_deg is not None
    assert chip.counts_BHW.shape == (bands, SIDE_PX, SIDE_PX)
    for band_HW in chip.counts_BHW:
        seen_deg, length_px = seen_azimuth_deg(band_HW, chip.targets_MHW[0])
        assert apart_deg(seen_deg, told_deg) < 1.5
        assert length_px == pytest.approx(LEAN_PX, abs=0.3)


@pytest.mark.parametrize(
    ("change", "azimuth_deg", "wanted_deg"),
    [
        ("east and west", 30.0, 330.0),
        ("north and south", 30.0, 150.0),
        ("a quarter", 30.0, 120.0),
        ("three quarters", 30.0, 300.0),
        ("east and west", 0.0, 0.0),
    ],
)
def test_azimuths_by_hand(change: str, azimuth_deg: float, wanted_deg: float) -> None:
    assert CHANGES[change](leaning(azimuth_deg)).look.azimuth_deg == wanted_deg


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.floats(0, 359.9))
def test_whatever_is_drawn_in_training_the_roof_fits_the_told_azimuth(
    seed: int, azimuth_deg: float
) -> None:
    recipe = replace(QUIET, flips=0.7, quarter_turns=0.7)
    one = augmented(
        leaning(azimuth_deg), 94, ("blue", "green", "red", "nir"), recipe,
        np.random.default_rng(seed),
    )  # fmt: skip
    assert one.told.azimuth_deg is not None
    seen_deg, _ = seen_azimuth_deg(one.image_BHW[0].astype(np.float64), one.targets_MHW[0])
    assert apart_deg(seen_deg, one.told.azimuth_deg) < 1.5
    assert one.true == one.told


def test_the_head_follows_the_side_that_is_seen_after_the_change() -> None:
    assert leaning(10.0).look.side == "north"
    assert mirrored_north_south(leaning(10.0)).look.side == "south"


def test_all_eight_faces_come_up_and_no_ninth() -> None:
    rng = np.random.default_rng(0)
    chip = replace(leaning(20.0), valid_HW=rng.integers(0, 2, (SIDE_PX, SIDE_PX), dtype=np.uint8))
    always = replace(QUIET, flips=0.5, quarter_turns=0.75)
    faces = {
        (round(one.look.azimuth_deg or 0.0, 6), one.valid_HW.tobytes())
        for one in (faced(chip, always, rng) for _ in range(200))
    }
    assert len(faces) == 8


def test_an_unknown_azimuth_stays_unknown() -> None:
    chip = replace(leaning(0.0), look=Look(12.0, None, "table"))
    for change in CHANGES.values():
        assert change(chip).look == chip.look


def test_a_recipe_without_them_draws_nothing() -> None:
    """Or the batches of every recipe that there is would change."""
    rng, untouched = np.random.default_rng(3), np.random.default_rng(3)
    chip = leaning(77.0)
    assert faced(chip, AugmentRecipe(), rng) is chip
    assert rng.random() == untouched.random()
