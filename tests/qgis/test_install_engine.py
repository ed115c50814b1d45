"""'Install the engine': made, replaced, cancelled, killed, refused, removed. Without a network."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis_helpers import PLUGINS, ROOT, engine, process_arguments, run_process

INSTALL = "snet4:installengine"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel for each library; they are large, so these borrow the engine's."""
    folder = tmp_path_factory.mktemp("Räder und wheels")
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", text, re.S | re.M)
    assert block is not None
    names = re.findall(r'"([a-z0-9-]+)', block[1])
    borrowed = engine("-c", "import numpy; print(numpy.__path__[0])").stdout.strip()
    for name in names:
        empty_wheel(folder, name)
    empty_wheel(folder, "openvino", {"borrowed.pth": f"{Path(borrowed).parent}\n"})
    return folder


def empty_wheel(folder: Path, name: str, files: dict[str, str] | None = None) -> None:
    """A wheel of version 9999 with nothing but these files."""
    module = name.replace("-", "_")
    info = f"{module}-9999.dist-info"
    tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 9999\n"
    inside = {f"{info}/METADATA": about, f"{info}/WHEEL": tags, f"{info}/RECORD": ""}
    with zipfile.ZipFile(folder / f"{module}-9999-py3-none-any.whl", "w") as wheel:
        for path, text in {**(files or {}), **inside}.items():
            wheel.writestr(path, text)


class Desk:
    """A user with a profile, whose path is as paths of people are."""

    def __init__(self, folder: Path) -> None:
        self.profile = folder / "Böses Profil, mit Lücken"
        self.profile.mkdir()
        # Away from the checkout, whose .venv would be found.
        subprocess.run(["cp", "-r", str(PLUGINS), str(folder / "plugins")], check=True)
        self.env = {
            "SNET4_PYTHON": "",
            "HOME": str(folder),
            "QGIS_CUSTOM_CONFIG_PATH": str(self.profile),
            "QGIS_PLUGINPATH": str(folder / "plugins"),
        }
        subprocess.run(
            ["qgis_process.bin", "plugins", "enable", "snet4"],
            env={**os.environ, **self.env},
            capture_output=True,
            check=True,
        )

    def run(self, algorithm: str, env: dict[str, str] | None = None, **parameters: object) -> Any:
        return run_process(algorithm, {**self.env, **(env or {})}, limit_s=600, **parameters)

    def start(self, **parameters: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            process_arguments(INSTALL, **parameters),
            env={**os.environ, **self.env},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def place(self) -> Path:
        return self.profile / "profiles" / "default" / "snet4-engine"

    @property
    def environments(self) -> list[Path]:
        return sorted(self.place.glob("engine-*"))

    @property
    def pointer(self) -> Path:
        return self.place / "engine.json"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def works(desk: Desk) -> bool:
    return bool(desk.run("snet4:checkengine").results["WORKS"])


def until(happened: Any, limit_s: float = 120) -> None:
    end_s = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < end_s, "it never happened"
        time.sleep(0.02)


def test_an_engine_is_installed_used_refused_replaced_and_removed(
    desk: Desk, wheels: Path, scene: Path, tmp_path: Path
) -> None:
    assert not works(desk)
    done = desk.run(INSTALL, WHEELS=wheels)
    assert done.rc == 0, done.stderr
    assert done.results["INSTALLED"] is True
    assert done.results["PYTHON"].startswith(str(desk.place))
    found = desk.run("snet4:extractfootprints", INPUT=scene, OUTPUT=tmp_path / "out.gpkg")
    assert found.rc == 0, found.stderr
    assert found.results["COUNT"] > 0

    told = json.loads(desk.pointer.read_text(encoding="utf-8"))
    own = told["version"]
    for other in ("0.0.1", "7.0"):  # an older engine, and a newer one
        desk.pointer.write_text(json.dumps({**told, "version": other}), encoding="utf-8")
        refused = desk.run("snet4:extractfootprints", INPUT=scene, OUTPUT=tmp_path / "no.gpkg")
        assert refused.rc == 1
        assert f"The engine is snet4 {other}, the plugin {own}; run 'Install" in refused.stderr
    [before] = desk.environments
    env = {"SNET4_PYTHON": "/old/venv/bin/python"}  # of an engine that is gone
    done = desk.run(INSTALL, env, WHEELS=wheels)
    assert done.rc == 0
    told_warnings = json.dumps(json.loads(done.stdout)["log"])
    assert "/old/venv/bin/python, named by the environment variable" in told_warnings
    [after] = desk.environments
    assert after != before
    assert works(desk)

    done = desk.run(INSTALL, REMOVE="true")
    assert done.results["INSTALLED"] is False
    assert desk.environments == []
    assert not works(desk)


def test_a_gpu_engine_says_what_it_lacks_and_whether_there_is_a_card(
    desk: Desk, wheels: Path, tmp_path: Path
) -> None:
    """PyTorch is asked for; without a card the engine counts, and one sentence says why not."""
    # Whatever folders of wheels this machine knows beside.
    env = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "CUDA_VISIBLE_DEVICES": ""}
    done = desk.run(INSTALL, env, WHEELS=wheels, GPU="true")
    assert done.rc == 1
    lacks = r"has no wheel of (torch|segmentation-models-pytorch)>=[0-9.]+ for this Python; add it"
    assert re.search(lacks, done.stderr)
    assert desk.environments == []

    folder = tmp_path / "with torch"
    folder.mkdir()
    for wheel in wheels.glob("*.whl"):
        (folder / wheel.name).symlink_to(wheel)
    for name in ("torch", "segmentation-models-pytorch"):
        empty_wheel(folder, name)
    done = desk.run(INSTALL, env, WHEELS=folder, GPU="true")
    assert done.rc == 0, done.stderr
    command = next(line for line in done.log.splitlines() if "[openvino,torch]" in line)
    assert "--no-index --find-links" in command
    assert "pip install" in command
    # The engine here borrows its libraries, PyTorch too where this checkout has it.
    ask = "import importlib.util as u; print(u.find_spec('torch') is not None)"
    has_torch = engine("-c", ask).stdout.strip() == "True"
    says = "The device 'cuda' is not there: 0 GPUs found" if has_torch else "needs torch"
    told = json.loads(done.stdout)["log"]
    assert says in json.dumps(told)
    assert works(desk)


