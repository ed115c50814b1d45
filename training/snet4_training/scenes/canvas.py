"""The surface being painted: colour, height, shade and owner of every cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon as fill_polygon

from snet4_training.scenes.noise import doubled, fractal, smooth_noise
from snet4_training.scenes.plan import Patch
from snet4_training.scenes.world import Floats, Point


@dataclass(slots=True)
class Canvas:
    """The rasters of a place while they are painted, all of one shape (H, W)."""

    colour_HWC: Floats
    """Reflectance, B, G, R, NIR."""
    height_HW: Floats
    """Metres above the ground."""
    shade_HW: Floats
    """Direct light relative to flat ground (1)."""
    owner_HW: NDArray[np.uint16]
    paved_HW: NDArray[np.bool_]
    """Where no tree grows."""
    per_m: float
    """Cells per metre."""
    origin_m: float
    """x and y of the upper left corner."""

    def cells(self, x_m: float, y_m: float) -> tuple[int, int]:
        """Row and column of the cell that holds a point; may lie outside."""
        row = int(np.floor((y_m - self.origin_m) * self.per_m))
        return row, int(np.floor((x_m - self.origin_m) * self.per_m))

    def inside(self, points: list[Point]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the cells whose centres a polygon covers."""
        return filled(points, self.per_m, self.origin_m, self.owner_HW.shape)


def filled(
    points: list[Point] | tuple[Point, ...], per_m: float, origin_m: float, shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the cells whose centres lie in a polygon given in metres."""
    at = (np.asarray(points, dtype=np.float64) - origin_m) * per_m - 0.5
    rows, cols = fill_polygon(at[:, 1], at[:, 0], shape)
    return rows, cols


def ground(
    rng: np.random.Generator,
    patches: list[Patch],
    base_C: Floats,
    poor_C: Floats,
    shape: tuple[int, int],
    per_m: float,
    origin_m: float,
    finer: int,
) -> Canvas:
    """The bare ground with all patches, their textures included; then `finer` times finer.

    Textures live at `per_m` cells per metre: ground has no sharper detail than that.
    """
    colour = np.empty((*shape, 4), dtype=np.float32)
    colour[:] = base_C
    rough = np.full(shape, 0.15, dtype=np.float32)
    life = np.full(shape, 0.7, dtype=np.float32)
    paved = np.zeros(shape, dtype=np.bool_)
    for patch in patches:
        where = filled(patch.outline, per_m, origin_m, shape)
        if not where[0].size:
            continue
        tone = patch.colour
        if patch.stripes:
            turn = rng.uniform(0, np.pi)
            run = where[0] * np.sin(turn) + where[1] * np.cos(turn)
            wave = np.sin(run * (2 * np.pi / (patch.stripes * per_m))).astype(np.float32)
            colour[where] = tone * (1 + 0.13 * wave)[:, None]
        else:
            colour[where] = tone
        rough[where], life[where], paved[where] = patch.rough, patch.life, patch.paved
    poor = fractal(rng, shape, (60, 17, 5, 2), 0.7) * 0.5 + np.float32(rng.uniform(-0.4, 0.5))
    mix = (np.clip(poor, 0, 1) * life)[..., None]
    colour += mix * (poor_C - colour)
    coarse = 0.55 * smooth_noise(rng, shape, 9)
    coarse += 0.6 * smooth_noise(rng, shape, 2.5) + 0.7 * smooth_noise(rng, shape, 1)
    wide = 0.10 * smooth_noise(rng, shape, 110)
    colour *= np.exp(np.clip(rough * coarse + wide, -1.2, 0.8))[..., None]
    fine = doubled(colour, finer)
    cells = fine.shape[:2]
    return Canvas(
        fine if finer > 1 else colour,
        np.zeros(cells, np.float32),
        np.ones(cells, np.float32),
        np.zeros(cells, np.uint16),
        doubled(paved, finer),  # type: ignore[arg-type]
        per_m * finer,
        origin_m,
    )
