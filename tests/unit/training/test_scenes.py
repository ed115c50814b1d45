"""Scenes: the geometry of a tilted view on hand-made places, and what every place keeps."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely.geometry import Point, Polygon, box

from snet4_training.scenes import (
    KINDS,
    PLAIN,
    WORLDVIEW2,
    Place,
    Sun,
    make_place,
    random_look,
    random_sensor,
    render,
    truth,
)
from snet4_training.scenes.canvas import covered
from snet4_training.scenes.collects import footprint_stretch, native_gsd_m
from snet4_training.scenes.light import shadow_ceiling
from snet4_training.scenes.render import light_of
from snet4_training.scenes.roofs import rise_of
from snet4_training.scenes.sensor import imaged
from snet4_training.scenes.street_plan import Groves
from snet4_training.scenes.world import LIT_ONE, PLANT, Building, Facades, Wing
from snet4core.look.look import Look

SIZE, MARGIN, GSD_M = 160, 60, 0.5
GROUND, ROOF, WALL, MARK = 0.1, 0.8, 0.4, 0.6
"""Brightness by which the tests tell what a pixel shows."""

Tower = tuple[int, int, int, int, float]
"""Rows from and to, columns from and to (tile pixels), height in metres."""


def place_of(*towers: Tower, marks: tuple[tuple[int, int], ...] = ()) -> Place:
    """A flat dark place with flat white towers on it, lit by the sky alone (so even walls)."""
    side = SIZE + 2 * MARGIN
    lit = np.full((side, side, 4), GROUND * LIT_ONE, dtype=np.uint16)
    height = np.zeros((side, side), dtype=np.int16)
    owner = np.zeros((side, side), dtype=np.uint16)
    buildings = []
    for row, col in marks:
        lit[row + MARGIN, col + MARGIN] = int(MARK * LIT_ONE)
    for number, (r0, r1, c0, c1, height_m) in enumerate(towers):
        spot = (slice(r0 + MARGIN, r1 + MARGIN), slice(c0 + MARGIN, c1 + MARGIN))
        lit[spot] = int(ROOF * LIT_ONE)
        height[spot] = round(height_m * 100)
        owner[spot] = number + 1
        buildings.append(Building(box(c0, r0, c1, r1), height_m, "flat", height_m))
    count = len(towers)
    ambient = np.ones(4, dtype=np.float32)
    facades = Facades(
        np.full((count, 4), WALL / 0.75, np.float32),
        np.zeros(count, np.float32),
        np.full(count, 3.0, np.float32),
        np.zeros(count, np.float32),
        np.zeros(count, np.float32),
    )
    return Place(
        SIZE, GSD_M, "test", Sun(180.0, 45.0, ambient), tuple(buildings), 1, MARGIN,
        lit, height, owner, np.full((side, side), -30000, np.int16), facades,
    )  # fmt: skip


def view(place: Place, off_nadir_deg: float, azimuth_deg: float) -> NDArray[np.float32]:
    """Brightness (H, W) of the tile without air and sensor."""
    return light_of(place, off_nadir_deg, azimuth_deg, (0, 0, SIZE, SIZE))[0]


def shows(picture: NDArray[np.float32], what: float) -> NDArray[np.bool_]:
    return np.abs(picture - what) < 0.01


def middle(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean (row, col) of the true pixels' centres."""
    return np.argwhere(mask).mean(axis=0) + 0.5


def shift_px(height_m: float, off_nadir_deg: float, azimuth_deg: float) -> NDArray[np.float64]:
    """The displacement law: (rows, columns), north is up."""
    reach = height_m * math.tan(math.radians(off_nadir_deg)) / GSD_M
    turn = math.radians(azimuth_deg)
    return np.array([-math.cos(turn), math.sin(turn)]) * reach


angles = st.floats(0, 55)
azimuths = st.floats(0, 359.9)
heights = st.floats(2, 14)


