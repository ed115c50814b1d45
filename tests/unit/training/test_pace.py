"""How long the network waits for its chips."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from snet4_training.loop import pace as rooms  # after the skip
from snet4_training.loop.pace import Pace


class Clock:
    """Goes only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rooms, "time", clock)
    return clock


def test_waiting_is_the_share_of_the_time_in_which_batches_are_awaited(clock: Clock) -> None:
    def slow() -> Iterator[int]:
        for number in range(4):
            clock.now_s += 1.0
            yield number

    pace = Pace()
    for number in pace.watched(slow()):
        clock.now_s += 3.0  # the step itself
        pace.add(float(number))
    lately = pace.lately()
    assert lately.loss == 1.5
    assert lately.waiting == pytest.approx(4 / 16)


def test_every_report_begins_anew(clock: Clock) -> None:
    pace = Pace()
    steps = pace.watched(iter("ab"))
    next(steps)
    clock.now_s += 2.0
    pace.add(5.0)
    assert pace.lately().loss == 5.0
    clock.now_s += 1.0
    pace.add(1.0)
    assert pace.lately() == rooms.Lately(1.0, 0.0)


def test_all_batches_come_through_in_their_order() -> None:
    assert list(Pace().watched(range(5))) == [0, 1, 2, 3, 4]
