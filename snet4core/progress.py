"""How a long job tells how far it is, and asks whether it should go on.

The command line's bar and QGIS's feedback are two small adapters of this protocol.
"""

from __future__ import annotations

from typing import Protocol

from snet4core.errors import Cancelled


class Progress(Protocol):
    """Told after each piece of work; asked before the next one."""

    def step(self, done: float, total: float, what: str) -> None:
        """`done` of `total` units of `what` are finished; `done` never goes back."""

    def cancelled(self) -> bool:
        """True when the user wants the job to stop."""


class Silent:
    """Nobody watches: the default for library use."""

    def step(self, done: float, total: float, what: str) -> None:
        pass

    def cancelled(self) -> bool:
        return False


class Later:
    """Another's progress for work that runs ahead of its turn: it may be cancelled at any time,
    but says nothing before its turn has come."""

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
        """Its turn has come: say how far it is, and all that follows. Not while it is at work."""
        self._is_its_turn = True
        if self._unsaid is not None:
            self._progress.step(*self._unsaid)


def stop_if_cancelled(progress: Progress) -> None:
    """Raise `Cancelled` when the user asked for it."""
    if progress.cancelled():
        raise Cancelled("Stopped on request; nothing was written.")
