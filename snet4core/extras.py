"""Optional libraries: whether they are installed, and how to install them."""

from __future__ import annotations

from importlib.util import find_spec

INSTALL = {
    "torch": "pip install 'snet4[torch]'",
    "openvino": "pip install 'snet4[openvino]'",
}
"""How to install a missing engine."""


def installed(library: str) -> bool:
    """Whether a library can be imported, without importing it."""
    try:
        return find_spec(library) is not None
    except (ImportError, ValueError):  # half removed, or blocked
        return False
