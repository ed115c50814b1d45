"""Projects a place along the line of sight and resolves which surfaces are hidden.

A point at height h appears h * tan(off-nadir) metres from its place on the ground, along
the azimuth. So the cell seen at p at height t is p - t * displacement, and p shows the
HIGHEST t at which the surface there is at least t high: roofs hide ground, tall hides
low, and where the surface is much higher than t the ray has met a wall.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snet4_training.scenes.textures import smooth_noise
from snet4_training.scenes.world import LIT_ONE, OBJECT, PLANT, Floats, Place


@dataclass(frozen=True, slots=True)
class Box:
    """A window in raster cells; may reach beyond the raster."""

    row: int
    col: int
    rows: int
    cols: int


def displacement(off_nadir_deg: float, azimuth_deg: float, cell_m: float) -> tuple[float, float]:
    """Displacement (rows, columns) of a point per metre of height.

    >>> down, right = displacement(45, 90, 0.5)  # roofs lean east
    >>> round(down, 9), round(right, 9)
    (-0.0, 2.0)
    """
    reach = math.tan(math.radians(off_nadir_deg)) / cell_m
    turn = math.radians(azimuth_deg)
    return -math.cos(turn) * reach, math.sin(turn) * reach


def _crop(raster: NDArray[np.generic], box: Box) -> NDArray[np.generic]:
    """The window of a raster (H, W), padded with the raster's edge values."""
    rows, cols = raster.shape[:2]
    if box.row >= 0 and box.col >= 0 and box.row + box.rows <= rows and box.col + box.cols <= cols:
        return raster[box.row : box.row + box.rows, box.col : box.col + box.cols]
    at_r = np.clip(np.arange(box.row, box.row + box.rows), 0, rows - 1)
    at_c = np.clip(np.arange(box.col, box.col + box.cols), 0, cols - 1)
    return raster[at_r[:, None], at_c[None, :]]


def seen(place: Place, off_nadir_deg: float, azimuth_deg: float, box: Box) -> Floats:
    """Light that comes from a window of the place at a look: (rows, cols, 4), 1 = white.

    `box` is in raster cells with (0, 0) at the raster's corner.
    """
    down, right = displacement(off_nadir_deg, azimuth_deg, place.cell_m)
    per_m = max(abs(down), abs(right), 1e-6)
    reach = math.ceil(int(place.height_HW.max()) / 100 * per_m) + 1
    wide = Box(box.row - reach, box.col - reach, box.rows + 2 * reach, box.cols + 2 * reach)
    height = np.ascontiguousarray(_crop(place.height_HW, wide))
    # One level for every cell of displacement; what is nearest to it is seen there.
    levels = np.arange(math.floor(int(height.max()) / 100 * per_m + 0.5) + 1, dtype=np.float32)
    step_cm = 100 / per_m
    shift_r = np.round(levels * (down / per_m)).astype(np.intp)
    shift_c = np.round(levels * (right / per_m)).astype(np.intp)
    level = _march(height, reach, step_cm, shift_r, shift_c, (box.rows, box.cols))
    at = (np.arange(box.rows, dtype=np.int32) + reach)[:, None] * np.int32(wide.cols)
    at = at + (np.arange(box.cols, dtype=np.int32) + reach)[None, :]
    at -= (shift_r * wide.cols + shift_c).astype(np.int32)[level]
    surface = _crop(place.lit_HWC.view(np.uint64)[..., 0], wide)
    picture = np.ascontiguousarray(surface).reshape(-1)[at]
    out: Floats = picture.view(np.uint16).reshape(box.rows, box.cols, 4).astype(np.float32)
    out *= np.float32(1 / LIT_ONE)
    met_cm = (levels * np.float32(step_cm))[level]
    under = np.flatnonzero(height.reshape(-1)[at] - met_cm > 0.5 * step_cm)
    if under.size:
        rays = Rays(under, at.reshape(-1)[under], met_cm.reshape(-1)[under])
        before = rays.cell_N - (round(down / per_m) * wide.cols + round(right / per_m))
        slope_cm = 90 * place.cell_m  # what a steep roof rises within a cell
        rays = rays.taken(_steep(height.reshape(-1), rays, before, slope_cm, 0.5 * step_cm))
        _paint_sides(place, out.reshape(-1, 4), rays, box, wide, height)
    return out


