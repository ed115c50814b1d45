"""Batch normalisations folded for inference: the same logits, and none folded that must not be."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch import nn  # noqa: E402  # after the skip: needs torch

from helpers.networks import WITH_HEIGHTS  # noqa: E402  # after the skip: needs torch
from snet4core.look.look import Look  # noqa: E402  # after the skip: needs torch
from snet4core.model.card import FIVE_HEADS, ONE_HEAD, Architecture  # noqa: E402  # after the skip: needs torch
from snet4core.model.folded import fold_norms, folded  # noqa: E402  # after the skip: needs torch
from snet4core.model.network import OffNadirNet  # noqa: E402  # after the skip: needs torch

SMALL = Architecture(
    encoder="resnet18", decoder_channels=(16, 16, 8), heads=ONE_HEAD, attention=None
)
LOOKS = torch.tensor([Look(30.0, 20.0, "option").features()] * 2)


DRAWN = ("running_mean", "bias", "details.any.weight", "heights.height.weight")


def random_net(architecture: Architecture) -> OffNadirNet:
    """Random in everything that folding touches: statistics, scales and shifts as well."""
    torch.manual_seed(11)
    net = OffNadirNet(architecture)
    for name, value in (*net.named_parameters(), *net.named_buffers()):
        if name.endswith("running_var") or (name.endswith("weight") and value.ndim == 1):
            nn.init.uniform_(value, 0.5, 2.0)
        elif value.numel() and name.endswith(DRAWN):
            nn.init.normal_(value, std=0.3)
    return net.eval()


def norms(module: nn.Module, *inputs: object) -> int:
    """How many batch normalisations an answer takes."""
    asked = []
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.register_forward_hook(lambda *_: asked.append(1))
    module(*inputs)
    return len(asked)


@pytest.mark.parametrize(
    "architecture",
    [
        SMALL,
        replace(SMALL, heads=FIVE_HEADS, maps_stride_px=2, decoder_channels=(16, 8)),
        replace(SMALL, maps_stride_px=2, decoder_channels=(16, 8), subpixel_maps=True),
        replace(WITH_HEIGHTS, heads=ONE_HEAD),
        replace(SMALL, attention="scse", decoder_channels=(32, 32, 16)),
        replace(SMALL, encoder="tu-regnetx_002"),
        replace(SMALL, encoder="tu-tf_efficientnet_lite0"),
        replace(SMALL, encoder="tu-convnext_femto", decoder_channels=(32, 16, 16, 8)),
        replace(SMALL, encoder="efficientnet-b0"),
        replace(SMALL, encoder="densenet121"),
        replace(SMALL, encoder="mit_b0", decoder_channels=(32, 16, 16, 8)),  # cannot be followed
    ],
    ids=lambda architecture: f"{architecture.encoder}-{architecture.maps_stride_px}",
)
@torch.inference_mode()
def test_the_logits_stay(architecture: Architecture) -> None:
    net = random_net(architecture)
    images = torch.randn(2, len(architecture.bands), 96, 64)
    head = architecture.heads[0]
    before = net(images, LOOKS, head)
    after = folded(net)(images, LOOKS, head)
    assert before.std() > 1e-3  # the picture leaves a trace
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4 * float(before.abs().max()))


@pytest.mark.parametrize("encoder", ["resnet18", "tu-regnetx_002", "tu-tf_efficientnet_lite0"])
@torch.inference_mode()
def test_no_norm_is_left(encoder: str) -> None:
    architecture = replace(SMALL, encoder=encoder)
    asked = torch.randn(2, 4, 64, 64), LOOKS, "any"
    assert norms(random_net(architecture), *asked) > 10
    assert norms(folded(random_net(architecture)), *asked) == 0


class Heard(nn.Module):
    """A convolution that its normalisation is not the only one to hear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.conv(x)
        return seen + self.norm(seen)


class Twice(Heard):
    """A convolution that is used twice, once without its normalisation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) + self.conv(x)


class Standardized(nn.Conv2d):
    """A convolution whose weights are not those that it multiplies by."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.weight / self.weight.norm())


class Other(Heard):
    """A normalisation behind a convolution of another kind."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = Standardized(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


@pytest.mark.parametrize("kind", [Heard, Twice, Other])
@torch.inference_mode()
def test_a_norm_stays_where_folding_would_change_the_answer(kind: type[Heard]) -> None:
    torch.manual_seed(5)
    module = kind()
    nn.init.uniform_(module.norm.running_var, 0.5, 2.0)
    module.eval()
    image = torch.randn(1, 3, 4, 4)
    before = module(image)
    fold_norms(module)
    assert norms(module, image) == 1
    torch.testing.assert_close(module(image), before, rtol=0, atol=0)
