"""Bulk-loads an SQLite R-tree in one pass, bottom up.

The virtual table `rtree` stores its tree in three plain tables
(https://www.sqlite.org/rtree.html, "Shadow tables"): a node is a blob, big-endian:

    u16 height of the tree, in the root only; u16 number of cells; then the cells:
    i64 id of the feature (in a leaf) or number of the child; f32 xmin, xmax, ymin, ymax

Inserting boxes one by one splits nodes again and again. Here boxes are buffered, packed into
full nodes by sort-tile-recursive (Leutenegger, Lopez, Edgington 1997: "STR"), and the nodes'
own boxes are buffered for the next level. The buffers hold at most TILED boxes and a node's
worth per level, so memory does not grow with the layer.

Axis letters: N boxes, M nodes.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ROOT = 1
"""Number of the root node, fixed by SQLite."""

TILED = 100_000
"""Boxes of one level that are packed together: fewer would give long and thin nodes."""

_CELL = np.dtype([("id", ">i8"), ("box", ">f4", 4)])


@dataclass(slots=True)
class _Level:
    """Buffered boxes of one level that are in no node yet."""

    ids: list[NDArray[np.int64]] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)
    """Each (N, 4): xmin, xmax, ymin, ymax."""
    count: int = 0
    has_nodes: bool = False
    """True once nodes were made of earlier boxes, so that this level is not the top."""

    def taken(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        ids = np.concatenate([np.empty(0, np.int64), *self.ids])
        boxes = np.concatenate([np.empty((0, 4), np.float32), *self.boxes])
        self.ids, self.boxes, self.count = [], [], 0
        return ids, boxes


class RTreeFiller:
    """Bulk loader for an empty R-tree of two dimensions."""

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        """`name` is that of the virtual table, and never user input: it goes into SQL."""
        self._database, self._name = database, name
        [(node_bytes,)] = database.execute(
            f"SELECT length(data) FROM {name}_node WHERE nodeno = ?", (ROOT,)
        )
        # SQLite takes the size of the root as that of all nodes.
        self._node = np.dtype(
            [("height", ">u2"), ("count", ">u2"), ("cells", _CELL, (node_bytes - 4) // 24)]
        )
        self._capacity = (node_bytes - 4) // _CELL.itemsize
        self._next_node = ROOT + 1
        self._levels = [_Level()]

    def add(self, ids_N: NDArray[np.int64], boxes_N4: NDArray[np.float64]) -> None:
        """Add features by id; `boxes_N4` holds xmin, ymin, xmax, ymax."""
        self._wait(0, ids_N, _outward(boxes_N4[:, [0, 2, 1, 3]]))

    def finish(self) -> None:
        """Write the buffered boxes and the root; nothing may be added afterwards."""
        depth = 0
        while self._levels[depth].has_nodes or self._levels[depth].count > self._capacity:
            self._make_nodes(depth)
            depth += 1
        self._put_root(depth, *self._levels[depth].taken())

    def _wait(self, depth: int, ids_N: NDArray[np.int64], boxes_N4: NDArray[np.float32]) -> None:
        if depth == len(self._levels):
            self._levels.append(_Level())
        level = self._levels[depth]
        level.ids.append(ids_N)
        level.boxes.append(boxes_N4)
        level.count += len(ids_N)
        # Keep the last ones, so that no level ends with a node of a single cell.
        while level.count >= TILED + self._capacity:
            ids, boxes = level.taken()
            self._put_nodes(depth, ids[:TILED], boxes[:TILED])
            level.ids, level.boxes, level.count = [ids[TILED:]], [boxes[TILED:]], len(ids) - TILED

    def _make_nodes(self, depth: int) -> None:
        ids, boxes = self._levels[depth].taken()
        self._put_nodes(depth, ids, boxes)

    def _put_nodes(
        self, depth: int, ids_N: NDArray[np.int64], boxes_N4: NDArray[np.float32]
    ) -> None:
        """Write full nodes of some boxes, and buffer the nodes' boxes one level above."""
        self._levels[depth].has_nodes = True
        order, starts_M = tiled(boxes_N4, self._capacity)
        ids_N, boxes_N4 = ids_N[order], boxes_N4[order]
        count_M = np.diff([*starts_M, len(ids_N)])
        numbers_M = self._next_node + np.arange(len(starts_M))
        self._next_node += len(starts_M)

        nodes_M = np.zeros(len(starts_M), self._node)
        nodes_M["count"] = count_M
        node_N = np.repeat(np.arange(len(starts_M)), count_M)
        cell_N = np.arange(len(ids_N)) - starts_M[node_N]
        nodes_M["cells"]["id"][node_N, cell_N] = ids_N
        nodes_M["cells"]["box"][node_N, cell_N] = boxes_N4
        self._insert("node", numbers_M, nodes_M.view(f"V{self._node.itemsize}"))
        self._say_parents(depth, ids_N, numbers_M[node_N])
        low_M4 = np.minimum.reduceat(boxes_N4, starts_M)
        high_M4 = np.maximum.reduceat(boxes_N4, starts_M)
        above_M4 = np.stack([low_M4[:, 0], high_M4[:, 1], low_M4[:, 2], high_M4[:, 3]], axis=1)
        self._wait(depth + 1, numbers_M, above_M4)

    def _put_root(
        self, depth: int, ids_N: NDArray[np.int64], boxes_N4: NDArray[np.float32]
    ) -> None:
        root = np.zeros(1, self._node)
        root["height"], root["count"] = depth, len(ids_N)
        root["cells"]["id"][0, : len(ids_N)] = ids_N
        root["cells"]["box"][0, : len(ids_N)] = boxes_N4
        self._database.execute(
            f"UPDATE {self._name}_node SET data = ? WHERE nodeno = ?", (root.tobytes(), ROOT)
        )
        self._say_parents(depth, ids_N, np.full(len(ids_N), ROOT))

    def _say_parents(
        self, depth: int, ids_N: NDArray[np.int64], parents_N: NDArray[np.int64]
    ) -> None:
        """Store the parent node of each feature or child node; SQLite needs it to delete."""
        order = np.argsort(ids_N, kind="stable")
        self._insert("parent" if depth else "rowid", ids_N[order], parents_N[order])

    def _insert(self, table: str, keys: NDArray[np.int64], values: NDArray[np.generic]) -> None:
        self._database.executemany(
            f"INSERT INTO {self._name}_{table} VALUES (?, ?)",
            zip(keys.tolist(), values.tolist(), strict=True),
        )


