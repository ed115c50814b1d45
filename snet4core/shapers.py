"""Parts shaped by other processes, so that a network never waits for outlines.

One processor shapes some 18 MPix a second, threads share it (Python runs one at a time), and
a GPU or sixteen processors compute many times that. So there the maps of whole parts, three
bytes a pixel, go to processes of their own, and footprints come back.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import wait

from snet4core.errors import EngineError
from snet4core.inturn import in_turn
from snet4core.maps import Maps
from snet4core.parts import Part, PartResult, finish
from snet4core.shaping import Shaping

Seen = tuple[Part, list[Maps]]
"""A part and the maps of all its windows."""

FEW_PARTS = 8
"""So few are shaped here: a process takes a second to begin."""


def shaped(
    seen: Iterable[Seen], count: int, shapers: int, shaping: Shaping, *, keep_maps: bool = False
) -> Iterator[tuple[Part, PartResult]]:
    """The results of `count` parts, in their order, with `shapers` processes where it pays.

    EngineError where such a process dies.
    """
    work = partial(_finished, shaping=shaping, keep_maps=keep_maps)
    if shapers == 1 or count <= FEW_PARTS:
        yield from map(work, seen)
        return
    pool = ProcessPoolExecutor(shapers, multiprocessing.get_context("spawn"), _born)
    try:
        yield from in_turn(work, seen, pool, 2 * shapers)
    except BrokenProcessPool as problem:
        raise EngineError(
            "A process that shapes footprints died; is there enough memory? "
            "--memory lets one process do all."
        ) from problem
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(seen: Seen, shaping: Shaping, keep_maps: bool) -> tuple[Part, PartResult]:
    part, maps = seen
    return part, finish(part, maps, shaping, keep_maps=keep_maps)


def _born() -> None:
    """The beginning of a shaping process: it obeys its parent alone, and goes with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's matter
    parent = multiprocessing.parent_process()
    assert parent is not None  # this one was spawned

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
