"""Ctrl-C, from the first line of the program on: exit code 130, whatever a library makes of it.

A KeyboardInterrupt that is raised while a compiled library is imported comes out as an
ImportError, or not at all. So the interrupt waits until no import is under way; and what goes
wrong after one is taken for its consequence.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

_WAIT_S = 0.01
"""After this time it is asked again whether an import is under way."""

_seen = False


def install() -> None:
    """Handle Ctrl-C and SIGTERM in this process. Only the main thread can."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, _interrupted)
    sys.unraisablehook = _unraisable


def seen() -> bool:
    """Whether the program was interrupted: a later error is likely its consequence."""
    return _seen


def _interrupted(signum: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, now or after the import that is under way; a second one, now."""
    global _seen  # a signal reaches the process, not an object
    if hasattr(signal, "setitimer"):
        again = _seen and signum != signal.SIGALRM
        waits = not again and _importing(frame)
        signal.setitimer(signal.ITIMER_REAL, _WAIT_S if waits else 0)
        _seen = True
        if waits:
            return
    _seen = True
    raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


_told = sys.unraisablehook


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Raise a KeyboardInterrupt again that came where none can be raised, as in a destructor."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        _told(unraisable)
    elif hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, _WAIT_S)
