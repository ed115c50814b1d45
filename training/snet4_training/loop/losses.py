"""Loss functions of training: of maps by name, of heights, of the guessed look.

Axes: B batch, M maps, H rows, W columns, N pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from snet4_training.recipe import TrainRecipe
from snet4core.look.look import Look
from snet4core.model.card import TWO_MAPS


def dice_loss(probability_BHW: Tensor, target_BHW: Tensor, weight_BHW: Tensor) -> Tensor:
    """Dice loss, 1 - dice of the whole batch, over weighted pixels; 0 is perfect, scalar.

    Over the batch and not per chip: a chip without a building would otherwise count its
    one wrong pixel as much as a town. The denominator has squares, so that soft targets
    (an edge pixel that is half building) can be met exactly.
    """
    together = (probability_BHW * target_BHW * weight_BHW).sum()
    apart = ((probability_BHW**2 + target_BHW**2) * weight_BHW).sum()
    return 1 - (2 * together + 1) / (apart + 1)


def cross_entropy(logits_BHW: Tensor, target_BHW: Tensor, weight_BHW: Tensor) -> Tensor:
    """Binary cross-entropy, the weighted mean over pixels; scalar."""
    entropy = functional.binary_cross_entropy_with_logits(
        logits_BHW, target_BHW, weight=weight_BHW, reduction="sum"
    )
    return entropy / weight_BHW.sum().clamp(min=1)


def focal_loss(logits_BHW: Tensor, target_BHW: Tensor, weight_BHW: Tensor, gamma: float) -> Tensor:
    """Focal loss: cross-entropy that down-weights well-classified pixels; scalar, >= 0.

    Lin et al. 2017, arXiv:1708.02002, with the distance to a soft target |t - p| in place
    of 1 - p of the true class; the same thing where the target is 0 or 1. `gamma` 0 is
    cross-entropy.
    """
    entropy_BHW = functional.binary_cross_entropy_with_logits(
        logits_BHW, target_BHW, reduction="none"
    )
    off_BHW = (target_BHW - torch.sigmoid(logits_BHW)).abs()
    return (off_BHW**gamma * entropy_BHW * weight_BHW).sum() / weight_BHW.sum().clamp(min=1)


def lovasz_loss(logits_BHW: Tensor, target_BHW: Tensor, weight_BHW: Tensor) -> Tensor:
    """The Lovász hinge: a convex surrogate of 1 - IoU of the whole batch; scalar, >= 0.

    Berman et al. 2018, arXiv:1705.08790. Targets are cut at one half, and pixels of weight
    0 do not take part; other weights cannot be heard, because IoU has none.
    """
    chosen = weight_BHW > 0
    logits_N, true_N = logits_BHW[chosen], (target_BHW[chosen] >= 0.5).float()
    errors_N, order_N = torch.sort(1 - logits_N * (2 * true_N - 1), descending=True)
    true_N = true_N[order_N]
    # IoU loss when the first n of the sorted pixels are wrong, for every n.
    together_N = true_N.sum() - true_N.cumsum(0)
    either_N = true_N.sum() + (1 - true_N).cumsum(0)
    jaccard_N = 1 - together_N / either_N
    steps_N = torch.diff(jaccard_N, prepend=jaccard_N.new_zeros(1))
    return torch.dot(torch.relu(errors_N), steps_N)


def map_loss(recipe: TrainRecipe) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The recipe's loss of one map: (logits, targets, weights), each (B, H, W), to a scalar."""

    def dice(logits_BHW: Tensor, target_BHW: Tensor, weight_BHW: Tensor) -> Tensor:
        return recipe.dice_weight * dice_loss(torch.sigmoid(logits_BHW), target_BHW, weight_BHW)

    def focal(logits_BHW: Tensor, target_BHW: Tensor, weight_BHW: Tensor) -> Tensor:
        return recipe.focal_weight * focal_loss(
            logits_BHW, target_BHW, weight_BHW, recipe.focal_gamma
        )

    terms = {"bce": cross_entropy, "dice": dice, "focal": focal, "lovasz": lovasz_loss}
    chosen = [terms[name] for name in recipe.loss.split("+")]
    return lambda logits, target, weight: torch.stack(
        [term(logits, target, weight) for term in chosen]
    ).sum()


def look_loss(estimates_B3: Tensor, looks: Sequence[Look]) -> Tensor:
    """Loss of the estimated looks against the true ones; scalar, >= 0.

    An unknown azimuth teaches the angle alone.
    """
    device = estimates_B3.device
    features_BL = torch.tensor([look.features() for look in looks], device=device)
    sine_B1, known_B1 = features_BL[:, :1], features_BL[:, 4:]
    wanted_B3 = sine_B1 * torch.cat([torch.ones_like(sine_B1), features_BL[:, 2:4]], dim=1)
    counts_B3 = torch.cat([torch.ones_like(known_B1), known_B1, known_B1], dim=1)
    errors_B3 = functional.smooth_l1_loss(
        estimates_B3.float(), wanted_B3, reduction="none", beta=0.05
    )
    return (errors_B3 * counts_B3).sum() / counts_B3.sum()


def height_loss(logits_BHW: Tensor, target_BHW: Tensor, weight_BHW: Tensor) -> Tensor:
    """Smooth L1 of heights on the map's own scale, where they are known; scalar, >= 0.

    The scale is the root of the height, on which an error weighs about as it does to users: a
    metre at a house, five at a tower.
    """
    known_BHW = weight_BHW * (target_BHW > 0)
    off_BHW = functional.smooth_l1_loss(
        torch.sigmoid(logits_BHW), target_BHW, reduction="none", beta=0.02
    )
    return (off_BHW * known_BHW).sum() / known_BHW.sum().clamp(min=1)


def loss(
    logits_BMHW: Tensor,
    targets_BMHW: Tensor,
    weight_BHW: Tensor,
    recipe: TrainRecipe | None = None,
    roofs_known_B: Tensor | None = None,
) -> Tensor:
    """The loss of a batch: targets 0..1 as floats, `weight_BHW` 0 where nothing counts; scalar.

    Logits have the maps of `FIVE_MAPS` or the first two of them, targets all. `roofs_known_B`
    is 0 where the maps of roofs teach nothing; None: everywhere they do.
    """
    recipe = recipe or TrainRecipe()
    of_map = map_loss(recipe)
    logits_BMHW = logits_BMHW.float()

    def pair(first: int, weight_BHW: Tensor) -> Tensor:
        solid, border = (
            of_map(logits_BMHW[:, at], targets_BMHW[:, at], weight_BHW) for at in (first, first + 1)
        )
        return solid + recipe.border_weight * border

    footprints = pair(0, weight_BHW)
    if logits_BMHW.shape[1] == len(TWO_MAPS):
        return footprints
    roofs_BHW = weight_BHW
    if roofs_known_B is not None:
        roofs_BHW = weight_BHW * roofs_known_B[:, None, None]
    heights = height_loss(logits_BMHW[:, -1], targets_BMHW[:, -1], roofs_BHW)
    return (
        recipe.footprint_weight * footprints
        + pair(len(TWO_MAPS), roofs_BHW)
        + recipe.height_weight * heights
    )
