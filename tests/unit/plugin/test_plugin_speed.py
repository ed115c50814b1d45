"""The estimate of a run's time, from any runs before it."""

from __future__ import annotations

import itertools
import math
from random import Random
from typing import NamedTuple

import pytest

from qgis_plugin import speed
from qgis_plugin.speed import Run

SIZES = (0.3, 1.0, 4.0, 16.0, 64.0)


class Machine(NamedTuple):
    """What runs cost on it, in seconds."""

    start_s: float
    fixed_s: float
    rate_s: float

    def run(self, megapixels: float, slower: float = 1.0, cold: float = 1.0) -> Run:
        work_s = (self.fixed_s + self.rate_s * megapixels) * slower
        return Run(megapixels, self.start_s * slower * cold, work_s)

    def truth_s(self, megapixels: float) -> float:
        return sum(self.run(megapixels)[1:])


TWO_CORES = Machine(2.0, 3.0, 1.3)


@pytest.mark.parametrize(
    "sizes", [each for n in (1, 2) for each in itertools.product(SIZES, repeat=n)]
)
def test_any_sequence_of_runs_gives_a_factor_of_two(sizes: tuple[float, ...]) -> None:
    runs: list[Run] = []
    for number, size in enumerate(sizes):
        runs = speed.remembered(runs, TWO_CORES.run(size, (0.85, 1.15)[number % 2]))
    for asked in SIZES:
        said_s = speed.estimate_s(asked, runs, common_rate_s=2.0)
        assert 0.5 < said_s / TWO_CORES.truth_s(asked) < 2.0, (sizes, asked)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_sequences_on_random_machines_give_a_factor_of_two(seed: int) -> None:
    """Hundred machines, each up to 1.5 times unlike that of two cores in every part; 1 to 8 runs,
    of any sizes, of one, small ones alone or large ones alone; each a little off, the first at
    times on a cold disk."""
    random = Random(seed)

    def between(low: float, high: float) -> float:
        return math.exp(random.uniform(math.log(low), math.log(high)))

    for _ in range(100):
        machine = Machine(*(cost * between(0.67, 1.5) for cost in TWO_CORES))
        low, high = random.choice([(0.3, 64), (0.3, 64), (0.3, 2), (16, 64)])
        one = between(low, high) if random.random() < 0.2 else None
        runs: list[Run] = []
        for number in range(random.randint(1, 8)):
            cold = random.choice([1.0, 1.0, 2.5]) if number == 0 else 1.0
            slower = math.exp(random.gauss(0, 0.12))
            runs = speed.remembered(
                runs, machine.run(one or between(low, high), slower=slower, cold=cold)
            )
        asked = between(0.3, 64)
        said_s = speed.estimate_s(asked, runs, common_rate_s=2.0)
        assert 0.5 < said_s / machine.truth_s(asked) < 2.0, (machine, runs, asked)


@pytest.mark.parametrize("machine", [(1, 1, 0.3), (16, 25, 7.7)])
@pytest.mark.parametrize("size", [1.0, 64.0])
def test_one_run_tells_of_a_machine_unlike_the_common_one(
    machine: tuple[float, float, float], size: float
) -> None:
    unlike = Machine(*machine)
    for asked in SIZES:
        said_s = speed.estimate_s(asked, [unlike.run(size)] * 2, common_rate_s=2.0)
        assert 0.5 < said_s / unlike.truth_s(asked) < 2.0, asked


def test_many_small_runs_push_no_large_one_out() -> None:
    runs = [Run(64.0, 4.0, 86.0)]
    for _ in range(50):
        runs = speed.remembered(runs, Run(0.3, 4.0, 0.5))
    assert runs == [Run(64.0, 4.0, 86.0), *[Run(0.3, 4.0, 0.5)] * 3]


def test_a_run_that_took_no_time_is_not_remembered() -> None:
    assert speed.remembered([], Run(1.0, -0.1, 2.0)) == []


@pytest.mark.parametrize(
    "text", ["", "null", "[1]", '[["a", 2, 3]]', "[[0, 1, 1]]", "[[1, 2]]", "{"]
)
def test_damaged_settings_hold_no_runs(text: str) -> None:
    assert speed.from_text(text) == []


def test_settings_bring_the_runs_back() -> None:
    runs = [Run(0.3, 4.0, 0.5), Run(64.0, 4.0, 86.25)]
    assert speed.from_text(speed.to_text(runs)) == runs
