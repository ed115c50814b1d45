"""Labels as they come: every damaged table or layer is refused by line or feature, or counted."""

from __future__ import annotations

import os
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import fiona
import pytest
import shapely
from shapely.geometry import mapping

from snet4core.errors import InputError, Snet4Error
from snet4core.layers import vectors
from snet4core.layers.read import Buildings, read_buildings
from snet4core.score import Tally, aligned, score

HEADER = "ImageId,BuildingId,PolygonWKT_Pix,Confidence"
HOUSE = '"POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0))"'
GOOD = f"a,1,{HOUSE},0.5"
SQUARE = shapely.box(500_000, 4_000_000, 500_010, 4_000_010)


def refused(path: Path) -> str:
    """The one sentence of the error, checked for its form."""
    with pytest.raises(InputError) as caught:
        read_buildings(path)
    sentence = str(caught.value)
    assert path.name in sentence or repr(path.name)[1:-1] in sentence
    assert "\n" not in sentence
    assert len(sentence) < 400 + len(str(path))
    assert caught.value.exit_code == 5
    return sentence


TABLES = {
    "bad WKT": (f"{HEADER}\n{GOOD}\na,2,POLYGON ((0 0,1", r"line 3"),
    "WKT of another kind of text": (f"{HEADER}\n{GOOD}\na,2,a house,1", "line 3: PolygonWKT_Pix"),
    "empty WKT": (f"{HEADER}\n{GOOD}\na,2,,1", "line 3: PolygonWKT_Pix"),
    "open ring": (f'{HEADER}\na,2,"POLYGON ((0 0, 9 0, 9 9))",1', "line 2: PolygonWKT_Pix"),
    "decimal commas": (f'{HEADER}\na,2,"POLYGON ((0,5 0, 9 0, 9 9, 0,5 0))",1', "line 2"),
    "NaN in a polygon": (f'{HEADER}\na,1,"POLYGON ((0 0, nan 0, 9 9, 0 0))",1', "line 2"),
    "infinity in a polygon": (f'{HEADER}\na,1,"POLYGON ((0 0, inf 0, 9 9, 0 0))",1', "line 2"),
    "a coordinate of 1e300": (f'{HEADER}\na,1,"POLYGON ((0 0, 1e300 0, 9 9, 0 0))",1', "line 2"),
    "confidence with a comma": (f'{HEADER}\n{GOOD}\na,2,{HOUSE},"0,5"', "line 3: the Confidence"),
    "confidence in words": (f"{HEADER}\n{GOOD}\na,2,{HOUSE},high", "line 3: the Confidence"),
    "no confidence": (f"{HEADER}\n{GOOD}\na,2,{HOUSE},", "line 3: the Confidence"),
    "confidence NaN": (f"{HEADER}\n{GOOD}\na,2,{HOUSE},nan", "line 3: the Confidence"),
    "confidence infinite": (f"{HEADER}\n{GOOD}\na,2,{HOUSE},inf", "line 3: the Confidence"),
    "too few cells": (f"{HEADER}\n{GOOD}\na,2", "line 3: 2 cells instead of 4"),
    "too many cells": (f"{HEADER}\n{GOOD}\na,2,{HOUSE},1,1,1", "line 3: 6 cells instead of 4"),
    "unquoted polygon": (f"{HEADER}\na,2,POLYGON ((0 0, 9 0, 9 9, 0 0)),1", "double quotes"),
    "quote never closed": (f'{HEADER}\n{GOOD}\na,2,"POLYGON ((0 0', "line 3"),
    "quote of the last cell never closed": (f'{HEADER}\na,2,{HOUSE},"1', "line 2: unexpected end"),
    "no ImageId": (f"{HEADER}\n{GOOD}\n,2,{HOUSE},1", "line 3: the ImageId is empty"),
    "missing column": (f"ImageId,BuildingId,Confidence\n{GOOD}", "no column PolygonWKT_Pix"),
    "no header": (f"{GOOD}\n{GOOD}", "no column ImageId and no column PolygonWKT_Pix"),
    "semicolons": (f"{HEADER.replace(',', ';')}\n", "no column ImageId"),
    "a column twice": (f"{HEADER},Confidence\n{GOOD},1", "column Confidence twice"),
    "empty file": ("", "is empty"),
    "blank lines alone": ("\n\n\n", "is empty"),
    "NUL byte": (f"{HEADER}\n{GOOD}\na,\0,{HOUSE},1", "line 3: it holds a NUL byte"),
    "HTML": ("<!DOCTYPE html>\n<html>404</html>", "no column ImageId"),
}


