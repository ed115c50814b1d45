"""What waits at seams: open pieces, joined where they meet, handed out once complete.

The maker of these values is `seams.cut`; the user of both is `seams.joined`.
Axes: R runs, P pixels, N components or blocks, E edges, X pixels along edges.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from snet4core import runs
from snet4core.errors import UsageError
from snet4core.labels import Labels, laid
from snet4core.sheet import loads

POOL_PX = 1 << 18
"""Finished components are handed out together once they hold so many pixels."""

POOL_COMPONENTS = 1024
"""... or once they are so many."""


@dataclass(frozen=True, slots=True)
class Open:
    """What one block, or a whole part of a raster, cannot finish alone.

    All rows and columns are the raster's. An edge is where the seen area ends inside
    the raster: at line k of axis 0 between rows k - 1 and k, of axis 1 between columns.
    """

    seen_N4: NDArray[np.int64]
    """The blocks this stands for, one row each: row, col, height, width."""
    row_R: NDArray[np.int32]
    """Row of each run, component by component."""
    start_R: NDArray[np.int32]
    """First column of each run."""
    stop_R: NDArray[np.int32]
    """The column after each run's last one."""
    component_R: NDArray[np.int32]
    """Which open component the run belongs to: 0, 1, 2, ... ascending."""
    footprint_P: NDArray[np.uint8]
    """Footprint map on the pixels of the runs, run after run."""
    border_P: NDArray[np.uint8]
    """Border map on the same pixels."""
    edges_E5: NDArray[np.int64]
    """Axis, line, side (0: the seen area lies before the line, 1: after), from, to."""
    owner_X: NDArray[np.int32]
    """Along each edge in turn: component + 1 of the pixel that touches it, 0 background."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """One component's share of one `Open`."""

    runs_3R: NDArray[np.int32]
    """Row, first column, column after the last."""
    maps_2P: NDArray[np.uint8]
    """Footprint and border map, run after run."""


@dataclass(slots=True, eq=False)
class _Growing:
    """A component that may go on beyond what was seen."""

    names: list[int]
    """Every name that edges may know it by."""
    pieces: list[_Piece]
    waiting_px: int
    """Pixels along edges whose other side was not seen yet."""
    area_px: int
    """Pixels so far."""
    first_px: int
    """Its first pixel in raster order, as row x columns + column."""
    box: tuple[int, int, int, int]
    """Row, column, and the row and column after the last."""


@dataclass(slots=True)
class _Line:
    """The unmatched stretches of one line, sorted, for the side before and after it."""

    starts: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    names: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = field(
        default_factory=lambda: ([], [])
    )
    """Name of the component at each pixel of the stretch, -1 background."""

    def put(self, side: int, start: int, names_X: NDArray[np.int64]) -> None:
        """Leave a stretch for whatever comes from the other side."""
        at = bisect_left(self.starts[side], start)
        self.starts[side].insert(at, start)
        self.names[side].insert(at, names_X)

    def take(self, side: int, start: int, stop: int) -> list[tuple[int, NDArray[np.int64]]]:
        """Remove and return what lies in [start, stop) on one side, in order."""
        starts, names = self.starts[side], self.names[side]
        first = bisect_right(starts, start)
        if first and starts[first - 1] + names[first - 1].size > start:
            first -= 1
        after = bisect_left(starts, stop, lo=first)
        if first == after:
            return []
        taken = list(zip(starts[first:after], names[first:after], strict=True))
        del starts[first:after], names[first:after]
        head, tail = taken[0], taken[-1]
        if head[0] < start:
            self.put(side, head[0], head[1][: start - head[0]])
            taken[0] = (start, head[1][start - head[0] :])
        if tail[0] + tail[1].size > stop:
            self.put(side, stop, tail[1][stop - tail[0] :])
            taken[-1] = (taken[-1][0], taken[-1][1][: stop - taken[-1][0]])
        return taken


