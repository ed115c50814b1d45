"""QGIS as a user has it, the plugin as it was built, and an engine of its own.

Run with QGIS's Python (`make test-qgis`). `SNET4_PYTHON` names the engine's interpreter;
without it, the one in `.venv` is taken.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from qgis_helpers import ENGINE, PLUGINS, ROOT, STUB, engine, make_town, run_process

if importlib.util.find_spec("qgis") is not None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["LC_ALL"] = "C.UTF-8"
    # QGIS takes the first python3 of the path for its own; an active environment is not.
    os.environ["PATH"] = os.pathsep.join(["/usr/bin", os.environ.get("PATH", "")])
    os.environ["SNET4_PYTHON"] = ENGINE
    os.environ["QGIS_CUSTOM_CONFIG_PATH"] = tempfile.mkdtemp(prefix="snet4-qgis-")
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="snet4-run-")
    os.environ["QGIS_PLUGINPATH"] = str(PLUGINS)


def pytest_report_header() -> list[str]:
    try:
        from qgis.core import Qgis
    except ImportError:
        return ["QGIS: not in this Python; its tests are SKIPPED (run: make test-qgis)"]
    return [f"QGIS {Qgis.version()}, engine {ENGINE}, built plugin {PLUGINS}"]


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    if importlib.util.find_spec("qgis") is None:
        return
    for name in ("QGIS_CUSTOM_CONFIG_PATH", "XDG_RUNTIME_DIR"):
        shutil.rmtree(os.environ[name], ignore_errors=True)


_application: list[Any] = []
"""QGIS's application, which has to outlive every window. Python destroys a QgsApplication as soon
as nothing names it, and a window that is shown then takes the process down at Python's end."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the plugin folder from the sources as they are, before any process of the tests."""
    if importlib.util.find_spec("qgis") is not None and not hasattr(config, "workerinput"):
        subprocess.run([sys.executable, str(ROOT / "tools" / "make_plugin.py")], check=True)


@pytest.fixture(scope="session")
def enabled() -> None:
    """The plugin switched on for `qgis_process`."""
    done = subprocess.run(
        ["qgis_process.bin", "plugins", "enable", "snet4"], capture_output=True, text=True
    )
    assert "Enabled snet4" in done.stdout, done.stderr


@pytest.fixture
def qgis_process(enabled: None):
    """Run an algorithm as `qgis_process run` does."""
    return run_process


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered place, 150 m wide, whose name tells its look."""
    folder = tmp_path_factory.mktemp("scenes")
    engine(
        *("-m", "snet4_cli", "scenes", str(folder), "--tiles", "1", "--looks", "nadir32"),
        *("--size", "300", "--seed", "11"),
    )
    [rendered] = folder.glob("**/*.tif")
    return rendered


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bright houses on dark ground, for the engine whose answer is known."""
    path = tmp_path_factory.mktemp("town") / "town.tif"
    make_town(path)
    return path


@pytest.fixture
def stub(tmp_path: Path):
    """An interpreter that is an engine with a fault; returns its path."""

    def make(mode: str) -> str:
        script = tmp_path / f"engine-{mode}"
        script.write_text(f'#!/bin/sh\nexec "{ENGINE}" "{STUB}" {mode}\n', encoding="utf-8")
        script.chmod(0o755)
        return str(script)

    return make


@pytest.fixture(scope="session")
def qgis():
    """QGIS in this process, with Processing and the built plugin; returns `processing`."""
    from qgis.core import QgsApplication

    sys.path[:0] = [
        str(PLUGINS),
        str(Path(QgsApplication.prefixPath()) / "share/qgis/python/plugins"),
    ]
    sys.path.append("/usr/share/qgis/python/plugins")
    _application.append(QgsApplication([], True))
    _application[0].initQgis()
    import processing
    from processing.core.Processing import Processing

    Processing.initialize()
    import snet4

    plugin = snet4.classFactory(None)
    plugin.initProcessing()
    yield processing
    plugin.unload()


@pytest.fixture
def engine_is(monkeypatch: pytest.MonkeyPatch, qgis: object):
    """Make the plugin use this interpreter in this test."""
    return lambda python: monkeypatch.setenv("SNET4_PYTHON", python)


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, qgis: object) -> None:
    """Let the plugin find none: nothing is named, and nothing lies where it looks."""
    from snet4 import environment

    monkeypatch.setenv("SNET4_PYTHON", "")
    monkeypatch.setattr(environment, "known_environments", lambda: [])
