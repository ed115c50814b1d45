"""Leaning: roofs move, walls appear, the right things are hidden, the truth stays."""

from __future__ import annotations

import json
import math
from pathlib import Path

import fiona
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from snet4_cli.lean import lean
from snet4_training.pictures.lean import leaned, line_of_sight, surface
from snet4_training.pictures.lean_file import lean_file
from snet4_training.pictures.picture import Picture
from snet4core.errors import InputError, UsageError
from snet4core.grid import Grid
from snet4core.look.look import Look

GSD_M = 0.5


def flat_picture(*houses: shapely.Polygon, size: int = 80) -> Picture:
    rng = np.random.default_rng(0)
    return Picture(
        counts_BHW=rng.integers(50, 200, (3, size, size), dtype=np.uint8),
        known=(True,) * 3,
        valid_HW=np.ones((size, size), dtype=bool),
        polygons=np.array(houses, dtype=object),
        look=Look(0.0, None, "option"),
        gsd_m=GSD_M,
    )


def seen_of(picture: Picture, heights_m: list[float], look: Look):  # Seen
    ground = surface(picture, np.array(heights_m))
    return ground, line_of_sight(ground, look, GSD_M)


@pytest.mark.parametrize(
    ("azimuth_deg", "rows", "cols"), [(0, -20, 0), (90, 0, 20), (180, 20, 0), (270, 0, -20)]
)
def test_roof_leans_along_the_azimuth(azimuth_deg: float, rows: int, cols: int) -> None:
    """10 m high at 45 degrees: 10 m, that is 20 px of 0.5 m, sideways. North is up."""
    house = shapely.box(34, 36, 46, 44)
    ground, seen = seen_of(flat_picture(house), [10.0], Look(45.0, azimuth_deg, "option"))
    roof_HW = (seen.height_HW == 10.0) & ~seen.wall_HW
    expected_HW = np.roll(ground.building_HW > 0, (rows, cols), axis=(0, 1))
    assert np.array_equal(roof_HW, expected_HW)
    # The roof shows its own texture, from where it stands on the ground.
    assert np.array_equal(seen.row_HW[roof_HW], np.nonzero(expected_HW)[0] - rows)
    assert np.array_equal(seen.col_HW[roof_HW], np.nonzero(expected_HW)[1] - cols)


def test_visible_wall_faces_the_satellite() -> None:
    """Looking east, the satellite stands in the west: the western wall, from foot to roof."""
    house = shapely.box(30, 30, 40, 50)
    _, seen = seen_of(flat_picture(house), [5.0], Look(45.0, 90.0, "option"))
    wall_rows, wall_cols = np.nonzero(seen.wall_HW)
    assert (wall_rows.min(), wall_rows.max()) == (30, 49)
    assert wall_cols.min() == 30
    assert wall_cols.max() in (38, 39)  # the roof, 10 px further, begins there
    # What is seen on it lies at the building's western edge, higher up further east.
    heights = seen.height_HW[40, 30:39]
    assert np.all(np.diff(heights) > 0)
    assert set(seen.col_HW[40, 31:38].tolist()) <= {30, 31}


def test_tall_house_in_front_hides_the_one_behind() -> None:
    tall, low = shapely.box(20, 30, 30, 50), shapely.box(36, 30, 44, 50)
    ground, seen = seen_of(flat_picture(tall, low), [12.0, 3.0], Look(45.0, 90.0, "option"))
    shown_HW = ground.building_HW[seen.row_HW, seen.col_HW]
    # The tall roof is moved by 24 px onto 44..54, the low one by 6 px to 42..50.
    assert (shown_HW[40, 44:54] == 1).all()
    assert not (shown_HW == 2).any()  # its roof under the tall roof, its wall behind the wall


def test_tall_house_behind_stands_over_the_low_one() -> None:
    low, tall = shapely.box(20, 30, 30, 50), shapely.box(32, 30, 42, 50)
    ground, seen = seen_of(flat_picture(low, tall), [3.0, 12.0], Look(45.0, 90.0, "option"))
    shown_HW = ground.building_HW[seen.row_HW, seen.col_HW]
    assert (shown_HW[40, 26:36] == 1).all()  # the low roof covers the foot of the tall wall
    assert (shown_HW[40, 37:66] == 2).all()


