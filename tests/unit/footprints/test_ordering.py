"""Footprints in order, however many there are and wherever they wait meanwhile."""

from __future__ import annotations

import random
import tempfile

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from snet4core.errors import OutputError
from snet4core.footprints import ordering
from snet4core.footprints.footprints import Footprints, Source, from_arrays, to_arrays
from snet4core.footprints.ordering import in_order
from snet4core.footprints.polygons import Shapes

SOURCE = Source("scene.tif", CRS.from_epsg(32616))


def table(cells: list[tuple[int, int]]) -> Footprints:
    """Houses with anchors at some rows and columns; the map is half of the pixels."""
    row_N, col_N = np.array(cells, np.int64).reshape(-1, 2).T
    boxes = np.asarray(shapely.box(col_N, row_N, col_N + 1, row_N + 1), object)
    return Footprints.of(
        SOURCE,
        np.asarray(shapely.transform(boxes, lambda xy: xy * 0.5), object),
        boxes,
        np.stack([row_N, col_N], axis=1),
        np.round(row_N / 1000, 4),
        col_N / 7,
    )


def told(batches: list[Footprints]) -> list[tuple[object, ...]]:
    return [(f.footprint_id, f.polygon.wkb, f.confidence, f.area_m2) for b in batches for f in b]


@settings(max_examples=40, deadline=None)
@given(
    cells=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), unique=True, max_size=80),
    seed=st.integers(0, 99),
    run=st.integers(1, 40),
    block=st.integers(1, 9),
    size=st.integers(1, 20),
)
def test_it_plays_no_part_what_waited_in_a_file(
    cells: list[tuple[int, int]], seed: int, run: int, block: int, size: int
) -> None:
    expected = told(list(in_order(SOURCE, [table(sorted(cells))])))
    random.Random(seed).shuffle(cells)
    batches = [table(cells[at : at + size]) for at in range(0, len(cells), size)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "RUN", run)
        patch.setattr(ordering, "BLOCK", block)
        patch.setattr(ordering, "BATCH", 7)
        found = list(in_order(SOURCE, batches))
    assert told(found) == expected
    # Formats that keep groups of rows must find the same groups.
    assert [len(each) for each in found[:-1]] == [7] * (len(found) - 1)


def test_nothing_comes_out_before_all_went_in() -> None:
    taken = []

    def batches() -> object:
        for row in range(5):
            taken.append(row)
            yield table([(row, 0)])

    next(in_order(SOURCE, batches()))  # type: ignore[arg-type]
    assert taken == [0, 1, 2, 3, 4]


def test_memory_holds_few_blocks_of_runs_that_come_row_by_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ordering, "RUN", 100)
    monkeypatch.setattr(ordering, "BLOCK", 10)
    monkeypatch.setattr(ordering, "BATCH", 20)
    largest = 0
    sort = ordering._sorted

    def watched(some: Footprints) -> Footprints:
        nonlocal largest
        largest = max(largest, len(some))
        return sort(some)

    monkeypatch.setattr(ordering, "_sorted", watched)
    # Two columns of parts: the left one's rows 10 to 19 come before the right one's.
    batches = [
        table([(row + at, col + side) for at in range(10) for col in range(5)])
        for row in range(0, 1000, 10)
        for side in (0, 50)
    ]
    assert sum(map(len, in_order(SOURCE, batches))) == 10_000
    assert largest <= 200


def test_a_full_disk_is_said_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def close(self) -> None:
            pass

        def seek(self, *_: int) -> int:
            return 0

        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(ordering, "RUN", 1)
    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(OutputError, match=r"no space left on device.*TMPDIR"):
        list(in_order(SOURCE, [table([(1, 1)])]))


def test_arrays_give_the_same_table_back() -> None:
    before = table([(3, 4), (5, 6)])
    after = from_arrays(to_arrays(before), SOURCE)
    assert told([after]) == told([before])
    assert shapely.equals_exact(after.polygons_px_N, before.polygons_px_N, 0.0).all()
    assert np.array_equal(after.shapes.boxes_N4, shapely.bounds(before.polygons_N))
    assert len(from_arrays(to_arrays(before[:0]), SOURCE)) == 0


def test_some_shapes_are_replaced_and_the_others_stay() -> None:
    shapes = Shapes.of(np.array([shapely.box(0, 0, n, 1) for n in (1, 2, 3)]))
    changed = shapes.replaced(np.array([1]), np.array([shapely.box(5, 5, 6, 6)]))
    assert changed.boxes_N4.tolist() == [[0, 0, 1, 1], [5, 5, 6, 6], [0, 0, 3, 1]]
    assert changed.polygons_N[1].equals(shapely.box(5, 5, 6, 6))
    assert shapes.boxes_N4[1].tolist() == [0, 0, 2, 1]
