"""The challenge's score: every rule of it, the reference results, and laws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from snet4_cli.score import score as score_command
from snet4core.errors import InputError, UsageError
from snet4core.layers.buildings import Buildings
from snet4core.layers.read import read_buildings
from snet4core.score import Score, Tally, aligned, collect_of, match, score

NADIR = "Atlanta_nadir8_catid_10300100023BC100_743501_3728739"
OFF = "Atlanta_nadir29_catid_1030010003315300_743501_3728739"
VERY_OFF = "Atlanta_nadir53_catid_1030010003193D00_743501_3728739"


def tally(
    found: list[shapely.Geometry],
    truth: list[shapely.Geometry],
    confidence: list[float] | None = None,
) -> Tally:
    """Both in one image."""
    return score(
        Buildings.of([NADIR] * len(found), found, confidence),
        Buildings.of([NADIR] * len(truth), truth),
    ).total


HOUSE = shapely.box(0, 0, 10, 10)


class TestIou:
    def test_exactly_one_half_is_no_match(self) -> None:
        # 10 x 10 against 10 x 20: overlap 100, union 200.
        assert tally([HOUSE], [shapely.box(0, 0, 10, 20)]) == Tally(0, 1, 1)

    def test_a_little_above_one_half_is_a_match(self) -> None:
        assert tally([HOUSE], [shapely.box(0, 0, 10, 19.99)]) == Tally(1, 0, 0)

    @given(st.integers(1, 400), st.integers(1, 400), st.integers(5, 60), st.integers(5, 60))
    def test_exactly_one_half_is_no_match_anywhere(self, x: int, y: int, w: int, h: int) -> None:
        small, large = shapely.box(x, y, x + w, y + h), shapely.box(x, y, x + w, y + 2 * h)
        assert tally([small], [large]).tp == 0
        assert tally([large], [small]).tp == 0

    def test_touching_is_no_overlap(self) -> None:
        assert tally([HOUSE], [shapely.box(10, 0, 20, 10)]) == Tally(0, 1, 1)

    def test_holes_count(self) -> None:
        ring = shapely.box(0, 0, 10, 10).difference(shapely.box(1, 1, 9, 9))  # area 36
        assert tally([ring], [HOUSE]) == Tally(0, 1, 1)
        assert tally([ring], [ring]) == Tally(1, 0, 0)


class TestAreaLimits:
    def test_a_truth_of_exactly_20_counts(self) -> None:
        assert tally([], [shapely.box(0, 0, 5, 4)]) == Tally(0, 0, 1)

    def test_a_truth_just_below_20_does_not(self) -> None:
        assert tally([], [shapely.box(0, 0, 5, 3.999)]) == Tally(0, 0, 0)

    def test_a_proposal_of_exactly_20_does_not_count(self) -> None:
        assert tally([shapely.box(0, 0, 5, 4)], []) == Tally(0, 0, 0)

    def test_a_proposal_just_above_20_counts(self) -> None:
        assert tally([shapely.box(0, 0, 5, 4.001)], []) == Tally(0, 1, 0)

    def test_so_two_equal_polygons_of_20_are_one_miss(self) -> None:
        twenty = shapely.box(0, 0, 5, 4)
        assert tally([twenty], [twenty]) == Tally(0, 0, 1)

    def test_in_map_units_everything_with_an_area_counts(self) -> None:
        small = np.array([shapely.box(0, 0, 1e-4, 1e-4)], object)
        assert match(small, small) == Tally(1, 0, 0)


class TestWhoChooses:
    def test_higher_confidence_chooses_first(self) -> None:
        good, better = shapely.box(0, 0, 10, 8), HOUSE
        # Only one of them can have the house; the other is false.
        assert tally([good, better], [HOUSE], [0.9, 0.5]) == Tally(1, 1, 0)

    def test_the_one_that_chooses_first_takes_the_highest_iou(self) -> None:
        left, right = shapely.box(0, 0, 10, 10), shapely.box(2, 0, 12, 10)
        first = shapely.box(1.5, 0, 11.5, 10)  # nearer to `right`
        second = shapely.box(3, 0, 13, 10)  # fits `right` only (left: 70 / 130 > .5 too)
        third = shapely.box(-1, 0, 9, 10)
        assert tally([first, third], [left, right], [0.9, 0.8]) == Tally(2, 0, 0)
        assert tally([first, second], [left, right], [0.9, 0.8]) == Tally(2, 0, 0)

    def test_confidence_decides_the_count(self) -> None:
        # The wide one fits both truths, the narrow one fits only the upper truth. When the
        # wide one is first it takes the upper truth, its best, and leaves the narrow one none.
        upper, lower = shapely.box(0, 0, 10, 10), shapely.box(0, 4, 10, 14)
        wide, narrow = shapely.box(0, 1, 10, 11), shapely.box(0, -3, 10, 7)
        assert tally([wide, narrow], [upper, lower], [0.9, 0.1]).tp == 1
        assert tally([wide, narrow], [upper, lower], [0.1, 0.9]).tp == 2

    def test_equal_confidence_keeps_the_order_of_the_file(self) -> None:
        upper, lower = shapely.box(0, 0, 10, 10), shapely.box(0, 4, 10, 14)
        wide, narrow = shapely.box(0, 1, 10, 11), shapely.box(0, -3, 10, 7)
        assert tally([wide, narrow], [upper, lower], [1, 1]).tp == 1
        assert tally([narrow, wide], [upper, lower], [1, 1]).tp == 2

    def test_a_truth_is_taken_once(self) -> None:
        assert tally([HOUSE, HOUSE, HOUSE], [HOUSE]) == Tally(1, 2, 0)


BOW_TIE = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])  # signed area 0
SPIKED = shapely.Polygon([(0, 0), (10, 0), (10, 10), (5, 10), (5, 15), (5, 10), (0, 10)])


class TestInvalid:
    def test_an_invalid_proposal_is_repaired(self) -> None:
        assert not SPIKED.is_valid
        assert tally([SPIKED], [HOUSE]) == Tally(1, 0, 0)

    def test_its_area_is_looked_at_before_the_repair(self) -> None:
        # The two lobes of the bow-tie cancel out: 0 px2, so it does not take part at all.
        assert tally([BOW_TIE], [HOUSE]) == Tally(0, 0, 1)

    def test_an_invalid_truth_is_never_matched_but_missed(self) -> None:
        assert tally([HOUSE], [SPIKED]) == Tally(0, 1, 1)

    def test_empty_is_no_building(self) -> None:
        assert tally([shapely.Polygon()], [shapely.Polygon()]) == Tally(0, 0, 0)


class TestImages:
    def test_image_ids_are_compared_literally(self) -> None:
        result = score(
            Buildings.of(["Pan-Sharpen_" + NADIR], [HOUSE]), Buildings.of([NADIR], [HOUSE])
        )
        assert result.total == Tally(0, 1, 1)

    def test_an_image_that_the_truth_does_not_know_is_all_false(self) -> None:
        result = score(Buildings.of([OFF], [HOUSE]), Buildings.of([NADIR], [HOUSE]))
        assert result.images == {OFF: Tally(0, 1, 0), NADIR: Tally(0, 0, 1)}

    def test_an_image_without_buildings_is_listed(self) -> None:
        nothing = Buildings.of([NADIR], [shapely.Polygon()])
        assert score(nothing, nothing).images == {NADIR: Tally(0, 0, 0)}

    def test_categories_and_collects_add_up(self) -> None:
        ids = [NADIR, NADIR.replace("743501", "740801"), OFF, VERY_OFF]
        truth = Buildings.of(ids, [HOUSE] * 4)
        result = score(Buildings.of(ids[:3], [HOUSE] * 3), truth)
        assert result.categories == {
            "nadir": Tally(2, 0, 0),
            "off-nadir": Tally(1, 0, 0),
            "very-off-nadir": Tally(0, 0, 1),
        }
        assert result.collects["Atlanta_nadir8_catid_10300100023BC100"] == Tally(2, 0, 0)
        assert result.mean_f1 == pytest.approx(2 / 3)
        assert result.total == Tally(3, 0, 1)

    def test_a_category_without_images_counts_as_zero(self) -> None:
        one = Buildings.of([NADIR], [HOUSE])
        assert score(one, one).mean_f1 == pytest.approx(1 / 3)

    @pytest.mark.parametrize(
        ("image_id", "category"),
        [
            ("Atlanta_nadir25_catid_103001000307D800_733601_3724689", "nadir"),
            ("Atlanta_nadir27_catid_1030010003472200_733601_3724689", "off-nadir"),
            ("Atlanta_nadir39_catid_1030010003832800_733601_3724689", "off-nadir"),
            ("Atlanta_nadir42_catid_10300100035D1B00_733601_3724689", "very-off-nadir"),
            ("SN4_buildings_train_AOI_6_Atlanta_nadir7_catid_1030010003D22F00_7_3", "nadir"),
            ("nadir50_x", "very-off-nadir"),
        ],
    )  # fmt: skip
    def test_the_integer_after_nadir_decides(self, image_id: str, category: str) -> None:
        found = collect_of(image_id)
        assert found is not None
        assert found[1] == category

    @pytest.mark.parametrize("image_id", ["733601_3724689", "nadir_53", "offnadir53_1", ""])
    def test_names_without_a_look_have_no_category(self, image_id: str) -> None:
        assert collect_of(image_id) is None

    def test_pixels_and_map_units_do_not_mix(self) -> None:
        pixels = Buildings.of([NADIR], [HOUSE])
        ground = Buildings(
            pixels.image_id_N, pixels.polygons_N, pixels.confidence_N, ("",), in_pixels=False
        )
        with pytest.raises(UsageError):
            score(pixels, ground)


polygons = st.lists(
    st.builds(
        lambda x, y, w, h: shapely.box(x, y, x + w, y + h),
        st.integers(0, 60),
        st.integers(0, 60),
        st.integers(3, 20),
        st.integers(3, 20),
    ),
    max_size=25,
)


class TestLaws:
    @given(polygons)
    def test_everything_against_itself_is_perfect(self, found: list[shapely.Polygon]) -> None:
        distinct = dict.fromkeys(p.wkt for p in found)
        kept = [p for p in map(shapely.from_wkt, distinct) if p.area > 20]
        assert tally(kept, kept) == Tally(len(kept), 0, 0)

    @settings(max_examples=150)
    @given(polygons, polygons, st.randoms())
    def test_it_equals_a_plain_loop(
        self, found: list[shapely.Polygon], truth: list[shapely.Polygon], random: object
    ) -> None:
        confidence = [random.choice([0.2, 0.5, 0.9]) for _ in found]  # type: ignore[attr-defined]
        assert tally(found, truth, confidence) == plain_loop(found, truth, confidence)

    @given(polygons, polygons)
    def test_counts_add_up_to_what_took_part(
        self, found: list[shapely.Polygon], truth: list[shapely.Polygon]
    ) -> None:
        result = tally(found, truth)
        assert result.tp + result.fp == sum(p.area > 20 for p in found)
        assert result.tp + result.fn == sum(p.area >= 20 for p in truth)


def plain_loop(
    found: list[shapely.Polygon], truth: list[shapely.Polygon], confidence: list[float]
) -> Tally:
    """The rules, said as simply as can be."""
    rest = [p for p in truth if p.area >= 20]
    tp = fp = 0
    for _, proposal in sorted(zip(confidence, found, strict=True), key=lambda pair: -pair[0]):
        if proposal.area <= 20:
            continue
        ious = [(proposal & p).area / (proposal | p).area for p in rest]
        best = max(range(len(rest)), key=ious.__getitem__, default=None)
        if best is not None and ious[best] > 0.5:
            del rest[best]
            tp += 1
        else:
            fp += 1
    return Tally(tp, fp, len(rest))


class TestReference:
    """The reference scorer's own results on the public sample."""

    @pytest.fixture
    def folder(self, shared_data: Path) -> Path:
        return shared_data / "real" / "sn4-atlanta-truth"

    def scored(self, proposals: Path, truth: Path) -> Score:
        expected = read_buildings(truth, confidence=False)
        found, _ = aligned(read_buildings(proposals), expected)
        return score(found, expected)

    def test_the_competition_sample(self, folder: Path) -> None:
        result = self.scored(
            folder / "sample_preds_competition.csv", folder / "sample_truth_competition.csv"
        )
        header, values = _table(folder / "competition_test_results.csv")
        expected = dict(zip(header, values[0], strict=True))
        nadir = result.categories["nadir"]
        assert (nadir.tp, nadir.fp, nadir.fn) == tuple(
            int(expected[name]) for name in ("TruePos", "FalsePos", "FalseNeg")
        )
        assert nadir.f1 == float(expected["F1Score"])
        assert nadir.precision == float(expected["Precision"])
        assert nadir.recall == float(expected["Recall"])

    def test_the_competition_sample_image_by_image(self, folder: Path) -> None:
        result = self.scored(
            folder / "sample_preds_competition.csv", folder / "sample_truth_competition.csv"
        )
        header, rows = _table(folder / "competition_test_results_full.csv")
        expected = {}
        for row in rows:
            named = dict(zip(header, row, strict=True))
            expected[named["imageID"]] = Tally(
                int(named["TruePos"]), int(named["FalsePos"]), int(named["FalseNeg"])
            )
        assert len(expected) == 33
        assert result.images == expected

    def test_one_tile(self, folder: Path) -> None:
        result = self.scored(folder / "sample_preds.csv", folder / "sample_truth.csv")
        assert result.total == Tally(151, 0, 0)

    def test_layers_with_partial_overlap(self, folder: Path) -> None:
        # The reference scorer's test suite asks for these counts.
        result = self.scored(folder / "pred.geojson", folder / "gt.geojson")
        assert result.total == Tally(8, 20, 20)
        assert result.total.f1 == 0.2857142857142857

    def test_the_iou_of_one_pair(self, folder: Path) -> None:
        # Its suite also states this IoU of the first proposal and the last truth.
        proposal = read_buildings(folder / "pred.geojson").polygons_N[0]
        truth = read_buildings(folder / "gt.geojson").polygons_N[27]
        iou = (proposal & truth).area / (proposal | truth).area
        assert iou == pytest.approx(0.073499798744833519, rel=1e-12)


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    return header, rows


