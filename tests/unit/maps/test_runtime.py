"""Which engine computes a model, where and how precisely: decided by what is there."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from snet4core.errors import DependencyError, EngineError, ModelError, UsageError
from snet4core.look.look import Look
from snet4core.maps import hardware, memory, runtime
from snet4core.maps import predictor as predict
from snet4core.maps.predictor import Picture, Predictor
from snet4core.maps.runtime import Runtime, RuntimeChoice, choose_runtime, resolved_runtime
from snet4core.model import header as model_header
from snet4core.model.card import Architecture, Card, WindowSettings
from snet4core.model.header import SHIPPED, Header, read_header, shipped_models
from snet4core.windows import Tile

CARD = Card(
    "fake",
    Architecture(encoder="none", decoder_channels=(8, 8, 8)),
    windows=WindowSettings(core_px=64, halo_px=32),
)
LOOK = Look(30.0, 20.0, "option")
WEIGHTS = Header(Path("m.safetensors"), CARD, "a" * 64)
GRAPH = Header(Path("m.openvino.safetensors"), CARD, "b" * 64, exported_from="a" * 64)


class Machine:
    """A machine with chosen libraries, processor and files beside the model."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)

    def has(self, *libraries: str) -> None:
        self._patch.setattr(runtime, "installed", lambda name: name in libraries)

    def graph_lies_beside(self, there: bool = True) -> None:
        self._patch.setattr(model_header, "graph_beside", lambda _: GRAPH.path if there else None)

    def processor(self, vendor: str, *flags: str) -> None:
        self._patch.setattr(hardware, "_cpu_facts", lambda: (vendor, frozenset(flags)))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


TORCH = ("torch", "segmentation_models_pytorch")


@pytest.mark.parametrize(
    ("libraries", "header", "beside", "engine", "file"),
    [
        ((*TORCH, "openvino"), WEIGHTS, True, "openvino", GRAPH.path),
        ((*TORCH, "openvino"), WEIGHTS, False, "torch", WEIGHTS.path),
        (TORCH, WEIGHTS, True, "torch", WEIGHTS.path),
        (("openvino",), WEIGHTS, True, "openvino", GRAPH.path),
        (("openvino",), GRAPH, False, "openvino", GRAPH.path),
    ],
)
def test_a_processor_gets_openvino_where_it_and_a_graph_are_there(
    machine: Machine,
    libraries: tuple[str, ...],
    header: Header,
    beside: bool,
    engine: str,
    file: Path,
) -> None:
    machine.has(*libraries)
    machine.graph_lies_beside(beside)
    found = resolved_runtime(RuntimeChoice(), header)
    assert (found.engine, found.file) == (engine, file)
    assert found.reason


@pytest.mark.parametrize(
    ("libraries", "wanted", "header", "beside", "error", "said"),
    [
        ((), RuntimeChoice(), WEIGHTS, True, DependencyError, r"pip install openvino$"),
        ((), RuntimeChoice(), WEIGHTS, False, DependencyError, r"pip install torch segm"),
        (
            ("openvino",),
            RuntimeChoice(engine="torch"),
            WEIGHTS,
            True,
            DependencyError,
            r"pip install torch segm",
        ),
        (
            TORCH,
            RuntimeChoice(engine="openvino"),
            WEIGHTS,
            True,
            DependencyError,
            r"pip install openvino$",
        ),
        (TORCH, RuntimeChoice(engine="openvino"), WEIGHTS, False, ModelError, "models export"),
        (TORCH, RuntimeChoice(engine="torch"), GRAPH, False, ModelError, "exported from"),
        (TORCH, RuntimeChoice(device="cuda:0"), GRAPH, False, ModelError, "exported from"),
    ],
)
def test_what_is_missing_is_said_with_the_remedy(
    machine: Machine,
    libraries: tuple[str, ...],
    wanted: RuntimeChoice,
    header: Header,
    beside: bool,
    error: type[Exception],
    said: str,
) -> None:
    machine.has(*libraries)
    machine.graph_lies_beside(beside)
    with pytest.raises(error, match=said):
        resolved_runtime(wanted, header)


def test_bf16_needs_a_processor_that_gains_from_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has(*TORCH)

    def on(vendor: str, *flags: str) -> bool:
        machine.processor(vendor, *flags)
        return resolved_runtime(RuntimeChoice(), WEIGHTS).precision == "bf16"

    assert on("GenuineIntel", "amx_tile", "amx_bf16", "avx512_bf16")
    assert on("AuthenticAMD", "avx512_bf16")
    assert not on("GenuineIntel", "avx512_bf16")
    assert not on("AuthenticAMD", "avx2")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    assert not on("GenuineIntel", "amx_tile", "amx_bf16", "avx512_bf16")
    assert not on("AuthenticAMD", "avx512_bf16")


