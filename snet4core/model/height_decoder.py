"""The decoder that heights have of their own: it looks back along the lean for the feet of roofs.

Array names end in their axes: B batch, C channel, H row, W column, L features of a look.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from snet4core.model.card import Architecture
from snet4core.model.look_layers import SWEPT_FROM, LeanSweep
from snet4core.model.upsampling import unet_decoder, unrolled

SEARCHED_FROM = SWEPT_FROM + 1
"""The finest level in which feet are looked for, of stride 8: in the finer one the search takes
a fifth of the time of the whole network more, and finds no more of them."""

FEET_PX = (-4.0, -8.0, -13.0, -20.0, -32.0, -52.0, -80.0)
"""Heights in pixels at which a roof's foot is looked for: 2 to 40 m at half a metre. They are
negative, because a foot lies the other way from its roof as a roof from its foot."""

FOOT_CHANNELS = 12
"""Channels sampled at each of them."""


class HeightDecoder(nn.Module):
    """Corrects the height map, from what the decoder of the maps has seen down to a stride of 4.

    A wall shows how high it is between a roof and its foot, which is h x tan(off-nadir) away,
    against the azimuth. Maps of roofs need no such search, and lose by learning it: so it is a
    decoder beside theirs, which leaves them as they are. It goes its own way after the coarsest
    block, and ends where a pixel is as wide as the smallest roofs. The correction starts as zero.
    """

    def __init__(self, encoder_channels: Sequence[int], architecture: Architecture) -> None:
        """`encoder_channels` are those of all levels of the encoder, finest first."""
        super().__init__()
        coarse, *blocks = architecture.decoder_channels[: architecture.depth - SWEPT_FROM]
        levels = [*encoder_channels[SWEPT_FROM:-2], coarse]
        self.back = LeanSweep(levels[1:], SEARCHED_FROM, FEET_PX, FOOT_CHANNELS)
        self.decoder = unet_decoder([0, *levels], blocks, architecture.attention)
        self.coarser = 2**SWEPT_FROM // architecture.maps_stride_px
        self.height = nn.Conv2d(blocks[-1], 1, 3, padding=1)
        nn.init.zeros_(self.height.weight)
        assert self.height.bias is not None
        nn.init.zeros_(self.height.bias)

    def forward(self, levels: list[Tensor], looks_BL: Tensor) -> Tensor:
        """What is added to the logits of the heights, (B, 1, H, W) at their resolution.

        `levels` are features of the decoder of the maps, finest first: those that it is given, from
        the stride of 4 on, and after them what its first block makes of the coarsest.
        """
        seen = self.back(levels[1:], looks_BL)
        unseen = levels[0]  # stands for the level that a decoder does not look at
        decoded_BCHW = unrolled(self.decoder, [unseen, levels[0], *seen])[-1]
        return nn.functional.interpolate(
            self.height(decoded_BCHW), scale_factor=self.coarser, mode="bilinear"
        )
