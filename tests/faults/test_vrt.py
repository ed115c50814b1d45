"""Virtual rasters: a mosaic of plain files is read like the merged file, anything else refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS

from helpers.bright import Bright, write_town
from snet4core.errors import InputError
from snet4core.scene import door, vrt
from snet4core.scene.gdal import gdal_settings
from snet4core.scene.ranges import scene_ranges
from snet4core.scene.reader import SceneReader, SharedReader
from snet4core.scene.scene import Scene, digest, open_scene, read_whole
from snet4core.windows import Window, blocks

Picture = Callable[..., Path]

PLACE = Affine(0.5, 0, 733601, 0, -0.5, 3725139)
ROWS, COLS = 64, 80
WKT = CRS.from_epsg(32616).to_wkt()
COLOURS = ("Red", "Green", "Blue")

Tiles = list[tuple[str, int, int]]
"""Name of a file, and where it lies in the mosaic: row and column of its corner."""


def town() -> Any:
    y, x = np.mgrid[0:ROWS, 0:COLS]
    return np.stack([10 + 2 * band + y + x for band in range(3)]).astype("uint8")


def rectangle(tag: str, row: float, col: float, rows: float, cols: float) -> str:
    return f'<{tag} xOff="{col}" yOff="{row}" xSize="{cols}" ySize="{rows}"/>'


def source(
    name: str, row: float, col: float, band: int | str, *, relative: int = 1, more: str = "",
    kind: str = "SimpleSource", rows: float = ROWS / 2, cols: float = COLS / 2,
) -> str:  # fmt: skip
    return (
        f'<{kind}><SourceFilename relativeToVRT="{relative}">{name}</SourceFilename>'
        f"<SourceBand>{band}</SourceBand>{rectangle('SrcRect', 0, 0, ROWS / 2, COLS / 2)}"
        f"{rectangle('DstRect', row, col, rows, cols)}{more}</{kind}>"
    )


def written(folder: Path, bands: list[str], *, more: str = "", attributes: str = "") -> Path:
    path = folder / "mosaic.vrt"
    body = "".join(
        f'<VRTRasterBand dataType="Byte" band="{n}"><ColorInterp>{COLOURS[n - 1]}</ColorInterp>'
        f"{sources}</VRTRasterBand>"
        for n, sources in enumerate(bands, 1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{COLS}" rasterYSize="{ROWS}"{attributes}><SRS>{WKT}</SRS>'
        f"<GeoTransform>733601, 0.5, 0, 3725139, 0, -0.5</GeoTransform>{body}{more}</VRTDataset>"
    )
    return path


@pytest.fixture
def quarters(picture: Picture) -> Tiles:
    """The town in four files, in a folder below that of the mosaic."""
    array, found = town(), []
    for row in (0, ROWS // 2):
        for col in (0, COLS // 2):
            name = f"tiles/{row}_{col}.tif"
            part = array[:, row : row + ROWS // 2, col : col + COLS // 2]
            picture(part, name, photometric="RGB", transform=PLACE @ Affine.translation(col, row))
            found.append((name, row, col))
    return found


def mosaic(folder: Path, tiles: Tiles, **how: Any) -> Path:
    bands = [
        "".join(source(name, row, col, band, **how) for name, row, col in tiles)
        for band in (1, 2, 3)
    ]
    return written(folder, bands)


def read(scene: Scene) -> Any:
    counts_BHW = np.zeros((4, *scene.grid.shape), scene.dtype)
    with SceneReader(scene) as reader:
        for window in blocks(scene.grid.shape, 48):
            counts_BHW[:, *window.slices()] = reader.read(window)[0]
    return counts_BHW


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(open_scene(path))
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert ";" in sentence  # a remedy follows
    assert len(sentence) < 400 + 2 * len(str(path))
    return sentence


# --- What is read ---


def test_four_tiles_are_read_like_the_merged_file(
    picture: Picture, tmp_path: Path, quarters: Tiles
) -> None:
    scene = open_scene(mosaic(tmp_path, quarters))
    merged = open_scene(picture(town(), "merged.tif", photometric="RGB"))
    assert scene.grid == merged.grid
    assert scene.bands == merged.bands
    assert scene_ranges(scene) == scene_ranges(merged)
    np.testing.assert_array_equal(read(scene), read(merged))


def test_four_tiles_give_the_features_of_the_merged_file(tmp_path: Path) -> None:
    import snet4core

    merged = write_town(tmp_path / "town.tif")
    with rasterio.open(merged) as dataset:
        array, profile, place = dataset.read(), dataset.profile, dataset.transform
    bands, rows, cols = array.shape
    text = []
    for band in range(1, bands + 1):
        text.append(f'<VRTRasterBand dataType="{"UInt16" if array.itemsize == 2 else "Byte"}">')
        for row in (0, 100):
            for col in (0, 110):
                part = array[:, row : 100 if row == 0 else rows, col : 110 if col == 0 else cols]
                name = f"{row}_{col}.tif"
                shape = {"height": part.shape[1], "width": part.shape[2]}
                profile.update(shape, transform=place @ Affine.translation(col, row))
                with rasterio.open(tmp_path / name, "w", **profile) as tile:
                    tile.write(part)
                size = part.shape[1:]
                text.append(
                    f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
                    f"<SourceBand>{band}</SourceBand>{rectangle('SrcRect', 0, 0, *size)}"
                    f"{rectangle('DstRect', row, col, *size)}</SimpleSource>"
                )
        text.append("</VRTRasterBand>")
    numbers = ",".join(map(repr, place.to_gdal()))
    path = tmp_path / "mosaic" / "town.vrt"
    path.parent.mkdir()
    for tile_path in tmp_path.glob("*_*.tif"):
        tile_path.rename(path.parent / tile_path.name)
    path.write_text(
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}"><SRS>{CRS(profile["crs"]).to_wkt()}'
        f"</SRS><GeoTransform>{numbers}</GeoTransform>{''.join(text)}</VRTDataset>"
    )
    found = []
    for each in (merged, path):
        with snet4core.detect(each, model=Bright(), off_nadir_deg=30, min_area_m2=1.0) as result:
            found.append([(one.footprint_id, one.polygon.wkb) for one in result])
    assert len(found[0]) > 2
    assert found[0] == found[1]


def test_threads_read_the_same(tmp_path: Path, quarters: Tiles) -> None:
    scene = open_scene(mosaic(tmp_path, quarters))
    whole_BHW = read(scene)
    windows = list(blocks(scene.grid.shape, 16)) * 4
    with SharedReader(scene) as reader, ThreadPoolExecutor(4) as pool:
        for window, (counts_BHW, _) in zip(windows, pool.map(reader.read, windows), strict=True):
            np.testing.assert_array_equal(counts_BHW, whole_BHW[:, *window.slices()])


def test_readers_take_turns_with_one_handle_of_each_tile(tmp_path: Path, quarters: Tiles) -> None:
    """Else each thread would keep every tile open that it has read."""
    places = Path("/proc/self/fd")
    if not places.is_dir():
        pytest.skip("this system does not list open files")
    scene = open_scene(mosaic(tmp_path, quarters))
    with SceneReader(scene) as one, SceneReader(scene) as other:
        for reader in (one, other):
            reader.read(Window(0, 0, ROWS, COLS))
        opened = sorted(Path(os.path.realpath(each)).name for each in places.iterdir())
    tiles = {Path(name).name for name, _, _ in quarters}
    assert [name for name in opened if name in tiles] == sorted(tiles)


def test_a_gap_is_no_ground_and_a_later_source_lies_on_top(
    picture: Picture, tmp_path: Path, quarters: Tiles
) -> None:
    picture(np.full((3, ROWS // 2, COLS // 2), 250, np.uint8), "top.tif", photometric="RGB")
    tiles = [*quarters[:3], ("top.tif", 0, 0)]
    bands = [
        "<NoDataValue>0</NoDataValue>"
        + "".join(
            source(*tile, band, kind="ComplexSource", more="<NODATA>0</NODATA>") for tile in tiles
        )
        for band in (1, 2, 3)
    ]
    scene = open_scene(written(tmp_path, bands))
    with SceneReader(scene) as reader:
        counts_BHW, valid_HW = reader.read(Window(0, 0, ROWS, COLS))
    assert not valid_HW[ROWS // 2 :, COLS // 2 :].any()
    assert valid_HW.sum() == ROWS * COLS * 3 // 4
    assert (counts_BHW[:3, : ROWS // 2, : COLS // 2] == 250).all()


def test_a_mask_of_the_mosaic_counts(picture: Picture, tmp_path: Path) -> None:
    inside_HW = np.zeros((ROWS // 2, COLS // 2), bool)
    inside_HW[:10] = True
    picture(town()[:, : ROWS // 2, : COLS // 2], "a.tif", photometric="RGB", mask_HW=inside_HW)
    mask = source("a.tif", 0, 0, "mask,1")
    path = written(
        tmp_path,
        [source("a.tif", 0, 0, band) for band in (1, 2, 3)],
        more=f'<MaskBand><VRTRasterBand dataType="Byte">{mask}</VRTRasterBand></MaskBand>',
    )
    with SceneReader(open_scene(path)) as reader:
        _, valid_HW = reader.read(Window(0, 0, ROWS, COLS))
    assert valid_HW.sum() == 10 * COLS // 2


def test_names_may_be_absolute_and_hold_any_sign(picture: Picture, tmp_path: Path) -> None:
    name = "Häuser & <Höfe> 100%.tif"
    path = picture(town()[:, : ROWS // 2, : COLS // 2], name, photometric="RGB")
    told = str(path).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    scene = open_scene(
        written(tmp_path, [source(told, 0, 0, band, relative=0) for band in (1, 2, 3)])
    )
    assert read(scene)[0, 0, 0] == town()[2, 0, 0]


def test_a_look_in_its_metadata_is_read_and_an_address_there_is_only_text(
    tmp_path: Path, quarters: Tiles
) -> None:
    path = mosaic(tmp_path, quarters)
    pairs = '<Metadata><MDI key="OFF_NADIR">http://127.0.0.1:9/a</MDI></Metadata>'
    path.write_text(path.read_text().replace("<SRS>", pairs + "<SRS>"))
    assert open_scene(path).metadata["OFF_NADIR"] == "http://127.0.0.1:9/a"


def test_a_tile_that_changes_is_seen(tmp_path: Path, quarters: Tiles) -> None:
    scene = open_scene(mosaic(tmp_path, quarters))
    before = digest(scene)
    tile = tmp_path / quarters[3][0]
    content = bytearray(tile.read_bytes())
    content[-1] ^= 255
    tile.write_bytes(content)
    assert digest(open_scene(scene.location)) != before
    with pytest.raises(InputError, match="changed while it was in use"):
        read(scene)
    tile.unlink()
    with pytest.raises(InputError, match="has gone"):
        read(scene)
    assert "does not exist" in refused(tmp_path / "mosaic.vrt")


def test_a_tile_that_is_damaged_is_an_error_and_never_zeros(
    tmp_path: Path, quarters: Tiles
) -> None:
    path = mosaic(tmp_path, quarters)
    scene = open_scene(path)
    tile = tmp_path / quarters[2][0]
    tile.write_bytes(tile.read_bytes()[:-400])
    assert "damaged or incomplete" in refused(path)
    # The same behind the back of the checks.
    kept = scene.admitted.mosaic
    assert kept is not None
    unseen = replace(scene, admitted=replace(scene.admitted, mosaic=replace(kept, files=())))
    tile.unlink()
    with pytest.raises(InputError, match="cannot be"):
        read(unseen)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_half_a_jpeg_is_an_error_in_a_large_window_too(tmp_path: Path) -> None:
    """Of a million pixels and more, GDAL reads the tiles in threads of its own, in which the
    setting that makes an error of a JPEG's warning would not hold."""
    side = 512
    noise = np.random.default_rng(0).integers(0, 255, (3, side, side), dtype=np.uint8)
    corners = {f"{row}_{col}.jpg": (row, col) for row in (0, side) for col in (0, side)}
    for name in corners:
        how = {"width": side, "height": side, "count": 3, "dtype": "uint8"}
        with rasterio.open(tmp_path / name, "w", driver="JPEG", **how) as sink:
            sink.write(noise)
    size = f'xSize="{side}" ySize="{side}"'
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
        f'<SourceBand>{{0}}</SourceBand><SrcRect xOff="0" yOff="0" {size}/>'
        f'<DstRect xOff="{col}" yOff="{row}" {size}/></SimpleSource>'
        for name, (row, col) in corners.items()
    )
    path = written(tmp_path, [sources.format(band) for band in (1, 2, 3)])
    whole = f'rasterXSize="{2 * side}" rasterYSize="{2 * side}"'
    text = path.read_text().replace(f'rasterXSize="{COLS}" rasterYSize="{ROWS}"', whole)
    path.write_text(text)
    assert read_whole(path).counts_BHW.shape == (3, 2 * side, 2 * side)
    raw = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: len(raw) // 2] + b"\xff\xd9")
    with pytest.raises(InputError, match="mosaic"):
        read_whole(path)


