"""What lies beside a picture and changes it: masks, no-data and names in `.aux.xml`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from snet4core.errors import InputError
from snet4core.files.sidecars import read_bytes
from snet4core.look.sources import find_look
from snet4core.scene import door, gdal
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import Scene, open_scene
from snet4core.windows import Window

Picture = Callable[..., Path]
NAMES = ("red", "green", "blue", "nir")


def valid(scene: Scene) -> int:
    with SceneReader(scene) as reader:
        return int(reader.read(Window(0, 0, *scene.grid.shape))[1].sum())


def half_filled(value: int = 65535) -> np.ndarray:
    counts_BHW = np.full((4, 8, 10), 500, dtype=np.uint16)
    counts_BHW[:, :, 5:] = value
    return counts_BHW


def aux(path: Path, *bands: str) -> None:
    inside = "".join(
        f'<PAMRasterBand band="{n}">{text}</PAMRasterBand>' for n, text in enumerate(bands, 1)
    )
    path.with_name(f"{path.name}.aux.xml").write_text(f"<PAMDataset>{inside}</PAMDataset>")


def test_no_data_and_names_beside_the_picture_are_read(picture: Picture) -> None:
    path = picture(half_filled())
    value = "<NoDataValue le_hex_equiv='00'>6.5535E+04</NoDataValue>"
    aux(path, *(f"<Description>{name}</Description>{value}" for name in NAMES))
    scene = open_scene(path)
    assert scene.bands.file_bands == (3, 2, 1, 4)
    assert "65535" in scene.nodata.says
    assert valid(scene) == 40
    (warning,) = scene.warnings
    assert "scene.tif.aux.xml" in warning


def test_colours_beside_the_picture_are_read(picture: Picture) -> None:
    colours = ("Red", "Green", "Blue", "Undefined")
    path = picture(half_filled(500))
    aux(path, *(f"<ColorInterp>{colour}</ColorInterp>" for colour in colours))
    assert open_scene(path).bands.file_bands == (3, 2, 1, 4)
    own = picture(half_filled(500)[:3].astype("uint8"), "own.tif", photometric="RGB")
    aux(own, *(f"<ColorInterp>{colour}</ColorInterp>" for colour in ("Blue", "Green", "Red")))
    assert open_scene(own).bands.file_bands == (3, 2, 1, None)


@pytest.mark.parametrize("domain", ["", ' domain="IMD"'])
def test_a_look_beside_the_picture_is_read(picture: Picture, domain: str) -> None:
    """GDAL puts the vendor's tags there where the format has no place for them."""
    path = picture(half_filled(500), descriptions=NAMES)
    pairs = {"IMAGE_1.meanOffNadirViewAngle": 29.1, "IMAGE_1.meanSatAz": 201.5}
    inside = "".join(f'<MDI key="{key}">{value}</MDI>' for key, value in pairs.items())
    path.with_name("scene.tif.aux.xml").write_text(
        f'<PAMDataset><Metadata domain="xml:a"><MDI key="b">c</MDI></Metadata>'
        f"<Metadata{domain}>{inside}</Metadata></PAMDataset>"
    )
    look = find_look(open_scene(path)).look
    assert (look.off_nadir_deg, look.azimuth_deg, look.source) == (29.1, 21.5, "metadata")


def test_what_cannot_be_read_beside_the_picture_is_told(picture: Picture) -> None:
    path = picture(half_filled(500), descriptions=NAMES)
    path.with_name("scene.tif.aux.xml").write_text("<PAMDataset><PAMRasterBand")
    (warning,) = open_scene(path).warnings
    assert "scene.tif.aux.xml is not well-formed XML" in warning


def test_what_the_file_says_is_believed(picture: Picture) -> None:
    path = picture(half_filled(7), descriptions=("blue", "green", "red", "nir"), nodata=7)
    aux(path, *(f"<Description>{name}</Description><NoDataValue>500</NoDataValue>"
                for name in NAMES))  # fmt: skip
    scene = open_scene(path)
    assert scene.bands.file_bands == (1, 2, 3, 4)
    assert valid(scene) == 40
    (warning,) = scene.warnings
    assert "another no-data value" in warning


