"""Roofs move back to where their buildings stand, on any grid, and in blocks of any size."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from snet4core.footprints import ordering
from snet4core.footprints.footprints import Footprints, Source, concatenated, to_arrays
from snet4core.footprints.from_roofs import displacement_px
from snet4core.footprints.shaping import Shaping, footprints_from
from snet4core.grid import Grid
from snet4core.look.look import Look
from snet4core.maps.maps import Maps
from snet4core.settings import ShapeSettings
from snet4core.windows import blocks
from tests.helpers.roofs import HOUSES, House, maps_of, north_up_shift

UTM = CRS.from_epsg(32616)
SHAPE = (240, 240)
# On the central meridian, where north is up exactly.
NORTH_UP = Grid(SHAPE, Affine(0.5, 0, 499950, 0, -0.5, 3724689), UTM)
EXACT = ShapeSettings(simplify_m=0.0, min_area_m2=0.0)


def source_at(look: Look | None, grid: Grid = NORTH_UP) -> Source:
    return Source("scene", grid.crs, look, has_roofs=True)


def found(maps: Maps, look: Look | None, grid: Grid = NORTH_UP, block_px: int = 4096) -> Footprints:
    source = source_at(look, grid)
    pieces = [maps.part(window) for window in blocks(grid.shape, block_px)]
    return concatenated(source, list(footprints_from(pieces, grid, EXACT, source)))


@pytest.mark.parametrize("off_nadir_deg", [0.0, 25.0, 47.0])
@pytest.mark.parametrize("azimuth_deg", [0.0, 73.0, 180.0, 250.0])
def test_boxes_stand_again_where_they_were_built(off_nadir_deg: float, azimuth_deg: float) -> None:
    look = Look(off_nadir_deg, azimuth_deg, "option")
    table = found(maps_of(HOUSES, SHAPE, north_up_shift(look, 0.5)), look)
    by_height = {each.height_m: each for each in table}
    assert sorted(by_height) == sorted(house.eaves_m for house in HOUSES)
    assert table.roofs_px is not None
    for index, each in enumerate(table):
        [house] = [one for one in HOUSES if one.eaves_m == each.height_m]
        # Burning a roof moves its edges by up to half a pixel, the rounded height a little.
        common = table.polygons_px_N[index].intersection(house.ground).area
        assert common / table.polygons_px_N[index].union(house.ground).area > 0.88
        roof = table.roofs_px.polygons_N[index]
        assert roof.area == pytest.approx(table.polygons_px_N[index].area)
        shift = math.hypot(
            roof.centroid.x - table.polygons_px_N[index].centroid.x,
            roof.centroid.y - table.polygons_px_N[index].centroid.y,
        )
        expected_px = house.eaves_m * math.tan(math.radians(off_nadir_deg)) / 0.5
        assert shift == pytest.approx(expected_px, rel=2e-3, abs=2e-3)


GRIDS = {
    "north up": NORTH_UP.transform,
    "south up": Affine(0.5, 0, 499950, 0, 0.5, 3724600),
    "mirrored": Affine(-0.5, 0, 500050, 0, -0.5, 3724689),
    "turned": Affine.translation(499950, 3724689) @ Affine.rotation(33) @ Affine.scale(0.5, -0.5),
    "long pixels": Affine(0.4, 0, 499950, 0, -0.7, 3724689),
    "sheared": Affine(0.5, 0.1, 499950, 0.05, -0.4, 3724689),
}


@pytest.mark.parametrize("transform", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("azimuth_deg", [0.0, 40.0, 200.0])
def test_on_any_grid_the_way_on_the_map_is_that_of_the_look(
    transform: Affine, azimuth_deg: float
) -> None:
    grid, look = Grid(SHAPE, transform, UTM), Look(45.0, azimuth_deg, "option")
    places_N2 = np.array([[100.0, 90.0], [10.0, 10.0]])
    shift_N2 = displacement_px(np.array([20.0, 20.0]), places_N2, grid, look)
    moved_N2 = grid.to_map(places_N2 + shift_N2) - grid.to_map(places_N2)
    turn = math.radians(azimuth_deg)
    # The projection shrinks lengths by 0.9996 here; a corner is rounded to a thousandth.
    assert moved_N2 == pytest.approx(
        np.tile([20 * 0.9996 * math.sin(turn), 20 * 0.9996 * math.cos(turn)], (2, 1)), abs=2e-3
    )


@pytest.mark.parametrize(
    ("crs", "transform", "metres"),
    [
        # A degree is 110,574 m to the north at the equator, and 111,320 m to the east.
        ("EPSG:4326", Affine(4.5e-6, 0, 0, 0, -4.5e-6, 0), (4.5e-6 * 111320, 4.5e-6 * 110574)),
        ("EPSG:2263", Affine(1.5, 0, 984250, 0, -1.5, 200000), (0.4572, 0.4572)),
    ],
    ids=["degrees", "feet"],
)
def test_in_degrees_and_feet_roofs_move_by_metres(
    crs: str, transform: Affine, metres: tuple[float, float]
) -> None:
    grid = Grid(SHAPE, transform, CRS.from_user_input(crs))
    for azimuth_deg, axis, sign in ((90.0, 0, 1), (0.0, 1, -1)):
        look = Look(45.0, azimuth_deg, "option")
        [shift] = displacement_px(np.array([30.0]), np.array([[100.0, 90.0]]), grid, look)
        assert shift[axis] == pytest.approx(sign * 30 / metres[axis], rel=1e-3)
        assert abs(shift[1 - axis]) < 0.2


def test_without_an_azimuth_or_tilt_nothing_moves_and_heights_stay() -> None:
    look = Look(25.0, 90.0, "option")
    maps = maps_of(HOUSES, SHAPE, north_up_shift(look, 0.5))
    for other in (None, Look(25.0, None, "option"), Look(0.9, 90.0, "option")):
        table = found(maps, other)
        assert table.roofs_px is not None
        assert table.shapes_px.wkb_N.tolist() == table.roofs_px.wkb_N.tolist()
        assert sorted(table.height_m_N.tolist()) == sorted(each.eaves_m for each in HOUSES)


def test_blocks_of_any_size_give_the_same_bytes() -> None:
    look = Look(47.0, 200.0, "option")
    rng = np.random.default_rng(5)
    ragged = maps_of(HOUSES, SHAPE, north_up_shift(look, 0.5))
    layers = [np.where(rng.random(SHAPE) < 0.9, each, 255 - each) for each in ragged.layers]
    maps = Maps.of(ragged.window, layers, ragged.valid_HW)
    whole = {name: array.tobytes() for name, array in to_arrays(found(maps, look)).items()}
    for block_px in (17, 64, 101):
        again = to_arrays(found(maps, look, block_px=block_px))
        assert {name: array.tobytes() for name, array in again.items()} == whole


def test_a_footprint_may_reach_beyond_the_edge_of_the_picture() -> None:
    house = House(2, 2, 20, 20, 140)
    look = Look(45.0, 0.0, "option")
    maps = maps_of([house], SHAPE, lambda _: (0.0, 0.0))
    [one] = found(maps, Look(45.0, 180.0, "option"))
    assert shapely.bounds(np.array([one.polygon]))[0][3] > NORTH_UP.transform.f
    [other] = found(maps, look)
    assert other.area_m2 == pytest.approx(one.area_m2, rel=1e-4)
    assert one.area_m2 == pytest.approx(house.ground.area * 0.25, rel=2e-3)


def test_of_two_that_overlap_on_the_ground_the_later_roof_yields_however_far_it_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tower far below moves up onto a hut, with many batches between their roofs."""
    look = Look(45.0, 180.0, "option")  # roofs lean south: footprints lie north of them
    hut, tower = House(40, 20, 20, 12, 0), House(44, 24, 12, 20, 180)
    others = [House(215, 10 + 8 * n, 6, 5, 0) for n in range(15)]
    maps = maps_of([hut, tower, *others], SHAPE, north_up_shift(look, 0.5))
    whole = found(maps, look)
    monkeypatch.setattr(ordering, "BATCH", 2)
    batched = found(maps, look)
    assert to_arrays(batched)["px.wkb"].tobytes() == to_arrays(whole)["px.wkb"].tobytes()
    [index] = np.flatnonzero(batched.height_m_N == tower.eaves_m)
    left = batched.polygons_px_N[index]
    assert left.intersection(hut.ground).area < 1e-6
    assert left.area < 12 * 20
    assert batched.roofs_px is not None
    assert batched.roofs_px.polygons_N[index].area == pytest.approx(12 * 20)


