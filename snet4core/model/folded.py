"""Inference-only network: batch norms folded, kernels precomputed.

- At inference a batch normalisation is a multiplication and an addition, which are folded
  into the convolution before it: one pass over memory less for each.
- The kernels that upsample maps are computed once. A graph must hold them as constants:
  otherwise OpenVINO 2026.4 computes them again for each window, and two threads that do so
  at once corrupt each other's maps.
"""

from __future__ import annotations

from collections.abc import Iterator

from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from snet4core.model.height_decoder import HeightDecoder
from snet4core.model.network import Decoder, OffNadirNet
from snet4core.model.recipes import (
    CoarseKernel,
    FineKernel,
    FoldedBias,
    FoldedKernel,
    Kept,
    Recipe,
)
from snet4core.model.upsampling import FusedUpsampleBlock


def folded(net: OffNadirNet) -> OffNadirNet:
    """Fold a network in place and return it: the same maps up to rounding, computed faster.

    It is left in evaluation mode, and can no longer be saved or trained.
    """
    net.eval()
    for name in _folded_parts(net):
        fold_norms(net.get_submodule(name))
    for decoder in _decoders(net):
        blocks = net.get_submodule(f"{decoder}.blocks")
        assert isinstance(blocks, nn.ModuleList)
        for index, block in enumerate(blocks):
            if isinstance(block, FusedUpsampleBlock):
                blocks[index] = FoldedBlock(block)
    return net


def recipes_of(net: OffNadirNet) -> Iterator[Recipe]:
    """How each constant of a folded network may be made from the weights of this one, which is
    not folded yet."""
    for part in _folded_parts(net):
        for conv_name, norm_name in _foldable_pairs(net.get_submodule(part)):
            norm = net.get_submodule(f"{part}.{norm_name}")
            assert isinstance(norm, nn.BatchNorm2d)
            folding = (f"{part}.{conv_name}", f"{part}.{norm_name}", norm.eps)
            yield FoldedKernel(*folding)
            yield FoldedBias(*folding)
            block = net.get_submodule(part.rpartition(".")[0])
            if isinstance(block, FusedUpsampleBlock) and part.endswith(".conv1"):
                yield CoarseKernel(*folding, block.coarse)
                yield FineKernel(*folding, block.coarse)
    for head in net.details:
        for kind in ("weight", "bias"):
            yield Kept((f"heads.{head}.{kind}", f"details.{head}.{kind}"))
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            yield Kept((name,))


def _folded_parts(net: OffNadirNet) -> list[str]:
    """Names of the parts whose batch norms are folded, each alone."""
    names = ["encoder"]
    for decoder in _decoders(net):
        for name, _ in net.get_submodule(f"{decoder}.blocks").named_children():
            names += [f"{decoder}.blocks.{name}.{conv}" for conv in ("conv1", "conv2")]
    return names


def _decoders(net: OffNadirNet) -> list[str]:
    """Names of smp's decoders: that of each branch, and that of its heights."""
    ours = (Decoder, HeightDecoder)
    return [f"{name}.decoder" for name, part in net.named_modules() if isinstance(part, ours)]


class FoldedBlock(FusedUpsampleBlock):
    """A `FusedUpsampleBlock` with precomputed kernels."""

    def __init__(self, block: FusedUpsampleBlock) -> None:
        super().__init__(block, block.coarse)
        coarse_CE44, fine_ED33 = block.kernels()
        self.coarse_CE44 = nn.Parameter(coarse_CE44.detach().contiguous())
        self.fine_ED33 = nn.Parameter(fine_ED33.detach().contiguous())

    def kernels(self) -> tuple[Tensor, Tensor]:
        """See `FusedUpsampleBlock.kernels`; precomputed."""
        return self.coarse_CE44, self.fine_ED33


def fold_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution before it, where nothing else uses its output."""
    for conv_name, norm_name in list(_foldable_pairs(module)):
        conv, norm = module.get_submodule(conv_name), module.get_submodule(norm_name)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        rest: nn.Module = nn.Identity()
        if isinstance(norm, BatchNormAct2d):  # timm's, which holds the activation too
            rest = nn.Sequential(norm.drop, norm.act)
        module.set_submodule(conv_name, fuse_conv_bn_eval(conv, norm))
        module.set_submodule(norm_name, rest)


def _foldable_pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of convolutions, and of the batch norms that alone use their outputs."""
    try:
        nodes = list(_Tracer().trace(module).nodes)
    except Exception:  # an encoder may contain anything that cannot be traced
        return  # it runs unfolded
    parts = dict(module.named_modules())
    called = [node.target for node in nodes if node.op == "call_module"]
    for node in nodes:
        if node.op != "call_module" or type(parts[node.target]) not in _NORMS:
            continue
        (before,) = node.args
        if (
            before.op == "call_module"
            and type(parts[before.target]) in _CONVOLUTIONS  # another may do more than convolve
            and len(before.users) == called.count(node.target) == called.count(before.target) == 1
        ):
            yield before.target, node.target


_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)
_NORMS = (nn.BatchNorm2d, BatchNormAct2d)


class _Tracer(fx.Tracer):
    """Traces a module with what folding is about as leaves.

    `Conv2dSame` pads by the picture's size, which a tracer cannot follow.
    """

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        leaf = isinstance(m, (*_NORMS, Conv2dSame))
        return leaf or super().is_leaf_module(m, module_qualified_name)
