"""Draws roofs: shape, light, colour, and objects on them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from snet4_training.scenes import materials as paint
from snet4_training.scenes.canvas import Canvas, covered
from snet4_training.scenes.textures import smooth_noise
from snet4_training.scenes.world import Floats, Structure, Sun, Wing

_TALLEST_ROOF_M = 9.0
"""A pitched roof over a very wide hall stays below this."""


def rise_of(roof: str, pitch: float, wing: Wing, x: Floats, y: Floats) -> Floats:
    """Height of a sloped roof above its eaves at (x, y) metres; negative outside the wing."""
    c, s = math.cos(wing.angle), math.sin(wing.angle)
    along = (x - wing.x_m) * c + (y - wing.y_m) * s
    across = (y - wing.y_m) * c - (x - wing.x_m) * s
    to_side = wing.half_v_m - np.abs(across)
    to_end = wing.half_u_m - np.abs(along)
    if roof == "hip":
        rise = pitch * np.minimum(to_side, to_end)
    elif roof == "shed":
        rise = pitch * (across + wing.half_v_m)
    elif roof == "sawtooth":
        rise = pitch * 3.0 * (np.mod(along + wing.half_u_m, 8.0) / 8.0) * 4.0
    elif roof == "vault":
        share = np.clip(across / max(wing.half_v_m, 1.0), -1, 1)
        rise = pitch * wing.half_v_m * 1.6 * np.sqrt(np.maximum(1 - share * share, 0))
    else:
        rise = pitch * to_side
    within = np.minimum(to_side, to_end) > -0.3
    return np.where(within, np.minimum(rise, _TALLEST_ROOF_M), -9.0).astype(np.float32)


def slope_light(height: Floats, cell_m: float, sun: Sun) -> Floats:
    """Direct light on a height field (H, W) in metres, relative to flat ground (1)."""
    down, right = np.gradient(height, np.float32(cell_m))
    east, south, up = sun.direction
    light = (up - east * right - south * down) / np.sqrt(1 + right * right + down * down)
    relative: Floats = np.clip(light / up, 0, 3.5).astype(np.float32)
    return relative


def raise_structure(
    canvas: Canvas, plan: Structure, owner: int, rng: np.random.Generator, sun: Sun, snow: float
) -> float:
    """Draw a building; returns the height of its highest point in metres."""
    rings = [np.asarray(plan.outline.exterior.coords)[:-1]]
    rings += [np.asarray(hole.coords)[:-1] for hole in plan.outline.interiors]
    cover = covered(rings, canvas.per_m, canvas.origin_m, canvas.owner_HW.shape, rim=2)
    box, mask = cover.box, cover.mask_HW
    if not mask.any():
        return plan.eave_m
    cell_m = 1 / canvas.per_m
    y = _centres(box[0], canvas)[:, None]
    x = _centres(box[1], canvas)[None, :]
    colour, top, shade = _roof(plan, mask, x, y, cell_m, rng, sun)
    if snow and rng.random() < 0.8:
        colour += np.float32(snow * rng.uniform(0.3, 1.0)) * (paint.base("snow") - colour)
    canvas.colour_HWC[box][mask] = colour[mask]
    canvas.height_HW[box][mask] = top[mask]
    canvas.shade_HW[box][mask] = shade[mask]
    canvas.owner_HW[box][mask] = owner
    canvas.paved_HW[box][mask] = True
    return float(top[mask].max())


def _centres(cells: slice, canvas: Canvas) -> Floats:
    """Coordinates of the cells' centres in metres."""
    steps = np.arange(cells.start, cells.stop, dtype=np.float32) + np.float32(0.5)
    return steps * np.float32(1 / canvas.per_m) + np.float32(canvas.origin_m)


def _roof(
    plan: Structure,
    mask: NDArray[np.bool_],
    x: Floats,
    y: Floats,
    cell_m: float,
    rng: np.random.Generator,
    sun: Sun,
) -> tuple[Floats, Floats, Floats]:
    """Colour (h, w, 4), height in metres and light (h, w) of a roof's box."""
    shape = mask.shape
    texture = rng.uniform(0.01, 0.07) * smooth_noise(rng, shape, 1)
    texture += rng.uniform(0.02, 0.10) * smooth_noise(rng, shape, rng.uniform(4, 9))
    texture += rng.uniform(0.02, 0.14) * smooth_noise(rng, shape, rng.uniform(14, 40))
    main = plan.wings[0]
    c, s = math.cos(main.angle), math.sin(main.angle)
    along = (x - main.x_m) * c + (y - main.y_m) * s
    across = (y - main.y_m) * c - (x - main.x_m) * s
    if rng.random() < 0.3:
        texture += _seams(rng, along if rng.random() < 0.6 else across)
    if plan.roof == "flat":
        top = np.broadcast_to(_levels(plan, x, y), shape).copy()
        shade = np.ones(shape, dtype=np.float32)
        colour = plan.roof_colour * np.exp(texture)[..., None]
        _furnish(plan, mask, along, across, cell_m, rng, colour, top)
        return colour.astype(np.float32), top, shade
    # Heights are relative to the main eaves; nothing is lower than the lowest wing's.
    rise = rise_of(plan.roof, plan.pitch, main, x, y)
    for wing in plan.wings[1:]:
        part = rise_of(plan.roof, plan.pitch, wing, x, y) - np.float32(wing.drop_m)
        rise = np.maximum(rise, part)
    rise = np.maximum(rise, np.float32(-max(wing.drop_m for wing in plan.wings)))
    shade = slope_light(rise, cell_m, sun)
    colour = (plan.roof_colour * np.exp(texture)[..., None]).astype(np.float32)
    for wing in plan.wings[1:]:
        if wing.drop_m and rng.random() < 0.5:
            _recover(plan, wing, x, y, texture, rng, colour)
    _panels(along, across, rng, colour)
    top = (rise + np.float32(plan.eave_m)).astype(np.float32)
    if rng.random() < 0.3:
        spot = (np.abs(along - rng.uniform(-3, 3)) < 0.6) & (
            np.abs(across - rng.uniform(-2, 2)) < 0.6
        )
        top[spot] += 1.1
        colour[spot] = rng.uniform(0.08, 0.4)
    return colour, top, shade


