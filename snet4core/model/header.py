"""Finds model files and reads their headers, without loading torch.

A model has two forms with the same card: weights for torch (`weights`), and a graph for
OpenVINO that was exported from them (`graph`). NAME.safetensors and
NAME.openvino.safetensors in one folder are one model, if the second was exported from the
first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from snet4core.errors import ModelError
from snet4core.model.card import Card

METADATA_KEY = "snet4"
"""The only key in the file's metadata: safetensors writes several in random order."""

SHIPPED = Path(__file__).parent / "shipped"
"""Models that come with the package."""

DEFAULT_MODEL = "default"

GRAPH_ENDING = ".openvino.safetensors"
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
    def network(self) -> str:
        """Digest of the weights, also if the file holds a graph exported from them."""
        return self.exported_from or self.digest


def shipped_models() -> dict[str, Path]:
    """Name -> file of each model that comes with the package."""
    return {
        path.stem: path
        for path in sorted(SHIPPED.glob("*.safetensors"))
        if not path.name.endswith(GRAPH_ENDING)
    }


def find_model(name_or_file: str) -> Path:
    """The file that `--model` names: a shipped model, or a path. ModelError if there is none."""
    shipped = shipped_models()
    if name_or_file in shipped:
        return shipped[name_or_file]
    path = Path(name_or_file)
    if path.is_file():
        return path
    known = ", ".join(shipped) or "none"
    raise ModelError(
        f"{name_or_file}: no such model file, nor a shipped model (there is: {known})."
    )


def read_header(path: Path) -> Header:
    """Read a model file's header; ModelError for pickles and files that are no model of snet4."""
    if path.suffix.lower() in _PICKLED:
        raise ModelError(
            f"{path}: a pickled checkpoint can run code when opened, so it never is; give a "
            ".safetensors model that snet4 wrote."
        )
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as problem:
        raise ModelError(f"{path}: not a readable .safetensors file ({problem}).") from problem
    if METADATA_KEY not in metadata:
        raise ModelError(f"{path}: a .safetensors file, but not a model of snet4 (no card in it).")
    try:
        raw = json.loads(metadata[METADATA_KEY])
        card, graph = Card.from_json(json.dumps(raw["card"])), raw.get("graph")
        exported_from = None if graph is None else str(graph["exported_from"])
        if graph is not None and graph["runtime"] != "openvino":
            raise ValueError(f"its graph is for '{graph['runtime']}', not for OpenVINO")
        return Header(path, card, str(raw["sha256"]), exported_from)
    except (ValueError, KeyError, TypeError) as problem:
        raise ModelError(f"{path}: the card cannot be used: {problem}") from problem


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


def write_metadata(card: Card, digest: str) -> dict[str, str]:
    """The file's metadata: `snet4` -> JSON of the card and the weights' sha256."""
    return {METADATA_KEY: json.dumps({"card": json.loads(card.to_json()), "sha256": digest})}
