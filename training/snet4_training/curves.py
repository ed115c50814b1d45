"""Curves for TensorBoard, where a recipe asks for them: `train.tensorboard = true`.

A run that is resumed goes on in the same curves: what was drawn after the checkpoint that it
goes on from is taken back.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from snet4core.errors import DependencyError

FOLDER = "tensorboard"
"""In the run's folder."""


def require() -> None:
    """Raise `DependencyError` where tensorboard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise DependencyError(
            "train.tensorboard needs the package tensorboard; install it with "
            "pip install 'snet4[train]', or leave that key out."
        )


class Curves:
    """The event files of a run."""

    def __init__(self, out: Path, step: int) -> None:
        """Go on after `step` in the folder of the run `out`; 0 for a new run."""
        require()
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(out / FOLDER), purge_step=step + 1 if step else None)

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """One more point of each curve; names before a slash are groups."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        # A run may be killed at any moment.
        self._writer.flush()

    def picture(self, step: int, name: str, picture: Image.Image) -> None:
        """A picture (RGB) at a step."""
        self._writer.add_image(name, np.asarray(picture), step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
