"""Makes a model's OpenVINO graph from its file, without torch; writes a graph as its own file.

A model file with a `topology` beside its weights gives the graph: its constants are made from
the weights. A graph of its own file was exported whole: the header holds the card, as in every
model of snet4, and the sha256 of the weights that it was exported from, and two tensors of
bytes hold OpenVINO's XML and the constants in half precision. One graph holds every head; the
loader extracts the one that it needs.

A graph is checked before OpenVINO sees it: the hash, that the XML declares no entities,
that it has only plain layers of the public opsets, that each constant lies inside the file
and is finite.
"""

from __future__ import annotations

import hashlib
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from snet4core.errors import ModelError
from snet4core.extras import loaded
from snet4core.files import outputs
from snet4core.model.arrays import digest_of, read_arrays
from snet4core.model.card import Card
from snet4core.model.header import METADATA_KEY, TOPOLOGY_KEY, Header, read_metadata
from snet4core.model.topology import Topology

MOST_XML_BYTES = 2**24
"""Largest XML accepted; a network of a thousand layers has a megabyte."""

LAYERS = frozenset(
    {
        "Abs", "Add", "AvgPool", "BatchNormInference", "Broadcast", "Ceiling", "Clamp", "Concat",
        "Const", "Convert", "ConvertLike", "Convolution", "ConvolutionBackpropData", "Divide",
        "Elu", "Exp", "Floor", "Gather", "Gelu", "GridSample", "GroupConvolution", "HSigmoid",
        "HSwish", "Interpolate", "MatMul", "MaxPool", "Maximum", "Minimum", "Mish", "Multiply",
        "Negative", "PRelu", "Pad", "Parameter", "Power", "Range", "ReLU", "ReduceMean",
        "ReduceSum", "Reshape", "Result", "Round", "ShapeOf", "Sigmoid", "Slice", "SoftPlus",
        "Softmax", "Split", "Sqrt", "Squeeze", "StridedSlice", "Subtract", "Swish", "Tanh", "Tile",
        "Transpose", "Unsqueeze", "VariadicSplit",
    }
)  # fmt: skip
"""Layer types that are accepted. None loops, keeps state or reads a file."""

_FLOATS: dict[str, type[np.floating[Any]]] = {
    "f16": np.float16,
    "f32": np.float32,
    "f64": np.float64,
}
_WIDTHS = {
    **{"boolean": 1, "u8": 1, "i8": 1, "f16": 2, "bf16": 2, "u16": 2, "i16": 2},
    **{"f32": 4, "i32": 4, "u32": 4, "f64": 8, "i64": 8, "u64": 8},
}


@dataclass(frozen=True, slots=True)
class Graph:
    """An OpenVINO graph: its XML and its constants."""

    xml: bytes
    """Layers and their connections."""
    constants: NDArray[np.uint8]
    """Bytes of all constants; the XML has the offset and size of each."""

    @property
    def digest(self) -> str:
        """sha256 over both, each with its length."""
        total = hashlib.sha256()
        for part in (self.xml, self.constants.data):
            total.update(f"{len(part)};".encode())
            total.update(part)
        return total.hexdigest()

    @property
    def halves(self) -> Iterator[tuple[int, int]]:
        """Offset and size, in bytes, of each constant in half precision."""
        for data in ElementTree.fromstring(self.xml).iterfind("./layers/layer[@type='Const']/data"):
            if data.get("element_type") == "f16":
                yield int(data.attrib["offset"]), int(data.attrib["size"])


def write_graph(path: Path, graph: Graph, card: Card, exported_from: str, overwrite: bool) -> None:
    """Write a graph with its card to `path`, complete or not at all; same input, same bytes."""
    said = {
        "card": json.loads(card.to_json()),
        "sha256": graph.digest,
        "graph": {"runtime": "openvino", "exported_from": exported_from},
    }
    tensors = {"constants": graph.constants, "xml": np.frombuffer(graph.xml, dtype=np.uint8)}
    with outputs.replacing(path, overwrite=overwrite) as (temporary,):
        temporary.write_bytes(save(tensors, metadata={METADATA_KEY: json.dumps(said)}))


def graph_key(header: Header) -> str:
    """Identifies the graph that a model file gives and its card's architecture.

    The graph is not made, which would take longer. ModelError if the file is damaged.
    """
    if header.has_topology:
        _weights(header)
        topology = json.dumps(read_metadata(header.path)[TOPOLOGY_KEY], sort_keys=True)
    else:
        _stored(header)
        topology = ""
    text = f"{header.digest};{header.card.architecture};{topology}"
    return hashlib.sha256(text.encode()).hexdigest()


def check_whole(header: Header) -> None:
    """Read all of a model file; ModelError if it is damaged."""
    if header.is_graph:
        _stored(header)
    else:
        _weights(header)


