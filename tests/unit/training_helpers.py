"""A tiny recipe and a tiny store of chips, for the tests of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from snet4_training.pictures import Chip
from snet4_training.recipe import AugmentRecipe, Recipe, read_recipe
from snet4_training.store import ChipStore
from snet4core.look import CATEGORIES, Look

SMALL = """
[model]
encoder = "resnet18"
decoder_channels = [16, 8, 8, 8, 8]
[data]
chip_px = 32
spare_px = 8
scene_chips = 24
[train]
steps = 4
batch = 3
loaders = 0
bf16 = false
warmup_steps = 1
checkpoint_steps = 2
validate_steps = 4
"""


QUIET = AugmentRecipe(
    stretch=0, gamma=0, band_gain=0, blur=0, noise=0, haze=0, cutout=0, drop_nir=0, grey=0,
    forget_azimuth=0, angle_noise_deg=0, azimuth_noise_deg=0,
)  # fmt: skip
"""Nothing is changed but which part of a chip is shown."""


def small_recipe(folder: Path, changes: Sequence[str] = ()) -> Recipe:
    """Four steps of three chips of 32 pixels; the file is put into `folder`."""
    path = folder / "small.toml"
    path.write_text(SMALL)
    return read_recipe(path, changes)


def bright_squares(folder: Path) -> Path:
    """A run's folder whose store holds 24 chips: bright squares on the dark are houses."""
    rng = np.random.default_rng(0)
    chips = []
    for category, off_nadir_deg in zip(CATEGORIES, (10.0, 33.0, 47.0), strict=True):
        for _ in range(8):
            footprint_HW = np.zeros((40, 40), dtype=np.uint8)
            row, col = rng.integers(4, 20, 2)
            footprint_HW[row : row + 14, col : col + 14] = 255
            counts_BHW = np.stack([40 + footprint_HW // 2] * 4)
            look = Look(off_nadir_deg, 90.0, "table")
            assert look.category == category
            border_HW = np.zeros_like(footprint_HW)
            border_HW[row : row + 14, [col, col + 13]] = 255
            targets_2HW = np.stack([footprint_HW, border_HW])
            valid_HW = np.ones((40, 40), dtype=np.uint8)
            chips.append(Chip(counts_BHW, targets_2HW, valid_HW, (True,) * 4, look, 0.5))
    ChipStore(folder / "chips" / "scenes").write(0, chips)
    ChipStore(folder / "chips" / "validation" / "scenes").write(0, chips[::8])
    return folder
