"""Rasters as they come from out there: the same scene, or one sentence, and never harm.

Every file is made here. Rows of faults: georeference, bands and values, no data, size and
structure, hostile rasters.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import math
import os
import random
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from snet4core.errors import InputError, Snet4Error
from snet4core.look.sources import find_look
from snet4core.scene.gdal import GDAL_ERRORS
from snet4core.scene.inputs import expand
from snet4core.scene.ranges import scene_ranges
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import Scene, open_scene
from snet4core.windows import Window, blocks

Picture = Callable[..., Path]
Make = Callable[[Picture, Path], Path]

PLACE = Affine(0.5, 0, 733601, 0, -0.5, 3725139)


def town(bands: int = 3, rows: int = 64, cols: int = 80, dtype: str = "uint8") -> Any:
    """Smooth counts without a zero, different in every band and place."""
    y, x = np.mgrid[0:rows, 0:cols]
    return np.stack([10 + 2 * band + y + x for band in range(bands)]).astype(dtype)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(scene: Scene) -> tuple[Any, Any]:
    """Everything that a run reads: ranges, and all pixels in blocks."""
    scene_ranges(scene)
    counts_BHW = np.zeros((4, *scene.grid.shape), scene.dtype)
    valid_HW = np.zeros(scene.grid.shape, bool)
    with SceneReader(scene) as reader:
        for window in blocks(scene.grid.shape, 512):
            part = window.slices()
            counts_BHW[:, *part], valid_HW[part] = reader.read(window)
    return counts_BHW, valid_HW


def refused(path: Path, **how: Any) -> str:
    """The one sentence of the error, checked for its form; nothing may be left beside the file."""
    before = listing(path.parent)
    with pytest.raises(InputError) as caught:
        read(open_scene(path, **how))
    sentence = str(caught.value)
    assert caught.value.exit_code == 5
    assert path.name in sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert len(sentence) < 400 + len(str(path))
    assert sentence.endswith(".")
    assert listing(path.parent) == before
    return sentence


def written(folder: Path, content: bytes, name: str = "scene.tif") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# --- Georeference ---


def north_up(array: Any) -> tuple[Any, Affine]:
    return array, PLACE


def south_up(array: Any) -> tuple[Any, Affine]:
    rows = array.shape[1]
    return array[:, ::-1], PLACE @ Affine.translation(0, rows) @ Affine.scale(1, -1)


def mirrored(array: Any) -> tuple[Any, Affine]:
    cols = array.shape[2]
    return array[:, :, ::-1], PLACE @ Affine.translation(cols, 0) @ Affine.scale(-1, 1)


def quarter_turn(array: Any) -> tuple[Any, Affine]:
    """Rows become columns: the transform has zeros on its diagonal."""
    return array.transpose(0, 2, 1), PLACE @ Affine(0, 1, 0, 1, 0, 0)


def half_turn(array: Any) -> tuple[Any, Affine]:
    rows, cols = array.shape[1:]
    return array[:, ::-1, ::-1], PLACE @ Affine.translation(cols, rows) @ Affine.scale(-1, -1)


def on_its_side(array: Any) -> tuple[Any, Affine]:
    """Turned by 90 degrees: the last column becomes the first row."""
    cols = array.shape[2]
    return np.rot90(array, axes=(1, 2)), PLACE @ Affine(0, -1, cols, 1, 0, 0)


@pytest.mark.parametrize(
    "turned", [north_up, south_up, mirrored, quarter_turn, half_turn, on_its_side]
)
def test_the_network_sees_the_same_picture_however_it_is_stored(
    picture: Picture, turned: Callable[[Any], tuple[Any, Affine]]
) -> None:
    """North up, east to the right: shadow and lean keep their direction."""
    array, transform = turned(town())
    path = picture(array, photometric="RGB", transform=transform)
    scene = open_scene(path)
    plain = open_scene(picture(town(), "plain.tif", photometric="RGB"))
    assert scene.grid == plain.grid
    assert scene.stored_grid.transform == transform
    np.testing.assert_array_equal(read(scene)[0], read(plain)[0])
    assert scene_ranges(scene) == scene_ranges(plain)
    with SceneReader(scene) as one, SceneReader(plain) as other:
        window = Window(-3, 7, 20, 90)
        np.testing.assert_array_equal(one.read(window)[0], other.read(window)[0])
        np.testing.assert_array_equal(one.read(window)[1], other.read(window)[1])


@pytest.mark.parametrize(
    ("transform", "crs", "gsd_m"),
    [
        (PLACE @ Affine.rotation(31), "EPSG:32616", 0.5),
        (PLACE @ Affine.shear(20, 0), "EPSG:32616", 0.5),
        (PLACE @ Affine.scale(2, 0.5), "EPSG:32616", 0.5),
        (Affine(5e-6, 0, -84.4, 0, -4.5e-6, 33.7), "EPSG:4326", 0.48),
        (Affine(5e-6, 0, 179.9999, 0, -4.5e-6, -17.0), "EPSG:4326", 0.515),
        (Affine(1.64, 0, 2229000, 0, -1.64, 1370000), "EPSG:2240", 0.5),
        (Affine(0.5, 0, 100, 0, -0.5, 100), "EPSG:3413", 0.5),
        (PLACE, "EPSG:32616+5773", 0.5),
        (PLACE, "+proj=tmerc +lon_0=-84 +k=1 +x_0=700000 +ellps=bessel +units=m", 0.5),
    ],
    ids=["rotated", "sheared", "oblong", "degrees", "antimeridian", "feet", "pole", "compound",
         "custom"],
)  # fmt: skip
def test_odd_grids_are_read_through_the_full_affine(
    picture: Picture, transform: Affine, crs: str, gsd_m: float
) -> None:
    scene = open_scene(picture(town(), photometric="RGB", transform=transform, crs=crs))
    np.testing.assert_allclose(scene.grid.transform[:6], transform[:6], rtol=1e-12, atol=1e-9)
    assert scene.grid.gsd_m == pytest.approx(gsd_m, rel=0.05)
    assert read(scene)[1].all()


def test_pixel_is_point_lies_where_gdal_puts_it(picture: Picture) -> None:
    path = picture(town(), photometric="RGB", tags={"AREA_OR_POINT": "Point"})
    assert open_scene(path).grid.transform == PLACE


def with_gcps(picture: Picture, folder: Path) -> Path:
    corners = [(0, 0), (0, 80), (64, 0), (64, 80)]
    points = [GroundControlPoint(r, c, 733601 + c / 2, 3725139 - r / 2) for r, c in corners]
    path = picture(town(), photometric="RGB", transform=None, crs=None)
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = (points, rasterio.crs.CRS.from_epsg(32616))
    return path


def with_rpcs(picture: Picture, folder: Path) -> Path:
    one = [1.0] + [0.0] * 19
    rpc = RPC(0.0, 10.0, 33.0, 0.1, one, one, 32.0, 30.0, -84.0, 0.1, one, one, 40.0, 40.0)
    return picture(town(), photometric="RGB", transform=None, crs=None, rpcs=rpc)


NOWHERE: dict[str, tuple[Make, str]] = {
    "no CRS": (lambda p, _: p(town(), photometric="RGB", crs=None), "no CRS.*-a_srs"),
    "no transform": (
        lambda p, _: p(town(), photometric="RGB", transform=None), "no transform.*-a_ullr",
    ),
    "neither": (
        lambda p, _: p(town(), photometric="RGB", transform=None, crs=None), "no transform",
    ),
    "control points only": (with_gcps, "control points.*gdalwarp"),
    "sensor model only": (with_rpcs, "RPC.*gdalwarp -rpc"),
    "singular transform": (
        lambda p, _: p(town(), photometric="RGB", transform=Affine(1, 2, 0, 2, 4, 9)),
        "cannot be inverted|no transform",
    ),
    "metres called degrees": (lambda p, _: p(town(), photometric="RGB", crs="EPSG:4326"), "CRS"),
    "pixels of no size": (
        lambda p, _: p(town(), photometric="RGB", transform=Affine(1e-200, 0, 5e5, 0, 1e-200, 4e6)),
        "no size|inverted",
    ),
    "a geocentric CRS": (lambda p, _: p(town(), photometric="RGB", crs="EPSG:4978"), "CRS"),
}  # fmt: skip


@pytest.mark.parametrize("fault", NOWHERE)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_place_on_earth_is_never_invented(picture: Picture, tmp_path: Path, fault: str) -> None:
    make, message = NOWHERE[fault]
    sentence = refused(make(picture, tmp_path))
    assert re.search(message, sentence), sentence


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_world_file_and_a_prj_fill_in_what_is_missing(picture: Picture, tmp_path: Path) -> None:
    path = picture(town(), photometric="RGB", transform=None, crs=None)
    (tmp_path / "scene.tfw").write_text("0.5\n0\n0\n-0.5\n733601.25\n3725138.75\n")
    (tmp_path / "scene.prj").write_text(rasterio.crs.CRS.from_epsg(32616).to_wkt())
    scene = open_scene(path)
    assert scene.grid.transform == PLACE
    assert scene.grid.crs.to_epsg() == 32616
    assert len(scene.warnings) == 2


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_jpeg_called_tif_is_placed_by_its_aux_xml(picture: Picture, tmp_path: Path) -> None:
    """As tiles of drone mosaics come: JPEG inside, CRS and transform in `.tif.aux.xml`."""
    path = picture(town(), "tile.jpg", driver="JPEG", crs=None, transform=None)
    path = path.rename(tmp_path / "tile.tif")
    wkt = rasterio.crs.CRS.from_epsg(4326).to_wkt().replace('"', "&quot;")
    (tmp_path / "tile.tif.aux.xml").write_text(
        f"<PAMDataset><SRS>{wkt}</SRS>"
        "<GeoTransform>85.5, 1.3e-06, 0, 27.6, 0, -1.2e-06</GeoTransform></PAMDataset>"
    )
    scene = open_scene(path)
    assert scene.grid.crs.to_epsg() == 4326
    assert scene.grid.transform == Affine(1.3e-06, 0, 85.5, 0, -1.2e-06, 27.6)
    assert read(scene)[1].all()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("scene.tfw", "0.5\n0\n0\n-0.5\n800000\n3725138.75\n"),
        ("scene.tif.aux.xml",
         "<PAMDataset><GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform></PAMDataset>"),
        ("scene.prj", rasterio.crs.CRS.from_epsg(32633).to_wkt()),
    ],
)  # fmt: skip
def test_the_file_is_believed_against_a_sidecar_and_the_conflict_is_said(
    picture: Picture, tmp_path: Path, name: str, text: str
) -> None:
    path = picture(town(), photometric="RGB")
    (tmp_path / name).write_text(text)
    scene = open_scene(path)
    assert scene.grid.transform == PLACE
    assert scene.grid.crs.to_epsg() == 32616
    (warning,) = scene.warnings
    assert name in warning


@pytest.mark.parametrize("text", ["", "0.5 0 0", "a b c d e f", "nan 0 0 1 1 1", "1" * 9999, "\0"])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_damaged_world_file_is_no_place(picture: Picture, tmp_path: Path, text: str) -> None:
    path = picture(town(), photometric="RGB", transform=None)
    (tmp_path / "scene.tfw").write_text(text)
    assert "no transform" in refused(path)


# --- Bands and values ---


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


# --- No data ---


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


# --- Size and structure ---


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (31, 33), (513, 2), (2, 2)])
def test_sizes_of_every_kind(picture: Picture, shape: tuple[int, int]) -> None:
    array = town(4, *shape, dtype="uint16")
    counts_BHW, valid_HW = read(open_scene(picture(array)))
    np.testing.assert_array_equal(counts_BHW, array)
    assert valid_HW.all()


@pytest.mark.parametrize(
    "profile",
    [{"bigtiff": "YES"}, {"ENDIANNESS": "BIG"}, {"interleave": "band"}, {"compress": "lzw"},
     {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "zstd"}, {"blockysize": 1},
     {"driver": "COG"}, {"compress": "packbits"}],
    ids=lambda p: " ".join(p),
)  # fmt: skip
def test_flavours_of_tiff(picture: Picture, profile: dict[str, Any]) -> None:
    array = town(4, 600, 520, dtype="uint16")
    if profile.get("driver") == "COG":
        source = picture(array, "source.tif")
        path = source.with_name("cog.tif")
        rasterio.shutil.copy(source, path, driver="COG", compress="DEFLATE")
    else:
        path = picture(array, **profile)
    np.testing.assert_array_equal(read(open_scene(path))[0], array)


@pytest.mark.parametrize(
    ("driver", "name"), [("JP2OpenJPEG", "s.jp2"), ("HFA", "s.img"), ("ENVI", "s.dat")]
)
def test_other_formats_of_the_allow_list(picture: Picture, driver: str, name: str) -> None:
    lossless = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
    array = town(3, 300, 260)
    scene = open_scene(picture(array, name, driver=driver, **lossless), bands="3,2,1,-")
    np.testing.assert_array_equal(read(scene)[0][:3], array[::-1])
    assert scene.grid.transform == PLACE
    assert scene.grid.crs.to_epsg() == 32616


def test_several_pages_are_said_and_the_first_is_used(picture: Picture, tmp_path: Path) -> None:
    """A page is chained to the first directory by hand; overviews and masks are no pages."""
    path = picture(town(), photometric="RGB")
    content = path.read_bytes()
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    after = start + 2 + 12 * count
    page = content[start:after] + b"\0\0\0\0"
    chained = content[:after] + struct.pack("<I", len(content)) + content[after + 4 :] + page
    scene = open_scene(written(tmp_path, chained, "pages.tif"))
    assert "2 pictures" in scene.warnings[0]
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2])
    assert open_scene(path).warnings == ()


def sparse(folder: Path, side: int, **profile: Any) -> Path:
    path = folder / "sparse.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=4, dtype="uint16",
        crs="EPSG:32616", transform=PLACE, sparse_ok=True, **profile,
    ):  # fmt: skip
        pass
    return path


def test_a_huge_sparse_scene_takes_little_memory_and_time(tmp_path: Path) -> None:
    path = sparse(
        tmp_path, 100_000, tiled=True, blockxsize=512, blockysize=512, compress="deflate",
        bigtiff="YES",
    )  # fmt: skip
    assert path.stat().st_size < 2**23
    code = (
        "import sys; from snet4core.scene.reader import SceneReader;"
        "from snet4core.scene.scene import open_scene;"
        "from snet4core.windows import Window; from snet4core.scene.ranges import scene_ranges;"
        "scene = open_scene(sys.argv[1]);"
        "print(scene_ranges(scene)[0], file=sys.stderr);"
        "reader = SceneReader(scene).__enter__();"
        "assert not reader.read(Window(99_000, 99_000, 2048, 2048))[1].any();"
        # Not ru_maxrss: a child begins with its parent's, which may be large.
        "print(next(line.split()[1] for line in open('/proc/self/status') "
        "if line.startswith('VmHWM')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert int(done.stdout) < 1_000_000  # KiB


def test_one_huge_compressed_strip_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """1.8 GB per band in one strip: one pixel of it would cost all of it."""
    assert "TILED=YES" in refused(sparse(tmp_path, 30_000, blockysize=30_000, compress="deflate"))


def test_one_huge_plain_strip_is_read_line_by_line(picture: Picture) -> None:
    """900 MB in one strip, mostly a hole in the file; GDAL reads single lines of it."""
    path = picture(np.full((1, 40, 40), 7, np.uint8), blockysize=40)
    side, content = 30_000, b""
    for tag, value in ((256, side), (257, side), (278, side), (279, side * side)):
        content = patched(path, tag, value)
        path.write_bytes(content)
    with path.open("rb+") as file:
        file.truncate(len(content) + side * side)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with SceneReader(open_scene(path, bands="1,1,1,-")) as reader:
        reader.read(Window(15_000, 0, 64, 2048))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 400_000


def patched(path: Path, tag: int, value: int) -> bytes:
    """The TIFF with one number in its first directory overwritten."""
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, entry)[0] == tag:
            struct.pack_into("<HII", content, entry + 2, 4, 1, value)
    return bytes(content)


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


def outcome(path: Path) -> str:
    """`read`, or `refused` in our own words; anything else is an exception that fails the test."""
    try:
        scene = open_scene(path, bands="3,2,1,-")
        if scene.grid.shape[0] * scene.grid.shape[1] < 10**7:
            read(scene)
    except Snet4Error as problem:
        return "refused" if path.name in str(problem) else f"refused without a name: {problem}"
    return "read"


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


# --- Hostile rasters ---


@pytest.fixture
def listener() -> Iterator[tuple[str, list[int]]]:
    """A server that counts who calls: its address, and a list that grows with each call."""
    server = socket.create_server(("127.0.0.1", 0))
    calls: list[int] = []

    def answer() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            calls.append(1)
            connection.close()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", calls
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A valuable file in a folder of its own that nobody may touch or add to."""
    folder = tmp_path / "valuable"
    folder.mkdir()
    path = folder / "canary.bin"
    path.write_bytes(bytes(range(256)) * 64)
    before = path.stat()
    yield path
    assert listing(folder) == ["canary.bin"]
    assert path.read_bytes() == bytes(range(256)) * 64
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def vrt(source: str) -> str:
    return (
        '<VRTDataset rasterXSize="80" rasterYSize="64"><SRS>EPSG:32616</SRS>'
        "<GeoTransform>733601,0.5,0,3725139,0,-0.5</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{source}</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )


def raw_vrt(path: Path) -> str:
    return (
        '<VRTDataset rasterXSize="128" rasterYSize="128">'
        '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
        f"<SourceFilename>{path}</SourceFilename></VRTRasterBand></VRTDataset>"
    )


def wms(url: str) -> str:
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{url}/${{z}}/${{x}}/${{y}}</ServerUrl></Service>'
        "<DataWindow><UpperLeftX>0</UpperLeftX><UpperLeftY>1</UpperLeftY><LowerRightX>1</LowerRightX>"
        "<LowerRightY>0</LowerRightY><TileLevel>1</TileLevel></DataWindow></GDAL_WMS>"
    )