@settings(max_examples=60, deadline=None)
@given(angles, azimuths, heights)
def test_roof_moves_by_height_times_tangent_along_the_azimuth(
    off_nadir_deg: float, azimuth_deg: float, height_m: float
) -> None:
    place = place_of((70, 90, 60, 94, height_m))
    roof = shows(view(place, off_nadir_deg, azimuth_deg), ROOF)
    assert roof.sum() == pytest.approx(20 * 34, abs=20 + 34)  # one rim of cells
    expected = np.array([80.0, 77.0]) + shift_px(height_m, off_nadir_deg, azimuth_deg)
    np.testing.assert_allclose(middle(roof), expected, atol=1.0)


def test_displacement_by_hand() -> None:
    """10 m at 45 degrees is 10 m aside: 20 pixels, due east."""
    picture = view(place_of((70, 90, 60, 80, 10.0)), 45, 90)
    rows, cols = np.nonzero(shows(picture, ROOF))
    assert (rows.min(), rows.max()) == (70, 89)
    assert abs(cols.min() - 80) <= 1
    assert abs(cols.max() - 99) <= 1


def test_straight_down_nothing_moves() -> None:
    place = place_of((70, 90, 60, 94, 14.0), (20, 30, 20, 40, 3.0), marks=((5, 5),))
    inside = place.lit_HWC[MARGIN:-MARGIN, MARGIN:-MARGIN, 0] / LIT_ONE
    np.testing.assert_allclose(view(place, 0, 123), inside, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.floats(20, 55), azimuths, st.floats(5, 14))
def test_walls_show_only_on_the_satellites_side(
    off_nadir_deg: float, azimuth_deg: float, height_m: float
) -> None:
    """The satellite stands against the azimuth, so walls lie behind the roof as it leans."""
    picture = view(place_of((70, 90, 60, 94, height_m)), off_nadir_deg, azimuth_deg)
    wall, roof = shows(picture, WALL), shows(picture, ROOF)
    lean = shift_px(height_m, off_nadir_deg, azimuth_deg)
    assert wall.any()
    assert np.dot(middle(wall) - middle(roof), lean) < 0
    # Roof, walls and the ground they hide are what the footprint sweeps as it leans.
    swept = Polygon([(60, 70), (94, 70), (94, 90), (60, 90)])
    swept = swept.union(
        Polygon([(x + lean[1], y + lean[0]) for x, y in swept.exterior.coords])
    ).convex_hull
    assert (wall | roof).sum() == pytest.approx(swept.area, rel=0.08)


def test_a_pixel_behind_a_tower_shows_wall_or_roof() -> None:
    behind = ((65, 77), (60, 70), (62, 90))
    place = place_of((70, 90, 60, 94, 10.0), marks=behind)
    assert shows(view(place, 0, 0), MARK).sum() == 3
    picture = view(place, 45, 0)
    assert not shows(picture, MARK).any()
    for row, col in behind:
        assert shows(picture, WALL)[row, col] or shows(picture, ROOF)[row, col]
    # From the other side the same ground lies open.
    assert shows(view(place, 45, 180), MARK).sum() == 3


def test_the_tall_hides_the_low_whatever_the_order() -> None:
    low, tall = (62, 69, 60, 94, 3.0), (70, 90, 60, 94, 14.0)
    pictures = [view(place_of(*pair), 50, 0) for pair in ((low, tall), (tall, low))]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    alone = view(place_of(low), 50, 0)
    roof = shows(alone, ROOF)
    assert roof.any()
    hidden = shows(view(place_of(tall), 50, 0), WALL)
    assert (shows(pictures[0], WALL) | shows(pictures[0], ROOF))[roof].all()
    assert hidden[roof].any()


def test_what_stands_outside_leans_in() -> None:
    """A tower south of the tile is seen when the picture looks north."""
    place = place_of((SIZE + 4, SIZE + 20, 60, 94, 14.0))
    assert not shows(view(place, 0, 0), ROOF).any()
    assert shows(view(place, 45, 0), ROOF).sum() > 200
    assert truth(place) == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-3, 23), st.floats(-3, 23)), min_size=3, max_size=9, unique=True)
)
def test_covered_cells_are_those_whose_centres_lie_inside(
    ring: list[tuple[float, float]],
) -> None:
    shape = Polygon(ring)
    if not shape.is_valid or shape.area < 0.1:
        return
    cover = covered([ring], 1.0, 0.0, (20, 20))
    mine = np.zeros((20, 20), dtype=bool)
    mine[cover.box] = cover.mask_HW
    for row in range(20):
        for col in range(20):
            centre = Point(col + 0.5, row + 0.5)
            if shape.exterior.distance(centre) > 1e-6:
                assert mine[row, col] == shape.contains(centre)


