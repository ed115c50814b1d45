"""The bar tells the time left, also of runs that are resumed or limited by time."""

from __future__ import annotations

import io
import sys

import pytest

from snet4_cli.bar import Bar


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
    assert "900/1000 [00:00<?" in terminal.getvalue()


def test_nobody_looks_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    with Bar() as bar:
        bar.step(1, 2, "steps")
    assert not shown.getvalue()
