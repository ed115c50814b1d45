"""How long a run may take, from the runs before it. Standard library alone.

A run costs a start (loading the network, writing the layer) and a share for each megapixel:
seconds = start + rate * megapixels. Both are fitted to all runs that are remembered, as ratios,
so that a run of a second counts as much as one of an hour. Where the runs leave one of the two
open, it stays near what is common.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

START_S = 5.0
"""Common cost of a start."""

_PULL = 0.1
"""Weight of what is common beside the weight 1 of a run."""

_KEPT_PER_SIZE = 3
"""Runs that are remembered for each doubling of size: many small ones push no large one out."""

_STEPS = 9


class Run(NamedTuple):
    """A run that ended well."""

    megapixels: float
    """Size of what the network read, above 0."""
    seconds: float
    """From the user's "Run" to the layer, above 0."""


def estimate_s(megapixels: float, runs: Sequence[Run], common_rate_s: float) -> float:
    """Seconds that `megapixels` may take.

    `common_rate_s` is the cost of a megapixel on common machines, in seconds.

    >>> round(estimate_s(10, [], 2.0))
    25
    """
    best = (math.log(START_S), math.log(max(common_rate_s, 1e-4)))
    common, span = best, math.log(100)
    while runs and span > 0.01:
        places = [(step / (_STEPS - 1) * 2 - 1) * span for step in range(_STEPS)]
        tried = [(best[0] + start, best[1] + rate) for start in places for rate in places]
        best = min(tried, key=lambda each: _misfit(each, runs, common))
        span /= 2
    return math.exp(best[0]) + math.exp(best[1]) * megapixels


def _misfit(logs: tuple[float, float], runs: Sequence[Run], common: tuple[float, float]) -> float:
    start_s, rate_s = map(math.exp, logs)
    off = _PULL * sum((logs[each] - common[each]) ** 2 for each in (0, 1))
    for run in runs:
        off += math.log((start_s + rate_s * run.megapixels) / run.seconds) ** 2
    return off


def remembered(runs: Sequence[Run], new: Run) -> list[Run]:
    """The runs with `new` at the end, without the oldest of its size."""
    if not (new.megapixels > 0 and new.seconds > 0):
        return list(runs)
    same = [index for index, run in enumerate(runs) if _size(run) == _size(new)]
    dropped = set(same[: max(0, len(same) - _KEPT_PER_SIZE + 1)])
    return [run for index, run in enumerate(runs) if index not in dropped] + [new]


def _size(run: Run) -> int:
    return round(math.log2(run.megapixels))


def to_text(runs: Sequence[Run]) -> str:
    """For the settings."""
    return json.dumps([[round(run.megapixels, 4), round(run.seconds, 2)] for run in runs])


def from_text(text: str) -> list[Run]:
    """What `to_text` wrote; settings that were damaged hold no runs."""
    try:
        runs = [Run(float(megapixels), float(seconds)) for megapixels, seconds in json.loads(text)]
    except (TypeError, ValueError):
        return []
    return [run for run in runs if run.megapixels > 0 and run.seconds > 0]
