"""Who is at the engine's place: one installer at a time, and any number of workers.

The locks are Qt's: they know when their owner is gone, on every system.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qgis.PyQt.QtCore import QLockFile

from .texts import tr


class Busy(Exception):
    """Another QGIS is installing or removing."""


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """Alone at `place`; raises Busy where another QGIS is, OSError."""
    lock = _lock(place / "install.lock")
    if not lock.tryLock(0):
        if lock.error() != QLockFile.LockError.LockFailedError:
            raise PermissionError(13, "Permission denied")
        raise Busy(
            tr(
                "The engine is being installed or removed by another QGIS; try again when it is "
                "done."
            )
        )
    try:
        yield
    finally:
        lock.unlock()


@contextmanager
def used(place: Path, python: str) -> Iterator[None]:
    """Says that a worker runs, if it is one of the engine at `place`."""
    if not Path(python).is_relative_to(place):
        yield
        return
    users = place / "users"
    users.mkdir(parents=True, exist_ok=True)
    lock = _lock(users / f"{uuid.uuid4().hex}.lock")
    lock.tryLock(0)
    try:
        yield
    finally:
        lock.unlock()


def in_use(place: Path) -> bool:
    """Whether a worker of the engine at `place` runs, in any QGIS."""
    for path in (place / "users").glob("*.lock"):
        lock = _lock(path)
        if not lock.tryLock(0):
            return True
        lock.unlock()  # was left by a QGIS that was killed
    return False


def _lock(path: Path) -> QLockFile:
    lock = QLockFile(str(path))
    lock.setStaleLockTime(0)  # an installation may take long
    return lock