@pytest.mark.parametrize("stored", [Affine(0, 1, 0, 1, 0, 0), Affine(1, 0, 0, 0, -1, SHAPE[0])])
def test_a_scene_stored_on_its_side_loses_no_overlap_between_batches(
    stored: Affine, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Look(45.0, 180.0, "option")
    hut, tower = House(40, 20, 20, 12, 0), House(44, 24, 12, 20, 180)
    others = [House(215, 10 + 8 * n, 6, 5, 0) for n in range(15)]
    maps = maps_of([hut, tower, *others], SHAPE, north_up_shift(look, 0.5))
    shape = SHAPE[::-1] if stored.a == 0 else SHAPE
    native = Grid(shape, NORTH_UP.transform @ stored, UTM)
    told = []
    for size in (10_000, 2):
        monkeypatch.setattr(ordering, "BATCH", size)
        source = source_at(look)
        stream = footprints_from([maps], NORTH_UP, EXACT, source, native=native)
        told.append(to_arrays(concatenated(source, list(stream)))["px.wkb"].tobytes())
    assert told[0] == told[1]


def test_a_kept_recipe_knows_of_the_roofs() -> None:
    shaping = Shaping(NORTH_UP, EXACT, source_at(Look(30.0, 10.0, "option")))
    assert Shaping.from_json(shaping.as_json()) == shaping
    plain = Shaping(NORTH_UP, EXACT, Source("scene", UTM))
    assert "has_roofs" not in plain.as_json()
