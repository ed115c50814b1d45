"""How good the network is on chips that it never trained on.

Two figures per source and look category: IoU of the footprint map (all pixels), and F1
of whole buildings at IoU 0.5 - the challenge's rule, on masks instead of polygons.
Axes: B bands, H rows, W columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from snet4_training.augment import plain
from snet4_training.batches import collate
from snet4_training.recipe import Recipe
from snet4_training.store import ChipStore
from snet4core.model import OffNadirNet

SMALLEST_PX = 20
"""Buildings of fewer pixels take part neither as truth nor as proposal."""


@dataclass(slots=True)
class Tally:
    """Counts that add up over chips."""

    both: float = 0.0
    """Pixels that are building in truth and in the map."""
    either: float = 0.0
    """Pixels that are building in one of them."""
    hits: int = 0
    """Buildings found with an IoU above 0.5."""
    truths: int = 0
    """Buildings that there are."""
    found: int = 0
    """Buildings proposed."""
    losses: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """IoU, precision, recall and F1, 0..1; 0 where there is nothing to count."""
        precision = self.hits / max(1, self.found)
        recall = self.hits / max(1, self.truths)
        return {
            "iou": round(self.both / max(1.0, self.either), 4),
            "precision": round(precision, 4),
            "recall": round(recall, 4),
            "f1": round(2 * self.hits / max(1, self.truths + self.found), 4),
            "truths": self.truths,
        }


def instances(
    footprint_HW: NDArray[np.float32],
    border_HW: NDArray[np.float32],
    threshold: float = 0.5,
    seed_threshold: float = 0.5,
) -> NDArray[np.int32]:
    """Buildings of two maps (0..1): 0 background, 1..n; seeds grown over the footprint."""
    foreground_HW = footprint_HW >= threshold
    seeds_HW, count = ndimage.label(footprint_HW * (1 - border_HW) > seed_threshold)
    sizes = np.bincount(seeds_HW.ravel(), minlength=count + 1)
    seeds_HW[(sizes < 8)[seeds_HW]] = 0
    grown_HW = watershed(-footprint_HW, seeds_HW, mask=foreground_HW)  # type: ignore[no-untyped-call]  # skimage's
    # Foreground without a seed is a building of its own.
    rest_HW, _ = ndimage.label(foreground_HW & (grown_HW == 0))
    grown_HW = np.where(rest_HW > 0, rest_HW + grown_HW.max(), grown_HW)
    sizes = np.bincount(grown_HW.ravel())
    grown_HW[(sizes < SMALLEST_PX)[grown_HW]] = 0
    _, numbered = np.unique(np.append(grown_HW, 0), return_inverse=True)
    return numbered[:-1].reshape(footprint_HW.shape).astype(np.int32)


def matches(truth_HW: NDArray[np.int32], found_HW: NDArray[np.int32]) -> int:
    """How many pairs of labels overlap with an IoU above 0.5 (such pairs are unique).

    >>> matches(np.array([[1, 1, 0, 2]]), np.array([[3, 3, 3, 0]]))
    1
    """
    columns = int(found_HW.max(initial=0)) + 1
    rows = int(truth_HW.max(initial=0)) + 1
    pairs = truth_HW.astype(np.int64) * columns + found_HW
    common = np.bincount(pairs.ravel(), minlength=rows * columns).reshape(rows, columns)
    union = common.sum(axis=1)[:, None] + common.sum(axis=0)[None, :] - common
    return int((2 * common[1:, 1:] > union[1:, 1:]).sum())


@torch.no_grad()
def validate(net: OffNadirNet, recipe: Recipe, store: Path) -> dict[str, dict[str, float]]:
    """Scores per `source/category` over the store's validation chips, 0..1."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    size_px = recipe.data.chip_px + recipe.data.spare_px
    for folder in sorted((store / "validation").glob("*")):
        chips = ChipStore(folder)
        for number in chips.chunks():
            for index in range(len(chips.facts(number))):
                chip = chips.read(number, index)
                # As most users come: a picture without infrared in every second chip.
                example = plain(chip, size_px, drop_nir=index % 2 == 1)
                batch = collate([example])
                head = net.architecture.head_for(chip.look)
                with torch.autocast("cpu", torch.bfloat16, enabled=recipe.train.bf16):
                    logits = net(batch.images_BCHW, batch.looks_BL, head)
                maps = torch.sigmoid(logits.float())[0].numpy()
                name = f"{folder.name}/{chip.look.category}"
                _count(tallies[name], maps, example.targets_2HW, example.valid_HW > 0)
    return {name: tally.summary() for name, tally in sorted(tallies.items())}


def score_of(scores: Mapping[str, Mapping[str, float]]) -> float | None:
    """One figure for a validation: mean F1 over look categories of each source, then over sources.

    Categories without a building do not count; None when nothing was validated.

    >>> score_of({"a/nadir": {"f1": 0.5, "truths": 3}, "b/nadir": {"f1": 1.0, "truths": 1}})
    0.75
    """
    by_source: dict[str, list[float]] = defaultdict(list)
    for name, values in scores.items():
        if values["truths"]:
            by_source[name.split("/")[0]].append(values["f1"])
    means = [sum(each) / len(each) for each in by_source.values()]
    return sum(means) / len(means) if means else None


def _count(
    tally: Tally,
    maps_2HW: NDArray[np.float32],
    targets_2HW: NDArray[np.uint8],
    valid_HW: NDArray[np.bool_],
) -> None:
    footprint_HW = np.where(valid_HW, maps_2HW[0], 0)
    true_HW = (targets_2HW[0] >= 128) & valid_HW
    said_HW = footprint_HW >= 0.5
    tally.both += float((true_HW & said_HW).sum())
    tally.either += float((true_HW | said_HW).sum())
    wanted = instances(
        np.where(valid_HW, targets_2HW[0] / 255, 0).astype(np.float32),
        (targets_2HW[1] / 255).astype(np.float32),
    )
    found = instances(footprint_HW.astype(np.float32), maps_2HW[1])
    tally.hits += matches(wanted, found)
    tally.truths += int(wanted.max(initial=0))
    tally.found += int(found.max(initial=0))