def read_graph(header: Header) -> Graph:
    """The graph of a model file; ModelError if it is damaged or holds anything not allowed."""
    graph = _grown(header) if header.has_topology else _stored(header)
    problem_found = problem_of(graph)
    if problem_found:
        raise ModelError(f"{header.path}: {problem_found}; export the model again.")
    return graph


def _grown(header: Header) -> Graph:
    """The graph that weights and topology of a model give."""
    path, weights = header.path, _weights(header)
    try:
        topology = Topology.from_json(read_metadata(path)[TOPOLOGY_KEY], header.digest)
        return Graph(topology.xml, topology.grown(weights))
    except ValueError as problem:
        raise ModelError(f"{path}: {problem}; export the model again.") from problem


def _weights(header: Header) -> dict[str, NDArray[Any]]:
    """The weights of a model file; ModelError if they are not those of its header."""
    weights = read_arrays(header.path)
    if digest_of(weights) != header.digest:
        raise ModelError(
            f"{header.path}: the weights do not match their checksum; get the file again."
        )
    return weights


def _stored(header: Header) -> Graph:
    """The graph that a file of its own holds."""
    path = header.path
    try:
        with safe_open(path, framework="numpy") as file:
            if set(file.keys()) != {"constants", "xml"}:
                raise ModelError(f"{path}: no graph of snet4 is in it; export the model again.")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (SafetensorError, OSError, ValueError) as problem:
        if isinstance(problem, ModelError):
            raise
        raise ModelError(f"{path}: the graph cannot be read ({problem}).") from problem
    for tensor in tensors.values():
        if tensor.dtype != np.uint8 or tensor.ndim != 1:
            raise ModelError(f"{path}: the graph is not stored as bytes; export the model again.")
    graph = Graph(tensors["xml"].tobytes(), tensors["constants"])
    if graph.digest != header.digest:
        raise ModelError(f"{path}: the graph does not match its checksum; get the file again.")
    return graph


def problem_of(graph: Graph) -> str:
    """What is wrong with a graph, in words; empty for a valid one."""
    if len(graph.xml) > MOST_XML_BYTES:
        return f"its graph has {len(graph.xml) / 1e6:.0f} MB of XML, which no network has"
    if b"<!" in graph.xml:
        return "its graph declares entities or comments, which no export does"
    try:
        root = ElementTree.fromstring(graph.xml)
    except (ElementTree.ParseError, ValueError) as problem:
        return f"its graph is no XML ({problem})"
    layers = root.findall("./layers/layer")
    if root.tag != "net" or not layers:
        return "its graph has no layers"
    for layer in root.iter("layer"):
        kind, version = layer.get("type", ""), layer.get("version", "")
        if kind not in LAYERS or not version.startswith("opset"):
            return f"its graph holds a layer '{kind[:40]}' of '{version[:40]}', which is not let in"
        if kind == "Const" and (wrong := _wrong_constant(layer, graph.constants)):
            return wrong
    return ""


def _wrong_constant(layer: ElementTree.Element, constants: NDArray[np.uint8]) -> str:
    data = layer.find("data")
    name = layer.get("name", "")[:60]
    try:
        if data is None:
            raise ValueError
        kind, sides = data.attrib["element_type"], data.attrib.get("shape", "").split(",")
        start, size = int(data.attrib["offset"]), int(data.attrib["size"])
        count = 1
        for side in sides:
            count *= int(side) if side.strip() else 1
    except (KeyError, ValueError):
        return f"the constant '{name}' of its graph is not described"
    if start < 0 or size < 0 or start + size > len(constants):
        return f"the constant '{name}' of its graph lies outside the file"
    if count < 0 or kind not in _WIDTHS or count * _WIDTHS[kind] != size:
        return f"the constant '{name}' of its graph has another size than its shape says"
    if kind in _FLOATS and not _all_finite(constants[start : start + size], kind):
        return f"the constant '{name}' of its graph holds NaN or infinity"
    return ""


def _all_finite(constant: NDArray[np.uint8], kind: str) -> bool:
    if kind == "f16":  # numpy would convert them first, which takes six times as long
        return not ((constant.view(np.uint16) & 0x7C00) == 0x7C00).any()
    return bool(np.isfinite(constant.view(_FLOATS[kind])).all())


IMAGE, LOOK = "image", "look"
"""Names of the graph's inputs; its outputs are named after the heads."""


LOOK_ESTIMATE = "look_estimate"
"""An additional output of models that guess the look: (B, 3), from the picture alone."""


def openvino() -> Any:
    """Import OpenVINO, without the usage report that it would send on import."""
    reporter = "openvino_telemetry"
    if "openvino" not in sys.modules and reporter not in sys.modules:
        sys.modules[reporter] = None  # type: ignore[assignment]  # Python's own way to say "not there"
        try:
            return loaded("openvino")
        finally:
            del sys.modules[reporter]
    return loaded("openvino")
