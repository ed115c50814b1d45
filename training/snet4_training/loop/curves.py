"""Writes TensorBoard event files, with `train.tensorboard = true`.

A resumed run continues the same curves; points after the checkpoint that it resumes from are
purged.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from snet4core.errors import DependencyError
from snet4core.extras import how_to_install

FOLDER = "tensorboard"
"""In the run's folder."""


def require() -> None:
    """Raise `DependencyError` where tensorboard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise DependencyError(
            "train.tensorboard needs the package tensorboard; leave that key out, or run: "
            f"{how_to_install('tensorboard')}"
        )


class Curves:
    """The event files of a run."""

    def __init__(self, out: Path, step: int) -> None:
        """Continue after `step` in the folder of the run `out`; 0 for a new run."""
        require()
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(out / FOLDER), purge_step=step + 1 if step else None)

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to each curve; the part of a name before a slash is its group."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        # A run may be killed at any moment.
        self._writer.flush()

    def picture(self, step: int, name: str, picture: Image.Image) -> None:
        """Add an RGB picture at a step."""
        self._writer.add_image(name, np.asarray(picture), step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