@pytest.mark.parametrize(("text", "told"), TABLES.values(), ids=TABLES)
def test_a_damaged_table_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert told in refused(path)
    assert [each.name for each in tmp_path.iterdir()] == ["labels.csv"]


BINARY_TABLES = {
    "Latin-1": (f"{HEADER}\n{GOOD}\n".encode() + b"Z\xfcrich,1,POLYGON EMPTY,1\n", "line 3"),
    "UTF-16": (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "UTF-16"),
    "a picture": (b"II*\0" + bytes(range(256)) * 4, "NUL"),
    "a huge cell": (f"{HEADER}\na,1,".encode() + b"x" * (17 << 20) + b",1\n", "line 2"),
}


@pytest.mark.parametrize(("raw", "told"), BINARY_TABLES.values(), ids=BINARY_TABLES)
def test_what_is_no_table_is_refused(tmp_path: Path, raw: bytes, told: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(raw)
    assert told in refused(path)


class TestTablesThatCount:
    def table(self, path: Path, text: str) -> Buildings:
        path.write_text(text, encoding="utf-8")
        return read_buildings(path)

    def test_a_bow_tie_is_read_and_left_to_the_rules(self, tmp_path: Path) -> None:
        table = self.table(
            tmp_path / "t.csv", f'{HEADER}\na,1,"POLYGON ((0 0, 9 9, 9 0, 0 9, 0 0))",1\n'
        )
        assert len(table) == 1

    def test_a_building_of_many_corners_is_read(self, tmp_path: Path) -> None:
        """Python's own limit for a cell has 128 KiB."""
        circle = shapely.Point(100, 100).buffer(50, quad_segs=2500)
        assert len(circle.wkt) > 2**17
        table = self.table(tmp_path / "t.csv", f'{HEADER}\na,1,"{circle.wkt}",1\n')
        assert len(table) == 1

    def test_duplicates_are_one_hit_and_one_false(self, tmp_path: Path) -> None:
        found = self.table(tmp_path / "p.csv", f"{HEADER}\n{GOOD}\n{GOOD}\n")
        truth = self.table(tmp_path / "t.csv", f"{HEADER}\n{GOOD}\n")
        assert score(found, truth).total == Tally(1, 1, 0)

    def test_unknown_images_are_told(self, tmp_path: Path) -> None:
        found = self.table(tmp_path / "p.csv", f"{HEADER}\n{GOOD}\nx,1,{HOUSE},1\n")
        truth = self.table(tmp_path / "t.csv", f"{HEADER}\n{GOOD}\n")
        _, notes = aligned(found, truth)
        assert "1 images" in notes[0]
        assert "such as x" in notes[0]

    def test_no_image_in_common_is_told_with_an_example_of_both(self, tmp_path: Path) -> None:
        found = self.table(tmp_path / "p.csv", f"{HEADER}\nPan-Sharpen_a,1,{HOUSE},1\n")
        truth = self.table(tmp_path / "t.csv", f"{HEADER}\n{GOOD}\n")
        _, [note] = aligned(found, truth)
        assert "Pan-Sharpen_a against a" in note

    def test_what_was_skipped_is_counted_with_the_reason(self, tmp_path: Path) -> None:
        truth = self.table(tmp_path / "t.csv", f'{HEADER}\n{GOOD}\na,2,"POINT (1 1)",1\n')
        _, notes = aligned(truth, truth)
        assert "1 skipped, points or lines, not areas" in notes[0]


def write_layer(
    path: Path,
    geometries: list[shapely.Geometry | None],
    *,
    driver: str = "GPKG",
    crs: str | None = "EPSG:32616",
    kind: str = "Unknown",
    layer: str | None = None,
) -> Path:
    """A layer as other programs write them."""
    schema = {"geometry": kind, "properties": {"name": "str"}}
    options = {"layer": layer} if layer else {}
    with fiona.open(path, "w", driver=driver, schema=schema, crs=crs, **options) as sink:
        for each in geometries:
            geometry = mapping(each) if each is not None else None
            sink.write({"type": "Feature", "geometry": geometry, "properties": {"name": "x"}})
    return path


class TestLayersThatCount:
    def test_null_empty_and_mixed_geometries_are_counted(self, tmp_path: Path) -> None:
        path = write_layer(
            tmp_path / "mixed.gpkg",
            [
                SQUARE,
                None,
                shapely.Point(0, 0),
                shapely.LineString([(0, 0), (1, 1)]),
                shapely.MultiPolygon([SQUARE]),
                shapely.Polygon(),
            ],
        )
        table = read_buildings(path)
        assert len(table) == 2
        assert table.skipped == {
            "without a geometry": 1,
            "points or lines, not areas": 2,
            "with an empty geometry": 1,
        }

    def test_a_third_dimension_is_dropped(self, tmp_path: Path) -> None:
        high = shapely.force_3d(SQUARE, 250.0)
        [read] = read_buildings(write_layer(tmp_path / "high.gpkg", [high])).polygons_N
        assert not read.has_z
        assert read.equals(SQUARE)

    def test_another_crs_is_moved_and_told(self, tmp_path: Path) -> None:
        truth = read_buildings(write_layer(tmp_path / "utm.gpkg", [SQUARE]))
        degrees = write_layer(
            tmp_path / "degrees.geojson",
            [_in_degrees(SQUARE)],
            driver="GeoJSON",
            crs="EPSG:4326",
        )
        found, notes = aligned(read_buildings(degrees), truth)
        assert score(found, truth).total == Tally(1, 0, 0)
        assert "moved from its CRS" in notes[0]

    def test_longitudes_beyond_180_are_those_of_the_other_side(self, tmp_path: Path) -> None:
        """A layer of a scene that goes on there, against GeoJSON, which does not."""
        east = shapely.box(180.0002, -17.0003, 180.0004, -17.0001)
        west = shapely.box(179.9996, -17.0003, 179.9998, -17.0001)
        beyond = write_layer(tmp_path / "beyond.gpkg", [west, east], crs="EPSG:4326")
        within = write_layer(
            tmp_path / "within.geojson",
            [west, shapely.transform(east, lambda points: points - [360, 0])],
            driver="GeoJSON",
            crs="EPSG:4326",
        )
        for proposals, truth in ((beyond, within), (within, beyond)):
            expected = read_buildings(truth)
            found, notes = aligned(read_buildings(proposals), expected)
            assert score(found, expected).total == Tally(2, 0, 0)
            assert not notes

    def test_swapped_axes_are_refused_with_the_guess(self, tmp_path: Path) -> None:
        truth = read_buildings(write_layer(tmp_path / "utm.gpkg", [SQUARE]))
        swapped = shapely.transform(_in_degrees(SQUARE), lambda points: points[:, ::-1] - [0, 30])
        layer = write_layer(
            tmp_path / "swapped.geojson", [swapped], driver="GeoJSON", crs="EPSG:4326"
        )
        with pytest.raises(InputError, match=r"swapped\.geojson.*swapped"):
            aligned(read_buildings(layer), truth)

    def test_layers_that_lie_apart_are_told(self, tmp_path: Path) -> None:
        truth = read_buildings(write_layer(tmp_path / "one.gpkg", [SQUARE]))
        far = shapely.transform(SQUARE, lambda points: points + 10_000)
        _, notes = aligned(read_buildings(write_layer(tmp_path / "two.gpkg", [far])), truth)
        assert "do not overlap" in notes[0]

    def test_one_layer_without_a_crs_is_refused(self, tmp_path: Path) -> None:
        truth = read_buildings(write_layer(tmp_path / "one.gpkg", [SQUARE]))
        bare = read_buildings(
            write_layer(tmp_path / "bare.shp", [SQUARE], driver="ESRI Shapefile", crs=None,
                        kind="Polygon")
        )  # fmt: skip
        with pytest.raises(InputError, match=r"bare\.shp names no CRS"):
            aligned(bare, truth)

    def test_several_layers_are_refused_with_their_names(self, tmp_path: Path) -> None:
        path = tmp_path / "several.gpkg"
        write_layer(path, [SQUARE], layer="roads")
        write_layer(path, [SQUARE], layer="rivers")
        assert "holds 2 layers (roads, rivers)" in refused(path)

    def test_the_layer_footprints_is_taken_among_several(self, tmp_path: Path) -> None:
        path = tmp_path / "several.gpkg"
        write_layer(path, [SQUARE, SQUARE], layer="roads")
        write_layer(path, [SQUARE], layer="footprints")
        assert len(read_buildings(path)) == 1

    def test_an_empty_collection_is_an_image_without_buildings(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.geojson"
        path.write_text('{"type": "FeatureCollection", "features": []}')
        table = read_buildings(path)
        assert len(table) == 0
        assert table.images == ("",)

    def test_a_database_in_wal_mode_is_read_and_left_alone(self, tmp_path: Path) -> None:
        path = write_layer(tmp_path / "wal.gpkg", [SQUARE])
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = WAL")
        before = path.read_bytes()
        assert len(read_buildings(path)) == 1
        assert path.read_bytes() == before
        assert [each.name for each in tmp_path.iterdir()] == ["wal.gpkg"]


def _in_degrees(polygon: shapely.Polygon) -> shapely.Polygon:
    import numpy as np
    from rasterio.warp import transform

    return shapely.transform(
        polygon,
        lambda points: np.column_stack(
            transform("EPSG:32616", "EPSG:4326", points[:, 0], points[:, 1])
        ),
    )


LAYERS = {
    "an empty file": ("x.geojson", b"", "is empty; copy or download it again"),
    "cut GeoJSON": (
        "x.geojson",
        b'{"type": "FeatureCollection", "features": [{"type": "Feature", "geom',
        "is no whole JSON (Unterminated string",
    ),
    "GeoJSON in Latin-1": (
        "x.geojson",
        b'{"type": "FeatureCollection",\n"name": "Z\xfcrich", "features": []}',
        "line 2: it is not UTF-8",
    ),
    "GeoJSON with an infinite coordinate": (
        "x.geojson",
        b'{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, '
        b'"geometry": {"type": "Polygon", "coordinates": [[[0,0],[1e999,0],[1,1],[0,0]]]}}]}',
        "feature 1",
    ),
    "a ring of two points": (
        "x.geojson",
        b'{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, '
        b'"geometry": {"type": "Polygon", "coordinates": [[[0,0],[1,0]]]}}]}',
        "feature 1",
    ),
    "a confidence in words": (
        "x.geojson",
        b'{"type": "FeatureCollection", "features": [{"type": "Feature", '
        b'"properties": {"confidence": "high"}, '
        b'"geometry": {"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]]}}]}',
        "feature 1: the confidence 'high'",
    ),
    "HTML named .gpkg": ("x.gpkg", b"<!DOCTYPE html><html>404 Not Found</html>", "damaged"),
    "empty .gpkg": ("x.gpkg", b"", "damaged"),
    "empty .fgb": ("x.fgb", b"", "is empty; copy or download it again"),
    "VRT named .geojson": (
        "x.geojson",
        b'<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/etc/passwd</SrcDataSource>'
        b"</OGRVRTLayer></OGRVRTDataSource>",
        "not a vector layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "raw", "told"), LAYERS.values(), ids=LAYERS)
def test_a_damaged_layer_is_refused(tmp_path: Path, name: str, raw: bytes, told: str) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    assert told in refused(path)
    assert path.read_bytes() == raw
    assert [each.name for each in tmp_path.iterdir()] == [name]


class TestPlaces:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert "does not exist" in refused(tmp_path / "missing.csv")

    def test_a_folder(self, tmp_path: Path) -> None:
        assert "is no file" in refused(tmp_path)

    def test_a_pipe_does_not_hang(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.csv")
        assert "is no file" in refused(tmp_path / "pipe.csv")

    def test_links_in_a_circle(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").symlink_to(tmp_path / "b.csv")
        (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
        refused(tmp_path / "a.csv")

    def test_a_name_that_is_too_long(self, tmp_path: Path) -> None:
        with pytest.raises(InputError):
            read_buildings(tmp_path / ("x" * 300 + ".csv"))

    def test_a_name_with_a_line_break_stays_on_one_line(self, tmp_path: Path) -> None:
        assert "two\\nlines.csv" in refused(tmp_path / "two\nlines.csv")

    def test_a_url_is_no_file(self) -> None:
        with pytest.raises(InputError, match="does not exist"):
            read_buildings(Path("http://127.0.0.1:9/labels.geojson"))

    def test_a_path_into_gdals_own_file_systems_is_no_file(self) -> None:
        with pytest.raises(InputError, match="does not exist"):
            read_buildings(Path("/vsicurl/http://127.0.0.1:9/labels.geojson"))


class TestCutAndUnfinished:
    @pytest.mark.parametrize("driver", ["GPKG", "FlatGeobuf", "ESRI Shapefile"])
    def test_a_cut_file_is_refused(self, tmp_path: Path, driver: str) -> None:
        ending = {"GPKG": "gpkg", "FlatGeobuf": "fgb", "ESRI Shapefile": "shp"}[driver]
        squares = [
            shapely.transform(SQUARE, lambda points, step=step: points + step * 20)
            for step in range(2000)
        ]
        path = write_layer(tmp_path / f"whole.{ending}", squares, driver=driver, kind="Polygon")
        raw = path.read_bytes()
        for share in (0.3, 0.6, 0.9, 0.999):
            path.write_bytes(raw[: int(len(raw) * share)])
            refused(path)

    @pytest.mark.parametrize("ending", ["-journal", "-wal"])
    def test_an_unfinished_change_is_told(self, tmp_path: Path, ending: str) -> None:
        path = write_layer(tmp_path / "town.gpkg", [SQUARE])
        journal = tmp_path / f"town.gpkg{ending}"
        journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
        before = path.read_bytes(), journal.read_bytes()
        assert f"town.gpkg{ending}" in refused(path)
        assert (path.read_bytes(), journal.read_bytes()) == before


class TestDatabases:
    """GeoPackages are SQLite: what is locked, half damaged, or not in UTF-8."""

    def test_a_file_without_layers_is_told(self, tmp_path: Path) -> None:
        path = write_layer(tmp_path / "town.gpkg", [SQUARE])
        with closing(sqlite3.connect(path)) as database:
            database.execute("DELETE FROM gpkg_contents")
            database.commit()
        assert refused(path).endswith("town.gpkg holds no layer of features; check that it is the "
                                      "right file.")  # fmt: skip

    @pytest.mark.parametrize("ending", ["gpkg", "fgb"])
    def test_what_the_library_says_is_no_talk_of_its_own_objects(
        self, tmp_path: Path, ending: str
    ) -> None:
        driver = {"gpkg": "GPKG", "fgb": "FlatGeobuf"}[ending]
        path = tmp_path / f"town.{ending}"
        write_layer(path, [SQUARE], driver=driver, kind="Polygon")
        if ending == "fgb":
            path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        else:
            with closing(sqlite3.connect(path)) as database:
                [(name,)] = database.execute("SELECT table_name FROM gpkg_contents")
                database.execute(f"DROP TABLE {name}")
                database.commit()
        assert "(Null layer); take a fresh copy of it" in refused(path)

    @pytest.mark.parametrize("mode", ["DELETE", "WAL"])
    def test_what_another_program_holds_is_read(self, tmp_path: Path, mode: str) -> None:
        path = write_layer(tmp_path / "town.gpkg", [SQUARE])
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute(f"PRAGMA journal_mode = {mode}")
            holder.execute("PRAGMA locking_mode = EXCLUSIVE")
            holder.execute("BEGIN EXCLUSIVE")
            assert len(read_buildings(path)) == 1

    def test_nothing_lies_beside_it_while_it_is_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_layer(tmp_path / "wal.gpkg", [SQUARE])
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = WAL")
        seen: list[str] = []
        plain_open = fiona.open

        def watched(*arguments: Any, **options: Any) -> Any:
            opened = plain_open(*arguments, **options)
            next(iter(opened))
            seen.extend(each.name for each in tmp_path.iterdir())
            return opened

        monkeypatch.setattr(fiona, "open", watched)
        assert len(read_buildings(path)) == 1
        assert seen == ["wal.gpkg"]

    def test_a_page_that_stands_in_for_another_is_damage(self, tmp_path: Path) -> None:
        """As many features as stated are read, and no library complains: 28 come twice."""
        squares = [
            shapely.transform(SQUARE, lambda points, step=step: points + step * 20)
            for step in range(600)
        ]
        path = write_layer(tmp_path / "town.gpkg", squares, kind="Polygon", layer="town")
        with closing(sqlite3.connect(path)) as database:
            query = "SELECT rootpage FROM sqlite_master WHERE name = 'town'"
            [(root,)] = database.execute(query)
            [(page_bytes,)] = database.execute("PRAGMA page_size")
        raw = bytearray(path.read_bytes())
        start = (root - 1) * page_bytes
        assert raw[start] == 5, "the features lie on one page"
        # Behind its head of 12 bytes, the page says where on it each child's number stands.
        first, second = (
            start + int.from_bytes(raw[start + at : start + at + 2], "big") for at in (12, 14)
        )
        raw[second : second + 4] = raw[first : first + 4]
        path.write_bytes(raw)
        assert "town.gpkg is damaged" in refused(path)

    @pytest.mark.parametrize(
        ("table", "column"),
        [("gpkg_contents", "table_name"), ("gpkg_contents", "data_type"),
         ("gpkg_geometry_columns", "column_name"),
         ("gpkg_geometry_columns", "geometry_type_name"),
         ("gpkg_spatial_ref_sys", "definition")],
    )  # fmt: skip
    def test_names_that_are_not_utf8_are_damage(
        self, tmp_path: Path, table: str, column: str
    ) -> None:
        path = write_layer(tmp_path / "town.gpkg", [SQUARE])
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"UPDATE {table} SET {column} = CAST(X'FF66' AS TEXT)")
            database.commit()
        assert f"town.gpkg is damaged (Could not decode to UTF-8 column '{column}'" in refused(path)

    @pytest.mark.parametrize(
        ("table", "column"),
        [("gpkg_contents", "description"), ("gpkg_contents", "identifier"),
         ("gpkg_spatial_ref_sys", "description"), ("gpkg_spatial_ref_sys", "srs_name")],
    )  # fmt: skip
    def test_a_description_may_be_in_any_encoding(
        self, tmp_path: Path, table: str, column: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As an older program in a Latin-1 country writes it. Nothing of it is read.

        pyogrio cannot read a layer without the layer's own.
        """
        path = write_layer(tmp_path / "town.gpkg", [SQUARE])
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"UPDATE {table} SET {column} = CAST(X'48E475736572' AS TEXT)")
            database.commit()
        (found,) = read_buildings(path).polygons_N
        assert found.equals(SQUARE)
        pytest.importorskip("pyogrio", reason="pyogrio is not installed")
        monkeypatch.setattr(vectors, "fiona", None)
        if table != "gpkg_contents":
            assert len(read_buildings(path)) == 1
            return
        told = (
            "town.gpkg holds a text that is not UTF-8; convert it with 'ogr2ogr -nomd OUT.gpkg IN'."
        )
        assert refused(path).endswith(told)
        with suppress(FileNotFoundError):  # ogr2ogr may not be installed
            made = tmp_path / "made.gpkg"
            subprocess.run(["ogr2ogr", "-nomd", made, path], check=True, capture_output=True)
            assert len(read_buildings(made)) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [(lambda text: text[:-40], "Expecting|Unterminated"), (lambda text: text + "x", "Extra data")],
)
def test_json_that_breaks_off_is_told_where(
    tmp_path: Path, change: Callable[[str], str], says: str
) -> None:
    path = _good_file(tmp_path, "geojson")
    path.write_text(change(path.read_text()))
    assert re.search(rf"is no whole JSON \(({says}).*; copy or download it again", refused(path))


@pytest.mark.parametrize("files", [20, pytest.param(150, marks=pytest.mark.long)])
@pytest.mark.parametrize("ending", ["csv", "geojson", "gpkg", "fgb"])
def test_flipped_bytes_never_do_worse_than_an_error(
    tmp_path: Path, ending: str, files: int
) -> None:
    good = _good_file(tmp_path, ending)
    raw = good.read_bytes()
    truth = read_buildings(good)
    rng = random.Random(7)
    for turn in range(files):
        damaged = bytearray(raw)
        for _ in range(rng.choice([1, 1, 3, 20])):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path = tmp_path / f"damaged-{turn}.{ending}"
        path.write_bytes(damaged)
        started = time.monotonic()
        with suppress(Snet4Error):
            found, _ = aligned(read_buildings(path), truth)
            score(found, truth)
        assert time.monotonic() - started < 10
        path.unlink()
    assert len(list(tmp_path.iterdir())) == 1


def _good_file(folder: Path, ending: str) -> Path:
    path = folder / f"good.{ending}"
    if ending == "csv":
        path.write_text(HEADER + "\n" + "\n".join([GOOD] * 30) + "\n")
        return path
    driver = {"geojson": "GeoJSON", "gpkg": "GPKG", "fgb": "FlatGeobuf"}[ending]
    if ending == "geojson":
        return write_layer(path, [shapely.box(0, 0, 1, 1)] * 30, driver=driver, crs="EPSG:4326")
    return write_layer(path, [SQUARE] * 30, driver=driver, kind="Polygon")


START = "from snet4_cli.main import main; main()"


class TestCommand:
    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", START, "score", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )

    def test_one_sentence_and_exit_code_5(self, tmp_path: Path) -> None:
        path = tmp_path / "labels.csv"
        path.write_text(f"{HEADER}\n{GOOD}\na,2,nonsense,1\n")
        done = self.run(path, path)
        assert done.returncode == 5
        assert done.stdout == ""
        assert "line 3" in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1

    def test_what_the_libraries_log_does_not_come_through(self, tmp_path: Path) -> None:
        squares = [SQUARE] * 50
        path = write_layer(tmp_path / "cut.fgb", squares, driver="FlatGeobuf", kind="Polygon")
        path.write_bytes(path.read_bytes()[:-300])
        done = self.run(path, path)
        assert done.returncode == 5
        assert len(done.stderr.strip().splitlines()) == 1

    def test_a_name_that_looks_like_an_option(self, tmp_path: Path) -> None:
        path = tmp_path / "-labels.csv"
        path.write_text(f"{HEADER}\n{GOOD}\n")
        done = self.run("--", path, path)
        assert done.returncode == 0
        assert "1.0000" in done.stdout
