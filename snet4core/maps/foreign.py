"""What maps of other programs seem to hold instead of probabilities: classes, percents, a softmax.

Whoever polygonizes them is warned, with the command that makes probabilities of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from snet4core.maps.file import MapsFile, MapsOrigin
from snet4core.scene.ranges import spread
from snet4core.scene.reader import SceneReader
from snet4core.windows import blocks

_WINDOWS, _WINDOW_PX = 64, 512
"""So many windows are looked at, spread over the file."""

_SUM_OFF, _SUM_SHARE = 0.02, 0.99
"""Two bands are a softmax if they add up to 1, this closely, in this share of the pixels."""


def doubts(file: MapsFile) -> tuple[str, ...]:
    """Warnings about a file of maps; none for those that snet4 wrote."""
    return () if file.origin != MapsOrigin() else tuple(_doubts(file))


def _doubts(file: MapsFile) -> Iterator[str]:
    name = file.scene.admitted.shown
    lowest, highest, softmax = np.inf, -np.inf, True
    for counts_BN in _sample(file):
        lowest = min(lowest, counts_BN[0].min())
        highest = max(highest, counts_BN[0].max())
        if softmax:
            sums = counts_BN.sum(axis=0, dtype=np.float64) / file.full_scale
            softmax = bool((np.abs(sums - 1) < _SUM_OFF).mean() >= _SUM_SHARE)
    if softmax and None not in file.scene.bands.file_bands and highest >= lowest:  # of any pixels
        yield (
            f"{name}: its two bands add up to 1 everywhere, as those of background and building "
            "do; the first is taken for buildings and the second for borders. If the second are "
            "the buildings, use 'gdal_translate -b 2 IN OUT'."
        )
    elif highest == 0 and file.scene.nodata.values[0]:
        yield (
            f"{name} holds 0 alone, and elsewhere its no-data value "
            f"{file.scene.nodata.values[0]:g}; "
            "if that are the buildings, take it away with 'gdal_translate -a_nodata none IN OUT'."
        )
    elif file.full_scale == 255 and 1 < highest <= 100:
        low, high = (0, 100) if highest > 10 else (lowest, highest)
        kind = "percents" if highest > 10 else "classes"
        yield (
            f"{name} holds {lowest:g} to {highest:g} of 0..255, as {kind} do; where these are, "
            f"scale them with 'gdal_translate -scale {low:g} {high:g} 0 255 IN OUT'."
        )


def _sample(file: MapsFile) -> Iterator[Any]:
    """Counts (2, N) of the valid pixels of windows spread over the file, never of none."""
    windows = list(blocks(file.grid.shape, _WINDOW_PX))
    with SceneReader(file.scene) as reader:
        for index in islice(spread(len(windows)), _WINDOWS):
            counts_BHW, valid_HW = reader.read(windows[index])
            if valid_HW.any():
                yield counts_BHW[:, valid_HW]
