"""Sizes, formats and layouts of files: the same pixels, in little memory."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from helpers.rasters import PLACE, Picture, patched, read, town, written
from snet4core.errors import InputError
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import open_scene
from snet4core.windows import Window


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
    path = sparse(tmp_path, 30_000, blockysize=30_000, compress="deflate")
    # Not read: without the refusal that would take minutes.
    with pytest.raises(InputError, match=r"sparse\.tif is stored in blocks .*TILED=YES"):
        open_scene(path)


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
