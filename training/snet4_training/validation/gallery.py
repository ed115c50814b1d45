"""Draws validation chips with true and found outlines and the footprint map.

One sheet per validation, a row for each source and look category. From left to right, for
each chip: the picture with the true outlines, the picture with those that were found, and the
footprint probability (black 0, white 1) under the true outlines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snet4_training.chips.sources import CATEGORY_CHIPS
from snet4_training.pictures.picture import VISIBLE, Chip
from snet4_training.validation.validate import Judged
from snet4core.errors import OutputError
from snet4core.files import outputs
from snet4core.scene.preview import FOUND_COLOUR, TRUTH_COLOUR, Panel, natural_colours, sheet

PANEL_PX = 320
"""Width of a panel: a chip of 320 pixels as it is."""

_SHOWN = VISIBLE[::-1]
"""In the order of `preview.natural_colours`."""


@dataclass(slots=True)
class Gallery:
    """Selects the chips to draw: some with buildings of each source and category, from several
    places."""

    bands: tuple[str, ...]
    """Bands of the chips, in order."""
    each: int
    """Number of chips of each source and category; 0: none."""
    _kept: dict[str, dict[int, Judged]] = field(default_factory=dict)
    """By `source/category`, then by the chip's rank: the lowest ones are shown."""
    _seen: dict[str, int] = field(default_factory=dict)
    """How many came, by `source/category`."""

    def passing(self, chips: Iterable[Judged]) -> Iterator[Judged]:
        """Yield the chips unchanged and keep those to draw, the same at every validation."""
        for one in chips:
            kept, number = self._kept.setdefault(one.name, {}), self._seen.get(one.name, 0)
            self._seen[one.name] = number + 1
            if len(one.truth):
                kept[rank(number)] = one
                for worst in sorted(kept)[self.each :]:
                    del kept[worst]
            yield one

    def chosen(self) -> dict[str, list[Judged]]:
        """The chips to draw, by `source/category`, without empty ones."""
        return {
            name: [one for _, one in sorted(kept.items())]
            for name, kept in sorted(self._kept.items())
            if kept
        }

    def drawn(self) -> Image.Image | None:
        """The sheet of panels; None without chips."""
        rows = [
            [panel for one in kept for panel in panels(one, self.bands)]
            for kept in self.chosen().values()
        ]
        return sheet(rows, PANEL_PX) if rows else None


def rank(number: int) -> int:
    """Sort key of a chip to draw: the first of each chunk, then the second ...

    The chips of a chunk are of one or two places.

    >>> sorted(range(20), key=rank)[:4]
    [0, 8, 16, 1]
    """
    chunk, place = divmod(number, CATEGORY_CHIPS)
    return place * 1_000_000 + chunk


def panels(one: Judged, bands: tuple[str, ...]) -> list[Panel]:
    """The three panels of a chip, with titles that fit above them."""
    valid_HW = one.chip.valid_HW > 0
    colours = natural_colours(visible(one.chip, bands), valid_HW)
    grey_HW = np.where(valid_HW, one.maps.footprint_HW, 0).astype(np.uint8)
    share = np.repeat(grey_HW[..., None], 3, axis=2)
    counts = one.counts
    title = f"{one.name} {one.chip.look.off_nadir_deg:.0f}°"
    found = f"{counts.tp} right, {counts.fp} wrong, {counts.fn} missed"
    return [
        Panel(title, colours, one.truth, TRUTH_COLOUR),
        Panel(found, colours, one.found, FOUND_COLOUR),
        Panel("footprint probability", share, one.truth, TRUTH_COLOUR),
    ]


def visible(chip: Chip, bands: tuple[str, ...]) -> NDArray[np.uint8]:
    """Blue, green, red (3, H, W) of a chip; if one is unknown, the first known band three times."""
    numbers = [bands.index(name) for name in _SHOWN if name in bands]
    if len(numbers) < len(_SHOWN) or not all(chip.known[number] for number in numbers):
        numbers = [chip.known.index(True)] * 3
    return chip.counts_BHW[numbers]


def keep(picture: Image.Image, folder: Path, step: int) -> Path:
    """Write the sheet of a step as PNG, atomically; raises `OutputError`."""
    path = folder / f"step-{step:06d}.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputError(f"{folder} cannot be made ({problem.strerror}).") from problem
    with outputs.replacing(path) as (temporary,):
        picture.save(temporary)
    return path
