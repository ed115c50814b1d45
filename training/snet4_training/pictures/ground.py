"""Reads footprints onto a pixel grid, and merges small neighbouring rasters into one picture.

Axes: B bands, H rows, W columns, N footprints.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.merge import merge

from snet4_training.pictures.picture import VISIBLE, Picture
from snet4_training.pictures.targets import Polygons
from snet4core.errors import InputError
from snet4core.files.names import printable
from snet4core.grid import Grid
from snet4core.layers.read import geometry_of, read_layer
from snet4core.layers.reproject import reprojected
from snet4core.look.look import Look
from snet4core.scene.door import admit
from snet4core.scene.scene import open_scene


@dataclass(frozen=True, slots=True)
class Ground:
    """Outlines of buildings in the pixels of a grid, with their heights."""

    polygons: Polygons
    """Valid polygons that touch the grid."""
    heights_m: NDArray[np.float64] | None
    """The height of each in metres, NaN where it is unknown; None without a height field."""


def footprints_on(
    labels: Path, grid: Grid, height_field: str | None = None, margin_px: float = 0.0
) -> Ground:
    """The polygons of a vector file in the grid's pixels; invalid rings are repaired.

    Those are kept that come within `margin_px` of the grid. Raises `InputError` for a file that
    cannot be read, or without that field.
    """
    layer = read_layer(labels)
    crs = layer.crs or CRS.from_epsg(4326)
    if height_field and height_field not in layer.fields:
        raise InputError(
            f"{labels} has no field '{height_field}'; it has {', '.join(layer.fields) or 'none'}."
        )
    read = [
        (geometry_of(geometry, str(labels), row), values.get(height_field or ""))
        for row, (geometry, values) in enumerate(layer.features, start=1)
        if geometry is not None
    ]
    shapes = np.array([geometry for geometry, _ in read], dtype=object)
    heights = [_metres(labels, value, height_field) for _, value in read]
    # Twice: a repaired ring may come as a collection that holds a MultiPolygon.
    parts, first = shapely.get_parts(shapely.make_valid(shapes), return_index=True)
    parts, second = shapely.get_parts(parts, return_index=True)
    placed = reprojected(parts, crs, grid.crs, printable(labels))
    moved = shapely.transform(placed, lambda points: grid.to_pixels(_turned(points, grid)))
    rows, cols = grid.shape
    frame = shapely.box(-margin_px, -margin_px, cols + margin_px, rows + margin_px)
    # Repaired slivers become lines and points.
    keep = shapely.intersects(moved, frame) & (shapely.area(moved) > 0)
    of_part = np.array(heights, dtype=np.float64)[first][second]
    return Ground(moved[keep], of_part[keep] if height_field else None)


def _metres(labels: Path, value: Any, height_field: str | None) -> float:
    if value is None or not height_field:
        return float("nan")
    try:
        height_m = float(value)
    except (TypeError, ValueError) as problem:
        raise InputError(
            f"{labels}: the height {value!r} in field '{height_field}' is not a number of metres."
        ) from problem
    if height_m < 0:
        raise InputError(
            f"{labels}: the height {height_m:g} in field '{height_field}' is below 0; heights are "
            "metres above the ground, and NULL where they are unknown."
        )
    return height_m


def _turned(points_N2: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Longitudes within half a turn of a grid in degrees, which may go on beyond 180."""
    if not grid.crs.is_geographic:
        return points_N2
    rows, cols = grid.shape
    [[middle_deg, _]] = grid.to_map(np.array([[cols / 2, rows / 2]]))
    lon_N, lat_N = points_N2.T
    return np.column_stack([lon_N - 360 * np.round((lon_N - middle_deg) / 360), lat_N])


def averaged(
    counts_BHW: NDArray[np.generic], valid_HW: NDArray[np.bool_], factor: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Means over `factor` x `factor` pixels, valid where all of these are."""
    rows, cols = valid_HW.shape[0] // factor, valid_HW.shape[1] // factor
    trimmed_BHW = counts_BHW[:, : rows * factor, : cols * factor].astype(np.float32)
    bands = counts_BHW.shape[0]
    mean_BHW: NDArray[np.float32] = trimmed_BHW.reshape(bands, rows, factor, cols, factor).mean(
        axis=(2, 4)
    )
    whole_HW = valid_HW[: rows * factor, : cols * factor].reshape(rows, factor, cols, factor)
    return mean_BHW, np.asarray(whole_HW.all(axis=(1, 3)))


def tile_at(path: Path) -> rasterio.DatasetReader:
    """Open a raster with the one driver that fits its first bytes; `InputError` if none may.

    Its sidecars are seen: tiles of drone mosaics are placed by them.
    """
    try:
        return rasterio.open(path, driver=admit(path).driver)
    except RasterioError as problem:
        raise InputError(
            f"{path}: the picture cannot be read ({problem}); copy or download it again."
        ) from problem


def _visible_bands(rasters: list[Path]) -> list[int]:
    """Which bands are red, green and blue, as in `snet4 run`; `InputError` if rasters differ."""
    orders = {open_scene(path, model_bands=VISIBLE).bands.file_bands for path in rasters}
    if len(orders) > 1:
        raise InputError(
            f"{rasters[0].parent}: the rasters do not fit (the order of their bands differs); "
            "write them anew with one order, as with 'gdal_translate -b N IN OUT'."
        )
    return [band for band in orders.pop() if band is not None]


def mosaic(
    rasters: list[Path], labels: Path, bands: tuple[str, ...], factor: int, look: Look
) -> Picture:
    """Neighbouring rasters merged into one picture in the model's band order.

    Pixels are averaged to `factor` times their size; single chips of a drone mosaic would be too
    small for that. Red, green and blue are read, as the rasters name them; others (infrared) are
    unknown. Raises `InputError` for rasters that cannot be read, or not as one picture.
    """
    try:
        sources = [tile_at(path) for path in rasters]
        crs = sources[0].crs
        masked_BHW, transform = merge(sources, masked=True, indexes=_visible_bands(rasters))
    except RasterioError as problem:
        raise InputError(
            f"{rasters[0].parent}: the rasters do not fit ({problem}); write them anew with one "
            "CRS and pixel size, as with 'gdalwarp -t_srs CRS -tr X Y IN OUT'."
        ) from problem
    for source in sources:
        source.close()
    grid = Grid(masked_BHW.shape[1:], transform, crs)
    covered_HW = np.asarray(~np.ma.getmaskarray(masked_BHW).any(axis=0))
    coarse_BHW, valid_HW = averaged(masked_BHW.filled(0), covered_HW, factor)
    nothing_HW = np.zeros_like(coarse_BHW[0])
    ordered = [coarse_BHW[VISIBLE.index(b)] if b in VISIBLE else nothing_HW for b in bands]
    counts_BHW = np.stack(ordered)
    if np.issubdtype(masked_BHW.dtype, np.integer):
        counts_BHW = np.rint(counts_BHW)
    return Picture(
        counts_BHW=counts_BHW.astype(masked_BHW.dtype),
        known=tuple(name in VISIBLE for name in bands),
        valid_HW=valid_HW,
        polygons=footprints_on(labels, grid.scaled(factor)).polygons,
        look=look,
        gsd_m=grid.gsd_m * factor,
    )
