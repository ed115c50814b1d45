"""Overlaps scenes: vectorises one while the network runs on the next.

A chip of 900 x 900 pixels is one window. Run alone, its reading, inference and vectorisation
come one after the other, and processors idle. So small scenes are computed ahead of their turn;
a large one keeps the machine busy by itself and runs in its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from snet4core.errors import Cancelled, OutputError, Snet4Error
from snet4core.footprints.footprints import Footprints
from snet4core.parts.detect import SceneStream
from snet4core.parts.in_turn import in_turn
from snet4core.progress import DeferredProgress

SMALL_PX = 2**22
"""Scenes up to this many pixels of the working grid are computed ahead: one part, few windows."""


@dataclass(slots=True)
class Attempt:
    """One scene of a job: its footprints as they are computed, or its error."""

    location: str
    """As the user gave it."""
    maps: Path | None
    """The file of its maps, if they are kept."""
    progress: DeferredProgress
    """Its progress, held back until its turn."""
    found: SceneStream | None = None
    """Set once it was planned."""
    batch: Footprints | None = None
    """Its first batch of footprints, set once it was computed; it comes after all inference."""
    problem: Snet4Error | None = None
    """Why it failed."""

    @property
    def is_small(self) -> bool:
        """Whether it is computed ahead of its turn."""
        if self.found is None:
            return False
        rows, cols = self.found.plan.grid.shape
        return rows * cols <= SMALL_PX

    def compute(self) -> None:
        """Compute the scene. Its own errors are kept in `problem`; Cancelled and OutputError,
        which are no fault of the scene, are raised."""
        if self.found is None or self.batch is not None or self.problem is not None:
            return
        try:
            self.batch = next(self.found.footprints)
        except (Cancelled, OutputError):
            raise
        except Snet4Error as problem:
            self.problem = problem


def in_their_turn(attempts: Iterable[Attempt], together: int) -> Iterator[Attempt]:
    """Yield the attempts in order, small ones computed ahead, `together` at a time.

    Attempts are taken from the iterable, and so planned, in the caller's thread.
    """
    if together <= 1:
        yield from map(_begun, attempts)
        return
    pool = ThreadPoolExecutor(together, "snet4-scene")
    try:
        yield from map(_begun, in_turn(_computed_if_small, attempts, pool, together))
    finally:
        pool.shutdown(cancel_futures=True)


def _computed_if_small(attempt: Attempt) -> Attempt:
    if attempt.is_small:
        attempt.compute()
    return attempt


def _begun(attempt: Attempt) -> Attempt:
    attempt.progress.begin()
    return attempt
