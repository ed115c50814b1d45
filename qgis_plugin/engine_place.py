"""Where the installed engine lies, and the steps that make one. Standard library alone.

    place/engine.json       names the one environment that counts; written last, in one move
    place/engine-XXXXXXXX/  an environment
    place/users/            a lock file for every worker that runs

An environment knows its own path, so it cannot be made elsewhere and moved in. It is made under a
name that nothing points to; whatever ends the work in the middle, the engine of before goes on
to count, and the next installation or removal sweeps the rest away.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

OLDEST = (3, 11)
"""Oldest Python that the engine runs on."""

NEWEST = (3, 13)
"""Newest one for which every library of the engine has wheels; newer ones come last."""

CUDA_INDEX = "https://download.pytorch.org/whl/cu128"
"""Where PyTorch with CUDA lies for Windows."""

_POINTER = "engine.json"
_PREFIX = "engine-"
_PROBE = "import sys, venv, ensurepip; print('python', sys.version_info[0], sys.version_info[1])"
RUNNER = Path(__file__).resolve().with_name("step_runner.py")


class Installed(NamedTuple):
    """The engine that counts."""

    folder: Path
    """Its environment."""
    version: str
    """Of snet4 in it."""


class Step(NamedTuple):
    """One program of an installation."""

    program: str
    arguments: list[str]
    until_percent: int
    """Progress when it is done."""


def installed(place: Path) -> Installed | None:
    """What the pointer names, if its folder is there."""
    try:
        told = json.loads((place / _POINTER).read_text(encoding="utf-8"))
        folder, version = place / str(told["folder"]), str(told["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    inside = folder.parent == place and folder.name.startswith(_PREFIX)
    return Installed(folder, version) if inside and folder.is_dir() else None


def new_folder(place: Path) -> Path:
    """A name for an environment that nothing points to yet."""
    return place / f"{_PREFIX}{uuid.uuid4().hex[:8]}"


def commit(place: Path, folder: Path, version: str) -> None:
    """Let `folder` be the engine, in one move. Raises OSError."""
    temporary = place / f".{_POINTER}.{uuid.uuid4().hex[:8]}"
    try:
        temporary.write_text(json.dumps({"folder": folder.name, "version": version}), "utf-8")
        temporary.replace(place / _POINTER)
    finally:
        temporary.unlink(missing_ok=True)


def forget(place: Path) -> None:
    """Let no engine count. Raises OSError."""
    (place / _POINTER).unlink(missing_ok=True)


def sweep(place: Path) -> None:
    """Remove every environment that does not count."""
    kept = installed(place)
    for folder in place.glob(f"{_PREFIX}*"):
        if kept is None or folder != kept.folder:
            shutil.rmtree(folder, ignore_errors=True)
    for temporary in place.glob(f".{_POINTER}.*"):
        temporary.unlink(missing_ok=True)


def python_in(folder: Path, windows: bool = os.name == "nt") -> str:
    """The interpreter of an environment."""
    return str(folder / ("Scripts/python.exe" if windows else "bin/python"))


def candidates(prefix: Path, path: str | None, windows: bool = os.name == "nt") -> list[str]:
    """Interpreters that may do: QGIS's own, then the system's.

    `prefix` is that of QGIS's Python, `path` the search path (None: the process's).
    """
    own = ["python.exe", "python3.exe"] if windows else ["bin/python3"]
    found = [str(prefix / name) for name in own if (prefix / name).is_file()]
    for name in ("python3", "python3.13", "python3.12", "python3.11", "python3.14", "python"):
        there = shutil.which(name, path=path)
        if there is not None:
            found.append(there)
    return list(dict.fromkeys(found))


def probe(python: str) -> Step:
    """Asks an interpreter for its version, and whether it can make environments."""
    return Step(python, ["-I", "-c", _PROBE], 0)


def version_of(said: str) -> tuple[int, int] | None:
    """The answer to `probe`: None where it cannot be used."""
    for line in said.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "python" and words[1].isdigit() and words[2].isdigit():
            version = int(words[1]), int(words[2])
            return version if version >= OLDEST else None
    return None


def best(versions: Iterable[tuple[str, tuple[int, int] | None]]) -> str | None:
    """The first that every library has wheels for; else the first that is new enough."""
    fit = [(python, version) for python, version in versions if version is not None]
    common = [python for python, version in fit if version <= NEWEST]
    return next(iter([*common, *(python for python, _ in fit)]), None)


def steps(
    folder: Path, wheel: Path, *, python: str, wheels: str | None, gpu: bool = False
) -> list[Step]:
    """The programs that make an engine in `folder`.

    With `wheels`, a folder, nothing is asked of a network. `gpu` adds PyTorch.
    """
    inner = python_in(folder)
    offline = ["--no-index", "--find-links", wheels] if wheels else []
    first = Step(python, ["-I", str(RUNNER), "venv", str(folder)], 15)
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    # Nothing is compiled: a library without a wheel is said by its name, in seconds.
    options += ["--only-binary", ":all:", *offline]
    if gpu and not wheels and os.name == "nt":
        # The common index has PyTorch for Windows without CUDA alone.
        options += ["--extra-index-url", CUDA_INDEX]
    extras = "openvino,torch" if gpu else "openvino"
    install = ["-I", str(RUNNER), "pip", "install", *options, f"{wheel}[{extras}]"]
    return [first, Step(inner, install, 95)]


_LEAST_FREE_BYTES = 50_000_000
"""With less left after a step failed, the disk was the reason: a failed step takes some back."""


def is_full(place: Path) -> bool:
    """Whether the disk has no room for an engine; not every step says that it failed for this."""
    return shutil.disk_usage(place).free < _LEAST_FREE_BYTES


def trouble(said: str) -> tuple[str, str]:
    """What went wrong, from what the step said: ("disk" | "network" | "wheel" | "venv" | "", what).

    >>> trouble("ERROR: No matching distribution found for fiona>=1.10")
    ('wheel', 'fiona>=1.10')
    >>> trouble('ERROR: No matching distribution found for torch>=2.10; extra == "torch"')
    ('wheel', 'torch>=2.10')
    """
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if any("No space left on device" in line or "[Errno 28]" in line for line in lines):
        return "disk", ""
    signs = ("NewConnectionError", "NameResolutionError", "ProxyError", "ConnectTimeout")
    signs += ("Connection refused", "timed out", "SSLError", "Network is unreachable")
    signs += ("dns error", "error sending request")  # uv's words
    if any(sign in line for line in lines for sign in signs):
        return "network", ""
    for line in lines:
        _, found, what = line.partition("No matching distribution found for ")
        if found:
            return "wheel", what.split(" (")[0].split(";")[0]
    if any("ensurepip is not available" in line for line in lines):
        return "venv", ""
    return "", lines[-1][:200] if lines else ""
