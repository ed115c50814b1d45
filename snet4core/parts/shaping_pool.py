"""Vectorises parts in other processes, so that the network never waits for polygons.

One core vectorises some 18 MPix a second, and Python's threads share one core, while the network
on a GPU or on sixteen cores makes many times that. So there the maps of whole parts, three to six
bytes a pixel, are sent to processes, and footprints come back.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from snet4core.errors import EngineError
from snet4core.files.interrupts import out_of_reach
from snet4core.footprints.shaping import Shaping
from snet4core.maps.maps import Maps
from snet4core.parts.in_turn import in_turn
from snet4core.parts.part import Part, PartResult, finish
from snet4core.sentence import MEMORY

Seen = tuple[Part, list[Maps]]
"""A part and the maps of all its windows."""

FEW_PARTS = 8
"""Up to so many parts are vectorised in this process: starting another takes a second."""


class _Pool(ProcessPoolExecutor):
    """Its processes never get Ctrl-C: it starts them when work comes, one at a time."""

    def submit(self, work: Callable[..., Any], /, *pieces: Any, **named: Any) -> Future[Any]:
        """See `Executor`."""
        with out_of_reach():
            return super().submit(work, *pieces, **named)


def shaped(
    seen: Iterable[Seen], count: int, shapers: int, shaping: Shaping, *, keep_maps: bool = False
) -> Iterator[tuple[Part, PartResult]]:
    """Yield the results of `count` parts in order, using `shapers` processes where it pays.

    Raises EngineError when one of them dies.
    """
    work = partial(_finished, shaping=shaping, keep_maps=keep_maps)
    if shapers == 1 or count <= FEW_PARTS:
        yield from map(work, seen)
        return
    pool = _Pool(shapers, multiprocessing.get_context("spawn"), _born)
    try:
        yield from in_turn(work, seen, pool, 2 * shapers)
    except BrokenProcessPool as problem:
        raise EngineError(
            "A process that shapes footprints died; is there enough memory? ",
            MEMORY,
            " lets one process do all.",
        ) from problem
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(seen: Seen, shaping: Shaping, keep_maps: bool) -> tuple[Part, PartResult]:
    part, maps = seen
    return part, finish(part, maps, shaping, keep_maps=keep_maps)


def _born() -> None:
    """Initialise a shaping process: ignore Ctrl-C; exit when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's matter
    parent = multiprocessing.parent_process()
    assert parent is not None  # this one was spawned

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
