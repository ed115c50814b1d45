"""Chooses engine, device and precision for the network, and says why.

The choice depends on the hardware and the installed packages. Nothing here loads torch or
OpenVINO, except that torch is loaded where there may be a GPU, and `runtime_facts` loads what it
tells of.

Measured on 2 cores of AMD Zen 4 (AVX512_BF16), default model, MPix/s: eager fp32 1.7,
torch bf16 with channels last 3.7, OpenVINO fp32 2.9, OpenVINO bf16 6.0. On Intel with AMX
the order is the same. So a CPU uses OpenVINO, and a GPU torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from snet4core.errors import DependencyError, EngineError, ModelError
from snet4core.extras import how_to_install, installed, loaded
from snet4core.look.look import Look
from snet4core.maps.hardware import cpu_gains_from_bf16, gpu_may_be_there, processor_threads
from snet4core.model.header import Header, graph_file
from snet4core.sentence import DEVICE, ENGINE

Engine = Literal["torch", "openvino"]
"""The two libraries that can compute the network."""

AnyEngine = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "fp32", "bf16"]


_LIBRARIES: Mapping[Engine, tuple[str, ...]] = {
    "torch": ("torch", "segmentation_models_pytorch"),
    "openvino": ("openvino",),
}

_SPARE = 8
"""Threads that one window keeps busy; further threads are better used on another window."""

_MOST_SHAPERS = 8
"""One process that reads and computes cannot keep more busy."""


class DeviceMemoryError(MemoryError):
    """The device's memory does not hold a batch; a smaller one may fit."""


