"""Scenes: what a window holds does not depend on the window; rasterio is the oracle."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snet4core.errors import InputError, UsageError
from snet4core.scene import ranges, reader
from snet4core.scene.ranges import sample_windows, scene_ranges, spread, without_collar
from snet4core.scene.reader import SceneReader
from snet4core.scene.resample import averaged, interpolated
from snet4core.scene.scene import Scene, digest, open_scene
from snet4core.scene.working_scale import WorkingScale, working_scale
from snet4core.windows import Window

Picture = Callable[..., Path]

here = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def town(shape: tuple[int, int] = (61, 83), bands: int = 4, seed: int = 1) -> Any:
    """Counts of a sensor, with no zero among them."""
    return np.random.default_rng(seed).integers(1, 2000, (bands, *shape), dtype=np.uint16)


def whole(scene: Scene, scale: WorkingScale | None = None) -> Any:
    with SceneReader(scene, scale) as reader:
        return reader.read(Window(0, 0, *reader.grid.shape))


windows = st.builds(
    Window, st.integers(-40, 90), st.integers(-40, 110), st.integers(0, 60), st.integers(0, 60)
)
scales = st.sampled_from(
    [WorkingScale(), WorkingScale(2), WorkingScale(3), WorkingScale(7), WorkingScale(1, 2),
     WorkingScale(1, 3), WorkingScale(3, 2), WorkingScale(2, 3)]
)  # fmt: skip


# --- Laws ---


@here
@given(window=windows, scale=scales, layout=st.sampled_from(["tiles", "strips"]))
def test_a_window_is_a_crop_of_the_whole(
    picture: Picture, window: Window, scale: WorkingScale, layout: str
) -> None:
    counts_BHW = town()
    counts_BHW[:, 20:35, 30:60] = 0  # A hole without data, and noise around its edge.
    counts_BHW[:, ::5, ::7] = 0
    tiling = {"tiled": True, "blockxsize": 16, "blockysize": 16} if layout == "tiles" else {}
    scene = open_scene(picture(counts_BHW, **tiling))
    all_BHW, all_valid_HW = whole(scene, scale)
    with SceneReader(scene, scale) as reader:
        got_BHW, valid_HW = reader.read(window)
    inside = window.within(Window(0, 0, *all_valid_HW.shape))
    expected_BHW = np.zeros((4, *window.shape), dtype=all_BHW.dtype)
    expected_HW = np.zeros(window.shape, dtype=bool)
    if inside.height and inside.width:
        expected_BHW[:, *inside.slices(window)] = all_BHW[:, *inside.slices()]
        expected_HW[inside.slices(window)] = all_valid_HW[inside.slices()]
    np.testing.assert_array_equal(valid_HW, expected_HW)
    np.testing.assert_array_equal(got_BHW, expected_BHW)


@pytest.mark.parametrize("scale", [WorkingScale(2), WorkingScale(3, 2)])
def test_strips_leave_no_trace(
    picture: Picture, monkeypatch: pytest.MonkeyPatch, scale: WorkingScale
) -> None:
    scene = open_scene(picture(town()))
    in_one = whole(scene, scale)
    monkeypatch.setattr(reader, "_STRIP", 7)
    for got, expected in zip(whole(scene, scale), in_one, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_counts_are_those_that_rasterio_reads(
    picture: Picture, dtype: str, interleave: str
) -> None:
    path = picture((town() % 250 + 1).astype(dtype), interleave=interleave, compress="deflate")
    counts_BHW, valid_HW = whole(open_scene(path, bands="3,2,1,4"))
    with rasterio.open(path) as oracle:
        np.testing.assert_array_equal(counts_BHW, oracle.read([3, 2, 1, 4]))
        np.testing.assert_array_equal(valid_HW, oracle.dataset_mask() > 0)


@given(st.integers(1, 6), st.integers(0, 5), st.integers(1, 5), st.integers(1, 5))
def test_averaging_keeps_the_mean(k: int, seed: int, rows: int, cols: int) -> None:
    counts_BHW = town((rows * k, cols * k), 2, seed)
    mean_BHW, valid_HW = averaged(counts_BHW, np.ones(counts_BHW.shape[1:], bool), k)
    assert valid_HW.all()
    assert mean_BHW.mean() == pytest.approx(counts_BHW.mean(), rel=1e-5)


@given(st.integers(2, 3), st.floats(-5, 5), st.floats(-5, 5))
def test_a_slope_stays_a_slope_when_interpolated(k: int, down: float, right: float) -> None:
    """Bilinear interpolation is exact for planes; the first and last half pixels are flat."""
    rows, cols = np.mgrid[0:6, 0:7] + 0.5
    plane_BHW = (100 + down * rows + right * cols)[None]
    fine_BHW, _ = interpolated(plane_BHW, np.ones((6, 7), bool), k)
    fine_rows, fine_cols = (np.mgrid[0 : 6 * k, 0 : 7 * k] + 0.5) / k
    expected_HW = 100 + down * fine_rows + right * fine_cols
    inner = (slice(k, -k), slice(k, -k))
    np.testing.assert_allclose(fine_BHW[0][inner], expected_HW[inner], atol=1e-4)


@given(st.integers(1, 500))
def test_the_sample_order_visits_every_piece_once(count: int) -> None:
    assert sorted(spread(count)) == list(range(count))


@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.sampled_from([(256, 256), (1, 3000), (512, 512), (16, 16), (3000, 3000)]),
)
def test_the_sample_could_cover_the_raster_exactly_once(
    shape: tuple[int, int], block_shape: tuple[int, int]
) -> None:
    count_HW = np.zeros(shape, dtype=np.uint8)
    for window in sample_windows(shape, block_shape):
        count_HW[window.slices()] += 1
    assert (count_HW == 1).all()


@given(
    st.floats(0.02, 50),
    st.tuples(st.floats(0.1, 0.6), st.floats(0.0, 1.0)),
)
def test_the_working_pixel_comes_near_the_models_own(
    gsd_m: float, known: tuple[float, float]
) -> None:
    low_m, high_m = known[0], known[0] * (1.5 + known[1])
    work_m = math.sqrt(low_m * high_m)
    scale = working_scale(gsd_m, (low_m, high_m), work_m)
    assert scale.gsd_m == pytest.approx(gsd_m * scale.coarser / scale.finer)
    assert scale.finer <= 3
    assert math.gcd(scale.coarser, scale.finer) == 1
    if 0.8 <= gsd_m / work_m <= 1.25:
        assert scale.coarser == scale.finer
    if gsd_m <= 3 * work_m:
        assert 0.8 < scale.gsd_m / work_m < 1.25


# --- Worked by hand ---


def test_a_cell_counts_when_half_of_it_is_known() -> None:
    counts_BHW = np.array([[[10, 20, 7, 0], [30, 0, 0, 0]]])
    valid_HW = np.array([[True, True, True, False], [True, False, False, False]])
    mean_BHW, cell_HW = averaged(counts_BHW, valid_HW, 2)
    assert mean_BHW.tolist() == [[[20.0, 0.0]]]
    assert cell_HW.tolist() == [[True, False]]


def test_what_is_no_data_does_not_bleed_into_its_neighbours() -> None:
    counts_BHW = np.array([[[100.0, 9999.0]]])
    fine_BHW, valid_HW = interpolated(counts_BHW, np.array([[True, False]]), 2)
    assert fine_BHW[0, 0].tolist() == [100.0, 100.0, 0.0, 0.0]
    assert valid_HW[0].tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("gsd_m", "coarser", "finer"),
    [(0.5, 1, 1), (0.4, 1, 1), (0.6, 1, 1), (0.3, 3, 2), (0.35, 3, 2), (0.27, 2, 1), (0.13, 4, 1),
     (0.05, 10, 1), (0.75, 2, 3), (1.0, 1, 2), (1.2, 1, 2), (2.0, 1, 3), (10.0, 1, 3)],
)  # fmt: skip
def test_ratios_for_a_model_of_half_a_metre(gsd_m: float, coarser: int, finer: int) -> None:
    scale = working_scale(gsd_m, (0.3, 1.0), 0.5)
    assert (scale.coarser, scale.finer) == (coarser, finer)
    assert (scale.warning is not None) == (gsd_m == 10.0)


def test_a_pixel_of_a_tenth_of_a_millimetre_is_a_mistake() -> None:
    with pytest.raises(InputError, match=r"^a\.tif: a pixel .*check the transform and its CRS"):
        working_scale(1e-4, (0.3, 1.0), 0.5, "a.tif")


def test_bands_come_in_the_models_order_and_missing_ones_are_empty(picture: Picture) -> None:
    counts_BHW = town(bands=3)
    got_BHW, _ = whole(open_scene(picture(counts_BHW, photometric="RGB")))
    np.testing.assert_array_equal(got_BHW[:3], counts_BHW[::-1])
    assert not got_BHW[3].any()


def test_band_descriptions_in_the_file_are_seen(picture: Picture) -> None:
    counts_BHW = town()
    path = picture(counts_BHW, descriptions=("NIR", "Red", "Green", "Blue"))
    got_BHW, _ = whole(open_scene(path))
    np.testing.assert_array_equal(got_BHW, counts_BHW[::-1])


def test_one_band_may_feed_several(picture: Picture) -> None:
    counts_BHW = town(bands=1)
    got_BHW, _ = whole(open_scene(picture(counts_BHW), bands="1,1,1,-"))
    assert (got_BHW[:3] == counts_BHW).all()


# --- No data ---


def test_zero_in_one_band_is_data_and_in_all_bands_is_not(picture: Picture) -> None:
    counts_BHW = town()
    counts_BHW[1, 3, 4] = 0
    counts_BHW[:, 5, 6] = 0
    scene = open_scene(picture(counts_BHW))
    _, valid_HW = whole(scene)
    assert valid_HW[3, 4]
    assert not valid_HW[5, 6]
    assert valid_HW.sum() == valid_HW.size - 1
    assert "0 in all bands" in scene.nodata.says


def test_declared_no_data_is_believed_and_zero_is_then_data(picture: Picture) -> None:
    counts_BHW = town()
    counts_BHW[:, 5, 6] = 0
    counts_BHW[:, 7, 8] = 777
    counts_BHW[0, 9, 9] = 777
    _, valid_HW = whole(open_scene(picture(counts_BHW, nodata=777)))
    assert (valid_HW[5, 6], valid_HW[7, 8], valid_HW[9, 9]) == (True, False, True)


def test_the_option_replaces_what_the_file_declares(picture: Picture) -> None:
    counts_BHW = town()
    counts_BHW[:, 5, 6] = 9
    counts_BHW[:, 7, 8] = 777
    path = picture(counts_BHW, nodata=777)
    _, valid_HW = whole(open_scene(path, nodata=9))
    assert (valid_HW[5, 6], valid_HW[7, 8]) == (False, True)
    _, valid_HW = whole(open_scene(path, nodata=math.nan))
    assert valid_HW.all()


@pytest.mark.parametrize("value", ["-9999", "1e20", "0.5", "65536"])
def test_no_data_that_no_pixel_can_hold_is_ignored_with_a_warning(
    picture: Picture, value: str
) -> None:
    counts_BHW = town()
    counts_BHW[:, 5, 6] = 0
    path = picture(counts_BHW)
    declare_no_data(path, value)
    scene = open_scene(path)
    _, valid_HW = whole(scene)
    assert valid_HW.sum() == valid_HW.size - 1
    (warning,) = [text for text in scene.warnings if "no-data" in text]
    assert value in warning
    with pytest.raises(UsageError, match="no value of its type uint16"):
        open_scene(path, nodata=70000)


def declare_no_data(path: Path, text: str) -> None:
    """Write GDAL's no-data tag (42113) behind rasterio's back: append a new directory."""
    import struct

    content = path.read_bytes()
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    entries = [content[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    value = text.encode() + b"\0"
    where = struct.pack("<I", len(content)) if len(value) > 4 else value.ljust(4, b"\0")
    entries.append(struct.pack("<HHI", 42113, 2, len(value)) + where)
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    body = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    new = content + value + (b"\0" if len(value) % 2 else b"")
    path.write_bytes(new[:4] + struct.pack("<I", len(new)) + new[8:] + body)


def test_masks_and_alpha_bands_are_masks(picture: Picture) -> None:
    mask_HW = np.full((61, 83), 255, dtype=np.uint8)
    mask_HW[10:20, 10:20] = 0
    rgb_BHW = (town(bands=3) % 255).astype(np.uint8)
    masked = open_scene(picture(rgb_BHW, "mask.tif", photometric="RGB", mask_HW=mask_HW))
    np.testing.assert_array_equal(whole(masked)[1], mask_HW > 0)
    rgba = picture(
        np.concatenate([rgb_BHW, mask_HW[None]]), "a.tif", photometric="RGB", alpha="yes"
    )
    scene = open_scene(rgba)
    assert scene.bands.alpha_band == 4
    assert scene.bands.missing == ("nir",)
    np.testing.assert_array_equal(whole(scene)[1], mask_HW > 0)


def test_an_alpha_band_that_the_user_calls_infrared_is_infrared(picture: Picture) -> None:
    rgbn_BHW = (town() % 255).astype(np.uint8)
    path = picture(rgbn_BHW, photometric="RGB", alpha="yes")
    got_BHW, valid_HW = whole(open_scene(path, bands="3,2,1,4"))
    np.testing.assert_array_equal(got_BHW[3], np.where(valid_HW, rgbn_BHW[3], 0))
    assert valid_HW.all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 3.4e38])
@pytest.mark.parametrize(
    "scale", [WorkingScale(), WorkingScale(2), WorkingScale(1, 2), WorkingScale(3, 2)]
)
def test_what_is_no_number_stays_in_its_pixel(
    picture: Picture, bad: float, scale: WorkingScale
) -> None:
    counts_BHW = town().astype(np.float32)
    clean_BHW, clean_HW = whole(open_scene(picture(counts_BHW, "clean.tif")), scale)
    counts_BHW[2, 31, 41] = bad
    got_BHW, valid_HW = whole(open_scene(picture(counts_BHW)), scale)
    assert np.isfinite(got_BHW).all()
    changed_HW = (got_BHW != clean_BHW).any(axis=0)
    m, k = scale.coarser, scale.finer
    changed_HW[30 * k // m : -(-33 * k // m), 40 * k // m : -(-43 * k // m)] = False
    assert not changed_HW.any()
    assert (clean_HW & ~valid_HW).sum() <= k * k
    assert scene_ranges(open_scene(picture(counts_BHW)))[0] is not None


# --- Ranges ---


def test_ranges_of_a_small_scene_are_the_percentiles(picture: Picture) -> None:
    counts_BHW = town()
    ranges = scene_ranges(open_scene(picture(counts_BHW)))
    for limits, band_HW in zip(ranges, counts_BHW, strict=True):
        assert limits is not None
        assert (limits.low, limits.high) == tuple(np.percentile(band_HW, [1, 99]))


@pytest.mark.parametrize("level", [0, 65535, 2047])
def test_a_collar_does_not_move_the_ranges(picture: Picture, level: int) -> None:
    counts_BHW = town((120, 120))
    plain = scene_ranges(open_scene(picture(counts_BHW, "plain.tif")))
    framed_BHW = np.pad(counts_BHW, ((0, 0), (40, 40), (40, 40)), constant_values=level)
    framed = scene_ranges(open_scene(picture(framed_BHW, "framed.tif"), nodata=math.nan))
    assert framed == plain


def test_a_constant_picture_has_a_range(picture: Picture) -> None:
    ranges = scene_ranges(open_scene(picture(np.full((4, 20, 20), 300, np.uint16))))
    assert all(limits is not None and limits.low == 300 for limits in ranges)


def test_a_scene_without_data_has_a_range(picture: Picture) -> None:
    ranges = scene_ranges(open_scene(picture(np.zeros((3, 20, 20), np.uint8), photometric="RGB")))
    assert [limits is None for limits in ranges] == [False, False, False, True]


def test_ranges_come_from_everywhere_and_not_only_from_the_top(picture: Picture) -> None:
    """Twelve MPix, dark in the north and bright in the south."""
    counts_BHW = np.empty((1, 3000, 4000), dtype=np.uint8)
    counts_BHW[:] = np.linspace(1, 250, 3000)[None, :, None]
    path = picture(counts_BHW, tiled=True, blockxsize=256, blockysize=256, compress="deflate")
    (limits, *_) = scene_ranges(open_scene(path, bands="1,1,1,-"))
    assert limits is not None
    assert limits.low == pytest.approx(3.5, abs=4)
    assert limits.high == pytest.approx(247.5, abs=4)


def test_dropping_the_collar_never_drops_everything() -> None:
    flat_BN = np.full((2, 50), 7)
    assert without_collar(flat_BN, [0, 1]).shape == (2, 50)
    two_levels_BN = np.repeat([[1, 9], [1, 9]], 25, axis=1)
    assert without_collar(two_levels_BN, [0, 1]).shape == (2, 50)


# --- The description ---


def test_a_scene_travels_to_other_processes(picture: Picture) -> None:
    scene = open_scene(picture(town()))
    again = pickle.loads(pickle.dumps(scene))
    assert again == scene
    np.testing.assert_array_equal(whole(again)[0], whole(scene)[0])


def test_threads_with_a_reader_each_see_the_same(picture: Picture) -> None:
    scene = open_scene(picture(town((300, 300)), tiled=True, blockxsize=64, blockysize=64))
    expected_BHW, _ = whole(scene)

    def read(row: int) -> Any:
        with SceneReader(scene) as reader:
            return reader.read(Window(row, 0, 30, 300))[0]

    with ThreadPoolExecutor(4) as pool:
        got_BHW = np.concatenate(list(pool.map(read, range(0, 300, 30))), axis=1)
    np.testing.assert_array_equal(got_BHW, expected_BHW)


def test_the_digest_tells_other_pixels_and_other_readings(picture: Picture) -> None:
    path = picture(town())
    first = digest(open_scene(path))
    assert digest(open_scene(path)) == first
    assert digest(open_scene(path, bands="3,2,1,4")) != first
    assert digest(open_scene(path, nodata=5)) != first
    assert digest(open_scene(picture(town(seed=2)))) != first


def test_an_envi_header_is_part_of_the_picture(picture: Picture) -> None:
    """Half of the samples under two names are the same bytes, and other pixels."""
    path = picture(town((60, 80)), "scene.dat", driver="ENVI")
    scene = open_scene(path)
    before = digest(scene)
    header = path.with_suffix(".hdr")
    text = header.read_text()
    assert "interleave = bsq" in text
    header.write_text(text.replace("interleave = bsq", "interleave = bip"))
    assert digest(open_scene(path)) != before
    with pytest.raises(InputError, match=r"scene\.hdr changed while it was in use"):
        whole(scene)


def test_holes_of_a_sparse_file_are_not_read_in_search_of_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "sparse.tif", list[Window]()
    *_, last = sample_windows((4096, 4096), (64, 64))
    with rasterio.open(
        path, "w", driver="GTiff", height=4096, width=4096, count=4, dtype="uint16",
        crs="EPSG:32616", transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000), sparse_ok=True,
        tiled=True, blockxsize=64, blockysize=64,
    ) as file:  # fmt: skip
        place = rasterio.windows.Window(last.col, last.row, last.width, last.height)
        file.write(town(last.shape), window=place)
    scene = open_scene(path)
    with SceneReader(scene) as reading:
        assert not reading.is_hole(last)
        assert reading.is_hole(Window(0, 0, last.row, 64))
    monkeypatch.setattr(ranges, "MOST_READ_PX", 2**18)
    monkeypatch.setattr(
        SceneReader, "read", lambda self, window: read.append(window) or self._native(window)
    )
    assert all(each is not None and each.high > 1500 for each in scene_ranges(scene))
    assert read[-1] == last
    assert len(read) <= 3


def test_an_envi_picture_is_read_where_its_path_is_another(
    picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As workers do, whose folder may be another than that of the run."""
    path = picture(town((60, 80)), "scene.dat", driver="ENVI")
    monkeypatch.chdir(path.parent)
    scene = open_scene(path.name)
    away = replace(scene, admitted=replace(scene.admitted, location=str(path)))
    monkeypatch.chdir(Path(path.anchor))
    np.testing.assert_array_equal(whole(away)[0], town((60, 80)))


