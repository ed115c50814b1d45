"""Seams leave no trace: whatever the blocks, the same components come out, once each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage as ndi

from snet4core.errors import UsageError
from snet4core.labels.labels import Labels
from snet4core.labels.seams import complete_components
from snet4core.maps.maps import Maps
from snet4core.windows import Window, blocks

Component = tuple[tuple[tuple[int, int], ...], bytes, bytes]


def maps_of(footprint_HW: NDArray[np.uint8], window: Window | None = None, seed: int = 0) -> Maps:
    """The window's part of a raster of maps whose border map is noise."""
    window = window or Window(0, 0, *footprint_HW.shape)
    border_HW = np.random.default_rng(seed).integers(0, 256, footprint_HW.shape, np.uint8)
    part = window.slices()
    valid_HW = np.ones(window.shape, np.bool_)
    return Maps(window, footprint_HW[part].copy(), border_HW[part].copy(), valid_HW)


def mask_maps(mask_HW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A footprint map that says 0.3 off the mask and 0.55 to 1 on it."""
    noise_HW = np.random.default_rng(1).integers(140, 256, mask_HW.shape, np.uint8)
    return np.where(mask_HW, noise_HW, 76).astype(np.uint8)


def components_of(stream: list[Labels]) -> set[Component]:
    """Each component as its raster pixels and its values of both maps, in raster order."""
    found = set()
    for labels in stream:
        assert set(np.unique(labels.labels_HW)) | {0} == set(range(labels.count + 1))
        outside = labels.labels_HW == 0
        assert not labels.footprint_HW[outside].any()
        assert not labels.border_HW[outside].any()
        for i in range(1, labels.count + 1):
            rows, cols = np.nonzero(labels.labels_HW == i)
            pixels = zip(
                (rows + labels.origin_N2[i, 0]).tolist(),
                (cols + labels.origin_N2[i, 1]).tolist(),
                strict=True,
            )
            component = (
                tuple(pixels),
                labels.footprint_HW[rows, cols].tobytes(),
                labels.border_HW[rows, cols].tobytes(),
            )
            assert component not in found
            found.add(component)
    return found


def oracle(maps: Maps, threshold: float, min_area_px: float = 0) -> set[Component]:
    """The same from SciPy's labels of the whole raster."""
    labels_HW, count = ndi.label((maps.footprint_HW >= threshold * 255) & maps.valid_HW)
    found = set()
    for i in range(1, count + 1):
        rows, cols = np.nonzero(labels_HW == i)
        if rows.size >= min_area_px:
            pixels = tuple(zip(rows.tolist(), cols.tolist(), strict=True))
            footprint = maps.footprint_HW[rows, cols].tobytes()
            found.add((pixels, footprint, maps.border_HW[rows, cols].tobytes()))
    return found


@st.composite
def cut_lines(draw: st.DrawFn, length: int) -> list[int]:
    inner = draw(st.lists(st.integers(1, max(1, length - 1)), max_size=6, unique=True))
    return [0, *sorted(set(inner) - {length}), length]


@st.composite
def uneven_blocks(draw: st.DrawFn, shape: tuple[int, int]) -> list[Window]:
    """Cover a raster by bands of rows, each cut into its own columns, in any order."""
    windows = []
    rows = draw(cut_lines(shape[0]))
    for top, bottom in pairwise(rows):
        cols = draw(cut_lines(shape[1]))
        for left, right in pairwise(cols):
            windows.append(Window(top, left, bottom - top, right - left))
    return draw(st.permutations(windows))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Maps, list[Window]]:
    """Random maps, from specks to meshes, partly without data, and how they are cut."""
    rows, cols = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    footprint_HW = np.where(
        rng.random((rows, cols)) < draw(st.floats(0.2, 0.95)),
        rng.integers(128, 256, (rows, cols)),
        rng.integers(0, 128, (rows, cols)),
    ).astype(np.uint8)
    valid_HW = rng.random((rows, cols)) < draw(st.sampled_from([1.0, 0.9, 0.5]))
    border_HW = rng.integers(0, 256, (rows, cols), np.uint8)
    maps = Maps(Window(0, 0, rows, cols), footprint_HW, border_HW, valid_HW)
    return maps, draw(uneven_blocks((rows, cols)))


def parts(maps: Maps, windows: list[Window]) -> list[Maps]:
    return [
        Maps(
            w, maps.footprint_HW[w.slices()], maps.border_HW[w.slices()], maps.valid_HW[w.slices()]
        )
        for w in windows
    ]


@settings(max_examples=150, deadline=None)
@given(cases(), st.integers(0, 6))
def test_any_blocks_in_any_order_give_the_components_of_the_whole(
    case: tuple[Maps, list[Window]], min_area_px: int
) -> None:
    maps, windows = case
    stream = list(complete_components(parts(maps, windows), maps.window.shape, 0.5, min_area_px))
    assert components_of(stream) == oracle(maps, 0.5, min_area_px)


def spiral(size: int) -> NDArray[np.bool_]:
    """A path 1 px wide with 1 px between its turns, from the corner to the centre."""
    mask_HW = np.zeros((size, size), np.bool_)
    row, col, step, (dr, dc) = 0, 0, size - 1, (0, 1)
    mask_HW[0, 0] = True
    lengths = [size - 1, size - 1, size - 1]
    while step > 2:
        step -= 2
        lengths += [step, step]
    for length in lengths:
        stop_row, stop_col = row + dr * length, col + dc * length
        mask_HW[min(row, stop_row) : max(row, stop_row) + 1, :][
            :, min(col, stop_col) : max(col, stop_col) + 1
        ] = True
        row, col, (dr, dc) = stop_row, stop_col, (dc, -dr)
    return mask_HW