def mrf(canary: Path, url: str) -> str:
    return (
        "<MRF_META><CachedSource><Source>" + url + "</Source></CachedSource><Raster>"
        '<Size x="512" y="512" c="1"/><DataFile>' + str(canary.with_name("written.ppg"))
        + "</DataFile></Raster></MRF_META>"
    )  # fmt: skip


POSING: dict[str, Callable[[str, Path], str]] = {
    "VRT of a remote raster": lambda url, _: vrt(f"/vsicurl/{url}/a.tif"),
    "VRT of a local file": lambda _, path: raw_vrt(path),
    "VRT behind a byte order mark": lambda _, path: "\ufeff" + raw_vrt(path),
    "VRT after blanks": lambda url, _: " \n" + vrt(f"/vsicurl/{url}/a.tif"),
    "WMS": lambda url, _: wms(url),
    "web map capabilities": lambda url, _: f'<WMT_MS_Capabilities href="{url}"/>',
    "MRF": lambda url, path: mrf(path, url),
    "STACIT": lambda url, _: f'STACIT:"{url}/search"',
    "GTI index": lambda url, _: f"<GDALTileIndexDataset><IndexDataset>{url}</IndexDataset>"
                                "</GDALTileIndexDataset>",
    "DERIVED": lambda _, path: f"DERIVED_SUBDATASET:AMPLITUDE:{path}",
    "a URL in a text": lambda url, _: f"/vsicurl/{url}/a.tif",
}  # fmt: skip