def tiled(
    boxes_N4: NDArray[np.float32], capacity: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group boxes into nearly square nodes: an order of the boxes, and where in it nodes start.

    Boxes are xmin, xmax, ymin, ymax. They are sliced by x, into as many slices as a slice has
    nodes, and each slice by y. Nodes hold at most `capacity` boxes, as evenly as possible.

    >>> boxes = np.array([[x, x, y, y] for x in (9, 0) for y in (5, 0, 6, 1)], np.float32)
    >>> order, starts = tiled(boxes, 2)
    >>> order.tolist(), starts.tolist()
    ([5, 7, 4, 6, 1, 3, 0, 2], [0, 2, 4, 6])
    """
    count = len(boxes_N4)
    nodes = math.ceil(count / capacity)
    slices = max(1, round(math.sqrt(nodes)))
    x_N, y_N = boxes_N4[:, 0] + boxes_N4[:, 1], boxes_N4[:, 2] + boxes_N4[:, 3]
    # Slices end where nodes end.
    starts_M = np.arange(nodes) * count // nodes
    first_nodes = np.arange(slices) * nodes // slices
    slice_N = np.repeat(np.arange(slices), np.diff([*starts_M[first_nodes], count]))
    by_x = np.argsort(x_N, kind="stable")
    return by_x[np.lexsort((y_N[by_x], slice_N))], starts_M


def _outward(boxes_N4: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round boxes (xmin, xmax, ymin, ymax) outwards to single precision."""
    near_N4 = boxes_N4.astype(np.float32)
    lower, upper = np.float32(-np.inf), np.float32(np.inf)
    for column in (0, 2):
        too_high = near_N4[:, column] > boxes_N4[:, column]
        near_N4[too_high, column] = np.nextafter(near_N4[too_high, column], lower)
    for column in (1, 3):
        too_low = near_N4[:, column] < boxes_N4[:, column]
        near_N4[too_low, column] = np.nextafter(near_N4[too_low, column], upper)
    return near_N4