heights = st.floats(2.0, 15.0)


@settings(deadline=None, max_examples=40)
@given(heights, heights, st.floats(0.0, 55.0), st.floats(0.0, 359.0))
def test_every_line_of_sight_ends_on_a_surface(
    one_m: float, other_m: float, off_nadir_deg: float, azimuth_deg: float
) -> None:
    """The law of projection: what is shown at p stands at p - height x tan(angle) along
    the azimuth, and is no higher than the building there."""
    picture = flat_picture(shapely.box(20, 20, 35, 38), shapely.box(40, 30, 60, 50))
    ground, seen = seen_of(picture, [one_m, other_m], Look(off_nadir_deg, azimuth_deg, "option"))
    shift_HW = seen.height_HW * np.tan(np.radians(off_nadir_deg)) / GSD_M
    rows_HW, cols_HW = np.indices(seen.row_HW.shape)
    turn = np.radians(azimuth_deg)
    assert np.abs(seen.row_HW - (rows_HW + shift_HW * np.cos(turn))).max() <= 0.501
    assert np.abs(seen.col_HW - (cols_HW - shift_HW * np.sin(turn))).max() <= 0.501
    top_HW = ground.height_HW[seen.row_HW, seen.col_HW]
    assert (seen.height_HW <= top_HW + 1e-3).all()
    assert not (seen.wall_HW & (top_HW == 0)).any()


def test_straight_down_shows_every_pixel_where_it_was() -> None:
    picture = flat_picture(shapely.box(20, 20, 35, 38))
    down = leaned(picture, np.array([8.0]), Look(0.0, 0.0, "option"), np.random.default_rng(0))
    assert np.array_equal(down.counts_BHW, picture.counts_BHW)
    assert down.valid_HW.all()


@pytest.mark.parametrize("off_nadir_deg", [0.0, 0.5, 2.0])
def test_low_roofs_beside_high_ones_stay_roofs_seen_from_above(off_nadir_deg: float) -> None:
    low, high = shapely.box(5, 5, 25, 25), shapely.box(40, 40, 60, 60)
    look = Look(off_nadir_deg, 90.0, "option")
    ground, seen = seen_of(flat_picture(low, high), [2.5, 30.0], look)
    is_low_HW = ground.building_HW == 1
    assert not seen.wall_HW[is_low_HW].any()
    assert (seen.height_HW[is_low_HW] > 1.9).mean() > 0.9


def test_truth_stays_on_the_ground_and_the_look_is_noted() -> None:
    picture = flat_picture(shapely.box(20, 20, 35, 38))
    look = Look(40.0, 10.0, "option")
    tilted = leaned(picture, np.array([8.0]), look, np.random.default_rng(0))
    assert tilted.polygons is picture.polygons
    assert tilted.look == look
    assert tilted.counts_BHW.dtype == np.uint8


def test_edge_towards_the_satellite_is_unknown() -> None:
    """A roof beyond the western edge could lean into the picture when looking east."""
    picture = flat_picture(shapely.box(40, 40, 50, 50))
    look = Look(45.0, 90.0, "option")
    tilted = leaned(picture, np.array([10.0]), look, np.random.default_rng(0))
    assert not tilted.valid_HW[:, :20].any()
    assert tilted.valid_HW[:, 20:].all()


def test_unknown_azimuth_cannot_be_leaned() -> None:
    picture = flat_picture(shapely.box(20, 20, 35, 38))
    with pytest.raises(UsageError, match="azimuth"):
        leaned(picture, np.array([8.0]), Look(30.0, None, "option"), np.random.default_rng(0))


def test_one_height_too_few_is_refused() -> None:
    with pytest.raises(UsageError, match="0 heights for 1"):
        surface(flat_picture(shapely.box(20, 20, 35, 38)), np.empty(0))


