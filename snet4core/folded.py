"""The same network in less work: for whoever asks it, not for whoever trains it.

- A batch normalisation is a multiplication and an addition, which the convolution before it
  can do on the way: a pass over memory less for each of them.
- The decoder doubles a map, each pixel to four equal ones, and convolves it. In the doubled
  map a kernel of 3 x 3 covers 2 x 2 different pixels at most, so four ninths of the
  multiplications do; the doubled map, and the one with the skip connection behind it, need not
  be made (Shi et al. 2016, arXiv:1609.07009, on the deconvolution layer).

Measured by OpenVINO and by torch on two processors: docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoderBlock
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from snet4core.model import Branch, OffNadirNet


def folded(net: OffNadirNet) -> OffNadirNet:
    """The network itself, changed for good: it gives the same maps, but for rounding, faster.

    It is in evaluation mode from now on. Its weights have other names and shapes, so it can
    neither be saved nor trained.
    """
    net.eval()
    fold_norms(net.encoder)
    if net.architecture.attention is None:  # which would have to see all channels at once
        coarse = [net.encoder.out_channels[-1], *net.architecture.decoder_channels]
        for branch in net.branches.values():
            assert isinstance(branch, Branch)
            blocks = branch.decoder.blocks
            for index, block in enumerate(blocks):
                blocks[index] = DoublingBlock(block, coarse[index])
    return net


def fold_norms(module: nn.Module) -> None:
    """Give each convolution the batch normalisation that alone follows it."""
    for conv_name, norm_name in list(_followed(module)):
        conv, norm = module.get_submodule(conv_name), module.get_submodule(norm_name)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        rest: nn.Module = nn.Identity()
        if isinstance(norm, BatchNormAct2d):  # timm's, which holds the activation too
            rest = nn.Sequential(norm.drop, norm.act)
        module.set_submodule(conv_name, fuse_conv_bn_eval(conv, norm))
        module.set_submodule(norm_name, rest)


def _followed(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of convolutions, and of the normalisations that alone hear them."""
    try:
        nodes = list(_Follower().trace(module).nodes)
    except Exception:  # an encoder may do anything that cannot be followed
        return  # it runs as it is
    parts = dict(module.named_modules())
    called = [node.target for node in nodes if node.op == "call_module"]
    for node in nodes:
        if node.op != "call_module" or type(parts[node.target]) not in _NORMS:
            continue
        (before,) = node.args
        if (
            before.op == "call_module"
            and type(parts[before.target]) is nn.Conv2d  # others do more than convolve
            and len(before.users) == called.count(node.target) == called.count(before.target) == 1
        ):
            yield before.target, node.target


_NORMS = (nn.BatchNorm2d, BatchNormAct2d)


class _Follower(fx.Tracer):
    """Follows what is done to a picture, and does not look into the parts that are folded."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _NORMS) or super().is_leaf_module(m, module_qualified_name)


class DoublingBlock(nn.Module):
    """A block of the decoder without attention, in the place of smp's `UnetDecoderBlock`."""

    def __init__(self, block: UnetDecoderBlock, coarse: int) -> None:
        """`coarse` of the channels that `block` takes come from the level below."""
        super().__init__()
        conv, norm, self.activation = block.conv1
        both = fuse_conv_bn_eval(conv, norm)
        coarse_EC33, fine_ED33 = both.weight.split([coarse, conv.in_channels - coarse], dim=1)
        channels = conv.out_channels
        self.coarse = nn.ConvTranspose2d(coarse, channels, 4, stride=2, padding=1)
        self.coarse.weight = nn.Parameter(doubling(coarse_EC33))
        self.coarse.bias = both.bias
        self.fine: nn.Conv2d | None = None
        if fine_ED33.shape[1]:
            self.fine = nn.Conv2d(fine_ED33.shape[1], channels, 3, padding=1, bias=False)
            self.fine.weight = nn.Parameter(fine_ED33)
        fold_norms(block.conv2)
        self.then = block.conv2

    def forward(
        self,
        feature_map: Tensor,
        target_height: int,
        target_width: int,
        skip_connection: Tensor | None = None,
    ) -> Tensor:
        """Coarse features (B, C, H, W) and finer ones (B, D, 2 H, 2 W) to (B, E, 2 H, 2 W)."""
        seen = self.coarse(feature_map)
        if self.fine is not None:
            seen = seen + self.fine(skip_connection)
        decoded: Tensor = self.then(self.activation(seen))
        return decoded


def doubling(kernel_EC33: Tensor) -> Tensor:
    """The kernel (C, E, 4, 4) that does, transposed and with a stride of 2, what doubling a
    map and convolving it with `kernel_EC33` (padded by 1) does."""
    ringed_EC55 = nn.functional.pad(kernel_EC33.flip(2, 3), (1, 1, 1, 1))
    # Each coarse pixel stands at two places a side.
    return 4 * nn.functional.avg_pool2d(ringed_EC55, 2, stride=1).transpose(0, 1)
