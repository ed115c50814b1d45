"""Computes the network with OpenVINO: no torch, a tenth of the size, the fastest on a CPU.

Array names end in their axes: B batch, C channel or band, H row, W column, L look.
"""

from __future__ import annotations

import functools
import os
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snet4core.errors import EngineError, ModelError
from snet4core.files import allocator
from snet4core.look.look import LOOK_FEATURES, Look
from snet4core.maps import kept_programs
from snet4core.maps.runtime import DeviceMemoryError, Runtime
from snet4core.model.card import Architecture, Card
from snet4core.model.graph import (
    IMAGE,
    LOOK,
    LOOK_ESTIMATE,
    Graph,
    graph_key,
    openvino,
    read_graph,
)
from snet4core.model.header import read_header
from snet4core.sentence import ENGINE, PRECISION


@functools.cache
def _core() -> Any:
    """The only Core of this process, which is never released.

    Its CPU plugin gives the thread that loads it an alternate signal stack, and frees that memory
    when the last Core is released, in whatever thread: in another thread the stack stays
    registered, and the next signal (Ctrl-C, the end of a child) ends the process with SIGSEGV.
    Seen with OpenVINO 2026.4.
    """
    return openvino().Core()


Program = tuple[str, str | None, bool]
"""Key of a compiled program: an output, the kind of layer to stop at (None: its end), and
whether it is for windows of full size."""


PROBABILITIES = "Sigmoid"
"""The kind of layer that gives probabilities, before they are quantised."""


