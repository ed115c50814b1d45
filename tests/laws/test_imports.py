"""Who may import whom, and that what should be light is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDS_TORCH = {"model", "folded", "weights", "runtime_torch", "export", "foreign"}
ASKS_TORCH = {"runtime", "processes"}
"""Ask it about GPUs, where it is installed, and are of use without it."""
PURE = ("errors", "look", "windows", "maps", "settings", "progress", "card", "score", "seams")


def imported_names(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def loaded_after(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `statement`."""
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("path", sorted((ROOT / "snet4core").rglob("*.py")), ids=lambda p: p.stem)
def test_the_core_imports_none_of_the_other_rooms(path: Path) -> None:
    forbidden = {"snet4_cli", "snet4_training", "qgis_plugin", "qgis", "click"}
    assert not imported_names(path) & forbidden


@pytest.mark.parametrize("path", sorted((ROOT / "snet4core").rglob("*.py")), ids=lambda p: p.stem)
def test_only_the_network_rooms_know_torch(path: Path) -> None:
    if path.stem not in NEEDS_TORCH | ASKS_TORCH:
        assert not imported_names(path) & {"torch", "segmentation_models_pytorch", "timm"}


@pytest.mark.parametrize("path", sorted((ROOT / "snet4core").rglob("*.py")), ids=lambda p: p.stem)
@pytest.mark.parametrize(
    ("library", "room"), [("fsspec", "objectplace"), ("distributed", "cluster")]
)
def test_one_room_alone_knows_an_optional_library(path: Path, library: str, room: str) -> None:
    if path.stem != room:
        assert library not in imported_names(path)


@pytest.mark.parametrize("path", sorted((ROOT / "training").rglob("*.py")), ids=lambda p: p.stem)
def test_training_knows_nothing_of_the_command_line(path: Path) -> None:
    assert not imported_names(path) & {"snet4_cli", "qgis_plugin", "qgis", "click"}


@pytest.mark.parametrize("room", [*PURE, *sorted(ASKS_TORCH), "predict", "detect", "worker"])
def test_light_rooms_load_no_torch(room: str) -> None:
    assert "torch" not in loaded_after(f"import snet4core.{room}")


def test_help_loads_nothing_heavy() -> None:
    statement = "from snet4_cli.main import snet4; snet4.main(['--help'], standalone_mode=False)"
    heavy = {"torch", "rasterio", "scipy", "skimage", "numpy", "shapely", "fiona", "pyogrio"}
    assert not loaded_after(statement) & heavy


def test_every_command_has_help_that_loads_no_torch() -> None:
    from snet4_cli.main import COMMANDS

    calls = "; ".join(
        f"snet4.main(['{name}', '--help'], standalone_mode=False)" for name in COMMANDS
    )
    assert "torch" not in loaded_after(f"from snet4_cli.main import snet4; {calls}")
