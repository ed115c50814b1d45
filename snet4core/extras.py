"""Libraries that may be missing: whether they are there, loading them, and how to install them."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Any

from snet4core.errors import DependencyError

_PACKAGES = {
    "PIL": "pillow",
    "skimage": "scikit-image",
    "torch": "torch segmentation-models-pytorch",
    "segmentation_models_pytorch": "torch segmentation-models-pytorch",
}
"""Library -> the packages that bring it, where they have another name. `snet4[...]` is none of
them: an index knows it only where snet4 itself came from there."""


def how_to_install(library: str, *, anew: bool = False) -> str:
    """The command that installs a library for this very Python; `anew`: though it is there.

    An environment that uv made has no pip.
    """
    tool = f"{sys.executable} -m pip install"
    again = " --force-reinstall"
    # On the path alone: setuptools puts a finder before it, for which asking for pip means that pip
    # is about to run, and which then leaves `distutils` as it was, for good.
    if PathFinder.find_spec("pip") is None:
        tool, again = f"uv pip install -p {sys.executable}", " --reinstall"
    packages = _PACKAGES.get(library, library.replace("_", "-"))
    return f"{tool}{again if anew else ''} {packages}"


def installed(library: str) -> bool:
    """Whether a library can be found, without importing it."""
    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):  # half removed, or blocked
        return False


def loaded(library: str) -> Any:
    """Import a library.

    DependencyError says how to install it where it is missing, or cannot be loaded: because a
    system library is, or another version of it.
    """
    try:
        return import_module(library)
    except (ImportError, OSError) as problem:
        if isinstance(problem, ModuleNotFoundError) and problem.name == library:
            raise DependencyError(
                f"This needs {library}, which is not installed: {how_to_install(library)}"
            ) from problem
        reason = " ".join(str(problem).split())[:150]
        raise DependencyError(
            f"The library {library} is installed but cannot be loaded ({reason}); "
            f"install it anew: {how_to_install(library, anew=True)}"
        ) from problem
