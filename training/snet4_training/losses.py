"""What training pushes down: binary cross-entropy and dice, on both maps.

Axes: B batch, 2 footprint and border, H rows, W columns.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def dice_loss(probability_BHW: Tensor, target_BHW: Tensor, valid_BHW: Tensor) -> Tensor:
    """1 - dice of the whole batch, over valid pixels; 0 is perfect, scalar.

    Over the batch and not per chip: a chip without a building would otherwise count its
    one wrong pixel as much as a town. The denominator has squares, so that soft targets
    (an edge pixel that is half building) can be met exactly.
    """
    together = (probability_BHW * target_BHW * valid_BHW).sum()
    apart = ((probability_BHW**2 + target_BHW**2) * valid_BHW).sum()
    return 1 - (2 * together + 1) / (apart + 1)


def map_loss(
    logits_BHW: Tensor, target_BHW: Tensor, valid_BHW: Tensor, dice_weight: float
) -> Tensor:
    """Cross-entropy per valid pixel plus weighted dice, scalar."""
    entropy = functional.binary_cross_entropy_with_logits(
        logits_BHW, target_BHW, weight=valid_BHW, reduction="sum"
    )
    entropy = entropy / valid_BHW.sum().clamp(min=1)
    return entropy + dice_weight * dice_loss(torch.sigmoid(logits_BHW), target_BHW, valid_BHW)


def loss(
    logits_B2HW: Tensor,
    targets_B2HW: Tensor,
    valid_BHW: Tensor,
    border_weight: float = 0.5,
    dice_weight: float = 1.0,
) -> Tensor:
    """The loss of a batch: targets 0..1 as floats, `valid_BHW` 1 where it counts; scalar."""
    logits_B2HW = logits_B2HW.float()
    footprint = map_loss(logits_B2HW[:, 0], targets_B2HW[:, 0], valid_BHW, dice_weight)
    border = map_loss(logits_B2HW[:, 1], targets_B2HW[:, 1], valid_BHW, dice_weight)
    return footprint + border_weight * border
