"""How decoders go from coarse features to fine ones: U-Net's blocks, in fewer multiplications.

Array names end in their axes: B batch, C, D, E channels, H row, W column.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from segmentation_models_pytorch.base.initialization import initialize_decoder
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder, UnetDecoderBlock
from torch import Tensor, nn


def unet_decoder(
    encoder_channels: Sequence[int], decoder_channels: Sequence[int], attention: str | None
) -> UnetDecoder:
    """smp's U-Net decoder, with a block for each of `decoder_channels`, coarsest first.

    `encoder_channels` are those of the levels that it is given, finest first; the first is for a
    level that it does not look at.
    """
    decoder = UnetDecoder(
        encoder_channels=encoder_channels,
        decoder_channels=decoder_channels,
        n_blocks=len(decoder_channels),
        attention_type=attention,
    )
    initialize_decoder(decoder)
    if attention is None:  # it would need all channels at once
        coarse = [encoder_channels[-1], *decoder_channels]
        for index, block in enumerate(decoder.blocks):
            decoder.blocks[index] = FusedUpsampleBlock(block, coarse[index])
    return decoder


def unrolled(decoder: UnetDecoder, features: Sequence[Tensor]) -> list[Tensor]:
    """What each block of a decoder gives, coarsest first; the last is what the decoder gives.

    `features` are those of all levels of an encoder, finest first; the first has the picture's
    size, and is not looked at.
    """
    decoded, levels = [], features[::-1]
    seen = levels[0]
    for index, block in enumerate(decoder.blocks, start=1):
        skip = levels[index] if index < len(levels) - 1 else None
        seen = block(seen, *levels[index].shape[2:], skip_connection=skip)
        decoded.append(seen)
    return decoded


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