def test_a_scene_that_is_nearly_empty_is_searched_until_something_is_found(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts_BHW = np.zeros((4, 2048, 2048 + 64), np.uint16)
    *_, last = sample_windows(counts_BHW.shape[1:], (64, 64))
    rows, cols = last.slices()
    counts_BHW[:, rows, cols] = town(last.shape)
    path = picture(counts_BHW, nodata=0, tiled=True, blockxsize=64, blockysize=64)
    found = scene_ranges(open_scene(path))
    monkeypatch.setattr(ranges, "MOST_READ_PX", 2**18)
    assert scene_ranges(open_scene(path)) == found
    assert all(each is not None and each.high > 1500 for each in found)


def test_a_file_that_changes_meanwhile_is_refused(picture: Picture) -> None:
    scene = open_scene(picture(town()))
    picture(town((30, 30)))
    with pytest.raises(InputError, match="changed while it was in use"):
        whole(scene)


def test_a_reader_reads_only_while_it_is_open(picture: Picture) -> None:
    with pytest.raises(UsageError, match="'with' block"):
        SceneReader(open_scene(picture(town()))).read(Window(0, 0, 1, 1))


def test_overviews_are_never_taken_for_pixels(picture: Picture) -> None:
    """Stale overviews: their values are other than those of the picture."""
    path = picture(town((256, 256)), tiled=True, blockxsize=64, blockysize=64)
    expected_BHW = town((256, 256))
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
        dataset.write(np.zeros((4, 256, 256), np.uint16))
        dataset.build_overviews([2, 4])
        dataset.write(expected_BHW)
    np.testing.assert_array_equal(whole(open_scene(path))[0], expected_BHW)


# --- Real pictures ---


def test_real_pictures_read_as_rasterio_reads_them(shared_data: Path) -> None:
    paths = sorted(shared_data.glob("real/*/*.tif"))
    assert len(paths) > 15
    for path in paths:
        with rasterio.open(path) as oracle:
            count = oracle.count
            bands = "1,1,1,-" if count == 1 else None
            scene = open_scene(path, bands=bands)
            read = [b if b is not None else 1 for b in scene.bands.file_bands]
            expected_BHW = oracle.read(read)
            assert scene.grid.crs == oracle.crs
            assert scene.grid.transform == oracle.transform
        counts_BHW, valid_HW = whole(scene)
        for band, number in enumerate(scene.bands.file_bands):
            if number is not None:
                np.testing.assert_array_equal(
                    counts_BHW[band][valid_HW], expected_BHW[band][valid_HW]
                )
        assert valid_HW.mean() > 0.1
        assert 0.1 < scene.grid.gsd_m < 2.1