@pytest.mark.parametrize("name", ["scene.tif", "scene.png", "scene.dat"])
@pytest.mark.parametrize("fault", POSING)
def test_nothing_that_poses_as_a_picture_is_opened(
    tmp_path: Path, listener: tuple[str, list[int]], canary: Path, fault: str, name: str
) -> None:
    url, calls = listener
    refused(written(tmp_path, POSING[fault](url, canary).encode(), name))
    assert calls == []


SIDECARS: dict[str, Callable[[str, Path], str]] = {
    "scene.tif.ovr": lambda url, _: vrt(f"/vsicurl/{url}/a.tif"),
    "scene.tif.msk": lambda url, _: vrt(f"/vsicurl/{url}/a.tif"),
    "scene.ovr": lambda url, _: vrt(f"/vsicurl/{url}/a.tif"),
    "scene.aux": lambda url, _: vrt(f"/vsicurl/{url}/a.tif"),
    "scene.tif.aux.xml": lambda url, _: (
        '<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">'
        f"/vsicurl/{url}/a.tif</MDI></Metadata><SRS>{url}/srs</SRS></PAMDataset>"
    ),
    "scene.prj": lambda url, _: f"{url}/srs",
    "scene.tfw": lambda url, _: f"/vsicurl/{url}/a.tif",
    "scene.XML": lambda url, path: (
        f'<!DOCTYPE isd [<!ENTITY a SYSTEM "{url}/e"><!ENTITY b SYSTEM "file://{path}">]>'
        "<isd><MEANOFFNADIRVIEWANGLE>&a;&b;</MEANOFFNADIRVIEWANGLE></isd>"
    ),
    "scene.IMD": lambda url, _: f"meanOffNadirViewAngle = /vsicurl/{url};\n",
    "scene_rpc.txt": lambda url, _: url,
    "scene.json": lambda url, _: f'{{"assets": {{"a": {{"href": "{url}"}}}}}}',
    "scene.hdr": lambda url, _: f"ENVI\ndata file = {url}\nsamples = 1\nlines = 1\nbands = 1\n",
    "scene.tab": lambda url, _: f'!table\nDefinition Table\n  File "{url}"\n',
    "METADATA.DIM": lambda url, _: f"<Dimap_Document><a>{url}</a></Dimap_Document>",
}  # fmt: skip


