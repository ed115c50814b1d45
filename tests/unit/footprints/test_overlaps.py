"""Footprints of different components that come too close: the later one yields."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from helpers.blocks import LabelImage, as_labels, label_images
from snet4core.footprints.footprints import Footprints, Source, footprints_of
from snet4core.footprints.overlaps import OverlapSweep, remove_overlaps
from snet4core.footprints.polygons import Shapes
from snet4core.footprints.shaping import Shaping
from snet4core.grid import Grid
from snet4core.outlines.outline import Outlines, outlines
from snet4core.settings import ShapeSettings

at_leisure = settings(deadline=None, max_examples=60)


def overlap(polygons_N: np.ndarray) -> float:
    """The largest area that two of the polygons have in common."""
    one, other = shapely.STRtree(polygons_N).query(polygons_N, predicate="intersects")
    one, other = one[one < other], other[one < other]
    return float(
        shapely.area(shapely.intersection(polygons_N[one], polygons_N[other])).max(initial=0)
    )


@given(label_images(), st.sampled_from([1.0, 2.0, 3.0]), st.booleans())
@at_leisure
def test_nothing_overlaps_afterwards(labels_HW: LabelImage, limit: float, flag: bool) -> None:
    found = outlines(as_labels(labels_HW), limit, flag)
    settled = remove_overlaps(found.polygons_N, found.anchors_N2)
    assert overlap(settled) <= 1e-9
    assert shapely.is_valid(settled).all()


@given(label_images(), st.integers(0, 99), st.integers(1, 9))
@at_leisure
def test_order_and_batches_play_no_part(labels_HW: LabelImage, seed: int, batch: int) -> None:
    found = outlines(as_labels(labels_HW), 2.0)
    at_once = remove_overlaps(found.polygons_N, found.anchors_N2)
    shuffle = np.random.default_rng(seed).permutation(len(at_once))
    mixed = remove_overlaps(found.polygons_N[shuffle], found.anchors_N2[shuffle])
    assert shapely.equals_exact(at_once[shuffle], mixed, 0.0).all()
    order = np.lexsort(found.anchors_N2.T[::-1])
    sweep, drawn = OverlapSweep(), found.polygons_N[order]
    for at in range(0, len(drawn), batch):
        changed, left = sweep.settle(Shapes.of(drawn[at : at + batch]))
        drawn[at + changed] = left
    assert shapely.equals_exact(at_once[order], drawn, 0.0).all()


def test_the_later_one_gives_up_what_it_has_in_common() -> None:
    early, late = shapely.box(0, 0, 4, 4), shapely.box(3, 1, 6, 3)
    settled = remove_overlaps(np.array([late, early]), np.array([[1, 3], [0, 0]]))
    assert settled[1].equals(early)
    assert settled[0].equals(shapely.box(4, 1, 6, 3))


def test_neighbours_along_a_wall_keep_everything() -> None:
    pair = np.array([shapely.box(0, 0, 4, 4), shapely.box(4, 0, 6, 4)])
    assert shapely.equals_exact(remove_overlaps(pair, np.array([[0, 0], [0, 4]])), pair, 0.0).all()


def test_what_an_earlier_one_has_lost_still_counts() -> None:
    """The third yields to the second as it was drawn, so it need not know of the first."""
    first, second, third = (shapely.box(x, x / 4, x + 4, x / 4 + 2) for x in (0, 2, 4))
    drawn, anchors = np.array([first, second, third]), np.array([[0, 0], [1, 2], [2, 4]])
    all_three = remove_overlaps(drawn, anchors)
    without_first = remove_overlaps(drawn[1:], anchors[1:])
    assert all_three[2].equals(without_first[1])


def test_of_a_footprint_in_two_pieces_the_larger_remains_and_of_a_covered_one_nothing() -> None:
    bar = shapely.box(0, 0, 2, 9)
    across, inside = shapely.box(-1, 3, 7, 5), shapely.box(0.5, 6, 1.5, 7)
    settled = remove_overlaps(np.array([bar, across, inside]), np.array([[0, 0], [3, 0], [6, 0]]))
    assert settled[1].equals(shapely.box(2, 3, 7, 5))
    assert settled[2].is_empty


def test_no_footprints_give_none() -> None:
    assert len(remove_overlaps(np.empty(0, object), np.empty((0, 2), np.int64))) == 0


# ---------------------------------------------------------------- in the stream of a scene


UTM = CRS.from_epsg(32616)
GRID = Grid((200, 200), Affine(0.5, 0, 733601, 0, -0.5, 3724689), UTM)


def found(*polygons: shapely.Polygon, native: Grid | None = None) -> Footprints:
    drawn = np.array(polygons, object)
    bounds_N4 = shapely.bounds(drawn)
    parts = Outlines(
        drawn,
        bounds_N4[:, [1, 0]].astype(np.int64),
        np.full(len(drawn), 0.8),
        shapely.area(drawn).astype(np.float64),
    )
    return footprints_of(parts, GRID, Source("scene.tif", UTM), native=native)


def test_in_a_scene_the_later_footprint_yields_and_is_measured_again() -> None:
    early, late = shapely.box(10, 10, 50, 50), shapely.box(45, 30, 80, 60)
    shaping = Shaping(GRID, ShapeSettings(), Source("scene.tif", UTM))
    [batch] = shaping.in_order([found(late), found(early)])
    assert batch.footprint_id_N.tolist() == [1, 2]
    assert batch.polygons_px_N[0].equals(early)
    assert batch.polygons_px_N[1].equals(late.difference(early))
    # A metre of the projection is a little more than one on the ground here.
    assert batch.area_m2_N == pytest.approx([400.0, (35 * 30 - 5 * 20) * 0.25], rel=1e-3)
    on_the_ground = shapely.transform(late.difference(early), GRID.to_map)
    assert batch.polygons_N[1].symmetric_difference(on_the_ground).area < 1e-6
    assert batch.polygons_N[1].exterior.is_ccw


def test_what_yields_too_much_is_dropped_and_leaves_no_number_behind() -> None:
    early, late = shapely.box(10, 10, 50, 50), shapely.box(40, 20, 51, 30)
    last = shapely.box(100, 100, 120, 120)
    shaping = Shaping(GRID, ShapeSettings(min_area_m2=5.0), Source("scene.tif", UTM))
    [batch] = shaping.in_order([found(early, late, last)])
    assert batch.footprint_id_N.tolist() == [1, 2]
    assert batch.polygons_px_N[1].equals(last)


def test_common_walls_on_a_finer_native_grid_are_no_overlap() -> None:
    third = Grid((600, 600), GRID.transform @ Affine.scale(1 / 3), UTM)
    wall = [(20.123046875, 10), (21.7080078125, 33.3427734375), (20.5, 50)]
    left = shapely.Polygon([(1, 10), *wall, (1, 50)])
    right = shapely.Polygon([*wall[::-1], (40, 10), (40, 50)])
    shaping = Shaping(GRID, ShapeSettings(), Source("scene.tif", UTM), third)
    placed = found(left, right, native=third)
    [batch] = shaping.in_order([placed])
    assert len(batch) == 2
    assert shapely.equals_exact(batch.polygons_px_N, placed.polygons_px_N, 0.0).all()
