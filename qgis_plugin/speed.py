"""How long a run may take, from the runs before it. Standard library alone.

A run costs a start (of the engine's process, and filling the layer) and its work, which the engine
measures. The start is the middle of the starts before. Of the work, a part is fixed (loading the
network) and a part is for each megapixel; both are fitted to all runs that are remembered, as
ratios, so that a run of a second counts as much as one of an hour. A small run tells of the fixed
part alone and a large one of the megapixels alone: what runs leave open is as much slower or
faster than common as the rest.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

START_S = 2.0
"""Common cost of a start."""

FIXED_S = 3.0
"""Common part of the work that does not grow with the picture."""

_PULL = 0.05
"""Weight of the common speed beside the weight 1 of a run's work."""

_PULL_OF_RATIO = 0.5
"""The same of the common ratio between the work's two parts."""

_PULL_OF_START = 0.5
"""The same of a start: the first after a boot reads everything from the disk."""

_KEPT_PER_SIZE = 3
"""Runs that are remembered for each doubling of size: many small ones push no large one out."""

_STEPS = 9


class Run(NamedTuple):
    """A run that ended well."""

    megapixels: float
    """Size of what the network read, above 0."""
    start_s: float
    """From the user's "Run" to the layer, without the work; above 0."""
    work_s: float
    """What reading, network and shapes took, above 0."""


def estimate_s(megapixels: float, runs: Sequence[Run], common_rate_s: float) -> float:
    """Seconds that `megapixels` may take.

    `common_rate_s` is the cost of a megapixel on common machines, in seconds.

    >>> round(estimate_s(10, [], 2.0))
    25
    """
    return _start_s(runs) + _work_s(megapixels, runs, common_rate_s)


def _start_s(runs: Sequence[Run]) -> float:
    """The middle of the starts, drawn to the common one by few runs."""
    if not runs:
        return START_S
    middle = statistics.median(math.log(run.start_s) for run in runs)
    share = len(runs) / (len(runs) + _PULL_OF_START)
    return math.exp(share * middle + (1 - share) * math.log(START_S))


def _work_s(megapixels: float, runs: Sequence[Run], common_rate_s: float) -> float:
    """fixed + rate * megapixels, as they fit the runs best; searched on a grid that narrows."""
    best = (math.log(FIXED_S), math.log(max(common_rate_s, 1e-4)))
    common, span = best, math.log(100)
    while runs and span > 0.01:
        places = [(step / (_STEPS - 1) * 2 - 1) * span for step in range(_STEPS)]
        tried = [(best[0] + fixed, best[1] + rate) for fixed in places for rate in places]
        best = min(tried, key=lambda each: _misfit(each, runs, common))
        span /= 2
    return math.exp(best[0]) + math.exp(best[1]) * megapixels


def _misfit(logs: tuple[float, float], runs: Sequence[Run], common: tuple[float, float]) -> float:
    fixed_s, rate_s = map(math.exp, logs)
    off_fixed, off_rate = logs[0] - common[0], logs[1] - common[1]
    off = _PULL_OF_RATIO * (off_fixed - off_rate) ** 2 + _PULL * (off_fixed + off_rate) ** 2
    for run in runs:
        ratio = math.log((fixed_s + rate_s * run.megapixels) / run.work_s)
        off += 0.5 * math.log1p(4 * ratio * ratio)  # one run beside a busy program counts less
    return off


def remembered(runs: Sequence[Run], new: Run) -> list[Run]:
    """The runs with `new` at the end, without the oldest of its size."""
    if not all(value > 0 for value in new):
        return list(runs)
    same = [index for index, run in enumerate(runs) if _size(run) == _size(new)]
    dropped = set(same[: max(0, len(same) - _KEPT_PER_SIZE + 1)])
    return [run for index, run in enumerate(runs) if index not in dropped] + [new]


def _size(run: Run) -> int:
    return round(math.log2(run.megapixels))


def to_text(runs: Sequence[Run]) -> str:
    """For the settings."""
    return json.dumps([[round(value, 4) for value in run] for run in runs])


def from_text(text: str) -> list[Run]:
    """What `to_text` wrote; settings that were damaged, or are older, hold no runs."""
    try:
        runs = [Run(*map(float, values)) for values in json.loads(text)]
    except (TypeError, ValueError):
        return []
    return [run for run in runs if all(value > 0 for value in run)]