def test_a_precision_that_was_asked_for_is_kept(machine: Machine) -> None:
    machine.has(*TORCH)
    machine.processor("AuthenticAMD", "avx512_bf16")
    assert resolved_runtime(RuntimeChoice(precision="fp32"), WEIGHTS).precision == "fp32"
    machine.processor("GenuineIntel")
    assert resolved_runtime(RuntimeChoice(precision="bf16"), WEIGHTS).precision == "bf16"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"device": "warp"}, "unknown"),
        ({"device": "cuda:x"}, "unknown"),
        ({"engine": "abacus"}, "unknown"),
        ({"device": "mps", "engine": "openvino"}, "--runtime torch"),
    ],
)
def test_what_is_not_there_is_refused(asked: dict[str, str], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        choose_runtime(**asked)  # type: ignore[arg-type]  # wrong on purpose


def test_a_gpu_that_is_not_there_is_refused() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(EngineError, match="not there"):
        choose_runtime("cuda:99")


@given(
    engine=st.sampled_from(["torch", "openvino"]),
    threads=st.integers(1, 256),
    device=st.sampled_from(["cpu", "cuda:0", "mps"]),
)
def test_lanes_and_their_threads_never_oversubscribe(
    engine: runtime.Engine, threads: int, device: str
) -> None:
    wanted = RuntimeChoice(device=device, threads=threads)
    lanes = runtime._lanes(engine, wanted)
    assert lanes >= 1
    if device == "cpu":
        assert lanes * max(1, threads // lanes) <= threads


def test_the_threads_of_the_environment_are_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert choose_runtime("cpu").threads == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert choose_runtime("cpu").threads >= 1


def test_deciding_loads_neither_engine() -> None:
    code = (
        "import sys, snet4core.maps.predictor, snet4core.parts.detect, snet4core.jobs.run\n"
        "from snet4core.maps.runtime import choose_runtime, resolved_runtime\n"
        "from snet4core.model.header import find_model, read_header\n"
        "resolved_runtime(choose_runtime('cpu'), read_header(find_model('default')))\n"
        "sys.exit(bool({'torch', 'openvino', 'segmentation_models_pytorch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_openvino_sends_no_report_when_it_is_loaded() -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    code = (
        "import sys\n"
        "from snet4core.model.graph import openvino\n"
        "assert openvino().Core().available_devices\n"
        "sys.exit(any(name.split('.')[0] == 'openvino_telemetry' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Memory: what is in flight follows from it, the result does not.


@given(
    limit=st.none() | st.integers(1, 10**11),
    lanes=st.integers(1, 16),
    batch=st.integers(1, 64),
    window_px=st.integers(1, 4 * 10**6),
)
def test_a_limit_is_kept_or_one_window_is_under_way(
    limit: int | None, lanes: int, batch: int, window_px: int
) -> None:
    flight = memory.in_flight(limit, 10**8, lanes, batch, window_px, 4, 300)
    assert 1 <= flight.lanes <= lanes
    assert 1 <= flight.batch <= batch
    if limit is None:
        assert (flight.lanes, flight.batch) == (lanes, batch)
    elif flight.needed_bytes > limit:
        assert (flight.lanes, flight.batch, flight.ahead) == (1, 1, 1)


@pytest.mark.parametrize("text", ["", "G", "-1G", "2 apples", "0", "1e9"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="amount of memory"):
        memory.parsed_bytes(text)


# The pipeline, with a network that is plain arithmetic.


class Doubling:
    """A network whose maps tell where and of what a window was."""

    def __init__(self) -> None:
        self.running = self.most_running = 0
        self._lock = threading.Lock()
        self.prepared: set[tuple[int, int]] = set()

    def prepare(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        self.prepared |= set(shapes)

    def forward(self, images_BCHW: NDArray[np.float32], look: Look, head: str) -> NDArray[np.uint8]:
        with self._lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        maps = np.stack([images_BCHW[:, 0], images_BCHW[:, 0] * 2], axis=1).astype(np.uint8)
        with self._lock:
            self.running -= 1
        return maps


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doubling]:
    fake = Doubling()
    how = Runtime("openvino", "cpu", "fp32", 2, 1, WEIGHTS.path, "made up")
    monkeypatch.setattr(predict, "header_of", lambda _: WEIGHTS)
    monkeypatch.setattr(predict, "resolved_runtimes", lambda *_: [how])
    monkeypatch.setattr(predict, "network_for", lambda *_: fake)
    yield fake
    assert fake.running == 0


SHAPE = (300, 200)


class Reading:
    """Counts windows read and given back; each pixel holds its row."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.count, self.taken, self.most_ahead, self.fail_at = 0, 0, 0, fail_at

    def __call__(self, tile: Tile) -> Picture:
        self.count += 1
        self.most_ahead = max(self.most_ahead, self.count - self.taken)
        if self.count == self.fail_at:
            raise OSError("the disk is gone")
        rows = np.arange(tile.read.row, tile.read.row_stop, dtype=np.float32) % 100
        picture = np.broadcast_to(rows[:, None], (4, *tile.read.shape)).copy()
        return picture, np.ones(tile.read.shape, dtype=np.bool_)


def mosaic(predictor: Predictor, read: Reading) -> NDArray[np.uint8]:
    whole = np.full((2, *SHAPE), 255, dtype=np.uint8)
    for maps in predictor.maps(read, SHAPE, LOOK):
        read.taken += 1
        whole[(slice(None), *maps.window.slices())] = [maps.footprint_HW, maps.border_HW]
    return whole


@pytest.mark.parametrize("batch", [1, 3, 50])
@pytest.mark.parametrize("readers", [1, 4])
@pytest.mark.parametrize("memory_bytes", [None, 1])
def test_batch_readers_and_memory_play_no_part(
    network: Doubling, batch: int, readers: int, memory_bytes: int | None
) -> None:
    predictor = Predictor(Path("m"), RuntimeChoice(), batch, memory_bytes=memory_bytes)
    rows = np.arange(SHAPE[0])[:, None] % 100
    expected = np.broadcast_to(np.stack([rows, 2 * rows]), (2, *SHAPE))
    predictor.readers = readers
    assert np.array_equal(mosaic(predictor, Reading()), expected)
    assert network.prepared == {tile.read.shape for tile in predictor.tiles(SHAPE)}


def test_little_memory_keeps_one_window_under_way(network: Doubling) -> None:
    generous, small = Reading(), Reading()
    mosaic(Predictor(Path("m"), RuntimeChoice()), generous)
    mosaic(Predictor(Path("m"), RuntimeChoice(), memory_bytes=1), small)
    assert network.most_running <= 2
    assert small.most_ahead <= 2  # one under way, one just taken
    assert small.most_ahead < generous.most_ahead <= 6


def test_maps_are_never_far_ahead_of_who_takes_them(network: Doubling) -> None:
    predictor, read = Predictor(Path("m"), RuntimeChoice()), Reading()
    maps = predictor.maps(read, (6400, 64), LOOK)
    next(maps)
    assert read.count <= predictor.ahead + 1
    maps.close()
    assert read.count <= predictor.ahead + 1


def test_an_error_while_reading_comes_out_in_its_turn(network: Doubling) -> None:
    predictor, read = Predictor(Path("m"), RuntimeChoice()), Reading(fail_at=5)
    got = []

    def take() -> None:
        for maps in predictor.maps(read, SHAPE, LOOK):
            got.append(maps.window)

    with pytest.raises(OSError, match="the disk is gone"):
        take()
    assert got == [tile.own for tile in predictor.tiles(SHAPE)[:4]]
    assert mosaic(predictor, Reading()).max() < 255  # and it can be used again


def test_who_stops_early_stops_the_threads(network: Doubling) -> None:
    before = {thread.name for thread in threading.enumerate()}
    for _ in Predictor(Path("m"), RuntimeChoice()).maps(Reading(), SHAPE, LOOK):
        break
    after = {thread.name for thread in threading.enumerate()} - before
    assert not any(name.startswith("snet4-read") for name in after)


def test_what_maps_depend_on_is_in_the_key(network: Doubling) -> None:
    predictor = Predictor(Path("m"), RuntimeChoice())
    keys = {predictor.key}
    for change in ({"engine": "torch"}, {"precision": "bf16"}, {"device": "mps"}):
        predictor.runtime = replace(predictor.runtime, **change)
        keys.add(predictor.key)
    assert len(keys) == 4
    assert all(WEIGHTS.digest in key for key in keys)


def test_weights_and_their_graph_are_one_network() -> None:
    assert GRAPH.network == WEIGHTS.network == WEIGHTS.digest
    assert GRAPH.is_graph
    assert not WEIGHTS.is_graph


def test_a_shipped_model_is_one_file_for_both_engines() -> None:
    files = {path.name for path in SHIPPED.iterdir() if path.is_file()}
    assert files == {path.name for path in shipped_models().values()}
    for path in shipped_models().values():
        header = read_header(path)
        assert header.has_topology, f"snet4 models export {path.stem}"
        assert not header.is_graph


def test_a_gpu_without_torch_names_the_device_and_a_command_that_works(machine: Machine) -> None:
    machine.has("openvino")
    with pytest.raises(DependencyError) as caught:
        choose_runtime("cuda")
    said = str(caught.value)
    assert "'cuda' needs torch" in said
    assert f"--device cpu, or run: {sys.executable} -m pip install torch" in said
    assert "This model" not in said  # the device was asked for, the model would do
