"""What is written is what other programs read back, in every format, byte by byte again."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from contextlib import closing
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points
from shapely.geometry import mapping, shape

from snet4core.errors import DependencyError, InputError, OutputError
from snet4core.footprints.footprints import FIELDS, Footprints, Source, footprints_of, none_of
from snet4core.footprints.ordering import in_order
from snet4core.grid import Grid
from snet4core.layers import flatgeobuf, geoparquet, spacenet_reader
from snet4core.layers.read import read_buildings
from snet4core.layers.write import check_layer, write_layer
from snet4core.look.look import Look
from snet4core.outlines.outline import Outlines
from snet4core.score import aligned
from snet4core.score import score as score_of

UTM = CRS.from_epsg(32616)
NORTH_UP = Affine(0.5, 0, 733601, 0, -0.5, 3724689)
COURTYARD = shapely.box(100, 20, 150, 60).difference(shapely.box(120, 30, 130, 40))
DESCRIPTION = {"bands": "1 blue, 2 green, 3 red, 4 nir", "model": "default 3f2a", "note": "<a & b>"}

HAS_PYARROW = True
try:
    geoparquet.pyarrow()
except DependencyError:
    HAS_PYARROW = False

GDAL_FORMATS = [".gpkg", ".fgb", ".geojson"]
FORMATS = [*GDAL_FORMATS, ".csv", *([".parquet"] if HAS_PYARROW else [])]


def found_in(
    source: Source,
    polygons: list[shapely.Polygon],
    transform: Affine = NORTH_UP,
) -> list[Footprints]:
    """The footprints of one scene, numbered."""
    array = np.array(polygons, object)
    outlines = Outlines(
        array,
        shapely.bounds(array).reshape(-1, 4)[:, [1, 0]].astype(np.int64),
        np.linspace(0.5, 0.9, len(polygons)),
        shapely.area(array).astype(np.float64),
    )
    grid = Grid((900, 900), transform, source.crs)
    return list(in_order(source, [footprints_of(outlines, grid, source)]))


@pytest.fixture
def source() -> Source:
    return Source("Pan-Sharpen_Atlanta_nadir29_catid_1030010003315300_733601_3724689.tif", UTM,
                  Look(29.1, 181.0, "name"), "default")  # fmt: skip


@pytest.fixture
def batches(source: Source) -> list[Footprints]:
    houses = [shapely.box(x, 100, x + 20, 112) for x in range(0, 300, 30)]
    return found_in(source, [COURTYARD, *houses])


def features(path: Path) -> list[Any]:
    with fiona.open(path, layer=None if path.suffix != ".gpkg" else "footprints") as layer:
        return list(layer)


@pytest.mark.parametrize("extension", GDAL_FORMATS)
class TestReadBack:
    def test_gdal_reads_the_same_fields(
        self, tmp_path: Path, batches: list[Footprints], extension: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        assert write_layer(path, batches, UTM, DESCRIPTION) == 11
        columns = batches[0].columns()
        # FlatGeobuf stores along a curve; the number tells which is which.
        read = sorted(features(path), key=lambda feature: feature.properties["footprint_id"])
        assert len(read) == 11
        for row, feature in enumerate(read):
            assert dict(feature.properties) == {name: columns[name][row] for name in FIELDS}

    def test_gdal_reads_the_same_geometries(
        self, tmp_path: Path, batches: list[Footprints], extension: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        write_layer(path, batches, UTM)
        read = sorted(features(path), key=lambda feature: feature.properties["footprint_id"])
        for feature, written in zip(read, batches[0].polygons_N, strict=True):
            polygon = shape(feature.geometry)
            assert polygon.is_valid
            if extension != ".geojson":
                assert polygon.equals_exact(written, 0)

    def test_another_gdal_reads_the_same(
        self, tmp_path: Path, batches: list[Footprints], extension: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        write_layer(path, batches, UTM)
        meta, _, geometry, data = pyogrio.raw.read(path, layer="footprints")
        assert list(meta["fields"]) == list(FIELDS)
        assert len(geometry) == 11
        assert sorted(data[0].tolist()) == list(range(1, 12))

    def test_the_layer_and_its_fields_have_the_promised_names_and_types(
        self, tmp_path: Path, batches: list[Footprints], extension: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        write_layer(path, batches, UTM)
        assert fiona.listlayers(path)[0] == "footprints"
        with fiona.open(path, layer="footprints") as layer:
            kinds = {name: kind.split(":")[0] for name, kind in layer.schema["properties"].items()}
        whole = {"int", "int32", "int64"}
        assert list(kinds) == list(FIELDS)
        assert {name: "int64" if kind in whole else kind for name, kind in kinds.items()} == FIELDS

    def test_a_scene_without_houses_is_a_valid_empty_layer(
        self, tmp_path: Path, source: Source, extension: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        assert write_layer(path, [none_of(source)], UTM, DESCRIPTION) == 0
        assert features(path) == []

    def test_null_fields_come_back_as_null(self, tmp_path: Path, extension: str) -> None:
        path = tmp_path / f"out{extension}"
        write_layer(path, found_in(Source("maps.tif", UTM), [COURTYARD]), UTM)
        [feature] = features(path)
        for name in ("off_nadir_deg", "azimuth_deg", "look", "look_source", "model"):
            assert feature.properties[name] is None

    def test_several_scenes_share_one_layer(
        self, tmp_path: Path, batches: list[Footprints], extension: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        second = found_in(Source("second.tif", UTM), [COURTYARD])
        empty = none_of(Source("empty.tif", UTM))
        assert write_layer(path, [*batches, empty, *second], UTM) == 12
        scenes = [feature.properties["scene"] for feature in features(path)]
        assert sorted(set(scenes)) == sorted([batches[0].source.scene, "second.tif"])
        assert scenes.count("second.tif") == 1

    @pytest.mark.parametrize(
        "name",
        [
            "it's; DROP TABLE footprints; --.tif",
            'quote".tif',
            "<script>&amp;.tif",
            "%s%n{0}.tif",
            "line\nbreak\ttab.tif",
            "=HYPERLINK(1).tif",
            "\u202egnp.tif",
            "Zürich 東京 🏠.tif",
            "x" * 245 + ".tif",
            "caf\udce9.tif",
        ],
    )
    def test_any_name_of_a_scene_comes_back(
        self, tmp_path: Path, extension: str, name: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        write_layer(path, found_in(Source(name, UTM), [COURTYARD]), UTM, {"scene": name})
        [feature] = features(path)
        expected = name.replace("\udce9", "\\udce9")
        assert feature.properties["scene"] == expected


@pytest.mark.parametrize("extension", FORMATS)
class TestAlways:
    def test_the_same_footprints_give_the_same_bytes(
        self, tmp_path: Path, batches: list[Footprints], extension: str
    ) -> None:
        digests = set()
        for name in ("one", "two"):
            path = tmp_path / name / f"out{extension}"
            path.parent.mkdir()
            write_layer(path, batches, UTM, DESCRIPTION)
            digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
        assert len(digests) == 1

    def test_batches_play_no_part_in_the_bytes(
        self, tmp_path: Path, source: Source, extension: str
    ) -> None:
        houses = [shapely.box(x, 100, x + 20, 112) for x in range(0, 300, 30)]
        [whole] = found_in(source, houses)
        halves = [whole[:4], whole[4:]]
        one, two = tmp_path / f"one{extension}", tmp_path / f"two{extension}"
        write_layer(one, [whole], UTM)
        write_layer(two, halves, UTM)
        if extension != ".parquet":  # its row groups are the batches
            assert one.read_bytes() == two.read_bytes()

    def test_nothing_else_is_left_in_the_folder(
        self, tmp_path: Path, batches: list[Footprints], extension: str
    ) -> None:
        write_layer(tmp_path / f"out{extension}", batches, UTM, csv=tmp_path / "submission.csv")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [f"out{extension}", "submission.csv"]
        )

    def test_an_error_in_the_middle_leaves_nothing(
        self, tmp_path: Path, batches: list[Footprints], extension: str
    ) -> None:
        def stream() -> Any:
            yield from batches
            raise InputError("scene.tif breaks off in row 4000; take a fresh copy.")

        with pytest.raises(InputError, match="breaks off"):
            write_layer(tmp_path / f"out{extension}", stream(), UTM, csv=tmp_path / "s.csv")
        assert list(tmp_path.iterdir()) == []

    def test_ctrl_c_in_the_middle_leaves_the_old_file(
        self, tmp_path: Path, batches: list[Footprints], extension: str
    ) -> None:
        path = tmp_path / f"out{extension}"
        path.write_bytes(b"an earlier result")

        def stream() -> Any:
            yield from batches
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_layer(path, stream(), UTM, overwrite=True)
        assert path.read_bytes() == b"an earlier result"
        assert [each.name for each in tmp_path.iterdir()] == [path.name]

    def test_a_scene_in_another_crs_is_refused_by_name(
        self, tmp_path: Path, batches: list[Footprints], extension: str
    ) -> None:
        other = found_in(Source("nepal.tif", CRS.from_epsg(32645)), [COURTYARD])
        with pytest.raises(InputError, match=r"nepal\.tif is in EPSG:32645.*EPSG:32616"):
            write_layer(tmp_path / f"out{extension}", [*batches, *other], UTM)
        assert list(tmp_path.iterdir()) == []


class TestGeoPackage:
    @pytest.fixture
    def path(self, tmp_path: Path, batches: list[Footprints]) -> Path:
        path = tmp_path / "out.gpkg"
        write_layer(path, batches, UTM, DESCRIPTION)
        return path

    def query(self, path: Path, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as database:
            return database.execute(sql).fetchall()

    def test_sqlite_finds_no_fault(self, path: Path) -> None:
        assert self.query(path, "PRAGMA integrity_check") == [("ok",)]
        assert self.query(path, "PRAGMA foreign_key_check") == []

    def test_the_journal_mode_is_delete(self, path: Path) -> None:
        assert self.query(path, "PRAGMA journal_mode") == [("delete",)]

    def test_the_index_holds_every_footprint(self, path: Path, batches: list[Footprints]) -> None:
        boxes = self.query(
            path, "SELECT minx, miny, maxx, maxy FROM rtree_footprints_geom ORDER BY id"
        )
        # The index keeps single precision, rounded outwards.
        bounds = shapely.bounds(batches[0].polygons_N)
        assert np.asarray(boxes) == pytest.approx(bounds, abs=1)
        assert (np.asarray(boxes)[:, :2] <= bounds[:, :2]).all()
        assert (np.asarray(boxes)[:, 2:] >= bounds[:, 2:]).all()

    def test_a_window_finds_what_lies_in_it(self, path: Path, batches: list[Footprints]) -> None:
        box = batches[0].polygons_N[0].buffer(1).bounds
        with fiona.open(path, layer="footprints") as layer:
            inside = list(layer.items(bbox=box))
        assert [feature.properties["footprint_id"] for _, feature in inside] == [1]

    def test_contents_state_extent_and_count(self, path: Path, batches: list[Footprints]) -> None:
        [extent] = self.query(
            path,
            "SELECT min_x, min_y, max_x, max_y FROM gpkg_contents WHERE data_type = 'features'",
        )
        assert extent == tuple(shapely.total_bounds(batches[0].polygons_N))
        count = "SELECT feature_count FROM gpkg_ogr_contents WHERE table_name = 'footprints'"
        assert self.query(path, count) == [(11,)]

    def test_index_and_counter_follow_later_edits(self, path: Path) -> None:
        feature = features(path)[0]
        with fiona.open(path, "a", layer="footprints") as layer:
            layer.write(feature)
        count = "SELECT feature_count FROM gpkg_ogr_contents WHERE table_name = 'footprints'"
        assert self.query(path, count) == [(12,)]
        assert self.query(path, "SELECT count(*) FROM rtree_footprints_geom") == [(12,)]

    def test_the_description_is_metadata_of_the_layer(self, path: Path) -> None:
        with fiona.open(path, layer="footprints") as layer:
            tags = layer.tags()
        # GDAL shows the metadata that are QGIS's as an item of their own.
        history = ElementTree.fromstring(tags.pop("GPKG_METADATA_ITEM_1")).findall("history")
        assert tags == DESCRIPTION
        assert [each.text for each in history] == [f"{k}: {v}" for k, v in DESCRIPTION.items()]

    def test_qgis_finds_its_own_kind_of_metadata(self, path: Path) -> None:
        [found] = self.query(
            path,
            "SELECT table_name, mime_type, metadata FROM gpkg_metadata m "
            "JOIN gpkg_metadata_reference r ON r.md_file_id = m.id "
            "WHERE md_standard_uri = 'http://mrcc.com/qgis.dtd'",
        )
        assert found[:2] == ("footprints", "text/xml")
        assert ElementTree.fromstring(found[2]).findtext("title") == "footprints"

    def test_qgis_finds_a_default_style(self, path: Path) -> None:
        [style] = self.query(
            path,
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles",
        )
        assert style[:3] == ("footprints", "geom", 1)
        renderer = ElementTree.fromstring(style[3]).find("renderer-v2")
        assert renderer is not None
        drawn = renderer.findall(".//symbol/layer")
        assert [layer.get("class") for layer in drawn] == ["SimpleLine", "SimpleLine"]
        assert ElementTree.fromstring(style[3]).get("labelsEnabled") == "0"

    def test_no_date_of_today_is_in_it(self, path: Path) -> None:
        for sql in (
            "SELECT last_change FROM gpkg_contents",
            "SELECT timestamp FROM gpkg_metadata_reference",
            "SELECT update_time FROM layer_styles",
        ):
            assert {row[0] for row in self.query(path, sql)} == {"2000-01-01T00:00:00.000Z"}

    def test_the_bytes_are_the_same_in_another_process(
        self, path: Path, tmp_path: Path, source: Source, batches: list[Footprints]
    ) -> None:
        pickled = tmp_path / "batches.pickle"
        code = (
            "import pickle, sys; from pathlib import Path; from rasterio.crs import CRS\n"
            "from snet4core.layers.write import write_layer\n"
            f"sys.path.insert(0, '')\n"
            f"batches, description = pickle.loads(Path({str(pickled)!r}).read_bytes())\n"
            f"write_layer(Path({str(tmp_path / 'two.gpkg')!r}), batches, "
            "CRS.from_epsg(32616), description)"
        )
        import pickle

        pickled.write_bytes(pickle.dumps((batches, DESCRIPTION)))
        subprocess.run([sys.executable, "-c", code], check=True)
        assert (tmp_path / "two.gpkg").read_bytes() == path.read_bytes()

    @pytest.mark.parametrize(
        "crs",
        [
            CRS.from_epsg(4326),
            CRS.from_epsg(2263),
            CRS.from_epsg(26986),
            CRS.from_proj4("+proj=laea +lat_0=50 +lon_0=20 +datum=WGS84 +units=m"),
            CRS.from_string("EPSG:32632+5773"),
        ],
        ids=["degrees", "feet", "state plane", "custom", "compound"],
    )
    def test_the_crs_comes_back(self, tmp_path: Path, crs: CRS) -> None:
        path = tmp_path / "out.gpkg"
        origin = (20.0, 50.0) if crs.is_geographic else (300_000.0, 200_000.0)
        step = 1e-5 if crs.is_geographic else 0.5
        transform = Affine(step, 0, origin[0], 0, -step, origin[1])
        write_layer(path, found_in(Source("a.tif", crs), [COURTYARD], transform), crs)
        with fiona.open(path, layer="footprints") as layer:
            read = CRS.from_wkt(layer.crs_wkt)
        assert read.to_epsg() == crs.to_epsg()
        assert read.linear_units == crs.linear_units
        assert read == crs


def written_one_by_one(path: Path, batches: list[Footprints]) -> None:
    """A FlatGeobuf as fiona writes it, each feature by itself."""
    with fiona.open(
        path,
        "w",
        driver="FlatGeobuf",
        layer="footprints",
        schema={"geometry": "Polygon", "properties": FIELDS},
        crs_wkt=UTM.to_wkt(),
        DESCRIPTION=json.dumps(DESCRIPTION, ensure_ascii=False),
    ) as layer:
        for batch in batches:
            values = zip(*batch.columns().values(), strict=True)
            rows = [dict(zip(FIELDS, row, strict=True)) for row in values]
            layer.writerecords(
                {"type": "Feature", "geometry": mapping(polygon), "properties": row}
                for polygon, row in zip(batch.polygons_N, rows, strict=True)
            )


class TestFlatGeobuf:
    @pytest.mark.parametrize("empty", [False, True])
    def test_it_is_what_is_written_feature_by_feature(
        self, tmp_path: Path, batches: list[Footprints], empty: bool
    ) -> None:
        second = found_in(Source("maps.tif", UTM), [COURTYARD])  # with fields that are NULL
        written = [none_of(batches[0].source)] if empty else [*batches, *second]
        for path, write in (
            (
                tmp_path / "ours.fgb",
                lambda path: write_layer(path, written, UTM, DESCRIPTION),
            ),
            (tmp_path / "other.fgb", lambda path: written_one_by_one(path, written)),
        ):
            write(path)
        with fiona.open(tmp_path / "ours.fgb") as ours, fiona.open(tmp_path / "other.fgb") as other:
            assert ours.schema == other.schema
            assert ours.crs_wkt == other.crs_wkt
            assert ours.name == other.name == "footprints"
            assert list(ours) == list(other)
            assert len(list(ours)) == (0 if empty else 12)

    def test_it_holds_more_than_gdal_hands_on_at_a_time(self, tmp_path: Path) -> None:
        count = 3 * flatgeobuf._BATCH + 1
        boxes = list(shapely.box(np.arange(count) * 2, 0, np.arange(count) * 2 + 1, 1))
        write_layer(tmp_path / "out.fgb", found_in(Source("maps.tif", UTM), boxes), UTM)
        numbers = [feature.properties["footprint_id"] for feature in features(tmp_path / "out.fgb")]
        assert sorted(numbers) == list(range(1, count + 1))

    def test_a_window_finds_what_lies_in_it(
        self, tmp_path: Path, batches: list[Footprints]
    ) -> None:
        path = tmp_path / "out.fgb"
        write_layer(path, batches, UTM)
        assert pyogrio.read_info(path)["capabilities"]["fast_spatial_filter"]
        with fiona.open(path) as layer:
            inside = list(layer.filter(bbox=batches[0].polygons_N[0].buffer(1).bounds))
        assert [feature.properties["footprint_id"] for feature in inside] == [1]

    def test_the_description_stands_in_the_header(
        self, tmp_path: Path, batches: list[Footprints]
    ) -> None:
        path = tmp_path / "out.fgb"
        write_layer(path, batches, UTM, {"scene": "Zürich"})
        assert '{"scene": "Zürich"}'.encode() in path.read_bytes()

    @pytest.mark.parametrize(
        "name", ["a!b", "a;b", "a.zip!b", "old.zip", "q?b", "t\tb", "n\nb", "s3:", "#"]
    )
    def test_a_folder_may_have_any_name(
        self, tmp_path: Path, batches: list[Footprints], name: str
    ) -> None:
        folder = tmp_path / name
        folder.mkdir()
        assert write_layer(folder / "out.fgb", batches, UTM) == 11
        assert [path.name for path in folder.iterdir()] == ["out.fgb"]
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_it_needs_no_pyarrow(self, tmp_path: Path) -> None:
        code = (
            "import sys; sys.modules['pyarrow'] = sys.modules['pandas'] = None\n"
            "from pathlib import Path; from rasterio.crs import CRS\n"
            "from snet4core.layers.write import write_layer\n"
            "from snet4core.footprints.footprints import Source, none_of\n"
            "crs = CRS.from_epsg(32616)\n"
            "write_layer(Path(sys.argv[1]), [none_of(Source('a.tif', crs))], crs)"
        )
        subprocess.run([sys.executable, "-c", code, tmp_path / "out.fgb"], check=True)
        assert features(tmp_path / "out.fgb") == []

    def test_a_file_that_gdal_cut_off_is_noticed(
        self, tmp_path: Path, batches: list[Footprints], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copy = flatgeobuf._copy

        def short(table: Path, path: Path, *rest: Any) -> None:
            copy(table, path, *rest)
            path.write_bytes(path.read_bytes()[:-100])

        monkeypatch.setattr(flatgeobuf, "_copy", short)
        with pytest.raises(OutputError, match="FlatGeobuf"):
            write_layer(tmp_path / "out.fgb", batches, UTM)
        assert list(tmp_path.iterdir()) == []


class TestGeoJson:
    def test_it_is_what_rfc_7946_asks_for(self, tmp_path: Path, batches: list[Footprints]) -> None:
        path = tmp_path / "out.geojson"
        write_layer(path, batches, UTM, DESCRIPTION)
        document = json.loads(path.read_text(encoding="utf-8"))
        assert "crs" not in document
        assert document["snet4"] == DESCRIPTION
        for feature in document["features"]:
            polygon = shape(feature["geometry"])
            assert polygon.exterior.is_ccw
            assert all(not ring.is_ccw for ring in polygon.interiors)
            lon, lat = polygon.centroid.coords[0]
            assert -84.6 < lon < -84.3
            assert 33.5 < lat < 33.8
            for ring in feature["geometry"]["coordinates"]:
                assert all(len(repr(value).split(".")[1]) <= 7 for point in ring for value in point)

    def test_a_house_on_the_180th_meridian_is_cut_in_two(self, tmp_path: Path) -> None:
        fiji = CRS.from_epsg(3460)
        path = tmp_path / "out.geojson"
        # 180 degrees east lies at x = 2 123 540 or so in Fiji's grid, at 16.8 degrees south.
        xs, ys = warp_points(CRS.from_epsg(4326), fiji, [180.0], [-16.8])
        transform = Affine(0.5, 0, xs[0] - 60, 0, -0.5, ys[0] + 20)
        write_layer(path, found_in(Source("fiji.tif", fiji), [COURTYARD], transform), fiji)
        [feature] = json.loads(path.read_text(encoding="utf-8"))["features"]
        polygon = shape(feature["geometry"])
        assert polygon.geom_type == "MultiPolygon"
        assert polygon.is_valid
        west, east = sorted(part.bounds[0] for part in polygon.geoms)[:: len(polygon.geoms) - 1]
        assert west == pytest.approx(-180, abs=1e-3)
        assert east == pytest.approx(180, abs=1e-3)
        for part in polygon.geoms:
            assert part.bounds[2] - part.bounds[0] < 0.001

    @pytest.mark.parametrize("left", [179.99955, 180.001, -180.001, -180.00045, 539.99955])
    def test_longitudes_of_a_scene_in_degrees_stay_within_180(
        self, tmp_path: Path, left: float
    ) -> None:
        """One house lies across the antimeridian or all beyond it, as the scene does."""
        path, degree = tmp_path / "out.geojson", CRS.from_epsg(4326)
        transform = Affine(5e-6, 0, left, 0, -5e-6, -16.8)
        houses = [shapely.box(20, 100, 60, 112), shapely.box(80, 100, 100, 112)]
        batches = found_in(Source("fiji.tif", degree), houses, transform)
        write_layer(path, batches, degree)
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        for feature, box in zip(features, houses, strict=True):
            polygon = shape(feature["geometry"])
            assert polygon.is_valid
            assert polygon.area == pytest.approx(box.area * 25e-12, rel=1e-3)
            west, east = (left + 5e-6 * x for x in (box.bounds[0], box.bounds[2]))
            turns = np.floor((west + 180) / 360)
            west, east = west - 360 * turns, east - 360 * turns
            boxes = sorted(part.bounds[::2] for part in shapely.get_parts(polygon))
            wanted = [(west, east)] if east <= 180 else [(-180, east - 360), (west, 180)]
            assert boxes == [pytest.approx(pair, abs=2e-7) for pair in wanted]

    def test_what_was_cut_in_fiji_scores_as_it_was(self, tmp_path: Path) -> None:
        fiji = CRS.from_epsg(3460)
        xs, ys = warp_points(CRS.from_epsg(4326), fiji, [180.0], [-16.8])
        transform = Affine(0.5, 0, xs[0] - 60, 0, -0.5, ys[0] + 20)
        houses = [shapely.box(x, 10, x + 20, 30) for x in range(20, 260, 30)]
        batches = found_in(Source("fiji.tif", fiji), houses, transform)
        for name in ("out.geojson", "out.gpkg"):
            write_layer(tmp_path / name, batches, fiji)
        read = [read_buildings(tmp_path / name) for name in ("out.geojson", "out.gpkg")]
        assert any(p.geom_type == "MultiPolygon" for p in read[0].polygons_N)
        for found, truth in (read, read[::-1]):
            total = score_of(aligned(found, truth)[0], truth).total
            assert (total.tp, total.fp, total.fn) == (len(houses), 0, 0)


class TestCsv:
    def test_the_spacenet_form_stands_beside_any_other(
        self, tmp_path: Path, batches: list[Footprints]
    ) -> None:
        submission = tmp_path / "submission.csv"
        write_layer(tmp_path / "out.gpkg", batches, UTM, csv=submission)
        read = spacenet_reader.read(submission)
        assert set(read.image_id_N) == {"Atlanta_nadir29_catid_1030010003315300_733601_3724689"}
        for one, other in zip(read.polygons_N, batches[0].polygons_px_N, strict=True):
            assert one.equals(other)
        assert read.confidence_N == pytest.approx(batches[0].confidence_N)

    def test_it_also_gets_the_empty_scenes(self, tmp_path: Path, batches: list[Footprints]) -> None:
        submission = tmp_path / "submission.csv"
        stream = [none_of(Source("first.tif", UTM)), *batches, none_of(Source("last.tif", UTM))]
        write_layer(tmp_path / "out.gpkg", stream, UTM, csv=submission)
        lines = submission.read_text().splitlines()
        assert lines[1] == "first,-1,POLYGON EMPTY,1"
        assert lines[-1] == "last,-1,POLYGON EMPTY,1"


class TestParquet:
    def test_without_pyarrow_the_error_says_how_to_get_it(
        self, tmp_path: Path, batches: list[Footprints], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(DependencyError, match=r"install pyarrow$"):
            check_layer(tmp_path / "out.parquet")
        with pytest.raises(DependencyError, match=r"install pyarrow$"):
            write_layer(tmp_path / "out.parquet", batches, UTM)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(not HAS_PYARROW, reason="pyarrow is not installed")
    def test_it_is_geoparquet(self, tmp_path: Path, batches: list[Footprints]) -> None:
        pa = geoparquet.pyarrow()
        path = tmp_path / "out.parquet"
        write_layer(path, batches, UTM, DESCRIPTION)
        table = pa.parquet.read_table(path)
        geo = json.loads(table.schema.metadata[b"geo"])
        column = geo["columns"]["geometry"]
        assert column["encoding"] == "WKB"
        assert CRS.from_user_input(column["crs"]) == UTM
        assert column["bbox"] == shapely.total_bounds(batches[0].polygons_N).tolist()
        read = shapely.from_wkb(table["geometry"].to_pylist())
        assert shapely.equals_exact(read, batches[0].polygons_N, 0).all()
        assert table["footprint_id"].to_pylist() == list(range(1, 12))
        assert column["covering"]["bbox"]["ymax"] == ["bbox", "ymax"]
        boxes = [list(each.values()) for each in table["bbox"].to_pylist()]
        assert boxes == shapely.bounds(batches[0].polygons_N).tolist()


class TestBeforeTheWork:
    def test_an_unknown_extension_names_the_known_ones(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"\.gpkg, \.fgb, \.geojson, \.parquet, \.csv"):
            check_layer(tmp_path / "out.shp")

    def test_capitals_do_not_matter(self, tmp_path: Path, batches: list[Footprints]) -> None:
        path = tmp_path / "OUT.GPKG"
        write_layer(path, batches, UTM)
        assert len(features(path.rename(tmp_path / "out.gpkg"))) == 11

    def test_layer_and_table_need_two_names(self, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="twice"):
            check_layer(tmp_path / "out.csv", csv=tmp_path / "out.csv")

    def test_the_table_too_must_not_exist(self, tmp_path: Path) -> None:
        (tmp_path / "submission.csv").touch()
        with pytest.raises(OutputError, match=r"submission\.csv exists"):
            check_layer(tmp_path / "out.gpkg", csv=tmp_path / "submission.csv")
