"""A scene without a look through the whole command line, with a network that is really there.

The guess is decided before there are parts: whoever computes them, the same bytes come out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fiona
import numpy as np
import pytest
from click.testing import CliRunner

from snet4_cli.main import snet4

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("openvino", reason="OpenVINO is not installed")

from snet4core.model import weights  # noqa: E402  # after the skips
from snet4core.model.card import Architecture, Card, WindowSettings  # noqa: E402
from snet4core.model.exporter import export  # noqa: E402
from snet4core.model.network import OffNadirNet  # noqa: E402
from snet4core.worker.request import PROTOCOL  # noqa: E402

ARCHITECTURE = Architecture(
    encoder="resnet18", decoder_channels=(16, 16, 8), heads=("any",), estimates_look=True
)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Guesses 30 degrees, to the right in the picture; its maps are noise with some shapes."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(5)
    net = OffNadirNet(ARCHITECTURE)
    assert net.look is not None
    with torch.no_grad():
        net.look.outer.weight.zero_()
        net.look.outer.bias.copy_(torch.tensor([0.5, 0.5, 0.0]))
        for value in net.heads["any"].parameters():
            value.mul_(30)
    card = Card("sure", ARCHITECTURE, WindowSettings(32, 16), look_error_deg=(4.0, None))
    path = folder / "sure.safetensors"
    weights.save(path, net.eval(), card)
    target = folder / "graph.safetensors"
    export(path, target)
    return target


@pytest.fixture
def scene(picture: Callable[..., Path]) -> Path:
    counts_BHW = np.random.default_rng(2).integers(200, 900, (4, 150, 170)).astype(np.uint16)
    return picture(counts_BHW, "town.tif")


def run(*arguments: object) -> str:
    result = CliRunner().invoke(snet4, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_all_executors_go_on_with_the_same_guess(
    graph: Path, scene: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    how = ("run", scene, "--model", graph, "--threshold", 0.5, "--min-area", 1)
    run(*how, "-o", tmp_path / "one.gpkg")
    assert "30 degrees off nadir, azimuth 91" in caplog.text  # its right is a little south
    assert "median error on unseen places 4.0" in caplog.text
    run(*how, "-o", tmp_path / "two.gpkg", "--workers", 2)
    run(*how, "-o", tmp_path / "three.gpkg", "--resume")
    for number in (1, 2):
        run(*how, "-o", tmp_path / "four.gpkg", "--shard", f"{number}/2")
    run("merge", tmp_path / "four.gpkg.parts", "-o", tmp_path / "four.gpkg")
    one = (tmp_path / "one.gpkg").read_bytes()
    for other in ("two", "three", "four"):
        assert (tmp_path / f"{other}.gpkg").read_bytes() == one, other
    with fiona.open(tmp_path / "one.gpkg") as layer:
        assert len(layer) > 5
        looks = {(f.properties["off_nadir_deg"], f.properties["azimuth_deg"]) for f in layer}
        assert looks == {(30.0, 91.0)}
        assert {f.properties["look_source"] for f in layer} == {"estimated"}


def test_the_guess_is_shown_before_a_run(graph: Path, scene: Path, tmp_path: Path) -> None:
    dry = json.loads(
        run("run", scene, "--model", graph, "-o", tmp_path / "o.gpkg", "--dry-run", "--json")
    )
    assert "from: estimated" in dry[0]["look"]
    assert any("--off-nadir" in warning for warning in dry[0]["warnings"])
    facts = json.loads(run("info", scene, "--model", graph, "--json"))
    assert facts["look"]["off_nadir_deg"] == 30
    assert facts["look"]["source"] == "estimated"
    assert "look_error_deg       [4.0, null]" in run("models", "show", graph)
    assert not (tmp_path / "o.gpkg").exists()


def test_the_worker_plans_with_the_guess(graph: Path, scene: Path) -> None:
    job = {"protocol": PROTOCOL, "kind": "plan", "scene": str(scene), "model": str(graph)}
    command = [sys.executable, "-I", "-m", "snet4core.worker"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        events = (json.loads(line) for line in process.stdout)
        last = next(each for each in events if each["event"] in ("result", "error"))
        process.stdin.close()
    assert last["event"] == "result", last
    assert last["look"]["source"] == "estimated"
    assert last["look"]["off_nadir_deg"] == 30
