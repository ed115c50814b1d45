"""Joins components across block seams and returns each one once it is complete.

`seams.label_block` makes the `OpenComponents`, `seams.complete_components` feeds them to a
`Joiner`.

Axes: R runs, P pixels, N components or blocks, E edges, X pixels along edges, M maps.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from snet4core.errors import UsageError
from snet4core.labels import runs
from snet4core.labels.labels import Labels, packed
from snet4core.labels.packing import sheet_slices

POOL_PX = 1 << 18
"""Finished components are returned together once they hold this many pixels ..."""

POOL_COMPONENTS = 1024
"""... or once there are this many of them."""


@dataclass(frozen=True, slots=True)
class OpenComponents:
    """Components that reach the edge of a block, or of a whole part of a raster.

    All rows and columns are the raster's. An edge is where the seen area ends inside
    the raster: at line k of axis 0 between rows k - 1 and k, of axis 1 between columns.
    """

    seen_N4: NDArray[np.int64]
    """The blocks seen, one per row: row, col, height, width."""
    row_R: NDArray[np.int32]
    """Row of each run, component by component."""
    start_R: NDArray[np.int32]
    """First column of each run."""
    stop_R: NDArray[np.int32]
    """Column after each run's last one."""
    component_R: NDArray[np.int32]
    """Open component that each run belongs to: 0, 1, 2, ... ascending."""
    footprint_P: NDArray[np.uint8]
    """Footprint (or roof) map at the pixels of the runs, run after run; 0..255 = 0..1."""
    border_P: NDArray[np.uint8]
    """Its border map at the same pixels, likewise."""
    edges_E5: NDArray[np.int64]
    """Axis, line, side (0: the seen area lies before the line, 1: after), from, to."""
    owner_X: NDArray[np.int32]
    """Component + 1 of each pixel along the edges, edge after edge; 0 for background."""
    height_P: NDArray[np.uint8] | None = None
    """Of roofs: height map at the pixels of the runs, on the scale of `maps.heights`."""

    @property
    def maps_MP(self) -> NDArray[np.uint8]:
        """All maps at the pixels of the runs, stacked."""
        found = [self.footprint_P, self.border_P]
        return np.stack(found if self.height_P is None else [*found, self.height_P])


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a component that came with one `OpenComponents`."""

    runs_3R: NDArray[np.int32]
    """Row, first column, column after the last."""
    maps_MP: NDArray[np.uint8]
    """Footprint and border map, or those of roofs and height, run after run."""


@dataclass(slots=True, eq=False)
class _Growing:
    """A component that may continue beyond the blocks seen so far."""

    names: list[int]
    """All numbers by which edges refer to it."""
    pieces: list[_Piece]
    waiting_px: int
    """Pixels along edges whose other side is not seen yet."""
    area_px: int
    """Pixels so far."""
    first_px: int
    """First pixel in raster order, as row x columns + column."""
    box: tuple[int, int, int, int]
    """First row and column, and the row and column after the last."""


@dataclass(slots=True)
class _Line:
    """Unmatched segments along one line, sorted, for the side before it and the side after."""

    starts: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    names: tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]] = field(
        default_factory=lambda: ([], [])
    )
    """Component number at each pixel of the segment, -1 for background."""

    def put(self, side: int, start: int, names_X: NDArray[np.int64]) -> None:
        """Store a segment until the other side of the line is seen."""
        at = bisect_left(self.starts[side], start)
        self.starts[side].insert(at, start)
        self.names[side].insert(at, names_X)

    def take(self, side: int, start: int, stop: int) -> list[tuple[int, NDArray[np.int64]]]:
        """Remove and return the segments within [start, stop) on one side, in order."""
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
    """Accepts `OpenComponents` in any order and returns completed components, each once."""

    def __init__(self, shape: tuple[int, int], min_area_px: float = 0) -> None:
        self._shape = shape
        self._min_area_px = min_area_px
        self._seen_px_H = np.zeros(shape[0], np.int64)
        self._next_name = 0
        self._by_name: dict[int, _Growing] = {}
        self._growing: set[_Growing] = set()
        self._pool: list[_Growing] = []
        self._lines: dict[tuple[int, int], _Line] = {}

    def take(self, rest: OpenComponents) -> None:
        """Join the open components of one block or part to those taken before.

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
        """Return completed components, in batches; with `everything`, all that are left."""
        pixels = sum(one.area_px for one in self._pool)
        if everything or pixels >= POOL_PX or len(self._pool) >= POOL_COMPONENTS:
            done, self._pool = self._pool, []
            return _laid(done)
        return []

    def check_complete(self) -> None:
        """Raise UsageError unless the blocks covered the whole raster."""
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

    def _add_pieces(self, rest: OpenComponents) -> None:
        """Register every component of `rest` under a new number."""
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
        maps_MP = rest.maps_MP
        runs_at, px_at = first_run.tolist(), pixels_before[first_run].tolist()
        for i in range(count):
            # Copies: a view would keep all pieces of the block in memory.
            piece = _Piece(
                runs_3R[:, runs_at[i] : runs_at[i + 1]].copy(),
                maps_MP[:, px_at[i] : px_at[i + 1]].copy(),
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
        """Match one edge with segments stored on the line's other side; store what is left."""
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
        """Join components that touch across two facing segments, and finish those complete."""
        both = (here_X >= 0) & (there_X >= 0)
        if both.any():
            pairs = np.stack([here_X[both], there_X[both]])
            # Only the first pixel of each contact is a new pair.
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
        """Union by size: the smaller into the larger, so no number moves more than log n times."""
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
    """Pack components, ordered by first pixel, onto few sheets."""
    done = sorted(done, key=lambda one: one.first_px)
    box_N4 = np.array([one.box for one in done], np.int64).reshape(-1, 4)
    return [_on_sheet(done[load], box_N4[load]) for load in sheet_slices(box_N4)]


def _on_sheet(some: list[_Growing], box_N4: NDArray[np.int64]) -> Labels:
    """Pack components onto one sheet; runs come piece by piece, not in raster order."""
    pieces = [piece for one in some for piece in one.pieces]
    number = [i for i, one in enumerate(some, start=1) for _ in one.pieces]
    row_R, start_R, stop_R = np.concatenate(
        [piece.runs_3R for piece in pieces], axis=1, dtype=np.int64
    )
    label_R = np.repeat(np.array(number, np.int32), [piece.runs_3R.shape[1] for piece in pieces])
    maps_MP = np.concatenate([piece.maps_MP for piece in pieces], axis=1)
    return packed(runs.Runs(row_R, start_R, stop_R, label_R), box_N4, maps_MP)
