"""Tables with roofs and heights beside footprints, and those without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS

from snet4core.footprints.footprints import (
    FIELDS,
    HEIGHT_FIELDS,
    Footprints,
    Source,
    concatenated,
    from_arrays,
    none_of,
    to_arrays,
)
from snet4core.footprints.ordering import in_order
from snet4core.footprints.polygons import Polygons
from snet4core.footprints.spool import Spool

PLAIN = Source("scene.tif", CRS.from_epsg(32616))
ROOFED = replace(PLAIN, has_roofs=True)


def boxes(count: int, across: float) -> Polygons:
    left_N = np.arange(count) * 9.0 + across
    return np.asarray(shapely.box(left_N, 0, left_N + 8, 5), object)


def table(count: int = 3) -> Footprints:
    """Houses of 0 m, 3.5 m, unknown height, ... whose roofs lie 2 pixels to the right."""
    heights_m_N = np.resize([0.0, 3.5, np.nan], count)
    anchors_N2 = np.stack([np.arange(count), np.zeros(count)], axis=1).astype(np.int64)
    ground, roofs, ones_N = boxes(count, 0.0), boxes(count, 2.0), np.ones(count)
    halves = [np.asarray(shapely.transform(each, lambda xy: xy / 2)) for each in (ground, roofs)]
    return Footprints.of(
        ROOFED, halves[0], ground, anchors_N2, ones_N, ones_N, heights_m_N, halves[1], roofs
    )


def told(found: Footprints) -> list[object]:
    assert found.roofs is not None
    assert found.roofs_px is not None
    return [
        found.roofs.wkb_N.tolist(),
        found.roofs_px.wkb_N.tolist(),
        found.roofs.boxes_N4.tolist(),
        found.height_m_N.tobytes(),
    ]


def test_every_way_through_a_table_keeps_roofs_and_heights() -> None:
    whole = table(5)
    pieces = [whole[:2], whole[np.array([2])], whole[np.arange(5) > 2]]
    assert told(concatenated(ROOFED, pieces)) == told(whole)
    assert told(from_arrays(to_arrays(whole), ROOFED)) == told(whole)
    spool = Spool(ROOFED)
    assert told(spool.read(spool.add(whole))) == told(whole)
    assert told(concatenated(ROOFED, list(in_order(ROOFED, pieces[::-1])))) == told(whole)


def test_buildings_tell_their_height_and_show_their_roof() -> None:
    flat, low, unknown = table()
    assert (flat.height_m, low.height_m, unknown.height_m) == (0.0, 3.5, None)
    assert low.roof is not None
    assert low.roof.equals(shapely.box(5.5, 0, 9.5, 2.5))


def test_a_layer_has_fields_for_heights_exactly_where_a_table_has_roofs() -> None:
    columns = table().columns()
    assert list(columns) == [*FIELDS, *HEIGHT_FIELDS] == list(ROOFED.layer_fields)
    assert columns["height_m"] == [0.0, 3.5, None]
    assert columns["height_source"] == ["map", "map", None]
    assert list(none_of(ROOFED).columns()) == list(ROOFED.layer_fields)
    assert list(none_of(PLAIN).columns()) == list(FIELDS) == list(PLAIN.layer_fields)


def test_tables_without_roofs_are_kept_in_the_arrays_of_before() -> None:
    names = {f"{of}.{what}" for of in ("map", "px") for what in ("wkb", "lengths", "boxes")}
    found = to_arrays(none_of(PLAIN))
    assert set(found) == names | {"anchors", "confidence", "area_m2", "footprint_id"}
    back = from_arrays(found, PLAIN)
    assert back.roofs is None
    assert len(back.height_m_N) == 0


def test_roofs_that_are_missing_are_noticed() -> None:
    with pytest.raises(KeyError):
        from_arrays(to_arrays(none_of(PLAIN)), ROOFED)
    with pytest.raises(ValueError, match="roofs exactly where its source says so"):
        replace(table(), source=PLAIN)
    with pytest.raises(ValueError, match="roofs exactly where its source says so"):
        replace(table(), roofs_px=None)