# --- What is refused ---


@pytest.fixture
def elsewhere(picture: Picture, tmp_path: Path) -> Path:
    """A picture outside of the mosaic's folder, which is `tmp_path / "own"`."""
    (tmp_path / "own").mkdir()
    return picture(town()[:, : ROWS // 2, : COLS // 2], "secret.tif", photometric="RGB")


@pytest.mark.parametrize(
    ("name", "relative", "says"),
    [
        ("/vsicurl/http://127.0.0.1:9/a.tif", 0, "only files beside it are read"),
        ("/vsicurl/http://127.0.0.1:9/a.tif", 1, "only files beside it are read"),
        ("http://127.0.0.1:9/a.tif", 0, "only files beside it are read"),
        ("/vsizip/a.zip/a.tif", 1, "only files beside it are read"),
        ("vrt://{secret}", 0, "only files beside it are read"),
        ("{secret}", 0, "lies in another folder"),
        ("../secret.tif", 1, "leads out of its folder"),
        ("sub/../../secret.tif", 1, "leads out of its folder"),
        ("link.tif", 1, "lies in another folder"),
        ("linked/secret.tif", 1, "lies in another folder"),
        ("GTIFF_DIR:1:{secret}", 0, "lies in another folder"),
        ("GTIFF_DIR:1:secret.tif", 1, "does not exist"),
        ('WMS:"http://127.0.0.1:9"', 1, "does not exist"),
        ("&lt;VRTDataset/&gt;", 1, "does not exist"),
        ("pipe", 1, "pipe or device"),
        (".", 1, "is a folder"),
        ("", 1, "has a source without a file"),
        ("other.vrt", 1, "is a VRT itself"),
        ("index.tif", 1, "an XML or HTML text"),
        ("raw.dat", 1, "is not read as part of a VRT"),
        ("posing.jpg", 1, "is not read as part of a VRT"),
    ],
)
def test_a_source_that_is_no_plain_picture_of_its_folder_is_refused(
    tmp_path: Path, elsewhere: Path, name: str, relative: int, says: str
) -> None:
    own = tmp_path / "own"
    (own / "link.tif").symlink_to(elsewhere)
    (own / "linked").symlink_to(tmp_path)
    os.mkfifo(own / "pipe")
    inner = written(own, [source(str(elsewhere), 0, 0, 1, relative=0)])
    inner.rename(own / "other.vrt")
    (own / "index.tif").write_text("<GDALTileIndexDataset/>")
    (own / "raw.dat").write_bytes(bytes(ROWS * COLS))
    (own / "raw.hdr").write_text("ENVI\nsamples = 40\nlines = 32\nbands = 1\ndata type = 1\n")
    (own / "posing.jpg").write_bytes(b"\xff\xd8\xff" + (own / "other.vrt").read_bytes())
    path = written(own, [source(name.format(secret=elsewhere), 0, 0, 1, relative=relative)])
    assert says in refused(path)


def test_a_linked_mosaic_stands_in_the_folder_it_is_linked_to(
    tmp_path: Path, quarters: Tiles
) -> None:
    mosaic(tmp_path, quarters)
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "mosaic.vrt"
    link.symlink_to(tmp_path / "mosaic.vrt")
    assert read(open_scene(link)).any()


def raw_band(name: str) -> str:
    return (
        '<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1" '
        f'subClass="VRTRawRasterBand"><SourceFilename>{name}</SourceFilename></VRTRasterBand>'
        "</VRTDataset>"
    )


DERIVED = (
    '<VRTRasterBand dataType="Byte" band="1" subClass="VRTDerivedRasterBand">'
    "<PixelFunctionType>evil</PixelFunctionType><PixelFunctionLanguage>Python"
    "</PixelFunctionLanguage><PixelFunctionCode>import os</PixelFunctionCode></VRTRasterBand>"
)
RAW = (
    '<VRTRasterBand dataType="Byte" band="1" subClass="VRTRawRasterBand">'
    "<SourceFilename>/etc/passwd</SourceFilename></VRTRasterBand>"
)


@pytest.mark.parametrize(
    ("more", "attributes", "says"),
    [
        (DERIVED, "", "has a VRTDerivedRasterBand"),
        (RAW, "", "has a VRTRawRasterBand"),
        ("", ' subClass="VRTWarpedDataset"', "is a VRTWarpedDataset"),
        ("", ' subClass="VRTPansharpenedDataset"', "is a VRTPansharpenedDataset"),
        ("", ' subClass="VRTProcessedDataset"', "is a VRTProcessedDataset"),
        ("<GDALWarpOptions/>", "", "holds <GDALWarpOptions>"),
        ("<Group name='a'/>", "", "holds <Group>"),
        ("<MaskBand><SimpleSource/></MaskBand>", "", "holds <SimpleSource>"),
        (f"<MaskBand>{RAW}</MaskBand>", "", "has a VRTRawRasterBand"),
        ('<VRTRasterBand dataType="CFloat32"/>', "", "a band of the type CFloat32"),
        ('<VRTRasterBand><PixelFunctionType/></VRTRasterBand>', "", "holds <PixelFunctionType>"),
        ("<SRS>http://127.0.0.1:9/srs</SRS>", "", "a CRS that PROJ does not know"),
        ("<SRS>/etc/passwd</SRS>", "", "a CRS that PROJ does not know"),
        ("<GeoTransform>1,2,x</GeoTransform>", "", "instead of a number"),
        ("<VRTRasterBand/>" * 257, "", "has 260 bands"),
    ],
)  # fmt: skip
def test_more_than_a_mosaic_is_refused(
    tmp_path: Path, quarters: Tiles, more: str, attributes: str, says: str
) -> None:
    path = mosaic(tmp_path, quarters)
    text = path.read_text().replace("</VRTDataset>", more + "</VRTDataset>")
    path.write_text(text.replace("<VRTDataset", "<VRTDataset" + attributes))
    assert says in refused(path)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"rows": 20.0}, "stretches 0_0.tif to another pixel size"),
        ({"kind": "KernelFilteredSource"}, "holds <KernelFilteredSource>"),
        ({"kind": "AveragedSource"}, "holds <AveragedSource>"),
        ({"more": "<OpenOptions><OOI key='a'>b</OOI></OpenOptions>"}, "holds <OpenOptions>"),
        ({"more": "<LUT>0:0</LUT>", "kind": "ComplexSource"}, "holds <LUT>"),
        ({"more": "<NODATA>x</NODATA>", "kind": "ComplexSource"}, "'x' instead of a number"),
    ],
)
def test_a_source_that_is_no_copy_is_refused(
    tmp_path: Path, quarters: Tiles, how: dict[str, Any], says: str
) -> None:
    assert says in refused(mosaic(tmp_path, quarters, **how))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('DstRect xOff="0"', 'DstRect xOff="0.3"', "between pixels"),
        ('DstRect xOff="0"', 'DstRect xOff="1e12"', "places 0_0.tif nowhere"),
        ('DstRect xOff="0"', 'DstRect xOff="nan"', "instead of a number"),
        ('SrcRect xOff="0"', 'SrcRect xOff="8"', "reads beyond the edge of 0_0.tif"),
        ('SrcRect xOff="0"', 'SrcRect xOff="-8"', "reads beyond the edge of 0_0.tif"),
        ("<SourceBand>3", "<SourceBand>4", "reads band 4 of 0_0.tif, which has 3"),
        ("<SourceBand>3", "<SourceBand>0", "reads band 0"),
        ('rasterXSize="80"', 'rasterXSize="-1"', "does not say how large it is"),
        ('rasterXSize="80"', 'rasterXSize="9999999999"', "does not say how large it is"),
        ("</VRTDataset>", "", "not well-formed XML"),
        ("<SRS>", "<SRS>" * 80, "nested too deeply"),
    ],
)
def test_a_mosaic_that_is_damaged_is_refused(
    tmp_path: Path, quarters: Tiles, before: str, after: str, says: str
) -> None:
    path = mosaic(tmp_path, quarters)
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    assert says in refused(path)


