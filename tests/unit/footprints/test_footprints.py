"""Outlines become footprints: placed, measured, ordered and numbered."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from snet4core.errors import InputError, ModelError
from snet4core.footprints import ordering
from snet4core.footprints.footprints import FIELDS, Footprints, Source, footprints_of, rounded
from snet4core.footprints.ordering import in_order
from snet4core.grid import Grid, Points
from snet4core.look.look import Look
from snet4core.outlines.outline import Outlines
from snet4core.settings import Calibration

UTM = CRS.from_epsg(32616)
NORTH_UP = Affine(0.5, 0, 733601, 0, -0.5, 3724689)
SOURCE = Source("scene.tif", UTM, Look(29.1, 181.0, "name"), "default")


def outlines_of(*polygons: shapely.Polygon, confidence: float = 0.9) -> Outlines:
    """Outlines with anchors at the upper left corners of their boxes."""
    bounds_N4 = shapely.bounds(np.array(polygons, object)).reshape(-1, 4)
    return Outlines(
        np.array(polygons, object),
        bounds_N4[:, [1, 0]].astype(np.int64),
        np.full(len(polygons), confidence),
        shapely.area(np.array(polygons, object)).astype(np.float64),
    )


def grid(transform: Affine = NORTH_UP, crs: CRS = UTM) -> Grid:
    return Grid((900, 900), transform, crs)


COURTYARD = shapely.box(10, 20, 50, 60).difference(shapely.box(20, 30, 30, 40))

TRANSFORMS = {
    "north up": NORTH_UP,
    "south up": Affine(0.5, 0, 733601, 0, 0.5, 3724239),
    "turned": Affine.translation(733601, 3724689) @ Affine.rotation(33) @ Affine.scale(0.5, -0.5),
    "sheared": Affine(0.5, 0.1, 733601, 0.05, -0.4, 3724689),
    "mirrored": Affine(-0.5, 0, 734051, 0, -0.5, 3724689),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
class TestAnyTransform:
    def test_a_footprint_goes_back_to_its_pixels(self, transform: Affine) -> None:
        frame = grid(transform)
        [polygon] = footprints_of(outlines_of(COURTYARD), frame, SOURCE).polygons_N
        back = shapely.transform(polygon, frame.to_pixels)
        assert back.symmetric_difference(COURTYARD).area < 1e-4

    def test_outer_rings_run_counter_clockwise_and_holes_clockwise(self, transform: Affine) -> None:
        [polygon] = footprints_of(outlines_of(COURTYARD), grid(transform), SOURCE).polygons_N
        assert polygon.exterior.is_ccw
        assert not polygon.interiors[0].is_ccw

    def test_area_is_what_the_map_says(self, transform: Affine) -> None:
        found = footprints_of(outlines_of(COURTYARD), grid(transform), SOURCE)
        # UTM stretches lengths by up to 4 in 10,000 within its zone, a little more beyond.
        assert found.area_m2_N[0] == pytest.approx(found.polygons_N[0].area, rel=0.003)


class TestAreas:
    def test_a_box_of_20_by_10_pixels_of_half_a_metre_has_50_m2(self) -> None:
        found = footprints_of(outlines_of(shapely.box(0, 0, 20, 10)), grid(), SOURCE)
        assert found.area_m2_N[0] == pytest.approx(50, rel=0.002)

    def test_degrees_are_not_metres(self) -> None:
        # At 60 degrees north a degree of longitude is half as long as one of latitude.
        step = 0.5 / 111_320
        frame = grid(Affine(2 * step, 0, 10.0, 0, -step, 60.0), CRS.from_epsg(4326))
        found = footprints_of(outlines_of(shapely.box(0, 0, 20, 10)), frame, SOURCE)
        assert found.area_m2_N[0] == pytest.approx(50, rel=0.01)

    def test_feet_are_not_metres(self) -> None:
        new_york_feet = CRS.from_epsg(2263)
        foot = 1200 / 3937
        frame = grid(Affine(0.5 / foot, 0, 980_000, 0, -0.5 / foot, 200_000), new_york_feet)
        found = footprints_of(outlines_of(shapely.box(0, 0, 20, 10)), frame, SOURCE)
        assert found.area_m2_N[0] == pytest.approx(50, rel=0.002)

    def test_footprints_below_the_minimum_are_dropped(self) -> None:
        shed, house = shapely.box(0, 0, 4, 4), shapely.box(10, 0, 20, 10)
        found = footprints_of(outlines_of(shed, house), grid(), SOURCE, min_area_m2=5)
        assert found.anchors_N2.tolist() == [[0, 10]]

    def test_an_area_that_cannot_be_measured_is_refused(self) -> None:
        class Nowhere(Grid):
            def pixel_area_m2(self, pixels: Points) -> NDArray[np.float64]:
                return np.full(len(pixels), np.inf)

        frame = Nowhere((900, 900), NORTH_UP, UTM)
        with pytest.raises(InputError, match="place on Earth"):
            footprints_of(outlines_of(shapely.box(0, 0, 4, 4)), frame, SOURCE)


class TestScenePixels:
    def test_maps_of_half_the_resolution_give_pixels_of_the_scene(self) -> None:
        native = grid()
        found = footprints_of(
            outlines_of(shapely.box(10, 20, 15, 30)), native.scaled(2), SOURCE, native=native
        )
        assert found.polygons_px_N[0].bounds == (20, 40, 30, 60)

    def test_maps_three_times_finer_give_pixels_of_the_scene(self) -> None:
        native = grid()
        found = footprints_of(
            outlines_of(shapely.box(30, 60, 45, 90)),
            native.scaled(1, 3),
            SOURCE,
            native=native,
        )
        assert found.polygons_px_N[0].bounds == (10, 20, 15, 30)


boxes = st.lists(
    st.tuples(st.integers(0, 80), st.integers(0, 80)), unique=True, min_size=0, max_size=40
)


class TestOrder:
    @given(corners=boxes, shuffle=st.randoms(), size=st.integers(1, 9))
    def test_batches_and_their_order_play_no_part(
        self, corners: list[tuple[int, int]], shuffle: object, size: int
    ) -> None:
        polygons = [shapely.box(x, y, x + 5, y + 4) for x, y in corners]
        whole = _joined(in_order(SOURCE, _batches(polygons, len(polygons) or 1)))
        shuffle.shuffle(polygons)  # type: ignore[attr-defined]
        pieces = _joined(in_order(SOURCE, _batches(polygons, size)))
        assert pieces == whole
        assert [number for number, _ in whole] == list(range(1, len(corners) + 1))

    def test_numbers_run_by_row_then_column(self) -> None:
        lower, right, left = (
            shapely.box(0, 50, 5, 55),
            shapely.box(60, 10, 65, 15),
            shapely.box(20, 10, 25, 15),
        )
        [batch] = in_order(SOURCE, _batches([lower, right, left], 1))
        assert batch.anchors_N2.tolist() == [[10, 20], [10, 60], [50, 0]]
        assert batch.footprint_id_N.tolist() == [1, 2, 3]

    def test_numbers_go_on_over_several_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ordering, "BATCH", 4)
        polygons = [shapely.box(x, 0, x + 1, 4) for x in range(0, 20, 2)]
        batches = list(in_order(SOURCE, _batches(polygons, 3)))
        assert [batch.footprint_id_N.tolist() for batch in batches] == [
            [1, 2, 3, 4],
            [5, 6, 7, 8],
            [9, 10],
        ]

    def test_nothing_found_is_one_empty_batch_of_the_scene(self) -> None:
        [batch] = in_order(SOURCE, [])
        assert len(batch) == 0
        assert batch.source == SOURCE
        assert set(batch.columns()) == set(FIELDS)

    def test_values_survive_the_collecting_bit_by_bit(self) -> None:
        found = footprints_of(outlines_of(COURTYARD, confidence=1 / 3), grid(), SOURCE)
        [batch] = in_order(SOURCE, [found])
        assert shapely.equals_exact(batch.polygons_N, found.polygons_N, 0).all()
        assert shapely.equals_exact(batch.polygons_px_N, found.polygons_px_N, 0).all()
        assert batch.confidence_N == found.confidence_N == 0.3333
        assert batch.area_m2_N == found.area_m2_N


def _batches(polygons: list[shapely.Polygon], size: int) -> list[Footprints]:
    return [
        footprints_of(outlines_of(*polygons[start : start + size]), grid(), SOURCE)
        for start in range(0, len(polygons), size)
    ]


def _joined(batches: object) -> list[tuple[int, str]]:
    return [
        (each.footprint_id, each.polygon.wkt)
        for batch in batches  # type: ignore[attr-defined]
        for each in batch
    ]


class TestFields:
    def test_without_a_look_its_fields_are_null(self) -> None:
        found = footprints_of(outlines_of(COURTYARD), grid(), Source("maps.tif", UTM))
        columns = found.columns()
        for name in ("off_nadir_deg", "azimuth_deg", "look", "look_source", "model"):
            assert columns[name] == [None]

    def test_an_unknown_azimuth_alone_is_null(self) -> None:
        source = Source("scene.tif", UTM, Look(41.0, None, "option"))
        columns = footprints_of(outlines_of(COURTYARD), grid(), source).columns()
        assert columns["azimuth_deg"] == [None]
        assert columns["off_nadir_deg"] == [41.0]
        assert columns["look"] == ["very-off-nadir"]

    def test_a_name_that_is_no_utf8_can_still_be_stored(self) -> None:
        found = footprints_of(outlines_of(COURTYARD), grid(), Source("caf\udce9.tif", UTM))
        [scene] = found.columns()["scene"]
        assert scene.encode("utf-8") == b"caf\\udce9.tif"

    def test_one_footprint_knows_where_it_comes_from(self) -> None:
        [one] = footprints_of(outlines_of(COURTYARD), grid(), SOURCE)
        assert one.source.look == Look(29.1, 181.0, "name")
        assert one.confidence == 0.9


class TestCalibration:
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
    def test_without_knots_confidence_stays(self, shares: list[float]) -> None:
        assert Calibration()(np.array(shares)) == pytest.approx(shares)

    @given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
    def test_order_is_kept(self, shares: list[float]) -> None:
        bent = Calibration(((0.2, 0.0), (0.6, 0.7), (0.9, 0.8)))(np.sort(np.array(shares)))
        assert (np.diff(bent) >= 0).all()
        assert ((bent >= 0) & (bent <= 1)).all()

    @pytest.mark.parametrize(
        "knots",
        [
            ((0.0, 0.0), (0.0, 1.0)),
            ((0.0, 0.9), (1.0, 0.1)),
            ((0.0, 0.0), (1.0, 1.2)),
            ((0.0, -0.1), (1.0, 1.0)),
            ((0.0, 0.0), (math.nan, 1.0)),
            ((0.0, 0.0),),
            ((0.0, 0.0), (0.5, 0.5, 0.5), (1.0, 1.0)),
        ],
    )
    def test_knots_that_do_not_rise_are_refused(self, knots: Any) -> None:
        with pytest.raises(ModelError, match="snet4 calibrate"):
            Calibration(knots)

    def test_it_is_applied_to_footprints(self) -> None:
        found = footprints_of(
            outlines_of(COURTYARD, confidence=0.5),
            grid(),
            SOURCE,
            calibration=Calibration(((0.0, 0.0), (1.0, 0.5))),
        )
        assert found.confidence_N[0] == 0.25

    @pytest.mark.parametrize(("least", "count"), [(0.25, 1), (0.26, 0)])
    def test_what_is_less_likely_right_is_dropped(self, least: float, count: int) -> None:
        found = footprints_of(
            outlines_of(COURTYARD, confidence=0.5),
            grid(),
            SOURCE,
            min_confidence=least,
            calibration=Calibration(((0.0, 0.0), (1.0, 0.5))),
        )
        assert len(found.polygons_N) == count


class TestRounding:
    def test_coordinates_get_so_many_decimals(self) -> None:
        [short] = rounded(np.array([shapely.box(0, 0, 1 / 3, 2 / 3)], object), 2)
        assert short.bounds == (0, 0, 0.33, 0.67)

    def test_a_polygon_that_rounding_would_break_keeps_its_digits(self) -> None:
        # A neck of 0.002 between two squares closes at two decimals.
        neck = shapely.Polygon(
            [(0, 0), (1, 0), (1, 0.499), (2, 0.499), (2, 0), (3, 0), (3, 1), (2, 1), (2, 0.501),
             (1, 0.501), (1, 1), (0, 1)]
        )  # fmt: skip
        assert neck.is_valid
        [kept] = rounded(np.array([neck], object), 2)
        assert kept.equals_exact(neck, 0)
