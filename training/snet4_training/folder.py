"""Real pictures with footprints: chips of one folder, put together and made ready.

A folder of rasters and one vector file of footprints becomes one `Picture`, because
neighbouring chips of a drone mosaic are too small alone once they are made coarser.
"""

from __future__ import annotations

from pathlib import Path

import fiona
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.merge import merge
from rasterio.warp import transform_geom
from shapely.geometry import shape as geometry_of

from snet4_training.pictures import Picture
from snet4_training.targets import Polygons
from snet4core.errors import InputError
from snet4core.grid import Grid
from snet4core.look import Look


def polygons_in_pixels(labels: Path, grid: Grid) -> Polygons:
    """The footprints of a vector file in the grid's pixels; broken rings are mended."""
    with fiona.open(labels) as layer:
        crs = layer.crs_wkt or "EPSG:4326"
        shapes = [
            geometry_of(transform_geom(crs, grid.crs, feature.geometry.__geo_interface__))
            for feature in layer
            if feature.geometry is not None
        ]
    parts = shapely.get_parts(shapely.make_valid(np.array(shapes, dtype=object)))
    # A mended ring may come as a collection with a stray line in it.
    parts = shapely.get_parts(parts)
    parts = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    in_pixels = shapely.transform(parts, lambda xy: grid.to_pixels(xy))
    frame = shapely.box(0, 0, grid.shape[1], grid.shape[0])
    kept: Polygons = in_pixels[shapely.intersects(in_pixels, frame)]
    return kept


def averaged(
    counts_BHW: NDArray[np.generic], valid_HW: NDArray[np.bool_], factor: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Means over `factor` x `factor` pixels; a pixel is valid when all of its parts are."""
    rows, cols = valid_HW.shape[0] // factor, valid_HW.shape[1] // factor
    trimmed_BHW = counts_BHW[:, : rows * factor, : cols * factor].astype(np.float32)
    bands = counts_BHW.shape[0]
    mean_BHW: NDArray[np.float32] = trimmed_BHW.reshape(bands, rows, factor, cols, factor).mean(
        axis=(2, 4)
    )
    whole_HW = valid_HW[: rows * factor, : cols * factor].reshape(rows, factor, cols, factor)
    return mean_BHW, np.asarray(whole_HW.all(axis=(1, 3)))


def mosaic(
    rasters: list[Path], labels: Path, bands: tuple[str, ...], factor: int, look: Look
) -> Picture:
    """Neighbouring RGB rasters as one picture in the model's band order, `factor` coarser.

    Bands that the rasters do not have (infrared) are unknown. Raises `InputError` when
    there is no raster.
    """
    if not rasters:
        raise InputError(f"No rasters to train on beside {labels}; check the folder's path.")
    sources = [rasterio.open(path) for path in rasters]
    try:
        masked_BHW, transform = merge(sources, masked=True)
        crs = sources[0].crs
    finally:
        for source in sources:
            source.close()
    grid = Grid(masked_BHW.shape[1:], transform, crs)
    covered_HW = np.asarray(~np.ma.getmaskarray(masked_BHW).any(axis=0))
    coarse_BHW, valid_HW = averaged(masked_BHW.filled(0), covered_HW, factor)
    of_file = {"red": 0, "green": 1, "blue": 2}
    known = tuple(name in of_file for name in bands)
    ordered = [coarse_BHW[of_file.get(name, 0)] * (name in of_file) for name in bands]
    return Picture(
        counts_BHW=np.rint(np.stack(ordered)).astype(np.uint8),
        known=known,
        valid_HW=valid_HW,
        polygons=polygons_in_pixels(labels, grid.scaled(factor)),
        look=look,
        gsd_m=grid.gsd_m * factor,
    )