@pytest.mark.parametrize("name", SIDECARS)
def test_no_sidecar_opens_a_connection_or_changes_a_pixel(
    picture: Picture, tmp_path: Path, listener: tuple[str, list[int]], canary: Path, name: str
) -> None:
    url, calls = listener
    path = picture(town(), photometric="RGB")
    plain_BHW, plain_HW = read(open_scene(path))
    (tmp_path / name).write_text(SIDECARS[name](url, canary))
    before = listing(tmp_path)
    scene = open_scene(path)
    counts_BHW, valid_HW = read(scene)
    find_look(scene, off_nadir_deg=10.0)
    assert calls == []
    np.testing.assert_array_equal(counts_BHW, plain_BHW)
    np.testing.assert_array_equal(valid_HW, plain_HW)
    assert scene.grid.transform == PLACE
    assert listing(tmp_path) == before


def test_the_listener_hears_what_an_open_door_lets_through(
    tmp_path: Path, listener: tuple[str, list[int]]
) -> None:
    """The attack is real: plain GDAL calls, so a silent listener above means something."""
    url, calls = listener
    path = written(tmp_path, vrt(f"/vsicurl/{url}/a.tif").encode())
    with (
        contextlib.suppress(*GDAL_ERRORS),
        rasterio.Env(GDAL_HTTP_TIMEOUT=2),
        rasterio.open(path) as dataset,
    ):
        dataset.read(1)
    assert calls