class TestCommand:
    @pytest.fixture
    def files(self, tmp_path: Path) -> tuple[str, str]:
        proposals, truth = tmp_path / "proposals.csv", tmp_path / "truth.csv"
        proposals.write_text(
            "ImageId,BuildingId,PolygonWKT_Pix,Confidence\n"
            f'{NADIR},1,"POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))",0.9\n'
            f'{NADIR},2,"POLYGON ((50 50, 60 50, 60 60, 50 60, 50 50))",0.8\n'
        )
        truth.write_text(
            "ImageId,BuildingId,PolygonWKT_Pix,PolygonWKT_Geo\n"
            f'{NADIR},1,"POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))",1\n'
            f'{OFF},1,"POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))",1\n'
        )
        return str(proposals), str(truth)

    def test_json_has_the_promised_structure(self, files: tuple[str, str]) -> None:
        done = CliRunner().invoke(score_command, [*files, "--json"])
        result = json.loads(done.stdout)
        assert list(result) == ["mean_f1", "categories", "collects", "images", "total"]
        assert list(result["categories"]) == ["nadir", "off-nadir", "very-off-nadir"]
        assert result["categories"]["nadir"] == {
            "tp": 1,
            "fp": 1,
            "fn": 0,
            "precision": 0.5,
            "recall": 1.0,
            "f1": pytest.approx(2 / 3),
        }
        assert result["mean_f1"] == pytest.approx(2 / 9)
        assert result["total"]["fn"] == 1

    def test_text_says_that_a_missing_category_counts_zero(self, files: tuple[str, str]) -> None:
        done = CliRunner().invoke(score_command, list(files))
        assert "No images are very-off-nadir" in done.stdout
        assert "counts as 0" in done.stdout

    def test_tables_and_layers_are_not_mixed(self, files: tuple[str, str], tmp_path: Path) -> None:
        layer = tmp_path / "truth.geojson"
        layer.write_text('{"type": "FeatureCollection", "features": []}')
        done = CliRunner().invoke(score_command, [files[0], str(layer)])
        assert isinstance(done.exception, InputError)
        assert "pixels" in str(done.exception)


def test_a_hundred_thousand_polygons_take_seconds() -> None:
    side = 320
    corners = [(x * 20.0, y * 20.0) for y in range(side) for x in range(side)]
    found = [shapely.box(x, y, x + 12, y + 10) for x, y in corners]
    truth = [shapely.box(x + 1, y + 1, x + 13, y + 11) for x, y in corners]
    result = tally(found, truth)
    assert result == Tally(side * side, 0, 0)