class OpenVinoNetwork:
    """An OpenVINO graph; compiles only the heads that are used.

    Windows of full size have their own program, which is 5 % faster; the smaller ones at the
    raster's edges share one for any size. The window's size alone decides which one runs; where
    it is seen at several scales, all sizes share one. Each keeps its working memory, 350 MB with
    the default model; with a `lean` runtime a program frees it when another one starts, which
    takes 0.2 seconds.
    """

    def __init__(self, runtime: Runtime) -> None:
        """Load `runtime.file`; ModelError when it is damaged or not a graph of this model.

        Where a program of the same graph is kept, the graph was sound, and is made again only
        when another program has to be compiled.
        """
        header = read_header(runtime.file)
        self._card = header.card
        self._runtime = runtime
        self._graph_key = graph_key(header)
        self._core = _core()
        self._made: tuple[Any, NDArray[np.uint8]] | None = None
        self._making = threading.Lock()
        if not kept_programs.knows(self._graph_key):
            _ = self._model
        self._compiled: dict[Program, Future[Any]] = {}
        self._compiling = ThreadPoolExecutor(2, thread_name_prefix="snet4-compile")
        self._at_work: Counter[Program] = Counter()
        self._latest: Program | None = None
        self._choosing = threading.Lock()
        self._own = threading.local()

    @property
    def architecture(self) -> Architecture:
        """The network's, as its card says it."""
        return self._card.architecture

    @property
    def _model(self) -> Any:
        """OpenVINO's model of the whole graph, made when it is asked for first."""
        with self._making:
            if self._made is None:
                graph = read_graph(read_header(self._runtime.file))
                # The model refers to the constants.
                self._made = self._read(graph), graph.constants
            return self._made[0]

    def _read(self, graph: Graph) -> Any:
        constants = openvino().Tensor(graph.constants, shared_memory=True)
        try:
            model = self._core.read_model(model=graph.xml, weights=constants)
        except RuntimeError as problem:
            raise ModelError(
                f"{self._runtime.file}: OpenVINO cannot read the graph ({_last_line(problem)})."
            ) from problem
        _check_ports(self._runtime, model, self._card)
        return model

    def prepare(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        """See `runtime.MapNetwork`: other threads compile programs, half a second each, or load
        those that are kept (`kept_programs`)."""
        self._prepare(shapes, head, None)

    def prepare_probabilities(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        """The same for `probabilities`."""
        self._prepare(shapes, head, PROBABILITIES)

    def _prepare(self, shapes: Collection[tuple[int, int]], head: str, stop_at: str | None) -> None:
        with self._choosing:
            for key in {self._key(head, shape, stop_at) for shape in shapes}:
                self._coming(key)

    def forward(self, images_BCHW: NDArray[np.float32], look: Look, head: str) -> NDArray[np.uint8]:
        """See `runtime.MapNetwork`; windows run singly, so that results do not depend on B."""
        return self._computed(head, images_BCHW, _look_input(look))

    def probabilities(
        self, images_BCHW: NDArray[np.float32], look: Look, head: str
    ) -> NDArray[np.float32]:
        """See `runtime.Network`."""
        return self._computed(head, images_BCHW, _look_input(look), stop_at=PROBABILITIES)

    def look_estimates(self, images_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `runtime.Network`; pictures run singly."""
        return self._computed(LOOK_ESTIMATE, images_BCHW, {})

    def _computed(
        self,
        output: str,
        images_BCHW: NDArray[np.float32],
        others: dict[str, Any],
        stop_at: str | None = None,
    ) -> NDArray[Any]:
        """One output for each picture, stacked; its value after layer `stop_at` if given."""
        found = []
        try:
            with self._request(output, images_BCHW.shape[2:], stop_at) as request:
                for index in range(len(images_BCHW)):
                    image_1CHW = np.ascontiguousarray(images_BCHW[index : index + 1])
                    request.infer({IMAGE: image_1CHW, **others}, share_inputs=True)
                    found.append(request.get_output_tensor().data[0].copy())
        except MemoryError as problem:
            raise DeviceMemoryError("the memory does not hold one window") from problem
        except ModelError:  # which is a RuntimeError, too
            raise
        except RuntimeError as problem:
            if "bad_alloc" in str(problem) or "allocate" in str(problem):
                raise DeviceMemoryError(_last_line(problem)) from problem
            raise EngineError(
                f"OpenVINO cannot compute the model in {self._runtime.precision} here "
                f"({_last_line(problem)}); try ",
                PRECISION,
                " fp32 or ",
                ENGINE,
                " torch.",
            ) from problem
        return np.stack(found)

    @contextmanager
    def _request(self, output: str, shape: tuple[int, ...], stop_at: str | None) -> Iterator[Any]:
        """This thread's infer request for an output and a window of (rows, columns)."""
        key = self._key(output, shape, stop_at)
        with self._choosing:
            coming = self._coming(key)
            self._at_work[key] += 1
            for other, made in self._compiled.items():
                if self._runtime.lean and not self._at_work[other] and _is_made(made):
                    made.result().release_memory()
            if self._runtime.lean and key != self._latest:
                allocator.give_back()  # also what compiling has left
            self._latest = key
        try:
            requests: dict[Program, Any] = self._own.__dict__.setdefault("requests", {})
            if key not in requests:
                requests[key] = coming.result().create_infer_request()
            yield requests[key]
        finally:
            with self._choosing:
                self._at_work[key] -= 1

    @property
    def _full_px(self) -> int:
        """Side of a window of full size."""
        return self._card.windows.core_px + 2 * self._card.windows.halo_px

    def _key(self, output: str, shape: tuple[int, ...], stop_at: str | None) -> Program:
        """The program for a window: at several scales, where probabilities are asked for, one for
        all sizes, or every window would go from one program to another and back."""
        return output, stop_at, stop_at is None and self._is_full(shape)

    def _is_full(self, shape: tuple[int, ...]) -> bool:
        """Whether a window of (rows, columns) is of full size."""
        return shape == (self._full_px, self._full_px)

    def _coming(self, key: Program) -> Future[Any]:
        """Future of a compiled program, submitted if new; the caller holds `_choosing`."""
        if key not in self._compiled:
            output, stop_at, is_full = key
            side_px = self._full_px if is_full else -1
            self._compiled[key] = self._compiling.submit(self._program, output, side_px, stop_at)
        return self._compiled[key]

    def _program(self, output: str, side_px: int, stop_at: str | None) -> Any:
        """Compile one output for windows of one size, or of any (-1)."""
        bands = len(self._card.architecture.bands)
        shapes = {IMAGE: [1, bands, side_px, side_px]}
        if output != LOOK_ESTIMATE:  # which depends on the picture alone
            shapes[LOOK] = [1, LOOK_FEATURES]
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if self._runtime.precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": self._runtime.lanes * self._runtime.threads,
            "NUM_STREAMS": self._runtime.lanes,
            # Pinned threads of several processes would all sit on the same processors.
            "ENABLE_CPU_PINNING": False,
        }
        facts = {
            "output": output,
            "stop at": stop_at,
            "shapes": shapes,
            "settings": settings,
            "openvino": openvino().get_version(),
            "processor": self._core.get_property("CPU", "FULL_DEVICE_NAME"),
            "can": sorted(self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
            "told": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        }
        return kept_programs.program(
            self._graph_key,
            facts,
            lambda: self._core.compile_model(self._alone(output, stop_at, shapes), "CPU", settings),
            lambda content: self._core.import_model(content, "CPU", settings),
            _exported,
        )

    def _alone(self, output: str, stop_at: str | None, shapes: dict[str, list[int]]) -> Any:
        """A model of one output, or of its value after layer `stop_at`, of inputs so shaped."""
        model = self._model.clone()
        result = _result(model, output)
        if result is None:
            raise ModelError(
                f"{self._runtime.file}: the graph does not guess looks; if the model it was "
                "exported from does, export it again."
            )
        inputs = [model.input(name).get_node() for name in shapes]
        alone = openvino().Model([_value(result, stop_at)], inputs, output)
        alone.reshape(shapes)
        return alone


def _exported(program: Any) -> bytes:
    content = program.export_model()
    return bytes(content.getvalue() if hasattr(content, "getvalue") else content)


def _is_made(program: Future[Any]) -> bool:
    return program.done() and program.exception() is None


def _look_input(look: Look) -> dict[str, Any]:
    return {LOOK: np.array([look.features()], dtype=np.float32)}


def _value(result: Any, kind: str | None) -> Any:
    """The input of a result, or the output of the nearest layer of a kind before it: for a head,
    "Sigmoid" gives the probabilities before quantising."""
    value = result.input_value(0)
    while kind is not None and value.get_node().get_type_name() != kind:
        if not value.get_node().inputs():
            raise ModelError(f"The graph has no layer {kind} before its result; export it again.")
        value = value.get_node().input_value(0)
    return value


def _result(model: Any, name: str) -> Any:
    """The node of one output; None when the graph has no such output."""
    named = (each for each in model.get_results() if name in each.output(0).get_names())
    return next(named, None)


def _check_ports(runtime: Runtime, model: Any, card: Card) -> None:
    """Raise ModelError unless inputs and outputs are those of the card's architecture."""
    taken = {name for port in model.inputs for name in port.get_names()}
    given = {name for port in model.outputs for name in port.get_names()}
    heads = set(card.architecture.heads)
    if len(model.inputs) != 2 or not {IMAGE, LOOK} <= taken or not heads <= given:
        raise ModelError(f"{runtime.file}: the graph belongs to another network than the card.")
    for head in heads:
        maps = model.output(head).get_partial_shape()
        if len(maps) != 4 or maps[1] != len(card.architecture.maps):
            raise ModelError(f"{runtime.file}: the graph gives other maps than the card names.")
    bands = model.input(IMAGE).get_partial_shape()
    if len(bands) != 4 or bands[1] != len(card.architecture.bands):
        raise ModelError(f"{runtime.file}: the graph takes other bands than the card names.")


def _last_line(problem: Exception) -> str:
    """The last line of OpenVINO's message, which says what is wrong."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(problem).__name__