def test_envi_sees_its_header_and_nothing_else(
    picture: Picture, tmp_path: Path, listener: tuple[str, list[int]]
) -> None:
    url, calls = listener
    array = town(4, dtype="uint16")
    path = picture(array, "scene.dat", driver="ENVI")
    for name in ("scene.dat.ovr", "scene.dat.msk", "scene.ovr", "scene.aux"):
        (tmp_path / name).write_text(vrt(f"/vsicurl/{url}/a.tif"))
    (tmp_path / "scene.dat.aux.xml").write_text(SIDECARS["scene.tif.aux.xml"](url, path))
    counts_BHW, valid_HW = read(open_scene(path))
    np.testing.assert_array_equal(counts_BHW, array)
    assert valid_HW.all()
    assert calls == []


def test_an_imagine_file_reads_no_file_that_it_names(
    picture: Picture, tmp_path: Path, canary: Path
) -> None:
    """Large .img files keep their pixels in another file, named inside."""
    path = picture(town(3), "scene.img", driver="HFA", USE_SPILL="YES")
    content = path.read_bytes()
    assert b"scene.ige" in content
    name = b"valuable/canary.bin"
    evil = content.replace(b"scene.ige\0", name[:9] + b"\0")
    (tmp_path / "valuable").joinpath("x").mkdir()
    written(tmp_path, evil, "evil.img")
    (tmp_path / "valuable").joinpath("x").rmdir()
    refused(tmp_path / "evil.img", bands="3,2,1,-")