def test_bands_of_different_types_are_refused(tmp_path: Path, quarters: Tiles) -> None:
    """GDAL would read all of them as the widest, and the file's type would be a lie."""
    path = mosaic(tmp_path, quarters)
    text = path.read_text()
    path.write_text(text.replace('dataType="Byte" band="3"', 'dataType="Float32" band="3"'))
    assert "bands of different types (float32, uint8); write it again" in refused(path)


def test_a_mosaic_of_too_many_files_is_refused(
    tmp_path: Path, quarters: Tiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = mosaic(tmp_path, quarters)
    monkeypatch.setattr(vrt, "MOST_FILES", 4)
    assert read(open_scene(path)).any()
    monkeypatch.setattr(vrt, "MOST_FILES", 3)
    refused(path)


def test_a_billion_laughs_are_none(tmp_path: Path, quarters: Tiles) -> None:
    path = mosaic(tmp_path, quarters)
    laughs = '<!DOCTYPE VRTDataset [<!ENTITY a "lol"><!ENTITY b SYSTEM "file:///etc/passwd">]>'
    path.write_text(path.read_text().replace("<SRS>", "<SRS>&b;") + laughs)
    refused(path)
    path.write_text("<VRTDataset></VRTDataset>")
    refused(path)


def test_gdal_sees_only_what_was_understood(tmp_path: Path, quarters: Tiles) -> None:
    path = mosaic(tmp_path, quarters)
    evil = "<Overview><SourceFilename>/vsicurl/http://127.0.0.1:9/o.tif</SourceFilename></Overview>"
    path.write_text(path.read_text().replace("<ColorInterp>", evil + "<ColorInterp>"))
    admitted = door.admit(path)
    assert admitted.mosaic is not None
    assert "127.0.0.1" not in admitted.mosaic.text
    assert read(open_scene(path)).any()
    # Not even the file itself, which may have become another one meanwhile.
    path.write_text(raw_band("/etc/passwd"))
    with gdal_settings(), door.opened(admitted) as dataset:
        assert dataset.shape == (ROWS, COLS)


def test_a_thousand_files_are_each_looked_at_once(
    tmp_path: Path, quarters: Tiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    check = door.check_header
    monkeypatch.setattr(door, "check_header", lambda a, d: (looked.append(a.location), check(a, d)))
    door.admit(mosaic(tmp_path, quarters * 10))
    assert len(looked) == len(set(looked)) == 4
    with gdal_settings(), door.opened(door.admit(tmp_path / "mosaic.vrt")) as dataset:
        assert dataset.driver == "VRT"
