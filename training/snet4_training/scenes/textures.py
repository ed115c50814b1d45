"""Random textures: sums of smooth noise on several scales."""

from __future__ import annotations

import numpy as np

from snet4_training.scenes.world import Floats


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell_px: float) -> Floats:
    """Smooth noise (H, W) with features about `cell_px` wide; mean 0, spread about 1."""
    if cell_px <= 1:
        return rng.standard_normal(shape, dtype=np.float32)
    rows, cols = (int(side / cell_px) + 4 for side in shape)
    coarse = rng.standard_normal((rows, cols), dtype=np.float32)
    out = _stretched(_stretched(coarse, shape[0], cell_px, rng).T, shape[1], cell_px, rng).T
    return np.ascontiguousarray(out) * np.float32(1.3)


def _stretched(coarse: Floats, length: int, cell_px: float, rng: np.random.Generator) -> Floats:
    """Rows of `coarse` interpolated (smoothstep) to `length` rows, from a random start."""
    at = (np.arange(length, dtype=np.float32) / np.float32(cell_px)) + np.float32(rng.random())
    low = at.astype(np.intp)
    share: Floats = at - low.astype(np.float32)
    share = (share * share * (3 - 2 * share)).astype(np.float32)[:, None]
    out: Floats = coarse[low] * (1 - share) + coarse[low + 1] * share
    return out


def fractal(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cells_px: tuple[float, ...],
    roughness: float = 0.6,
) -> Floats:
    """Noise (H, W) on the given scales, each finer one weaker by `roughness`; spread 1."""
    out = np.zeros(shape, dtype=np.float32)
    weight, power = 1.0, 0.0
    for cell_px in cells_px:
        out += np.float32(weight) * smooth_noise(rng, shape, cell_px)
        power += weight * weight
        weight *= roughness
    return out / np.float32(np.sqrt(power))


def doubled(image: Floats, times: int) -> Floats:
    """The raster (H, W[, C]) upsampled `times` by repeating cells."""
    if times == 1:
        return image
    return np.repeat(np.repeat(image, times, axis=0), times, axis=1)
