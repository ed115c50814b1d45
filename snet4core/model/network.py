"""The network: one encoder, and a decoder with a head per look category.

Each head gives the maps that the architecture names: footprint and border, and perhaps roof,
roof border and height. Only the head that a scene needs is
computed. Every decoder is also conditioned on the continuous look: the angle itself
generalises to unseen collects, where a collect's identity would not (SpaceNet 4, first
and fifth place).

Array names end in their axes: B batch, C channel, M map, H row, W column,
L look features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from snet4core.errors import ModelError
from snet4core.model.card import Architecture
from snet4core.model.height_decoder import HeightDecoder
from snet4core.model.look_layers import (
    SWEPT_FROM,
    SWEPT_HEIGHTS_PX,
    LeanSweep,
    LookEstimate,
    LookGate,
)
from snet4core.model.upsampling import unet_decoder, unrolled

FINE_LEVEL = 1
"""The level of stride 2. It is swept for low roofs only, with fewer channels: only a small
house needs its edges to the pixel, and a full sweep would take a third more time."""

FINE_HEIGHTS_PX = SWEPT_HEIGHTS_PX[:2]
FINE_CHANNELS = 8


class Decoded(NamedTuple):
    """What a decoder makes of the encoder's features."""

    features_BCHW: Tensor
    """From which the heads make maps."""
    heights_B1HW: Tensor | None
    """What is added to the logits of heights, at their resolution; None: nothing."""

    def of(self, chosen: Tensor) -> Decoded:
        """Those of some samples alone."""
        heights_B1HW = None if self.heights_B1HW is None else self.heights_B1HW[chosen]
        return Decoded(self.features_BCHW[chosen], heights_B1HW)


class Decoder(nn.Module):
    """One decoder, with the layers that condition it on the look."""

    def __init__(self, encoder_channels: Sequence[int], architecture: Architecture) -> None:
        super().__init__()
        self.sweep = LeanSweep(encoder_channels[SWEPT_FROM:]) if architecture.sweeps_lean else None
        self.fine_sweep = (
            LeanSweep([encoder_channels[FINE_LEVEL]], FINE_LEVEL, FINE_HEIGHTS_PX, FINE_CHANNELS)
            if architecture.sweeps_lean and architecture.swept_stride_px == 2
            else None
        )
        self.gate = LookGate(encoder_channels[1:]) if architecture.hears_look else None
        self.decoder = unet_decoder(
            encoder_channels, architecture.decoder_channels, architecture.attention
        )
        self.heights = (
            HeightDecoder(encoder_channels, architecture) if architecture.heights_apart else None
        )

    def forward(self, features: list[Tensor], looks_BL: Tensor) -> Decoded:
        """Decode the encoder's features, finest first."""
        if self.sweep is not None:
            swept = self.sweep(features[SWEPT_FROM:], looks_BL)
            features = [*features[:SWEPT_FROM], *swept]
        if self.fine_sweep is not None:
            fine = self.fine_sweep([features[FINE_LEVEL]], looks_BL)
            features = [*features[:FINE_LEVEL], *fine, *features[SWEPT_FROM:]]
        if self.gate is not None:
            features = [features[0], *self.gate(features[1:], looks_BL)]
        if self.heights is None:
            return Decoded(self.decoder(features), None)
        coarse_BCHW, *_, finest_BCHW = unrolled(self.decoder, features)
        heights_B1HW = self.heights([*features[SWEPT_FROM:-2], coarse_BCHW], looks_BL)
        return Decoded(finest_BCHW, heights_B1HW)


