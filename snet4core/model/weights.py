"""One model, one `.safetensors` file: weights as tensors, card and topology in its header.

No pickle anywhere: loading a model cannot run code. What is loaded is checked by
name, shape, finiteness and hash before the network is built from it.
Format: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as bytes_of
from torch import Tensor

from snet4core.errors import ModelError
from snet4core.files import outputs
from snet4core.model.card import Card
from snet4core.model.header import read_header, write_metadata
from snet4core.model.network import OffNadirNet
from snet4core.model.topology import Topology


def digest_of(tensors: dict[str, Tensor]) -> str:
    """sha256 over names, types, shapes and values, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def add_topology(path: Path, topology: Topology, target: Path, overwrite: bool) -> None:
    """Write the model file `path` to `target` with a topology beside its weights; both may be the
    same file. Weights, card and digest stay."""
    header = read_header(path)
    tensors = _tensors(path)
    said = write_metadata(header.card, header.digest, topology.to_json(header.digest))
    with outputs.replacing(target, overwrite=overwrite) as (temporary,):
        # By itself it would write a file that only its owner may read, whatever the umask.
        temporary.write_bytes(bytes_of(tensors, metadata=said))


def save(
    path: Path, net: OffNadirNet, card: Card, *, half: bool = True, overwrite: bool = True
) -> str:
    """Write network and card to `path`, complete or not at all; returns the weights' digest.

    `half` stores floating-point tensors in 16 bits: half the file, and the maps differ
    by less than their quantisation. Raises ModelError for a network that must not be kept,
    OutputError if the place or the disk does not take it.
    """
    if net.architecture != card.architecture:
        raise ModelError(f"{path}: the card describes another architecture than the network has.")
    tensors = {
        name: (value.half() if half and value.is_floating_point() else value).contiguous()
        for name, value in net.state_dict().items()
    }
    _refuse_non_finite(path, tensors)
    digest = digest_of(tensors)
    with outputs.replacing(path, overwrite=overwrite) as (temporary,):
        temporary.write_bytes(bytes_of(tensors, metadata=write_metadata(card, digest)))
    return digest


def load(path: Path) -> tuple[OffNadirNet, Card]:
    """Read a model file into a network in evaluation mode, with its card.

    Raises ModelError when the file is missing, damaged, not ours, or does not fit the
    architecture that its card names.
    """
    header = read_header(path)
    if header.is_graph:
        raise ModelError(
            f"{path}: holds a graph for OpenVINO and no weights; give the model that it was "
            "exported from."
        )
    tensors = _tensors(path)
    if digest_of(tensors) != header.digest:
        raise ModelError(f"{path}: the weights do not match their checksum; get the file again.")
    _refuse_non_finite(path, tensors)
    net = OffNadirNet(header.card.architecture)
    try:
        net.load_state_dict(tensors, strict=True)
    except RuntimeError as problem:
        first = str(problem).splitlines()[-1].strip()
        raise ModelError(f"{path}: the weights belong to another network ({first}).") from problem
    return net.eval(), header.card


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (SafetensorError, OSError, ValueError) as problem:
        raise ModelError(f"{path}: the weights cannot be read ({problem}).") from problem


def _refuse_non_finite(path: Path, tensors: dict[str, Tensor]) -> None:
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelError(f"{path}: the weights '{name}' hold NaN or infinity; train again.")
