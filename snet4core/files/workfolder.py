"""Temporary folders beside a target, cleaned up even after kills.

A killed process cannot clean up, so the next one removes every folder that is not locked.
A lock ends with its process, however that ends.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from snet4core.files.interrupts import interrupts_wait

PREFIX = ".snet4-"
"""Fixed and short, because the target's own name may be as long as names can be."""

_OURS = "result"
"""Prefix of all files in such folders; a folder with any other file is not ours."""


_PATIENCE_S = 2.0
"""How long to wait for another process that is making or sweeping folders here."""


@contextmanager
def work_folder(beside: Path) -> Iterator[Path]:
    """A new folder in `beside`, removed at the end with all it holds. May raise `OSError`."""
    with ExitStack() as stack:
        # While `beside` is locked, no other process removes the new folder before it is locked.
        with locked(beside.resolve(), _PATIENCE_S) as alone:
            if alone:
                _sweep(beside)
            with interrupts_wait():
                folder = _new_folder(beside)
                stack.callback(_remove, folder)
                stack.enter_context(locked(folder))
        yield folder


def _new_folder(beside: Path) -> Path:
    """A new folder in `beside`. What is moved out of it keeps the permissions it had inside."""
    if sys.platform != "win32":
        return Path(tempfile.mkdtemp(prefix=PREFIX, dir=beside))
    # There, mkdtemp's folders let nobody else in, and the files made inside would stay so.
    folder = beside / f"{PREFIX}{secrets.token_hex(4)}"
    folder.mkdir()
    return folder


def _sweep(beside: Path) -> None:
    """Remove what killed processes left in `beside`."""
    for folder in beside.glob(PREFIX + "*"):
        with suppress(OSError), locked(folder) as free:
            if free and all(path.name.startswith(_OURS) for path in folder.iterdir()):
                _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder without errors, with one file descriptor at most: they may have run out."""
    with suppress(OSError):
        for path in list(folder.iterdir()):
            path.unlink()
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def locked(
    folder: Path, patience_s: float = 0.0, *, shared: bool = False, unknown: bool = False
) -> Iterator[bool]:
    """Lock a folder; yields True if the lock was taken, exclusively or `shared` with others.

    `unknown` is yielded where the system, or the file system, has no such locks.
    """
    if sys.platform == "win32":
        yield unknown
        return
    # A link is not followed: it leads to a folder that is not ours.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield _take(descriptor, patience_s, shared, unknown)
    finally:
        os.close(descriptor)  # gives the lock back


def _take(descriptor: int, patience_s: float, shared: bool, unknown: bool) -> bool:
    import fcntl

    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    give_up = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= give_up:
                return False
            time.sleep(0.01)
        except OSError:
            return unknown
        else:
            return True
