"""Reads the weights of a model file without torch, and their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from snet4core.errors import ModelError


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All tensors of a file by their names; ModelError if they cannot be read."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (SafetensorError, OSError, ValueError, TypeError) as problem:
        raise ModelError(f"{path}: the weights cannot be read ({problem}).") from problem


def digest_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """sha256 over names, types, shapes and values, in the order of names; that of `weights`."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = arrays[name]
        digest.update(f"{name} torch.{value.dtype} {value.shape};".encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
