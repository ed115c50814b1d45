"""An engine from a folder of wheels, without a network, found where the documentation puts it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis_helpers import ENGINE, PLUGINS, ROOT, engine, run_process


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with snet4's wheel, made of a copy so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in ("snet4core", "cli", "training"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSES.md"):
        shutil.copy(ROOT / name, source)
    (source / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "project.py", source / "tools")
    folder = tmp_path_factory.mktemp("wheels")
    done = subprocess.run(
        [ENGINE, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(folder), str(source)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no wheel can be built here: {done.stderr[-200:]}")
    return folder


def test_an_engine_from_a_folder_of_wheels_is_found_and_works(
    wheels: Path, scene: Path, tmp_path: Path, enabled: None
) -> None:
    environment = tmp_path / ".snet4"
    engine("-m", "venv", str(environment))
    python = str(environment / "bin" / "python")
    offline = ["--no-index", "--find-links", str(wheels), "--no-deps"]
    subprocess.run([python, "-m", "pip", "install", "-q", *offline, "snet4"], check=True)
    # The libraries are large and would come from the same folder; here they are borrowed.
    borrowed = engine("-c", "import numpy; print(numpy.__path__[0])").stdout.strip()
    [packages] = environment.glob("lib/python3*/site-packages")
    (packages / "borrowed.pth").write_text(str(Path(borrowed).parent), encoding="utf-8")

    shutil.copytree(PLUGINS, tmp_path / "plugins")  # away from the checkout and its .venv
    env = {
        "SNET4_PYTHON": "",
        "HOME": str(tmp_path),
        "QGIS_PLUGINPATH": str(tmp_path / "plugins"),
    }
    check = run_process("snet4:checkengine", env)
    assert check.rc == 0, check.stderr
    assert check.results["WORKS"] is True, check.results["REPORT"]
    assert f"{python}\n" in check.results["REPORT"]
    assert str(packages / "snet4core") in check.results["REPORT"]
    run = run_process("snet4:extractfootprints", env, INPUT=scene, OUTPUT=tmp_path / "out.gpkg")
    assert run.rc == 0, run.stderr
    assert run.results["COUNT"] > 0
