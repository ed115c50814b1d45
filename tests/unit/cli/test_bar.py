"""The bar tells the time left, also of runs that are resumed or limited by time."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from snet4_cli.bar import Bar
from snet4_cli.telling import Console
from snet4core.progress import Pace, Step


class Terminal(io.StringIO):
    """Where somebody looks on."""

    def isatty(self) -> bool:
        return True


def test_a_total_that_changes_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Bar() as bar:
        bar.step(10, 100, "steps")
        bar.step(20, 50, "steps")
    assert "20/50" in terminal.getvalue().split("\r")[-1]
    assert "40%" in terminal.getvalue().split("\r")[-1]


def test_what_was_done_before_says_nothing_of_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a resumed run would claim that the rest takes no time."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Bar() as bar:
        bar.step(900, 1000, "steps")
    assert "900/1000" in terminal.getvalue()
    assert "left" not in terminal.getvalue()


def test_nobody_looks_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    with Bar() as bar:
        bar.step(1, 2, "steps")
    assert not shown.getvalue()


def test_a_program_reads_a_line_for_each_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Bar("json", quiet=True) as bar:
        bar.step(0, 4.5, Step('a"b\nc.tif', "MPix"))
        bar.step(1, 4.5, Step('a"b\nc.tif', "MPix"))  # too soon after the first
        bar.step(4.5, 4.5, Step('a"b\nc.tif', "MPix"))
        bar.step(0, 0, "parts")  # before it is known how many there are
        bar.step(1, 2, "tiles")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(each["step"], each["done"], each["unit"]) for each in lines] == [
        ('a"b\nc.tif', 0, "MPix"), ('a"b\nc.tif', 4.5, "MPix"),
        ("parts", 0, "parts"), ("tiles", 1, "tiles"),
    ]  # fmt: skip
    assert [each["seconds_left"] for each in lines] == [None, 0, None, None]
    assert all(
        list(each) == ["step", "done", "total", "unit", "seconds", "seconds_left"] for each in lines
    )


def test_a_log_line_clears_the_bar_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    console = Console(terminal)
    with Bar() as bar:
        bar.step(1, 2, "tiles")
        console.emit(logging.LogRecord("snet4", logging.WARNING, "", 0, "A warning.", (), None))
        bar.step(2, 2, "tiles")
    shown = [line.split("\r")[-1] for line in terminal.getvalue().split("\n")]
    assert shown[0] == "A warning."  # and nothing of the bar before it on its line
    assert "2/2 tiles" in shown[1]


# --- the time left ---


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def lefts(spans_s: list[float], done_before: int = 0) -> list[tuple[float, float | None]]:
    """(seconds that are left in truth, seconds told) after each unit, which take `spans_s`."""
    clock = Clock()
    pace, total = Pace(clock), done_before + len(spans_s)
    pace.left_s(done_before, total)
    told = []
    for number, span_s in enumerate(spans_s):
        clock.now_s += span_s
        left_s = pace.left_s(done_before + number + 1, total)
        told.append((sum(spans_s[number + 1 :]), left_s))
    return told


@pytest.mark.parametrize(
    "spans_s",
    [
        [1.0] * 100,
        [0.01] * 5000,
        [6.0] + [1.0] * 99,  # the network loads
        [0.0] * 7 + [8.0] + ([0.0] * 7 + [8.0]) * 30,  # eight windows at once
    ],
    ids=["even", "quick", "slow start", "bunches"],
)
def test_the_time_left_is_right_within_a_fifth_after_a_tenth(spans_s: list[float]) -> None:
    told = lefts(spans_s)
    checked = 0
    for true_s, left_s in told[len(told) // 8 : len(told) * 9 // 10]:
        assert left_s is not None
        assert abs(left_s - true_s) <= 0.2 * true_s + max(spans_s[1:])
        checked += 1
    assert checked > 50


def test_parts_that_a_resumed_run_takes_from_the_shelf_are_soon_forgotten() -> None:
    told = lefts([0.001] * 500 + [1.0] * 500)
    true_s, left_s = told[520]
    assert left_s == pytest.approx(true_s, rel=0.2)