def test_killed_in_the_middle_it_leaves_nothing_that_counts(desk: Desk, wheels: Path) -> None:
    victim = desk.start(WHEELS=wheels)
    until(lambda: bool(desk.environments))
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    until(lambda: not _running_in(desk.place))
    assert not desk.pointer.exists()
    assert not works(desk)
    done = desk.run(INSTALL, WHEELS=wheels)
    assert done.rc == 0, done.stderr
    assert len(desk.environments) == 1  # what was half-made is gone


def test_stopped_in_the_middle_it_tidies_up(desk: Desk, wheels: Path) -> None:
    victim = desk.start(WHEELS=wheels)
    until(lambda: bool(desk.environments))
    victim.send_signal(signal.SIGINT)
    assert victim.wait(30) == 1
    assert desk.environments == []
    assert not _running_in(desk.place)


def test_two_at_once_are_one_and_a_sentence(desk: Desk, wheels: Path) -> None:
    first = desk.start(WHEELS=wheels)
    until(lambda: bool(desk.environments))
    second = desk.run(INSTALL, WHEELS=wheels)
    assert second.rc == 1
    assert "being installed or removed by another QGIS" in second.stderr
    assert first.wait(600) == 0
    assert len(desk.environments) == 1


def test_it_is_not_removed_while_a_worker_runs(desk: Desk, wheels: Path) -> None:
    assert desk.run(INSTALL, WHEELS=wheels).rc == 0
    users = desk.place / "users"
    users.mkdir(exist_ok=True)
    code = (
        "import sys; from qgis.PyQt.QtCore import QLockFile; lock = QLockFile(sys.argv[1]);"
        "lock.setStaleLockTime(0); print(lock.tryLock(0), flush=True); sys.stdin.read()"
    )
    worker = subprocess.Popen(
        ["/usr/bin/python3", "-c", code, str(users / "one.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"True\n"
    refused = desk.run(INSTALL, REMOVE="true")
    assert "The engine is at work" in refused.stderr
    assert len(desk.environments) == 1
    worker.kill()  # its lock stays behind, and is known to be nobody's
    worker.communicate()
    assert desk.run(INSTALL, REMOVE="true").rc == 0
    assert desk.environments == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("missing wheel", "has no wheel of shapely>=2.1 for this Python"),
        ("no network", "The package index cannot be reached"),
        (
            "python",
            "No Python 3.11 or newer with venv and pip is to be found (looked at: /bin/false",
        ),
    ],
)
def test_a_trouble_is_one_sentence_and_nothing_half_made(
    fault: str, says: str, desk: Desk, wheels: Path, tmp_path: Path
) -> None:
    env, parameters = {}, {"WHEELS": wheels}
    if fault == "missing wheel":
        folder = tmp_path / "fewer"
        folder.mkdir()
        for wheel in wheels.glob("*.whl"):
            if not wheel.name.startswith("shapely"):
                (folder / wheel.name).symlink_to(wheel)
        parameters["WHEELS"] = folder
    elif fault == "no network":
        parameters = {}
        env = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
        env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": ""}
    else:
        parameters["PYTHON"] = Path("/bin/false")
    done = desk.run(INSTALL, env, **parameters)
    assert done.rc == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert desk.environments == []
    assert not desk.pointer.exists()


def test_a_full_disk_is_one_sentence_and_leaves_what_was_free(desk: Desk, wheels: Path) -> None:
    alone = ["unshare", "--mount"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here; run as root")
    desk.place.mkdir(parents=True)
    script = (
        'mount -t tmpfs -o size=8m none "$1" && cd "$1" && shift && "$@"; code=$?; '
        'echo "left:" engine-* >&2; exit $code'
    )
    words = [*alone, "sh", "-c", script, "sh", str(desk.place)]
    done = subprocess.run(
        [*words, *process_arguments(INSTALL, WHEELS=wheels)],
        env={**os.environ, **desk.env},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert "The disk is full; an engine takes about 1 GB. Nothing was changed." in done.stderr
    assert "Traceback" not in done.stderr
    assert "left: engine-*" in done.stderr  # as the shell says it where there is none


def _running_in(place: Path) -> list[str]:
    """Processes that were started with this place in their words."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if str(place).encode() in words and state != "Z":
            found.append(process.name)
    return found
