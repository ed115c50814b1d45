"""Fine-tuning: initialises a network with the weights of a model, also for other heads.

Tensors that both have are copied by name. Decoders and heads are matched by look category: a
shared decoder starts from the model's middle head, and a head that the model lacks from its
nearest one. Parts that the model lacks (a sweep, a look estimate) keep their initialisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from snet4core.errors import ModelError
from snet4core.model import weights
from snet4core.model.network import OffNadirNet

SHARED = "shared"


def nearest_head(wanted: str, known: Sequence[str]) -> str:
    """The model's head to start from: the same, else its category's, else the middle one.

    >>> nearest_head("off-nadir-north", ["nadir", "off-nadir", "very-off-nadir"])
    'off-nadir'
    >>> nearest_head("any", ["nadir", "off-nadir", "very-off-nadir"])
    'off-nadir'
    """
    same = [name for name in known if name == wanted]
    kin = [name for name in known if name.startswith(wanted) or wanted.startswith(name)]
    return [*same, *kin, known[len(known) // 2]][0]


def go_on_from(net: OffNadirNet, path: Path) -> None:
    """Copy the weights of a snet4 model file into `net`, as far as both have them.

    Raises `ModelError` when the file is not a model, or has another encoder, attention or bands.
    """
    other, card = weights.load(path)
    mine, theirs = net.architecture, card.architecture
    for name in ("encoder", "bands", "attention"):
        if getattr(mine, name) != getattr(theirs, name):
            raise ModelError(
                f"{path}: it has {name} {getattr(theirs, name)}, the recipe {getattr(mine, name)}; "
                "fine-tuning needs the same."
            )
    had = other.state_dict()
    taken: dict[str, Tensor] = {}
    for name, value in net.state_dict().items():
        source = _source(name, tuple(other.branches), tuple(other.heads), mine.shared_decoder)
        if source in had and had[source].shape == value.shape:
            taken[name] = had[source]
    net.load_state_dict(taken, strict=False)


def _source(name: str, branches: Sequence[str], heads: Sequence[str], shared: bool) -> str:
    """Name of the other model's tensor that a tensor starts from."""
    part, _, rest = name.partition(".")
    if part == "branches":
        own, _, rest = rest.partition(".")
        return f"branches.{_branch(own, branches)}.{rest}"
    if part in ("heads", "details"):
        own, _, rest = rest.partition(".")
        # A head fits the decoder before it, so both come from the same one.
        apart = SHARED not in branches
        return f"{part}.{_branch(SHARED if shared and apart else own, heads)}.{rest}"
    return name


def _branch(own: str, known: Sequence[str]) -> str:
    if SHARED in known:
        return SHARED
    return nearest_head("off-nadir" if own == SHARED else own, known)
