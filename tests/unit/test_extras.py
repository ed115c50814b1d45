"""Libraries that are missing, broken, or without pip to install them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from snet4core import extras
from snet4core.errors import DependencyError
from snet4core.files.outputs import driver_errors


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module `feathers`, found first on the path and empty so far."""
    path = tmp_path / "feathers.py"
    path.touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "feathers", raising=False)
    return path


def test_a_library_is_loaded(library: Path) -> None:
    library.write_text("colour = 'white'")
    assert extras.loaded("feathers").colour == "white"


@pytest.mark.parametrize(
    "raising",
    [
        "raise ImportError('libX.so.1: cannot open shared object file')",
        "raise OSError('libX.so.1: the\\n   DLL was not found')",
        "import what_it_needs_itself",
    ],
)
def test_a_library_that_cannot_be_loaded_is_installed_anew(library: Path, raising: str) -> None:
    library.write_text(raising)
    with pytest.raises(DependencyError, match="is installed but cannot be loaded") as caught:
        extras.loaded("feathers")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("install --force-reinstall feathers")


def test_one_that_is_missing_is_installed() -> None:
    with pytest.raises(DependencyError) as caught:
        extras.loaded("no_plumes")
    assert str(caught.value) == (
        f"This needs no_plumes, which is not installed: {sys.executable} -m pip install no-plumes"
    )


def test_an_environment_without_pip_is_told_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.PathFinder, "find_spec", lambda library: None)
    assert extras.how_to_install("skimage") == f"uv pip install -p {sys.executable} scikit-image"
    assert " --reinstall " in extras.how_to_install("openvino", anew=True)


def test_a_missing_driver_is_not_the_disks_fault() -> None:
    with pytest.raises(ImportError), driver_errors("FlatGeobuf"):
        import feathers_driver  # type: ignore[import-not-found]  # noqa: F401  # there is none


def test_asking_for_pip_leaves_setuptools_as_it_is() -> None:
    """Its finder takes whoever looks for pip for pip itself, and no longer replaces distutils."""
    pytest.importorskip("setuptools")
    script = (
        "from snet4core.extras import how_to_install; how_to_install('numpy'); import setuptools"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
