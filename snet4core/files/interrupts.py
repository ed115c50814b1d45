"""Ctrl-C and SIGTERM wait where one in the wrong moment would leave something behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name)
]
"""The alarm is how the command line raises a Ctrl-C later, after an import."""


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Handle signals that arrive in the block after it. Keep it short: nothing stops it.

    Only the main thread handles signals, so in others there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    # None: it was not set from Python, and could not be set again.
    ours = [number for number in _SIGNALS if handlers[number] not in (None, signal.SIG_IGN)]
    try:
        for number in ours:
            signal.signal(number, lambda number, _: arrived.append(number))
        yield
    finally:
        for number in ours:
            signal.signal(number, handlers[number])
        for number in arrived:
            signal.raise_signal(number)


@contextmanager
def out_of_reach() -> Iterator[None]:
    """Processes started in the block never get Ctrl-C, not even while they import.

    The terminal sends it to them too, and they could not yet say that it is their parent's
    matter. In the block, this thread's own signals wait.
    """
    with interrupts_wait():
        if not hasattr(signal, "pthread_sigmask"):
            yield
            return
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()  # it would unblock signals when it starts
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
