"""The network: one encoder, and a decoder with a head per look category.

Each head gives two maps, footprint and border. Only the head that a scene needs is
computed. Every decoder hears the continuous look as well: the angle itself carries
over to collects that were never seen, where a collect's name would not (SpaceNet 4,
first and fifth place).

Array names end in their axes: B batch, C channel, H row, W column, L look features.
"""

from __future__ import annotations

from collections.abc import Sequence

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.base.initialization import initialize_decoder
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from snet4core.card import Architecture
from snet4core.errors import ModelError

LOOK_FEATURES = 5
"""Length of `Look.features()`."""

MAPS_PER_HEAD = 2
"""Footprint and border."""


class LookGate(nn.Module):
    """Lets a look turn feature channels up and down: x -> x * (1 + scale) + shift.

    Feature-wise linear modulation (Perez et al. 2018, arXiv:1709.07871). Starts as the
    identity, so that a network that has not learned to listen yet is not disturbed.
    """

    def __init__(self, channels: Sequence[int], hidden: int = 32) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.inner = nn.Linear(LOOK_FEATURES, hidden)
        self.outer = nn.Linear(hidden, 2 * sum(channels))
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, features: list[Tensor], looks_BL: Tensor) -> list[Tensor]:
        """Features (B, C, H, W) of each level, and the looks, to features gated alike."""
        gates_BC = self.outer(nn.functional.silu(self.inner(looks_BL)))
        scales = gates_BC[:, : sum(self.channels)].split(self.channels, dim=1)
        shifts = gates_BC[:, sum(self.channels) :].split(self.channels, dim=1)
        return [
            level * (1 + scale[:, :, None, None]) + shift[:, :, None, None]
            for level, scale, shift in zip(features, scales, shifts, strict=True)
        ]


class Branch(nn.Module):
    """One decoder as deep as the encoder, with the gate through which it hears the look."""

    def __init__(self, encoder_channels: Sequence[int], architecture: Architecture) -> None:
        super().__init__()
        self.gate = LookGate(encoder_channels[1:]) if architecture.hears_look else None
        self.decoder = UnetDecoder(
            encoder_channels=encoder_channels,
            decoder_channels=architecture.decoder_channels,
            n_blocks=len(architecture.decoder_channels),
            attention_type=architecture.attention,
        )
        initialize_decoder(self.decoder)

    def forward(self, features: list[Tensor], looks_BL: Tensor) -> Tensor:
        """Encoder features, finest first, to decoded features (B, C, H, W)."""
        if self.gate is not None:
            features = [features[0], *self.gate(features[1:], looks_BL)]
        decoded: Tensor = self.decoder(features)
        return decoded


class OffNadirNet(nn.Module):
    """Pictures and looks in, logits of footprint and border out."""

    def __init__(self, architecture: Architecture, encoder_weights: str | None = None) -> None:
        """Build the network.

        `encoder_weights` names a pretrained set that segmentation-models-pytorch fetches
        (training only); the default touches no network.

        Raises ModelError when the encoder is unknown or does not fit the decoder.
        """
        super().__init__()
        self.architecture = architecture
        depth = len(architecture.decoder_channels)
        try:
            self.encoder = smp.encoders.get_encoder(
                architecture.encoder,
                in_channels=len(architecture.bands),
                depth=depth,
                weights=encoder_weights,
            )
        except (KeyError, RuntimeError, ValueError, AssertionError) as problem:
            raise ModelError(
                f"The encoder '{architecture.encoder}' cannot be built with {depth} levels and "
                f"{len(architecture.bands)} bands: {problem}"
            ) from problem
        channels = self.encoder.out_channels
        names = ("shared",) if architecture.shared_decoder else architecture.heads
        self.branches = nn.ModuleDict({name: Branch(channels, architecture) for name in names})
        self.heads = nn.ModuleDict(
            {
                head: nn.Conv2d(architecture.decoder_channels[-1], MAPS_PER_HEAD, 3, padding=1)
                for head in architecture.heads
            }
        )

    def forward(self, images_BCHW: Tensor, looks_BL: Tensor, head: str) -> Tensor:
        """Logits (B, 2, H, W) of `head` alone; H and W are multiples of the stride."""
        return self.decoded(self.encoder(images_BCHW), looks_BL, head)

    def mixed(self, images_BCHW: Tensor, looks_BL: Tensor, heads: Sequence[str]) -> Tensor:
        """Logits (B, 2, H, W) for a batch of mixed looks, each sample by its own head.

        The encoder runs once over the whole batch, each head over its samples only.
        """
        features = self.encoder(images_BCHW)
        logits_B2HW: Tensor | None = None
        for head in dict.fromkeys(heads):
            chosen = torch.tensor(
                [index for index, name in enumerate(heads) if name == head],
                device=images_BCHW.device,
            )
            part = self.decoded([level[chosen] for level in features], looks_BL[chosen], head)
            if logits_B2HW is None:
                logits_B2HW = part.new_empty((len(heads), *part.shape[1:]))
            logits_B2HW = logits_B2HW.index_copy(0, chosen, part)
        if logits_B2HW is None:
            raise ModelError("An empty batch has no logits.")
        return logits_B2HW

    def decoded(self, features: list[Tensor], looks_BL: Tensor, head: str) -> Tensor:
        """Encoder features, finest first, to the logits (B, 2, H, W) of one head."""
        branch = self.branches["shared" if self.architecture.shared_decoder else head]
        logits: Tensor = self.heads[head](branch(features, looks_BL))
        return logits
