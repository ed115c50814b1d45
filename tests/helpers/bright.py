"""A network whose answer is known, for workers in other processes: bright is building.

It can be told to be slow, to kill its process at one window, or to belong to another version.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

from snet4core.errors import EngineError, InputError
from snet4core.jobs.executors import WorkerModel
from snet4core.look.look import Look
from snet4core.maps.maps import Maps
from snet4core.maps.runtime import RuntimeChoice
from snet4core.model.card import Architecture, Card, WindowSettings
from snet4core.model.header import Header
from snet4core.parts.work import Elsewhere
from snet4core.windows import Tile, Window

CARD = Card("bright", Architecture(), WindowSettings(32, 32))
HEADER = Header(Path("bright.safetensors"), CARD, "0" * 64)
KEY = "exact"
ELSEWHERE = Elsewhere(HEADER, KEY)


class Bright:
    """Stands where `Predictor` stands."""

    def __init__(self, model: BrightModel | None = None) -> None:
        self.header, self.key, self.guesser = HEADER, KEY, None
        self.shapers, self.together = 1, 2
        self._model = model or BrightModel()

    def maps(
        self,
        read: Callable[[Tile], tuple[NDArray[np.float32], NDArray[np.bool_]]],
        shape: tuple[int, int],
        look: Look,
        wanted: Iterable[Tile],
        lean_px: tuple[float, float] | None = None,
    ) -> Iterator[Maps]:
        for tile in wanted:
            self._model.act(tile.own)
            picture_CHW, valid_HW = read(tile)
            inside = tile.own.slices(tile.read)
            bright_HW = np.where(picture_CHW[1][inside] > 0.5, 230, 10).astype(np.uint8)
            yield Maps(tile.own, bright_HW, np.zeros_like(bright_HW), valid_HW[inside])


@dataclass(frozen=True, slots=True)
class BrightModel(WorkerModel):
    """How a worker comes by it, and what it does to its worker."""

    model: Header = HEADER
    wanted: RuntimeChoice = field(default_factory=RuntimeChoice)
    pause_s: float = 0.0
    """For each window."""
    deadly: Window | None = None
    """The window at which the process dies, each time."""
    deadly_once: Path | None = None
    """A file that is made before the process dies; then it does not die again."""
    unreadable: Window | None = None
    """The window at which the picture turns out to be broken."""
    absurd: Window | None = None
    """The window at which something happens that nobody foresaw."""

    def load(self) -> Any:
        if self.form == "other":
            raise EngineError(
                "A worker computes parts of form 0, but the run was started for form other."
            )
        return Bright(self)

    def act(self, window: Window) -> None:
        time.sleep(self.pause_s)
        if window == self.unreadable:
            raise InputError("town.tif breaks off in row 32; get it again.")
        if window == self.absurd:
            raise ZeroDivisionError("surprise")
        if window == self.deadly and not (self.deadly_once and self.deadly_once.exists()):
            if self.deadly_once:
                self.deadly_once.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def write_town(path: Path, seed: int = 1, shape: tuple[int, int] = (200, 230)) -> Path:
    """Blobs of all sizes over 4 x 4 parts."""
    rng = np.random.default_rng(seed)
    field_HW = ndimage.gaussian_filter(rng.normal(size=shape), 2.0)
    counts_HW = np.where(field_HW / field_HW.std() > 0.4, 900, 300).astype(np.uint16)
    with rasterio.open(
        path, "w", driver="GTiff", count=4, height=shape[0], width=shape[1], dtype="uint16",
        crs="EPSG:32616", transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000),
    ) as file:  # fmt: skip
        file.write(np.stack([counts_HW] * 4))
    return path
