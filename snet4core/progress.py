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


def stop_if_cancelled(progress: Progress) -> None:
    """Raise `Cancelled` when the user asked for it."""
    if progress.cancelled():
        raise Cancelled("Stopped on request; nothing was written.")
