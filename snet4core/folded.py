"""The network for whoever asks it and does not train it: what depends on weights alone is done.

- A batch normalisation is by then a multiplication and an addition, which the convolution
  before it can do on the way: a pass over memory less for each of them.
- The kernels that double maps are made once. A graph must hold them as constants: OpenVINO
  2026.4 makes them anew for each window if it has to, and two threads that do so at once
  spoil each other's maps.
"""

from __future__ import annotations

from collections.abc import Iterator

from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from snet4core.model import Branch, DoublingBlock, OffNadirNet


def folded(net: OffNadirNet) -> OffNadirNet:
    """The network itself, changed for good: it gives the same maps, but for rounding, faster.

    It is in evaluation mode from now on, and can neither be saved nor trained.
    """
    net.eval()
    fold_norms(net.encoder)
    for branch in net.branches.values():
        assert isinstance(branch, Branch)
        for index, block in enumerate(branch.decoder.blocks):
            fold_norms(block.conv1)
            fold_norms(block.conv2)
            if isinstance(block, DoublingBlock):
                branch.decoder.blocks[index] = FoldedBlock(block)
    return net


class FoldedBlock(DoublingBlock):
    """A `DoublingBlock` whose kernels are made once."""

    def __init__(self, block: DoublingBlock) -> None:
        super().__init__(block, block.coarse)
        coarse_CE44, fine_ED33 = block.kernels()
        self.coarse_CE44 = nn.Parameter(coarse_CE44.detach().contiguous())
        self.fine_ED33 = nn.Parameter(fine_ED33.detach().contiguous())

    def kernels(self) -> tuple[Tensor, Tensor]:
        """As they were made."""
        return self.coarse_CE44, self.fine_ED33


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