@pytest.fixture
def town(tmp_path: Path) -> tuple[Path, Path]:
    """A georeferenced picture with one house of known height, and its labels in lon/lat."""
    image, labels = tmp_path / "town.tif", tmp_path / "houses.geojson"
    transform = Affine(0.5, 0, 500_000, 0, -0.5, 3_700_000)
    counts = np.random.default_rng(1).integers(1, 4000, (4, 80, 80), dtype=np.uint16)
    with rasterio.open(
        image, "w", driver="GTiff", count=4, height=80, width=80, dtype="uint16",
        crs="EPSG:32616", transform=transform,
    ) as file:  # fmt: skip
        file.write(counts)
        file.descriptions = ("blue", "green", "red", "nir")
    ring = [transform @ point for point in [(34, 36), (46, 36), (46, 44), (34, 44), (34, 36)]]
    lon, lat = rasterio.warp.transform("EPSG:32616", "EPSG:4326", *zip(*ring, strict=True))
    feature = {
        "type": "Feature",
        "properties": {"height_m": 10.0},
        "geometry": {"type": "Polygon", "coordinates": [list(zip(lon, lat, strict=True))]},
    }
    labels.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return image, labels


def test_lean_command_keeps_grid_bands_and_type(town: tuple[Path, Path], tmp_path: Path) -> None:
    image, labels = town
    out = tmp_path / "leaned.tif"
    arguments = [str(image), str(labels), str(out), "--off-nadir", "45", "--azimuth", "90",
                 "--heights", "height_m"]  # fmt: skip
    result = CliRunner().invoke(lean, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "1 buildings" in result.output
    with rasterio.open(image) as before, rasterio.open(out) as after:
        assert (after.transform, after.crs, after.dtypes) == (
            before.transform, before.crs, before.dtypes,
        )  # fmt: skip
        assert after.descriptions == before.descriptions
        assert after.tags()["AZIMUTH_DEG"] == "90"
        # The roof, 20 px further east, is the old roof made a little softer and hazier.
        old, new = before.read(1).astype(float), after.read(1).astype(float)
    common = np.corrcoef(old[37:43, 36:44].ravel(), new[37:43, 56:64].ravel())[0, 1]
    assert common > 0.9
    assert list(tmp_path.glob(".snet4*")) == []


def test_a_picture_without_data_is_refused(town: tuple[Path, Path], tmp_path: Path) -> None:
    image, labels = town
    empty = tmp_path / "empty.tif"
    with rasterio.open(image) as file:
        profile = {**file.profile, "nodata": 0}
    with rasterio.open(empty, "w", **profile) as file:
        file.write(np.zeros((file.count, *file.shape), file.dtypes[0]))
    with pytest.raises(InputError, match=r"empty\.tif has no data to lean"):
        lean_file(empty, labels, tmp_path / "out.tif", Look(30.0, 90.0, "option"))
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("float32", math.nan), ("float32", -9999.0), ("uint16", 65535.0)]
)
def test_what_has_no_data_does_not_spread(
    town: tuple[Path, Path], tmp_path: Path, dtype: str, nodata: float
) -> None:
    image, labels = town
    half, out = tmp_path / "half.tif", tmp_path / "out.tif"
    with rasterio.open(image) as file:
        profile = {**file.profile, "nodata": nodata, "dtype": dtype}
    counts = np.random.default_rng(2).integers(100, 200, (4, 80, 80)).astype(dtype)
    counts[:, :, 60:] = nodata
    with rasterio.open(half, "w", **profile) as file:
        file.write(counts)
    lean_file(half, labels, out, Look(60.0, 90.0, "option"), "height_m")
    with rasterio.open(out) as file:
        leaned_BHW = file.read()
    # Further west the ground is out of sight; walls are shaded, so they may be darker.
    seen_BHW = leaned_BHW[:, :, 40:60]
    assert 60 <= seen_BHW.min() <= seen_BHW.max() < 240
    assert not leaned_BHW[:, :30, 60:].any()


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(9e-6, 0, 24.9, 0, -4.5e-6, 60.2)),
        ("EPSG:4326", Affine(9e-6, 0, 24.9, 0, -9e-6, 60.2)),
        ("EPSG:3413", Affine(0.5, 0, 1e6, 0, -0.5, -8e5)),
    ],
    ids=["degrees", "pixels twice as long", "up is not north"],
)
def test_roofs_lean_on_the_ground_as_the_look_says(
    tmp_path: Path, crs: str, transform: Affine
) -> None:
    """By as many pixels as a run moves them back."""
    image, labels, out = (tmp_path / name for name in ("a.tif", "a.gpkg", "b.tif"))
    counts = np.full((1, 120, 120), 100, np.uint8)
    counts[0, 50:62, 40:58] = 200
    with rasterio.open(
        image, "w", driver="GTiff", count=1, height=120, width=120, dtype="uint8", crs=crs,
        transform=transform,
    ) as file:  # fmt: skip
        file.write(counts)
    grid, look = Grid((120, 120), transform, CRS.from_string(crs)), Look(45.0, 70.0, "option")
    house = shapely.transform(shapely.box(40, 50, 58, 62), grid.to_map)
    schema = {"geometry": "Polygon", "properties": {"h": "float"}}
    with fiona.open(labels, "w", driver="GPKG", crs=crs, schema=schema) as layer:
        layer.write({"geometry": shapely.geometry.mapping(house), "properties": {"h": 12.0}})
    lean_file(image, labels, out, look, "h")
    lean_m = 12.0 * np.array([look.lean_m])
    ((right_px, down_px),) = grid.pixels_of_offset(lean_m, np.array([[49.0, 56.0]]))
    with rasterio.open(out) as file:
        seen_HW = file.read(1)
    col, row = round(49 + right_px), round(56 + down_px)
    roof_HW = np.zeros(seen_HW.shape, bool)
    roof_HW[row - 4 : row + 4, col - 7 : col + 7] = True
    assert seen_HW[roof_HW].min() > 150
    row_P, col_P = np.nonzero(seen_HW > 150)
    assert (row_P.mean(), col_P.mean()) == pytest.approx((row, col), abs=1.5)


