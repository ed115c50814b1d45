"""Calibration: pictures find their labels, thresholds their best, confidence its meaning."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from snet4_training.pictures.pairs import pairs
from snet4_training.scenes import SPACENET4_LOOKS
from snet4_training.scenes.spacenet_files import LAYOUTS, TileName, image_path, labels_path
from snet4_training.validation.calibration import (
    CUTS,
    MIN_AREAS_M2,
    Seen,
    best_min_confidence,
    best_settings,
    calibrate,
    fit_knots,
    mean_f1,
    right,
    tally,
)
from snet4_training.validation.look_error import Guessed, look_error
from snet4core.errors import InputError
from snet4core.footprints.footprints import Source
from snet4core.grid import Grid
from snet4core.look.look import CATEGORIES, Look
from snet4core.look.sighting import Sighting
from snet4core.maps.maps import Maps
from snet4core.model.card import Architecture, Card
from snet4core.settings import Calibration, ShapeSettings
from snet4core.windows import Window


@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_spacenet_layouts_find_their_labels(tmp_path: Path, layout: str) -> None:
    tiles = [TileName(733601, 3724689), TileName(734051, 3724689)]
    for tile in tiles:
        for collect in SPACENET4_LOOKS[::9]:
            for path in (image_path(layout, collect, tile), labels_path(layout, tile)):
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).touch()
    found = pairs(tmp_path)
    assert len(found) == 2 * 3
    for pair in found:
        assert pair.image.stem.endswith(pair.place)
        assert pair.labels.stem.endswith(pair.place)
    assert len({pair.place for pair in found}) == 2


def test_labels_beside_a_picture_are_found_by_name(tmp_path: Path) -> None:
    for name in ("a.tif", "a.geojson", "lonely.tif", "b.TIF", "b.gpkg"):
        (tmp_path / name).touch()
    assert [pair.place for pair in pairs(tmp_path)] == ["a", "b"]


def test_folder_without_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lonely.tif").touch()
    with pytest.raises(InputError, match="no picture"):
        pairs(tmp_path)


shares = st.floats(0.0, 1.0)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(shares, st.booleans()), max_size=300))
def test_knots_always_make_a_valid_card(facts: list[tuple[float, bool]]) -> None:
    fitted = fit_knots(np.array([c for c, _ in facts]), np.array([r for _, r in facts], dtype=bool))
    card = Card("x", Architecture(), confidence_knots=fitted)
    assert card.confidence_knots.knots[0] == (0.0, 0.0)
    assert all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(fitted.knots))
    assert fitted.knots[-1][0] == 1.0
    assert fitted.knots[-1][1] <= 1.0


def test_confidence_comes_to_mean_what_it_says() -> None:
    """Footprints that claim p but are right in p x p of the cases."""
    rng = np.random.default_rng(0)
    claimed = rng.uniform(0.3, 0.98, 4000)
    hit = rng.random(4000) < claimed**2
    xs, ys = zip(*fit_knots(claimed, hit).knots, strict=True)
    for p in (0.4, 0.6, 0.8, 0.95):
        assert abs(np.interp(p, xs, ys) - p**2) < 0.06


def test_right_by_hand() -> None:
    truth = np.array([shapely.box(0, 0, 10, 10), shapely.box(20, 0, 30, 10)])
    found = np.array([shapely.box(0, 0, 10, 8), shapely.box(25, 0, 35, 10)])  # IoU .8 and .33
    assert right(found, truth).tolist() == [True, False]
    assert right(found, truth[:0]).tolist() == [False, False]


def picture_of(footprint_HW: NDArray[np.uint8], truth: list[shapely.Polygon]) -> Seen:
    """What a network might have said, off nadir, without any border."""
    grid = Grid(
        footprint_HW.shape, Affine(0.5, 0, 500_000, 0, -0.5, 3_700_000), CRS.from_epsg(32616)
    )
    nothing_HW, all_HW = np.zeros_like(footprint_HW), np.ones(footprint_HW.shape, dtype=bool)
    maps = Maps(Window(0, 0, *footprint_HW.shape), footprint_HW, nothing_HW, all_HW)
    source = Source("made", grid.crs, Look(30.0, None, "option"))
    return Seen("made", "off-nadir", (maps,), grid, grid, source, np.array(truth))


def fat_picture() -> Seen:
    """Houses whose footprint map fades outwards: at 0.3 they are twice as large as at 0.6."""
    footprint_HW = np.zeros((120, 120), dtype=np.uint8)
    truth = []
    for row in (10, 50, 90):
        for col in (10, 50, 90):
            footprint_HW[row - 5 : row + 17, col - 5 : col + 17] = round(0.52 * 255)
            footprint_HW[row : row + 12, col : col + 12] = round(0.9 * 255)
            truth.append(shapely.box(col, row, col + 12, row + 12))
    return picture_of(footprint_HW, truth)


def test_search_finds_the_threshold_that_scores() -> None:
    picture = fat_picture()
    assert tally([picture], ShapeSettings()).f1 == 0.0
    best = best_settings([[picture]], ShapeSettings())
    assert best.threshold == 0.55
    assert tally([picture], best).f1 == 1.0


def test_what_is_less_likely_right_than_it_is_worth_is_left_out() -> None:
    """Fifty houses that the map is sure of, fifty ghosts that it half believes in."""
    footprint_HW = np.zeros((400, 400), dtype=np.uint8)
    truth = []
    for number in range(100):
        row, col = 5 + 40 * (number // 10), 5 + 40 * (number % 10)
        is_house = number % 2 == 0
        footprint_HW[row : row + 20, col : col + 20] = 230 if is_house else 150
        if is_house:
            truth.append(shapely.box(col, row, col + 20, row + 20))
    picture = picture_of(footprint_HW, truth)
    # Whatever was asked for before, on another scale of confidence, plays no part.
    asked = ShapeSettings(threshold=0.5, min_confidence=0.999)
    bent = Calibration(((0.0, 0.0), (150 / 255, 0.1), (230 / 255, 0.9), (1.0, 1.0)))
    least = best_min_confidence([[picture]], replace(asked, min_confidence=0.0), bent)
    assert 0.1 < least <= 0.9
    found = calibrate([[picture]], dict.fromkeys(CATEGORIES, asked), bent)
    assert found.before["off-nadir"] == 0.0
    assert found.after["off-nadir"] == 1.0


def test_a_flat_optimum_wanders_towards_fewer_cuts_and_smaller_buildings_alone() -> None:
    """Where nothing is lost, nothing is cut and nothing left out."""
    start = ShapeSettings(threshold=0.6, min_area_m2=12.0)
    split = replace(start.split, cut_probability=max(CUTS))
    wanted = replace(start, min_area_m2=min(MIN_AREAS_M2), split=split)
    assert best_settings([[fat_picture()]], start) == wanted


def test_categories_without_pictures_keep_their_settings() -> None:
    shapes = {category: ShapeSettings(threshold=0.5) for category in CATEGORIES}
    found = calibrate([[fat_picture()]], shapes)
    assert found.shapes["nadir"] == shapes["nadir"]
    assert set(found.after) == {"off-nadir"}
    assert found.after["off-nadir"] > found.before["off-nadir"]


def test_data_sets_count_the_same_whatever_their_size() -> None:
    """One picture that wants a high threshold, three that are right with any of them."""
    picture = fat_picture()
    easy = replace(picture, truth=np.empty(0, dtype=object))
    assert mean_f1([[picture], [easy] * 3], ShapeSettings(threshold=0.6)) == 0.5
    assert mean_f1([[picture], [easy]], ShapeSettings(threshold=0.6)) == 0.5


def test_the_error_of_guessed_looks_by_hand() -> None:
    def guessed(off_nadir_deg: float, azimuth_deg: float | None) -> Guessed:
        sighting = Sighting(off_nadir_deg, azimuth_deg, "estimated", "a model")
        return Look(30.0, 350.0, "table"), sighting

    one = [guessed(31, 10), guessed(28, None), guessed(39, 340)]
    other = [guessed(36, None)]
    assert look_error([one, other]) == (4.0, 15.0)  # of medians 2 and 6; of 20 and 10
    assert look_error([other]) == (6.0, None)
    assert look_error([[]]) is None


def test_calibration_measures_guesses_of_models_that_make_them() -> None:
    shapes = {category: ShapeSettings() for category in CATEGORIES}
    picture = fat_picture()
    assert calibrate([[picture]], shapes).look_error_deg is None
    guess = Sighting(35.0, 20.0, "estimated", "a model")
    found = calibrate([[replace(picture, guess=guess)]], shapes)
    assert found.look_error_deg == (5.0, None), "the picture's own azimuth is unknown"
