"""Set upright: eight ways to store a picture, one way to see it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from snet4core.grid import Grid
from snet4core.scene.orientation import Orientation, orientation_of
from snet4core.windows import Window

UTM16 = CRS.from_epsg(32616)
EIGHT = [Orientation(*flags) for flags in product((False, True), repeat=3)]

orientations = st.sampled_from(EIGHT)
shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))


@given(orientations, shapes)
def test_upright_pixels_lie_where_they_lay(
    orientation: Orientation, shape: tuple[int, int]
) -> None:
    """Every stored pixel, followed through array and grid, stays at its place on the map."""
    stored = Grid(shape, Affine(0.5, 0.1, 7e5, 0.2, -0.5, 3e6), UTM16)
    upright = orientation.upright(stored)
    numbers = orientation.turn(np.arange(shape[0] * shape[1]).reshape(shape))
    assert numbers.shape == upright.shape
    places = np.argwhere(np.ones(upright.shape))
    before = np.column_stack(np.unravel_index(numbers.ravel(), shape))
    np.testing.assert_allclose(
        upright.to_map(places[:, ::-1] + 0.5), stored.to_map(before[:, ::-1] + 0.5), atol=1e-6
    )


@given(orientations, shapes, st.data())
def test_a_window_turned_is_the_window_of_the_turned(
    orientation: Orientation, shape: tuple[int, int], data: st.DataObject
) -> None:
    array = np.arange(shape[0] * shape[1]).reshape(shape)
    rows, cols = orientation.shape(shape)
    row, col = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, cols - 1))
    window = Window(
        row, col, data.draw(st.integers(1, rows - row)), data.draw(st.integers(1, cols - col))
    )
    stored = orientation.stored(window, (rows, cols))
    np.testing.assert_array_equal(
        orientation.turn(array[stored.slices()]), orientation.turn(array)[window.slices()]
    )


@given(orientations, st.floats(-44, 44))
def test_whatever_is_stored_comes_out_upright(orientation: Orientation, turn_deg: float) -> None:
    """North is within 45 degrees of up, and never mirrored."""
    plain = Grid((4, 6), Affine.scale(0.5, -0.5) @ Affine.rotation(turn_deg), UTM16)
    stored = orientation.upright(plain)
    upright = orientation_of(stored).upright(stored)
    np.testing.assert_allclose(upright.transform[:6], plain.transform[:6], atol=1e-9)
    assert upright.shape == plain.shape


def test_an_upright_picture_is_left_alone() -> None:
    grid = Grid((4, 6), Affine(0.5, 0, 7e5, 0, -0.5, 3e6), UTM16)
    assert orientation_of(grid) == Orientation()


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Affine(1, 0, 0, 0, 1, 0), Orientation(rows_flipped=True)),
        (Affine(-1, 0, 0, 0, -1, 0), Orientation(cols_flipped=True)),
        (Affine(0, 1, 0, -1, 0, 0), Orientation(transposed=True)),
    ],
    ids=["south-up", "mirrored", "rows run east"],
)
def test_a_few_by_hand(transform: Affine, expected: Orientation) -> None:
    assert orientation_of(Grid((2, 2), transform, UTM16)) == expected