def test_the_steepest_look_is_leaned_where_pixels_are_square(
    town: tuple[Path, Path], tmp_path: Path
) -> None:
    image, labels = town
    steepest, long = Look(80.0, 0.0, "option"), tmp_path / "long.tif"
    lean_file(image, labels, tmp_path / "out.tif", steepest, "height_m")
    with rasterio.open(image) as file:
        profile = {**file.profile, "transform": file.transform @ Affine.scale(2, 1)}
    with rasterio.open(image) as file, rasterio.open(long, "w", **profile) as other:
        other.write(file.read())
    with pytest.raises(InputError, match=r"long\.tif has pixels that are not square"):
        lean_file(long, labels, tmp_path / "none.tif", steepest, "height_m")
    assert not (tmp_path / "none.tif").exists()


def test_labels_elsewhere_than_their_crs_says_are_refused(
    town: tuple[Path, Path], tmp_path: Path
) -> None:
    image, labels = town
    document = json.loads(labels.read_text())
    ring = document["features"][0]["geometry"]["coordinates"][0]
    document["features"][0]["geometry"]["coordinates"] = [[[5e5 + x, 3.7e6 + y] for x, y in ring]]
    labels.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"houses\.geojson has coordinates that do not exist"):
        lean_file(image, labels, tmp_path / "o.tif", Look(30.0, 0.0, "option"))
    assert not (tmp_path / "o.tif").exists()


def test_lean_command_names_the_fields_there_are(town: tuple[Path, Path], tmp_path: Path) -> None:
    image, labels = town
    arguments = [str(image), str(labels), str(tmp_path / "o.tif"), "--off-nadir", "30",
                 "--azimuth", "0", "--heights", "storeys"]  # fmt: skip
    with pytest.raises(InputError, match="'storeys'; it has height_m"):
        CliRunner().invoke(lean, arguments, catch_exceptions=False)
    assert not (tmp_path / "o.tif").exists()


def test_a_height_below_the_ground_is_refused(town: tuple[Path, Path], tmp_path: Path) -> None:
    image, labels = town
    labels.write_text(labels.read_text().replace('"height_m": 10.0', '"height_m": -3'))
    arguments = [str(image), str(labels), str(tmp_path / "o.tif"), "--off-nadir", "30",
                 "--azimuth", "0", "--heights", "height_m"]  # fmt: skip
    with pytest.raises(InputError, match="the height -3 in field 'height_m' is below 0"):
        CliRunner().invoke(lean, arguments, catch_exceptions=False)
    assert not (tmp_path / "o.tif").exists()
