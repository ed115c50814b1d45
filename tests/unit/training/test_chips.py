"""Targets, cuts, augmentation and the store: truth and picture stay together."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.training import QUIET
from snet4_training.chips.augment import augmented, plain
from snet4_training.chips.store import ChipStore
from snet4_training.pictures.picture import CHIP_RANGE, Chip, Cut, Picture, cut_chip, stretched
from snet4_training.pictures.targets import FINER, burn, targets
from snet4_training.recipe import AugmentRecipe
from snet4core.errors import InputError
from snet4core.look.look import CATEGORIES, Look, category_of

BANDS = ("blue", "green", "red", "nir")


def picture_of_house(house: shapely.Polygon, look: Look | None = None, size: int = 96) -> Picture:
    """A dark picture with one bright house, four bands alike."""
    bright_HW = burn(np.array([house]), (size, size)).astype(np.uint16) * 10 + 100
    return Picture(
        counts_BHW=np.stack([bright_HW] * 4),
        known=(True,) * 4,
        valid_HW=np.ones((size, size), dtype=bool),
        polygons=np.array([house]),
        look=look or Look(30.0, 40.0, "table"),
        gsd_m=0.5,
    )


def centre_of(weights_HW: np.ndarray) -> np.ndarray:
    """Centre of mass as (column, row), pixel edges at whole numbers."""
    rows, cols = np.indices(weights_HW.shape) + 0.5
    total = weights_HW.sum()
    return np.array([(cols * weights_HW).sum(), (rows * weights_HW).sum()]) / total


sides = st.floats(2.0, 20.0)


@settings(deadline=None, max_examples=40)
@given(st.floats(5, 15), st.floats(5, 15), sides, sides)
def test_burned_area_is_the_polygons_area(x: float, y: float, width: float, height: float) -> None:
    house = shapely.box(x, y, x + width, y + height)
    area_px = burn(np.array([house]), (40, 40)).sum() / 255
    # Drawn at FINER points per side, each edge is off by at most half a drawn pixel.
    assert abs(area_px - house.area) <= (width + height) / FINER + 0.5


@settings(deadline=None, max_examples=40)
@given(st.floats(-2, 2), st.floats(-2, 2))
def test_burned_house_does_not_move_by_half_a_pixel(dx: float, dy: float) -> None:
    house = shapely.box(12 + dx, 14 + dy, 30 + dx, 26 + dy)
    centre = centre_of(burn(np.array([house]), (40, 40)).astype(float))
    assert np.abs(centre - (house.centroid.x, house.centroid.y)).max() <= 0.5 / FINER + 0.02


def test_each_edge_pixel_holds_its_share() -> None:
    house = shapely.box(1, 1, 3 + 1 / 3, 3)
    assert burn(np.array([house]), (4, 5))[1].tolist() == [0, 255, 255, 85, 0]


def test_seeds_of_two_houses_with_a_shared_wall_do_not_touch() -> None:
    houses = np.array([shapely.box(5, 5, 20, 20), shapely.box(20, 5, 35, 20)])
    footprint_HW, border_HW = targets(houses, (25, 40))[:2].astype(float) / 255
    seeds_HW = footprint_HW * (1 - border_HW) > 0.5
    assert seeds_HW[12, 12]
    assert seeds_HW[12, 28]
    assert not seeds_HW[:, 18:22].any()
    alone_HW = targets(houses[:1], (25, 40))[1]
    # Between neighbours the border is wider than along a free wall.
    assert (border_HW[12, 14:20] > 0).sum() > (alone_HW[12, 5:11] > 0).sum()


def test_no_buildings_means_empty_targets() -> None:
    assert not targets(np.empty(0, dtype=object), (8, 8)).any()


def test_plain_cut_is_the_picture_itself() -> None:
    picture = picture_of_house(shapely.box(20, 30, 50, 60))
    chip = cut_chip(picture, stretched(picture), Cut((48, 48), 1.0, 0.0), 96)
    assert np.array_equal(chip.counts_BHW, stretched(picture))
    assert np.array_equal(chip.targets_MHW, targets(picture.polygons, (96, 96)))
    assert chip.look == picture.look


@settings(deadline=None, max_examples=40)
@given(
    st.floats(0.6, 1.8),
    st.floats(0, 360),
    st.booleans(),
    st.floats(44, 52),
    st.floats(44, 52),
)
def test_truth_moves_with_the_picture(
    scale: float, turn_deg: float, mirror: bool, col: float, row: float
) -> None:
    picture = picture_of_house(shapely.box(40, 45, 58, 52))
    chip = cut_chip(picture, stretched(picture), Cut((col, row), scale, turn_deg, mirror), 96)
    dark = int(stretched(picture).min())
    seen = centre_of(np.maximum(chip.counts_BHW[0].astype(float) - dark, 0) * chip.valid_HW)
    told = centre_of(chip.targets_MHW[0].astype(float))
    assert np.abs(seen - told).max() < 0.3


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 359), st.floats(0, 360), st.booleans())
def test_azimuth_turns_with_the_picture(azimuth_deg: float, turn_deg: float, mirror: bool) -> None:
    def direction(degrees: float) -> np.ndarray:
        turn = math.radians(degrees)
        return np.array([math.sin(turn), -math.cos(turn)])  # (column, row), north is -row

    cut = Cut((0, 0), 1.0, turn_deg, mirror)
    turned = cut.look(Look(30.0, azimuth_deg, "table"))
    assert turned.azimuth_deg is not None
    in_picture = cut.matrix() @ direction(turned.azimuth_deg)
    assert np.allclose(in_picture, direction(azimuth_deg), atol=1e-9)


def test_outside_of_the_picture_nothing_is_valid() -> None:
    picture = picture_of_house(shapely.box(20, 30, 50, 60))
    chip = cut_chip(picture, stretched(picture), Cut((0, 48), 1.0, 0.0), 64)
    assert not chip.valid_HW[:, :31].any()
    assert chip.valid_HW[:, 33:].all()


def test_unknown_band_stays_zero_through_cut_and_normalisation() -> None:
    whole = picture_of_house(shapely.box(20, 30, 50, 60))
    rgb = Picture(
        whole.counts_BHW, (True, True, True, False), whole.valid_HW, whole.polygons,
        whole.look, whole.gsd_m,
    )  # fmt: skip
    chip = cut_chip(rgb, stretched(rgb), Cut((48, 48), 1.0, 0.0), 64)
    assert not chip.counts_BHW[3].any()
    assert not plain(chip, 64).image_BHW[3].any()
    assert plain(chip, 64).image_BHW[0].any()


def some_chip(category_index: int = 1, size: int = 48) -> Chip:
    rng = np.random.default_rng(category_index)
    look = Look((10.0, 33.0, 47.0)[category_index], 100.0, "table")
    return Chip(
        counts_BHW=rng.integers(0, 256, (4, size, size), dtype=np.uint8),
        targets_MHW=rng.integers(0, 256, (5, size, size), dtype=np.uint8),
        valid_HW=np.ones((size, size), dtype=np.uint8),
        known=(True,) * 4,
        look=look,
        gsd_m=0.5,
    )


def test_training_and_inference_normalise_alike() -> None:
    """With every change switched off, training sees what inference sees."""
    chip = some_chip(size=32)
    ours = augmented(chip, 32, BANDS, QUIET, np.random.default_rng(0))
    assert np.allclose(ours.image_BHW, plain(chip, 32).image_BHW, atol=1e-5)
    assert ours.told == chip.look


def test_chip_range_is_what_normalise_lets_through() -> None:
    from snet4core.scene.radiometry import normalise

    ends = np.array([[[0, CHIP_RANGE.low, CHIP_RANGE.high, 255]]])
    seen = normalise(ends, np.ones((1, 4), dtype=bool), (CHIP_RANGE,))[0, 0] / 4.0 + 0.4
    assert np.allclose(seen, [-0.25, 0.0, 1.0, 1.5], atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.sampled_from([0, 1, 2]))
def test_augmentation_keeps_shape_head_and_truth(seed: int, category_index: int) -> None:
    chip = some_chip(category_index)
    wild = AugmentRecipe(cutout=1.0, edge=0.5, noise=1.0, haze=1.0, angle_noise_deg=20.0)
    one = augmented(chip, 32, BANDS, wild, np.random.default_rng(seed))
    assert one.image_BHW.shape == (4, 32, 32)
    assert np.isfinite(one.image_BHW).all()
    assert category_of(one.told.off_nadir_deg) == chip.look.category == CATEGORIES[category_index]
    # Truth is a part of the chip's, never changed; what is cut out does not count.
    corners = [(r, c) for r in range(17) for c in range(17)]
    assert any(
        np.array_equal(chip.targets_MHW[:, r : r + 32, c : c + 32], one.targets_MHW)
        for r, c in corners
    )
    assert not one.image_BHW[:, one.valid_HW == 0].any()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_an_edge_leaves_a_straight_strip(seed: int) -> None:
    """What stays is convex: the middle of two pixels with data has data."""
    recipe = AugmentRecipe(edge=1.0, cutout=0.0)
    valid_HW = augmented(some_chip(), 32, BANDS, recipe, np.random.default_rng(seed)).valid_HW > 0
    assert valid_HW.mean() > 0.04
    places = np.argwhere(valid_HW)
    rng = np.random.default_rng(seed)
    one, other = (places[rng.integers(len(places), size=200)] for _ in range(2))
    whole = ((one + other) % 2 == 0).all(axis=1)
    middle = (one + other)[whole] // 2
    assert valid_HW[middle[:, 0], middle[:, 1]].all()


def test_edges_take_about_half_of_the_ground() -> None:
    recipe = AugmentRecipe(edge=1.0, cutout=0.0)
    shares = [
        augmented(some_chip(), 32, BANDS, recipe, np.random.default_rng(seed)).valid_HW.mean()
        for seed in range(100)
    ]
    assert 0.35 < np.mean(shares) < 0.75
    assert np.std(shares) > 0.1


def test_same_seed_same_example() -> None:
    first, second = (
        augmented(some_chip(), 32, BANDS, AugmentRecipe(), np.random.default_rng(5))
        for _ in range(2)
    )
    assert np.array_equal(first.image_BHW, second.image_BHW)
    assert first.told == second.told


def test_forgotten_azimuth_and_infrared_are_trained_states() -> None:
    recipe = AugmentRecipe(forget_azimuth=1.0, drop_nir=1.0)
    one = augmented(some_chip(), 32, BANDS, recipe, np.random.default_rng(1))
    assert one.told.azimuth_deg is None
    assert not one.image_BHW[3].any()


def test_grey_pictures_have_three_equal_bands() -> None:
    recipe = AugmentRecipe(grey=1.0, noise=0.0, band_gain=0.0)
    one = augmented(some_chip(), 32, BANDS, recipe, np.random.default_rng(1))
    assert np.array_equal(one.image_BHW[0], one.image_BHW[2])


def test_store_gives_back_what_was_written(tmp_path: Path) -> None:
    store = ChipStore(tmp_path / "scenes")
    chips = [some_chip(index) for index in range(3)]
    store.write(7, chips)
    assert store.chunks() == [7]
    for index, chip in enumerate(chips):
        back = store.read(7, index)
        assert np.array_equal(back.counts_BHW, chip.counts_BHW)
        assert np.array_equal(back.targets_MHW, chip.targets_MHW)
        assert (back.known, back.gsd_m) == (chip.known, chip.gsd_m)
        assert back.look == chip.look


def test_half_written_chunk_is_not_listed(tmp_path: Path) -> None:
    store = ChipStore(tmp_path)
    (tmp_path / "00001.json").write_text("[]")
    (tmp_path / ".00001.npy.part").write_bytes(b"half")
    assert store.chunks() == []


def test_damaged_chunk_is_refused_by_name(tmp_path: Path) -> None:
    store = ChipStore(tmp_path)
    store.write(1, [some_chip()])
    store.path(1).write_bytes(b"no array")
    with pytest.raises(InputError, match=r"00001\.npy"):
        store.read(1, 0)
