"""Builds training batches: a pure function of recipe, store and step.

Which chips a step sees does not depend on the number of loader processes or on where
a run was resumed. (While a store is still being filled, it depends on how far it is.)
Axes: B batch, C bands, M maps, H rows, W columns.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from snet4_training.chips.augment import Example, augmented
from snet4_training.chips.sources import CATEGORY_CHIPS, sources
from snet4_training.chips.store import ChipStore
from snet4_training.chips.weighing import weights
from snet4_training.recipe import Recipe
from snet4core.errors import InputError, Snet4Error
from snet4core.look.look import CATEGORIES, Look


@dataclass(frozen=True, slots=True)
class Batch:
    """The input of one forward and backward pass."""

    images_BCHW: Tensor
    """Normalised pictures, float32."""
    looks_BL: Tensor
    """`Look.features()` of the looks that the network is given."""
    targets_BMHW: Tensor
    """`FIVE_MAPS`, 0..255 in uint8: a quarter of the bytes on the way to a GPU."""
    weight_BHW: Tensor
    """How much each pixel counts in the loss: 0 where there is no data, mostly 1."""
    roofs_known_B: Tensor
    """1 where the maps of roofs are the truth, else 0."""
    looks: tuple[Look, ...]
    """The true looks, which select the heads."""

    def to(self, device: torch.device) -> Batch:
        """The batch on another device, images channels-last (faster convolutions).

        From pinned memory the copy is asynchronous.
        """
        images = self.images_BCHW.to(device, non_blocking=True)
        return Batch(
            images.contiguous(memory_format=torch.channels_last),
            self.looks_BL.to(device, non_blocking=True),
            self.targets_BMHW.to(device, non_blocking=True),
            self.weight_BHW.to(device, non_blocking=True),
            self.roofs_known_B.to(device, non_blocking=True),
            self.looks,
        )

    def pin_memory(self) -> Batch:
        """The batch in pinned memory; called by torch's DataLoader."""
        return Batch(
            self.images_BCHW.pin_memory(),
            self.looks_BL.pin_memory(),
            self.targets_BMHW.pin_memory(),
            self.weight_BHW.pin_memory(),
            self.roofs_known_B.pin_memory(),
            self.looks,
        )


def collate(examples: list[Example]) -> Batch:
    """Examples of one size as a batch."""
    return Batch(
        torch.from_numpy(np.stack([one.image_BHW for one in examples])),
        torch.tensor([one.told.features() for one in examples], dtype=torch.float32),
        torch.from_numpy(np.stack([one.targets_MHW for one in examples])),
        torch.from_numpy(np.stack([_weight(one) for one in examples])),
        torch.tensor([float(one.roofs_known) for one in examples]),
        tuple(one.true for one in examples),
    )


def _weight(one: Example) -> NDArray[np.float32]:
    valid_HW = one.valid_HW.astype(np.float32)
    return valid_HW if one.weight_HW is None else valid_HW * one.weight_HW


class Steps(Dataset[Batch]):
    """Data set of batches by index: step x `train.accumulate` + part of the step."""

    REFRESH_S = 30.0
    """How often a growing store is listed again."""

    def __init__(self, recipe: Recipe, store: Path) -> None:
        self.recipe = recipe
        self.stores = {one.name: ChipStore(store / one.name) for one in sources(recipe)}
        self._chunks: dict[str, list[int]] = {}
        self._listed_at = -np.inf

    def __len__(self) -> int:
        return self.recipe.train.steps * self.recipe.train.accumulate

    def __getitem__(self, step: int) -> Batch:
        return collate([self._example(step, place) for place in range(self.recipe.train.batch)])

    def _example(self, step: int, place: int) -> Example:
        rng = np.random.default_rng([self.recipe.train.seed, step, place])
        chunks = self._listed()
        source = self._source(chunks, float(rng.random()))
        number = chunks[source][rng.integers(len(chunks[source]))]
        category = self._category(step, place)
        index = category * CATEGORY_CHIPS + int(rng.integers(CATEGORY_CHIPS))
        chip = self.stores[source].read(number, index)
        recipe = self.recipe
        one = augmented(chip, recipe.data.chip_px, recipe.model.bands, recipe.augment, rng)
        if not (recipe.train.size_weight or recipe.train.gap_weight):
            return one
        size_weight, gap_weight = recipe.train.size_weight, recipe.train.gap_weight
        return replace(one, weight_HW=weights(one.targets_MHW, size_weight, gap_weight))

    def _category(self, step: int, place: int) -> int:
        """Index of the look category at a position of a batch.

        Every batch has equally many chips of each category, unless `data.category` is set: each
        head learns in every step, and its part of the batch keeps one size, which
        is faster with oneDNN. Batches that three does not divide take turns, so that one of two
        chips shows every category in time.
        """
        every: tuple[str, ...] = CATEGORIES
        only = self.recipe.data.category
        at = step * self.recipe.train.batch + place
        return every.index(only) if only else at % len(every)

    def _source(self, chunks: dict[str, list[int]], drawn: float) -> str:
        """The source for a random number in [0, 1), by share, of those that have chips already."""
        data = self.recipe.data
        shares = {real.name: real.share for real in data.real_sources if chunks.get(real.name)}
        if not data.scene_chips:
            drawn *= sum(shares.values())
        for name, share in shares.items():
            if drawn < share:
                return name
            drawn -= share
        return next(name for name in chunks if chunks[name])

    def _listed(self) -> dict[str, list[int]]:
        if time.monotonic() - self._listed_at > self.REFRESH_S:
            self._chunks = {name: store.chunks() for name, store in self.stores.items()}
            self._listed_at = time.monotonic()
            if not any(self._chunks.values()):
                folder = next(iter(self.stores.values())).folder.parent
                raise InputError(f"{folder}: no chips to train on; fill the store first.")
        return self._chunks


@dataclass(frozen=True, slots=True)
class _Told(Dataset[Batch | Snet4Error]):
    """The same batches; a problem of their chips is a value, of which no loader process makes a
    traceback."""

    steps: Steps

    def __getitem__(self, step: int) -> Batch | Snet4Error:
        try:
            return self.steps[step]
        except Snet4Error as problem:
            return problem


def batches(
    recipe: Recipe, store: Path, first_step: int, parts: Sequence[int] | None = None
) -> Iterator[list[Batch]]:
    """The parts of all steps from `first_step` on, prefetched by loader processes.

    `parts` are those of each step that this process computes; all of them by default.
    """
    each = recipe.train.accumulate
    mine = range(each) if parts is None else parts
    steps = range(first_step, recipe.train.steps)
    loaders = recipe.train.loaders
    ahead = DataLoader(
        _Told(Steps(recipe, store)),
        batch_size=None,
        sampler=[step * each + part for step in steps for part in mine],
        num_workers=loaders,
        # Some batches in all, not of each loader: shared memory holds them.
        prefetch_factor=max(2, 6 // loaders) if loaders else None,
        persistent_workers=bool(loaders),
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_modest if loaders else None,
    )
    of_step: list[Batch] = []
    for batch in ahead:
        if isinstance(batch, Snet4Error):
            raise batch
        of_step.append(batch)
        if len(of_step) == len(mine):
            yield of_step
            of_step = []


def _modest(worker: int) -> None:
    """Give a loader one thread and a low priority, so that it does not slow down training."""
    torch.set_num_threads(1)
    if hasattr(os, "nice"):
        os.nice(5)
