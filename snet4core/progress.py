"""The protocol by which a long job reports progress and checks for cancellation.

The command line's bar and QGIS's feedback are two small adapters of it.
"""

from __future__ import annotations

from typing import Protocol

from snet4core.errors import Cancelled


class Progress(Protocol):
    """Receives a report after each piece of work, and is asked before the next one."""

    def step(self, done: float, total: float, what: str) -> None:
        """`done` of `total` units of `what` are finished; `done` never goes back."""

    def cancelled(self) -> bool:
        """Whether the user wants the job to stop."""


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
