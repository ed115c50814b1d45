"""Bands as they come from out there: infrared beside alpha, names that are no colours, guesses."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
from rasterio.enums import ColorInterp

from helpers.bright import HEADER
from snet4_cli.main import Commands, in_words_of, snet4
from snet4_cli.telling import Console
from snet4_training.validation.calibration import see
from snet4core.errors import InputError
from snet4core.jobs.run import _say
from snet4core.scene.bands import BandMap, FileBands, band_map
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import open_scene
from snet4core.windows import Window

Picture = Callable[..., Path]
RGB = ("red", "green", "blue")


def described(*names: str | None, tags: tuple[str, ...] | None = None) -> FileBands:
    return FileBands(names, tags or ("undefined",) * len(names))


def tagged(*tags: str) -> FileBands:
    return FileBands((None,) * len(tags), tags)


@pytest.mark.parametrize(
    ("file", "expected", "alpha"),
    [
        (tagged(*RGB, "undefined", "alpha"), (3, 2, 1, 4), 5),
        (tagged("alpha", *RGB, "undefined"), (4, 3, 2, 5), 1),
        (described(None, None, None, "Band 4", None, tags=(*RGB, "undefined", "alpha")),
         (3, 2, 1, 4), 5),
        (tagged(*RGB, "alpha"), (3, 2, 1, None), 4),
    ],
)  # fmt: skip
def test_infrared_is_found_beside_an_alpha_band(
    file: FileBands, expected: tuple[int | None, ...], alpha: int
) -> None:
    chosen = band_map(file)
    assert (chosen.file_bands, chosen.alpha_band, chosen.warnings) == (expected, alpha, ())


@pytest.mark.parametrize(
    ("file", "option"),
    [
        (tagged(*RGB, "undefined", "undefined"), "red=1,green=2,blue=3,nir=4"),
        (tagged(*RGB, "undefined", "undefined", "alpha"), "red=1,green=2,blue=3,nir=4"),
        (described(None, None, None, "ndvi", tags=(*RGB, "undefined")),
         "red=1,green=2,blue=3,nir=4"),
        (described("blue", "green", "red", "swir"), "blue=1,green=2,red=3,nir=4"),
        (tagged(*RGB, "swir"), "red=1,green=2,blue=3,nir=4"),
        (tagged(*RGB, "tir"), "red=1,green=2,blue=3,nir=4"),
        (tagged(*RGB, "other_ir"), "red=1,green=2,blue=3,nir=4"),
    ],
)  # fmt: skip
def test_infrared_that_is_not_named_is_told(file: FileBands, option: str) -> None:
    chosen = band_map(file)
    assert chosen.missing == ("nir",)
    (warning,) = chosen.warnings
    assert warning.endswith(f"give --bands {option}.")
    assert band_map(file, option).missing == ()


@pytest.mark.parametrize(
    "names",
    [
        ("clear", "snow", "shadow", "light_haze", "heavy_haze", "cloud", "confidence", "unusable"),
        ("ndvi", "slope", "height"),
        ("B4", "B3", "B2", "B8"),
        ("B04", "B03", "B02", "B08"),
        ("Band 4", "Band 3", "Band 2"),
        ("elevation", None, None),
        ("VV", "VH", "ratio", "incidence"),
    ],
)
def test_named_is_not_untagged(names: tuple[str | None, ...]) -> None:
    with pytest.raises(InputError, match=r"named .*--bands \w+=1|--bands blue=") as problem:
        band_map(described(*names))
    option = str(problem.value).rpartition("--bands ")[2].split()[0]
    assert band_map(described(*names), option).file_bands


@pytest.mark.parametrize(
    "names",
    [
        ("band1_blue", "band2_green", "band3_red", "band4_nir"),
        ("Blue (B1)", "Green (B2)", "Red (B3)", "NIR (B4)"),
        ("Blue-475", "Green-560", "Red-668", "NIR-840"),
        ("blue 485nm", "green 560nm", "red 660 nm", "nir 830nm"),
        ("azul", "verde", "rojo", "infrarrojo cercano"),
        ("azul", "verde", "vermelho", "infravermelho próximo"),
        ("bleu", "vert", "rouge", "proche infrarouge"),
        ("Blau", "Grün", "Rot", "Nahes Infrarot"),
        ("blu", "verde", "rosso", "infrarosso vicino"),
        ("Bleu", "Vert", "Rouge", "PIR"),
        ("Blue", "Green", "Red", "Near-Infrared 1"),
    ],
)
def test_names_with_numbers_and_in_other_languages_are_known(names: tuple[str, ...]) -> None:
    assert band_map(described(*names)).file_bands == (1, 2, 3, 4)
    assert band_map(described(*names[::-1])).file_bands == (4, 3, 2, 1)


@pytest.mark.parametrize("fourth", ["nir", "undefined"])
def test_infrared_that_is_tagged_or_untagged_is_taken(fourth: str) -> None:
    assert band_map(tagged(*RGB, fourth)).file_bands == (3, 2, 1, 4)


@pytest.mark.parametrize(
    ("names", "option"),
    [
        (("sr_red", "sr_green", "sr_blue", "sr_nir"), "red=1,green=2,blue=3,nir=4"),
        (("Blue (450-510)", "Green (510-580)", "Red (630-690)", "x"), "blue=1,green=2,red=3"),
        (("sr_red", "red edge", "x", "y"), "blue=1,green=2,red=3,nir=4"),
    ],
)
def test_the_option_follows_the_colours_in_the_names(names: tuple[str, ...], option: str) -> None:
    with pytest.raises(InputError) as problem:
        band_map(described(*names))
    assert str(problem.value).endswith(f"for example --bands {option}")


@pytest.mark.parametrize("name", ["Alpha", "mask"])
def test_a_band_that_is_called_a_mask_but_not_tagged_as_one_is_told(name: str) -> None:
    file = described("red", "green", "blue", "nir", name)
    (warning,) = band_map(file).warnings
    assert warning.endswith("tag it with 'gdal_edit.py -colorinterp_5 alpha IN'.")
    as_told = described("red", "green", "blue", "nir", name, tags=(*["undefined"] * 4, "alpha"))
    assert (band_map(as_told).alpha_band, band_map(as_told).warnings) == (5, ())


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_bands_than_colours_are_offered_as_grey(count: int) -> None:
    with pytest.raises(InputError, match=r"for all colours with --bands 1,1,1,-"):
        band_map(described(*[None] * count))


@pytest.mark.parametrize(
    ("names", "option"),
    [
        (("B4", "B3", "B2", "B8"), "red=1,green=2,blue=3,nir=4"),
        (("B02", "B03", "B04", "B08"), "blue=1,green=2,red=3,nir=4"),
        (("b8", "b2", "b3", "b4", "b11"), "nir=1,blue=2,green=3,red=4"),
    ],
)
def test_the_numbers_of_sentinel_2_are_known(names: tuple[str, ...], option: str) -> None:
    with pytest.raises(InputError) as problem:
        band_map(described(*names))
    assert str(problem.value).endswith(f"if these are Sentinel-2's numbers, give --bands {option}")


@pytest.mark.parametrize(
    "names",
    [("Band 1", "Band 2", "Band 3", "Band 4"), ("Layer_1", "Layer_2", "Layer_3", "Layer_4"),
     ("1", "2", "3", "4"), ("B1", "B2", "B3", "B4"), ("", " ", "Gray", "band #4")],
)  # fmt: skip
def test_a_bands_own_number_names_nothing(names: tuple[str, ...]) -> None:
    assert "untagged" in band_map(described(*names)).says


@pytest.mark.parametrize(("count", "warned"), [(3, False), (4, True), (8, True)])
def test_a_guessed_order_is_a_warning_with_the_option(count: int, warned: bool) -> None:
    def said(chosen: BandMap) -> list[bool]:
        return ["--bands" in warning for warning in chosen.warnings]

    file = tagged("gray", *["undefined"] * (count - 1))
    assert said(band_map(file)) == [True] * warned
    assert band_map(file, "red=1,green=2,blue=3").warnings == ()


def infrared(kind: str) -> Any:
    """A fourth band (64, 80) of 8 bits: of an infrared picture, or a mask of some kind."""
    y, x = np.mgrid[0:64, 0:80]
    if kind == "infrared":
        return (40 + y * 2 + x).astype("uint8")
    mask = np.where(x < 60, 255, 0)
    if kind == "feathered":
        mask = np.clip(255 - (x - 60) * 25, 0, 255)
    return mask.astype("uint8")


@pytest.mark.parametrize("kind", ["infrared", "feathered", "binary"])
def test_an_alpha_band_of_hundreds_of_values_is_doubted(picture: Picture, kind: str) -> None:
    """NAIP as the Planetary Computer has it: the infrared is tagged as alpha."""
    colours = np.full((3, 64, 80), 90, dtype=np.uint8)
    array = np.concatenate([colours, infrared(kind)[None]])
    path = picture(array, photometric="RGB", alpha="YES")
    scene = open_scene(path)
    assert scene.bands.alpha_band == 4
    option = "--bands red=1,green=2,blue=3,nir=4"
    assert [option in warning for warning in scene.warnings] == [True] * (kind == "infrared")
    told = open_scene(path, bands=option.removeprefix("--bands "))
    assert (told.bands.alpha_band, told.warnings) == (None, ())
    with SceneReader(told) as reader:
        counts_BHW, valid_HW = reader.read(Window(0, 0, 64, 80))
    assert valid_HW.all()
    assert (counts_BHW[3] == infrared(kind)).all()


def test_gdalwarp_with_an_alpha_keeps_the_infrared(picture: Picture, tmp_path: Path) -> None:
    array = np.stack([np.full((64, 64), 50 * n + 100, dtype=np.uint16) for n in range(4)])
    path = picture(array, "naip.tif")
    import rasterio

    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp[name] for name in (*RGB, "undefined")]
    warped = tmp_path / "warped.tif"
    try:
        subprocess.run(["gdalwarp", "-q", "-dstalpha", path, warped], check=True)
    except FileNotFoundError:
        pytest.skip("gdalwarp is not installed")
    assert open_scene(path).bands.file_bands == open_scene(warped).bands.file_bands == (3, 2, 1, 4)


def test_calibration_is_warned_of_a_guessed_order_in_words_of_its_own(
    picture: Picture, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`calibrate` has no `--bands`."""
    looks = "scene,off_nadir_deg\n"
    for name in ("a", "b"):
        picture(np.full((4, 40, 40), 9, dtype=np.uint16), f"{name}.tif")
        (tmp_path / f"{name}.geojson").write_text('{"type":"FeatureCollection","features":[]}')
        looks += f"{name}.tif,9\n"
    (tmp_path / "looks.csv").write_text(looks)
    guesser = SimpleNamespace(sighting=lambda _: None)
    predictor: Any = SimpleNamespace(header=HEADER, guesser=guesser, maps=lambda *_: iter(()))
    assert len(see(tmp_path, predictor)) == 2
    (record,) = [each for each in caplog.records if "untagged" in each.getMessage()]
    assert "--bands" in record.getMessage()
    command = Commands().get_command(click.Context(snet4), "calibrate")
    console = Console(io.StringIO(), lambda told: in_words_of(command, told))
    assert "--bands" not in console.format(record)
    assert "-colorinterp red,green,blue" in console.format(record)


def test_a_thousand_tiles_are_warned_of_once(
    picture: Picture, caplog: pytest.LogCaptureFixture
) -> None:
    tiles = np.full((4, 8, 8), 9, dtype=np.uint16)
    said: dict[str, int] = {}
    for n in range(5):
        scene = open_scene(picture(tiles, f"tile{n}.tif"))
        _say(SimpleNamespace(scene=scene, warnings=scene.warnings), said)  # type: ignore[arg-type]
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2
    assert "tile0.tif does not say which band is which" in told[0]
    assert "snet4 -v run" in told[1]
