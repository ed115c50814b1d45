"""How weights settle: what is done to their running average before it is validated and written.

1. The way back. A network that goes on from another one gains on what it is shown and forgets
   what it is not; weights between the two are often better than either (Wortsman et al. 2022,
   arXiv:2109.01903). `train.encoder_return` and `train.decoder_return` say how far each part goes
   back to `model.start_from`. Heads stay as they were trained: new maps begin in them.
2. Statistics anew. The means and variances of batch normalisations belong to the weights with
   which they were met. Between two sets of weights, or in an average of many, the features spread
   less than the mean of both statistics says (Jordan et al. 2023, arXiv:2211.08403), so they are
   estimated over `train.statistics_batches` batches of training data with the weights as they are.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from snet4_training.chips.batches import Batch, Steps
from snet4_training.loop.checkpoint import State
from snet4_training.loop.start import go_on_from
from snet4_training.recipe import Recipe
from snet4core.model.header import find_model
from snet4core.model.network import OffNadirNet


def settled(state: State, recipe: Recipe, store: Path, device: torch.device) -> OffNadirNet:
    """A network with the averaged weights, settled, in evaluation mode on the CPU.

    A function of weights, recipe and store alone; `device` computes the statistics.
    """
    net = OffNadirNet(recipe.model.architecture())
    net.load_state_dict({name: value.cpu() for name, value in state.average.items()})
    if recipe.train.returns:
        begun = OffNadirNet(recipe.model.architecture())
        begun.load_state_dict(net.state_dict())  # what the model lacks has no way back
        go_on_from(begun, find_model(recipe.model.start_from))
        way = {"encoder": recipe.train.encoder_return, "branches": recipe.train.decoder_return}
        net.load_state_dict(between(net.state_dict(), begun.state_dict(), way))
    if recipe.train.statistics_batches:
        estimate_statistics(net, recipe, store, device)
    return net.eval()


def between(
    trained: dict[str, Tensor], begun: dict[str, Tensor], way: dict[str, float]
) -> dict[str, Tensor]:
    """Weights that go back from `trained` towards `begun`, by a share for each part of the network.

    >>> ends = {"encoder.w": torch.tensor([0.0]), "heads.any.w": torch.tensor([0.0])}
    >>> starts = {name: torch.tensor([1.0]) for name in ends}
    >>> {name: float(value) for name, value in between(ends, starts, {"encoder": 0.25}).items()}
    {'encoder.w': 0.25, 'heads.any.w': 0.0}
    """
    found = {}
    for name, value in trained.items():
        share = way.get(name.partition(".")[0], 0.0)
        found[name] = value.lerp(begun[name], share) if value.is_floating_point() else value
    return found


def estimate_statistics(
    net: OffNadirNet, recipe: Recipe, store: Path, device: torch.device
) -> None:
    """Means and variances of all batch normalisations, in place, over batches that follow the
    last one of the training."""
    steps, first = Steps(recipe, store), recipe.train.steps * recipe.train.accumulate
    asked = _Asked(net.to(device))
    batches = (steps[first + number] for number in range(recipe.train.statistics_batches))
    update_bn(batches, asked, device)
    net.cpu()


class _Asked(nn.Module):
    """A network that takes a batch, as `update_bn` gives it."""

    def __init__(self, net: OffNadirNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Batch) -> Tensor:
        heads = [self.net.architecture.head_for(look) for look in batch.looks]
        return self.net.mixed(self.net.encoder(batch.images_BCHW), batch.looks_BL, heads)
