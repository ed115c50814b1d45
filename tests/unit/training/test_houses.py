"""Houses of rendered places: plans of many wings, and fences that are no buildings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shapely.geometry import Polygon, box

from snet4_training.scenes import materials as paint
from snet4_training.scenes import yards
from snet4_training.scenes.floor_plans import outline_of, wings
from snet4_training.scenes.homes import houses
from snet4_training.scenes.maker import Maker
from snet4_training.scenes.place import style_of
from snet4_training.scenes.street_plan import Block, Frame, Plan


@pytest.mark.parametrize("seed", range(20))
def test_a_villa_is_one_house_of_many_corners_within_its_lot(seed: int) -> None:
    parts = wings(np.random.default_rng(seed), 50.0, 50.0, 0.0, 18.0, 14.0, "villa")
    outline = outline_of(parts)
    assert 3 <= len(parts) <= 5
    assert len(outline.exterior.coords) > 6
    assert not outline.interiors
    assert box(41, 43, 59, 57).buffer(1e-6).contains(outline)
    assert outline.area > 0.4 * 18 * 14


def test_a_villa_has_slopes_that_face_all_four_ways() -> None:
    """Its ridges run along and across; a box's ridge runs along alone."""
    for seed in range(10):
        parts = wings(np.random.default_rng(seed), 0, 0, 0.0, 18.0, 14.0, "villa")
        assert len({round(part.angle, 3) for part in parts}) == 2


def maker(seed: int, fenced: float) -> Maker:
    """Plans a suburb on straight streets along x and y, from the origin."""
    rng = np.random.default_rng(seed)
    frame = Frame(0.0, (0.0, 0.0), (100.0, 100.0), (0.0, 0.0), 0.0)
    season, style = paint.season(rng), style_of(rng, "suburb")
    return Maker(rng, Plan(), frame, season, replace(style, fenced=fenced, clutter=0.0))


def test_a_fence_stands_around_its_yard_and_is_no_building() -> None:
    m = maker(3, 1.0)
    yards.fence(m, Block(10, 30, 5, 17))
    assert not m.plan.structures
    assert box(*Polygon(m.plan.patches[0].outline).bounds).equals(box(10, 5, 30, 17))
    sides = [Polygon(one.corners()).centroid.coords[0] for one in m.plan.boxes]
    assert np.array(sorted(sides)) == pytest.approx(
        np.array([(10, 11), (20, 5), (20, 17), (30, 11)])
    )
    assert all(1 < one.height_m < 2.2 and one.width_m < 0.4 for one in m.plan.boxes)


@pytest.mark.parametrize("fenced", [0.0, 1.0])
def test_gardens_are_fenced_as_often_as_the_style_says(fenced: float) -> None:
    m = maker(4, fenced)
    houses(m, Block(0, 200, 0, 60))
    thin = [one for one in m.plan.boxes if one.width_m < 0.4]
    assert bool(thin) == bool(fenced)
    assert len(m.plan.structures) > 5


def test_some_suburbs_are_built_by_one_hand() -> None:
    """Large houses of many slopes in few colours."""
    styles = [style_of(np.random.default_rng(seed), "suburb") for seed in range(60)]
    alike = [style for style in styles if style.plans.count("villa") > 2]
    assert 10 < len(alike) < 40
    assert all(min(style.house_m) >= 12 and len(style.palette) <= 3 for style in alike)
