"""What of the plugin needs no QGIS, under Qt 6: a QGIS with Qt 6 is in no registry yet.

PyQt6 is in the environment that `make check-plugin` makes; SNET4_QT6_PYTHON names another one.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "tests" / "helpers" / "under_qt6.py"
PYTHON = os.environ.get("SNET4_QT6_PYTHON") or str(ROOT / ".venv-plugin" / "bin" / "python")


def checks() -> list[str]:
    """Names of the program's checks, read: it imports PyQt6, which this Python need not have."""
    nodes = ast.parse(PROGRAM.read_text(encoding="utf-8")).body
    functions = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if name.startswith("check_")]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin as it is built, without the engine's wheel."""
    can = [PYTHON, "-c", "import PyQt6.QtWidgets"]
    if not Path(PYTHON).exists() or subprocess.run(can, capture_output=True).returncode:
        pytest.skip(f"no PyQt6 in {PYTHON}: the plugin is not tried with Qt 6; make check-plugin")
    make_plugin = _make_plugin()
    folder = tmp_path_factory.mktemp("qt6")
    for name, path in make_plugin.sources().items():
        placed = folder / "snet4" / name
        placed.parent.mkdir(parents=True, exist_ok=True)
        placed.write_bytes(make_plugin.content(name, path))
    return folder


def _make_plugin() -> Any:
    spec = importlib.util.spec_from_file_location("make_plugin", ROOT / "tools" / "make_plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("check", checks())
def test_with_qt_6(check: str, plugin: Path) -> None:
    words = [PYTHON, str(PROGRAM), check, str(plugin), sys.executable]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Qt 6"), done.stdout
