"""How tilted a picture is: categories, sides, and what the network hears."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snet4core.errors import LookError
from snet4core.look.look import CATEGORIES, STEEPEST_DEG, Look, category_of

angles = st.floats(0, STEEPEST_DEG)
turns = st.floats(0, 359.999)


@given(angles)
def test_the_category_is_that_of_the_whole_degrees(off_nadir_deg: float) -> None:
    assert category_of(off_nadir_deg) == category_of(math.floor(off_nadir_deg))
    assert Look(off_nadir_deg, None, "option").category in CATEGORIES


@given(angles, angles)
def test_a_steeper_look_never_has_a_lower_category(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert CATEGORIES.index(category_of(low)) <= CATEGORIES.index(category_of(high))


@pytest.mark.parametrize(
    ("off_nadir_deg", "category"),
    [(0, "nadir"), (25.4, "nadir"), (25.999, "nadir"), (26, "off-nadir"), (39.6, "off-nadir"),
     (40.99, "off-nadir"), (41, "very-off-nadir"), (54, "very-off-nadir")],
)  # fmt: skip
def test_categories_of_the_challenge(off_nadir_deg: float, category: str) -> None:
    assert category_of(off_nadir_deg) == category


@given(angles, turns)
def test_features_lie_on_two_circles(off_nadir_deg: float, azimuth_deg: float) -> None:
    tilt_sin, tilt_cos, turn_sin, turn_cos, known = Look(
        off_nadir_deg, azimuth_deg, "option"
    ).features()
    assert math.hypot(tilt_sin, tilt_cos) == pytest.approx(1)
    assert math.hypot(turn_sin, turn_cos) == pytest.approx(1)
    assert known == 1


def test_an_unknown_azimuth_is_a_state_of_its_own() -> None:
    look = Look(30.0, None, "name")
    assert look.features()[2:] == (0.0, 0.0, 0.0)
    assert look.side is None


@pytest.mark.parametrize(
    ("azimuth_deg", "side"), [(0, "north"), (89, "north"), (118.4, "south"), (182.8, "south"),
                              (270.1, "north"), (359, "north")],
)  # fmt: skip
def test_the_side_is_where_the_satellite_looks(azimuth_deg: float, side: str) -> None:
    assert Look(30, azimuth_deg, "option").side == side


@pytest.mark.parametrize("off_nadir_deg", [-1, 80.1, 99, math.nan, math.inf])
def test_impossible_angles_are_refused_with_the_remedy(off_nadir_deg: float) -> None:
    with pytest.raises(LookError, match="--off-nadir"):
        Look(off_nadir_deg, None, "option")


@pytest.mark.parametrize("azimuth_deg", [-0.1, 360, 720, math.nan])
def test_impossible_azimuths_are_refused_with_the_remedy(azimuth_deg: float) -> None:
    with pytest.raises(LookError, match="--azimuth"):
        Look(20, azimuth_deg, "option")