class Joiner:
    """Takes `Open` values in any order and gives back finished components, each once."""

    def __init__(self, shape: tuple[int, int], min_area_px: float = 0) -> None:
        self._shape = shape
        self._min_area_px = min_area_px
        self._seen_px_H = np.zeros(shape[0], np.int64)
        self._next_name = 0
        self._by_name: dict[int, _Growing] = {}
        self._growing: set[_Growing] = set()
        self._pool: list[_Growing] = []
        self._lines: dict[tuple[int, int], _Line] = {}

    def take(self, rest: Open) -> None:
        """Join one block's or part's open pieces to those already here.

        Raises UsageError where a block covers pixels that were covered before.
        """
        self._see(rest.seen_N4)
        first_name = self._next_name
        self._add_pieces(rest)
        names_X = np.where(rest.owner_X > 0, rest.owner_X.astype(np.int64) + first_name - 1, -1)
        at = 0
        for axis, number, side, start, stop in rest.edges_E5.tolist():
            self._meet_line((axis, number), side, start, names_X[at : at + stop - start])
            at += stop - start

    def finished(self, everything: bool = False) -> list[Labels]:
        """Components that became complete; small ones wait a little to come in company."""
        pixels = sum(one.area_px for one in self._pool)
        if everything or pixels >= POOL_PX or len(self._pool) >= POOL_COMPONENTS:
            done, self._pool = self._pool, []
            return _laid(done)
        return []

    def check_complete(self) -> None:
        """Raise UsageError unless the whole raster was seen."""
        missing = int((self._shape[1] - self._seen_px_H).sum())
        if missing or self._lines:
            raise UsageError(
                f"The blocks leave {missing} pixels of a raster of {self._shape[0]} x "
                f"{self._shape[1]} uncovered, or cover some twice; give each block once."
            )

    def _see(self, seen_N4: NDArray[np.int64]) -> None:
        cols = self._shape[1]
        for row, _, height, width in seen_N4.tolist():
            covered_H = self._seen_px_H[row : row + height]
            covered_H += width
            if height and covered_H.max() > cols:
                raise UsageError(
                    f"A block in rows {row} to {row + height - 1} covers pixels that another "
                    "one covered before; give each block once."
                )

    def _add_pieces(self, rest: Open) -> None:
        """Give every component of `rest` a name and a record of its own."""
        count = int(rest.component_R[-1]) + 1 if rest.component_R.size else 0
        if count == 0:
            return
        first_run = np.searchsorted(rest.component_R, np.arange(count + 1))
        length_R = (rest.stop_R - rest.start_R).astype(np.int64)
        pixels_before = np.concatenate([[0], np.cumsum(length_R)])
        first_px = np.minimum.reduceat(
            rest.row_R.astype(np.int64) * self._shape[1] + rest.start_R, first_run[:-1]
        )
        box_N4 = np.stack(
            [
                np.minimum.reduceat(rest.row_R, first_run[:-1]),
                np.minimum.reduceat(rest.start_R, first_run[:-1]),
                np.maximum.reduceat(rest.row_R, first_run[:-1]) + 1,
                np.maximum.reduceat(rest.stop_R, first_run[:-1]),
            ],
            axis=1,
        )
        waiting_px = np.bincount(rest.owner_X, minlength=count + 1)[1:]
        runs_3R = np.stack([rest.row_R, rest.start_R, rest.stop_R])
        maps_2P = np.stack([rest.footprint_P, rest.border_P])
        runs_at, px_at = first_run.tolist(), pixels_before[first_run].tolist()
        for i in range(count):
            # Copies, lest one piece that waits long keeps its neighbours in memory.
            piece = _Piece(
                runs_3R[:, runs_at[i] : runs_at[i + 1]].copy(),
                maps_2P[:, px_at[i] : px_at[i + 1]].copy(),
            )
            name = self._next_name + i
            one = _Growing(
                [name],
                [piece],
                int(waiting_px[i]),
                px_at[i + 1] - px_at[i],
                int(first_px[i]),
                tuple(box_N4[i].tolist()),
            )
            self._by_name[name] = one
            self._growing.add(one)
        self._next_name += count

    def _meet_line(
        self, key: tuple[int, int], side: int, start: int, names_X: NDArray[np.int64]
    ) -> None:
        """Match one edge with what waits on the line's other side; leave the rest there."""
        line = self._lines.setdefault(key, _Line())
        at, stop = start, start + names_X.size
        for from_, there_X in line.take(1 - side, start, stop):
            if at < from_:
                line.put(side, at, names_X[at - start : from_ - start])
            at = from_ + there_X.size
            self._meet(names_X[from_ - start : at - start], there_X)
        if at < stop:
            line.put(side, at, names_X[at - start :])
        if not any(line.starts):
            del self._lines[key]

    def _meet(self, here_X: NDArray[np.int64], there_X: NDArray[np.int64]) -> None:
        """Two stretches of equal length face each other: join what touches, settle both."""
        both = (here_X >= 0) & (there_X >= 0)
        if both.any():
            pairs = np.stack([here_X[both], there_X[both]])
            # Only the first pixel of each stretch of contact says something new.
            new = np.concatenate([[True], (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)])
            for one, other in pairs[:, new].T.tolist():
                self._join(self._by_name[one], self._by_name[other])
        settled = np.concatenate([here_X, there_X])
        names, counts = np.unique(settled[settled >= 0], return_counts=True)
        for name, count in zip(names.tolist(), counts.tolist(), strict=True):
            one = self._by_name[name]
            one.waiting_px -= count
            if one.waiting_px == 0:
                self._finish(one)

    def _join(self, one: _Growing, other: _Growing) -> None:
        """Union, the smaller into the larger, so that no name moves more than log n times."""
        if one is other:
            return
        if len(one.names) < len(other.names):
            one, other = other, one
        for name in other.names:
            self._by_name[name] = one
        one.names += other.names
        one.pieces += other.pieces
        one.waiting_px += other.waiting_px
        one.area_px += other.area_px
        one.first_px = min(one.first_px, other.first_px)
        (a, b, c, d), (e, f, g, h) = one.box, other.box
        one.box = (min(a, e), min(b, f), max(c, g), max(d, h))
        self._growing.discard(other)

    def _finish(self, one: _Growing) -> None:
        for name in one.names:
            del self._by_name[name]
        self._growing.discard(one)
        if one.area_px >= self._min_area_px:
            self._pool.append(one)


def _laid(done: list[_Growing]) -> list[Labels]:
    """Components, ordered by their first pixel, on few sheets."""
    done = sorted(done, key=lambda one: one.first_px)
    box_N4 = np.array([one.box for one in done], np.int64).reshape(-1, 4)
    return [_on_sheet(done[load], box_N4[load]) for load in loads(box_N4)]


def _on_sheet(some: list[_Growing], box_N4: NDArray[np.int64]) -> Labels:
    """Components on one sheet; their runs come piece by piece, not in raster order."""
    pieces = [piece for one in some for piece in one.pieces]
    number = [i for i, one in enumerate(some, start=1) for _ in one.pieces]
    row_R, start_R, stop_R = np.concatenate(
        [piece.runs_3R for piece in pieces], axis=1, dtype=np.int64
    )
    label_R = np.repeat(np.array(number, np.int32), [piece.runs_3R.shape[1] for piece in pieces])
    footprint_P, border_P = np.concatenate([piece.maps_2P for piece in pieces], axis=1)
    return laid(runs.Runs(row_R, start_R, stop_R, label_R), box_N4, footprint_P, border_P)
