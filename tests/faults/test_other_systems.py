"""What Windows and macOS lack, taken away on Linux; the systems themselves were never tried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HELPER = Path(__file__).resolve().parents[1] / "helpers" / "other_systems.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux pretends to be another")


def snet4(folder: Path, *arguments: object, system: str | None = None) -> str:
    """stdout of a command that succeeds, on this system or as if on another."""
    program = ["-m", "snet4_cli"] if system is None else [str(HELPER), system]
    done = subprocess.run(
        [sys.executable, *program, *map(str, arguments)], cwd=folder, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture, and what Linux makes of it."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    from snet4_training.scenes.dataset import parse_looks, write_scenes

    folder = tmp_path_factory.mktemp("systems")
    write_scenes(folder / "places", 1, parse_looks("nadir8"), 9_000_017, size_px=320)
    next(folder.rglob("*.tif")).rename(folder / "scene_nadir8.tif")
    for name in OUTPUTS:
        snet4(folder, *command(name))
    return folder


OUTPUTS = ("out.gpkg", "out.fgb", "out.geojson", "out.csv", "out.city.json")


def command(name: str, *more: object) -> list[object]:
    return ["run", "scene_nadir8.tif", "-o", name, "--device", "cpu", "--precision", "fp32", *more]


@pytest.mark.parametrize("system", ["win32", "darwin"])
@pytest.mark.parametrize("name", [n for n in OUTPUTS if n != "out.city.json"])
def test_every_format_has_the_same_bytes_there(runs: Path, system: str, name: str) -> None:
    before = (runs / name).read_bytes()
    snet4(runs, *command(name, "--overwrite", "--resume"), system=system)
    assert (runs / name).read_bytes() == before
    assert not list(runs.glob(".snet4-*"))
    assert not list(runs.glob("*.parts"))
