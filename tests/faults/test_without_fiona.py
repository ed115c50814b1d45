"""Where fiona has no wheel, pyogrio opens the same files with the same guards."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from snet4_training.judge.lessons import real_blocks
from snet4_training.pictures.ground import footprints_on
from snet4core.errors import InputError
from snet4core.footprints.footprints import Source, none_of
from snet4core.grid import Grid
from snet4core.layers import vectors
from snet4core.layers.read import area_in, read_buildings
from snet4core.layers.write import write_layer

UTM = CRS.from_epsg(32616)
SQUARES = [shapely.box(10, 10, 11, 12), shapely.box(20, 10, 24, 12)]


@pytest.fixture(params=["fiona", "pyogrio"])
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which library opens vector files."""
    if request.param == "pyogrio":
        monkeypatch.setattr(vectors, "fiona", None)
    return str(request.param)


def written(path: Path, driver: str) -> Path:
    """Two squares with an ImageId, a confidence and a height that is NULL for the second."""
    schema = {
        "geometry": "Polygon",
        "properties": {"ImageId": "str", "confidence": "float", "height_m": "float"},
    }
    crs = "EPSG:4326" if driver == "GeoJSON" else "EPSG:32616"
    plain = path.with_name(f"written{path.suffix}")
    with fiona.open(plain, "w", driver=driver, schema=schema, crs=crs,
                    allow_unsupported_drivers=True) as file:  # fmt: skip
        for square, height_m in zip(SQUARES, (7.5, None), strict=True):
            properties = {"ImageId": "town", "confidence": 0.75, "height_m": height_m}
            file.write({"geometry": shapely.geometry.mapping(square), "properties": properties})
    for each in path.parent.glob("written.*"):
        each.rename(path.with_suffix(each.suffix))
    return path


@pytest.mark.parametrize(
    ("name", "driver"),
    [("a.geojson", "GeoJSON"), ("a.fgb", "FlatGeobuf"), ("a.gpkg", "GPKG"),
     ("a.shp", "ESRI Shapefile"), ("a.gml", "GML"), ("zip+a!b.geojson", "GeoJSON"),
     ("a;b.geojson", "GeoJSON"),
     ("a!b.shp", "ESRI Shapefile"), ("Häuser #1.gpkg", "GPKG"), ("a.zip", "GPKG")],
)  # fmt: skip
def test_the_formats_on_the_list_are_read(
    tmp_path: Path, door: str, name: str, driver: str
) -> None:
    path = written(tmp_path / name, driver)
    before = sorted(tmp_path.iterdir())
    found = read_buildings(path)
    order = np.argsort(shapely.bounds(found.polygons_N)[:, 0])  # FlatGeobuf has its own
    for polygon, square in zip(found.polygons_N[order], SQUARES, strict=True):
        assert polygon.normalize().equals_exact(square.normalize())
    assert found.crs == (CRS.from_epsg(4326) if driver == "GeoJSON" else UTM)
    assert list(found.image_id_N) == ["town"] * 2
    assert found.confidence_N.tolist() == [0.75] * 2
    assert found.height_m_N is not None
    np.testing.assert_array_equal(found.height_m_N[order], [7.5, np.nan])
    assert sorted(tmp_path.iterdir()) == before
    assert area_in(path, found.crs).area == pytest.approx(10)


def test_what_training_learns_from_is_read(tmp_path: Path, door: str) -> None:
    """Pairs and lessons, by the same door."""
    path = written(tmp_path / "a.gpkg", "GPKG")
    grid = Grid((20, 40), Affine(1, 0, 0, 0, -1, 20), UTM)
    ground = footprints_on(path, grid, "height_m")
    assert [polygon.area for polygon in ground.polygons] == [2, 8]
    np.testing.assert_array_equal(ground.heights_m, [7.5, np.nan])
    with pytest.raises(InputError, match="has no field 'eaves'; it has ImageId, confidence, heig"):
        footprints_on(path, grid, "eaves")
    table = tmp_path / "pixels.csv"
    table.write_text("ImageId,BuildingId,PolygonWKT_Pix\n")
    with pytest.raises(InputError, match=r"pixels\.csv is not a vector layer .* give a \.gpkg"):
        footprints_on(table, grid)


def test_houses_for_the_judge_are_read(tmp_path: Path, door: str) -> None:
    houses = [shapely.box(x, y, x + 1e-4, y + 1e-4) for x in np.arange(10, 10.003, 3e-4)
              for y in np.arange(0, 0.003, 3e-4)]  # fmt: skip
    features = [{"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(each)}
                for each in houses]  # fmt: skip
    collection = {"type": "FeatureCollection", "features": features}
    (tmp_path / "buildings.geojson").write_text(json.dumps(collection))
    (block,) = real_blocks(tmp_path)
    assert block.shape == (500, 500)
    assert 15 <= block.polygons.size < len(houses)


@pytest.mark.parametrize(
    "text",
    ["{vrt}", '{{"type":"FeatureCollection","x":"{vrt}"}}', "{{}}\n{vrt}",
     "<FeatureCollection>{vrt}</FeatureCollection>"],
    ids=["bare", "in JSON", "behind JSON", "in GML"],
)  # fmt: skip
def test_a_file_that_names_others_reads_none_of_them(tmp_path: Path, door: str, text: str) -> None:
    written(tmp_path / "other.gpkg", "GPKG")
    vrt = (
        "<OGRVRTDataSource><OGRVRTLayer name='written'><SrcDataSource>"
        f"{tmp_path / 'other.gpkg'}</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )
    path = tmp_path / "t.geojson"
    path.write_text(text.format(vrt=vrt))
    with suppress(InputError):
        assert len(read_buildings(path)) == 0


@pytest.mark.parametrize("driver", ["GPKG", "FlatGeobuf", "ESRI Shapefile", "GeoJSON"])
def test_what_breaks_off_is_told_in_a_sentence(tmp_path: Path, door: str, driver: str) -> None:
    name = {"GPKG": "a.gpkg", "FlatGeobuf": "a.fgb", "GeoJSON": "a.geojson"}.get(driver, "a.shp")
    path = written(tmp_path / name, driver)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - len(whole) // 5])
    with pytest.raises(InputError, match=path.name):
        read_buildings(path)


def test_layers_hold_the_same_in_every_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, types of fields, CRS and metadata are equal, and the bytes of two runs by one door."""
    told: list[Any] = []
    for name in ("fiona", "pyogrio"):
        if name == "pyogrio":
            monkeypatch.setattr(vectors, "fiona", None)
        for turn in range(2):
            path = tmp_path / f"{name}{turn}.gpkg"
            write_layer(path, [none_of(Source("town", UTM))], UTM, {"note": "<a & b>"})
        assert path.read_bytes() == (tmp_path / f"{name}0.gpkg").read_bytes()
        with closing(sqlite3.connect(path)) as database:
            told.append(content_of(database))
    assert told[0] == told[1]


def content_of(database: sqlite3.Connection) -> dict[str, Any]:
    """Tables, their columns and rows; GDAL's releases list their extensions in another order."""
    tables = [
        row[0]
        for row in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'rtree%_%' "
            "ORDER BY name"
        )
    ]
    found: dict[str, Any] = {}
    for table in tables:
        columns = [row[1:3] for row in database.execute(f"PRAGMA table_info({table})")]
        rows = database.execute(f"SELECT * FROM {table}").fetchall()
        found[table] = (columns, sorted(rows, key=repr) if table == "gpkg_extensions" else rows)
    return found
