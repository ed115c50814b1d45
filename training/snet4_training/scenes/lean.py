"""What a satellite sees of a place: the sweep that decides which surface hides which.

A point at height h appears h * tan(off-nadir) metres from its place on the ground, along
the azimuth. So the cell seen at p at height t is p - t * displacement, and p shows the
HIGHEST t at which the surface there is at least t high: roofs hide ground, tall hides
low, and where the surface is much higher than t the ray has met a wall.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4_training.scenes.world import LIT_ONE, OBJECT, PLANT, Floats, Place

_STEP_CELLS = 0.7
"""The sweep moves by less than a cell per level, so that no wall has holes."""
_MOST_LEVELS = 250


@dataclass(frozen=True, slots=True)
class Box:
    """A window in raster cells; may reach beyond the raster."""

    row: int
    col: int
    rows: int
    cols: int


def displacement(off_nadir_deg: float, azimuth_deg: float, cell_m: float) -> tuple[float, float]:
    """How far (rows, columns) a point moves per metre of height.

    >>> down, right = displacement(45, 90, 0.5)  # roofs lean east
    >>> round(down, 9), round(right, 9)
    (-0.0, 2.0)
    """
    reach = math.tan(math.radians(off_nadir_deg)) / cell_m
    turn = math.radians(azimuth_deg)
    return -math.cos(turn) * reach, math.sin(turn) * reach


def _crop(raster: NDArray[np.generic], box: Box) -> NDArray[np.generic]:
    """The window of a raster (H, W), repeated at the raster's edge."""
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
    reach = int(np.ceil(int(place.height_HW.max()) / 100 * max(abs(down), abs(right)))) + 1
    wide = Box(box.row - reach, box.col - reach, box.rows + 2 * reach, box.cols + 2 * reach)
    height = np.ascontiguousarray(_crop(place.height_HW, wide))
    level, steps = _sweep(height, reach, (box.rows, box.cols), math.hypot(down, right))
    shift_r = np.round(down * steps).astype(np.intp)
    shift_c = np.round(right * steps).astype(np.intp)
    level = _march(height, level, reach, steps, shift_r, shift_c, (box.rows, box.cols))
    width = wide.cols
    at = (np.arange(box.rows, dtype=np.int32) + reach)[:, None] * np.int32(width) + (
        np.arange(box.cols, dtype=np.int32) + reach
    )[None, :]
    at -= (shift_r * width + shift_c).astype(np.int32)[level]
    surface = _crop(place.lit_HWC.view(np.uint64)[..., 0], wide)
    picture = np.ascontiguousarray(surface).reshape(-1)[at]
    out: Floats = picture.view(np.uint16).reshape(box.rows, box.cols, 4).astype(np.float32)
    out *= np.float32(1 / LIT_ONE)
    met = (steps * 100).astype(np.float32)[level]
    gap = height.reshape(-1)[at] - met
    step_cm = float(steps[1] * 100) if len(steps) > 1 else 1e6
    side = np.flatnonzero((gap > step_cm + 40) & (level > 0))
    if side.size:
        _paint_sides(
            place,
            out.reshape(-1, 4),
            side,
            at.reshape(-1)[side],
            met.reshape(-1)[side],
            wide,
            height,
        )
    return out


def _sweep(
    height: NDArray[np.int16], reach: int, shape: tuple[int, int], cells_per_m: float
) -> tuple[NDArray[np.uint8], Floats]:
    """An empty level map, and the heights (metres) of the levels to try, 0 first."""
    top_m = int(height.max()) / 100
    level = np.zeros(shape, dtype=np.uint8)
    if cells_per_m * top_m < 0.5:
        return level, np.zeros(1, dtype=np.float32)
    step_m = max(_STEP_CELLS / cells_per_m, top_m / _MOST_LEVELS)
    return level, np.arange(0, top_m + 1e-6, step_m, dtype=np.float32)


