"""A model as a graph: the same maps as its weights give, one file, nothing hostile let in."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

torch = pytest.importorskip("torch", reason="torch is not installed")
openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")

from helpers.networks import WITH_HEIGHTS  # noqa: E402  # after the skips
from snet4core.errors import EngineError, ModelError, OutputError  # noqa: E402  # after the skips
from snet4core.look.look import Look  # noqa: E402  # after the skips
from snet4core.maps.openvino_network import OpenVinoNetwork  # noqa: E402  # after the skips
from snet4core.maps.predictor import Predictor  # noqa: E402  # after the skips
from snet4core.maps.runtime import MapNetwork, choose_runtime  # noqa: E402  # after the skips
from snet4core.model import weights  # noqa: E402  # after the skips
from snet4core.model.card import FIVE_HEADS, ONE_HEAD, Architecture, Card, WindowSettings  # noqa: E402  # after the skips
from snet4core.model.ensemble import combined_header  # noqa: E402  # after the skips
from snet4core.model.exporter import export_apart  # noqa: E402  # after the skips
from snet4core.model.graph import MOST_XML_BYTES, Graph, problem_of, read_graph, write_graph  # noqa: E402  # after the skips
from snet4core.model.header import METADATA_KEY, find_model, graph_beside, read_header  # noqa: E402  # after the skips
from snet4core.model.network import OffNadirNet  # noqa: E402  # after the skips

SMALL = Architecture(encoder="resnet18", decoder_channels=(16, 16, 8))
NORTH_30 = Look(30.0, 20.0, "option")


def saved(folder: Path, architecture: Architecture = SMALL) -> Path:
    """A small random model that hears the look, with its graph beside it."""
    torch.manual_seed(7)
    net = OffNadirNet(architecture)
    for name, value in net.named_parameters():
        if any(part in name for part in (".gate.outer.", ".widen.", "details.", "heights.height.")):
            torch.nn.init.normal_(value, std=0.3)
    path = folder / "small.safetensors"
    card = Card("small", architecture, windows=WindowSettings(core_px=64, halo_px=32))
    weights.save(path, net.eval(), card)
    export_apart(path, path.with_name("small.openvino.safetensors"))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def graph(model: Path) -> Path:
    return model.with_name("small.openvino.safetensors")


def forward(path: Path, engine: str, look: Look, side_px: int = 96) -> np.ndarray:
    predictor = Predictor(path, choose_runtime("cpu", "fp32", engine))  # type: ignore[arg-type]  # parametrised
    assert predictor.runtime.engine == engine
    bands = len(predictor.card.architecture.bands)
    images = np.random.default_rng(3).standard_normal((2, bands, side_px, side_px))
    head = predictor.card.architecture.head_for(look)
    return predictor._network.forward(images.astype(np.float32), look, head).astype(int)


@pytest.mark.parametrize("off_nadir_deg", [5.0, 30.0, 50.0])
@pytest.mark.parametrize("side_px", [96, 128])  # an edge's size, and the full one
def test_both_engines_give_the_same_maps(model: Path, off_nadir_deg: float, side_px: int) -> None:
    look = replace(NORTH_30, off_nadir_deg=off_nadir_deg)
    one, other = (forward(model, engine, look, side_px) for engine in ("torch", "openvino"))
    assert one.shape == other.shape == (2, 2, side_px, side_px)
    assert np.ptp(one) > 20  # the picture leaves a trace
    assert np.abs(one - other).max() <= 1


def test_the_graph_hears_the_look(graph: Path) -> None:
    maps = forward(graph, "openvino", NORTH_30)
    for change in ({"off_nadir_deg": 39.0}, {"azimuth_deg": 200.0}, {"azimuth_deg": None}):
        assert not np.array_equal(maps, forward(graph, "openvino", replace(NORTH_30, **change)))


def test_windows_of_a_batch_do_not_see_each_other(graph: Path) -> None:
    network = Predictor(graph, choose_runtime("cpu", "fp32"))._network
    images = np.random.default_rng(5).standard_normal((3, 4, 64, 64)).astype(np.float32)
    together = network.forward(images, NORTH_30, "off-nadir")
    for index in range(3):
        alone = network.forward(images[index : index + 1], NORTH_30, "off-nadir")
        assert np.array_equal(together[index], alone[0])


def test_programs_are_made_ahead_and_once(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, str]] = []
    real = OpenVinoNetwork._program

    def program(network: OpenVinoNetwork, output: str, side_px: int, stop_at: str | None) -> object:
        made.append((side_px, threading.current_thread().name.rstrip("_01")))
        return real(network, output, side_px, stop_at)

    monkeypatch.setattr(OpenVinoNetwork, "_program", program)
    images = np.random.default_rng(8).standard_normal((1, 4, 96, 96)).astype(np.float32)
    prepared = Predictor(graph, choose_runtime("cpu", "fp32"))._network
    prepared.prepare([(96, 96), (64, 128), (128, 128)], "off-nadir")
    with ThreadPoolExecutor(2) as lanes:
        maps = [lanes.submit(prepared.forward, images, NORTH_30, "off-nadir") for _ in range(4)]
        assert len({each.result().tobytes() for each in maps}) == 1
    assert sorted(made) == [(-1, "snet4-compile"), (128, "snet4-compile")]
    unprepared = Predictor(graph, choose_runtime("cpu", "fp32"))._network
    assert unprepared.forward(images, NORTH_30, "off-nadir").tobytes() == maps[0].result().tobytes()


def test_what_goes_wrong_while_it_gets_ready_is_said_by_the_first_window(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program(*_: object) -> object:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(OpenVinoNetwork, "_program", program)
    network = Predictor(graph, choose_runtime("cpu", "fp32"))._network
    network.prepare([(64, 64)], "off-nadir")
    with pytest.raises(EngineError, match="no such instruction"):
        network.forward(np.zeros((1, 4, 64, 64), np.float32), NORTH_30, "off-nadir")


def test_one_program_at_a_time_holds_memory_which_changes_nothing(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of two sizes in turn, from two threads as well."""
    predictor = Predictor(graph, choose_runtime("cpu", "fp32"))
    assert predictor.runtime.lean
    limited = predictor._network
    free = OpenVinoNetwork(replace(predictor.runtime, lean=False))
    released = []
    real = openvino.CompiledModel.release_memory
    monkeypatch.setattr(
        openvino.CompiledModel,
        "release_memory",
        lambda program: (released.append(program), real(program))[1],
    )
    images = np.random.default_rng(6).standard_normal((1, 4, 128, 128)).astype(np.float32)
    sizes = [128, 96, 64, 128, 96] * 3

    def maps(network: MapNetwork) -> list[bytes]:
        def one(side_px: int) -> bytes:
            picture = np.ascontiguousarray(images[..., :side_px, :side_px])
            return network.forward(picture, NORTH_30, "off-nadir").tobytes()

        with ThreadPoolExecutor(2) as lanes:
            return [*map(one, sizes), *lanes.map(one, sizes)]

    expected = maps(free)
    assert not released
    assert maps(limited) == expected
    assert len(released) >= 8  # at every change of size of the first round