@pytest.mark.parametrize(
    "location",
    ["{url}/a.tif", "/vsicurl/{url}/a.tif", "/vsicurl_streaming/{url}", "s3://bucket/a.tif",
     "/vsis3/bucket/a.tif", "gs://b/a.tif", "/vsizip/a.zip/a.tif", "zip://a.zip!a.tif",
     "/vsigzip//vsicurl/{url}", "file:///etc/passwd", "/vsimem/a.tif", "/vsistdin/",
     "zip+{url}/a.zip", "ftp://host/a.tif", "/vsisubfile/0_9,/etc/passwd"],
)  # fmt: skip
def test_urls_and_virtual_paths_need_permission(
    listener: tuple[str, list[int]], location: str
) -> None:
    url, calls = listener
    with pytest.raises(InputError, match="--allow-remote"):
        open_scene(location.format(url=url))
    for scene in expand([location.format(url=url)]):
        with pytest.raises(InputError, match="--allow-remote"):
            open_scene(scene)
    assert calls == []


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The folder over HTTP, with byte ranges as GDAL asks for them."""
    handler = functools.partial(Ranges, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


class Ranges(http.server.SimpleHTTPRequestHandler):
    """A file server that knows `Range: bytes=A-B` and keeps silent."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        low = int(found[1]) if found else 0
        part = content[low : int(found[2]) + 1 if found and found[2] else len(content)]
        self.send_response(206 if found else 200)
        self.send_header("Content-Length", str(len(part)))
        if found:
            self.send_header("Content-Range", f"bytes {low}-{low + len(part) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        pass


def test_with_permission_a_remote_picture_is_read(picture: Picture, served: str) -> None:
    array = town(3, 300, 200)
    picture(array, photometric="RGB", tiled=True, blockxsize=64, blockysize=64)
    scene = open_scene(f"{served}/scene.tif", allow_remote=True)
    np.testing.assert_array_equal(read(scene)[0][:3], array[::-1])
    assert scene.name == "scene"


def test_even_with_permission_a_remote_vrt_is_no_picture(
    tmp_path: Path, served: str, listener: tuple[str, list[int]], canary: Path
) -> None:
    url, calls = listener
    written(tmp_path, vrt(f"/vsicurl/{url}/a.tif").encode(), "posing.tif")
    written(tmp_path, raw_vrt(canary).encode(), "local.tif")
    for name in ("posing.tif", "local.tif", "absent.tif"):
        with pytest.raises(InputError, match=name):
            open_scene(f"{served}/{name}", allow_remote=True)
    assert calls == []


def test_driver_prefixes_are_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("WMS:a", "GTIFF_DIR:1:a.tif", "MVT:a", 'NETCDF:"a":b', "vrt://a.tif"):
        with pytest.raises(InputError, match=r"does not exist|--allow-remote"):
            open_scene(name)


def test_a_billion_laughs_are_none(picture: Picture, tmp_path: Path) -> None:
    path = picture(town(), photometric="RGB")
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol" * 10}">' for n in range(9))
    (tmp_path / "scene.XML").write_text(f"<!DOCTYPE a [{lol}]><a>&l8;</a>")
    found = find_look(open_scene(path), off_nadir_deg=5.0)
    assert "document type" in found.warnings[0]


def test_a_sidecar_of_a_gigabyte_is_not_read(picture: Picture, tmp_path: Path) -> None:
    path = picture(town(), photometric="RGB")
    with (tmp_path / "scene.IMD").open("wb") as file:
        file.truncate(2**30)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = find_look(open_scene(path), off_nadir_deg=5.0)
    assert "larger than" in found.warnings[0]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 100_000


def test_a_bomb_in_a_tile_is_bounded_by_the_tile(picture: Picture) -> None:
    """A deflate stream that unpacks to a gigabyte: GDAL stops at the tile's own size."""
    path = picture(
        np.ones((3, 64, 64), np.uint8), photometric="RGB", tiled=True, blockxsize=64, blockysize=64,
        compress="deflate",
    )  # fmt: skip
    bomb = zlib.compress(bytes(2**24), 9)
    content = path.read_bytes()
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    spoilt = bytearray(content + bomb)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag = struct.unpack_from("<H", content, entry)[0]
        if tag in (324, 325):
            struct.pack_into(
                "<HII", spoilt, entry + 2, 4, 1, len(content) if tag == 324 else len(bomb)
            )
    path.write_bytes(spoilt)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert outcome(path) in ("read", "refused")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 200_000