@dataclass(frozen=True, slots=True)
class Rays:
    """Pixels whose line of sight ends at a wall, N of them."""

    pixel_N: NDArray[np.intp]
    """Index into the picture."""
    cell_N: NDArray[np.int32]
    """Index into the window of the raster."""
    met_cm_N: Floats
    """Height above the ground at which the wall is met."""

    def taken(self, which: NDArray[np.bool_]) -> Rays:
        """The selected rays."""
        return Rays(self.pixel_N[which], self.cell_N[which], self.met_cm_N[which])


def _steep(
    tops: NDArray[np.int16], rays: Rays, before: NDArray[np.int32], slope_cm: float, half_cm: float
) -> NDArray[np.bool_]:
    """Which rays met a wall and no mere slope: it stands high above where the ray met it,
    or there is a deep drop in the cell `before` it, from where the ray came."""
    above = tops[rays.cell_N] - rays.met_cm_N > half_cm + slope_cm
    drop = tops[np.clip(before, 0, tops.size - 1)] < rays.met_cm_N - half_cm - slope_cm
    return np.asarray(above | drop)


def _march(
    height: NDArray[np.int16],
    reach: int,
    step_cm: float,
    shift_r: NDArray[np.intp],
    shift_c: NDArray[np.intp],
    shape: tuple[int, int],
) -> NDArray[np.unsignedinteger[Any]]:
    """The highest level at which each pixel meets the surface.

    While much of the land is higher than a level, whole windows are compared; above
    that, only the few cells that still stand out are carried over.
    """
    rows, cols = shape
    count = len(shift_r)
    kind = np.uint8 if count <= 256 else np.uint16
    level = np.zeros(shape, dtype=kind)
    higher = np.empty(shape, dtype=np.bool_)
    lowest_cm = [math.ceil((k - 0.5) * step_cm) for k in range(count)]
    sparse_from_cm = float(np.percentile(height[::7, ::7], 90)) + 50
    k = 1
    while k < count and lowest_cm[k] <= sparse_from_cm:
        r, c = reach - int(shift_r[k]), reach - int(shift_c[k])
        np.greater_equal(height[r : r + rows, c : c + cols], lowest_cm[k], out=higher)
        np.maximum(level, higher.view(np.uint8) * kind(k), out=level)
        k += 1
    if k >= count:
        return level
    width = height.shape[1]
    padded = np.zeros(height.shape, dtype=kind)
    inner = (slice(reach, reach + rows), slice(reach, reach + cols))
    padded[inner] = level
    flat, tops = padded.reshape(-1), height.reshape(-1)
    cells = np.flatnonzero(tops >= lowest_cm[k])
    tops = tops[cells]
    while k < count and cells.size:
        keep = tops >= lowest_cm[k]
        cells, tops = cells[keep], tops[keep]
        to = cells + (int(shift_r[k]) * width + int(shift_c[k]))
        flat[to[(to >= 0) & (to < flat.size)]] = k
        k += 1
    return padded[inner]


_LEAVES_CELLS = 256


@lru_cache(maxsize=1)
def _leaves() -> Floats:
    """Brightness (cells, cells) of leaves on the flanks of crowns, repeated over the picture.

    The same for every place and window, so that a part is rendered as in the whole.
    """
    rng, shape = np.random.default_rng(0), (_LEAVES_CELLS, _LEAVES_CELLS)
    noise = 0.24 * smooth_noise(rng, shape, 3.5) + 0.12 * smooth_noise(rng, shape, 9)
    return np.exp(noise).astype(np.float32)


