"""Whatever goes wrong: one readable sentence, exit code 1, no file, no process left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis_helpers import Finished, engines, make_town, none_left_within_s, process_arguments

ALGORITHM = "snet4:extractfootprints"


def one_sentence(done: Finished, says: str) -> None:
    """The run failed, and its one line of explanation is the one we mean."""
    assert done.rc == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    # Processing shows the exception, and `qgis_process` repeats it.
    [line] = {line for line in done.stderr.splitlines() if says in line}
    assert len(line) < 400


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("bug", "This is a bug in snet4, please report it: ZeroDivisionError"),
        ("memory", "Out of memory"),
        ("segfault", "The engine crashed (SIGSEGV)"),
        ("killed", "The engine was ended by the system, most likely because memory ran out"),
    ],
)
def test_an_engine_that_fails(
    mode: str, says: str, town: Path, tmp_path: Path, qgis_process: Any, stub: Any
) -> None:
    before = engines()
    env = {"SNET4_PYTHON": stub(mode), "TMPDIR": str(tmp_path)}
    done = qgis_process(ALGORITHM, env, INPUT=town, OFF_NADIR=30, OUTPUT=tmp_path / "out.gpkg")
    one_sentence(done, says)
    assert sorted(tmp_path.glob("out*")) == []
    assert none_left_within_s(5, before)


@pytest.mark.parametrize(
    ("python", "says"),
    [
        ("/nowhere/python", "/nowhere/python, named by the environment variable SNET4_PYTHON, is"),
        ("", "The snet4 engine is not installed; run 'Install the engine' in the toolbox"),
        ("/usr/bin/python3", "/usr/bin/python3 has no snet4 in it; install it with:"),
        ("/bin/echo", "does not speak the language of the plugin"),
        ("/bin/false", "The engine ended without an answer (code 1)"),
    ],
    ids=["wrong path", "none at all", "without snet4", "another program", "one that fails"],
)
def test_an_engine_that_is_none(
    python: str, says: str, town: Path, tmp_path: Path, enabled: None
) -> None:
    # The plugin is copied away from the checkout, whose .venv it would find.
    from qgis_helpers import PLUGINS, run_process

    plugins = tmp_path / "plugins"
    subprocess.run(["cp", "-r", str(PLUGINS), str(plugins)], check=True)
    env = {
        "SNET4_PYTHON": python,
        "HOME": str(tmp_path),
        "QGIS_PLUGINPATH": str(plugins),
    }
    done = run_process(ALGORITHM, env, INPUT=town, OFF_NADIR=30, OUTPUT=tmp_path / "out.gpkg")
    one_sentence(done, says)
    assert not (tmp_path / "out.gpkg").exists()


def test_without_an_engine_the_check_still_runs_and_says_what_to_do(
    tmp_path: Path, enabled: None
) -> None:
    from qgis_helpers import PLUGINS, run_process

    subprocess.run(["cp", "-r", str(PLUGINS), str(tmp_path / "plugins")], check=True)
    env = {"SNET4_PYTHON": "", "HOME": str(tmp_path)}
    env["QGIS_PLUGINPATH"] = str(tmp_path / "plugins")
    done = run_process("snet4:checkengine", env)
    assert done.rc == 0, done.stderr
    assert done.results["WORKS"] is False
    assert "make it once with: python3 -m venv" in done.results["REPORT"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("text", "is no picture that can be opened"),
        ("truncated", "town.tif is damaged or incomplete"),
        ("no crs", "CRS"),
        ("threshold", "The threshold is 7; it is a probability between 0 and 1."),
        ("angle", "The off-nadir angle is 95; it is between 0 and 80 degrees."),
        ("model", "There is no model file /nowhere/mine.safetensors"),
        ("folder", "there is no folder /nowhere"),
        ("elsewhere", "lies outside the scene"),
        ("device", "cuda"),
    ],
)
def test_an_input_that_cannot_be_used(
    fault: str, says: str, tmp_path: Path, qgis_process: Any, scene: Path
) -> None:
    picture, output = tmp_path / "town.tif", tmp_path / "out.gpkg"
    make_town(picture, crs=None if fault == "no crs" else 32616)
    more: dict[str, Any] = {"OFF_NADIR": 30}
    if fault == "text":
        picture.write_text("<html>not found</html>", encoding="utf-8")
    elif fault == "truncated":
        picture.write_bytes(picture.read_bytes()[: picture.stat().st_size // 2])
    elif fault == "threshold":
        more["THRESHOLD"] = 7
    elif fault == "angle":
        more["OFF_NADIR"] = 95
    elif fault == "model":
        more["MODEL"] = "/nowhere/mine.safetensors"
    elif fault == "folder":
        output = Path("/nowhere/out.gpkg")
    elif fault == "elsewhere":
        more["EXTENT"] = "1,2,1,2 [EPSG:32616]"
    elif fault == "device":
        more["DEVICE"] = "cuda:3"
    done = qgis_process(ALGORITHM, INPUT=picture, OUTPUT=output, **more)
    one_sentence(done, says)
    assert not output.exists()


def test_a_picture_without_a_look_is_guessed_and_says_so(tmp_path: Path, qgis_process: Any) -> None:
    picture, output = tmp_path / "town.tif", tmp_path / "out.gpkg"
    make_town(picture, crs=32616)
    done = qgis_process(ALGORITHM, INPUT=picture, OUTPUT=output)
    assert done.rc == 0, done.stderr
    assert done.results["LOOK"].endswith("from: estimated")


def test_options_are_named_as_parameters_and_older_engines_are_understood(qgis: Any) -> None:
    from snet4.engine_client import told

    sentence = "use --bands 1,1,1,- or --nodata."
    parts = [
        "use ",
        {"option": "bands", "text": "--bands"},
        " 1,1,1,- or ",
        {"option": "nodata", "text": "--nodata"},  # which the plugin has no parameter for
        ".",
    ]
    event = {"event": "error", "sentence": sentence}
    assert told({**event, "sentence_parts": parts}, "sentence") == "use BANDS 1,1,1,- or --nodata."
    assert told(event, "sentence") == sentence
    assert told(event, "why_none") == ""


def _started(town: Path, output: Path, engine: str, folder: Path) -> subprocess.Popen:
    """`qgis_process` in the midst of a run of many seconds."""
    mark = folder / "in-mid-run"
    process = subprocess.Popen(
        process_arguments(ALGORITHM, INPUT=town, OFF_NADIR=30, OUTPUT=output),
        env={
            **os.environ,
            "SNET4_PYTHON": engine,
            "SNET4_STUB_MARK": str(mark),
            "TMPDIR": str(folder),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for _ in range(1200):
        if mark.exists():
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError("the engine never came to its second window")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("mode", ["slow", "stuck"])
def test_a_run_that_is_stopped_leaves_no_file_and_no_process(
    how: signal.Signals, mode: str, town: Path, tmp_path: Path, stub: Any, enabled: None
) -> None:
    before = engines()
    output = tmp_path / "out.gpkg"
    process = _started(town, output, stub(mode), tmp_path)
    try:
        assert set(engines()) - set(before)
        process.send_signal(how)
        started_s = time.monotonic()
        assert process.wait(5) != 0
        assert none_left_within_s(5 - (time.monotonic() - started_s), before)
    finally:
        process.kill()
        process.communicate()
    assert list(tmp_path.glob("out*")) == []
