"""The rasters of a place: colour, height, shade and building number of every cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4_training.scenes.street_plan import Patch
from snet4_training.scenes.textures import doubled, fractal, smooth_noise
from snet4_training.scenes.world import Floats, Point


@dataclass(slots=True)
class Canvas:
    """Mutable rasters of a place, all of one shape (H, W), while it is drawn."""

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

    def covered(self, rings: Sequence[Ring]) -> Cover:
        """The cells whose centres lie inside the rings."""
        return covered(rings, self.per_m, self.origin_m, self.owner_HW.shape)


Ring = tuple[Point, ...] | list[Point] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cover:
    """Cells of a raster: a box and a mask of that box's shape."""

    box: tuple[slice, slice]
    mask_HW: NDArray[np.bool_]


def covered(
    rings: Sequence[Ring], per_m: float, origin_m: float, shape: tuple[int, ...], rim: int = 0
) -> Cover:
    """The cells whose centres lie inside rings given in metres, by the even-odd rule.

    Each ring's edge toggles the cells right of it in every row that it crosses; what was
    toggled an odd number of times is inside. The box is `rim` cells wider on every side.
    """
    starts, ends = [], []
    for ring in rings:
        points = (np.asarray(ring, dtype=np.float64) - origin_m) * per_m - 0.5
        starts.append(points)
        ends.append(np.roll(points, -1, axis=0))
    a_E2, b_E2 = np.concatenate(starts), np.concatenate(ends)
    low, high = a_E2.min(axis=0), a_E2.max(axis=0)
    row0, row1 = max(int(low[1]) - rim, 0), min(int(high[1]) + 2 + rim, shape[0])
    col0, col1 = max(int(low[0]) - rim, 0), min(int(high[0]) + 2 + rim, shape[1])
    if row0 >= row1 or col0 >= col1:
        return Cover((slice(0, 0), slice(0, 0)), np.zeros((0, 0), dtype=np.bool_))
    y_R1 = np.arange(row0, row1, dtype=np.float64)[:, None]
    crosses = (a_E2[:, 1] <= y_R1) != (b_E2[:, 1] <= y_R1)
    row, edge = np.nonzero(crosses)
    ax, ay = a_E2[edge, 0], a_E2[edge, 1]
    share = (y_R1[row, 0] - ay) / (b_E2[edge, 1] - ay)
    col = np.clip(np.ceil(ax + share * (b_E2[edge, 0] - ax)).astype(np.intp), col0, col1) - col0
    width = col1 - col0 + 1
    toggles = np.bincount(row * width + col, minlength=(row1 - row0) * width).astype(np.uint8)
    inside = np.bitwise_xor.accumulate(toggles.reshape(-1, width)[:, :-1] & 1, axis=1)
    return Cover((slice(row0, row1), slice(col0, col1)), inside.view(np.bool_))


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
    """The bare ground with all patches and textures; then `finer` times finer.

    Textures live at `per_m` cells per metre: ground has no sharper detail than that.
    """
    colour = np.empty((*shape, 4), dtype=np.float32)
    colour[:] = base_C
    rough = np.full(shape, 0.15, dtype=np.float32)
    life = np.full(shape, 0.7, dtype=np.float32)
    paved = np.zeros(shape, dtype=np.bool_)
    for patch in patches:
        cover = covered([patch.outline], per_m, origin_m, shape)
        box, mask = cover.box, cover.mask_HW
        if patch.stripes:
            turn, depth = rng.uniform(0, np.pi), rng.uniform(0.02, 0.12)
            rows, cols = np.nonzero(mask)
            run = rows * np.sin(turn) + cols * np.cos(turn)
            wave = np.sin(run * (2 * np.pi / (patch.stripes * per_m))).astype(np.float32)
            colour[box][mask] = patch.colour * (1 + np.float32(depth) * wave)[:, None]
        else:
            colour[box][mask] = patch.colour
        rough[box][mask], life[box][mask], paved[box][mask] = patch.rough, patch.life, patch.paved
    # Land varies most over tens of metres: wear, moisture, leaf litter; little from cell to cell.
    poor = fractal(rng, shape, (70, 26, 9, 3.5), 0.65) * 0.6 + np.float32(rng.uniform(-0.4, 0.6))
    poor = np.clip(poor, 0, 1) * np.float32(rng.uniform(0.3, 1.0))
    mix = (poor * life)[..., None]
    colour += mix * (poor_C - colour)
    coarse = 0.7 * smooth_noise(rng, shape, 22) + 0.55 * smooth_noise(rng, shape, 7)
    grain = np.float32(rng.uniform(0.1, 0.5))
    coarse += 0.4 * smooth_noise(rng, shape, 2.5) + grain * smooth_noise(rng, shape, 1)
    wide = np.float32(rng.uniform(0.05, 0.2)) * smooth_noise(rng, shape, 130)
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
