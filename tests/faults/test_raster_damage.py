"""Files that lie, break off or are no rasters: one sentence, and never zeros for pixels."""

from __future__ import annotations

import logging
import os
import random
import re
import resource
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio._env import del_gdal_config
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError

from helpers.rasters import Picture, outcome, patched, read, refused, town, written
from snet4core.errors import InputError
from snet4core.scene.gdal import decoding
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import open_scene
from snet4core.windows import Window

LIES = {
    "width of two milliards": (256, 2**31 - 1),
    "height of two milliards": (257, 2**31 - 1),
    "width of a million": (256, 10**6),
    "no width": (256, 0),
    "no height": (257, 0),
    "65535 bands": (277, 65535),
    "rows per strip of nothing": (278, 0),
    "strips beyond the end": (273, 2**31),
    "strips of two gigabytes": (279, 2**31),
    "a field of an unknown type": (259, 9999),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_header_is_refused_before_anything_is_allocated(
    picture: Picture, tmp_path: Path, lie: str
) -> None:
    path = picture(town(), photometric="RGB", blockysize=64, interleave="pixel")
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(written(tmp_path, patched(path, *LIES[lie]), "liar.tif"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 300_000


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("layout", ["directory first", "directory last"])
def test_a_truncated_tiff_is_refused_at_once(
    picture: Picture, tmp_path: Path, share: float, layout: str
) -> None:
    array = np.random.default_rng(0).integers(1, 255, (3, 256, 256), dtype=np.uint8)
    path = picture(array, photometric="RGB", tiled=True, blockxsize=64, blockysize=64)
    if layout == "directory first":
        source, path = path, path.with_name("cog.tif")
        rasterio.shutil.copy(source, path, driver="COG")
    content = path.read_bytes()
    cut = written(tmp_path, content[: max(4, int(share * len(content)))], "cut.tif")
    with pytest.raises(InputError, match=r"cut\.tif"):
        open_scene(cut)


@pytest.mark.parametrize(
    ("driver", "name"), [("JP2OpenJPEG", "s.jp2"), ("HFA", "s.img"), ("ENVI", "s.dat")]
)
def test_other_truncated_formats_never_give_zeros(
    picture: Picture, tmp_path: Path, driver: str, name: str
) -> None:
    array = np.random.default_rng(0).integers(1, 255, (3, 256, 256), dtype=np.uint8)
    path = picture(array, name, driver=driver)
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size * 6 // 10)
    refused(path, bands="3,2,1,-")


@pytest.mark.parametrize("level", [logging.WARNING, logging.CRITICAL])
@pytest.mark.parametrize("mosaic", [False, True])
def test_a_jpeg_tile_that_breaks_off_is_not_filled_up_with_grey(
    picture: Picture, mosaic: bool, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(level, logger="rasterio")  # the command line silences it
    array = town(3, 128, 128) % 200 + 10
    path = picture(
        array, photometric="YCBCR", compress="jpeg", tiled=True, blockxsize=64, blockysize=64,
        interleave="pixel",
    )  # fmt: skip
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
        size = int(dataset.get_tag_item("BLOCK_SIZE_1_1", "TIFF", bidx=1))
        profile = dataset.transform.to_gdal(), dataset.crs
    content = bytearray(path.read_bytes())
    end_of_image = b"\xff\xd9"
    middle, stop = offset + size // 2, offset + size
    content[middle:stop] = end_of_image + bytes(stop - middle - 2)
    path.write_bytes(content)
    if mosaic:
        path = _mosaic(path, *profile)
    with SceneReader(open_scene(path)) as reader:
        assert reader.read(Window(0, 0, 64, 128))[1].all()
        with pytest.raises(InputError, match=r"damaged, copy or download it again"):
            reader.read(Window(64, 64, 64, 64))
        # What was heard of one window says nothing about the next.
        assert reader.read(Window(0, 0, 64, 128))[1].all()


def _mosaic(path: Path, transform: tuple[float, ...], crs: CRS) -> Path:
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{name}</ColorInterp>'
        f'<SimpleSource><SourceFilename relativeToVRT="1">{path.name}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
        for band, name in enumerate(("Red", "Green", "Blue"), 1)
    )
    made = path.with_suffix(".vrt")
    made.write_text(
        f'<VRTDataset rasterXSize="128" rasterYSize="128"><SRS>{crs.to_string()}</SRS>'
        f"<GeoTransform>{', '.join(map(str, transform))}</GeoTransform>{bands}</VRTDataset>"
    )
    return made


def test_a_warning_of_another_thread_says_nothing_about_this_one() -> None:
    log = logging.getLogger("rasterio._err")
    other = threading.Thread(target=log.warning, args=("JPEGLib:premature end of data",))
    with decoding():
        other.start()
        other.join()
    with pytest.raises(RasterioIOError, match="Premature end"), decoding():
        log.warning("CPLE_AppDefined:JPEGLib:Premature end of JPEG file")


@pytest.mark.parametrize("compress", ["deflate", "lzw", "zstd", "jpeg"])
def test_a_corrupt_tile_in_the_middle_is_named_and_the_others_are_read(
    picture: Picture, compress: str
) -> None:
    # What cannot be compressed is stored as it is, and zeros in it would be mere counts.
    array = town(3, 256, 256) % 200 + 10
    path = picture(
        array, photometric="RGB", compress=compress, tiled=True, blockxsize=64, blockysize=64
    )
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_2_1", "TIFF", bidx=1))
        size = int(dataset.get_tag_item("BLOCK_SIZE_2_1", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    content[offset + 16 : offset + size] = bytes(size - 16)
    path.write_bytes(content)
    assert "damaged" in refused(path)
    with SceneReader(open_scene(path)) as reader:
        assert reader.read(Window(0, 0, 64, 256))[1].all()
        with pytest.raises(InputError, match="rows 64 to 128, columns 128 to 192"):
            reader.read(Window(64, 128, 64, 64))


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Sets a variable of the environment for one test.

    rasterio makes settings of GDAL of those that it finds, and they would outlive the variable.
    """
    names = []

    def put(variable: str, value: str) -> None:
        monkeypatch.setenv(variable, value)
        names.append(variable)

    yield put
    for name in names:
        del_gdal_config(name)


@pytest.mark.parametrize("variable", ["GTIFF_IGNORE_READ_ERRORS"])
def test_no_variable_of_the_environment_makes_zeros_of_a_corrupt_tile(
    picture: Picture, foreign: Callable[[str, str], None], variable: str
) -> None:
    foreign(variable, "YES")
    path = picture(
        town(3, 128, 128), photometric="RGB", compress="deflate", tiled=True, blockxsize=64,
        blockysize=64,
    )  # fmt: skip
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
        size = int(dataset.get_tag_item("BLOCK_SIZE_1_1", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    content[offset + 8 : offset + size] = bytes(size - 8)
    path.write_bytes(content)
    assert "damaged" in refused(path)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("variable", "name", "how"),
    [("GDAL_JPEG_TO_RGB", "scene.jpg", {"driver": "JPEG"}),
     ("GTIFF_POINT_GEO_IGNORE", "scene.tif",
      {"photometric": "RGB", "tags": {"AREA_OR_POINT": "Point"}})],
)  # fmt: skip
def test_no_variable_of_the_environment_changes_colours_or_the_place(
    picture: Picture,
    foreign: Callable[[str, str], None],
    variable: str,
    name: str,
    how: dict[str, Any],
) -> None:
    """GDAL asks them too, where a program does not say what it wants."""
    path = picture(town(3, 64, 80) // np.array([1, 2, 4], np.uint8)[:, None, None], name, **how)
    if name.endswith(".jpg"):
        path.with_suffix(".jgw").write_text("0.5\n0\n0\n-0.5\n733601.25\n3725138.75\n")
        path.with_suffix(".prj").write_text(CRS.from_epsg(32616).to_wkt())
    plain = open_scene(path)
    plain_BHW = read(plain)[0]
    foreign(variable, "YES" if "IGNORE" in variable else "NO")
    scene = open_scene(path)
    assert scene.grid == plain.grid
    np.testing.assert_array_equal(read(scene)[0], plain_BHW)


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "scene.tif")
    return folder / "scene.tif"


def link_to(target: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / "scene.tif").symlink_to(target)
        return folder / "scene.tif"

    return make


def a_folder(folder: Path) -> Path:
    (folder / "scene.tif").mkdir()
    return folder / "scene.tif"


NO_RASTERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing": (lambda f: f / "scene.tif", "does not exist"),
    "empty": (lambda f: written(f, b""), "is empty"),
    "one byte": (lambda f: written(f, b"I"), "no raster"),
    "TIFF's first four bytes": (lambda f: written(f, b"II*\0"), "damaged or incomplete"),
    "HTML": (lambda f: written(f, b"\n<!DOCTYPE html><html>404</html>"), "HTML"),
    "plain HTML": (lambda f: written(f, b"<HTML><body>Login</body>"), "HTML"),
    "text": (lambda f: written(f, b"hello, I am no picture"), "no raster"),
    "zip": (lambda f: written(f, b"PK\x03\x04" + bytes(99)), "ZIP"),
    "GeoPackage": (lambda f: written(f, b"SQLite format 3\0" + bytes(99)), "SQLite"),
    "LFS pointer": (lambda f: written(f, b"version https://git-lfs.github.com/spec/v1"), "LFS"),
    "NITF": (lambda f: written(f, b"NITF02.10" + bytes(999)), "NITF"),
    "zeros": (lambda f: written(f, bytes(4096)), "no raster"),
    "a loop of directories": (
        lambda f: written(f, b"II*\0" + struct.pack("<IHHHIII", 8, 1, 256, 4, 1, 9, 8)),
        "damaged",
    ),
    "pipe": (fifo, "pipe or device"),
    "device": (link_to("/dev/zero"), "pipe or device"),
    "folder": (a_folder, "folder"),
    "link to itself": (link_to("scene.tif"), "cannot be opened|does not exist"),
    "link to nothing": (link_to("gone.tif"), "does not exist"),
    "ENVI header": (lambda f: written(f, b"ENVI\nsamples = 1", "scene.hdr"), "data file beside it"),
}  # fmt: skip


@pytest.mark.parametrize("fault", NO_RASTERS)
def test_what_is_no_raster_is_called_what_it_is(tmp_path: Path, fault: str) -> None:
    make, message = NO_RASTERS[fault]
    sentence = refused(make(tmp_path))
    assert re.search(message, sentence), sentence


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(picture: Picture) -> None:
    path = picture(town(), photometric="RGB")
    path.chmod(0)
    assert "may not be read" in refused(path)


def test_a_name_too_long_for_the_system_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be opened|does not exist"):
        open_scene(tmp_path / ("n" * 300 + ".tif"))


@pytest.mark.parametrize(
    "name",
    ["ünï çödé 例.tif", "-leading.tif", "two\nlines.tif", "'quotes\".tif", "%s {x} $HOME.tif",
     "a#b?c!d.tif", "=1+1.tif", "..tif", "\u202efit.tif", "n" * 245 + ".tif", "http:x.tif",
     "GTIFF_DIR:1:x.tif", ";DROP TABLE a;.tif", b"\xff\xfe.tif", "zip+x.tif"],
)  # fmt: skip
def test_names_of_every_kind_are_read(picture: Picture, tmp_path: Path, name: str | bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    picture(town(), photometric="RGB").rename(path)
    np.testing.assert_array_equal(read(open_scene(path))[0][:3], town()[::-1])


FORMATS: dict[str, dict[str, Any]] = {
    "deflate.tif": {"compress": "deflate", "tiled": True, "blockxsize": 16, "blockysize": 16},
    "lzw.tif": {"compress": "lzw", "predictor": 2},
    "jpeg.tif": {"compress": "jpeg", "photometric": "YCBCR", "interleave": "pixel"},
    "plain big.tif": {"bigtiff": "YES"},
    "wavelets.jp2": {"driver": "JP2OpenJPEG"},
    "imagine.img": {"driver": "HFA", "COMPRESSED": "YES"},
    "numbers.dat": {"driver": "ENVI"},
}


# rasterio decodes GDAL's messages as UTF-8 when it logs them; those about a damaged name are not.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. 'rasterio._env.log_error':pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("files", [20, pytest.param(150, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", FORMATS)
def test_flipped_bytes_are_an_error_or_a_scene(
    picture: Picture, tmp_path: Path, name: str, files: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Damaged headers and blocks: our own error or other counts, and nothing else."""
    path = picture(town(3, 64, 80), name, **FORMATS[name])
    content, chance = path.read_bytes(), random.Random(7)
    outcomes = set()
    for trial in range(files):
        spoilt = bytearray(content)
        # Headers lie at either end of a file; most of it is pixels.
        low = max(0, len(content) - 1500) if trial % 3 == 0 else 0
        high = min(len(content), 1500) if trial % 3 == 1 else len(content)
        for _ in range(chance.randint(1, 4)):
            spoilt[chance.randrange(low, high)] = chance.choice(
                [0, 255, 128, chance.randrange(256)]
            )
        path.write_bytes(spoilt)
        start = time.monotonic()
        outcomes.add(outcome(path))
        assert time.monotonic() - start < 10
    assert "read" in outcomes
    assert outcomes <= {"read", "refused"}
    assert "Traceback" not in capfd.readouterr().err
