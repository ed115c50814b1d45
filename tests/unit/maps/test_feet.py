"""Heights by the feet of buildings: a roof is slid back to where the map of footprints fits it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from snet4core.footprints.from_roofs import displacement_px
from snet4core.grid import Grid
from snet4core.look.look import Look
from snet4core.maps.feet import TILTED_FROM_PX, heights_by_feet
from snet4core.maps.heights import height_m_of, height_value_of

LEAN_PX = (1.2, -1.6)
"""Two pixels for each metre: 45 degrees at half a metre, to the north-east."""
FAINT, SURE = 12, 235


def town(
    true_m: float, said_m: float, *, lean_px: tuple[float, float] = LEAN_PX, corner: int = 90
) -> np.ndarray:
    """Five maps (5, 200, 200) of one building of 24 by 18 pixels, its foot at (corner, corner).

    The height map says `said_m` everywhere.
    """
    maps = np.full((5, 200, 200), FAINT, np.uint8)
    for layer, height_m in ((0, 0.0), (2, true_m)):
        row = corner + round(height_m * lean_px[1])
        col = corner + round(height_m * lean_px[0])
        maps[layer, row : row + 18, col : col + 24] = SURE
        maps[layer + 1, row - 2 : row + 20, col - 2 : col + 26] = SURE
        maps[layer + 1, row + 2 : row + 16, col + 2 : col + 22] = FAINT
    maps[4] = height_value_of(np.array(said_m))
    return maps


def height_of_roof(maps: np.ndarray) -> float:
    """The median over the roof's pixels, as outlines take it."""
    return float(np.median(height_m_of(maps[4][maps[2] == SURE])))


@pytest.mark.parametrize("true_m", [4.0, 7.0, 11.0])
@pytest.mark.parametrize("said_m", [5.0, 8.0, 10.0])
def test_the_foot_corrects_a_height(true_m: float, said_m: float) -> None:
    found_m = height_of_roof(heights_by_feet(town(true_m, said_m), LEAN_PX))
    assert found_m == pytest.approx(true_m, abs=0.75)


@pytest.mark.parametrize("lean_px", [(1.0, 0.0), (0.0, -0.9)])
def test_every_pixel_of_a_small_lean_counts(lean_px: tuple[float, float]) -> None:
    """A metre is half of a pooled pixel there: higher buildings must not get the same height."""
    found_m = [
        height_of_roof(heights_by_feet(town(true_m, 5.5, lean_px=lean_px), lean_px))
        for true_m in (3.0, 4.0, 6.0, 7.0, 8.0)
    ]
    assert found_m == pytest.approx([3.0, 4.0, 6.0, 7.0, 8.0], abs=0.9)
    assert (np.diff(found_m) > 0.3).all()


def test_only_the_height_map_changes_and_the_input_does_not() -> None:
    maps = town(8.0, 5.0)
    before = maps.copy()
    found = heights_by_feet(maps, LEAN_PX)
    np.testing.assert_array_equal(maps, before)
    np.testing.assert_array_equal(found[:4], before[:4])
    far_from_roofs = found[4][150:, :80]
    assert (far_from_roofs == before[4][150:, :80]).all()
    assert (found[4] != before[4]).any()


def test_the_less_a_picture_is_tilted_the_more_the_own_height_counts() -> None:
    off_m = [
        abs(height_of_roof(heights_by_feet(town(9.0, 5.0, lean_px=lean), lean)) - 5.0)
        for lean in ((0.15, 0.0), (0.4, 0.0), (2.0, 0.0))
    ]
    assert off_m[0] < off_m[1] < off_m[2]
    assert off_m[0] < 1.0


def test_a_picture_from_above_keeps_its_heights() -> None:
    maps = town(8.0, 5.0)
    assert heights_by_feet(maps, (TILTED_FROM_PX / 2, 0.0)) is maps


def test_without_footprints_the_own_height_stays() -> None:
    maps = town(8.0, 5.0)
    maps[:2] = FAINT
    assert height_of_roof(heights_by_feet(maps, LEAN_PX)) == pytest.approx(5.0, abs=0.2)


def test_without_roofs_nothing_changes() -> None:
    maps = town(8.0, 5.0)
    maps[2] = FAINT
    assert heights_by_feet(maps, LEAN_PX) is maps


def test_a_foot_outside_of_the_window_gives_no_height() -> None:
    maps = np.ascontiguousarray(town(8.0, 4.0)[:, :, 99:])  # the roof is in it, its foot is not
    maps[0:2] = FAINT
    roof_rows = np.flatnonzero((maps[2] == SURE).any(1))
    maps[0, roof_rows, 2:16] = SURE  # another building, where a roof of 1 m would stand
    assert height_of_roof(heights_by_feet(maps, (8.0, 0.0))) == pytest.approx(4.0, abs=0.2)


def test_a_foot_of_its_own_is_likelier_than_a_part_of_a_large_building() -> None:
    maps = town(10.0, 6.5)
    maps[0, 30:100, 97:170] = SURE  # where a roof 4 m high or lower would stand
    maps[1] = FAINT
    assert height_of_roof(heights_by_feet(maps, LEAN_PX)) == pytest.approx(10.0, abs=1.0)


def test_a_window_of_odd_sides_keeps_its_shape() -> None:
    maps = np.ascontiguousarray(town(8.0, 5.0)[:, :199, :197])
    assert heights_by_feet(maps, LEAN_PX).shape == maps.shape


def test_the_lean_of_a_metre_is_what_moves_roofs() -> None:
    look = Look(37.0, 200.0, "option")
    grid = Grid((50, 60), Affine(0.4, 0.1, 5e5, 0.1, -0.4, 0), CRS.from_epsg(32616))
    assert look.lean_m is not None
    assert math.hypot(*look.lean_m) == pytest.approx(math.tan(math.radians(37.0)))
    centre = np.array([[30.0, 25.0]])
    [one] = grid.pixels_of_offset(np.array([look.lean_m]), centre)
    [ten] = displacement_px(np.array([10.0]), centre, grid, look)
    np.testing.assert_allclose(ten, 10 * one, atol=0.1)
    assert Look(37.0, None, "option").lean_m is None
