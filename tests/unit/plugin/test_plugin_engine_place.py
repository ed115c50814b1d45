"""The installed engine's place: nothing half-made ever counts; the steps, and their troubles."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qgis_plugin import engine_place


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "Böses Profil, mit Lücken" / "snet4-engine"
    folder.mkdir(parents=True)
    return folder


def made(place: Path, version: str = "0.1.0") -> Path:
    folder = engine_place.new_folder(place)
    folder.mkdir()
    engine_place.commit(place, folder, version)
    return folder


def test_what_was_committed_counts(place: Path) -> None:
    folder = made(place)
    assert engine_place.installed(place) == (folder, "0.1.0")
    newer = made(place, "0.2.0")
    assert engine_place.installed(place) == (newer, "0.2.0")


def test_a_half_made_environment_does_not_count_and_is_swept(place: Path) -> None:
    folder = made(place)
    half = engine_place.new_folder(place)
    (half / "bin").mkdir(parents=True)
    assert engine_place.installed(place) == (folder, "0.1.0")
    engine_place.sweep(place)
    assert not half.exists()
    assert folder.exists()
    engine_place.forget(place)
    engine_place.sweep(place)
    assert engine_place.installed(place) is None
    assert list(place.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"folder": "engine-1"}',
        '{"folder": "../elsewhere", "version": "1"}', '{"folder": "engine-gone", "version": "1"}',
    ],
)  # fmt: skip
def test_a_damaged_pointer_names_no_engine(text: str, place: Path) -> None:
    (place.parent / "elsewhere").mkdir()
    (place / "engine.json").write_text(text, encoding="utf-8")
    assert engine_place.installed(place) is None


def test_the_pointer_is_written_in_one_move(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = made(place)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        engine_place.commit(place, engine_place.new_folder(place), "0.2.0")
    assert json.loads((place / "engine.json").read_text())["folder"] == folder.name
    assert not list(place.glob(".engine.json.*"))


def test_the_best_python_is_one_that_libraries_have_wheels_for() -> None:
    versions = [("a", None), ("b", (3, 14)), ("c", (3, 12)), ("d", (3, 11))]
    assert engine_place.best(versions) == "c"
    assert engine_place.best(versions[:2]) == "b"
    assert engine_place.best(versions[:1]) is None


def test_a_python_is_asked_for_its_version() -> None:
    _, arguments, _ = engine_place.probe(sys.executable)
    said = subprocess.run([sys.executable, *arguments], capture_output=True, text=True).stdout
    assert engine_place.version_of(said) == sys.version_info[:2]
    assert engine_place.version_of("python 3 10") is None
    assert engine_place.version_of("Python was not found") is None


def test_candidates_begin_with_that_of_qgis(tmp_path: Path) -> None:
    for name in ("qgis/bin/python3", "path/python3.12", "path/python3"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o755)
    found = engine_place.candidates(tmp_path / "qgis", str(tmp_path / "path"), windows=False)
    assert found == [
        str(tmp_path / name) for name in ("qgis/bin/python3", "path/python3", "path/python3.12")
    ]


def test_a_folder_of_wheels_asks_no_network(place: Path) -> None:
    wheel, folder = Path("snet4.whl"), place / "engine-1"
    _, pip = engine_place.steps(folder, wheel, python="py", wheels="/my wheels")
    assert pip.arguments[-1] == "snet4.whl[openvino]"
    assert pip.arguments[-4:-1] == ["--no-index", "--find-links", "/my wheels"]
    _, pip = engine_place.steps(folder, wheel, python="py", wheels=None)
    assert "--no-index" not in pip.arguments
    assert "--index-url" not in pip.arguments  # pip's own configuration says it


def test_a_gpu_adds_pytorch(place: Path) -> None:
    _, pip = engine_place.steps(place / "e", Path("w"), python="py", wheels=None, gpu=True)
    assert pip.arguments[-1] == "w[openvino,torch]"
    windows = os.name == "nt"
    assert (engine_place.CUDA_INDEX in pip.arguments) is windows


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("OSError: [Errno 28] No space left on device", "disk"),
        ("WARNING: Retrying ... NewConnectionError(...)\nERROR: No matching distribution found "
         "for click>=8.1", "network"),
        ("ERROR: No matching distribution found for fiona>=1.10 (from snet4)", "wheel"),
        ("The virtual environment was not created because ensurepip is not available.", "venv"),
        ("something else", ""),
    ],
)  # fmt: skip
def test_a_trouble_is_recognised(said: str, kind: str) -> None:
    assert engine_place.trouble(said)[0] == kind


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups")
def test_what_a_step_started_goes_with_its_lifeline(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(600)\n"
    )
    code = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv.pop(0);"
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    step = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(engine_place.RUNNER), "parent"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert step.stdin is not None
    assert step.stdout is not None
    child = int(step.stdout.readline())
    step.stdin.close()
    assert step.wait(10) == -signal.SIGKILL
    end_s = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "Z" not in _state(child):
        assert time.monotonic() < end_s, "the child lives on"
        time.sleep(0.05)
    step.stdout.close()


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
