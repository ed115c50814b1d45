"""A Python that uv brings for the engine, from a folder that stands for the mirror: no network."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from qgis_plugin import engine_place, uv_python

RELEASE = "20990101"
GITHUB = "https://github.com/astral-sh/python-build-standalone/releases/download"
VERSION = ".".join(map(str, sys.version_info[:3]))


def uv() -> str:
    program = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(program).is_file():
        pytest.skip("SKIPPED: uv is not installed here (pip install uv)")
    return program


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels with this machine's Python in it, packed as the mirror packs its own."""
    folder = tmp_path_factory.mktemp("Räder und mehr")
    prefix = Path(sys.base_prefix)
    if not (prefix / "bin" / "python3").exists() or prefix == Path("/usr"):
        pytest.skip("SKIPPED: this machine's Python is not in a folder of its own")
    library = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}"
    dropped = {"site-packages", "test", "__pycache__", "idlelib", "tkinter"}

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if dropped & {*Path(entry.name).parts} else entry

    name = f"cpython-{VERSION}+{RELEASE}-{platform.machine()}-unknown-linux-gnu-install_only.tar.gz"
    (folder / RELEASE).mkdir()
    with tarfile.open(folder / RELEASE / name, "w:gz", compresslevel=1) as archive:
        binary = f"bin/python{sys.version_info[0]}.{sys.version_info[1]}"
        archive.add(prefix / binary, f"python/{binary}")
        link = tarfile.TarInfo("python/bin/python3")
        link.type, link.linkname = tarfile.SYMTYPE, Path(binary).name
        archive.addfile(link)
        archive.add(prefix / library, f"python/{library}", filter=kept)
        for shared in prefix.glob("lib/libpython*.so*"):
            archive.add(shared, f"python/lib/{shared.name}")
    major, minor, patch = sys.version_info[:3]
    # uv knows by heart what the mirror has, with digests; ours is told to it.
    known = {
        f"cpython-{VERSION}-linux-{platform.machine()}-gnu": {
            "name": "cpython", "arch": {"family": platform.machine(), "variant": None},
            "os": "linux", "libc": "gnu", "major": major, "minor": minor, "patch": patch,
            "prerelease": "", "url": f"{GITHUB}/{RELEASE}/{name.replace('+', '%2B')}",
            "sha256": None, "variant": None, "build": RELEASE,
        }
    }  # fmt: skip
    (folder / "downloads.json").write_text(json.dumps(known), encoding="utf-8")
    return folder


def done(step: engine_place.Step, **more: str) -> subprocess.CompletedProcess[str]:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [step.program, *step.arguments],
        stdin=subprocess.PIPE if step.program == sys.executable else None,
        capture_output=True,
        text=True,
        env={**plain, "UV_NO_CONFIG": "1", **more},
        timeout=300,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the archive is of this kind of system")
def test_a_python_from_the_mirror_makes_an_environment(mirror: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Böses Profil" / "engine-1"
    told = {
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(mirror / "downloads.json"),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }
    brought = done(uv_python.python_step(uv(), folder, str(mirror)), **told)
    assert brought.returncode == 0, brought.stderr
    python = uv_python.python_in(folder)
    assert python is not None
    assert Path(python).is_relative_to(folder)  # goes when the engine goes
    asked = subprocess.run([python, *engine_place.probe(python)[1]], capture_output=True, text=True)
    assert engine_place.version_of(asked.stdout) == sys.version_info[:2], asked.stderr
    first, _ = engine_place.steps(folder, Path("w"), python=python, wheels=None)
    subprocess.run([first.program, "-I", "-m", "venv", str(folder)], check=True)
    inner = engine_place.python_in(folder)
    said = subprocess.run(
        [inner, "-I", "-c", "import ssl, sqlite3, pip, sys; print(sys.prefix)"],
        capture_output=True,
        text=True,
    )
    assert said.stdout.strip() == str(folder), said.stderr


def test_a_mirror_without_it_is_an_error_that_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    failed = done(
        uv_python.python_step(uv(), tmp_path / "e", str(empty)),
        UV_CACHE_DIR=str(tmp_path / "cache"),
    )
    assert failed.returncode != 0
    assert uv_python.python_in(tmp_path / "e") is None
    assert engine_place.trouble(failed.stdout + failed.stderr)[1]


def test_uv_itself_comes_from_a_folder_of_wheels(tmp_path: Path) -> None:
    wheels, folder = tmp_path / "wheels", tmp_path / "engine-1"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "uv-9999-py3-none-any.whl", "w") as wheel:
        script = zipfile.ZipInfo("uv-9999.data/scripts/uv")
        script.external_attr = 0o100755 << 16
        wheel.writestr(script, "#!/bin/sh\nexit 7\n")
        info = "uv-9999.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: uv\nVersion: 9999\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    step = uv_python.tool_step(sys.executable, folder, str(wheels))
    assert "--no-index" in step.arguments
    # The lifeline of the step's runner is stdin: held open while pip works.
    with subprocess.Popen(
        [step.program, *step.arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.wait(120) == 0, process.stdout and process.stdout.read()
    program = uv_python.tool_in(folder)
    assert program is not None
    if os.name != "nt":
        assert subprocess.run([program]).returncode == 7
    assert uv_python.tool_in(tmp_path / "elsewhere") is None


def test_without_a_folder_the_index_of_the_user_is_asked(tmp_path: Path) -> None:
    tool = uv_python.tool_step("py", tmp_path, None)
    python = uv_python.python_step("uv", tmp_path, None)
    assert "--no-index" not in tool.arguments
    assert "--index-url" not in tool.arguments
    assert "--mirror" not in python.arguments
    assert ">=3.11,<3.14" in python.arguments