def test_covered_leaves_holes_open() -> None:
    outer = [(2.0, 2.0), (18.0, 2.0), (18.0, 18.0), (2.0, 18.0)]
    inner = [(6.0, 6.0), (14.0, 6.0), (14.0, 14.0), (6.0, 14.0)]
    assert covered([outer, inner], 1.0, 0.0, (20, 20)).mask_HW.sum() == 256 - 64


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 359.9), st.floats(25, 70), st.floats(3, 15))
def test_shadow_is_height_over_tangent_long_and_falls_away_from_the_sun(
    azimuth_deg: float, elevation_deg: float, height_m: float
) -> None:
    height = np.zeros((201, 201), dtype=np.float32)
    height[95:106, 95:106] = height_m
    sun = Sun(azimuth_deg, elevation_deg, np.full(4, 0.3, np.float32))
    dark = shadow_ceiling(height, 0.5, sun) > 0
    dark[95:106, 95:106] = False
    away = np.array([math.cos(math.radians(azimuth_deg)), -math.sin(math.radians(azimuth_deg))])
    reach = (np.argwhere(dark) - 100) @ away
    length_px = height_m / math.tan(math.radians(elevation_deg)) / 0.5
    corner = 5.5 * (abs(away[0]) + abs(away[1]))
    assert reach.min() > -corner - 2
    assert reach.max() == pytest.approx(length_px + corner, abs=2.5)


def test_roof_shapes_by_hand() -> None:
    """10 m by 6 m, pitch 0.5: ridge 1.5 m above the eaves, a hip falls at the ends too."""
    wing = Wing(0.0, 0.0, 5.0, 3.0, 0.0)
    x = np.array([0.0, 4.5, 0.0], dtype=np.float32)
    y = np.array([0.0, 0.0, 2.0], dtype=np.float32)
    np.testing.assert_allclose(rise_of("gable", 0.5, wing, x, y), [1.5, 1.5, 0.5])
    np.testing.assert_allclose(rise_of("hip", 0.5, wing, x, y), [1.5, 0.25, 0.5])
    np.testing.assert_allclose(rise_of("shed", 0.5, wing, x, y), [1.5, 1.5, 2.5])


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_place_keeps_its_promises(kind: str) -> None:
    place = make_place(np.random.default_rng([5, len(kind)]), 200, kind=kind, oversample=1)
    assert place.kind == kind
    tile = box(0, 0, 200, 200).buffer(1e-9)
    for building in truth(place):
        assert building.footprint.is_valid
        assert tile.contains(building.footprint)
        assert 1.5 < building.height_m < 80
        assert 1.5 < building.eave_m <= building.height_m + 1e-3
        if building.roof == "flat":
            assert building.height_m < building.eave_m + 5  # a stair head, a parapet
    picture = render(place, Look(35.0, 20.0, "table"), WORLDVIEW2)
    assert picture.shape == (4, 200, 200)
    assert picture.dtype == np.uint16
    assert picture.min() >= 1
    assert picture.std(axis=(1, 2)).min() > 1


def test_footprints_are_the_cells_that_buildings_own() -> None:
    place = make_place(np.random.default_rng(11), 240, kind="informal")
    fine, margin = place.oversample, place.margin_px
    whole = [
        (number, one)
        for number, one in enumerate(place.buildings)
        if box(0, 0, 240, 240).contains(one.footprint)
    ]
    assert len(whole) > 5
    for number, one in whole:
        rows, cols = np.nonzero(place.owner_HW == number + 1)
        # Crowns hang over roofs, and an attached neighbour may take a row of cells.
        west, north, east, south = one.footprint.bounds
        assert rows.min() / fine - margin > north - 1
        assert rows.max() / fine - margin < south + 1
        assert cols.min() / fine - margin > west - 1
        assert cols.max() / fine - margin < east + 1
        assert rows.size / fine**2 < one.footprint.area + one.footprint.length


