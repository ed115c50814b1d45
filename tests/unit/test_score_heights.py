"""Heights and roofs in the score: which layer is compared, and how far heights are off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from click.testing import CliRunner

from helpers.roofed import HOUSES, UTM, town
from snet4_cli.score import score as score_command
from snet4core.errors import InputError
from snet4core.layers.height_errors import HeightErrors
from snet4core.layers.read import read_buildings
from snet4core.layers.write import write_layer
from snet4core.score import Buildings, Tally, match_pairs, score

IMAGE = "Atlanta_nadir8_catid_10300100023BC100_743501_3728739"
SQUARES = [shapely.box(x, 0, x + 10, 10) for x in (0, 20, 40, 60)]


def table(heights_m: list[float] | None, squares: list[shapely.Polygon] = SQUARES) -> Buildings:
    return Buildings.of([IMAGE] * len(squares), squares, height_m=heights_m)


class TestErrors:
    def test_only_matched_buildings_of_known_height_count(self) -> None:
        found = table([3.0, 20.0, np.nan, 50.0], [*SQUARES[:3], shapely.box(500, 0, 510, 10)])
        heights = score(found, table([4.0, 16.0, 8.0, 9.0])).heights
        assert heights is not None
        assert heights.matched == 3  # the third has no height, the fourth no match
        assert heights.total == HeightErrors(2, 2.5, 0.25)
        assert heights.low == HeightErrors(1, 1.0, 0.25)
        assert heights.high == HeightErrors(1, 4.0, 0.25)

    def test_fifteen_metres_is_high(self) -> None:
        heights = score(table([15.0] * 4), table([15.0, 14.9, 0.0, 15.0])).heights
        assert heights is not None
        assert (heights.low.count, heights.high.count) == (2, 2)
        assert heights.low.median_relative == pytest.approx(0.1 / 14.9)  # 0 m has no share

    def test_heights_of_one_side_alone_are_no_score(self) -> None:
        assert score(table(None), table([4.0] * 4)).heights is None
        assert score(table([4.0] * 4), table(None)).heights is None
        assert "heights" not in score(table(None), table(None)).as_dict()

    def test_who_matches_whom_is_told_by_the_rows_given(self) -> None:
        proposals = np.array([shapely.box(0, 0, 1, 1), *SQUARES[::-1]], object)
        tally, pairs_M2 = match_pairs(proposals, np.array(SQUARES, object), min_area=20)
        assert tally == Tally(4, 0, 0)
        assert pairs_M2.tolist() == [[1, 3], [2, 2], [3, 1], [4, 0]]

    def test_the_more_confident_proposal_gives_the_height(self) -> None:
        found = Buildings.of([IMAGE] * 2, [SQUARES[0]] * 2, [0.2, 0.9], height_m=[1.0, 5.0])
        heights = score(found, table([5.0], SQUARES[:1])).heights
        assert heights is not None
        assert heights.total == HeightErrors(1, 0.0, 0.0)


class TestFiles:
    @pytest.fixture
    def files(self, tmp_path: Path) -> tuple[Path, Path]:
        """A town that was found, and the truth: its footprints, half a metre higher."""
        found = town()
        write_layer(tmp_path / "found.gpkg", [found], UTM)
        higher = replace(found, height_m_N=found.height_m_N + 0.5)
        write_layer(tmp_path / "truth.gpkg", [higher], UTM)
        return tmp_path / "found.gpkg", tmp_path / "truth.gpkg"

    @pytest.mark.parametrize("extension", [".gpkg", ".fgb", ".geojson", ".parquet", ".csv"])
    def test_every_format_comes_back_with_its_heights(self, tmp_path: Path, extension: str) -> None:
        if extension == ".parquet":
            pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        path, found = tmp_path / f"out{extension}", town()
        write_layer(path, [found], UTM)
        read = read_buildings(path)
        assert read.height_m_N is not None
        order = np.argsort(-shapely.area(read.polygons_N), kind="stable")
        assert len(read) == len(HOUSES)
        assert sorted(np.nan_to_num(read.height_m_N, nan=-1)) == sorted(
            np.nan_to_num(found.height_m_N, nan=-1)
        )
        assert read.height_m_N[order[0]] == 12.0  # the courtyard's
        expected = "EPSG:4326" if extension == ".geojson" else UTM
        assert read.in_pixels is (extension == ".csv")
        assert read.crs == (None if extension == ".csv" else expected)

    def test_our_own_parquet_can_be_scored(self, tmp_path: Path, files: tuple[Path, Path]) -> None:
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        write_layer(tmp_path / "found.parquet", [town()], UTM)
        done = CliRunner().invoke(
            score_command, [str(tmp_path / "found.parquet"), str(files[1]), "--json"]
        )
        result = json.loads(done.stdout)
        assert result["total"]["tp"] == len(HOUSES)
        assert result["heights"]["all"]["median_abs_m"] == pytest.approx(0.5)

    def test_a_parquet_that_is_none_is_refused_by_name(self, tmp_path: Path) -> None:
        pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        path = tmp_path / "plain.parquet"
        path.write_bytes(b"PAR1 and no more")
        with pytest.raises(InputError, match=r"plain\.parquet is no Parquet"):
            read_buildings(path)
        pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), path)
        with pytest.raises(InputError, match=r"plain\.parquet is no GeoParquet.*geo"):
            read_buildings(path)

    def test_json_and_text_tell_the_errors(self, files: tuple[Path, Path]) -> None:
        names = list(map(str, files))
        result = json.loads(CliRunner().invoke(score_command, [*names, "--json"]).stdout)
        assert result["heights"]["matched"] == 9
        assert set(result["heights"]) == {"matched", "all", "under_15_m", "from_15_m"}
        assert result["heights"]["under_15_m"]["count"] == 6
        assert result["heights"]["from_15_m"]["median_abs_m"] == pytest.approx(0.5)
        text = CliRunner().invoke(score_command, names).stdout
        assert "Heights: 9 of 9 correct buildings" in text
        assert "below 15 m" in text

    def test_roofs_are_compared_where_they_are_asked_for(
        self, tmp_path: Path, files: tuple[Path, Path]
    ) -> None:
        found = town()
        assert found.roofs is not None
        assert found.roofs_px is not None
        drawn = replace(town(has_roofs=False), shapes=found.roofs, shapes_px=found.roofs_px)
        write_layer(tmp_path / "roofs.geojson", [drawn], UTM)
        names = [str(files[0]), str(tmp_path / "roofs.geojson"), "--json"]
        as_footprints = json.loads(CliRunner().invoke(score_command, names).stdout)
        as_roofs = json.loads(
            CliRunner().invoke(score_command, [*names, "--geometry", "roof"]).stdout
        )
        assert as_roofs["total"]["tp"] == len(HOUSES)
        assert as_footprints["total"]["tp"] < len(HOUSES)
        assert read_buildings(files[0], geometry="roof").height_m_N is not None

    def test_footprints_are_not_taken_for_roofs(self, tmp_path: Path) -> None:
        write_layer(tmp_path / "plain.gpkg", [town(has_roofs=False)], UTM)
        with pytest.raises(InputError, match=r"plain\.gpkg holds footprints and no roofs"):
            read_buildings(tmp_path / "plain.gpkg", geometry="roof")

    def test_heights_may_stand_in_a_field_of_another_name(
        self, tmp_path: Path, files: tuple[Path, Path]
    ) -> None:
        text = (
            '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"eaves":%s},'
            '"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}}]}'
        )
        path = tmp_path / "truth.geojson"
        path.write_text(text % '"7.5"')
        heights_m_N = read_buildings(path, height_field="eaves").height_m_N
        assert heights_m_N is not None
        assert heights_m_N.tolist() == [7.5]
        assert read_buildings(path).height_m_N is None
        for wrong in ('"tall"', "-3"):
            path.write_text(text % wrong)
            with pytest.raises(InputError, match=r"truth\.geojson, feature 1: the height.*metres"):
                read_buildings(path, height_field="eaves")

    def test_a_field_that_is_asked_for_must_be_there(
        self, tmp_path: Path, files: tuple[Path, Path]
    ) -> None:
        done = CliRunner().invoke(score_command, [*map(str, files), "--height-field", "eaves"])
        assert isinstance(done.exception, InputError)
        assert "truth.gpkg has no field eaves" in str(done.exception)
        write_layer(tmp_path / "plain.gpkg", [town(has_roofs=False)], UTM)
        done = CliRunner().invoke(
            score_command,
            [str(tmp_path / "plain.gpkg"), str(files[1]), "--height-field", "height_m"],
        )
        assert "plain.gpkg has no field height_m" in str(done.exception)