def _recover(
    plan: Structure,
    wing: Wing,
    x: Floats,
    y: Floats,
    texture: Floats,
    rng: np.random.Generator,
    colour: Floats,
) -> None:
    """Give a lower part a covering of its own: often pale metal, as porches have."""
    palette = ("white roof", "light roof", "tin") if rng.random() < 0.6 else _OTHERS
    own = rise_of("flat", 0.0, wing, x, y) > -1
    own &= rise_of("flat", 0.0, plan.wings[0], x, y) < -1
    colour[own] = paint.roof_colour(rng, palette) * np.exp(texture[own])[:, None]


_OTHERS = paint.ROOF_PALETTES["mixed"]


def _levels(plan: Structure, x: Floats, y: Floats) -> Floats:
    """Height of a flat roof: that of the highest wing over each cell."""
    if all(wing.drop_m == 0 for wing in plan.wings):
        return np.full((1, 1), plan.eave_m, dtype=np.float32)
    lowest = plan.eave_m - max(wing.drop_m for wing in plan.wings)
    top = np.full(np.broadcast_shapes(x.shape, y.shape), lowest, dtype=np.float32)
    for wing in plan.wings:
        over = rise_of("flat", 0.0, wing, x, y) > -1
        np.maximum(top, np.float32(plan.eave_m - wing.drop_m), out=top, where=over)
    return top


def _seams(rng: np.random.Generator, run: Floats) -> Floats:
    """Log-brightness of the fine stripes of metal sheets or shingle rows."""
    depth, step = np.float32(rng.uniform(0.01, 0.07)), np.float32(rng.uniform(0.7, 3.5))
    stripes: Floats = depth * np.sin(run * (np.float32(2 * np.pi) / step))
    return stripes


def _panels(along: Floats, across: Floats, rng: np.random.Generator, colour: Floats) -> None:
    """Solar panels or roof windows on one slope."""
    if rng.random() > 0.12:
        return
    u, v = rng.uniform(-3, 1), rng.uniform(0.6, 1.5) * rng.choice([-1.0, 1.0])
    spot = (np.abs(along - u) < rng.uniform(0.8, 3)) & (
        np.abs(across - v * 2) < rng.uniform(0.5, 1.2)
    )
    tone = paint.base("solar panel") if rng.random() < 0.7 else np.full(4, 0.4, np.float32)
    colour[np.broadcast_to(spot, colour.shape[:2])] = tone


def _furnish(
    plan: Structure,
    mask: NDArray[np.bool_],
    along: Floats,
    across: Floats,
    cell_m: float,
    rng: np.random.Generator,
    colour: Floats,
    top: Floats,
) -> None:
    """Parapet, patches, air conditioners, stair heads and skylights of a flat roof."""
    area = plan.outline.area
    if rng.random() < 0.6:
        inner = mask.copy()
        for _ in range(max(1, round(0.3 / cell_m))):
            kept = inner.copy()
            kept[1:] &= inner[:-1]
            kept[:-1] &= inner[1:]
            kept[:, 1:] &= inner[:, :-1]
            kept[:, :-1] &= inner[:, 1:]
            inner = kept
        rim = mask & ~inner
        top[rim] += rng.uniform(0.3, 1.1)
        colour[rim] = colour[rim] * 0.4 + 0.6 * plan.wall_colour * rng.uniform(0.8, 1.5)
    half_u, half_v = plan.wings[0].half_u_m, plan.wings[0].half_v_m
    for _ in range(int(rng.integers(0, 3)) if area > 60 else 0):
        spot = _spot(rng, along, across, half_u, half_v, (2, half_u + 2), (1.5, half_v + 1.5))
        colour[spot] *= np.exp(rng.normal(0, 0.25)).astype(np.float32)
    count = int(min(rng.poisson(area / 160), 25))
    for _ in range(count):
        spot = _spot(rng, along, across, half_u, half_v, (0.5, 1.6), (0.5, 1.4))
        colour[spot] = rng.uniform(0.05, 0.65)
        top[spot] += rng.uniform(0.0, 1.6)
    if area > 40 and plan.eave_m > 5 and rng.random() < 0.45:
        spot = _spot(rng, along, across, half_u * 0.7, half_v * 0.7, (1.2, 3), (1.2, 2))
        top[spot] += 2.6
        colour[spot] = paint.roof_colour(rng, paint.ROOF_PALETTES["nepal"])
    if area > 25 and area < 250 and rng.random() < 0.1:
        spot = _spot(rng, along, across, half_u, half_v, (1, 3), (1, 3))
        colour[spot] = paint.roof_colour(rng, paint.ROOF_PALETTES["nepal"])


def _spot(
    rng: np.random.Generator,
    along: Floats,
    across: Floats,
    half_u: float,
    half_v: float,
    long_m: tuple[float, float],
    wide_m: tuple[float, float],
) -> NDArray[np.bool_]:
    """A rectangle somewhere on the roof."""
    u, v = rng.uniform(-half_u, half_u), rng.uniform(-half_v, half_v)
    near = np.abs(along - u) < rng.uniform(*long_m)
    spot: NDArray[np.bool_] = near & (np.abs(across - v) < rng.uniform(*wide_m))
    return spot