def test_crowns_hide_roofs_of_a_wooded_suburb_in_part() -> None:
    """As in real ones: many roofs are partly hidden, few wholly; footprints stay whole."""
    hidden = []
    for seed in range(6):
        place = make_place(
            np.random.default_rng([21, seed]), 300, kind="wooded suburb", oversample=1
        )
        inner = slice(place.margin_px, -place.margin_px)
        crowns = place.owner_HW[inner, inner] == PLANT
        for one in truth(place):
            cover = covered([np.asarray(one.footprint.exterior.coords)[:-1]], 1.0, 0.0, (300, 300))
            if cover.mask_HW.sum() > 40:
                hidden.append(crowns[cover.box][cover.mask_HW].mean())
    assert len(hidden) > 40
    assert np.mean(np.array(hidden) > 0.1) > 0.15
    assert np.mean(np.array(hidden) > 0.8) < 0.2


@settings(max_examples=20, deadline=None)
@given(st.floats(12, 45), st.floats(12, 45), st.floats(0, 6), st.floats(0, 6))
def test_groves_move_trees_and_keep_about_their_number(
    wave_x_m: float, wave_y_m: float, phase_x: float, phase_y: float
) -> None:
    groves = Groves((wave_x_m, wave_y_m), (phase_x, phase_y))
    points = np.random.default_rng(1).uniform(0, 3000, (4000, 2)).tolist()
    shares = [groves.share(x, y) for x, y in points]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.06)
    assert min(shares) == 0
    assert max(shares) == 1


def test_truth_is_the_same_for_every_look() -> None:
    place = make_place(np.random.default_rng(3), 160, kind="town", oversample=1)
    before = [one.footprint.wkb for one in truth(place)]
    rng = np.random.default_rng(0)
    for _ in range(3):
        render(place, random_look(rng), rng)
        assert [one.footprint.wkb for one in truth(place)] == before


def test_the_same_seed_gives_the_same_picture() -> None:
    def picture(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        place = make_place(rng, 128, oversample=1)
        return render(place, random_look(rng), random_sensor(rng)).tobytes()

    assert picture(4) == picture(4)
    assert picture(4) != picture(5)


def test_a_window_is_a_part_of_the_whole() -> None:
    place = make_place(np.random.default_rng(8), 160, kind="suburb")
    look = Look(41.0, 250.0, "table")
    whole = render(place, look, PLAIN).astype(int)
    part = render(place, look, PLAIN, (30, 50, 64, 80)).astype(int)
    assert np.abs(whole[:, 30:94, 50:130] - part).max() <= 2


def test_an_unknown_azimuth_is_rendered_northward() -> None:
    place = place_of((70, 90, 60, 94, 10.0))
    north = render(place, Look(30.0, 0.0, "table"), PLAIN)
    np.testing.assert_array_equal(render(place, Look(30.0, None, "name"), PLAIN), north)


def test_the_sample_distance_grows_with_the_angle() -> None:
    """The same edge gets softer with every tilt; most along the look."""
    edge = np.zeros((4, 96, 96), dtype=np.float32)
    edge[:, 32:64, 32:64] = 0.5
    sensor = replace(PLAIN, blur=0.5)
    steepest = [
        np.abs(np.diff(imaged(edge, sensor, angle, 0.0, 0.5)[0], axis=0)).max()
        for angle in (0, 20, 35, 45, 54)
    ]
    assert all(a > b for a, b in pairwise(steepest))
    tilted = imaged(edge, sensor, 50.0, 0.0, 0.5)[0]
    along = np.abs(np.diff(tilted, axis=0)).max()
    across = np.abs(np.diff(tilted, axis=1)).max()
    assert along < 0.8 * across
    assert [native_gsd_m(a) for a in (7.8, 54.0)] == [0.48, 1.67]
    assert footprint_stretch(0.0) == 1.0


def test_haze_grows_with_the_path_and_is_blue() -> None:
    place = place_of()
    sensor = replace(PLAIN, haze=0.2)
    dark = [
        render(place, Look(angle, 0.0, "table"), sensor).mean(axis=(1, 2)) for angle in (0.0, 50.0)
    ]
    assert dark[0][0] > dark[0][3]
    rise = dark[1] - dark[0]
    assert (rise > 0).all()
    assert rise[0] > rise[2] > rise[3]
