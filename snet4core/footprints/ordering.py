"""Sorts footprints by anchor and numbers them, with an external merge sort in bounded memory.

Blocks and seams deliver footprints in any order, and the first row may come last. So all are
collected first: in memory up to a limit, beyond it as sorted runs in an unnamed temporary
file, which are merged at the end. Parts that arrive row by row leave runs that hardly
overlap, so that for most runs only one block is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snet4core.footprints.footprints import (
    Footprints,
    Source,
    concatenated,
    none_of,
)
from snet4core.footprints.spool import Place, Spool

BATCH = 10_000
"""Footprints per batch that is returned: large enough for speed, small enough for memory."""

RUN = 10_000
"""Footprints that are sorted in memory. With their roofs and copies 50,000 took 70 MB more, and no
less time."""

BLOCK = 2_000
"""Footprints of a sorted run that are read back at a time."""

_END = np.iinfo(np.int64).max


def in_order(
    source: Source,
    batches: Iterable[Footprints],
    settle: Callable[[Footprints], Footprints] | None = None,
) -> Iterator[Footprints]:
    """Sort all footprints of one scene by anchor and number them from 1; yields batches.

    `settle` is called with each sorted batch before it is numbered, and may change or drop
    footprints.

    All input is consumed before the first batch is yielded, and the result depends on the
    footprints alone. At least one batch is yielded, an empty one if there are none. Raises
    OutputError where the temporary file finds no room.
    """
    with closing(Spool(source)) as spool:
        runs = _Runs(source, spool)
        for batch in batches:
            runs.add(batch)
        first = 1
        for batch in _of_size(source, runs.ordered(), BATCH):
            if settle is not None:
                batch = settle(batch)
            numbers = np.arange(first, first + len(batch), dtype=np.int64)
            yield replace(batch, footprint_id_N=numbers)
            first += len(batch)


@dataclass(frozen=True, slots=True)
class _Block:
    """Consecutive footprints of a sorted run: in the file, or still in memory."""

    first_key: int
    count: int
    place: Place | Footprints
    """Where it lies in the spool, or the footprints themselves."""


class _Runs:
    """Takes footprints in any order and gives them back sorted."""

    def __init__(self, source: Source, spool: Spool) -> None:
        """Sorted runs that memory should not hold go into `spool`."""
        self._source, self._spool = source, spool
        self._waiting: list[Footprints] = []
        self._count = 0
        self._blocks: list[_Block] = []

    def add(self, batch: Footprints) -> None:
        self._waiting.append(batch)
        self._count += len(batch)
        if self._count >= RUN:
            self._keep(self._sorted_run())

    def ordered(self) -> Iterator[Footprints]:
        """Yield all footprints added, sorted by row and column, in tables of any size."""
        run = self._sorted_run()
        if len(run):
            self._blocks.append(_Block(int(_keys(run)[0]), len(run), run))
        blocks = sorted(self._blocks, key=lambda block: block.first_key)
        pool, size, enough = [none_of(self._source)], 0, BATCH
        for number, block in enumerate(blocks, start=1):
            next_key = blocks[number].first_key if number < len(blocks) else _END
            pool.append(self._read(block))
            size += block.count
            if size < enough and next_key != _END:
                continue
            # Everything before the first key of the blocks not yet read is complete.
            table = _sorted(concatenated(self._source, pool))
            complete = int(np.searchsorted(_keys(table), next_key))
            yield table[:complete]
            pool, size = [table[complete:]], len(table) - complete
            enough = 2 * size + BATCH

    def _sorted_run(self) -> Footprints:
        run = _sorted(concatenated(self._source, self._waiting))
        self._waiting, self._count = [], 0
        return run

    def _keep(self, run: Footprints) -> None:
        for start in range(0, len(run), BLOCK):
            block = run[start : start + BLOCK]
            place = self._spool.add(block)
            self._blocks.append(_Block(int(_keys(block[:1])[0]), len(block), place))

    def _read(self, block: _Block) -> Footprints:
        if isinstance(block.place, Footprints):
            return block.place
        return self._spool.read(block.place)


def _keys(table: Footprints) -> NDArray[np.int64]:
    """One integer per anchor that sorts by row, then column; both are below 2^31."""
    return np.asarray((table.anchors_N2[:, 0] << 31) + table.anchors_N2[:, 1])


def _sorted(table: Footprints) -> Footprints:
    return table[np.argsort(_keys(table), kind="stable")]


def _of_size(source: Source, tables: Iterable[Footprints], size: int) -> Iterator[Footprints]:
    """Rebatch to tables of `size` footprints, the last one smaller; at least one table."""
    waiting, is_first = none_of(source), True
    for table in tables:
        waiting = concatenated(source, [waiting, table])
        full = len(waiting) // size * size
        for start in range(0, full, size):
            yield waiting[start : start + size]
            is_first = False
        waiting = waiting[full:]
    if len(waiting) or is_first:
        yield waiting
