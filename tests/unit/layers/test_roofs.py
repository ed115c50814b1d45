"""Heights and roofs in every format: the fields, the second layer, the file of their own."""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
import xml.etree.ElementTree as ElementTree
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from helpers.roofed import HEIGHTS_M, UTM, town
from snet4core.errors import InputError, OutputError
from snet4core.footprints.footprints import FIELDS, HEIGHT_FIELDS, Footprints, Source, none_of
from snet4core.layers import gpkg, kept
from snet4core.layers.features import ROOF_FIELDS, ROOFS_LAYER, footprints_layer
from snet4core.layers.write import check_layer, write_layer

GDAL_FORMATS = [".gpkg", ".fgb", ".geojson"]
HEIGHTS = [None if np.isnan(height_m) else height_m for height_m in HEIGHTS_M]


@pytest.fixture
def table() -> Footprints:
    return town()


def rows(path: Path, layer: str) -> list[Any]:
    with fiona.open(path, layer=layer) as opened:
        return sorted(opened, key=lambda feature: feature.properties["footprint_id"])


def layers(path: Path) -> list[str]:
    return [name for name in fiona.listlayers(path) if name != "layer_styles"]


@pytest.mark.parametrize("extension", GDAL_FORMATS)
class TestFormats:
    def test_heights_stand_behind_the_other_fields(
        self, tmp_path: Path, table: Footprints, extension: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        assert write_layer(path, [table], UTM) == 11
        with fiona.open(path, layer="footprints") as layer:
            kinds = {name: kind.split(":")[0] for name, kind in layer.schema["properties"].items()}
        assert list(kinds) == [*FIELDS, *HEIGHT_FIELDS]
        assert (kinds["height_m"], kinds["height_source"]) == ("float", "str")
        found = rows(path, "footprints")
        assert [each.properties["height_m"] for each in found] == HEIGHTS
        sources = [None if height_m is None else "map" for height_m in HEIGHTS]
        assert [each.properties["height_source"] for each in found] == sources

    def test_a_model_without_heights_has_no_such_fields(
        self, tmp_path: Path, extension: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        write_layer(path, [town(has_roofs=False)], UTM)
        assert layers(path) == ["footprints"]
        with fiona.open(path, layer="footprints") as layer:
            assert list(layer.schema["properties"]) == list(FIELDS)

    def test_roofs_may_have_a_file_of_their_own(
        self, tmp_path: Path, table: Footprints, extension: str
    ) -> None:
        path = tmp_path / f"roofs{extension}"
        write_layer(tmp_path / "out.fgb", [table], UTM, {"scene": "town"}, roofs_file=path)
        found = rows(path, "roofs")
        with fiona.open(path, layer="roofs") as layer:
            assert list(layer.schema["properties"]) == list(ROOF_FIELDS)
        columns = table.columns()
        for row, each in enumerate(found):
            expected = {name: columns[name][row] for name in ROOF_FIELDS}
            assert dict(each.properties) == expected
        if extension != ".geojson":
            assert table.roofs is not None
            for each, roof in zip(found, table.roofs.polygons_N, strict=True):
                assert shape(each.geometry).equals(roof)
        assert layers(tmp_path / "out.fgb") == ["footprints"]

    def test_a_scene_without_houses_still_tells_that_there_could_be_heights(
        self, tmp_path: Path, table: Footprints, extension: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        roofs = tmp_path / "roofs.gpkg"
        assert write_layer(path, [none_of(table.source)], UTM, roofs_file=roofs) == 0
        assert rows(roofs, "roofs") == []
        if extension != ".geojson":  # its fields are those of its features
            with fiona.open(path, layer="footprints") as layer:
                assert "height_m" in layer.schema["properties"]


class TestOtherFormats:
    def test_parquet(self, tmp_path: Path, table: Footprints) -> None:
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
        write_layer(tmp_path / "out.parquet", [table], UTM, roofs_file=tmp_path / "roofs.parquet")
        found = parquet.read_table(tmp_path / "out.parquet")
        assert found["height_m"].to_pylist() == HEIGHTS
        roofs = parquet.read_table(tmp_path / "roofs.parquet")
        assert roofs.column_names == [*ROOF_FIELDS, "geometry", "bbox"]
        assert table.roofs is not None
        read = shapely.from_wkb(roofs["geometry"].to_pylist())
        assert shapely.equals(read, table.roofs.polygons_N).all()

    def test_tables(self, tmp_path: Path, table: Footprints) -> None:
        out, roofs = tmp_path / "out.csv", tmp_path / "roofs.csv"
        empty = none_of(Source("empty.tif", UTM, has_roofs=True))
        write_layer(out, [table, empty], UTM, roofs_file=roofs)
        with out.open(newline="") as file:
            found = list(csv.DictReader(file))
        assert [each["height_m"] for each in found[:3]] == ["12.0", "3.5", ""]
        assert [each["height_source"] for each in found[:3]] == ["map", "map", ""]
        assert found[-1]["BuildingId"] == "-1"
        assert (found[-1]["area_m2"], found[-1]["height_m"]) == ("0", "")
        assert None not in found[-1]
        with roofs.open(newline="") as file:
            found = list(csv.DictReader(file))
        assert list(found[0]) == [
            "ImageId", "BuildingId", "PolygonWKT_Pix", "Confidence", "PolygonWKT_Geo", "scene",
            "height_m",
        ]  # fmt: skip
        assert table.roofs_px is not None
        for each, roof in zip(found, table.roofs_px.polygons_N, strict=False):
            assert shapely.from_wkt(each["PolygonWKT_Pix"]).equals_exact(roof, 0.01)

    def test_the_challenge_gets_footprints_and_nothing_else(
        self, tmp_path: Path, table: Footprints
    ) -> None:
        texts = []
        for name, batch in (("with", table), ("without", town(has_roofs=False))):
            write_layer(tmp_path / f"{name}.gpkg", [batch], UTM, csv=tmp_path / f"{name}.csv")
            texts.append((tmp_path / f"{name}.csv").read_text())
        assert texts[0] == texts[1]


class TestGeoPackage:
    @pytest.fixture
    def path(self, tmp_path: Path, table: Footprints) -> Path:
        path = tmp_path / "out.gpkg"
        write_layer(path, [table], UTM, {"scene": "town.tif"})
        return path

    def query(self, path: Path, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as database:
            return database.execute(sql).fetchall()

    def test_roofs_are_a_second_layer(self, path: Path, table: Footprints) -> None:
        assert layers(path) == ["footprints", "roofs"]
        found, columns = rows(path, "roofs"), table.columns()
        assert table.roofs is not None
        for row, each in enumerate(found):
            assert dict(each.properties) == {name: columns[name][row] for name in ROOF_FIELDS}
            assert shape(each.geometry).equals_exact(table.roofs.polygons_N[row], 0)

    def test_no_roofs_no_layer(self, tmp_path: Path, table: Footprints) -> None:
        path = tmp_path / "bare.gpkg"
        write_layer(path, [table], UTM, roofs=False)
        assert layers(path) == ["footprints"]
        assert [each.properties["height_m"] for each in rows(path, "footprints")] == HEIGHTS

    def test_sqlite_finds_no_fault(self, path: Path) -> None:
        assert self.query(path, "PRAGMA integrity_check") == [("ok",)]
        assert self.query(path, "PRAGMA foreign_key_check") == []

    def test_both_layers_have_index_extent_and_count(self, path: Path, table: Footprints) -> None:
        assert table.roofs is not None
        for layer, shapes in (("footprints", table.shapes), ("roofs", table.roofs)):
            boxes = self.query(
                path, f"SELECT minx, miny, maxx, maxy FROM rtree_{layer}_geom ORDER BY id"
            )
            assert np.asarray(boxes) == pytest.approx(shapes.boxes_N4, abs=1)
            [extent] = self.query(
                path,
                "SELECT min_x, min_y, max_x, max_y FROM gpkg_contents "
                f"WHERE table_name = '{layer}'",
            )
            assert extent == tuple(shapely.total_bounds(shapes.polygons_N))
            count = f"SELECT feature_count FROM gpkg_ogr_contents WHERE table_name = '{layer}'"
            assert self.query(path, count) == [(11,)]

    def test_layers_are_counted_each_by_itself(self, tmp_path: Path, table: Footprints) -> None:
        path = tmp_path / "uneven.gpkg"
        contents = [(footprints_layer(table.source), [table]), (ROOFS_LAYER, [table[:4]])]
        assert gpkg.write(path, contents, UTM, {}) == 11
        sql = "SELECT table_name, feature_count FROM gpkg_ogr_contents ORDER BY table_name"
        assert self.query(path, sql) == [("footprints", 11), ("layer_styles", 2), ("roofs", 4)]

    def test_index_and_counter_of_roofs_follow_later_edits(self, path: Path) -> None:
        feature = rows(path, "roofs")[0]
        with fiona.open(path, "a", layer="roofs") as layer:
            layer.write(feature)
        count = "SELECT feature_count FROM gpkg_ogr_contents WHERE table_name = 'roofs'"
        assert self.query(path, count) == [(12,)]
        assert self.query(path, "SELECT count(*) FROM rtree_roofs_geom") == [(12,)]

    def test_each_layer_has_a_style_of_its_own(self, path: Path) -> None:
        sql = "SELECT f_table_name, styleName, useAsDefault, styleQML FROM layer_styles ORDER BY id"
        footprints, roofs = self.query(path, sql)
        assert footprints[:3] == ("footprints", "footprints", 1)
        assert roofs[:3] == ("roofs", "roofs", 1)
        extruded = ElementTree.fromstring(footprints[3]).findall(".//Option[@name='expression']")
        assert [each.get("value") for each in extruded] == ["coalesce(attribute('height_m'), 0)"]
        assert ElementTree.fromstring(roofs[3]).find("renderer-3d") is None
        rows_stated = "SELECT feature_count FROM gpkg_ogr_contents WHERE table_name='layer_styles'"
        assert self.query(path, rows_stated) == [(2,)]

    def test_no_date_of_today_is_in_it(self, path: Path) -> None:
        for sql in (
            "SELECT last_change FROM gpkg_contents",
            "SELECT update_time FROM layer_styles",
        ):
            assert {row[0] for row in self.query(path, sql)} == {"2000-01-01T00:00:00.000Z"}

    def test_without_heights_the_style_is_that_of_before(self, tmp_path: Path) -> None:
        path = tmp_path / "plain.gpkg"
        write_layer(path, [town(has_roofs=False)], UTM)
        [(style,)] = self.query(path, "SELECT styleQML FROM layer_styles")
        assert "renderer-3d" not in style


@pytest.mark.parametrize("extension", [*GDAL_FORMATS, ".csv", ".city.json"])
def test_batches_play_no_part_in_the_bytes(
    tmp_path: Path, table: Footprints, extension: str
) -> None:
    digests = set()
    for name, batches in (("one", [table]), ("two", [table[:4], table[4:]]), ("three", [table])):
        (tmp_path / name).mkdir()
        path, roofs = tmp_path / name / f"out{extension}", tmp_path / name / "roofs.gpkg"
        write_layer(path, batches, UTM, roofs_file=roofs)
        both = path.read_bytes() + roofs.read_bytes()
        digests.add(hashlib.sha256(both).hexdigest())
    assert len(digests) == 1


def test_scenes_keep_their_own_roofs(tmp_path: Path, table: Footprints) -> None:
    second = town("second.tif")
    write_layer(tmp_path / "out.gpkg", [table, none_of(table.source), second], UTM)
    with fiona.open(tmp_path / "out.gpkg", layer="roofs") as layer:
        scenes = [each.properties["scene"] for each in layer]
    assert scenes == ["town.tif"] * 11 + ["second.tif"] * 11


def test_an_error_in_the_middle_leaves_neither_file(tmp_path: Path, table: Footprints) -> None:
    def stream() -> Any:
        yield table
        raise InputError("scene.tif breaks off in row 4000; take a fresh copy.")

    with pytest.raises(InputError, match="breaks off"):
        write_layer(tmp_path / "a.gpkg", stream(), UTM, roofs_file=tmp_path / "b.fgb")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_under_the_kept_roofs_leaves_neither_file(
    tmp_path: Path, table: Footprints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("Footprints could not be kept in the temporary folder; make room.")

    monkeypatch.setattr(kept.Spool, "add", full)
    with pytest.raises(OutputError, match="make room"):
        write_layer(tmp_path / "a.gpkg", [table], UTM)
    assert list(tmp_path.iterdir()) == []


class TestRefusals:
    def test_scenes_with_and_without_roofs_are_not_mixed(
        self, tmp_path: Path, table: Footprints
    ) -> None:
        plain = town("plain.tif", has_roofs=False)
        for batches in ([table, plain], [plain, table]):
            with pytest.raises(InputError, match=r"town\.tif has roofs.*plain\.tif has none"):
                write_layer(tmp_path / "out.gpkg", batches, UTM)
        assert list(tmp_path.iterdir()) == []

    def test_roofs_that_no_model_gave(self, tmp_path: Path) -> None:
        plain = [town(has_roofs=False)]
        with pytest.raises(InputError, match="leave out --roofs-file"):
            write_layer(tmp_path / "out.gpkg", plain, UTM, roofs_file=tmp_path / "r.gpkg")
        with pytest.raises(InputError, match=r"leave out --roofs\."):
            write_layer(tmp_path / "out.gpkg", plain, UTM, roofs=True)
        assert list(tmp_path.iterdir()) == []
        assert write_layer(tmp_path / "out.gpkg", plain, UTM, roofs=False) == 11

    def test_a_format_of_one_layer_has_no_room_for_two(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"one layer.*--roofs.*\.gpkg.*--roofs-file"):
            check_layer(tmp_path / "out.fgb", roofs=True)
        check_layer(tmp_path / "out.fgb", roofs=True, roofs_file=tmp_path / "roofs.fgb")

    def test_the_file_of_roofs_is_checked_like_the_others(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="twice"):
            check_layer(tmp_path / "out.gpkg", roofs_file=tmp_path / "out.gpkg")
        with pytest.raises(OutputError, match=r"r\.city\.json has no known extension"):
            check_layer(tmp_path / "out.gpkg", roofs_file=tmp_path / "r.city.json")
        (tmp_path / "r.fgb").touch()
        with pytest.raises(OutputError, match=r"r\.fgb exists"):
            check_layer(tmp_path / "out.gpkg", roofs_file=tmp_path / "r.fgb")


def test_an_identical_table_without_heights_gives_the_bytes_of_before(tmp_path: Path) -> None:
    """A model of two maps knows nothing of heights, and its files show no trace of them."""
    plain = town(has_roofs=False)
    assert np.isnan(plain.height_m_N).all()
    for extension in (".geojson", ".csv"):
        path = tmp_path / f"out{extension}"
        write_layer(path, [plain, replace(plain[:0])], UTM)
        assert "height" not in path.read_text()
    features = json.loads((tmp_path / "out.geojson").read_text())["features"]
    assert list(features[0]["properties"]) == list(FIELDS)
