"""Overlapping boxes: a tree finds the same pairs."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from snet4core.footprints.overlaps import overlapping_boxes

SIDE = st.floats(0.125, 40, width=32)
PLACE = st.one_of(st.floats(-50, 50, width=32), st.integers(-50, 50).map(float))
BOXES = st.lists(st.tuples(PLACE, PLACE, SIDE, SIDE), max_size=40)


@given(BOXES)
def test_a_tree_finds_the_same_pairs(drawn: list[tuple[float, float, float, float]]) -> None:
    x_N, y_N, width_N, height_N = np.array(drawn, float).reshape(-1, 4).T
    boxes_N4 = np.stack([x_N, y_N, x_N + width_N, y_N + height_N], axis=1)
    late, early = overlapping_boxes(boxes_N4)
    found = list(zip(late.tolist(), early.tolist(), strict=True))
    shapes = shapely.box(*boxes_N4.T)
    pairs = shapely.STRtree(shapes).query(shapes, predicate="intersects").T.tolist()
    expected = {
        (one, other)
        for one, other in pairs
        if one > other and shapely.relate_pattern(shapes[one], shapes[other], "T********")
    }
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_no_box_and_one_box_make_no_pair() -> None:
    for boxes_N4 in (np.empty((0, 4)), np.array([[0.0, 0, 1, 1]])):
        assert [each.size for each in overlapping_boxes(boxes_N4)] == [0, 0]
