"""Exports the weights of a model as an OpenVINO graph; needs both torch and OpenVINO.

The graph takes a picture and its look, so that one graph serves every angle, and returns the
maps of every head as uint8: sigmoid and quantisation are part of it. If the model guesses
looks, the guess is one more output.

Array names end in their axes: B batch, C channel, M map, H row, W column, L look.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snet4core.errors import DependencyError, ModelError
from snet4core.extras import how_to_install, installed
from snet4core.files import outputs
from snet4core.look.look import LOOK_FEATURES
from snet4core.model import weights
from snet4core.model.arrays import read_arrays
from snet4core.model.card import Card
from snet4core.model.folded import folded, recipes_of
from snet4core.model.graph import (
    IMAGE,
    LOOK,
    LOOK_ESTIMATE,
    Graph,
    openvino,
    problem_of,
    read_graph,
    write_graph,
)
from snet4core.model.header import GRAPH_ENDING, check_ending, read_header
from snet4core.model.look_layers import LeanSweep, sample_by_shift
from snet4core.model.network import OffNadirNet, quantised
from snet4core.model.topology import topology_of

MOST_UNMATCHED_BYTES = 2**18
"""Constants that a model file takes in which do not follow from its weights; a known encoder has
some hundred bytes."""


class ExportedNet(nn.Module):
    """Wraps a network to return the quantised maps of every head, and the guess of the look.

    Modifies the given network: it is `folded`, and its sweeps sample for one look at a time.
    """

    def __init__(self, net: OffNadirNet) -> None:
        super().__init__()
        self.net = folded(net)
        for part in net.modules():
            if isinstance(part, LeanSweep):
                part.samples = sample_by_shift

    def forward(self, images_BCHW: Tensor, looks_BL: Tensor) -> tuple[Tensor, ...]:
        """(B, M, H, W) uint8 for each head in the order of the architecture, then (B, 3)."""
        features = self.net.encoder(images_BCHW)
        maps = [
            quantised(self.net.decoded(features, looks_BL, head))
            for head in self.net.architecture.heads
        ]
        guess = [] if self.net.look is None else [self.net.look(features[-1])]
        return (*maps, *guess)


@dataclass(frozen=True, slots=True)
class Exported:
    """A model that OpenVINO can compute."""

    path: Path
    """The file that was written."""
    is_graph: bool
    """Whether it is a file of its own, as `export_apart` writes; otherwise model and graph."""
    unmatched_bytes: int
    """Constants of the graph that do not follow from the weights."""


def export(model: Path, target: Path | None = None, *, overwrite: bool = False) -> Exported:
    """Add to a model file what OpenVINO needs, in place or in a copy at `target`.

    That is the topology alone, of some 70 kB, where the graph's constants follow from the weights.
    Where more than `MOST_UNMATCHED_BYTES` do not, the graph is written whole: to `target`, or
    beside the model. `overwrite` permits to replace `target` or that graph; the model file is
    always replaced by itself and its topology, and loses nothing.

    Raises ModelError for a model that cannot be exported, DependencyError without OpenVINO.
    """
    _need_openvino()
    if target is not None:
        check_ending(target)
    outputs.check(target or model, overwrite=overwrite or target is None,
                  inputs=[] if target is None else [model])  # fmt: skip
    net, card = weights.load(model)
    known, arrays = list(recipes_of(net)), read_arrays(model)
    graph = graph_of(net)
    topology = topology_of(graph.xml, graph.constants, graph.halves, known, arrays)
    unmatched_bytes = len(topology.literals)
    if unmatched_bytes <= MOST_UNMATCHED_BYTES:
        weights.add_topology(model, topology, target or model, overwrite or target is None)
        read_graph(read_header(target or model))  # what was written must pass the checks of reading
        return Exported(target or model, False, unmatched_bytes)
    target = target or model.with_name(model.stem + GRAPH_ENDING)
    _write_apart(model, card, graph, target, overwrite)
    return Exported(target, True, unmatched_bytes)


def export_apart(model: Path, target: Path, *, overwrite: bool = False) -> str:
    """Write the graph of a model file to `target`, whole; returns the graph's digest.

    The same weights and versions of torch and OpenVINO give the same bytes. Raises as `export`.
    """
    _need_openvino()
    outputs.check(target, overwrite=overwrite, inputs=[model])
    net, card = weights.load(model)
    graph = graph_of(net)
    _write_apart(model, card, graph, target, overwrite)
    return graph.digest


def _need_openvino() -> None:
    if not installed("openvino"):
        raise DependencyError(f"Exporting needs OpenVINO: {how_to_install('openvino')}")


def _write_apart(model: Path, card: Card, graph: Graph, target: Path, overwrite: bool) -> None:
    write_graph(target, graph, card, read_header(model).digest, overwrite)
    read_graph(read_header(target))  # what was written must pass the checks of reading


def graph_of(net: OffNadirNet) -> Graph:
    """Trace the network on a small picture and convert it to an OpenVINO graph."""
    architecture = net.architecture
    side_px = 2 * architecture.stride_px
    example = (torch.zeros(1, len(architecture.bands), side_px, side_px),
               torch.zeros(1, LOOK_FEATURES))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's warnings about tracing do not apply here
        try:
            model = _converted(ExportedNet(net).eval(), example)
        except RuntimeError as problem:
            raise ModelError(
                f"The encoder '{architecture.encoder}' cannot be exported ({problem})."
            ) from problem
    guess = (LOOK_ESTIMATE,) if architecture.estimates_look else ()
    _rename(model, (*architecture.heads, *guess))
    model.reshape({IMAGE: [-1, len(architecture.bands), -1, -1], LOOK: [-1, LOOK_FEATURES]})
    with tempfile.TemporaryDirectory(prefix="snet4-export-") as folder:
        xml = Path(folder, "graph.xml")
        openvino().save_model(model, str(xml), compress_to_fp16=True)
        constants = np.frombuffer(xml.with_suffix(".bin").read_bytes(), dtype=np.uint8)
        # Without the space between its tags, it is read in half the time.
        graph = Graph(re.sub(rb">\s+<", b"><", xml.read_bytes()), constants)
    if wrong := problem_of(graph):  # found before the model file is touched
        raise ModelError(
            f"The encoder '{architecture.encoder}' cannot be exported ({wrong}); torch computes it."
        )
    return graph


def _converted(module: nn.Module, example: tuple[Tensor, Tensor]) -> Any:
    return openvino().convert_model(module, example_input=example)


def _rename(model: Any, outputs: tuple[str, ...]) -> None:
    """Name inputs and outputs as snet4 does, and number all layers.

    OpenVINO's own names depend on everything that the process has converted before.
    """
    model.set_friendly_name("snet4")
    for number, layer in enumerate(model.get_ordered_ops()):
        layer.set_friendly_name(f"n{number}")
        for port in layer.outputs():
            port.get_tensor().set_names(set())
    for port, name in zip((*model.inputs, *model.outputs), (IMAGE, LOOK, *outputs), strict=True):
        port.get_tensor().set_names({name})
