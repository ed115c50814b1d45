"""Imports weights from other projects: converts a torch state dict to a model file of snet4.

The file is opened with `weights_only`, which builds tensors and executes nothing. Parameter
names are translated to snet4's; then every name and shape must match the architecture given.
"""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snet4core import __version__
from snet4core.errors import ModelError, UsageError
from snet4core.files import outputs
from snet4core.model import weights
from snet4core.model.card import FIVE_HEADS, ONE_HEAD, THREE_HEADS, TWO_MAPS, Architecture, Card
from snet4core.model.header import check_ending
from snet4core.model.network import OffNadirNet

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "ema", "weights")
"""Keys under which training loops store the state dict."""

_PREFIXES = ("module.", "model.", "net.", "_orig_mod.")
"""Prefixes that wrappers put before every parameter name."""

_NO_BORDER = -30.0
"""A bias so low that an untrained border map is 0 everywhere."""


def architecture_of(
    encoder: str,
    bands: Sequence[str],
    heads: int,
    decoder_channels: Sequence[str],
    attention: str | None,
) -> Architecture:
    """Build an architecture from command-line values; UsageError for invalid ones."""
    sets = {1: ONE_HEAD, 3: THREE_HEADS, 5: FIVE_HEADS}
    names = tuple(band.strip() for band in bands)
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(f"--bands {','.join(bands)}: name each band once, as in red,green,blue.")
    try:
        channels = tuple(int(each) for each in decoder_channels)
    except ValueError:
        channels = ()
    if not channels or min(channels) < 1:
        raise UsageError(
            f"--decoder-channels {','.join(decoder_channels)}: give whole numbers, as in "
            "256,128,64,32,16."
        )
    return Architecture(
        encoder=encoder,
        bands=names,
        heads=sets[heads],
        decoder_channels=channels,
        attention=attention,
    )


def import_state(
    file: Path,
    target: Path,
    architecture: Architecture,
    name: str,
    *,
    gsd_m: float = 0.5,
    licence: str = "",
    overwrite: bool = False,
) -> str:
    """Write the weights in `file` as a model to `target`; returns their digest.

    A U-Net of segmentation-models-pytorch has one decoder and no look input, whatever
    `architecture` says. Raises ModelError when the file cannot be read or does not fit.
    """
    check_ending(target)
    outputs.check(target, overwrite=overwrite, inputs=[file])
    state = _stripped(read_state(file))
    if any(key.startswith("segmentation_head.") for key in state):
        state, architecture = _renamed(file, state, architecture)
    net = OffNadirNet(architecture)
    try:
        net.load_state_dict(state, strict=True)
    except RuntimeError as problem:
        lines = [line.strip() for line in str(problem).splitlines()[1:]]
        raise ModelError(
            f"{file}: the weights do not fit a network of {architecture.encoder}: "
            f"{' '.join(lines)[:300]}; check --encoder, --bands, --heads and --decoder-channels."
        ) from problem
    card = Card(
        name,
        architecture,
        gsd_m=gsd_m,
        gsd_range_m=(0.6 * gsd_m, 2 * gsd_m),
        licence=licence,
        training_data=f"imported from {file.name}",
        code_version=__version__,
    )
    return weights.save(target, net.eval(), card, half=False, overwrite=overwrite)


def read_state(file: Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name; ModelError for anything else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats, which `weights_only` covers too
            found = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as problem:
        raise ModelError(f"{file}: no such file.") from problem
    except (
        pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError,
        AttributeError, IndexError, TypeError, zipfile.BadZipFile, UnicodeDecodeError,
    ) as problem:  # fmt: skip
        raise ModelError(
            f"{file}: no plain state dict of torch; where it holds a whole network, save its "
            "state_dict() alone."
        ) from problem
    for key in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found:
        raise ModelError(f"{file}: holds no state dict; save state_dict() of the network alone.")
    return {str(key): value for key, value in found.items() if isinstance(value, Tensor)}


def _stripped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict without the prefixes that wrappers put before every name."""
    for prefix in _PREFIXES * 2:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _renamed(
    file: Path, state: dict[str, Tensor], wanted: Architecture
) -> tuple[dict[str, Tensor], Architecture]:
    """Translate the names of segmentation-models-pytorch's U-Net; also returns its architecture."""
    architecture = replace(wanted, shared_decoder=True, hears_look=False)
    last: dict[str, Any] = {}
    ours: dict[str, Tensor] = {}
    for name, value in state.items():
        room, _, rest = name.partition(".")
        if room == "decoder":
            ours[f"branches.shared.{name}"] = value
        elif room == "segmentation_head":
            last[rest.rpartition(".")[2]] = value
        else:
            ours[name] = value
    weight, bias = last.get("weight"), last.get("bias")
    heads = architecture.heads
    if weight is None or bias is None or len(weight) not in (len(heads), len(heads) * 2):
        given = 0 if weight is None else len(weight)
        raise ModelError(
            f"{file}: its last layer gives {given} maps, but {len(heads)} heads need "
            f"{len(heads) * len(TWO_MAPS)} (footprint and border each) or {len(heads)}; "
            "check --heads."
        )
    for index, head in enumerate(heads):
        if len(weight) == len(heads):  # footprint only, no border
            part = slice(index, index + 1)
            ours[f"heads.{head}.weight"] = torch.cat([weight[part], torch.zeros_like(weight[part])])
            ours[f"heads.{head}.bias"] = torch.cat(
                [bias[part], torch.full_like(bias[part], _NO_BORDER)]
            )
        else:
            part = slice(len(TWO_MAPS) * index, len(TWO_MAPS) * (index + 1))
            ours[f"heads.{head}.weight"], ours[f"heads.{head}.bias"] = weight[part], bias[part]
    return ours, architecture
