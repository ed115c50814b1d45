"""Averaged models and scales through the whole command line, with real small networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fiona
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result

from snet4_cli.main import snet4
from snet4core.errors import Snet4Error

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("openvino", reason="OpenVINO is not installed")

from snet4core.look.look import Look  # noqa: E402
from snet4core.maps.networks import network_for  # noqa: E402  # after the skips
from snet4core.maps.openvino_network import OpenVinoNetwork  # noqa: E402  # after the skips
from snet4core.maps.predictor import Predictor  # noqa: E402
from snet4core.maps.runtime import choose_runtime  # noqa: E402
from snet4core.maps.scales import AtScales  # noqa: E402  # after the skips
from snet4core.model import weights  # noqa: E402  # after the skips
from snet4core.model.card import Architecture, Card, WindowSettings  # noqa: E402
from snet4core.model.ensemble import combined_header  # noqa: E402
from snet4core.model.exporter import export_apart  # noqa: E402
from snet4core.model.header import Header, read_header  # noqa: E402
from snet4core.model.network import OffNadirNet  # noqa: E402

SMALL = Architecture(encoder="resnet18", decoder_channels=(16, 16, 8), heads=("any",))
LOOK = Look(30.0, 20.0, "option")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two random models of different heads, each with its graph beside it."""
    folder = tmp_path_factory.mktemp("models")
    made = []
    for seed, heads in enumerate((("any",), ("nadir", "off-nadir", "very-off-nadir"))):
        torch.manual_seed(seed)
        architecture = replace(SMALL, heads=heads)
        net = OffNadirNet(architecture)
        with torch.no_grad():
            for value in net.heads.parameters():
                value.mul_(30)  # sharp enough for shapes
        name = "one" if seed == 0 else "two"
        path = folder / f"{name}.safetensors"
        weights.save(path, net.eval(), Card(name, architecture, WindowSettings(32, 16)))
        export_apart(path, folder / f"{name}.openvino.safetensors")
        made.append(path)
    return made


def maps(model: Path | Header, engine: str) -> np.ndarray:
    predictor = Predictor(model, choose_runtime("cpu", "fp32", engine))  # type: ignore[arg-type]  # parametrised
    assert predictor.runtime.engine == engine
    images = np.random.default_rng(3).standard_normal((2, 4, 64, 64)).astype(np.float32)
    head = predictor.card.architecture.head_for(LOOK)
    return predictor._network.forward(images, LOOK, head).astype(int)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_the_average_is_that_of_what_each_says(models: list[Path], engine: str) -> None:
    alone = [maps(path, engine) for path in models]
    both = maps(combined_header([read_header(path) for path in models]), engine)
    assert np.abs(alone[0] - alone[1]).max() > 50  # they do not agree
    assert np.abs(both - (alone[0] + alone[1]) / 2).max() <= 1


def test_both_engines_average_alike(models: list[Path]) -> None:
    combined = combined_header([read_header(path) for path in models], (0.75, 1.0, 1.25))
    one, other = maps(combined, "torch"), maps(combined, "openvino")
    assert np.ptp(one) > 20
    assert np.abs(one - other).max() <= 2


def test_one_engine_computes_all(models: list[Path], tmp_path: Path) -> None:
    """A model without a graph beside one that has it: torch for both."""
    lonely = tmp_path / "lonely.safetensors"
    lonely.write_bytes(models[0].read_bytes())
    combined = combined_header([read_header(path) for path in (models[1], lonely)])
    assert Predictor(combined, choose_runtime("cpu", "fp32")).runtime.engine == "torch"


def test_a_file_is_computed_at_the_scales_of_its_card(models: list[Path], tmp_path: Path) -> None:
    net, card = weights.load(models[0])
    twice = tmp_path / "twice.safetensors"
    weights.save(twice, net, replace(card, scales=(0.75, 1.0)))
    asked = maps(combined_header([read_header(models[0])], (0.75, 1.0)), "torch")
    assert np.array_equal(maps(twice, "torch"), asked)
    assert np.abs(asked - maps(models[0], "torch")).max() > 5, "which is not its own size alone"


