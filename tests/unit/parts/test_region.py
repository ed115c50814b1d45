"""The region that is searched."""

from __future__ import annotations

import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from snet4core.errors import InputError
from snet4core.grid import Grid
from snet4core.parts.region import Region

GRID = Grid((10, 10), Affine(1, 0, 0, 0, -1, 10), CRS.from_epsg(32616))


def test_two_areas_are_searched_where_both_are() -> None:
    region = Region.of(GRID, [shapely.box(0, 0, 6, 6), shapely.box(4, 4, 9, 9)])
    assert region.area_px is not None
    assert region.area_px.bounds == (4, 4, 6, 6)


@pytest.mark.parametrize("empty", [shapely.box(7, 7, 9, 9), shapely.Polygon()])
def test_two_areas_apart_are_refused_in_words(empty: shapely.Polygon) -> None:
    with pytest.raises(InputError, match="--bounds and --aoi have no ground in common"):
        Region.of(GRID, [shapely.box(0, 0, 6, 6), empty])
