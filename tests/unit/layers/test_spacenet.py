"""The SpaceNet table, written and read: ids, pixels, empty images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from snet4core.footprints.footprints import Footprints, Source, none_of
from snet4core.layers import spacenet, spacenet_reader
from snet4core.layers.features import footprints_layer
from snet4core.layers.spacenet import image_id
from snet4core.look.look import Look

UTM = CRS.from_epsg(32616)
HEADER = "ImageId,BuildingId,PolygonWKT_Pix,Confidence"


def footprints(source: Source, polygons: list[shapely.Polygon]) -> Footprints:
    """A numbered table whose map units happen to be its pixels."""
    array = np.array(polygons, object)
    count = len(polygons)
    found = Footprints.of(
        source,
        array,
        array,
        np.zeros((count, 2), np.int64),
        np.linspace(0.5, 0.9, count).round(4),
        shapely.area(array),
    )
    return replace(found, footprint_id_N=np.arange(1, count + 1))


def write(path: Path, *batches: Footprints) -> list[str]:
    """The challenge's columns alone; returns the lines."""
    for _ in spacenet.tapped(path, batches):
        pass
    return path.read_text(encoding="utf-8").split("\n")


class TestImageId:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            (
                "Pan-Sharpen_Atlanta_nadir8_catid_10300100023BC100_743501_3728739.tif",
                "Atlanta_nadir8_catid_10300100023BC100_743501_3728739",
            ),
            (
                "PAN_Atlanta_nadir8_catid_10300100023BC100_743501_3728739.TIF",
                "Atlanta_nadir8_catid_10300100023BC100_743501_3728739",
            ),
            (
                "SN4_buildings_train_AOI_6_Atlanta_nadir53_catid_1030010003193D00"
                "_PS-RGBNIR_732701_3730989.tif",
                "Atlanta_nadir53_catid_1030010003193D00_732701_3730989",
            ),
            ("my.town.tif", "my.town"),
            ("scene", "scene"),
            ("PAN_my_town.tif", "PAN_my_town"),
            ("22978945_15.tiff", "22978945_15"),
            ("v1.2", "v1.2"),
        ],
    )
    def test_prefix_and_extension_go_and_nothing_else(self, name: str, expected: str) -> None:
        assert image_id(name) == expected

    def test_empty_images_get_the_same_id_as_others(self, tmp_path: Path) -> None:
        name = "Pan-Sharpen_Atlanta_nadir8_catid_10300100023BC100_743501_3728739.tif"
        lines = write(tmp_path / "s.csv", none_of(Source(name, UTM)))
        assert lines == [
            HEADER,
            "Atlanta_nadir8_catid_10300100023BC100_743501_3728739,-1,POLYGON EMPTY,1",
            "",
        ]

    def test_a_given_id_goes_before_the_name(self, tmp_path: Path) -> None:
        source = Source("scene.tif", UTM, image_id="Atlanta_nadir8_x")
        assert write(tmp_path / "s.csv", none_of(source))[1].startswith("Atlanta_nadir8_x,-1,")


class TestWriting:
    def test_a_building_has_one_line(self, tmp_path: Path) -> None:
        lines = write(
            tmp_path / "s.csv", footprints(Source("a.tif", UTM), [shapely.box(0, 1, 2, 3.456)])
        )
        assert lines[0] == HEADER
        assert lines[1] == 'a,1,"POLYGON ((2 1, 2 3.46, 0 3.46, 0 1, 2 1))",0.5'
        assert lines[2:] == [""]

    def test_an_empty_batch_among_others_is_no_empty_image(self, tmp_path: Path) -> None:
        source = Source("a.tif", UTM)
        some, none = footprints(source, [shapely.box(0, 0, 9, 9)]), none_of(source)
        for batches in ((some, none), (none, some), (none, some, none)):
            lines = write(tmp_path / "s.csv", *batches)
            assert sum("EMPTY" in line for line in lines) == 0, batches

    def test_the_layer_form_adds_its_fields(self, tmp_path: Path) -> None:
        path = tmp_path / "out.csv"
        source = Source("a.tif", UTM, Look(29.1, None, "option"), "default")
        table = footprints(source, [shapely.box(0, 0, 4, 5)])
        batches = [table, none_of(Source("b.tif", UTM))]
        assert spacenet.write(path, (footprints_layer(source), batches), UTM, {}) == 1
        header, first, empty, _ = path.read_text().split("\n")
        assert header == HEADER + (
            ",PolygonWKT_Geo,area_m2,off_nadir_deg,azimuth_deg,look,look_source,model,scene"
        )
        wkt = '"POLYGON ((4 0, 4 5, 0 5, 0 0, 4 0))"'
        assert first == f"a,1,{wkt},0.5,{wkt},20.0,29.1,,off-nadir,option,default,a.tif"
        assert empty == "b,-1,POLYGON EMPTY,1,POLYGON EMPTY,0,,,,,,b.tif"

    def test_polygons_stay_valid_when_they_are_rounded(self, tmp_path: Path) -> None:
        neck = shapely.Polygon(
            [(0, 0), (1, 0), (1, 0.499), (2, 0.499), (2, 0), (3, 0), (3, 1), (2, 1), (2, 0.501),
             (1, 0.501), (1, 1), (0, 1)]
        )  # fmt: skip
        write(tmp_path / "s.csv", footprints(Source("a.tif", UTM), [neck]))
        assert spacenet_reader.read(tmp_path / "s.csv").polygons_N[0].is_valid

    @pytest.mark.parametrize(
        "name",
        [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\tx",
            "'=1",
            "\uff1d1",
            'say "hi"',
            "a,b",
            "a;=1",
            "two\nl",
        ],
    )
    def test_no_name_becomes_a_formula_and_every_name_comes_back(
        self, tmp_path: Path, name: str
    ) -> None:
        path = tmp_path / "s.csv"
        write(path, footprints(Source(name + ".tif", UTM), [shapely.box(0, 0, 9, 9)]))
        written = path.read_text(encoding="utf-8").split("\n", 1)[1]
        assert written.lstrip('"')[0] not in "=+-@\t\r\uff1d"
        assert spacenet_reader.read(path).images == (name,)

    def test_a_semicolon_cannot_split_a_cell(self, tmp_path: Path) -> None:
        lines = write(tmp_path / "s.csv", none_of(Source("a;=cmd.tif", UTM)))
        assert lines[1].startswith('"a;=cmd"')