class MapNetwork(Protocol):
    """Computes maps from pictures; `forward` may be called from several threads."""

    def prepare(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        """Start to prepare for windows of these (rows, columns); returns at once. Errors are
        raised by `forward`, which also works without preparation."""

    def forward(self, images_BCHW: NDArray[np.float32], look: Look, head: str) -> NDArray[np.uint8]:
        """The head's maps (B, M, H, W), 0..255; DeviceMemoryError if B is too large."""


class Network(MapNetwork, Protocol):
    """A loaded model."""

    def probabilities(
        self, images_BCHW: NDArray[np.float32], look: Look, head: str
    ) -> NDArray[np.float32]:
        """As `forward`, but before quantising: float32, 0..1."""

    def prepare_probabilities(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        """As `prepare`, for `probabilities`."""

    def look_estimates(self, images_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """The model's estimate of each picture's look, (B, 3); see `look_guesser`.

        ModelError for a model that does not guess looks.
        """


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """The user's choice, checked against this machine; the model decides the rest."""

    device: str = "cpu"
    """`cpu`, `cuda:N` or `mps`; never `auto`."""
    precision: Precision = "auto"
    engine: AnyEngine = "auto"
    threads: int = 1
    """Processor threads that may be used."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Engine, device and precision with which one model is computed."""

    engine: Engine
    device: str
    precision: Literal["fp32", "bf16"]
    lanes: int
    """Batches computed at once."""
    threads: int
    """Processor threads of each lane."""
    file: Path
    """The model file that holds what the engine needs: weights, or a graph."""
    reason: str
    """Why this engine and this precision, in words for `doctor` and `info`."""
    lean: bool = False
    """Trade speed for memory: free idle buffers."""


def choose_runtime(
    device: str = "auto",
    precision: Precision = "auto",
    engine: AnyEngine = "auto",
    threads: int | None = None,
) -> RuntimeChoice:
    """Check `--device auto|cpu|cuda|cuda:N|mps`, `--precision` and `--runtime`.

    `threads` limits the processor threads (default: all that the process may use). Raises
    EngineError when the requested device does not exist.
    """
    if engine not in ("auto", "torch", "openvino"):
        raise EngineError(f"The runtime '{engine}' is unknown; use auto, torch or openvino.")
    if engine == "openvino" and device.partition(":")[0] in ("cuda", "mps"):
        raise EngineError(
            f"OpenVINO computes on the CPU here, not on '{device}'; use ", ENGINE, " torch."
        )
    return RuntimeChoice(_device(device, engine), precision, engine, threads or processor_threads())


def resolved_runtime(wanted: RuntimeChoice, header: Header) -> Runtime:
    """Choose the engine, precision and file for one model.

    Raises DependencyError when the engine that is needed is not installed, ModelError when
    the model lacks what the requested engine needs.
    """
    file, engine, why = _engine(wanted, header)
    precision, fast = _precision(wanted)
    lanes = _lanes(engine, wanted)
    threads = max(1, wanted.threads // lanes) if wanted.device == "cpu" else wanted.threads
    return Runtime(engine, wanted.device, precision, lanes, threads, file, f"{why}; {fast}")


def resolved_runtimes(wanted: RuntimeChoice, models: Sequence[Header]) -> list[Runtime]:
    """The same for models that are averaged: one engine for all, torch where they differ."""
    found = [resolved_runtime(wanted, each) for each in models]
    if len({runtime.engine for runtime in found}) > 1:
        found = [resolved_runtime(replace(wanted, engine="torch"), each) for each in models]
    return found


def shapers_for(wanted: RuntimeChoice, memory_bytes: int | None) -> int:
    """Number of processes that shape polygons, for this device; 1: this process only.

    >>> [shapers_for(RuntimeChoice("cuda:0", threads=count), None) for count in (1, 2, 16, 64)]
    [1, 1, 8, 8]
    >>> [shapers_for(RuntimeChoice("cpu", threads=count), None) for count in (2, 8, 16, 64)]
    [1, 1, 2, 8]
    >>> shapers_for(RuntimeChoice("cuda:0", threads=16), 2**30)
    1
    """
    if memory_bytes is not None:  # each takes 200 MB
        return 1
    return min(_MOST_SHAPERS, max(1, wanted.threads // (8 if wanted.device == "cpu" else 2)))


def runtime_facts(
    model: Header, device: str, precision: Precision, engine: AnyEngine
) -> dict[str, str]:
    """What would be used for a model and why, in words; `problem` if it cannot be computed."""
    try:
        wanted = choose_runtime(device, precision, engine)
        found, shapers = resolved_runtime(wanted, model), shapers_for(wanted, None)
        for library in _LIBRARIES[found.engine]:
            loaded(library)
    except EngineError as problem:
        return {"problem": str(problem)}
    threads = f"{found.lanes} x {found.threads}" if found.device == "cpu" else "as torch decides"
    return {
        "engine": found.engine,
        "device": found.device,
        "precision": found.precision,
        "threads": threads,
        "shaping": "in the same process" if shapers == 1 else f"in {shapers} more processes",
        "why": found.reason,
        "computed from": str(found.file),
    }


def _engine(wanted: RuntimeChoice, header: Header) -> tuple[Path, Engine, str]:
    """(file, engine, why) for a model."""
    graph = graph_file(header)
    if wanted.engine == "torch" or wanted.device != "cpu":
        if header.is_graph:
            raise ModelError(
                f"{header.path}: holds a graph for OpenVINO on the CPU; for torch give the "
                "model that it was exported from."
            )
        why = "as asked" if wanted.engine == "torch" else "a GPU is computed by torch"
        return header.path, _needed("torch"), why
    if wanted.engine == "openvino":
        if graph is None:
            raise ModelError(
                f"{header.path}: has no graph for OpenVINO; make one with 'snet4 models export "
                f"{header.path} --runtime openvino'."
            )
        return graph, _needed("openvino"), "as asked"
    if graph is not None and installed("openvino"):
        return graph, "openvino", "OpenVINO is the faster one on a CPU"
    if header.is_graph:
        return header.path, _needed("openvino"), ""
    if graph is not None and not installed("torch"):
        return graph, _needed("openvino"), ""
    why = "OpenVINO is not installed" if graph else "the model has no graph for OpenVINO"
    return header.path, _needed("torch"), why


def _needed(engine: Engine) -> Engine:
    """Return the engine; DependencyError if it is not installed."""
    for library in _LIBRARIES[engine]:
        if not installed(library):
            raise DependencyError(
                f"This model is computed by {library}, which is not installed: "
                f"{how_to_install(library)}"
            )
    return engine


def _lanes(engine: Engine, wanted: RuntimeChoice) -> int:
    """Number of batches computed at once.

    torch leaves processors idle at the end of every layer, which a second window fills (1.08 x
    on 2 cores); OpenVINO does not. On a GPU the second batch is copied while the first computes.
    """
    if wanted.device == "mps":
        return 1
    if wanted.device != "cpu":
        return 2
    least = min(2, wanted.threads) if engine == "torch" else 1
    return max(least, wanted.threads // _SPARE)


def _precision(wanted: RuntimeChoice) -> tuple[Literal["fp32", "bf16"], str]:
    if wanted.precision == "bf16":
        return "bf16", "bf16 as asked"
    if wanted.precision == "fp32":
        return "fp32", "fp32 as asked"
    if wanted.device == "cpu":
        fast, reason = cpu_gains_from_bf16()
    elif wanted.device.startswith("cuda"):
        fast = bool(loaded("torch").cuda.is_bf16_supported(including_emulation=False))
        reason = "the GPU computes bf16" if fast else "the GPU has no bf16"
    else:
        fast, reason = False, "bf16 is untested on this device"
    return ("bf16" if fast else "fp32"), f"{'bf16' if fast else 'fp32'} because {reason}"


def _device(device: str, engine: AnyEngine) -> str:
    """Resolve `auto|cpu|cuda|cuda:N|mps` to a device that exists."""
    name, _, number = device.partition(":")
    if not re.fullmatch("(auto|cpu|cuda|mps)(:[0-9]*)?", device):
        raise EngineError(f"The device '{device}' is unknown; use auto, cpu, cuda, cuda:N or mps.")
    if name == "cpu" or (engine == "openvino" and name == "auto"):
        return "cpu"
    if name == "auto":
        if not (gpu_may_be_there() and installed("torch")):
            return "cpu"
        try:
            torch = loaded("torch")
        except DependencyError:  # the processor may do without
            return "cpu"
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    for library in _LIBRARIES["torch"]:
        if not installed(library):
            raise DependencyError(
                f"The device '{device}' needs {library}, which is not installed: use ",
                DEVICE,
                f" cpu, or run: {how_to_install(library)}",
            )
    torch = loaded("torch")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise EngineError("The device 'mps' is not there; use ", DEVICE, " cpu.")
        return "mps"
    count = torch.cuda.device_count()
    if int(number or 0) >= count:
        raise EngineError(f"The device '{device}' is not there: {count} GPUs found; try cpu.")
    return f"cuda:{int(number or 0)}"