def test_where_windows_go_through_several_models_all_keep_their_memory(
    graph: Path,
) -> None:
    """Only a limit makes it worth the time. Several scales of one model share one program."""
    cpu = choose_runtime("cpu", "fp32")
    one = read_header(graph)
    assert Predictor(combined_header([one], (1.0, 0.5)), cpu).runtime.lean
    both = combined_header([one, replace(one, exported_from="another's")])
    assert not Predictor(both, cpu).runtime.lean
    assert Predictor(both, cpu, memory_bytes=1).runtime.lean


@pytest.mark.parametrize(
    "architecture",
    [
        replace(SMALL, heads=ONE_HEAD, hears_look=False),
        replace(
            SMALL,
            heads=FIVE_HEADS,
            shared_decoder=True,
            attention="scse",
            decoder_channels=(32, 32, 16),
        ),
        replace(SMALL, bands=("pan", "nir")),
        replace(
            SMALL,
            decoder_channels=(16, 8, 8),
            maps_stride_px=2,
            subpixel_maps=True,
            sweeps_lean=True,
            swept_stride_px=2,
        ),
        WITH_HEIGHTS,
    ],
)
def test_other_architectures_are_exported_too(tmp_path: Path, architecture: Architecture) -> None:
    model = saved(tmp_path, architecture)
    one, other = (forward(model, engine, NORTH_30) for engine in ("torch", "openvino"))
    assert np.abs(one - other).max() <= 1


