"""CityJSON: blocks that are closed, have the right volume, and stand where the footprints are."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from helpers.cityjson import check_document, is_closed, normal_of, points_of, volume_m3
from helpers.roofed import COURTYARD, HEIGHTS_M, UTM, town
from snet4core.errors import InputError
from snet4core.footprints.footprints import Footprints, none_of
from snet4core.layers import cityjson
from snet4core.layers.cityjson import counts_metres
from snet4core.layers.reproject import reprojected
from snet4core.layers.write import write_layer


def written(tmp_path: Path, *tables: Footprints) -> dict[str, Any]:
    path = tmp_path / "out.city.json"
    crs = tables[0].source.crs
    count = write_layer(path, tables, crs, {"scene": "town.tif"}, overwrite=True)
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert len(document["CityObjects"]) == count == sum(map(len, tables))
    check_document(document)
    return document


def geometries(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [building["geometry"][0] for building in document["CityObjects"].values()]


class TestBlocks:
    def test_a_block_has_the_volume_of_its_footprint_times_its_height(self, tmp_path: Path) -> None:
        table = town()
        document = written(tmp_path, table)
        points_N3 = points_of(document)
        areas_m2 = shapely.area(table.polygons_N)
        for geometry, area_m2, height_m in zip(
            geometries(document), areas_m2, HEIGHTS_M, strict=True
        ):
            if not height_m > 0:
                assert geometry["type"] == "MultiSurface"
                continue
            assert is_closed(geometry)
            assert volume_m3(geometry, points_N3) == pytest.approx(area_m2 * height_m, rel=1e-9)

    def test_surfaces_look_outwards_and_say_what_they_are(self, tmp_path: Path) -> None:
        document = written(tmp_path, town())
        points_N3, block = points_of(document), geometries(document)[0]
        [shell], [values] = block["boundaries"], block["semantics"]["values"]
        names = [block["semantics"]["surfaces"][value]["type"] for value in values]
        assert names == ["GroundSurface", "RoofSurface", *["WallSurface"] * 8]
        assert [normal_of(each, points_N3)[2] for each in shell] == [-1, 1, *[0] * 8]
        # A wall of the courtyard looks into it, one of the outer ring away from the house.
        ground = shapely.Polygon(points_N3[shell[0][0]], [points_N3[shell[0][1]]])
        for wall in shell[2:]:
            middle = points_N3[wall[0]].mean(axis=0) + 0.1 * normal_of(wall, points_N3)
            assert not ground.contains(shapely.Point(middle[:2]))

    def test_the_courtyard_is_a_hole_in_ground_and_roof(self, tmp_path: Path) -> None:
        [shell] = geometries(written(tmp_path, town()))[0]["boundaries"]
        assert [len(surface) for surface in shell] == [2, 2, *[1] * 8]

    def test_no_height_is_invented(self, tmp_path: Path) -> None:
        table = town(heights_m=[np.nan] * 11)
        document = written(tmp_path, table)
        points_N3 = points_of(document)
        assert {geometry["lod"] for geometry in geometries(document)} == {"0"}
        assert (points_N3[:, 2] == 0).all()
        for geometry, polygon in zip(geometries(document), table.polygons_N, strict=True):
            outer, *holes = geometry["boundaries"][0]
            drawn = shapely.Polygon(points_N3[outer], [points_N3[hole] for hole in holes])
            assert drawn.exterior.is_ccw
            assert shapely.force_2d(drawn).equals(polygon)
        attributes = [each["attributes"] for each in document["CityObjects"].values()]
        assert not any("height_m" in each or "height_source" in each for each in attributes)

    def test_attributes_are_the_fields_of_the_layer_that_are_known(self, tmp_path: Path) -> None:
        table = town()
        document, columns = written(tmp_path, table), table.columns()
        for row, building in enumerate(document["CityObjects"].values()):
            values = {name: column[row] for name, column in columns.items()}
            known = {name: value for name, value in values.items() if value is not None}
            assert building["attributes"] == known

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(3, 15)),
            min_size=1,
            max_size=12,
        ),
        st.floats(0.1, 99.9),
        st.floats(0, 360),
    )
    @example([(0, 8, 15), (1, 0, 15), (2, 23, 15), (16, 9, 15)], 1.0, 0.0)
    def test_blocks_are_closed_whatever_their_footprint(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        squares: list[tuple[int, int, int]],
        height_m: float,
        turned_deg: float,
    ) -> None:
        union = shapely.union_all([shapely.box(x, y, x + w, y + w) for x, y, w in squares])
        # Corners that touch make no solid; outlines have none. Half a unit less all round would
        # let the two sides of a neck touch that is one unit wide.
        parts = [
            shapely.buffer(each, -0.4, join_style="mitre") for each in shapely.get_parts(union)
        ]
        houses = [each for part in parts for each in shapely.get_parts(part)]
        transform = (
            Affine.translation(733601, 3724689)
            @ Affine.rotation(turned_deg)
            @ Affine.scale(0.5, -0.5)
        )
        heights_m = [round(height_m, 1)] * len(houses)
        table = town(transform=transform, houses=houses, heights_m=heights_m)
        document = written(tmp_path_factory.mktemp("blocks"), table)
        points_N3 = points_of(document)
        for geometry, polygon in zip(geometries(document), table.polygons_N, strict=True):
            assert is_closed(geometry)
            expected_m3 = polygon.area * heights_m[0]
            # Corners are moved by half a millimetre at most.
            room_m3 = polygon.length * 0.001 * heights_m[0]
            assert volume_m3(geometry, points_N3) == pytest.approx(expected_m3, abs=room_m3)


class TestVertices:
    def test_a_common_corner_is_stored_once(self, tmp_path: Path) -> None:
        terrace = [shapely.box(x, 0, x + 10, 8) for x in (0, 10, 20)]
        document = written(tmp_path, town(houses=terrace, heights_m=[6.0] * 3))
        assert len(document["vertices"]) == 2 * 8
        assert len(set(map(tuple, document["vertices"]))) == 16
        assert all(is_closed(each) for each in geometries(document))

    def test_far_buildings_share_none_and_memory_stays_flat(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cityjson, "SHARED", 2)
        terrace = [shapely.box(x, 0, x + 10, 8) for x in (0, 10, 20)]
        table = town(houses=terrace, heights_m=[6.0] * 3)
        document = written(tmp_path, table)
        assert len(document["vertices"]) == 2 * (6 + 4)
        path = tmp_path / "halves.city.json"
        write_layer(path, [table[:1], table[1:]], UTM, {"scene": "town.tif"})
        assert path.read_bytes() == (tmp_path / "out.city.json").read_bytes()

    def test_millimetres_are_kept(self, tmp_path: Path) -> None:
        house = shapely.box(0.123, 0.2, 10.3, 8.77)
        table = town(houses=[house], heights_m=[6.1])
        points_N3 = points_of(written(tmp_path, table))
        corners_M2 = shapely.get_coordinates(table.polygons_N)
        assert np.abs(points_N3[:4, :2] - corners_M2[:4]).max() <= 0.0005
        assert points_N3[4:, 2] == pytest.approx(6.1)

    def test_corners_that_become_one_are_one(self, tmp_path: Path) -> None:
        close = shapely.Polygon([(0, 0), (20, 0), (20, 10), (0.0004, 10), (0, 10)])
        [geometry] = geometries(written(tmp_path, town(houses=[close], heights_m=[6.0])))
        assert len(geometry["boundaries"][0]) == 2 + 4
        assert is_closed(geometry)


class TestPlace:
    def test_a_scene_in_metres_keeps_its_crs(self, tmp_path: Path) -> None:
        metadata = written(tmp_path, town())["metadata"]
        assert metadata["referenceSystem"] == "https://www.opengis.net/def/crs/EPSG/0/32616"
        assert metadata["title"].startswith("Buildings of town, found by snet4")

    @pytest.mark.parametrize(
        ("crs", "origin", "step", "zone"),
        [
            (CRS.from_epsg(4326), (-84.47, 33.66), 5e-6, 32616),
            (CRS.from_epsg(2263), (986_000.0, 212_000.0), 1.6, 32618),
            (CRS.from_epsg(3857), (9_519_000.0, 3_211_000.0), 0.55, 32645),
            (CRS.from_epsg(32719), (300_000.0, 6_200_000.0), 0.5, 32719),
            (CRS.from_epsg(4087), (2_783_000.0, 6_679_000.0), 0.5, 32635),
            (CRS.from_epsg(6933), (2_412_000.0, 6_340_000.0), 0.5, 32635),
            (CRS.from_epsg(3035), (4_321_000.0, 3_210_000.0), 0.5, 3035),
            (
                CRS.from_proj4("+proj=laea +lat_0=-33 +lon_0=20 +datum=WGS84 +units=m"),
                (100.0, 200.0),
                0.5,
                32734,
            ),
        ],
        ids=[
            "degrees",
            "feet",
            "web mercator",
            "south",
            "equidistant",
            "equal area",
            "true to scale here",
            "without a code",
        ],
    )
    def test_blocks_are_in_metres_wherever_the_scene_is(
        self,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        crs: CRS,
        origin: tuple[float, float],
        step: float,
        zone: int,
    ) -> None:
        table = town(crs=crs, transform=Affine(step, 0, origin[0], 0, -step, origin[1]))
        with caplog.at_level(logging.WARNING, "snet4"):
            document = written(tmp_path, table)
        assert document["metadata"]["referenceSystem"].endswith(f"/EPSG/0/{zone}")
        assert bool(caplog.messages) is (crs.to_epsg() != zone)
        assert ("no EPSG code" in caplog.text) is (crs.to_epsg() is None)
        points_N3 = points_of(document)
        moved_N = reprojected(table.polygons_N, crs, CRS.from_epsg(zone), "town")
        for geometry, polygon, height_m in zip(
            geometries(document), moved_N, HEIGHTS_M, strict=True
        ):
            if height_m > 0:
                assert is_closed(geometry)
                volume = volume_m3(geometry, points_N3)
                assert volume == pytest.approx(polygon.area * height_m, rel=1e-3)

    def test_a_place_that_does_not_exist_is_refused(self, tmp_path: Path) -> None:
        table = town("mixed.tif", CRS.from_epsg(4326), Affine(1, 0, 500, 0, -1, 3_000))
        with pytest.raises(InputError, match=r"mixed\.tif has coordinates that do not exist"):
            write_layer(tmp_path / "out.city.json", [table], table.source.crs)
        assert list(tmp_path.iterdir()) == []

    def test_metres_are_told_from_what_is_called_so(self) -> None:
        codes = (32616, 25832, 28992, 3395, 3857, 4326, 2263)
        assert [counts_metres(CRS.from_epsg(code)) for code in codes] == [True] * 3 + [False] * 4


class TestAlways:
    def test_a_town_without_houses_is_a_city_without_buildings(self, tmp_path: Path) -> None:
        table = town()
        document = written(tmp_path, none_of(table.source), none_of(table.source))
        assert document["vertices"] == []
        assert document["CityObjects"] == {}

    def test_several_scenes_have_ids_of_their_own(self, tmp_path: Path) -> None:
        document = written(tmp_path, town("a.tif"), town("b.tif"))
        assert list(document["CityObjects"])[11] == "building-12"
        assert document["CityObjects"]["building-12"]["attributes"]["scene"] == "b.tif"

    def test_any_name_of_a_scene_comes_back(self, tmp_path: Path) -> None:
        name = 'Zürich "東京" \\ 🏠.tif'
        building = written(tmp_path, town(name))["CityObjects"]["building-1"]
        assert building["attributes"]["scene"] == name

    def test_without_heights_the_user_is_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "snet4"):
            document = written(tmp_path, town(has_roofs=False))
        assert {geometry["type"] for geometry in geometries(document)} == {"MultiSurface"}
        assert "no heights" in caplog.text

    def test_another_reader_takes_it(self, tmp_path: Path) -> None:
        library = pytest.importorskip(
            "cityjson_lib", reason="cityjson-lib is not installed: pip install cityjson-lib"
        )
        document = written(tmp_path, town())
        model = library.CityModel.parse_document_bytes((tmp_path / "out.city.json").read_bytes())
        summary = model.summary()
        assert (summary.cityobject_count, summary.geometry_count) == (11, 11)
        assert summary.vertex_count == len(document["vertices"])
        assert summary.version.name == "V2_0"


class TestTheChecks:
    """The checks themselves find what they are for."""

    @pytest.fixture
    def document(self, tmp_path: Path) -> dict[str, Any]:
        return written(tmp_path, town(houses=[COURTYARD], heights_m=[12.0]))

    def test_a_missing_wall(self, document: dict[str, Any]) -> None:
        [geometry] = geometries(document)
        geometry["boundaries"][0].pop()
        geometry["semantics"]["values"][0].pop()
        assert not is_closed(geometry)

    def test_a_wall_inside_out(self, document: dict[str, Any]) -> None:
        [geometry] = geometries(document)
        geometry["boundaries"][0][2][0].reverse()
        assert not is_closed(geometry)

    def test_a_block_inside_out(self, document: dict[str, Any]) -> None:
        [geometry] = geometries(document)
        for surface in geometry["boundaries"][0]:
            for ring in surface:
                ring.reverse()
        assert is_closed(geometry)
        assert volume_m3(geometry, points_of(document)) < 0

    def test_a_vertex_that_is_not_there(self, document: dict[str, Any]) -> None:
        document["vertices"].pop()
        with pytest.raises(AssertionError):
            check_document(document)
