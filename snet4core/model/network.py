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

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.base.initialization import initialize_decoder
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder, UnetDecoderBlock
from torch import Tensor, nn

from snet4core.errors import ModelError
from snet4core.model.card import Architecture
from snet4core.model.look_layers import (
    SWEPT_FROM,
    SWEPT_HEIGHTS_PX,
    LeanSweep,
    LookEstimate,
    LookGate,
)

FINE_LEVEL = 1
"""The level of stride 2. It is swept for low roofs only, with fewer channels: only a small
house needs its edges to the pixel, and a full sweep would take a third more time."""

FINE_HEIGHTS_PX = SWEPT_HEIGHTS_PX[:2]
FINE_CHANNELS = 8


class FusedUpsampleBlock(nn.Module):
    """smp's `UnetDecoderBlock` without attention, in fewer multiplications.

    The block upsamples a map, each pixel to 2 x 2 equal ones, concatenates the encoder's finer
    map and convolves both. In the upsampled map a 3 x 3 kernel covers 2 x 2 different pixels at
    most: transposed convolution gives the same with four ninths of the multiplications (Shi et
    al. 2016, arXiv:1609.07009), without storing the upsampled map or the concatenation.
    """

    def __init__(self, block: UnetDecoderBlock, coarse: int) -> None:
        """Take the layers of `block`; `coarse` of its input channels come from the level below."""
        super().__init__()
        self.coarse = coarse
        self.conv1, self.conv2 = block.conv1, block.conv2

    def kernels(self) -> tuple[Tensor, Tensor]:
        """Kernels of the transposed convolution (coarse map) and the convolution (finer map)."""
        coarse_EC33, fine_ED33 = self.conv1[0].weight.tensor_split([self.coarse], dim=1)
        return upsampling_kernel(coarse_EC33), fine_ED33

    def forward(
        self,
        feature_map: Tensor,
        target_height: int,
        target_width: int,
        skip_connection: Tensor | None = None,
    ) -> Tensor:
        """Coarse features (B, C, H / 2, W / 2) and finer ones (B, D, H, W) to (B, E, H, W)."""
        conv, norm, activation = self.conv1
        rows, cols = feature_map.shape[2:]
        if (target_height, target_width) == (2 * rows, 2 * cols):
            coarse_CE44, fine_ED33 = self.kernels()
            seen = nn.functional.conv_transpose2d(
                feature_map, coarse_CE44, conv.bias, stride=2, padding=1
            )
            if skip_connection is not None and self.coarse < conv.in_channels:
                seen = seen + nn.functional.conv2d(skip_connection, fine_ED33, padding=1)
        else:  # a picture whose sides are no multiples of the stride
            stretched = nn.functional.interpolate(feature_map, (target_height, target_width))
            both = [stretched] if skip_connection is None else [stretched, skip_connection]
            seen = conv(torch.cat(both, dim=1))
        decoded: Tensor = self.conv2(activation(norm(seen)))
        return decoded


def upsampling_kernel(kernel_EC33: Tensor) -> Tensor:
    """The kernel (C, E, 4, 4) of a transposed convolution with stride 2 that equals upsampling a
    map by 2 and convolving it with `kernel_EC33` (padded by 1)."""
    # Each coarse pixel is repeated twice along each axis, so two weights are summed each way.
    mean_EC44 = nn.functional.avg_pool2d(kernel_EC33.flip(2, 3), 2, stride=1, padding=1)
    return 4 * mean_EC44.transpose(0, 1)


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
        self.decoder = UnetDecoder(
            encoder_channels=encoder_channels,
            decoder_channels=architecture.decoder_channels,
            n_blocks=len(architecture.decoder_channels),
            attention_type=architecture.attention,
        )
        initialize_decoder(self.decoder)
        if architecture.attention is None:  # it would need all channels at once
            coarse = [encoder_channels[-1], *architecture.decoder_channels]
            for index, block in enumerate(self.decoder.blocks):
                self.decoder.blocks[index] = FusedUpsampleBlock(block, coarse[index])

    def forward(self, features: list[Tensor], looks_BL: Tensor) -> Tensor:
        """Encoder features, finest first, to decoded features (B, C, H, W)."""
        if self.sweep is not None:
            swept = self.sweep(features[SWEPT_FROM:], looks_BL)
            features = [*features[:SWEPT_FROM], *swept]
        if self.fine_sweep is not None:
            fine = self.fine_sweep([features[FINE_LEVEL]], looks_BL)
            features = [*features[:FINE_LEVEL], *fine, *features[SWEPT_FROM:]]
        if self.gate is not None:
            features = [features[0], *self.gate(features[1:], looks_BL)]
        decoded: Tensor = self.decoder(features)
        return decoded


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
        shared_BCHW: Tensor | None = None
        if self.architecture.shared_decoder:
            # Batch norm statistics have to cover all looks: inference uses one set for all.
            shared_BCHW = self.branches["shared"](features, looks_BL)
        logits_BMHW: Tensor | None = None
        for head in dict.fromkeys(heads):
            chosen = torch.tensor(
                [index for index, name in enumerate(heads) if name == head],
                device=looks_BL.device,
            )
            if shared_BCHW is None:
                part = self.decoded([level[chosen] for level in features], looks_BL[chosen], head)
            else:
                part = self._answered(shared_BCHW[chosen], head)
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

    def _answered(self, decoded_BCHW: Tensor, head: str) -> Tensor:
        """Decoded features to the head's logits, at the resolution of the picture."""
        stride_px = self.architecture.maps_stride_px
        if not self.architecture.subpixel_maps:
            logits_BMHW: Tensor = self.heads[head](decoded_BCHW)
            return logits_BMHW if stride_px == 1 else _smooth(logits_BMHW, stride_px)
        # Both convolve the same features: one convolution takes half the time of two.
        parts = [each.get_parameter for each in (self.heads[head], self.details[head])]
        weight, bias = (torch.cat([part(name) for part in parts]) for name in ("weight", "bias"))
        both_BCHW = nn.functional.conv2d(decoded_BCHW, weight, bias, padding=1)
        logits_BMHW, details_BCHW = both_BCHW.tensor_split([len(self.architecture.maps)], dim=1)
        return _smooth(logits_BMHW, stride_px) + nn.functional.pixel_shuffle(
            details_BCHW, stride_px
        )


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