def comb(size: int) -> NDArray[np.bool_]:
    mask_HW = np.zeros((size, size), np.bool_)
    mask_HW[:, ::2] = True
    mask_HW[-1] = True
    return mask_HW


def rings(size: int) -> NDArray[np.bool_]:
    """Courtyards around courtyards: rings that enclose each other without touching."""
    row, col = np.indices((size, size))
    distance = np.minimum.reduce([row, col, size - 1 - row, size - 1 - col])
    odd_HW: NDArray[np.bool_] = distance % 2 == 0
    return odd_HW


@pytest.mark.parametrize(("shape", "count"), [(spiral, 1), (comb, 1), (rings, 9)])
@pytest.mark.parametrize("block_px", [1, 7, 16, 33])
def test_shapes_that_wind_through_many_blocks(
    shape: Callable[[int], NDArray[np.bool_]], count: int, block_px: int
) -> None:
    mask_HW = shape(33)
    maps = maps_of(mask_maps(mask_HW))
    stream = list(complete_components(parts(maps, list(blocks((33, 33), block_px))), (33, 33), 0.5))
    found = components_of(stream)
    assert len(found) == count
    assert found == oracle(maps, 0.5)


def test_one_component_as_large_as_the_scene_is_one() -> None:
    footprint_HW = np.full((1500, 1500), 255, np.uint8)
    footprint_HW[5::10, 1:-1] = 0  # a sieve: open at both ends
    maps = maps_of(footprint_HW)
    (labels,) = complete_components(parts(maps, list(blocks((1500, 1500), 100))), (1500, 1500), 0.5)
    assert labels.count == 1
    labels = labels.at_home(maps.window)
    assert np.array_equal(labels.labels_HW > 0, footprint_HW > 0)
    assert np.array_equal(labels.border_HW, np.where(footprint_HW > 0, maps.border_HW, 0))


def test_a_checkerboard_of_millions_of_specks_is_dropped_or_kept_in_linear_work() -> None:
    footprint_HW = (np.indices((2048, 2048)).sum(axis=0) % 2 * 255).astype(np.uint8)
    maps = maps_of(footprint_HW)
    pieces = parts(maps, list(blocks((2048, 2048), 512)))
    assert list(complete_components(pieces, (2048, 2048), 0.5, min_area_px=2)) == []
    stream = list(complete_components(pieces, (2048, 2048), 0.5))
    assert sum(labels.count for labels in stream) == 2048 * 2048 // 2
    assert sum(int((labels.labels_HW > 0).sum()) for labels in stream) == 2048 * 2048 // 2


def test_nodata_is_never_foreground_and_cuts_a_building() -> None:
    maps = maps_of(np.full((8, 9), 255, np.uint8))
    maps.valid_HW[:, 4] = False
    stream = list(complete_components(parts(maps, list(blocks((8, 9), 3))), (8, 9), 0.5))
    found = components_of(stream)
    assert sorted(len(pixels) for pixels, _, _ in found) == [32, 32]


def test_a_speck_at_a_seam_is_measured_with_its_other_half() -> None:
    mask_HW = np.zeros((4, 8), np.bool_)
    mask_HW[1, 3:5] = True  # one pixel on either side of the seam at column 4
    mask_HW[3, 3] = True
    maps = maps_of(mask_maps(mask_HW))
    (labels,) = complete_components(
        parts(maps, list(blocks((4, 8), 4))), (4, 8), 0.5, min_area_px=2
    )
    assert labels.at_home(Window(1, 3, 1, 2)).labels_HW.tolist() == [[1, 1]]


def test_labels_are_numbered_by_their_first_pixel() -> None:
    mask_HW = np.random.default_rng(0).random((60, 60)) < 0.45
    maps = maps_of(mask_maps(mask_HW))
    for labels in complete_components(parts(maps, list(blocks((60, 60), 20))), (60, 60), 0.5):
        image_HW = labels.at_home(maps.window).labels_HW
        label_P = image_HW[image_HW > 0]
        _, first_N = np.unique(label_P, return_index=True)
        assert first_N.tolist() == sorted(first_N.tolist())


@pytest.mark.parametrize(
    ("windows", "word"),
    [
        ([Window(0, 0, 4, 3)], "uncovered"),
        ([Window(0, 0, 4, 2), Window(0, 0, 4, 2)], "twice"),
        ([Window(0, 0, 4, 4), Window(1, 0, 2, 1)], "covered before"),
        ([Window(0, 0, 4, 5)], "beyond"),
    ],
)
def test_blocks_that_do_not_cover_once_are_refused(windows: list[Window], word: str) -> None:
    whole = np.full((9, 9), 255, np.uint8)
    pieces = [maps_of(whole, w) for w in windows]
    with pytest.raises(UsageError, match=word):
        list(complete_components(pieces, (4, 4), 0.5))


def test_maps_of_another_size_than_their_window_are_refused() -> None:
    narrow = np.zeros((4, 3), np.uint8)
    maps = Maps(Window(0, 0, 4, 4), narrow, narrow, np.ones((4, 4), np.bool_))
    with pytest.raises(UsageError, match="footprint_HW has shape"):
        list(complete_components([maps], (4, 4), 0.5))
