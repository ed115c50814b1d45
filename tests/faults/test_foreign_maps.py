"""Maps of other programs: classes, percents, one bit, a palette, a softmax of two classes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import snet4core
from snet4core.errors import InputError
from snet4core.maps.file import MapsOrigin, open_maps, writing
from snet4core.maps.foreign import doubts
from snet4core.maps.maps import Maps
from snet4core.parts.polygonize import polygonize
from snet4core.windows import Window

Picture = Callable[..., Path]


def house() -> Any:
    """True where a house stands (64, 64)."""
    mask = np.zeros((64, 64), dtype=bool)
    mask[20:44, 20:50] = True
    return mask


def found(path: Path) -> int:
    return sum(len(batch) for batch in polygonize(path).footprints)


MASK = house().astype("uint8")
SOFT = np.stack([1 - MASK * 0.9, MASK * 0.9]).astype("float32")


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (MASK + 1, "-scale 1 2 0 255"),
        (MASK * 90, "-scale 0 100 0 255"),
        (MASK * 2, "-scale 0 2 0 255"),
        (SOFT, "-b 2"),
        ((SOFT * 255).round().astype("uint8"), "-b 2"),
    ],
    ids=["classes", "percents", "0 and 2", "softmax", "softmax of 8 bits"],
)
def test_what_is_no_probability_is_told_and_the_remedy_works(
    picture: Picture, tmp_path: Path, array: Any, said: str
) -> None:
    path = picture(array)
    (warning,) = doubts(open_maps(path))
    assert said in warning
    command = warning.split("'")[1].split()
    command[-2:] = [str(path), str(tmp_path / "mended.tif")]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("gdal_translate is not installed")
    assert doubts(open_maps(tmp_path / "mended.tif")) == ()
    assert found(tmp_path / "mended.tif") == 1


@pytest.mark.parametrize(
    "array",
    [MASK.astype("uint16"), MASK.astype("int32") * 7, MASK * 255.0, MASK * 8.0 - 4],
    ids=["uint16", "int32", "0 to 255 as numbers with a point", "logits"],
)
def test_another_type_or_range_is_refused_and_the_remedy_works(
    picture: Picture, tmp_path: Path, array: Any
) -> None:
    path = picture(array)
    with pytest.raises(InputError, match=r"scene\.tif holds .*-ot Byte") as problem:
        found(path)
    command = str(problem.value).split("'")[1].replace("LOW HIGH", f"0 {array.max()}").split()
    command[-2:] = [str(path), str(tmp_path / "mended.tif")]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("gdal_translate is not installed")
    assert found(tmp_path / "mended.tif") == 1


def test_percents_are_scaled_by_what_they_are_not_by_what_a_block_holds(picture: Picture) -> None:
    with pytest.raises(InputError, match="of percents they are 0 and 100"):
        found(picture(MASK * 40.0))
    with pytest.raises(InputError, match=r"HIGH that of buildings\.$"):
        found(picture(MASK * 255.0))


def test_buildings_that_are_declared_as_no_data_are_told(picture: Picture, tmp_path: Path) -> None:
    path = picture(MASK * 255, nodata=255)
    (warning,) = doubts(open_maps(path))
    assert "holds 0 alone, and elsewhere its no-data value 255" in warning
    command = warning.split("'")[1].split()
    command[-2:] = [str(path), str(tmp_path / "mended.tif")]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("gdal_translate is not installed")
    assert found(tmp_path / "mended.tif") == 1


@pytest.mark.parametrize(
    "array",
    [MASK, MASK * 255, MASK * 200, MASK.astype("float32") * 0.9,
     np.stack([MASK * 230, MASK * 20]), MASK * 0],
    ids=["mask", "255", "200", "float", "with borders", "nothing"],
)  # fmt: skip
def test_maps_are_not_doubted(picture: Picture, array: Any) -> None:
    path = picture(array)
    assert doubts(open_maps(path)) == ()
    assert found(path) == (1 if array.any() else 0)


def test_a_softmax_without_any_building_is_doubted(picture: Picture) -> None:
    """It would be one building as large as the picture."""
    nothing = np.zeros((64, 64), dtype="float32")
    (warning,) = doubts(open_maps(picture(np.stack([1 - nothing, nothing]))))
    assert "-b 2" in warning


def test_maps_of_our_own_are_not_doubted(picture: Picture, tmp_path: Path) -> None:
    """However sure or unsure the network was."""
    grid = open_maps(picture(MASK)).grid
    for number, layers in enumerate([(MASK * 90, MASK * 0), (255 - MASK * 200, MASK * 200)]):
        path = tmp_path / f"{number}.tif"
        with writing(path, grid, MapsOrigin(scene="town")) as write:
            write(Maps.of(Window(0, 0, 64, 64), layers, np.ones((64, 64), dtype=bool)))
        assert doubts(open_maps(path)) == ()


def test_a_mask_of_one_bit_is_a_map(picture: Picture) -> None:
    assert found(picture(MASK, NBITS=1)) == 1


def test_a_mask_with_a_palette_is_a_map(picture: Picture) -> None:
    path = picture(MASK)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255)})
    assert doubts(open_maps(path)) == ()
    assert found(path) == 1


def test_a_notebook_is_warned_too(picture: Picture, caplog: pytest.LogCaptureFixture) -> None:
    with snet4core.polygonize(picture(MASK + 1)) as found:
        assert [warning for warning in found.warnings if "-scale 1 2 0 255" in warning]
    assert caplog.messages == list(found.warnings)
