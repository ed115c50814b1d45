"""How a raster is cut: every pixel has one owner, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snet4core.errors import UsageError
from snet4core.windows import Window, blocks, tiles

sizes = st.tuples(st.integers(1, 200), st.integers(1, 200))
places = st.integers(-50, 50)
windows = st.builds(Window, places, places, st.integers(0, 60), st.integers(0, 60))


def owners(shape: tuple[int, int], cut: list[Window]) -> np.ndarray:
    count_HW = np.zeros(shape, dtype=int)
    for window in cut:
        count_HW[window.slices()] += 1
    return count_HW


@given(sizes, st.integers(1, 90))
def test_blocks_cover_every_pixel_once(shape: tuple[int, int], block_px: int) -> None:
    assert (owners(shape, list(blocks(shape, block_px))) == 1).all()


@given(sizes, st.integers(1, 3), st.integers(0, 3), st.sampled_from([8, 16, 32]))
def test_tiles_own_every_pixel_once_and_read_whole_strides(
    shape: tuple[int, int], core: int, halo: int, stride_px: int
) -> None:
    cut = list(tiles(shape, core * stride_px, halo * stride_px, stride_px))
    assert (owners(shape, [tile.own for tile in cut]) == 1).all()
    for tile in cut:
        assert tile.own.within(tile.read) == tile.own
        edges = (tile.read.row, tile.read.col, tile.read.row_stop, tile.read.col_stop)
        assert all(edge % stride_px == 0 for edge in edges)


@given(sizes, sizes)
def test_a_tile_that_stays_inside_does_not_know_the_size(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    """The grid is fixed: growing the raster changes no tile that touches neither border."""
    smaller = (min(one[0], other[0]), min(one[1], other[1]))
    larger = (max(one[0], other[0]), max(one[1], other[1]))
    inner = [t for t in tiles(smaller, 32, 8, 8) if t.read.row_stop < smaller[0]
             and t.read.col_stop < smaller[1]]  # fmt: skip
    assert set(map(repr, inner)) <= set(map(repr, tiles(larger, 32, 8, 8)))


@given(windows, windows)
def test_within_is_the_common_part(one: Window, other: Window) -> None:
    grid_HW = np.zeros((2, 160, 160), dtype=bool)
    origin = Window(-50, -50, 160, 160)
    for layer, window in enumerate((one, other)):
        grid_HW[layer][window.slices(origin)] = True
    common = one.within(other)
    assert common.height * common.width == (grid_HW[0] & grid_HW[1]).sum()


@given(windows, st.integers(0, 9))
def test_grown_and_back_is_the_same(window: Window, margin_px: int) -> None:
    assert window.grown(margin_px).within(window) == window or 0 in window.shape
    assert window.grown(margin_px).height == window.height + 2 * margin_px


def test_slices_select_from_an_array_with_an_origin() -> None:
    array_HW = np.arange(100).reshape(10, 10)
    part_HW = array_HW[Window(2, 3, 5, 5).slices()]
    inner = Window(4, 4, 2, 2)
    assert (part_HW[inner.slices(Window(2, 3, 5, 5))] == array_HW[inner.slices()]).all()


def test_a_hand_worked_row_of_tiles() -> None:
    """900 columns, cores of 512, halo 64, stride 32: the raster ends in the middle of a core."""
    first, second = list(tiles((1, 900), 512, 64, 32))
    assert (first.own, first.read) == (Window(0, 0, 1, 512), Window(0, 0, 32, 576))
    assert (second.own, second.read) == (Window(0, 512, 1, 388), Window(0, 448, 32, 480))


@pytest.mark.parametrize(("core", "halo"), [(100, 32), (128, 20), (0, 0), (16, 0), (128, -32)])
def test_windows_that_do_not_fit_the_stride_are_refused(core: int, halo: int) -> None:
    with pytest.raises(UsageError, match="multiples of 32"):
        list(tiles((64, 64), core, halo, 32))


def test_sizes_below_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="-1 x 4"):
        Window(0, 0, -1, 4)
    with pytest.raises(UsageError, match="at least 1"):
        list(blocks((4, 4), 0))
