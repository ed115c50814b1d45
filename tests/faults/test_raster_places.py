"""Where a raster lies: every stored orientation and grid, and no invented place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from helpers.rasters import PLACE, Make, Picture, read, refused, town
from snet4core.scene.ranges import scene_ranges
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import open_scene
from snet4core.windows import Window


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
    assert "no transform (scene.tfw does not hold six numbers)" in refused(path)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_prj_may_hold_a_code_and_is_named_where_it_does_not_help(
    picture: Picture, tmp_path: Path
) -> None:
    path = picture(town(), photometric="RGB", crs=None)
    beside = tmp_path / "scene.prj"
    beside.write_text("EPSG:32616\n")
    assert open_scene(path).grid.crs.to_epsg() == 32616
    for text in ("+proj=utm +zone=16", "http://127.0.0.1:9/crs", "EPSG:1", ""):
        beside.write_text(text)
        assert "no CRS (scene.prj holds neither WKT nor EPSG:NUMBER), so" in refused(path)
    beside.unlink()
    assert "has no CRS, so nobody" in refused(path)


@pytest.mark.parametrize("north", [-184.4, 3725139.0])
def test_latitudes_beyond_the_pole_are_no_place_on_earth(picture: Picture, north: float) -> None:
    """Numbers of a projection under a CRS of degrees: PROJ would speak of itself."""
    place = Affine(5e-6, 0, 33.6, 0, -5e-6, north)
    path = picture(town(), photometric="RGB", crs="EPSG:4326", transform=place)
    sentence = refused(path)
    assert "has no place on Earth in its CRS; check transform and CRS with 'gdalinfo'" in sentence
    assert "PROJ" not in sentence


@pytest.mark.parametrize(
    ("fill", "dtype"),
    [(1e20, "float32"), (-(2**31), "int32"), (-32768, "int16"), (65535, "uint16"), (0, "uint16")],
)
def test_a_collar_of_what_programs_fill_in_is_told(
    picture: Picture, fill: float, dtype: str
) -> None:
    array = town(dtype=dtype)
    array[:, :20] = fill
    path = picture(array, descriptions=("red", "green", "blue"))
    told = [text for text in open_scene(path).warnings if "a corner holds" in text]
    assert len(told) == (fill != 0)
    for text in told:
        option = text.rpartition("--nodata ")[2].rstrip(".")
        assert not read(open_scene(path, nodata=float(option)))[1][:20].any()