class OffNadirNet(nn.Module):
    """The whole network: pictures and looks to logits of maps."""

    def __init__(self, architecture: Architecture) -> None:
        """Build the network with random weights; nothing is downloaded.

        Raises ModelError when the encoder is unknown or does not fit the decoder.
        """
        super().__init__()
        self.architecture = architecture
        depth = architecture.depth
        try:
            self.encoder = smp.encoders.get_encoder(
                architecture.encoder,
                in_channels=len(architecture.bands),
                depth=depth,
                weights=None,
            )
        except (KeyError, RuntimeError, ValueError, AssertionError) as problem:
            raise ModelError(
                f"The encoder '{architecture.encoder}' cannot be built with {depth} levels and "
                f"{len(architecture.bands)} bands: {problem}"
            ) from problem
        channels = self.encoder.out_channels
        names = ("shared",) if architecture.shared_decoder else architecture.heads
        self.branches = nn.ModuleDict({name: Decoder(channels, architecture) for name in names})
        self.heads = nn.ModuleDict(
            {
                head: nn.Conv2d(
                    architecture.decoder_channels[-1], len(architecture.maps), 3, padding=1
                )
                for head in architecture.heads
            }
        )
        self.details = nn.ModuleDict()
        if architecture.subpixel_maps:
            self.details.update({head: _details(architecture) for head in architecture.heads})
        self.look = LookEstimate(channels[-1]) if architecture.estimates_look else None

    def forward(self, images_BCHW: Tensor, looks_BL: Tensor, head: str) -> Tensor:
        """Logits (B, M, H, W) of `head` only; H and W must be multiples of the stride."""
        return self.decoded(self.encoder(images_BCHW), looks_BL, head)

    def mixed(self, features: list[Tensor], looks_BL: Tensor, heads: Sequence[str]) -> Tensor:
        """Encoder features of mixed looks to logits (B, M, H, W), each sample by its own head.

        A decoder that all heads share runs once on the whole batch; each head runs on its
        samples only.
        """
        shared: Decoded | None = None
        if self.architecture.shared_decoder:
            # Batch norm statistics have to cover all looks: inference uses one set for all.
            shared = self.branches["shared"](features, looks_BL)
        logits_BMHW: Tensor | None = None
        for head in dict.fromkeys(heads):
            chosen = torch.tensor(
                [index for index, name in enumerate(heads) if name == head],
                device=looks_BL.device,
            )
            if shared is None:
                part = self.decoded([level[chosen] for level in features], looks_BL[chosen], head)
            else:
                part = self._answered(shared.of(chosen), head)
            if logits_BMHW is None:
                logits_BMHW = part.new_empty((len(heads), *part.shape[1:]))
            logits_BMHW = logits_BMHW.index_copy(0, chosen, part)
        if logits_BMHW is None:
            raise ModelError("An empty batch has no logits.")
        return logits_BMHW

    def decoded(self, features: list[Tensor], looks_BL: Tensor, head: str) -> Tensor:
        """Encoder features, finest first, to the logits (B, M, H, W) of one head."""
        branch = self.branches["shared" if self.architecture.shared_decoder else head]
        return self._answered(branch(features, looks_BL), head)

    def _answered(self, decoded: Decoded, head: str) -> Tensor:
        """The head's logits of what was decoded, at the resolution of the picture."""
        logits_BMHW, details_BCHW = self._asked(decoded.features_BCHW, head)
        if decoded.heights_B1HW is not None:
            heights_B1HW = logits_BMHW[:, -1:] + decoded.heights_B1HW
            logits_BMHW = torch.cat([logits_BMHW[:, :-1], heights_B1HW], dim=1)
        stride_px = self.architecture.maps_stride_px
        if stride_px > 1:
            logits_BMHW = _smooth(logits_BMHW, stride_px)
        if details_BCHW is None:
            return logits_BMHW
        return logits_BMHW + nn.functional.pixel_shuffle(details_BCHW, stride_px)

    def _asked(self, decoded_BCHW: Tensor, head: str) -> tuple[Tensor, Tensor | None]:
        """Decoded features to the head's logits at their resolution, and the details between."""
        if not self.architecture.subpixel_maps:
            return self.heads[head](decoded_BCHW), None
        # Both convolve the same features: one convolution takes half the time of two.
        parts = [each.get_parameter for each in (self.heads[head], self.details[head])]
        weight, bias = (torch.cat([part(name) for part in parts]) for name in ("weight", "bias"))
        both_BCHW = nn.functional.conv2d(decoded_BCHW, weight, bias, padding=1)
        logits_BMHW, details_BCHW = both_BCHW.tensor_split([len(self.architecture.maps)], dim=1)
        return logits_BMHW, details_BCHW


def _smooth(logits_BMHW: Tensor, stride_px: int) -> Tensor:
    return nn.functional.interpolate(logits_BMHW, scale_factor=stride_px, mode="bilinear")


def _details(architecture: Architecture) -> nn.Conv2d:
    """Predicts what interpolation loses: logits of every pixel from features of every second one.

    Sub-pixel convolution (Shi et al. 2016, arXiv:1609.05158), added to the interpolated maps
    instead of replacing them: initialised to zero, it learns the difference only.
    """
    logits = len(architecture.maps) * architecture.maps_stride_px**2
    convolution = nn.Conv2d(architecture.decoder_channels[-1], logits, 3, padding=1)
    nn.init.zeros_(convolution.weight)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


def quantised(logits: torch.Tensor) -> torch.Tensor:
    """Convert logits to probabilities 0..255, uint8."""
    return (torch.sigmoid(logits) * 255).round().to(torch.uint8)
