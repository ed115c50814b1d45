"""What outlines promise: exact, valid, area kept, the same however the picture is turned."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import shapes

from helpers.blocks import (
    LabelImage,
    as_labels,
    burned,
    iou,
    label_images,
    placed,
    quarter_turned,
    same_set,
    whole,
)
from snet4core.errors import UsageError
from snet4core.outlines.outline import LOST_PX, LOST_SHARE, SLACK_PX, STEPS_PER_PX, outlines
from snet4core.outlines.rings import trace

tolerances = st.sampled_from([0.0, 0.5, 1.0, 1.7, 3.0])
at_leisure = settings(deadline=None, max_examples=60)


# ---------------------------------------------------------------- exact outlines


@given(label_images())
@at_leisure
def test_exact_outlines_are_those_of_another_program(labels_HW: LabelImage) -> None:
    ours = outlines(as_labels(labels_HW), 0.0).polygons_N
    theirs = {
        int(value): shapely.geometry.shape(geometry)
        for geometry, value in shapes(labels_HW, mask=labels_HW > 0, connectivity=4)
    }
    for index, polygon in enumerate(ours):
        assert polygon.equals(theirs[index + 1])


def test_corners_of_a_pixel_lie_on_whole_numbers_without_a_half_pixel_shift() -> None:
    labels_HW = np.zeros((4, 4), np.int32)
    labels_HW[1, 2] = 1
    (square,) = outlines(as_labels(labels_HW, row=100, col=200), 0.0).polygons_N
    assert square.equals(shapely.box(202, 101, 203, 102))


def test_a_courtyard_that_touches_the_outside_at_a_corner_is_a_hole() -> None:
    labels_HW = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], np.int32)
    (ring,) = outlines(as_labels(labels_HW), 0.0).polygons_N
    assert ring.is_valid
    assert len(ring.interiors) == 1
    assert ring.area == 7


def test_a_label_in_pieces_gives_a_polygon_for_each() -> None:
    labels_HW = np.array([[1, 0, 1], [0, 1, 0]], np.int32)
    found = outlines(as_labels(labels_HW), 1.0)
    assert found.anchors_N2.tolist() == [[0, 0], [0, 2], [1, 1]]
    assert found.area_px_N.tolist() == [1, 1, 1]


def test_outer_rings_run_with_the_building_on_the_left_on_a_map() -> None:
    labels_HW = np.zeros((5, 5), np.int32)
    labels_HW[1:4, 1:4] = 1
    labels_HW[2, 2] = 0
    rings = trace(labels_HW)
    north_up = np.column_stack([rings.x_E, -rings.y_E])
    outer, hole = (shapely.LinearRing(part) for part in np.split(north_up, rings.first_R[1:-1]))
    assert outer.is_ccw
    assert not hole.is_ccw


# ---------------------------------------------------------------- laws of simplified ones


@given(label_images(), tolerances)
@at_leisure
def test_outlines_are_valid_and_keep_their_area(labels_HW: LabelImage, tolerance: float) -> None:
    found = outlines(as_labels(labels_HW), tolerance)
    assert shapely.is_valid(found.polygons_N).all()
    assert found.area_px_N.tolist() == np.bincount(labels_HW.ravel())[1:].tolist()
    if tolerance == 0:
        assert shapely.area(found.polygons_N).tolist() == found.area_px_N.tolist()
    length = shapely.length(found.polygons_N)
    limit = LOST_SHARE * found.area_px_N + LOST_PX * length + length / STEPS_PER_PX
    assert (np.abs(shapely.area(found.polygons_N) - found.area_px_N) <= limit).all()


def test_a_comb_with_teeth_of_one_pixel_keeps_its_area_even_when_regular() -> None:
    comb = np.zeros((40, 41), np.int32)
    comb[:, ::2], comb[0] = 1, 1
    for regularize in (False, True):
        (found,) = outlines(as_labels(comb), 1.0, regularize).polygons_N
        assert found.area == pytest.approx(comb.sum(), rel=0.05)


@given(st.lists(st.tuples(st.integers(4, 20), st.integers(4, 20), st.floats(0, 180)), max_size=6))
@at_leisure
def test_area_survives_simplification(sizes: list[tuple[int, int, float]]) -> None:
    houses = [
        placed(shapely.box(-w / 2, -h / 2, w / 2, h / 2), angle, 20 + 40 * i, 20)
        for i, (w, h, angle) in enumerate(sizes)
    ]
    labels_HW = whole(burned(houses, (40, 260)) if houses else np.zeros((4, 4), np.int32))
    found = outlines(as_labels(labels_HW), 1.0)
    # Corners lie on a raster of 1 / 1024 px, which is all that is lost.
    rounding = shapely.length(found.polygons_N) / STEPS_PER_PX
    assert np.all(np.abs(shapely.area(found.polygons_N) - found.area_px_N) <= rounding)


@given(label_images(), tolerances)
@at_leisure
def test_no_corner_lies_beyond_the_stated_distance(labels_HW: LabelImage, limit: float) -> None:
    exact = outlines(as_labels(labels_HW), 0.0).polygons_N
    found = outlines(as_labels(labels_HW), limit).polygons_N
    for one, other in zip(exact, found, strict=True):
        corners = shapely.points(shapely.get_coordinates(one))
        assert shapely.distance(corners, other.boundary).max() <= limit + SLACK_PX + 1e-2


@given(label_images(), tolerances, st.booleans())
@at_leisure
def test_a_quarter_turn_of_the_picture_turns_the_outlines(
    labels_HW: LabelImage, tolerance: float, regularize: bool
) -> None:
    found = outlines(as_labels(labels_HW), tolerance, regularize).polygons_N
    for _ in range(3):
        found = quarter_turned(found, labels_HW.shape[1])
        labels_HW = np.rot90(labels_HW).copy()
        again = outlines(as_labels(labels_HW), tolerance, regularize).polygons_N
        assert same_set(found, again)


@given(label_images(), tolerances, st.booleans(), st.integers(0, 10**6), st.integers(0, 10**6))
@at_leisure
def test_moving_the_window_moves_the_outlines(
    labels_HW: LabelImage, tolerance: float, regularize: bool, row: int, col: int
) -> None:
    here = outlines(as_labels(labels_HW), tolerance, regularize)
    there = outlines(as_labels(labels_HW, row, col), tolerance, regularize)
    back = shapely.transform(there.polygons_N, lambda xy: xy - np.array([col, row]))
    assert shapely.equals_exact(here.polygons_N, back, 0.0).all()
    assert np.array_equal(here.anchors_N2 + np.array([row, col]), there.anchors_N2)


@given(label_images(), tolerances, st.booleans(), st.integers(0, 99))
@at_leisure
def test_the_numbering_of_labels_plays_no_part(
    labels_HW: LabelImage, tolerance: float, regularize: bool, seed: int
) -> None:
    """Rings begin elsewhere and neighbours swap roles when labels are numbered otherwise."""
    order = np.random.default_rng(seed).permutation(labels_HW.max()) + 1
    renumbered = np.append(0, order).astype(np.int32)[labels_HW]
    one = outlines(as_labels(labels_HW), tolerance, regularize).polygons_N
    other = outlines(as_labels(renumbered), tolerance, regularize).polygons_N
    assert same_set(one, other)


@given(label_images(), tolerances, st.booleans())
@at_leisure
def test_a_component_alone_gives_what_it_gives_among_others(
    labels_HW: LabelImage, tolerance: float, regularize: bool
) -> None:
    component_HW = whole((labels_HW > 0).astype(np.int8))
    together = outlines(as_labels(labels_HW), tolerance, regularize).polygons_N
    alone = []
    for number in range(1, component_HW.max() + 1):
        rows, cols = np.nonzero(component_HW == number)
        box = np.s_[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
        part = whole(np.where(component_HW == number, labels_HW, 0)[box])
        window = as_labels(part, int(rows.min()), int(cols.min()))
        alone.extend(outlines(window, tolerance, regularize).polygons_N)
    assert same_set(together, np.array(alone, object))


@given(label_images(), tolerances, st.booleans())
@at_leisure
def test_neighbours_share_their_walls_without_gap_or_overlap(
    labels_HW: LabelImage, tolerance: float, regularize: bool
) -> None:
    found = outlines(as_labels(labels_HW), tolerance, regularize).polygons_N
    for above, below in ((labels_HW[1:], labels_HW[:-1]), (labels_HW[:, 1:], labels_HW[:, :-1])):
        touch = (above != below) & (above > 0) & (below > 0)
        for one, other in np.unique(np.column_stack([above[touch], below[touch]]), axis=0):
            a, b = found[one - 1], found[other - 1]
            assert a.intersection(b).area <= 1e-9
            # They have corners in common, and the wall between two joints is the same line.
            assert a.boundary.intersection(b.boundary).length > 0


# ---------------------------------------------------------------- hand-worked and real


def test_a_tilted_house_gets_its_four_corners_back() -> None:
    house = placed(shapely.box(-12, -8, 12, 8), 27.0)
    (found,) = outlines(as_labels(burned([house], (60, 60))), 1.0).polygons_N
    assert len(found.exterior.coords) - 1 == 4
    corners = shapely.points(shapely.get_coordinates(house))
    assert shapely.distance(corners, found.boundary).max() < 0.5
    assert iou(np.array([found]), np.array([house]))[0] > 0.97


def test_two_houses_that_share_a_slanted_wall_meet_in_one_line() -> None:
    left = placed(shapely.box(-14, -8, 0, 8), 20.0)
    right = placed(shapely.box(0, -8, 12, 8), 20.0)
    labels_HW = burned([left, right], (60, 60))
    a, b = outlines(as_labels(labels_HW), 1.0).polygons_N
    wall = a.intersection(b)
    assert wall.length == pytest.approx(16, abs=1.5)
    assert shapely.get_num_coordinates(shapely.line_merge(wall)) == 2
    assert a.union(b).area == pytest.approx((labels_HW > 0).sum(), abs=0.1)


def test_confidence_is_the_mean_probability_inside() -> None:
    labels_HW = np.array([[1, 1, 0, 2]], np.int32)
    labels = as_labels(labels_HW)
    labels.footprint_HW[0] = [255, 0, 0, 51]
    assert outlines(labels, 1.0).confidence_N.tolist() == [0.5, 0.2]


def test_nothing_gives_nothing() -> None:
    found = outlines(as_labels(np.zeros((3, 4), np.int32)), 1.0, regularize=True)
    assert len(found.polygons_N) == 0
    assert found.anchors_N2.shape == (0, 2)


def test_a_negative_tolerance_is_refused() -> None:
    with pytest.raises(UsageError, match="-1"):
        outlines(as_labels(np.ones((3, 3), np.int32)), -1.0)


def test_every_process_gives_the_same_bytes() -> None:
    code = (
        "import numpy as np, shapely, hashlib\n"
        "from skimage.measure import label\n"
        "from snet4core.labels.labels import Labels\n"
        "from snet4core.outlines.outline import outlines\n"
        "values = np.random.default_rng(1).integers(0, 3, (30, 30))\n"
        "values = np.kron(values, np.ones((3, 3), int))\n"
        "found = label(values, connectivity=1, background=0).astype(np.int32)\n"
        "zero = np.zeros(found.shape, np.uint8)\n"
        "labels = Labels.of_image(found, zero, zero)\n"
        "drawn = outlines(labels, 1.0, regularize=True)\n"
        "print(hashlib.sha256(b''.join(shapely.to_wkb(drawn.polygons_N))).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[3])},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_real_buildings_come_back_from_their_masks(shared_data: Path) -> None:
    """One public SpaceNet 4 tile; the benchmark does this for all 33."""
    import csv

    csv.field_size_limit(1 << 28)
    path = shared_data / "real" / "sn4-atlanta-truth" / "sample_truth.csv"
    with path.open(newline="") as stream:
        rows = [shapely.from_wkt(row["PolygonWKT_Pix"]) for row in csv.DictReader(stream)]
    truth = np.array([row for row in rows if row.area >= 20], object)
    labels_HW = burned(list(truth), (900, 900))
    numbers = np.unique(labels_HW)[1:]
    compact = np.searchsorted(np.append(0, numbers), labels_HW).astype(np.int32)
    found = outlines(as_labels(compact), 1.0)
    # Two of the labels are cut in pieces by their neighbours; compare by the largest overlap.
    tree = shapely.STRtree(found.polygons_N)
    best = []
    for polygon in shapely.buffer(truth[numbers - 1], 0):
        near = found.polygons_N[tree.query(polygon)]
        best.append(iou(near, np.full(len(near), polygon)).max())
    assert np.mean(best) > 0.96
    assert shapely.area(found.polygons_N).sum() == pytest.approx((labels_HW > 0).sum(), rel=1e-4)
    assert np.mean(shapely.get_num_coordinates(found.polygons_N) - 1) <= 12
