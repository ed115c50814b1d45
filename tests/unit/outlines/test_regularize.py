"""Right angles where the mask supports them, and nowhere else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage as ndi

from helpers.blocks import (
    LabelImage,
    as_labels,
    burned,
    iou,
    label_images,
    placed,
    right_angles,
    whole,
)
from snet4core.outlines.fitting import Lines
from snet4core.outlines.outline import CORNER_PX2, WORSE_PX, difference_area, outlines
from snet4core.outlines.regularize import FREE, angle_from, directions, turned

at_leisure = settings(deadline=None, max_examples=50)
RECTANGLE = shapely.box(-14, -9, 14, 9)
ELL = RECTANGLE.difference(shapely.box(0, 0, 14, 9))


def noisy(polygon: shapely.Polygon, seed: int, height: float = 0.15) -> LabelImage:
    """The largest piece of a blurred mask whose probability wanders."""
    rng = np.random.default_rng(seed)
    share = ndi.zoom(burned([polygon], (60, 60)).astype(float), 1, order=0)
    noise = ndi.gaussian_filter(rng.standard_normal(share.shape), 1.5) * 5.3
    found = whole(ndi.binary_fill_holes(ndi.gaussian_filter(share, 1) + height * noise > 0.5))
    largest = np.argmax(np.bincount(found.ravel())[1:]) + 1
    return (found == largest).astype(np.int32)


def lines_at(angles_deg: list[float], length: float = 20.0) -> Lines:
    """One line per angle, all of the same length, through the origin."""
    angle = np.radians(np.asarray(angles_deg))
    one, zero = np.ones(angle.size), np.zeros(angle.size)
    # As fitted lines come: pointing to the right.
    sign = np.where(np.cos(angle) < 0, -1.0, 1.0)
    return Lines(np.cos(angle) * sign, np.sin(angle) * sign, zero, zero, length * one, one)


# ---------------------------------------------------------------- directions


def test_opposite_and_perpendicular_walls_have_one_direction() -> None:
    lines = lines_at([30, 120.5, 29.5, 120])
    found = np.degrees(directions(lines, np.zeros(4, np.int32), 1))
    assert found[0, 0] == pytest.approx(30, abs=0.01)
    assert np.isnan(found[0, 1])


def test_a_wing_at_another_angle_is_a_second_direction() -> None:
    lines = lines_at([10, 100, 10, 100, 55, 145, 55])
    found = np.sort(np.degrees(directions(lines, np.zeros(7, np.int32), 1))[0])
    assert found == pytest.approx([10, 55], abs=0.01)


def test_walls_in_all_directions_have_none() -> None:
    lines = lines_at(np.arange(0, 180, 9).tolist())
    assert np.isnan(directions(lines, np.zeros(20, np.int32), 1)).all()


@pytest.mark.parametrize("angle_deg", [0.0, 0.4, 44.9, 45.1, 89.6])
def test_angles_near_a_quarter_turn_are_turned_the_short_way(angle_deg: float) -> None:
    lines = lines_at([angle_deg + 2, angle_deg + 89, angle_deg - 1])
    none = np.zeros(3, np.int32)
    direction = np.array([[np.radians(angle_deg), np.nan]])
    snapped, axis = turned(lines, none, none, direction)
    assert axis[0] == axis[2] == axis[1] ^ 1
    for index, want in enumerate((angle_deg, angle_deg + 90, angle_deg)):
        along = np.array([np.cos(np.radians(want)), np.sin(np.radians(want))])
        got = np.array([snapped.tx_S[index], snapped.ty_S[index]])
        assert abs(along @ got) == pytest.approx(1)


def test_a_long_slanted_wall_stays_slanted() -> None:
    lines, none = lines_at([0, 90, 20]), np.zeros(3, np.int32)
    snapped, axis = turned(lines, none, none, np.array([[0.0, np.nan]]))
    assert axis[2] == FREE
    assert (snapped.tx_S[2], snapped.ty_S[2]) == (lines.tx_S[2], lines.ty_S[2])


@given(st.floats(0, 1.57), st.floats(0, 1.57))
def test_the_angle_off_a_direction_is_at_most_half_a_quarter_turn(a: float, b: float) -> None:
    away = angle_from(np.array([a]), np.array([b]))[0]
    assert abs(away) <= np.pi / 4 + 1e-12
    assert np.sin(2 * (a - b - away)) == pytest.approx(0, abs=1e-9)


# ---------------------------------------------------------------- whole outlines


@pytest.mark.parametrize("shape", [RECTANGLE, ELL], ids=["rectangle", "L"])
@pytest.mark.parametrize("angle_deg", [0, 13, 45, 71, 89])
def test_clean_masks_of_houses_get_all_their_right_angles(
    shape: shapely.Polygon, angle_deg: float
) -> None:
    house = placed(shape, angle_deg)
    found = outlines(as_labels(burned([house], (60, 60))), 1.0, regularize=True).polygons_N
    assert right_angles(found, within_deg=0.5) == 1
    assert len(found[0].exterior.coords) == len(shape.exterior.coords)
    # At 45 degrees whole rows of pixels fall on one side of a wall.
    assert iou(found, np.array([house]))[0] > 0.94


@pytest.mark.parametrize("aspect", [0.6, 0.83, 1.3])
@pytest.mark.parametrize("angle_deg", [13, 45, 71])
def test_right_angles_are_right_on_the_ground(aspect: float, angle_deg: float) -> None:
    """Pixels of a picture in degrees are not square there."""
    house = placed(ELL, angle_deg)
    seen = shapely.transform(house, lambda xy_N2: xy_N2 / [aspect, 1])
    labels = as_labels(burned([seen], (60, 110)))
    found = outlines(labels, 1.0, True, aspect).polygons_N
    on_ground = shapely.transform(found, lambda xy_N2: xy_N2 * [aspect, 1])
    assert right_angles(on_ground, within_deg=0.5) == 1
    assert len(found[0].exterior.coords) == len(ELL.exterior.coords)
    assert iou(on_ground, np.array([house]))[0] > 0.93


def test_ragged_masks_of_houses_get_most_of_theirs() -> None:
    houses = [placed(RECTANGLE if k % 2 else ELL, 180 * k / 40) for k in range(40)]
    found = np.array(
        [
            outlines(as_labels(noisy(house, seed)), 1.0, regularize=True).polygons_N[0]
            for seed, house in enumerate(houses)
        ]
    )
    assert iou(found, np.array(houses)).mean() >= 0.925
    assert right_angles(found) >= 0.85
    assert np.mean(shapely.get_num_coordinates(found) - 1) <= 8


def test_a_round_building_stays_round() -> None:
    tank = burned([shapely.Point(30, 30).buffer(14)], (60, 60))
    plain = outlines(as_labels(tank), 1.0).polygons_N
    regular = outlines(as_labels(tank), 1.0, regularize=True).polygons_N
    assert regular[0].equals(plain[0])


def test_a_wing_that_is_not_at_right_angles_keeps_its_own() -> None:
    house = placed(shapely.box(-20, -7, 8, 7), 0).union(
        placed(shapely.box(0, -6, 24, 6), 35, 34, 33)
    )
    found = outlines(as_labels(burned([house], (70, 70))), 1.0, regularize=True).polygons_N
    assert iou(found, np.array([house]))[0] > 0.95
    xy = shapely.get_coordinates(found[0].exterior)
    step = np.diff(xy, axis=0)
    heading = np.degrees(np.arctan2(step[:, 1], step[:, 0])) % 90
    length = np.hypot(*step.T)
    near = [np.minimum(abs(heading - a), 90 - abs(heading - a)) < 2 for a in (0, 35)]
    assert length[near[0]].sum() > 40
    assert length[near[1]].sum() > 40


@given(label_images())
@at_leisure
def test_regular_outlines_are_valid_and_miss_the_mask_little_more(labels_HW: LabelImage) -> None:
    labels = as_labels(labels_HW)
    exact, plain, regular = (
        outlines(labels, tolerance, flag).polygons_N
        for tolerance, flag in ((0.0, False), (1.0, False), (1.0, True))
    )
    assert shapely.is_valid(regular).all()
    saved = np.maximum(shapely.get_num_coordinates(plain) - shapely.get_num_coordinates(regular), 0)
    allowed = WORSE_PX * shapely.length(regular) + CORNER_PX2 * saved
    same = shapely.equals_exact(plain, regular, 0.0)
    # A plain neighbour of a polygon that stays regular has the wall that both can bear.
    shares = np.array([_touches_another(labels_HW, k + 1) for k in range(len(plain))])
    ok = difference_area(regular, exact) <= difference_area(plain, exact) + allowed + 1e-6
    assert (ok | same | shares).all()


def _touches_another(labels_HW: NDArray[np.int32], number: int) -> bool:
    grown = ndi.binary_dilation(labels_HW == number)
    return bool(((labels_HW != number) & (labels_HW > 0) & grown).any())


def test_terraced_houses_stay_attached_when_regular() -> None:
    row = [placed(shapely.box(12 * k, 0, 12 * k + 12, 20), 17, 14, 12) for k in range(4)]
    labels_HW = burned(row, (60, 80))
    found = outlines(as_labels(labels_HW), 1.0, regularize=True).polygons_N
    assert shapely.union_all(found).area == pytest.approx((labels_HW > 0).sum(), rel=0.01)
    for one, other in pairwise(found):
        assert one.touches(other)
        assert one.intersection(other).length > 15
