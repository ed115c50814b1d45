"""Several scenes under way: while one is shaped, the network looks at the next.

A chip of 900 pixels is one window. Alone, its reading, its maps and its outlines come one after
the other, and processors wait. So small scenes are computed ahead of their turn; a large one
keeps the machine busy by itself and waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from snet4core.detect import Detected
from snet4core.errors import Cancelled, OutputError, Snet4Error
from snet4core.footprints import Footprints
from snet4core.inturn import in_turn
from snet4core.progress import Later

SMALL_PX = 2**22
"""Scenes up to this many pixels of the working grid are computed ahead: one part, few windows."""


@dataclass(slots=True)
class Attempt:
    """One scene on its way to footprints, or to a sentence that says why there are none."""

    location: str
    """As the user gave it."""
    maps: Path | None
    """The file of its maps, if they are kept."""
    progress: Later
    """What its computation tells."""
    found: Detected | None = None
    """Once it was planned."""
    batch: Footprints | None = None
    """Its first footprints, once it was computed: they come after all work."""
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
        """All its work. Its own faults are kept; raises Cancelled, and OutputError, which are
        nobody's."""
        if self.found is None or self.batch is not None or self.problem is not None:
            return
        try:
            self.batch = next(self.found.footprints)
        except (Cancelled, OutputError):
            raise
        except Snet4Error as problem:
            self.problem = problem


def in_their_turn(attempts: Iterable[Attempt], together: int) -> Iterator[Attempt]:
    """The same attempts in their order, the small ones computed; so many `together`.

    They are planned, that is taken from the iterable, in the caller's thread.
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
