"""A Python that `uv` brings, where there is none that the engine runs on. Standard library alone.

`uv` is taken from the path, or installed from its wheel by any Python that has pip. It and the
Python lie in the environment's own folder, so that whatever removes an engine removes them too.
"""

from __future__ import annotations

from pathlib import Path

from .engine_place import NEWEST, OLDEST, RUNNER, Step

WORD = "uv"
"""Value of PYTHON that asks for a Python that uv brings."""

_TOOL = "uv"
_PYTHON = "python"


def tool_step(python: str, folder: Path, wheels: str | None) -> Step:
    """Installs uv into `folder`, by any Python with pip, from the index or a folder of wheels."""
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    options += ["--only-binary", ":all:", "--target", str(folder / _TOOL)]
    options += ["--no-index", "--find-links", wheels] if wheels else []
    return Step(python, ["-I", str(RUNNER), "pip", "install", *options, "uv"], 3)


def tool_in(folder: Path) -> str | None:
    """The program that `tool_step` installed; None where it did not."""
    for name in ("bin/uv", "bin/uv.exe", "Scripts/uv.exe"):
        program = folder / _TOOL / name
        if program.is_file():
            return str(program)
    return None


def python_step(uv: str, folder: Path, wheels: str | None) -> Step:
    """Lets uv put a Python into `folder`, one that every library has wheels for.

    With `wheels`, it comes from there, as WHEELS/RELEASE/cpython-....tar.gz: the places of a mirror
    of https://github.com/astral-sh/python-build-standalone.
    """
    (first, second), (third, fourth) = OLDEST, NEWEST
    wanted = f">={first}.{second},<{third}.{fourth + 1}"
    arguments = ["python", "install", wanted, "--install-dir", str(folder / _PYTHON)]
    arguments += ["--no-bin", "--no-registry", "--no-progress"]
    arguments += ["--mirror", Path(wheels).absolute().as_uri()] if wheels else []
    return Step(uv, arguments, 10)


def python_in(folder: Path) -> str | None:
    """The interpreter that `python_step` brought; None where it did not."""
    for pattern in ("cpython-*/bin/python3", "cpython-*/python.exe"):
        for program in sorted((folder / _PYTHON).glob(pattern)):
            return str(program)
    return None
