"""Renders a tilted view of a near-nadir picture from its footprints and their heights.

Every building is raised to a height, and the picture is projected along the line of
sight: a point at height z appears z x tan(off-nadir) further along the azimuth. The
roof moves with its texture, the wall that faces the satellite comes into view and is
painted, and whatever stands in front hides what is behind, ground and neighbours
alike. The truth stays where the buildings touch the ground.

How: for every pixel of the new picture the line of sight is followed down from the
highest roof, half a pixel sideways at a time. The first building that it meets is seen:
from above if the line came in through the roof, from the side otherwise. A line that
meets none ends on the ground. North is up (-row). Axes: B bands, H rows, W columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy import ndimage

from snet4_training.pictures.picture import Picture
from snet4_training.pictures.roofs import displacement_px, roofs_as_seen
from snet4core.errors import UsageError
from snet4core.look.look import Look

STOREY_M = 3.0
"""Height of one row of windows."""


@dataclass(frozen=True, slots=True)
class Surface:
    """A height model of the buildings."""

    building_HW: NDArray[np.int32]
    """0 on the ground, i + 1 where the i-th footprint stands."""
    height_HW: NDArray[np.float32]
    """Metres above the ground; 0 on the ground."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The point on the surface that each pixel of the tilted view shows."""

    row_HW: NDArray[np.int32]
    """Row of the picture straight below the point."""
    col_HW: NDArray[np.int32]
    """Column of the picture straight below the point."""
    height_HW: NDArray[np.float32]
    """Height of the point in metres."""
    wall_HW: NDArray[np.bool_]
    """True where a wall is seen."""
    inside_HW: NDArray[np.bool_]
    """False where the line of sight ends outside of the picture."""


@dataclass(frozen=True, slots=True)
class Sun:
    """Position of the sun, for the shading of walls."""

    azimuth_deg: float = 150.0
    """Direction from the ground to the sun, clockwise from north."""
    strength: float = 0.5
    """Share of the wall's light that depends on its direction, 0..1."""


def surface(picture: Picture, heights_m: NDArray[np.float64]) -> Surface:
    """The height model of the picture's buildings; one height in metres per footprint."""
    if len(heights_m) != len(picture.polygons):
        raise UsageError(
            f"{len(heights_m)} heights for {len(picture.polygons)} footprints; give one each."
        )
    shape = picture.valid_HW.shape
    building_HW = np.zeros(shape, dtype=np.int32)
    if len(heights_m):
        numbered = ((polygon, i + 1) for i, polygon in enumerate(picture.polygons))
        building_HW = rasterize(numbered, out_shape=shape, dtype=np.int32)
    table = np.concatenate([[0.0], heights_m]).astype(np.float32)
    return Surface(building_HW, table[building_HW])


def _shifted(
    layer_HW: NDArray[np.float32], rows: int, cols: int, out_HW: NDArray[np.float32]
) -> NDArray[np.float32]:
    """out[r, c] = layer[r - rows, c - cols], -1 where that lies outside."""
    out_HW.fill(-1.0)
    height, width = layer_HW.shape
    if abs(rows) < height and abs(cols) < width:
        to = slice(max(0, rows), height + min(0, rows)), slice(max(0, cols), width + min(0, cols))
        of = (
            slice(max(0, -rows), height + min(0, -rows)),
            slice(max(0, -cols), width + min(0, -cols)),
        )
        out_HW[to] = layer_HW[of]
    return out_HW


def line_of_sight(ground: Surface, look: Look, gsd_m: float) -> Seen:
    """Follow every pixel's line of sight down to the first thing that it meets."""
    shape = ground.height_HW.shape
    top_m = float(ground.height_HW.max(initial=0.0))
    down_rows, down_cols = displacement_px(1.0, look, gsd_m)
    per_metre_px = math.hypot(down_rows, down_cols)
    # Half a pixel sideways per step: no wall is thin enough to be jumped over. Half a metre
    # down: seen from above, no roof is low enough to be taken for the foot of a wall.
    steps = max(1, math.ceil(2 * per_metre_px * top_m), math.ceil(2 * top_m))
    step_m = top_m / steps
    here_HW = np.empty(shape, dtype=np.float32)
    open_HW = np.ones(shape, dtype=bool)
    row_HW = np.broadcast_to(np.arange(shape[0], dtype=np.int32)[:, None], shape).copy()
    col_HW = np.broadcast_to(np.arange(shape[1], dtype=np.int32)[None, :], shape).copy()
    height_HW = np.zeros(shape, dtype=np.float32)
    wall_HW = np.zeros(shape, dtype=bool)
    for step in range(steps + 1):
        z_m = top_m - step * step_m
        if z_m <= 0:
            break
        rows, cols = round(down_rows * z_m), round(down_cols * z_m)
        met_HW = open_HW & (_shifted(ground.height_HW, rows, cols, here_HW) >= z_m - 1e-4)
        if not met_HW.any():
            continue
        open_HW &= ~met_HW
        # Seen from above when the roof lies within this step, from the side when deeper.
        wall_HW |= met_HW & (here_HW > z_m + step_m)
        row_HW[met_HW] -= rows
        col_HW[met_HW] -= cols
        height_HW[met_HW] = z_m
    # What is left meets the ground; a footprint met there is the foot of a wall.
    wall_HW |= open_HW & (ground.height_HW > 0)
    far_rows, far_cols = abs(round(down_rows * top_m)), abs(round(down_cols * top_m))
    inside_HW = np.ones(shape, dtype=bool)
    # Where a taller roof outside of the picture could stand in the way, nothing is known.
    if down_rows > 0:
        inside_HW[:far_rows] = False
    elif far_rows:
        inside_HW[-far_rows:] = False
    if down_cols > 0:
        inside_HW[:, :far_cols] = False
    elif far_cols:
        inside_HW[:, -far_cols:] = False
    return Seen(row_HW, col_HW, height_HW, wall_HW, inside_HW)


