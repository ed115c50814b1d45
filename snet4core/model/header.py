"""Finds model files and reads their headers, without loading torch.

A model file holds weights, as torch wants them (`weights`). Exporting adds what OpenVINO needs
to make its graph from these same weights (`topology`), so that one file serves both. Where that
is not possible, the graph is a file of its own, with the same card: NAME.safetensors and
NAME.openvino.safetensors in one folder are one model, if the second was exported from the
first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from snet4core.errors import ModelError, UsageError
from snet4core.model.card import Card

METADATA_KEY = "snet4"
"""The only key in the file's metadata: safetensors writes several in random order."""

TOPOLOGY_KEY = "topology"
"""Where the topology is, beside the card; an older snet4 does not look there, and takes the
file for weights alone."""

SHIPPED = Path(__file__).parent / "shipped"
"""Models that come with the package."""

DEFAULT_MODEL = "default"

ENDING = ".safetensors"
GRAPH_ENDING = f".openvino{ENDING}"
"""Ending of a graph's file beside the weights it was exported from."""

_PICKLED = {".pt", ".pth", ".ckpt", ".pkl", ".bin"}


@dataclass(frozen=True, slots=True)
class Header:
    """Card and digest of a model file, without its weights."""

    path: Path
    card: Card
    digest: str
    """sha256 of the weights (or of the graph), 64 hexadecimal digits."""
    exported_from: str | None = None
    """For a graph, the digest of the weights that it was exported from."""
    has_topology: bool = False
    """For weights, whether the file also has what makes them a graph for OpenVINO."""
    averaged: tuple[Header, ...] = ()
    """The models whose maps are averaged under this header, see `ensemble`; () for a file's."""
    scales: tuple[float, ...] = ()
    """Scales at which each window is computed, 1 being its own size; () for 1 only."""

    @property
    def members(self) -> tuple[Header, ...]:
        """Headers of the model files: this one, or those that are averaged under it."""
        return self.averaged or (self,)

    @property
    def is_graph(self) -> bool:
        """Whether the file holds a graph for OpenVINO instead of weights."""
        return self.exported_from is not None

    def at_absolute_paths(self) -> Header:
        """The same header with absolute paths, for processes in another working directory."""
        averaged = tuple(each.at_absolute_paths() for each in self.averaged)
        return replace(self, path=self.path.resolve(), averaged=averaged)

    @property
    def gives_graph(self) -> bool:
        """Whether OpenVINO can be started from the file."""
        return self.is_graph or self.has_topology

    @property
    def network(self) -> str:
        """Digest of the weights, also if the file holds a graph exported from them."""
        return self.exported_from or self.digest


def shipped_models() -> dict[str, Path]:
    """Name -> file of each model that comes with the package."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}


def find_model(name_or_file: str) -> Path:
    """The file that `--model` names: a shipped model, or a path. ModelError if there is none."""
    shipped = shipped_models()
    if name_or_file in shipped:
        return shipped[name_or_file]
    path = Path(name_or_file)
    with suppress(OSError):  # a name too long to be one
        if path.is_file():
            return path
    known = ", ".join(shipped) or "none"
    raise ModelError(
        f"{name_or_file}: no such model file, nor a shipped model (there is: {known})."
    )


def check_ending(path: Path) -> None:
    """Raise UsageError where a model is to be written under a name that is not one of a model."""
    if path.suffix.lower() != ENDING:
        raise UsageError(f"{path}: a model's name ends in {ENDING}; give it that ending.")


def read_header(path: Path) -> Header:
    """Read a model file's header; ModelError for pickles and files that are no model of snet4."""
    if path.suffix.lower() in _PICKLED:
        raise ModelError(
            f"{path}: a pickled checkpoint can run code when opened, so it never is; give a "
            ".safetensors model that snet4 wrote."
        )
    raw = read_metadata(path)
    try:
        card, graph = Card.from_json(json.dumps(raw["card"])), raw.get("graph")
        exported_from = None if graph is None else str(graph["exported_from"])
        if graph is not None and graph["runtime"] != "openvino":
            raise ValueError(f"its graph is for '{graph['runtime']}', not for OpenVINO")
        return Header(path, card, str(raw["sha256"]), exported_from, TOPOLOGY_KEY in raw)
    except (ValueError, KeyError, TypeError) as problem:
        raise ModelError(f"{path}: the card cannot be used: {problem}") from problem


def read_metadata(path: Path) -> dict[str, Any]:
    """What snet4 has written into a file's header; ModelError if that is nothing."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as problem:
        raise ModelError(f"{path}: not a readable .safetensors file ({problem}).") from problem
    if METADATA_KEY not in metadata:
        raise ModelError(f"{path}: a .safetensors file, but not a model of snet4 (no card in it).")
    try:
        raw = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError) as problem:
        raise ModelError(f"{path}: the card cannot be used: {problem}") from problem
    if not isinstance(raw, dict):
        raise ModelError(f"{path}: the card cannot be used: it has no names")
    return raw


def graph_file(header: Header) -> Path | None:
    """The file from which OpenVINO can be started: the model's own, or the one beside it."""
    return header.path if header.gives_graph else graph_beside(header)


def graph_beside(header: Header) -> Path | None:
    """The graph in the same folder that was exported from exactly these weights, if any."""
    path = header.path.with_name(header.path.stem + GRAPH_ENDING)
    if header.is_graph or not path.is_file():
        return None
    try:
        exported_from = read_header(path).exported_from
    except ModelError:
        return None
    return path if exported_from == header.digest else None


def write_metadata(
    card: Card, digest: str, topology: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """The file's metadata: `snet4` -> JSON of the card, the weights' sha256 and the topology."""
    raw = {"card": json.loads(card.to_json()), "sha256": digest}
    if topology is not None:
        raw[TOPOLOGY_KEY] = topology
    return {METADATA_KEY: json.dumps(raw)}
