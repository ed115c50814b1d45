"""Pixel and map are two names of the same place; ground areas are true in every CRS."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points

from snet4core.errors import InputError
from snet4core.grid import Grid

UTM16 = CRS.from_epsg(32616)
ATLANTA = Affine(0.5, 0, 733601, 0, -0.5, 3725139)

pixel_sizes = st.floats(0.05, 30)
signs = st.sampled_from([-1.0, 1.0])


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    """North-up, south-up, turned, sheared, of any pixel shape, anywhere in a UTM zone."""
    return (
        Affine.translation(draw(st.floats(2e5, 8e5)), draw(st.floats(1e6, 9e6)))
        @ Affine.rotation(draw(st.floats(-180, 180)))
        @ Affine.shear(draw(st.floats(-40, 40)), 0)
        @ Affine.scale(draw(pixel_sizes) * draw(signs), draw(pixel_sizes) * draw(signs))
    )


points = st.lists(st.tuples(st.floats(-10, 5000), st.floats(-10, 5000)), min_size=1, max_size=9)


@given(affines(), points)
def test_pixel_to_map_to_pixel_is_the_identity(
    transform: Affine, pixels: list[tuple[float, float]]
) -> None:
    grid = Grid((100, 80), transform, UTM16)
    there_and_back = grid.to_pixels(grid.to_map(np.array(pixels)))
    np.testing.assert_allclose(there_and_back, pixels, atol=1e-4)


@given(affines(), st.integers(1, 9), st.integers(1, 3), points)
def test_a_scaled_grid_has_its_pixels_at_the_same_places(
    transform: Affine, coarser: int, finer: int, pixels: list[tuple[float, float]]
) -> None:
    grid = Grid((100, 80), transform, UTM16)
    scaled = grid.scaled(coarser, finer)
    own = np.array(pixels)
    np.testing.assert_allclose(grid.to_map(own), scaled.to_map(own * finer / coarser), atol=1e-6)
    for side, length in zip((100, 80), scaled.shape, strict=True):
        assert (length - 1) * coarser < side * finer <= length * coarser


@given(affines())
def test_the_area_is_that_of_the_parallelogram(transform: Affine) -> None:
    """In the middle of its zone, UTM shortens lengths by 0.9996."""
    middle = Affine.translation(500000 - transform.c, 4e6 - transform.f) @ transform
    area_m2 = Grid((1, 1), middle, UTM16).pixel_area_m2(np.array([[0.5, 0.5]]))[0]
    assert area_m2 == pytest.approx(abs(transform.determinant) / 0.9996**2, rel=1e-3)


def in_crs(crs: CRS, size: float) -> Grid:
    """Pixels of about `size` units around one place in Atlanta, in another CRS."""
    x, y = warp_points(UTM16, crs, [741000.0], [3730000.0])
    return Grid((10, 10), Affine(size, 0, x[0], 0, -size, y[0]), crs)


@pytest.mark.parametrize(
    ("crs", "size", "area_m2"),
    [
        (UTM16, 0.5, 0.25),
        (CRS.from_epsg(2240), 0.5 / 0.3048006096, 0.25),  # Georgia West, US survey feet.
        (CRS.from_epsg(3857), 0.5 / math.cos(math.radians(33.68)), 0.25),
        (CRS.from_string("EPSG:32616+5773"), 0.5, 0.25),
        (CRS.from_proj4("+proj=aea +lat_1=29 +lat_2=45 +lat_0=23 +lon_0=-96 +units=m"), 0.5, 0.25),
    ],
    ids=["metres", "feet", "web mercator", "compound", "custom"],
)
def test_ground_area_does_not_depend_on_the_unit(crs: CRS, size: float, area_m2: float) -> None:
    grid = in_crs(crs, size)
    assert grid.pixel_area_m2(np.array([[5.0, 5.0]]))[0] == pytest.approx(area_m2, rel=5e-3)
    assert grid.gsd_m == pytest.approx(0.5, rel=5e-3)


def test_degrees_are_measured_on_the_ground() -> None:
    """At 60 degrees north a degree of longitude is half as long as at the equator."""
    step = 1e-5
    degrees = CRS.from_epsg(4326)
    at_equator, at_sixty = (
        Grid((4, 4), Affine(step, 0, 25, 0, -step, latitude), degrees).gsd_m for latitude in (0, 60)
    )
    assert at_equator == pytest.approx(1.1095, rel=5e-3)
    assert (at_sixty / at_equator) ** 2 == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize(
    ("crs", "x", "y"),
    [(CRS.from_epsg(3413), 0.0, 0.0), (CRS.from_epsg(3031), 1e5, 1e5)],
    ids=["north pole", "antarctica"],
)
def test_at_the_poles_areas_are_finite_and_near(crs: CRS, x: float, y: float) -> None:
    grid = Grid((10, 10), Affine(0.5, 0, x, 0, -0.5, y), crs)
    assert grid.gsd_m == pytest.approx(0.5, rel=0.05)


def test_across_the_antimeridian_areas_are_as_elsewhere() -> None:
    here, there = (
        Grid((10, 10), Affine(1e-5, 0, lon, 0, -1e-5, -17), CRS.from_epsg(4326))
        for lon in (179.99995, 25)
    )
    assert here.gsd_m == pytest.approx(there.gsd_m, rel=1e-4)


def test_a_crs_without_a_place_on_earth_counts_in_its_own_unit() -> None:
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["foot",0.3048]]')
    assert Grid((4, 4), Affine(2, 0, 0, 0, -2, 0), local).gsd_m == pytest.approx(0.6096)


@pytest.mark.parametrize(
    ("crs", "transform", "aspect"),
    [
        (UTM16, Affine(0.5, 0, 166_000, 0, -0.5, 7_000_000), 1.0),
        (UTM16, Affine(0.25, 0, 741_000, 0, -0.5, 3_730_000), 0.5),
        (CRS.from_epsg(3857), Affine(0.5, 0, 0, 0, -0.5, 8_400_000), 1.0),
        (CRS.from_epsg(4326), Affine(5e-6, 0, 24.9, 0, -5e-6, 60.0), 0.5),
        (CRS.from_epsg(4326), Affine(0, 5e-6, 24.9, -5e-6, 0, 60.0), 2.0),
    ],
    ids=["utm, far from its middle", "oblong", "mercator", "degrees", "degrees, turned"],
)
def test_the_aspect_is_that_on_the_ground(crs: CRS, transform: Affine, aspect: float) -> None:
    found = Grid((100, 100), transform, crs).aspect
    assert found == aspect if aspect == 1 else found == pytest.approx(aspect, rel=0.005)


@given(st.floats(-180, 180))
def test_up_turns_with_the_picture(turn_deg: float) -> None:
    """In the middle of its zone, UTM's north is true north."""
    turned = Affine.translation(500000, 4e6) @ Affine.rotation(turn_deg) @ Affine.scale(0.5, -0.5)
    up_deg = Grid((1, 1), turned, UTM16).up_deg
    assert abs((up_deg + turn_deg + 180) % 360 - 180) < 0.01