@pytest.mark.parametrize(
    "text",
    ["<NoDataValue>-9999</NoDataValue>", "<NoDataValue>none</NoDataValue>", "<NoDataValue/>",
     "<NoDataValue>inf</NoDataValue>", "<Histograms><NoDataValue>500</NoDataValue></Histograms>"],
)  # fmt: skip
def test_what_no_pixel_can_hold_is_not(picture: Picture, text: str) -> None:
    path = picture(half_filled(), descriptions=NAMES)
    aux(path, *[text] * 4)
    scene = open_scene(path)
    assert scene.nodata.assumed
    assert valid(scene) == 80


def test_a_device_is_not_read_as_a_text(tmp_path: Path) -> None:
    """Nor a pipe, which could wait forever. This one is at its end at once."""
    path = tmp_path / "looks.csv"
    path.symlink_to("/dev/null")
    with pytest.raises(InputError, match=r"looks\.csv is not a plain file"):
        read_bytes(path)


@pytest.mark.parametrize("name", ["scene.tif.msk", "scene.msk"])
def test_a_mask_beside_the_picture_is_told_of(picture: Picture, name: str) -> None:
    path = picture(half_filled(), descriptions=NAMES)
    path.with_name(name).write_bytes(b"II*\0")
    (warning,) = open_scene(path).warnings
    assert name in warning
    assert "gdal_translate" in warning


def test_the_remedy_for_a_mask_works(picture: Picture, tmp_path: Path) -> None:
    path = picture(half_filled(), descriptions=NAMES)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.arange(10)[None].repeat(8, 0) < 5)
    assert path.with_name("scene.tif.msk").exists()
    (warning,) = open_scene(path).warnings
    command = re.sub(r"\bIN\b", str(path), warning.split("'")[1])
    command = re.sub(r"\bOUT\b", str(tmp_path / "o.tif"), command)
    try:
        subprocess.run(command.split(), check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("gdal_translate is not installed")
    scene = open_scene(tmp_path / "o.tif")
    assert scene.warnings == ()
    assert valid(scene) == 40


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("setting", "kept_out"),
    [("GDAL_DISABLE_READDIR_ON_OPEN", {"place", "no-data", "mask"}),
     ("GDAL_PAM_ENABLED", {"no-data"}), ("GDAL_GEOREF_SOURCES", {"place", "no-data"})],
)  # fmt: skip
def test_each_setting_of_gdal_alone_keeps_out_what_lies_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, kept_out: set[str]
) -> None:
    """Together they hide each other's absence."""
    path = tmp_path / "scene.tif"
    size = {"width": 10, "height": 8, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", **size) as plain:
        plain.write(np.full((1, 8, 10), 9, np.uint8))
    aux(path, "<NoDataValue>7</NoDataValue>")
    (tmp_path / "scene.tfw").write_text("1\n0\n0\n-1\n5\n5\n")
    with rasterio.open(tmp_path / "scene.tif.msk", "w", driver="GTiff", **size) as mask:
        mask.write(np.zeros((1, 8, 10), np.uint8))
        mask.update_tags(INTERNAL_MASK_FLAGS_1="2")

    def told() -> set[str]:
        with door.opened(door.admit(path)) as dataset, gdal.gdal_settings():
            said = {
                "place": not dataset.transform.is_identity,
                "no-data": dataset.nodata is not None,
                "mask": not dataset.dataset_mask().any(),
            }
        return {what for what, is_told in said.items() if is_told}

    settings = gdal._SETTINGS
    assert told() == set()
    monkeypatch.setattr(gdal, "_SETTINGS", {})
    # GDAL prefers a no-data value to a mask.
    assert told() >= {"place", "no-data"}, "the test proves nothing"
    monkeypatch.setattr(gdal, "_SETTINGS", {k: v for k, v in settings.items() if k == setting})
    assert told().isdisjoint(kept_out)
