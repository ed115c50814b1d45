"""Tables with roofs and heights, made by hand: a small town seen at 45 degrees to the north."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from snet4core.footprints.footprints import Footprints, Source
from snet4core.grid import Grid
from snet4core.look.look import Look

UTM = CRS.from_epsg(32616)
NORTH_UP = Affine(0.5, 0, 733601, 0, -0.5, 3724689)
COURTYARD = shapely.box(100, 20, 150, 60).difference(shapely.box(120, 30, 130, 40))
HOUSES = [COURTYARD, *(shapely.box(x, 100, x + 20, 112) for x in range(0, 300, 30))]
HEIGHTS_M = [12.0, 3.5, np.nan, 7.1, 0.0, 25.0, 3.5, np.nan, 6.0, 15.0, 40.2]
"""Heights of `HOUSES`, in metres."""


def town(
    scene: str = "town.tif",
    crs: CRS = UTM,
    transform: Affine = NORTH_UP,
    houses: list[shapely.Polygon] | None = None,
    heights_m: list[float] | None = None,
    *,
    has_roofs: bool = True,
) -> Footprints:
    """Numbered footprints; each roof lies as far north as it is high, those of unknown height at
    the footprint. Without roofs: the same houses as a model without heights gives them."""
    look = Look(45.0, 0.0, "option")
    source = Source(scene, crs, look, "default", has_roofs=has_roofs)
    ground_px_N = np.array(HOUSES if houses is None else houses, object)
    heights_m_N = np.array(HEIGHTS_M if heights_m is None else heights_m, np.float64)
    grid = Grid((900, 900), transform, crs)
    roofs_px_N = np.array(
        [
            shapely.transform(house, lambda xy, up=up: xy - [0, up])
            for house, up in zip(ground_px_N, np.nan_to_num(heights_m_N) / 0.5, strict=True)
        ],
        object,
    )
    on_map = [
        shapely.orient_polygons(shapely.transform(each, grid.to_map), exterior_cw=False)
        for each in (ground_px_N, roofs_px_N)
    ]
    bounds_N4 = shapely.bounds(ground_px_N).reshape(-1, 4)
    table = Footprints.of(
        source,
        np.asarray(on_map[0], object),
        ground_px_N,
        bounds_N4[:, [1, 0]].astype(np.int64),
        np.linspace(0.5, 0.9, len(ground_px_N)).round(4),
        (shapely.area(ground_px_N) * 0.25).round(2),
        heights_m_N if has_roofs else None,
        np.asarray(on_map[1], object) if has_roofs else None,
        roofs_px_N if has_roofs else None,
    )
    return replace(table, footprint_id_N=np.arange(1, len(table) + 1))
