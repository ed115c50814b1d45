"""Maps on disk: what is read back is what was written, in blocks of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from snet4core.errors import InputError, OutputError
from snet4core.grid import Grid
from snet4core.look.look import Look
from snet4core.maps.file import MapsFile, MapsOrigin, open_maps, saved
from snet4core.maps.maps import Maps
from snet4core.scene.scene import open_scene
from snet4core.settings import Calibration, ShapeSettings, SplitSettings
from snet4core.windows import Window, blocks

Picture = Callable[..., Path]

ORIGIN = MapsOrigin(
    scene='Atlanta "nadir32"\n\u00e9',
    look=Look(32.5, 182.8, "metadata"),
    model="default",
    model_digest="ab" * 32,
    shapes=ShapeSettings(threshold=0.41, split=SplitSettings(seed_threshold=0.7)),
    confidence_knots=Calibration(((0.0, 0.1), (0.5, 0.55), (1.0, 0.9))),
    image_id="Atlanta_nadir32_1_2",
    native_shape=(122, 166),
    native_transform=(0.25, 0.0, 733601.1, 0.0, -0.25, 3725139.7),
)


def some_maps(shape: tuple[int, int], seed: int = 0) -> Maps:
    rng = np.random.default_rng(seed)
    valid_HW = rng.random(shape) > 0.2
    footprint_HW, border_HW = rng.integers(0, 256, (2, *shape), dtype=np.uint8) * valid_HW
    return Maps(Window(0, 0, *shape), footprint_HW, border_HW, valid_HW)


def cut(maps: Maps, block_px: int) -> Iterator[Maps]:
    for window in blocks(maps.window.shape, block_px):
        part = window.slices()
        yield Maps(window, maps.footprint_HW[part], maps.border_HW[part], maps.valid_HW[part])


def joined(found: MapsFile, block_px: int) -> Maps:
    shape = found.grid.shape
    whole = Maps(
        Window(0, 0, *shape),
        np.zeros(shape, np.uint8),
        np.zeros(shape, np.uint8),
        np.zeros(shape, bool),
    )
    for part in found.blocks(block_px):
        where = part.window.slices()
        whole.footprint_HW[where] = part.footprint_HW
        whole.border_HW[where] = part.border_HW
        whole.valid_HW[where] = part.valid_HW
    return whole


def assert_same(one: Maps, other: Maps) -> None:
    np.testing.assert_array_equal(one.footprint_HW, other.footprint_HW)
    np.testing.assert_array_equal(one.border_HW, other.border_HW)
    np.testing.assert_array_equal(one.valid_HW, other.valid_HW)


transforms = st.builds(
    lambda x, y, size, turn, flip: (
        Affine.translation(x, y) @ Affine.rotation(turn) @ Affine.scale(size, -size * flip)
    ),
    st.floats(2e5, 8e5),
    st.floats(1e6, 9e6),
    st.floats(0.1, 2),
    st.sampled_from([0.0, 0.0, 17.3, 90.0]),
    st.sampled_from([1, 1, -1]),
)


def alone(maps: Maps) -> tuple[Maps]:
    """A stream of maps and nothing else."""
    return (maps,)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    written=st.integers(5, 100),
    read=st.integers(5, 100),
    transform=transforms,
    order=st.randoms(use_true_random=False),
)
def test_maps_come_back_as_they_went(
    tmp_path: Path, shape: tuple[int, int], written: int, read: int, transform: Affine, order: Any
) -> None:
    """Pixels, grid and origin, for any blocks in any order."""
    maps = some_maps(shape)
    grid = Grid(shape, transform, CRS.from_epsg(32616))
    path = tmp_path / "maps.tif"
    parts = list(cut(maps, written))
    order.shuffle(parts)
    passed_on = list(saved(parts, path, grid, ORIGIN, alone, overwrite=True))
    assert passed_on == parts
    found = open_maps(path)
    assert_same(joined(found, read), maps)
    assert found.origin == ORIGIN
    assert (found.grid.shape, found.grid.crs) == (shape, grid.crs)
    # Within a billionth of a pixel: TIFF stores a turned grid as the same numbers, a plain
    # one as size and corner.
    np.testing.assert_allclose(found.grid.transform[:6], transform[:6], rtol=1e-12, atol=1e-9)


def test_a_plain_grid_comes_back_to_the_bit(tmp_path: Path) -> None:
    transform = Affine(0.30000000000000004, 0, 733601.123456789, 0, -0.3, 3725139.987654321)
    grid = Grid((9, 9), transform, CRS.from_epsg(32616))
    list(saved([some_maps((9, 9))], tmp_path / "maps.tif", grid, MapsOrigin(), alone))
    assert open_maps(tmp_path / "maps.tif").grid.transform == transform


@pytest.mark.parametrize(
    "crs",
    [
        CRS.from_epsg(4326),
        CRS.from_epsg(2240),
        CRS.from_epsg(26986),
        CRS.from_string("EPSG:32616+5773"),
        CRS.from_proj4("+proj=laea +lat_0=33.7 +lon_0=-84.4 +datum=WGS84 +units=m"),
        CRS.from_proj4("+proj=tmerc +lat_0=10 +lon_0=77 +k=0.99 +x_0=5 +ellps=bessel +units=m"),
    ],
    ids=["degrees", "feet", "massachusetts", "compound", "equal area", "custom datum"],
)
def test_the_crs_comes_back(tmp_path: Path, crs: CRS) -> None:
    grid = Grid((4, 4), Affine(1e-5, 0, 10, 0, -1e-5, 20), crs)
    list(saved([some_maps((4, 4))], tmp_path / "maps.tif", grid, MapsOrigin(), alone))
    assert open_maps(tmp_path / "maps.tif").grid.crs == crs


@pytest.fixture
def grid() -> Grid:
    return Grid((40, 50), Affine(0.5, 0, 733601, 0, -0.5, 3725139), CRS.from_epsg(32616))


def test_the_file_is_an_ordinary_geotiff(tmp_path: Path, grid: Grid) -> None:
    maps = some_maps(grid.shape)
    path = tmp_path / "maps.tif"
    list(saved(cut(maps, 16), path, grid, ORIGIN, alone))
    with rasterio.open(path) as dataset:
        assert dataset.descriptions == ("footprint", "border")
        np.testing.assert_array_equal(dataset.read(1), maps.footprint_HW)
        np.testing.assert_array_equal(dataset.dataset_mask() > 0, maps.valid_HW)
        assert (dataset.crs, dataset.transform) == (grid.crs, grid.transform)
    assert [p.name for p in tmp_path.iterdir()] == ["maps.tif"]


def test_the_native_grid_is_remembered(tmp_path: Path, grid: Grid) -> None:
    list(saved([some_maps(grid.shape)], tmp_path / "maps.tif", grid, ORIGIN, alone))
    native = open_maps(tmp_path / "maps.tif").native
    assert native is not None
    assert native.transform[:6] == ORIGIN.native_transform
    list(saved([some_maps(grid.shape)], tmp_path / "b.tif", grid, MapsOrigin(), alone))
    assert open_maps(tmp_path / "b.tif").native is None


def test_windows_that_never_came_are_no_data(tmp_path: Path, grid: Grid) -> None:
    maps = some_maps(grid.shape)
    first = next(cut(maps, 20))
    list(saved([first], tmp_path / "maps.tif", grid, MapsOrigin(), alone))
    got = joined(open_maps(tmp_path / "maps.tif"), 64)
    assert_same(next(cut(got, 20)), first)
    assert got.valid_HW.sum() == first.valid_HW.sum()


def test_what_lies_under_no_data_is_not_kept(tmp_path: Path, grid: Grid) -> None:
    shape = grid.shape
    full_HW = np.full(shape, 200, np.uint8)
    maps = Maps(Window(0, 0, *shape), full_HW, full_HW, np.zeros(shape, bool))
    list(saved([maps], tmp_path / "maps.tif", grid, MapsOrigin(), alone))
    assert not joined(open_maps(tmp_path / "maps.tif"), 64).footprint_HW.any()


# --- Nothing half done ---


@pytest.mark.parametrize("end", ["error", "abandoned"])
@pytest.mark.parametrize("before", [None, b"an older file"])
def test_an_unfinished_stream_leaves_what_was_there(
    tmp_path: Path, grid: Grid, end: str, before: bytes | None
) -> None:
    path = tmp_path / "maps.tif"
    if before is not None:
        path.write_bytes(before)

    def broken() -> Iterator[Maps]:
        yield from list(cut(some_maps(grid.shape), 16))[:2]
        raise InputError("the scene broke")

    stream = saved(broken(), path, grid, MapsOrigin(), alone, overwrite=True)
    next(stream)
    if end == "error":
        with pytest.raises(InputError, match="the scene broke"):
            list(stream)
    else:
        stream.close()
    assert (path.read_bytes() if path.exists() else None) == before
    assert len(list(tmp_path.iterdir())) == (before is not None)


def test_an_existing_file_is_not_replaced_unasked(tmp_path: Path, grid: Grid) -> None:
    path = tmp_path / "maps.tif"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"):
        list(saved([some_maps(grid.shape)], path, grid, MapsOrigin(), alone))
    assert path.read_bytes() == b"precious"


# --- Maps from elsewhere ---


def test_foreign_bytes_are_probabilities_without_border(picture: Picture) -> None:
    map_HW = np.random.default_rng(1).integers(0, 256, (30, 40), dtype=np.uint8)
    found = open_maps(picture(map_HW))
    got = joined(found, 7)
    np.testing.assert_array_equal(got.footprint_HW, map_HW)
    assert not got.border_HW.any()
    assert got.valid_HW.all()
    assert found.origin == MapsOrigin()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_foreign_fractions_are_quantised(picture: Picture, dtype: str) -> None:
    map_HW = np.array([[0, 0.25, 0.5, 1.0, np.nan]], dtype=dtype)
    got = joined(open_maps(picture(map_HW)), 64)
    assert got.footprint_HW.tolist() == [[0, 64, 128, 255, 0]]
    assert got.valid_HW.tolist() == [[True, True, True, True, False]]


def test_a_mask_of_ones_is_certain(picture: Picture) -> None:
    map_HW = np.zeros((30, 40), dtype=np.uint8)
    map_HW[3:9, 4:20] = 1
    got = joined(open_maps(picture(map_HW)), 64)
    np.testing.assert_array_equal(got.footprint_HW, map_HW * 255)


def test_foreign_no_data_is_respected(picture: Picture) -> None:
    map_HW = np.full((5, 6), 0.5, dtype=np.float32)
    map_HW[2, 3] = -1
    got = joined(open_maps(picture(map_HW, nodata=-1)), 64)
    assert not got.valid_HW[2, 3]
    assert got.valid_HW.sum() == 29


def test_a_second_foreign_band_is_the_border(picture: Picture) -> None:
    two_BHW = np.random.default_rng(1).integers(0, 256, (2, 9, 9), dtype=np.uint8)
    got = joined(open_maps(picture(two_BHW)), 64)
    np.testing.assert_array_equal(got.border_HW, two_BHW[1])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((4, 4), 50.0, np.float32), "probabilities run from 0 to 1"),
        (np.full((4, 4), -0.5, np.float32), "probabilities run from 0 to 1"),
        (np.full((4, 4), 500, np.uint16), "uint8"),
        (np.zeros((3, 4, 4), np.uint8), "3 bands"),
    ],
    ids=["percent", "negative", "uint16", "picture"],
)
def test_what_is_no_map_is_refused(picture: Picture, array: Any, message: str) -> None:
    path = picture(array, "odd.tif")
    with pytest.raises(InputError, match=message) as problem:
        joined(open_maps(path), 64)
    assert "odd.tif" in str(problem.value)


def test_maps_are_no_picture(tmp_path: Path, grid: Grid) -> None:
    path = tmp_path / "maps.tif"
    list(saved([some_maps(grid.shape)], path, grid, MapsOrigin(), alone))
    with pytest.raises(InputError, match="snet4 polygonize"):
        open_scene(path)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"SNET4_MAPS": "99"}, "newer snet4"),
        ({"SNET4_MAPS": "1", "SNET4_ORIGIN": "{"}, "tags are damaged"),
        ({"SNET4_MAPS": "1", "SNET4_ORIGIN": "[]"}, "tags are damaged"),
        ({"SNET4_MAPS": "1", "SNET4_ORIGIN": '{"look": {"off_nadir_deg": 99}}'}, "damaged"),
        ({"SNET4_MAPS": "1", "SNET4_ORIGIN": '{"look": 5}'}, "damaged"),
        ({"SNET4_MAPS": "1", "SNET4_ORIGIN": '{"confidence_knots": [[0, 1]]}'}, "damaged"),
        ({"SNET4_MAPS": "1", "SNET4_ORIGIN": '{"shapes": {}}'}, "damaged"),
        ({"SNET4_MAPS": "1", "SNET4_ORIGIN": '{"scene": 5}'}, "damaged"),
        ({"SNET4_MAPS": "1", "SNET4_ORIGIN": '{"other": 5}'}, "damaged"),
        ({"SNET4_MAPS": "1", "SNET4_ORIGIN": '{"native_shape": ["a", 2]}'}, "damaged"),
    ],
)
def test_damaged_tags_are_refused(picture: Picture, tags: dict[str, str], message: str) -> None:
    path = picture(np.zeros((2, 9, 9), np.uint8), tags=tags)
    with pytest.raises(InputError, match=message):
        open_maps(path)
