"""A tiny recipe and a tiny store of chips, for the tests of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
import torch

from snet4_training.chips.store import ChipStore
from snet4_training.pictures.picture import Chip
from snet4_training.pictures.targets import targets
from snet4_training.recipe import AugmentRecipe, Recipe
from snet4_training.recipe_file import read_recipe
from snet4core.look.look import CATEGORIES, Look
from snet4core.model.card import Architecture

MADE_PX = 96
"""Side of the chips of `chip_of`."""

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
    stretch=0, gamma=0, band_gain=0, blur=0, sharpen=0, noise=0, haze=0, cutout=0, edge=0,
    drop_nir=0, grey=0, forget_azimuth=0, angle_noise_deg=0, azimuth_noise_deg=0,
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
            unknown_HW = np.zeros_like(footprint_HW)
            targets_MHW = np.stack([footprint_HW, border_HW, footprint_HW, border_HW, unknown_HW])
            valid_HW = np.ones((40, 40), dtype=np.uint8)
            chips.append(Chip(counts_BHW, targets_MHW, valid_HW, (True,) * 4, look, 0.5))
    ChipStore(folder / "chips" / "scenes").write(0, chips)
    ChipStore(folder / "chips" / "validation" / "scenes").write(0, chips[::8])
    return folder


class Oracle:
    """A network that knows the answer: it reads the maps out of the picture's bands."""

    architecture = Architecture(bands=("blue", "green"))

    def __call__(self, images: torch.Tensor, looks: torch.Tensor, head: str) -> torch.Tensor:
        share = images / 4.0 + 0.4  # what `normalise` did, undone
        return torch.logit(share.clamp(0.001, 0.999))


def chip_of(houses: list[shapely.Geometry], off_nadir_deg: float = 10.0) -> Chip:
    """A chip whose two bands are the maps of its truth, for `Oracle` to read."""
    polygons = np.array(houses, dtype=object)
    maps_MHW = targets(polygons, (MADE_PX, MADE_PX))
    # The robust range is where 0 and 1 lie.
    low, high = 255 * 0.25 / 1.75, 255 * 1.25 / 1.75
    return Chip(
        counts_BHW=np.rint(low + maps_MHW[:2] / 255 * (high - low)).astype(np.uint8),
        targets_MHW=maps_MHW,
        valid_HW=np.ones((MADE_PX, MADE_PX), dtype=np.uint8),
        known=(True, True),
        look=Look(off_nadir_deg, 0.0, "table"),
        gsd_m=0.5,
        polygons=polygons,
    )


def boxes(*corners: tuple[float, float, float, float]) -> list[shapely.Geometry]:
    return [shapely.box(*each) for each in corners]


APART = boxes((10, 10, 30, 26), (50, 12, 70, 40), (20, 60, 34, 84))
WALL_TO_WALL = boxes((20, 20, 44, 50), (44, 20, 70, 50))


def store_of(folder: Path, chips: list[Chip]) -> Path:
    ChipStore(folder / "validation" / "made").write(0, chips)
    return folder