@pytest.mark.parametrize(
    ("crs", "x", "y", "up_deg"),
    [
        (UTM16, 741000, 3730000, 1.44),  # Atlanta: 2.6 degrees east of its zone's middle.
        (CRS.from_epsg(4326), -84, 33, 0.0),
        (CRS.from_epsg(3413), 1e6, 0.0, 90.0),  # North is left; up is a quarter turn on.
        (CRS.from_epsg(3413), 0.0, 1e6, 180.0),
    ],
    ids=["utm", "degrees", "beside the pole", "above the pole"],
)
def test_up_is_measured_against_true_north(crs: CRS, x: float, y: float, up_deg: float) -> None:
    step = 1e-5 if crs.is_geographic else 0.5
    got = Grid((2, 2), Affine(step, 0, x, 0, -step, y), crs).up_deg
    assert abs((got - up_deg + 180) % 360 - 180) < 0.02


@pytest.mark.parametrize(
    "transform",
    [Affine(0, 0, 5, 0, -1, 5), Affine(1, 2, 0, 2, 4, 0), Affine(math.nan, 0, 0, 0, 1, 0),
     Affine(1, 0, math.inf, 0, 1, 0)],
)  # fmt: skip
def test_a_transform_that_cannot_be_inverted_is_refused(transform: Affine) -> None:
    with pytest.raises(InputError, match="cannot be inverted"):
        Grid((4, 4), transform, UTM16)


def test_a_raster_without_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        Grid((0, 4), ATLANTA, UTM16)