def _wall_light(
    ground: Surface, seen: Seen, sun: Sun, gsd_m: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light on the seen walls (1 = full), and metres along the wall."""
    solid_HW = ndimage.gaussian_filter((ground.building_HW > 0).astype(np.float32), 0.6 / gsd_m)
    north_HW, east_HW = ndimage.sobel(solid_HW, axis=0), -ndimage.sobel(solid_HW, axis=1)
    at = seen.row_HW, seen.col_HW
    north, east = north_HW[at], east_HW[at]
    length = np.hypot(north, east) + 1e-6
    north, east = north / length, east / length
    turn = math.radians(sun.azimuth_deg)
    facing = np.clip(north * math.cos(turn) + east * math.sin(turn), -0.3, 1.0)
    light = 1.0 - sun.strength + sun.strength * facing
    # Along the wall: the direction at a right angle to the way it faces.
    along_m = (seen.col_HW * north + seen.row_HW * east) * gsd_m
    return light.astype(np.float32), along_m.astype(np.float32)


def _wall_counts(
    picture: Picture,
    ground: Surface,
    seen: Seen,
    sun: Sun,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Colours for the walls (B, H, W): each building its own paint, shade and windows."""
    count = int(ground.building_HW.max(initial=0))
    light_HW, along_m = _wall_light(ground, seen, sun, picture.gsd_m)
    building_HW = ground.building_HW[seen.row_HW, seen.col_HW]
    # Plaster, brick or concrete: as bright as the scene's mid to bright surfaces, with a
    # tint that is the same over the bands up to a few percent.
    tone = rng.uniform(0.2, 0.95, count + 1)
    tint = rng.normal(0.0, 0.04, (picture.counts_BHW.shape[0], count + 1))
    warm = rng.uniform(-0.03, 0.2, count + 1) * np.linspace(-1, 1, tint.shape[0])[:, None]
    has_windows = rng.random(count + 1) < 0.7
    storey = (seen.height_HW % STOREY_M) / STOREY_M
    bay = (along_m % rng.uniform(2.0, 3.5)) / 3.0
    window_HW = (storey > 0.3) & (storey < 0.75) & (bay > 0.25) & (bay < 0.65)
    window_HW &= has_windows[building_HW]
    light_HW = light_HW * np.where(window_HW, rng.uniform(0.35, 0.7), 1.0)
    out_BHW = np.zeros(picture.counts_BHW.shape, dtype=np.float32)
    for band, known in enumerate(picture.known):
        if known:
            dark, bright = np.percentile(
                picture.counts_BHW[band][picture.valid_HW][::13], [2.0, 95.0]
            )
            paint = tone * (1.0 + tint[band] + warm[band])
            out_BHW[band] = dark + (bright - dark) * paint[building_HW] * light_HW
    return out_BHW


def leaned(
    picture: Picture,
    heights_m: NDArray[np.float64],
    look: Look,
    rng: np.random.Generator,
    sun: Sun | None = None,
) -> Picture:
    """The picture as seen from `look`; the footprints on the ground stay the same.

    `heights_m` has one height per footprint. Pixels whose line of sight leaves the
    picture become invalid. Sharpness falls with the longer path and the stretched
    pixel, and haze lifts the dark tones. Raises `UsageError` without an azimuth.
    """
    ground = surface(picture, heights_m)
    seen = line_of_sight(ground, look, picture.gsd_m)
    sun = sun or Sun(rng.uniform(0, 360), rng.uniform(0.3, 0.7))
    walls_BHW = _wall_counts(picture, ground, seen, sun, rng)
    at = seen.row_HW, seen.col_HW
    out_BHW = np.zeros(picture.counts_BHW.shape, dtype=np.float32)
    # A pixel grows with 1 / cos along the look and 1 / cos again towards the satellite.
    slant = 1.0 / math.cos(math.radians(look.off_nadir_deg))
    soften_px = 0.25 * math.sqrt(slant**2 - 1.0) * 0.5 / picture.gsd_m
    veil = min(0.35, 0.08 * (slant - 1.0))
    for band, known in enumerate(picture.known):
        if known:
            layer_HW = np.where(seen.wall_HW, walls_BHW[band], picture.counts_BHW[band][at])
            layer_HW = ndimage.gaussian_filter(layer_HW, soften_px)
            haze = np.percentile(layer_HW[picture.valid_HW][::13], 80.0)
            out_BHW[band] = layer_HW + veil * (haze - layer_HW)
    kind = picture.counts_BHW.dtype
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind)  # type: ignore[type-var]  # just tested
        out_BHW = np.rint(np.clip(out_BHW, limits.min, limits.max))
    return Picture(
        counts_BHW=out_BHW.astype(kind),
        known=picture.known,
        valid_HW=picture.valid_HW[at] & seen.inside_HW,
        polygons=picture.polygons,
        look=look,
        gsd_m=picture.gsd_m,
        roofs=roofs_as_seen(picture.polygons, heights_m, look, picture.gsd_m),
        heights_m=heights_m,
    )