def _paint_sides(
    place: Place, out_NC: Floats, rays: Rays, box: Box, wide: Box, height: NDArray[np.int16]
) -> None:
    """Walls with windows; the flanks of trees and cars are their top in less light."""
    owner = np.ascontiguousarray(_crop(place.owner_HW, wide)).reshape(-1)[rays.cell_N]
    soft = owner >= OBJECT
    if soft.any():
        flank = rays.taken(soft)
        rise = flank.met_cm_N / np.maximum(height.reshape(-1)[flank.cell_N], 1)
        dim = 0.45 + 0.4 * rise
        # Below its crown a tree is mostly shadow.
        plant = owner[soft] == PLANT
        dim[plant & (rise < 0.3)] = 0.35
        # Clusters of leaves, so that a flank is no smear of the crown's colour.
        row, col = flank.pixel_N // box.cols + box.row, flank.pixel_N % box.cols + box.col
        leaves = _leaves()[row % _LEAVES_CELLS, col % _LEAVES_CELLS]
        dim = np.where(plant, dim * leaves, dim)
        out_NC[flank.pixel_N] *= dim.astype(np.float32)[:, None]
    hard = (owner > 0) & ~soft
    if hard.any():
        walls = rays.taken(hard)
        index = owner[hard].astype(np.intp) - 1
        out_NC[walls.pixel_N] = _walls(place, walls, index, wide, height)


def _walls(
    place: Place, rays: Rays, index: NDArray[np.intp], wide: Box, height: NDArray[np.int16]
) -> Floats:
    """Light (N, 4) from walls of the buildings `index`: paint, windows, sun or shadow."""
    facades, sun = place.facades, place.sun
    at, met_cm = rays.cell_N, rays.met_cm_N
    angle = facades.angle_N[index]
    down, right = _outward(height, at, met_cm)
    # A wall stands square to its building, whatever the cells at its corner say.
    quarters = np.round((np.arctan2(down, right) - angle) / (math.pi / 2))
    turn = quarters * (math.pi / 2) + angle
    nx, ny = np.cos(turn), np.sin(turn)
    east, south, up = sun.direction
    facing = np.clip(nx * east + ny * south, 0, None) / up
    width = height.shape[1]
    before = at + np.round(ny * 3).astype(np.int32) * width + np.round(nx * 3).astype(np.int32)
    before = np.clip(before, 0, height.size - 1)
    ceiling = np.ascontiguousarray(_crop(place.ceiling_HW, wide)).reshape(-1)[before]
    direct = (np.minimum(facing, 2.5) * (ceiling < met_cm)).astype(np.float32)
    row, col = at // width + wide.row, at % width + wide.col
    bay = np.mod((row * nx - col * ny) * place.cell_m / facades.bay_N[index], 1.0)
    floor = np.mod(met_cm / 300.0, 1.0)
    window = (bay < facades.glass_N[index]) & (floor > 0.3) & (floor < 0.75)
    seen_C = np.where(window, 1 - facades.dark_N[index], 1.0).astype(np.float32)[:, None]
    ambient = sun.ambient_C
    light = np.float32(0.75) * ambient[None, :] + (1 - ambient)[None, :] * direct[:, None]
    out: Floats = facades.colour_NC[index] * light * seen_C
    return out


def _outward(
    height: NDArray[np.int16], at: NDArray[np.int32], met_cm: Floats
) -> tuple[Floats, Floats]:
    """Direction (rows, columns) from a wall's cell to the open, from where it is lower."""
    width = height.shape[1]
    tops = height.reshape(-1)
    down = np.zeros(at.shape, dtype=np.float32)
    right = np.zeros(at.shape, dtype=np.float32)
    for step in range(12):
        turn = step * math.pi / 6
        dr, dc = round(4 * math.sin(turn)), round(4 * math.cos(turn))
        there = np.clip(at + (dr * width + dc), 0, tops.size - 1)
        lower = tops[there] < met_cm
        down += lower * np.float32(dr)
        right += lower * np.float32(dc)
    return down, right