def _march(
    height: NDArray[np.int16],
    level: NDArray[np.uint8],
    reach: int,
    steps: Floats,
    shift_r: NDArray[np.intp],
    shift_c: NDArray[np.intp],
    shape: tuple[int, int],
) -> NDArray[np.uint8]:
    """The highest level at which each pixel meets the surface.

    While much of the land is higher than a level, whole windows are compared; above
    that, only the few cells that still stand out are carried over.
    """
    rows, cols = shape
    higher = np.empty(shape, dtype=np.bool_)
    k = 1
    sparse_from = np.percentile(height[::7, ::7], 90) / 100 + 0.5
    while k < len(steps) and steps[k] <= sparse_from:
        r, c = reach - int(shift_r[k]), reach - int(shift_c[k])
        np.greater_equal(height[r : r + rows, c : c + cols], int(steps[k] * 100), out=higher)
        np.maximum(level, higher.view(np.uint8) * np.uint8(k), out=level)
        k += 1
    if k >= len(steps):
        return level
    width = height.shape[1]
    padded = np.zeros(height.shape, dtype=np.uint8)
    inner = (slice(reach, reach + rows), slice(reach, reach + cols))
    padded[inner] = level
    flat, tops = padded.reshape(-1), height.reshape(-1)
    cells = np.flatnonzero(tops >= int(steps[k] * 100))
    tops = tops[cells]
    while k < len(steps) and cells.size:
        keep = tops >= int(steps[k] * 100)
        cells, tops = cells[keep], tops[keep]
        to = cells + (int(shift_r[k]) * width + int(shift_c[k]))
        flat[to[(to >= 0) & (to < flat.size)]] = k
        k += 1
    return padded[inner]


def _paint_sides(
    place: Place,
    out_NC: Floats,
    side: NDArray[np.intp],
    at: NDArray[np.int32],
    met_cm: Floats,
    wide: Box,
    height: NDArray[np.int16],
) -> None:
    """Walls with windows; the flanks of trees and cars are their top in less light."""
    owner = np.ascontiguousarray(_crop(place.owner_HW, wide)).reshape(-1)[at]
    soft = owner >= OBJECT
    if soft.any():
        rise = met_cm[soft] / np.maximum(height.reshape(-1)[at[soft]], 1)
        dim = 0.40 + 0.32 * rise
        # Below its crown a tree is mostly shadow.
        dim[(owner[soft] == PLANT) & (rise < 0.35)] = 0.25
        out_NC[side[soft]] *= dim.astype(np.float32)[:, None]
    hard = (owner > 0) & ~soft
    if not hard.any():
        return
    at, met_cm, side, index = at[hard], met_cm[hard], side[hard], owner[hard].astype(np.intp) - 1
    facades, sun = place.facades, place.sun
    angle = facades.angle_N[index]
    down, right = _outward(height, at, met_cm)
    quarters = np.round((np.arctan2(down, right) - angle) / (math.pi / 2))
    turn = quarters * (math.pi / 2) + angle
    nx, ny = np.cos(turn), np.sin(turn)
    east, south, up = sun.direction
    facing = np.clip(nx * east + ny * south, 0, None) / up
    width = height.shape[1]
    before = at + np.round(ny * 3).astype(np.int32) * width + np.round(nx * 3).astype(np.int32)
    before = np.clip(before, 0, height.size - 1)
    ceiling = np.ascontiguousarray(_crop(place.ceiling_HW, wide)).reshape(-1)[before]
    direct = np.minimum(facing, 2.5) * (ceiling < met_cm)
    row, col = at // width, at % width
    run_m = (row * nx - col * ny) * place.cell_m
    bay = np.mod(run_m / facades.bay_N[index], 1.0)
    floor = np.mod(met_cm / 300.0, 1.0)
    window = (bay < facades.glass_N[index]) & (floor > 0.3) & (floor < 0.75)
    dark = np.where(window, 1 - facades.dark_N[index], 1.0).astype(np.float32)
    ambient = sun.ambient_C
    light = 0.75 * ambient[None, :] + (1 - ambient)[None, :] * direct[:, None].astype(np.float32)
    out_NC[side] = facades.colour_NC[index] * light * dark[:, None]


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
