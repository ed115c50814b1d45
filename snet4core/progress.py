"""The protocol by which a long job reports progress and checks for cancellation.

The command line's bar and QGIS's feedback are two small adapters of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, Self

from snet4core.errors import Cancelled


class Progress(Protocol):
    """Receives a report after each piece of work, and is asked before the next one."""

    def step(self, done: float, total: float, what: str) -> None:
        """`done` of `total` units of `what` are finished; `done` never goes back."""

    def cancelled(self) -> bool:
        """Whether the user wants the job to stop."""


class Step(str):
    """What a step is of, with the unit that it is counted in. As a `str`, the name alone.

    A plain `str` is its own unit: `progress.step(3, 10, "tiles")`.

    >>> step = Step("town.tif", "MPix")
    >>> step, unit_of(step), unit_of("tiles")
    ('town.tif', 'MPix', 'tiles')
    """

    unit: str
    """The unit of `done` and `total`."""

    def __new__(cls, name: str, unit: str) -> Self:
        self = super().__new__(cls, name)
        self.unit = unit
        return self


def unit_of(what: str) -> str:
    """The unit of a step."""
    return what.unit if isinstance(what, Step) else what


class Pace:
    """Estimates the time left from the reports of one step.

    The rate is that of the last half of the time since the first report. What a resumed job
    finds done, and how long its first unit waits for a network to load, thereby count for less
    and less, and soon for nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun_s: float | None = None
        self._seen: deque[tuple[float, float]] = deque()

    @property
    def seconds(self) -> float:
        """Seconds since the first report; 0 before it."""
        return 0.0 if self._begun_s is None else self._clock() - self._begun_s

    def left_s(self, done: float, total: float) -> float | None:
        """Note a report, and give the seconds left; None without a rate or a total yet."""
        now_s = self._clock()
        if self._begun_s is None:
            self._begun_s = now_s
        seen, middle_s = self._seen, (self._begun_s + now_s) / 2
        if not seen or now_s - seen[-1][0] >= _APART_S:
            seen.append((now_s, done))
        else:  # of a bunch that comes at once, the last counts
            seen[-1] = seen[-1][0], done
        while len(seen) > 3 and seen[1][0] <= middle_s:
            seen.popleft()
        if done >= total > 0:
            return 0.0
        (since_s, before), (until_s, after) = seen[0], seen[-2 if len(seen) > 2 else -1]
        if after <= before:
            return None
        return (until_s - since_s) * (total - done) / (after - before)


_APART_S = 0.2
"""Reports closer together than this are kept as one, a bunch: a step may have millions. The rate
is that between whole bunches, so the last one, which may still grow, has no part in it."""


class Silent:
    """Ignores reports and never cancels: the default for library use."""

    def step(self, done: float, total: float, what: str) -> None:
        pass

    def cancelled(self) -> bool:
        return False


class DeferredProgress:
    """Wraps a progress for work that runs ahead of its turn: reports are held back until its turn
    comes, cancellation works at any time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._is_its_turn = False
        self._unsaid: tuple[float, float, str] | None = None

    def step(self, done: float, total: float, what: str) -> None:
        if self._is_its_turn:
            self._progress.step(done, total, what)
        else:
            self._unsaid = done, total, what

    def cancelled(self) -> bool:
        return self._progress.cancelled()

    def begin(self) -> None:
        """Forward the last report and all later ones; must not be called while the work runs."""
        self._is_its_turn = True
        if self._unsaid is not None:
            self._progress.step(*self._unsaid)


def stop_if_cancelled(progress: Progress) -> None:
    """Raise `Cancelled` if the user wants the job to stop."""
    if progress.cancelled():
        raise Cancelled("Stopped on request; nothing was written.")
