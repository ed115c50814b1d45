"""Bands, kinds of numbers and no data: each count is read as it is, and no band is guessed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio

from helpers.rasters import Make, Picture, read, refused, town
from snet4core.scene.ranges import scene_ranges
from snet4core.scene.scene import open_scene

BANDS: dict[str, tuple[Make, str]] = {
    "one": (lambda p, _: p(town(1)), "--bands 1,1,1,-"),
    "two": (lambda p, _: p(town(2)), "--bands"),
    "five": (lambda p, _: p(town(5)), "--bands"),
    "grey and alpha": (lambda p, _: p(town(2), alpha="yes"), "--bands 1,1,1,-"),
    "complex": (lambda p, _: p(town(3).astype("complex64")), "complex"),
    "palette": (lambda p, _: with_palette(p), "-expand rgb"),
    "a thousand": (lambda p, _: p(np.zeros((1000, 4, 4), "uint8")), "1000 bands"),
}


def with_palette(picture: Picture) -> Path:
    path = picture(town(1), photometric="PALETTE")
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {n: (n, 0, 255 - n, 255) for n in range(256)})
    return path


@pytest.mark.parametrize("fault", BANDS)
def test_the_first_bands_are_never_taken_in_silence(
    picture: Picture, tmp_path: Path, fault: str
) -> None:
    make, message = BANDS[fault]
    assert message in refused(make(picture, tmp_path))


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "int64"]
)
def test_every_kind_of_number_is_read(picture: Picture, dtype: str) -> None:
    array = (town(4) - 100).astype(dtype)
    scene = open_scene(picture(array))
    counts_BHW, valid_HW = read(scene)
    expected_HW = (array != 0).any(axis=0)
    np.testing.assert_array_equal(valid_HW, expected_HW)
    np.testing.assert_array_equal(counts_BHW[:, valid_HW], array[:, expected_HW])


def test_scale_and_offset_tags_change_nothing_that_the_network_sees(picture: Picture) -> None:
    path = picture(town(4, dtype="uint16"))
    plain = scene_ranges(open_scene(path))
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.0001,) * 4, (-0.1,) * 4
    assert scene_ranges(open_scene(path)) == plain


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -3.4e38])
def test_one_impossible_count_never_blanks_a_scene(picture: Picture, bad: float) -> None:
    array = town(4, dtype="float32") / 255
    plain = scene_ranges(open_scene(picture(array, "plain.tif")))
    array[1, 30, 40] = bad
    scene = open_scene(picture(array))
    _, valid_HW = read(scene)
    assert valid_HW.sum() == valid_HW.size - 1
    for one, other in zip(scene_ranges(scene), plain, strict=True):
        assert one is not None
        assert other is not None
        assert one.high == pytest.approx(other.high, rel=0.01)


def test_a_scene_without_data_is_a_scene(picture: Picture) -> None:
    assert not read(open_scene(picture(np.zeros((4, 40, 40), np.uint16))))[1].any()
    full = np.full((4, 40, 40), 9, np.uint16)
    assert not read(open_scene(picture(full, nodata=9)))[1].any()
    blank = np.zeros((40, 40), np.uint8)
    assert not read(open_scene(picture(full, mask_HW=blank)))[1].any()
    assert not read(open_scene(picture(np.full((4, 40, 40), np.nan, np.float32))))[1].any()


@pytest.mark.parametrize("level", [0, 255])
def test_a_declared_collar_is_no_ground(picture: Picture, level: int) -> None:
    array = np.pad(town(), ((0, 0), (20, 20), (20, 20)), constant_values=level)
    scene = open_scene(picture(array, photometric="RGB", nodata=level))
    _, valid_HW = read(scene)
    assert valid_HW.sum() == 64 * 80
    assert scene_ranges(scene) == scene_ranges(open_scene(picture(town(), photometric="RGB")))
