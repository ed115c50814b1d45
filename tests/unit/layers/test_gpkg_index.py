"""The index that is built in one pass is one that SQLite takes for its own."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from snet4core.layers import gpkg_index
from snet4core.layers.gpkg_index import RTreeFiller, tiled


def boxes(count: int, seed: int = 0) -> NDArray[np.float64]:
    """Small boxes far from the origin, where single precision is coarse."""
    rng = np.random.default_rng(seed)
    low = rng.uniform([740_000, 3_720_000], [745_000, 3_725_000], (count, 2))
    return np.hstack([low, low + rng.uniform(0.1, 40, (count, 2))])


def filled(boxes_N4: NDArray[np.float64], batch: int = 1000) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE t USING rtree(id, minx, maxx, miny, maxy)")
    index = RTreeFiller(database, "t")
    ids = np.arange(1, len(boxes_N4) + 1)
    for at in range(0, len(ids), batch):
        index.add(ids[at : at + batch], boxes_N4[at : at + batch])
    index.finish()
    return database


def inside(database: sqlite3.Connection, window: tuple[float, ...]) -> set[int]:
    rows = database.execute(
        "SELECT id FROM t WHERE maxx >= ? AND maxy >= ? AND minx <= ? AND miny <= ?", window
    )
    return {number for (number,) in rows}


@pytest.mark.parametrize("count", [0, 1, 51, 52, 103, 2601, 2602, 7000])
def test_sqlite_finds_no_fault(count: int) -> None:
    database = filled(boxes(count))
    try:
        [(said,)] = database.execute("SELECT rtreecheck('t')")
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no rtreecheck")
    assert said == "ok"
    assert database.execute("SELECT count(*) FROM t").fetchone() == (count,)


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(0, 900),
    at_once=st.sampled_from([60, 130, 5000]),
    batch=st.sampled_from([1, 7, 400]),
    seed=st.integers(0, 9),
)
def test_windows_find_what_they_touch(count: int, at_once: int, batch: int, seed: int) -> None:
    boxes_N4 = boxes(count, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpkg_index, "TILED", at_once)
        database = filled(boxes_N4, batch)
    for x, y in ((740_000, 3_720_000), (742_000, 3_722_000), (744_900, 3_720_300)):
        low_N2, high_N2 = boxes_N4[:, :2], boxes_N4[:, 2:]
        touches_N = ((high_N2 >= [x, y]) & (low_N2 <= [x + 300, y + 300])).all(axis=1)
        found = inside(database, (x, y, x + 300, y + 300))
        # Single precision may add a neighbour, but never lose one.
        assert found >= set((np.flatnonzero(touches_N) + 1).tolist())
        assert len(found) <= touches_N.sum() + 3


def test_features_can_be_taken_out_and_put_in_afterwards() -> None:
    database = filled(boxes(3000))
    database.executemany("DELETE FROM t WHERE id = ?", [(n,) for n in range(1, 3001, 2)])
    database.executemany("INSERT INTO t VALUES (?, 1, 2, 1, 2)", [(n,) for n in range(1, 99, 2)])
    assert inside(database, (0, 0, 3, 3)) == set(range(1, 99, 2))
    assert database.execute("SELECT count(*) FROM t").fetchone() == (1549,)


def test_batches_leave_no_trace() -> None:
    nodes = "SELECT * FROM t_node ORDER BY nodeno"
    one, other = (filled(boxes(4000), batch).execute(nodes).fetchall() for batch in (4000, 77))
    assert one == other


def test_nodes_are_nearly_full_and_no_long_stripes() -> None:
    boxes_N4 = boxes(20_000)
    order, starts = tiled(boxes_N4[:, [0, 2, 1, 3]].astype(np.float32), 51)
    assert sorted(order.tolist()) == list(range(20_000))
    counts = np.diff([*starts, 20_000])
    assert counts.max() <= 51
    assert counts.min() >= 50
    width, height = (
        np.mean(
            np.maximum.reduceat(boxes_N4[order, axis + 2], starts)
            - np.minimum.reduceat(boxes_N4[order, axis], starts)
        )
        for axis in (0, 1)
    )
    assert 0.5 < width / height < 2
