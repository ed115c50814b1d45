"""Optional libraries: whether they are installed, and how to install them."""

from __future__ import annotations

import sys
from importlib.util import find_spec

_PIP = f"{sys.executable} -m pip install"
INSTALL = {
    "torch": f"{_PIP} torch segmentation-models-pytorch",
    "openvino": f"{_PIP} openvino",
}
"""How to install a missing engine, wherever snet4 itself came from."""


def installed(library: str) -> bool:
    """Whether a library can be imported, without importing it."""
    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):  # half removed, or blocked
        return False