def test_all_scales_share_one_program(models: list[Path]) -> None:
    """Two would hold twice the memory, or free and take it again with every window."""
    runtime = Predictor(models[0], choose_runtime("cpu", "fp32", "openvino")).runtime
    averaged = network_for(runtime, (0.75, 1.0))
    averaged.prepare({(64, 64), (64, 32)}, "any")
    for cols in (64, 32):  # of full size, and at an edge
        averaged.forward(np.zeros((1, 4, 64, cols), np.float32), LOOK, "any")
    assert isinstance(averaged, AtScales)
    assert isinstance(averaged._network, OpenVinoNetwork)
    assert len(averaged._network._compiled) == 1


@pytest.mark.parametrize("shape", [(64, 96), (96, 64)])
def test_torch_takes_the_mean_on_its_device(models: list[Path], shape: tuple[int, int]) -> None:
    """Without the way to numpy and back for each scale, and to the same maps."""
    scales = (0.75, 1.0, 1.5)
    runtime = Predictor(models[0], choose_runtime("cpu", "fp32", "torch")).runtime
    there = network_for(runtime, scales)
    here = AtScales(network_for(runtime), read_header(models[0]).card.architecture, scales)
    images_BCHW = np.random.default_rng(3).standard_normal((2, 4, *shape), np.float32)
    wanted, found = (each.forward(images_BCHW, LOOK, "any").astype(int) for each in (here, there))
    assert wanted.std() > 1
    assert np.abs(found - wanted).max() <= 1
    probable = there.probabilities(images_BCHW, LOOK, "any")
    assert np.abs(np.rint(probable.clip(max=1) * 255) - found).max() == 0
    alone = there.forward(images_BCHW[1:], LOOK, "any")
    assert np.abs(alone[0].astype(int) - found[1]).max() <= 1


# The command line.


@pytest.fixture
def scene(picture: Callable[..., Path]) -> Path:
    counts_BHW = np.random.default_rng(2).integers(200, 900, (4, 150, 170)).astype(np.uint16)
    return picture(counts_BHW, "town.tif")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(snet4, [str(each) for each in arguments])


def good(*arguments: object) -> None:
    result = run(*arguments)
    assert result.exit_code == 0, result.output


def test_all_executors_average_alike(models: list[Path], scene: Path, tmp_path: Path) -> None:
    graphs = [path.with_name(f"{path.stem}.openvino.safetensors") for path in models]
    named = [word for path in graphs for word in ("--model", path)]
    how = ("run", scene, *named, "--tta", "0.75,1", "--off-nadir", 30, "--min-area", 1)
    good(*how, "-o", tmp_path / "one.gpkg", "--save-maps", tmp_path / "maps.tif")
    good(*how, "-o", tmp_path / "two.gpkg", "--workers", 2)
    good(*how, "-o", tmp_path / "three.gpkg", "--shard", "1/2")
    good(*how, "-o", tmp_path / "three.gpkg", "--shard", "2/2")
    refused = run(*how[:-6], "--off-nadir", 30, "--min-area", 1, "--resume",
                  "-o", tmp_path / "three.gpkg")  # fmt: skip
    assert isinstance(refused.exception, Snet4Error)
    assert "other settings" in str(refused.exception), "another scale is another network"
    good("merge", tmp_path / "three.gpkg.parts", "-o", tmp_path / "three.gpkg")
    good("polygonize", tmp_path / "maps.tif", "-o", tmp_path / "four.gpkg", "--min-area", 1)
    one = (tmp_path / "one.gpkg").read_bytes()
    for other in ("two", "three"):
        assert (tmp_path / f"{other}.gpkg").read_bytes() == one, other
    layers = [fiona.open(tmp_path / f"{name}.gpkg") for name in ("one", "four")]
    found = [[(f.geometry.coordinates, dict(f.properties)) for f in layer] for layer in layers]
    assert len(found[0]) > 5
    assert found[0] == found[1]
    assert {properties["model"] for _, properties in found[0]} == {"one + two"}
    with rasterio.open(tmp_path / "maps.tif") as file:
        assert "at 0.75, 1" in file.tags()["SNET4_ORIGIN"]


@pytest.mark.parametrize("scales", ["", "a,b", "0.8;1", "9"])
def test_scales_that_make_no_sense_are_refused(scales: str, scene: Path, tmp_path: Path) -> None:
    result = run("run", scene, "-o", tmp_path / "o.gpkg", "--off-nadir", 30, "--tta", scales)
    code = result.exit_code if not isinstance(result.exception, Snet4Error) else 2
    assert code == 2
