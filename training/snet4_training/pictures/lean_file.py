"""`snet4 lean`: writes a tilted view of a near-nadir raster."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from snet4_training.pictures.ground import Ground, footprints_on
from snet4_training.pictures.lean import leaned
from snet4_training.pictures.picture import Picture, wrapped_deg
from snet4core.errors import InputError
from snet4core.files import outputs
from snet4core.files.names import printable
from snet4core.grid import Grid
from snet4core.look.look import STEEPEST_DEG, Look
from snet4core.scene.scene import read_whole

LOWEST_M, HIGHEST_M = 3.0, 12.0
"""Range of random heights for buildings of unknown height: one to four storeys."""


def known_or_drawn(ground: Ground, rng: np.random.Generator) -> NDArray[np.float64]:
    """The height of every footprint in metres: the given one, or a random one."""
    drawn_N = rng.uniform(LOWEST_M, HIGHEST_M, len(ground.polygons))
    if ground.heights_m is None:
        return drawn_N
    return np.where(np.isfinite(ground.heights_m), ground.heights_m, drawn_N)


def lean_file(
    image: Path,
    labels: Path,
    out: Path,
    look: Look,
    height_field: str | None = None,
    seed: int = 0,
    *,
    overwrite: bool = False,
) -> int:
    """Write `image` as seen from `look` to the GeoTIFF `out`; returns the number of buildings.

    Grid, CRS, bands and data type stay the same, and `labels` holds the footprints of the new
    picture, too. Pixels without data are written as 0. The picture is held in memory.

    Raises `InputError` for files that cannot be used, `OutputError` for `out`.
    """
    outputs.check(out, overwrite=overwrite, inputs=(image, labels))
    straight = read_whole(image)
    grid, counts_BHW, transform = straight.grid, straight.counts_BHW, straight.grid.transform
    if transform.b or transform.d or transform.e > 0:
        raise InputError(
            f"{printable(image)} is not north-up; warp it with 'gdalwarp -t_srs CRS IN OUT'."
        )
    if not straight.valid_HW.any():
        raise InputError(f"{printable(image)} has no data to lean; choose another picture.")
    ground = footprints_on(labels, grid, height_field)
    rng = np.random.default_rng(seed)
    seen = _in_pixels(look, grid, printable(image))
    # What stands for no data would spread into what has them, as haze and softness do.
    middle_B = [np.median(band_HW[straight.valid_HW]) for band_HW in counts_BHW]
    filled_BHW = np.where(
        straight.valid_HW, counts_BHW, np.array(middle_B, counts_BHW.dtype)[:, None, None]
    )
    flat = Picture(
        filled_BHW, (True,) * len(counts_BHW), straight.valid_HW, ground.polygons, seen, grid.gsd_m
    )
    tilted = leaned(flat, known_or_drawn(ground, rng), seen, rng)
    tilted_BHW = np.where(tilted.valid_HW, tilted.counts_BHW, 0)
    # Block sizes and compression of the original may not be writable (JPEG in RGB, say).
    rows, cols = grid.shape
    layout = {"driver": "GTiff", "compress": "deflate", "tiled": True, "nodata": 0}
    place = {"height": rows, "width": cols, "crs": grid.crs, "transform": transform}
    pixels = {"count": len(counts_BHW), "dtype": counts_BHW.dtype}
    with (
        outputs.replacing(out, overwrite=overwrite) as (temporary,),
        outputs.driver_errors("leaned picture"),
        rasterio.open(temporary, "w", **place, **pixels, **layout) as file,
    ):
        file.write(tilted_BHW.astype(counts_BHW.dtype))
        file.descriptions, file.colorinterp = straight.names, straight.colours
        file.update_tags(
            OFF_NADIR_DEG=f"{look.off_nadir_deg:g}", AZIMUTH_DEG=f"{look.azimuth_deg:g}"
        )
    return len(ground.polygons)


def _in_pixels(look: Look, grid: Grid, name: str) -> Look:
    """The look from which square pixels, with north up, would show what `look` shows in the grid.

    Pixels of degrees are longer from south to north than from west to east, and up is not north
    in every projection. Such a look has the lean in the grid's pixels, at its middle. Without an
    azimuth it is `look` itself. Raises `InputError`, which names the picture `name`, where long
    pixels would make it steeper than looks may be.
    """
    if look.lean_m is None:
        return look
    rows, cols = grid.shape
    middle = np.array([[cols / 2, rows / 2]])
    right_px, down_px = grid.pixels_of_offset(np.array([look.lean_m]), middle)[0].tolist()
    steep_deg = math.degrees(math.atan(math.hypot(right_px, down_px) * grid.gsd_m))
    if steep_deg > STEEPEST_DEG + 0.01:  # less is rounding, and a projection's scale
        raise InputError(
            f"{name} has pixels that are not square on the ground, too long for so steep a look; "
            "warp it to a UTM zone with 'gdalwarp -t_srs CRS IN OUT'."
        )
    return Look(
        min(steep_deg, STEEPEST_DEG),
        wrapped_deg(math.degrees(math.atan2(right_px, -down_px))),
        look.source,
    )
