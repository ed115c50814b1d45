"""Without torch: in this environment with torch hidden, and long, for pip, in a fresh one.

The fresh one is made from a copy of the sources, and skipped where pip cannot fetch the packages.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "snet4core", "cli", "training", "tools")

Answer = subprocess.CompletedProcess[str]
Call = Callable[..., Answer]


def call(command: list[str | Path], folder: Path) -> Answer:
    """A child that knows nothing of this process's paths."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=inherited, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


HIDDEN = """
import sys
from importlib import metadata
hidden = ("torch", "segmentation_models_pytorch")
sys.modules.update(dict.fromkeys(hidden))  # what is None there cannot be imported
known = metadata.version
metadata.version = lambda name: known("no " * (name.replace("-", "_") in hidden) + name)
from snet4_cli.main import main
main()
"""
"""The command `snet4` as if torch were not installed."""


@pytest.fixture(scope="module", params=["hidden", pytest.param("fresh", marks=pytest.mark.long)])
def snet4(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """Calls the command `snet4` of an environment with the extra `openvino` alone."""
    folder = tmp_path_factory.mktemp("light")
    command: list[str | Path] = [sys.executable, "-c", HIDDEN]
    if request.param == "fresh":
        command = [installed(folder)]
    else:
        pytest.importorskip("openvino", reason="OpenVINO is not installed")

    def snet4(*arguments: object) -> Answer:
        return call([*command, *map(str, arguments)], folder)

    return snet4


def installed(folder: Path) -> Path:
    """Install the sources into a fresh environment below `folder`; its command `snet4`."""
    sources, place = folder / "sources", folder / "venv"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "*_cache", "build")
    for name in SOURCES:
        from_, to = ROOT / name, sources / name
        sources.mkdir(exist_ok=True)
        shutil.copytree(from_, to, ignore=ignore) if from_.is_dir() else shutil.copy(from_, to)
    venv.create(place, with_pip=True)
    bin_ = place / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [bin_ / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = call([*pip, f"{sources}[openvino]"], folder)
    missing = ("No matching distribution", "onnection", "resolve host", "Max retries")
    if done.returncode and any(sign in done.stderr for sign in missing):
        pytest.skip(f"pip cannot fetch the packages here: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    return bin_ / "snet4"


@pytest.fixture(scope="module")
def demo(snet4: Call, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    done = snet4("demo", "-o", folder)
    assert done.returncode == 0, done.stderr
    assert "footprints in 3 pictures" in done.stdout
    return folder


def test_it_has_no_torch_and_says_what_computes_instead(snet4: Call) -> None:
    facts = json.loads(snet4("doctor", "--json").stdout)
    assert facts["libraries"]["torch"] == "not installed"
    assert facts["libraries"]["segmentation-models-pytorch"] == "not installed"
    assert facts["runtime"]["engine"] == "openvino"


def test_run_and_polygonize_work_and_agree(snet4: Call, demo: Path, tmp_path: Path) -> None:
    scene = next(demo.rglob("*nadir8*.tif"))
    run = snet4(
        "run", scene, "-o", tmp_path / "run.gpkg", "--save-maps", tmp_path / "maps.tif", "--json",
        "--looks", demo / "scenes" / "looks.csv",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    count = json.loads(run.stdout)["footprints"]
    assert count > 50
    again = snet4(
        "polygonize", tmp_path / "maps.tif", "-o", tmp_path / "again.gpkg", "--json"
    )  # fmt: skip
    assert json.loads(again.stdout)["footprints"] == count
    scored = snet4("score", tmp_path / "again.gpkg", tmp_path / "run.gpkg", "--json")
    assert json.loads(scored.stdout)["total"]["f1"] == pytest.approx(1.0)


def test_the_one_file_of_a_model_is_enough(snet4: Call, demo: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch, which exports, is not installed")
    from snet4core.model.exporter import export
    from snet4core.model.header import find_model

    model = export(find_model("default"), tmp_path / "one.safetensors").path
    facts = json.loads(snet4("doctor", "--model", model, "--json").stdout)["runtime"]
    assert (facts["engine"], facts["computed from"]) == ("openvino", str(model))
    scene, layer = next(demo.rglob("*nadir8*.tif")), tmp_path / "one.gpkg"
    run = snet4("run", scene, "-o", layer, "--model", model, "--off-nadir", "8", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["footprints"] > 50


def test_the_demo_finds_most_houses_seen_from_above(snet4: Call, demo: Path) -> None:
    scored = snet4("score", demo / "footprints.csv", demo / "truth.csv", "--json")
    assert json.loads(scored.stdout)["categories"]["nadir"]["f1"] > 0.6


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "scene.tif", "-o", "o.gpkg", "--off-nadir", "3", "--runtime", "torch"),
        ("models", "export", "default", "-o", "o.safetensors"),
        ("models", "import", "net.pt", "-o", "o.safetensors", "--encoder", "resnet18"),
    ],
)
def test_what_needs_torch_says_how_to_get_it(
    snet4: Call, demo: Path, arguments: tuple[str, ...]
) -> None:
    scene = str(next(demo.rglob("*nadir8*.tif")))
    answer = snet4(*(scene if each == "scene.tif" else each for each in arguments))
    assert answer.returncode == 4
    assert "-m pip install torch segmentation-models-pytorch" in answer.stderr
    assert "Traceback" not in answer.stderr
