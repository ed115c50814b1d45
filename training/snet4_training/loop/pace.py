"""Measures mean loss and data-loading time of the latest steps."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

_Step = TypeVar("_Step")


@dataclass(frozen=True, slots=True)
class Lately:
    """Mean loss and waiting time of the steps since the last report."""

    loss: float
    """Mean loss."""
    waiting: float
    """Share of the time, 0..1, that the network waited for its next batch. Well above 0 means:
    more `train.loaders`, or a store on a faster disk."""


class Pace:
    """Accumulates the losses and loading times of steps."""

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._waited_s, self._since = 0.0, time.monotonic()

    def watched(self, batches: Iterable[_Step]) -> Iterator[_Step]:
        """Yield the batches unchanged and measure how long each took to arrive."""
        coming = iter(batches)
        while True:
            asked = time.monotonic()
            try:
                batch = next(coming)
            except StopIteration:
                return
            self._waited_s += time.monotonic() - asked
            yield batch

    def add(self, loss: float) -> None:
        """Count one more step with its loss."""
        self._losses.append(loss)

    def lately(self) -> Lately:
        """The figures of the steps since the last call, of which there must be one at least."""
        now = time.monotonic()
        passed_s = max(now - self._since, 1e-9)
        report = Lately(sum(self._losses) / len(self._losses), min(1.0, self._waited_s / passed_s))
        self._losses.clear()
        self._waited_s, self._since = 0.0, now
        return report
