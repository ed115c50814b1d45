"""The estimate of a run's time, from any runs before it."""

from __future__ import annotations

import itertools

import pytest

from qgis_plugin import speed
from qgis_plugin.speed import Run

SIZES = (0.3, 1.0, 4.0, 16.0, 64.0)


def truth_s(megapixels: float) -> float:
    """A machine of two cores, as measured."""
    return 4.0 + 1.3 * megapixels


@pytest.mark.parametrize(
    "sizes", [each for n in (1, 2) for each in itertools.product(SIZES, repeat=n)]
)
def test_any_sequence_of_runs_gives_a_factor_of_two(sizes: tuple[float, ...]) -> None:
    runs: list[Run] = []
    for number, size in enumerate(sizes):
        noise = (0.85, 1.15)[number % 2]
        runs = speed.remembered(runs, Run(size, truth_s(size) * noise))
    for asked in SIZES:
        said_s = speed.estimate_s(asked, runs, common_rate_s=2.0)
        assert 0.5 < said_s / truth_s(asked) < 2.0, (sizes, asked)


@pytest.mark.parametrize(("start_s", "rate_s"), [(1, 0.05), (30, 8), (12, 0.3)])
def test_machines_unlike_the_common_one_are_learned(start_s: float, rate_s: float) -> None:
    runs = [Run(size, start_s + rate_s * size) for size in (0.3, 64.0)]
    for asked in SIZES:
        said_s = speed.estimate_s(asked, runs, common_rate_s=2.0)
        assert 0.5 < said_s / (start_s + rate_s * asked) < 2.0, asked


def test_many_small_runs_push_no_large_one_out() -> None:
    runs = [Run(64.0, 90.0)]
    for _ in range(50):
        runs = speed.remembered(runs, Run(0.3, 4.5))
    assert runs == [Run(64.0, 90.0), *[Run(0.3, 4.5)] * 3]


@pytest.mark.parametrize("text", ["", "null", "[1]", '[["a", 2]]', "[[0, 1]]", "{"])
def test_damaged_settings_hold_no_runs(text: str) -> None:
    assert speed.from_text(text) == []


def test_settings_bring_the_runs_back() -> None:
    runs = [Run(0.3, 4.5), Run(64.0, 90.25)]
    assert speed.from_text(speed.to_text(runs)) == runs