def test_the_graph_bears_the_card_and_the_digest_of_its_weights(model: Path, graph: Path) -> None:
    of_weights, of_graph = read_header(model), read_header(graph)
    assert of_graph.card == of_weights.card
    assert of_graph.network == of_weights.digest
    assert graph_beside(of_weights) == graph
    assert graph.stat().st_size < 1.2 * model.stat().st_size


def test_the_same_model_gives_the_same_graph(model: Path, graph: Path, tmp_path: Path) -> None:
    export_apart(model, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == graph.read_bytes()


def test_an_existing_file_is_not_replaced_unasked(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.safetensors"
    target.write_text("mine")
    with pytest.raises(OutputError, match="overwrite"):
        export_apart(model, target)
    assert target.read_text() == "mine"


def test_a_graph_of_other_weights_is_not_taken(model: Path, graph: Path, tmp_path: Path) -> None:
    other = tmp_path / "small.safetensors"
    net, card = weights.load(model)
    with torch.no_grad():
        net.heads["nadir"].bias += 1
    weights.save(other, net, card)
    other.with_name(graph.name).write_bytes(graph.read_bytes())
    assert graph_beside(read_header(other)) is None
    assert Predictor(other, choose_runtime("cpu")).runtime.engine == "torch"


def test_weights_are_not_read_from_a_graph(graph: Path) -> None:
    with pytest.raises(ModelError, match="no weights"):
        weights.load(graph)


# A file that somebody else has been at. The checksum is right unless it is the thing.


def with_xml(graph: Path, target: Path, xml: bytes) -> Path:
    tensors = load_file(graph)
    hostile = Graph(xml, tensors["constants"])
    header = read_header(graph)
    write_graph(target, hostile, header.card, header.network, overwrite=True)
    return target


def refused(path: Path, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        Predictor(path, choose_runtime("cpu", "fp32", "openvino"))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'type="Sigmoid"', b'type="ReadValue"', "'ReadValue' of 'opset1'"),
        (b'type="Sigmoid" version="opset1"', b'type="Sigmoid" version="extension"', "extension"),
        (b"<net", b'<!DOCTYPE net [<!ENTITY a "a">]><net', "entities"),
        (b'offset="0"', b'offset="99999999999"', "outside the file"),
        (b'offset="0"', b'offset="-8"', "outside the file"),
        (b'offset="0"', b'offset="here"', "not described"),
        (b"</net>", b"", "no XML"),
        (b"<edges>", b"<corners>", "no XML"),
    ],
)
def test_a_hostile_graph_is_refused(
    graph: Path, tmp_path: Path, old: bytes, new: bytes, said: str
) -> None:
    xml = load_file(graph)["xml"].tobytes()
    assert old in xml
    refused(with_xml(graph, tmp_path / "hostile.safetensors", xml.replace(old, new, 1)), said)


def test_a_graph_with_too_much_xml_is_not_parsed() -> None:
    xml = b'<net><layers><layer type="Parameter" version="opset1"/></layers></net>'
    constants = np.zeros(0, np.uint8)
    # The words alone: pytest would show a graph of 17 MB.
    largest = problem_of(Graph(xml.ljust(MOST_XML_BYTES), constants))
    larger = problem_of(Graph(xml.ljust(MOST_XML_BYTES + 1), constants))
    assert largest == ""
    assert "17 MB of XML" in larger


def test_a_graph_of_nothing_is_refused(graph: Path, tmp_path: Path) -> None:
    refused(with_xml(graph, tmp_path / "empty.safetensors", b"<net></net>"), "no layers")
    refused(with_xml(graph, tmp_path / "none.safetensors", b""), "no XML")


def test_a_graph_without_one_of_the_heads_is_refused(graph: Path, tmp_path: Path) -> None:
    xml = load_file(graph)["xml"].tobytes()
    assert b"very-off-nadir" in xml
    renamed = xml.replace(b"very-off-nadir", b"very-far-nadir")
    refused(with_xml(graph, tmp_path / "heads.safetensors", renamed), "another network")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("bit", "checksum"),
        ("nan", "NaN or infinity"),
        ("short", "outside the file"),
        ("missing", "no graph"),
        ("type", "not stored as bytes"),
    ],
)
def test_a_damaged_graph_is_refused(graph: Path, tmp_path: Path, change: str, said: str) -> None:
    tensors = load_file(graph)
    header = read_header(graph)
    digest = header.digest
    if change == "bit":
        tensors["constants"][1000] ^= 1
    if change == "nan":
        tensors["constants"].view(np.uint16)[: 1 << 14] = 0x7E00
    if change == "short":
        tensors["constants"] = tensors["constants"][:1000]
    if change == "missing":
        del tensors["xml"]
    if change == "type":
        tensors["constants"] = tensors["constants"].view(np.int8)
    if change in ("nan", "short"):
        digest = Graph(tensors["xml"].tobytes(), tensors["constants"]).digest
    said_in_file = {
        "card": json.loads(header.card.to_json()),
        "sha256": digest,
        "graph": {"runtime": "openvino", "exported_from": header.network},
    }
    path = tmp_path / "damaged.safetensors"
    save_file(tensors, path, metadata={METADATA_KEY: json.dumps(said_in_file)})
    refused(path, said)