polygons = st.builds(
    lambda x, y, w, h: shapely.box(x, y, x + w, y + h),
    st.integers(0, 90_000).map(lambda v: v / 100),
    st.integers(0, 90_000).map(lambda v: v / 100),
    st.integers(1, 5_000).map(lambda v: v / 100),
    st.integers(1, 5_000).map(lambda v: v / 100),
)


@settings(max_examples=50)
@given(st.lists(st.lists(polygons, max_size=8), min_size=1, max_size=4))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, scenes: list[list[shapely.Polygon]]
) -> None:
    path = tmp_path_factory.mktemp("table") / "s.csv"
    tables = [
        footprints(Source(f"scene {number}.tif", UTM), found) for number, found in enumerate(scenes)
    ]
    write(path, *tables)
    read = spacenet_reader.read(path)
    assert read.images == tuple(f"scene {number}" for number in range(len(scenes)))
    assert len(read) == sum(map(len, scenes))
    for image, table in zip(read.images, tables, strict=True):
        mine = read.image_id_N == image
        assert shapely.equals_exact(read.polygons_N[mine], table.polygons_N, 1e-9).all()
        assert read.confidence_N[mine] == pytest.approx(table.confidence_N)


class TestReading:
    def read(self, tmp_path: Path, text: str | bytes, **options: bool) -> spacenet_reader.Buildings:
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return spacenet_reader.read(path, **options)

    def test_truth_needs_no_confidence(self, tmp_path: Path) -> None:
        table = self.read(
            tmp_path,
            "ImageId,BuildingId,PolygonWKT_Pix,PolygonWKT_Geo,Occluded\n"
            'a,0,"POLYGON ((0 0, 9 0, 9 9, 0 0))",1,no\n',
            confidence=False,
        )
        assert len(table) == 1

    def test_columns_may_come_in_any_order(self, tmp_path: Path) -> None:
        table = self.read(
            tmp_path,
            'Confidence,PolygonWKT_Pix,ImageId\n.5,"POLYGON ((0 0, 9 0, 9 9, 0 0))",a\n',
        )
        assert table.images == ("a",)
        assert table.confidence_N.tolist() == [0.5]

    @pytest.mark.parametrize(
        "text",
        [
            f'{HEADER}\r\na,0,"POLYGON ((0 0, 9 0, 9 9, 0 0))",1\r\n',
            f'\ufeff{HEADER}\na,0,"POLYGON ((0 0, 9 0, 9 9, 0 0))",1',
            f'{HEADER}\n\n\na,0,"POLYGON ((0 0, 9 0, 9 9, 0 0))",1\n\n',
            f'{HEADER}\na,0,"POLYGON Z ((0 0 5, 9 0 5, 9 9 5, 0 0 5))",1\n',
            f'{HEADER}\na,0,"polygon((0 0,9 0,9 9,0 0))",1\n',
            '"ImageId", BuildingId ,PolygonWKT_Pix,Confidence\n'
            'a,0,"POLYGON ((0 0, 9 0, 9 9, 0 0))",1\n',
        ],
        ids=["CRLF", "BOM", "blank lines", "third dimension", "lower case", "spaces in the header"],
    )  # fmt: skip
    def test_forms_that_mean_the_same_are_read_the_same(self, tmp_path: Path, text: str) -> None:
        table = self.read(tmp_path, text)
        assert table.images == ("a",)
        [polygon] = table.polygons_N
        assert polygon.equals_exact(shapely.Polygon([(0, 0), (9, 0), (9, 9)]), 0)
        assert not polygon.has_z

    def test_empty_images_are_listed(self, tmp_path: Path) -> None:
        table = self.read(tmp_path, f"{HEADER}\na,-1,POLYGON EMPTY,\nb,-1,POLYGON EMPTY,1\n")
        assert table.images == ("a", "b")
        assert len(table) == 0

    def test_a_table_with_a_header_alone_is_no_image(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, HEADER + "\n").images == ()

    def test_a_building_of_many_vertices_is_read(self, tmp_path: Path) -> None:
        turns = np.linspace(0, 2 * np.pi, 40_000, endpoint=False)
        round_one = shapely.Polygon(np.column_stack([np.cos(turns), np.sin(turns)]) * 1000)
        table = self.read(tmp_path, f'{HEADER}\na,0,"{round_one.wkt}",1\n')
        assert shapely.get_num_coordinates(table.polygons_N[0]) == 40_001

    def test_lines_and_points_are_counted_as_skipped(self, tmp_path: Path) -> None:
        table = self.read(
            tmp_path, f'{HEADER}\na,0,"LINESTRING (0 0, 1 1)",1\na,1,"POINT (1 1)",1\n'
        )
        assert table.skipped == {"points or lines, not areas": 2}

    def test_the_limit_of_the_csv_module_is_put_back(self, tmp_path: Path) -> None:
        import csv

        before = csv.field_size_limit()
        self.read(tmp_path, HEADER + "\n")
        assert csv.field_size_limit() == before
