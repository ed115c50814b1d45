"""Draws trees from stamps: a few crowns of each size, each used many times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4_training.scenes import materials as paint
from snet4_training.scenes.canvas import Canvas
from snet4_training.scenes.roofs import slope_light
from snet4_training.scenes.textures import smooth_noise
from snet4_training.scenes.world import OBJECT, PLANT, Box, Floats, Plant, Sun

_VARIANTS = 6


@dataclass(frozen=True, slots=True)
class Stamp:
    """A crown of radius `half` cells; height relative to the tree's (0..1)."""

    half: int
    height_HW: Floats
    solid_HW: NDArray[np.bool_]
    shade_HW: Floats
    tone_HW: Floats


def _stamp(
    rng: np.random.Generator, half: int, cell_m: float, bare: bool, conic: bool, sun: Sun
) -> Stamp:
    side = np.arange(-half, half + 1, dtype=np.float32) / np.float32(half + 0.5)
    reach = np.hypot(side[:, None], side[None, :])
    shape = reach.shape
    turn = np.arctan2(side[:, None], side[None, :])
    edge = (
        0.85
        + 0.12 * np.sin(2 * turn + rng.uniform(0, 6))
        + 0.08 * np.sin(5 * turn + rng.uniform(0, 6))
    )
    reach = reach / edge + 0.10 * smooth_noise(rng, shape, max(half / 3, 1))
    dome = np.clip(1 - reach, 0, 1) if conic else np.sqrt(np.clip(1 - reach * reach, 0, 1))
    # A crown is a heap of clusters of leaves, each lit on one side.
    cluster = smooth_noise(rng, shape, max(0.8 / cell_m, 1))
    bumps = 0.09 * smooth_noise(rng, shape, max(half / 3, 1)) + 0.05 * cluster
    height = np.clip(0.5 + 0.42 * dome + bumps, 0.1, 1.1).astype(np.float32)
    solid = reach < 1
    if bare:
        solid &= rng.random(shape) < 0.45
    radius_m = half * cell_m
    shade = slope_light(height * np.float32(0.9 * radius_m), cell_m, sun)
    tone = np.exp(
        0.06 * smooth_noise(rng, shape, 1)
        + 0.13 * cluster
        + 0.12 * smooth_noise(rng, shape, max(half / 2, 1))
    )
    # Light also comes through the leaves.
    return Stamp(
        half, height, solid, np.clip(0.35 + 0.6 * shade, 0.35, 1.4).astype(np.float32), tone
    )


def plant_all(
    canvas: Canvas, plants: list[Plant], rng: np.random.Generator, season: paint.Season, sun: Sun
) -> None:
    """Draw all trees onto the canvas, except on roofs and roads."""
    stamps: dict[tuple[int, int, int], Stamp] = {}
    rows, cols = canvas.owner_HW.shape
    for plant in plants:
        row, col = canvas.cells(plant.x_m, plant.y_m)
        half = max(1, round(plant.radius_m * canvas.per_m))
        if not (half < row < rows - half - 1 and half < col < cols - half - 1):
            continue
        if canvas.paved_HW[row, col]:
            continue
        key = (half, plant.species, int(rng.integers(_VARIANTS)))
        if key not in stamps:
            bare = season.leafless_S[plant.species]
            stamps[key] = _stamp(rng, half, 1 / canvas.per_m, bare, plant.species == 3, sun)
        hue = rng.normal(0, 0.16) + rng.normal(0, 0.05, 4)
        colour = season.crowns_SC[plant.species] * np.exp(hue)
        _press(canvas, stamps[key], row, col, plant.height_m, colour.astype(np.float32))


def _press(
    canvas: Canvas, stamp: Stamp, row: int, col: int, height_m: float, colour: Floats
) -> None:
    box = (
        slice(row - stamp.half, row + stamp.half + 1),
        slice(col - stamp.half, col + stamp.half + 1),
    )
    top = stamp.height_HW * np.float32(height_m)
    where = stamp.solid_HW & (top > canvas.height_HW[box])
    canvas.height_HW[box][where] = top[where]
    canvas.colour_HWC[box][where] = stamp.tone_HW[where][:, None] * colour
    canvas.shade_HW[box][where] = stamp.shade_HW[where]
    canvas.owner_HW[box][where] = PLANT


def park_all(canvas: Canvas, boxes: list[Box]) -> None:
    """Draw cars, trucks and containers on the ground, except where a building stands."""
    for box in boxes:
        cover = canvas.covered([box.corners()])
        cells = cover.mask_HW
        if not cells.any() or canvas.owner_HW[cover.box][cells].any():
            continue
        canvas.colour_HWC[cover.box][cells] = box.colour
        canvas.height_HW[cover.box][cells] = box.height_m
        canvas.owner_HW[cover.box][cells] = OBJECT
        if 3 < box.length_m < 5.5:
            for share, colour in ((0.55, box.colour * 0.5 + 0.02), (0.35, box.colour)):
                cover = canvas.covered([box.corners(share)])
                canvas.colour_HWC[cover.box][cover.mask_HW] = colour