def test_signals_are_survived_after_the_network_went_in_another_thread(graph: Path) -> None:
    script = f"""
import gc, signal, threading
from pathlib import Path
import numpy as np
from snet4core.look.look import Look
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
signal.signal(signal.SIGUSR1, lambda *_: print("heard"))
kept = [Predictor(Path({str(graph)!r}), choose_runtime("cpu", "fp32"))]
kept[0]._network.forward(np.zeros((1, 4, 64, 64), np.float32), Look(30.0, 20.0, "option"),
                         "off-nadir")
gone = threading.Thread(target=lambda: (kept.clear(), gc.collect()))
gone.start()
gone.join()
signal.raise_signal(signal.SIGUSR1)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_every_kernel_is_a_constant(graph: Path) -> None:
    """OpenVINO's threads spoil each other's maps where kernels are computed on the way."""
    stored = read_graph(read_header(graph))
    net = openvino.Core().read_model(
        model=stored.xml, weights=openvino.Tensor(stored.constants)
    )  # fmt: skip
    convolutions = [each for each in net.get_ops() if "Convolution" in each.get_type_name()]
    kinds = {each.get_type_name() for each in convolutions}
    assert {"Convolution", "ConvolutionBackpropData"} <= kinds
    for each in convolutions:
        kernel = each.input_value(1).get_node()
        while kernel.get_type_name() in ("Convert", "Reshape"):
            kernel = kernel.input_value(0).get_node()
        assert kernel.get_type_name() == "Constant", each.get_friendly_name()


def test_a_cut_off_file_is_refused(graph: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(graph.read_bytes()[:-100])
    refused(path, "not a readable")


def test_openvino_starts_from_the_shipped_model() -> None:
    """After a change of the default model: snet4 models export default."""
    shipped = read_header(find_model("default"))
    assert shipped.has_topology, "OpenVINO cannot be started from it"
    assert shipped.path.stat().st_size <= 21e6
    read_graph(shipped)


# The guess of the look: one more output, of models that have it.

GUESSES = replace(SMALL, estimates_look=True)


def estimates(path: Path, engine: str, side_px: int = 96) -> np.ndarray:
    network = Predictor(path, choose_runtime("cpu", "fp32", engine))._network  # type: ignore[arg-type]  # as above
    images = np.random.default_rng(3).standard_normal((2, 4, side_px, side_px))
    return network.look_estimates(images.astype(np.float32))


def test_both_engines_guess_the_same_look(tmp_path: Path) -> None:
    model = saved(tmp_path, GUESSES)
    for side_px in (96, 128):
        one, other = (estimates(model, engine, side_px) for engine in ("torch", "openvino"))
        assert one.shape == other.shape == (2, 3)
        assert np.ptp(one, axis=0).max() > 1e-4  # the picture leaves a trace
        assert np.abs(one - other).max() < 2e-3
    maps = [forward(model, engine, NORTH_30) for engine in ("torch", "openvino")]
    assert np.abs(maps[0] - maps[1]).max() <= 1


def test_a_graph_from_before_there_were_guesses_still_computes_maps(
    graph: Path, tmp_path: Path
) -> None:
    header = read_header(graph)
    old = tmp_path / "old.safetensors"
    card = replace(header.card, architecture=GUESSES)
    write_graph(old, read_graph(header), card, header.network, overwrite=True)
    assert np.array_equal(forward(old, "openvino", NORTH_30), forward(graph, "openvino", NORTH_30))
    with pytest.raises(ModelError, match="export it again"):
        estimates(old, "openvino")


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_model_that_does_not_guess_says_so(model: Path, engine: str) -> None:
    with pytest.raises(ModelError, match=r"not guess looks"):
        estimates(model, engine)
