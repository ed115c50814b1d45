"""Hostile rasters and sidecars: no connection is opened and no file is touched."""

from __future__ import annotations

import contextlib
import functools
import http.server
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from helpers.rasters import PLACE, Picture, listing, outcome, read, refused, town, written
from snet4core.errors import InputError
from snet4core.look.sources import find_look
from snet4core.scene import gdal
from snet4core.scene.gdal import GDAL_ERRORS
from snet4core.scene.inputs import expand
from snet4core.scene.scene import open_scene


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


def remote_mask(url: str) -> str:
    """A mask as GDAL takes one: only with these flags does it look into the file."""
    flags = "".join(f'<MDI key="INTERNAL_MASK_FLAGS_{band}">2</MDI>' for band in range(1, 5))
    text = vrt(f"/vsicurl/{url}/a.tif")
    return text.replace("<SRS>", f"<Metadata>{flags}</Metadata><SRS>", 1)


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
    "scene.tif.msk": lambda url, _: remote_mask(url),
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
    for name in ("scene.dat.ovr", "scene.ovr", "scene.aux"):
        (tmp_path / name).write_text(vrt(f"/vsicurl/{url}/a.tif"))
    (tmp_path / "scene.dat.msk").write_text(remote_mask(url))
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
        remedy = "give its path alone" if location.startswith("file:") else "download it"
        with pytest.raises(InputError, match=f"{remedy}, or give --allow-remote"):
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
        with pytest.raises(InputError, match=f"{name} cannot be opened as a raster"):
            open_scene(f"{served}/{name}", allow_remote=True)
    assert calls == []


@pytest.mark.parametrize("limit", ["GDAL_HTTP_TIMEOUT", "GDAL_HTTP_CONNECTTIMEOUT"])
def test_a_server_that_is_silent_is_given_up(limit: str) -> None:
    """With the limit set to a second, where it is set; the other, of a minute, would be too late.

    In a process of its own: bindings hold Python's lock while they wait.
    """
    settings = {name: 1 if name == limit else value for name, value in gdal._SETTINGS.items()}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        place = server.getsockname()
        # Connections that nobody accepts fill the queue; of another, not even the first packet is
        # answered.
        for _ in range(0 if limit == "GDAL_HTTP_TIMEOUT" else 4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(place)
        url = f"http://127.0.0.1:{place[1]}/a.tif"
        code = (
            "from snet4core.scene import gdal\n"
            f"gdal._SETTINGS = {settings!r}\n"
            "from snet4core.scene.scene import open_scene\n"
            f"open_scene({url!r}, allow_remote=True)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], timeout=45, capture_output=True, text=True, check=False
        )
    assert "InputError" in done.stderr
    assert "a.tif" in done.stderr


def test_a_tag_is_read_up_to_a_limit(picture: Picture) -> None:
    path = picture(town(), photometric="RGB", tags={"NOTE": "x" * 2**20})
    assert len(open_scene(path).metadata["NOTE"]) == 2**16


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
