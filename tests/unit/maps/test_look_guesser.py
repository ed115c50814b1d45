"""A look guessed from the picture: only where nothing else knows it, once, and said aloud."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from snet4core.errors import LookError, ModelError
from snet4core.maps import look_guesser, networks
from snet4core.maps.look_guesser import ENOUGH, LookGuesser, combined_sighting, sample, windows
from snet4core.model.card import Architecture, Card
from snet4core.model.header import Header
from snet4core.parts.plan import Choices, plan_for
from snet4core.scene.scene import open_scene
from snet4core.scene.working_scale import WorkingScale

CARD = Card("guesses", Architecture(estimates_look=True))
HEADER = Header(Path("guesses.safetensors"), CARD, "a" * 64)
Picture = Callable[..., Path]


def estimate(off_nadir_deg: float, azimuth_deg: float, share: float = 1.0) -> list[float]:
    """What a network says that is sure of the angle, and of the azimuth to a share."""
    sine, turn = math.sin(math.radians(off_nadir_deg)), math.radians(azimuth_deg)
    return [sine, share * sine * math.sin(turn), share * sine * math.cos(turn)]


def said(*estimates: list[float], up_deg: float = 0.0) -> tuple[float | None, float | None]:
    found = combined_sighting(np.array(estimates, np.float32), up_deg, CARD)
    assert found.source == "estimated"
    return found.off_nadir_deg, found.azimuth_deg


# What the windows' guesses come to.


@given(st.floats(10.6, 54.4), st.floats(0, 359.9), st.floats(0, 359.9))
def test_a_clear_guess_is_the_look_in_whole_degrees(
    off_nadir_deg: float, azimuth_deg: float, up_deg: float
) -> None:
    off, azimuth = said(estimate(off_nadir_deg, azimuth_deg - up_deg), up_deg=up_deg)
    assert off is not None
    assert azimuth is not None
    assert off == round(off)
    assert abs(off - off_nadir_deg) <= 0.51
    assert 0 <= azimuth < 360
    assert abs((azimuth - azimuth_deg + 180) % 360 - 180) <= 0.51


def test_one_odd_window_of_five_has_no_say() -> None:
    assert said(*[estimate(30, 40)] * 4, estimate(54, 220)) == (30, 40)


def test_an_unclear_azimuth_is_unknown() -> None:
    assert said(estimate(30, 40, share=0.4)) == (30, None)
    assert said(estimate(30, 40, share=0.6)) == (30, 40)
    assert said(estimate(9, 40)) == (9, None), "straight down, nothing leans anywhere"


def test_where_roofs_lean_is_seen_of_pictures_that_look_hardly_tilted() -> None:
    """For sources that know the angle and not the azimuth."""

    def lean(off_nadir_deg: float, share: float = 1.0) -> float | None:
        estimates_B3 = np.array([estimate(off_nadir_deg, 40, share=share)], np.float32)
        return combined_sighting(estimates_B3, 0.0, CARD).lean_deg

    assert [lean(30), lean(9), lean(4)] == [40] * 3
    assert lean(2) is None
    assert lean(9, share=0.4) is None


def test_a_guess_stays_in_the_range_of_the_training() -> None:
    assert said([1.7, 0.0, 1.7]) == (55, 0)
    assert said([-0.2, 0.1, 0.1]) == (0, None)


def test_no_numbers_are_no_guess() -> None:
    with pytest.raises(ModelError, match="NaN"):
        said([math.nan, 0.0, 0.0])


# Where the network looks.


@given(st.integers(1, 6000), st.integers(1, 6000), st.sampled_from([8, 32, 64]))
def test_windows_lie_inside_and_are_each_there_once(rows: int, cols: int, stride_px: int) -> None:
    found = list(windows((rows, cols), stride_px))
    assert len(set(found)) == len(found) == -(-rows // 512) * -(-cols // 512)
    for window in found:
        assert window.height % stride_px == window.width % stride_px == 0
        assert 0 <= window.row <= max(0, rows - window.height)
        assert 0 <= window.col <= max(0, cols - window.width)


def test_a_handful_of_windows_lies_all_over_a_large_scene() -> None:
    few = list(windows((20_000, 20_000), 32))[:ENOUGH]
    assert max(w.row for w in few) - min(w.row for w in few) > 10_000
    assert max(w.col for w in few) - min(w.col for w in few) > 10_000


def test_windows_without_ground_are_passed_over(picture: Picture) -> None:
    counts_BHW = np.zeros((4, 600, 2400), np.uint16)
    counts_BHW[:, :, 1900:] = np.random.default_rng(1).integers(200, 900, (4, 600, 500))
    images = sample(open_scene(picture(counts_BHW)), WorkingScale(), 32)
    assert images is not None
    assert images.shape == (2, 4, 512, 512)
    empty = open_scene(picture(np.zeros((4, 64, 64), np.uint16), "empty.tif", nodata=0))
    assert sample(empty, WorkingScale(), 32) is None
    corner = np.zeros((4, 512, 512), np.uint16)
    corner[:, :50, :50] = 500
    images = sample(open_scene(picture(corner, "corner.tif", nodata=0)), WorkingScale(), 32)
    assert images is not None, "little ground is better than none"


# Who is asked, and when.


class Sure:
    """A network that always guesses the same; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.looks = 31.0

    def look_estimates(self, images_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        self.asked += 1
        return np.array([estimate(self.looks, 40)] * len(images_BCHW), np.float32)


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> Sure:
    network = Sure()
    monkeypatch.setattr(look_guesser, "resolved_runtime", lambda *_: None)
    monkeypatch.setattr(networks, "network_for", lambda _: network)
    return network


@pytest.fixture
def scene(picture: Picture) -> Path:
    return picture(np.full((4, 200, 300), 500, np.uint16), "town.tif")


def test_a_scene_without_a_look_gets_the_guess_and_a_warning(sure: Sure, scene: Path) -> None:
    known = replace(CARD, look_error_deg=(3.2, 14.0))
    header = replace(HEADER, card=known)
    plan = plan_for(scene, header, Choices(), LookGuesser(header))
    look = plan.look
    north_is_up_deg = round(40 + plan.grid.up_deg)  # what the network sees is the picture's up
    assert (look.off_nadir_deg, look.azimuth_deg) == (31, north_is_up_deg)
    assert look.source == "estimated"
    (warning,) = (each for each in plan.warnings if "--off-nadir" in each)
    for part in ("town.tif", "guesses", "31 degrees off nadir", "azimuth 41", "3.2", "14"):
        assert part in warning
    assert plan.origin.look == look
    assert plan.settings == known.shapes["off-nadir"]


def test_a_scene_is_guessed_once(sure: Sure, scene: Path) -> None:
    guesser = LookGuesser(HEADER)
    plans = [plan_for(scene, HEADER, Choices(), guesser) for _ in range(3)]
    assert sure.asked == 1
    assert plans[0].source == plans[1].source == plans[2].source


def test_another_picture_under_the_same_name_is_guessed_anew(sure: Sure, scene: Path) -> None:
    guesser = LookGuesser(HEADER)
    plan_for(scene, HEADER, Choices(), guesser)
    sure.looks = 12.0
    os.utime(scene, ns=(1, 1))  # written at another time; size and grid are the same
    assert plan_for(scene, HEADER, Choices(), guesser).look.off_nadir_deg == 12


def test_the_network_is_let_go_after_a_large_scene_alone(
    sure: Sure, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guesser = LookGuesser(HEADER)
    plan_for(scene, HEADER, Choices(), guesser)
    assert guesser._network is sure, "the next scene needs it"
    monkeypatch.setattr(look_guesser, "LARGE_PX", 200 * 300)
    large = LookGuesser(HEADER)
    plans = [plan_for(scene, HEADER, Choices(), large) for _ in range(2)]
    assert large._network is None, "the run needs the memory"
    assert plans[0].look == plans[1].look
    assert sure.asked == 2


def test_who_knows_the_look_is_believed(sure: Sure, scene: Path, picture: Picture) -> None:
    guesser = LookGuesser(HEADER)
    named = picture(np.full((4, 64, 64), 500, np.uint16), "nadir29_x.tif")
    known = Choices(off_nadir_deg=29.0, azimuth_deg=80.0)
    for path, choices in ((named, known), (scene, known), (scene, Choices(off_nadir_deg=12.0))):
        look = plan_for(path, HEADER, choices, guesser).source.look
        assert look is not None
        assert look.source == "option"
    assert sure.asked == 0


def test_an_azimuth_that_nobody_knows_is_guessed_where_the_picture_is_tilted(
    sure: Sure, scene: Path, picture: Picture
) -> None:
    named = picture(np.full((4, 64, 64), 500, np.uint16), "nadir29_x.tif")
    plan = plan_for(named, HEADER, Choices(), LookGuesser(HEADER))
    assert (plan.look.off_nadir_deg, plan.look.azimuth_deg) == (29, round(40 + plan.grid.up_deg))
    assert plan.look.source == "name+estimated"
    [warning] = [each for each in plan.warnings if "--azimuth" in each]
    assert "does not tell in which direction it leans" in warning
    sure.looks = 6.0
    flat = plan_for(named, HEADER, Choices(), LookGuesser(HEADER)).look
    assert (flat.off_nadir_deg, flat.azimuth_deg) == (29, plan.look.azimuth_deg)
    sure.looks = 2.0
    assert plan_for(named, HEADER, Choices(), LookGuesser(HEADER)).look.azimuth_deg is None
    sure.looks = 31.0
    unsure = Choices(off_nadir_deg=12.9)
    assert plan_for(scene, HEADER, unsure, LookGuesser(HEADER)).look.azimuth_deg is None
    assert plan_for(scene, HEADER, Choices(off_nadir_deg=29.0)).look.azimuth_deg is None


def warnings_of(scene: Path, azimuth_deg: float, off_nadir_deg: float = 31.0) -> list[str]:
    choices = Choices(off_nadir_deg=off_nadir_deg, azimuth_deg=azimuth_deg)
    plan = plan_for(scene, HEADER, choices, LookGuesser(HEADER))
    assert plan.look.azimuth_deg == azimuth_deg, "a doubt changes nothing"
    return [each for each in plan.warnings if "the other way" in each]


def test_an_azimuth_that_points_the_other_way_is_doubted(
    sure: Sure, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert warnings_of(scene, 220.0) == [], "a small scene is not worth a guess"
    assert sure.asked == 0
    monkeypatch.setattr("snet4core.look.sources.DOUBTED_FROM_PX", 1000)
    [warning] = warnings_of(scene, 220.0)
    assert "--azimuth 40" in warning
    assert warnings_of(scene, 80.0) == []
    assert warnings_of(scene, 220.0, off_nadir_deg=12.0) == []
    monkeypatch.setattr("snet4core.look.sources.SURE", 1.01)
    assert warnings_of(scene, 220.0) == [], "who is unsure does not doubt"


def test_an_azimuth_that_is_known_stays(sure: Sure, scene: Path) -> None:
    look = plan_for(scene, HEADER, Choices(azimuth_deg=200.0), LookGuesser(HEADER)).source.look
    assert look is not None
    assert (look.off_nadir_deg, look.azimuth_deg, look.source) == (31, 200, "estimated")


def test_without_a_guess_the_angle_is_asked_for(sure: Sure, scene: Path, picture: Picture) -> None:
    mute = replace(HEADER, card=replace(CARD, architecture=Architecture()))
    empty = picture(np.zeros((4, 64, 64), np.uint16), "empty.tif", nodata=0)
    cases: list[tuple[Path, Header, Any]] = [
        (scene, HEADER, None),
        (scene, mute, LookGuesser(mute)),
        (empty, HEADER, LookGuesser(HEADER)),
    ]
    for path, header, guesser in cases:
        with pytest.raises(LookError, match="--off-nadir"):
            plan_for(path, header, Choices(), guesser)
    assert sure.asked == 0
