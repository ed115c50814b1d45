"""Stands in for the network where only the processes that shape are of interest.

Maps come at once, and two processes shape every part, as on machines with many cores or a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

_PAUSE_S = 0.5
"""For each window, so that a run lasts longer than the seconds in question."""


def install() -> None:
    """Take the network's place in this process."""
    from snet4core.maps import runtime
    from snet4core.parts import shaping_pool, work

    runtime.shapers_for = lambda *_: 2
    shaping_pool.FEW_PARTS = 0
    work.maps_of = _maps


def _maps(plan: Any, predictor: Any, wanted: Iterable[Any], ranges: Any) -> Iterator[Any]:
    import numpy as np
    from scipy import ndimage

    from snet4core.maps.maps import Maps

    rng = np.random.default_rng(1)
    for tile in wanted:
        noise_HW = ndimage.gaussian_filter(rng.normal(size=tile.own.shape), 4.0)
        found_HW = np.where(noise_HW > noise_HW.std(), 230, 10).astype(np.uint8)
        valid_HW = np.ones(tile.own.shape, np.bool_)
        yield Maps(tile.own, found_HW, np.zeros_like(found_HW), valid_HW)
        time.sleep(_PAUSE_S)
