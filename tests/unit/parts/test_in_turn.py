"""Work done elsewhere, one order, and nothing lost when something goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from snet4core.parts.in_turn import in_turn


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as threads:
        yield threads


@pytest.mark.parametrize("ahead", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_results_come_in_the_order_of_the_pieces(
    pool: ThreadPoolExecutor, ahead: int, count: int
) -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.003 if number % 3 == 0 else 0)
        return number * number

    assert list(in_turn(slow_first, range(count), pool, ahead)) == [n * n for n in range(count)]


def test_pieces_are_taken_where_the_results_are_and_not_far_ahead(
    pool: ThreadPoolExecutor,
) -> None:
    taken: list[int] = []

    def pieces() -> Iterator[int]:
        for number in range(50):
            assert threading.current_thread() is threading.main_thread()
            taken.append(number)
            yield number

    for number in in_turn(abs, pieces(), pool, 3):
        assert len(taken) <= number + 4


def test_several_are_worked_on_at_once(pool: ThreadPoolExecutor) -> None:
    meeting = threading.Barrier(3, timeout=20)
    assert len(list(in_turn(lambda _: meeting.wait(), range(3), pool, 3))) == 3


def test_what_goes_wrong_comes_in_its_turn(pool: ThreadPoolExecutor) -> None:
    def work(number: int) -> int:
        if number == 4:
            raise ValueError("the fourth")
        return number

    found: list[int] = []
    with pytest.raises(ValueError, match="the fourth"):
        found.extend(in_turn(work, range(10), pool, 3))
    assert found == [0, 1, 2, 3]


def test_pieces_that_stop_coming_lose_none_before_them(pool: ThreadPoolExecutor) -> None:
    def pieces() -> Iterator[int]:
        yield from range(4)
        raise OSError("the disk is gone")

    found: list[int] = []
    with pytest.raises(OSError, match="the disk is gone"):
        found.extend(in_turn(abs, pieces(), pool, 3))
    assert found == [0, 1, 2, 3]


def test_of_who_stops_early_what_waits_is_cancelled(pool: ThreadPoolExecutor) -> None:
    worked: list[int] = []
    gate = threading.Event()

    def work(number: int) -> int:
        gate.wait(0 if number == 0 else 20)
        worked.append(number)
        return number

    results = in_turn(work, range(100), pool, 10)
    next(results)
    results.close()  # type: ignore[attr-defined]  # a generator
    gate.set()
    pool.shutdown()
    assert len(worked) <= 4
