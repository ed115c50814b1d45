"""Several scenes under way: small ones at once, large ones in their turn, all in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from snet4core.errors import Cancelled, InputError
from snet4core.jobs.attempts import SMALL_PX, Attempt, in_their_turn
from snet4core.progress import DeferredProgress, Silent

SMALL, LARGE = (100, 100), (SMALL_PX, 2)


def attempt(
    name: str,
    work: Callable[[], Any] = lambda: "footprints",
    shape: tuple[int, int] = SMALL,
    progress: Silent | None = None,
) -> Attempt:
    """A scene of a size, whose footprints are what `work` returns."""

    def footprints() -> Iterator[Any]:
        yield work()

    found: Any = SimpleNamespace(
        plan=SimpleNamespace(grid=SimpleNamespace(shape=shape)), footprints=footprints()
    )
    return Attempt(name, None, DeferredProgress(progress or Silent()), found)


def test_small_scenes_are_computed_at_once() -> None:
    meeting = threading.Barrier(2, timeout=20)
    scenes = [attempt(name, meeting.wait) for name in "abcd"]
    assert [each.location for each in in_their_turn(scenes, 2)] == ["a", "b", "c", "d"]
    assert all(each.batch is not None for each in scenes)


def test_a_large_scene_is_left_to_its_turn() -> None:
    scenes = [attempt("a"), attempt("b", shape=LARGE), attempt("c")]
    found = list(in_their_turn(scenes, 2))
    batches: list[object] = [each.batch for each in found]
    assert batches == ["footprints", None, "footprints"]
    found[1].compute()
    assert found[1].batch is not None


def test_one_at_a_time_needs_no_thread() -> None:
    scene = attempt("a", threading.current_thread)
    for each in in_their_turn([scene], 1):
        each.compute()
    where: object = scene.batch
    assert where is threading.main_thread()


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_a_scene_keeps_its_own_fault_and_the_others_go_on(shape: tuple[int, int]) -> None:
    def fail() -> None:
        raise InputError("b.tif is damaged")

    scenes = [attempt("a"), attempt("b", fail, shape), attempt("c")]
    problems = []
    for each in in_their_turn(scenes, 2):
        each.compute()
        problems.append(each.problem)
    assert [str(each) for each in problems] == ["None", "b.tif is damaged", "None"]


def test_a_cancel_ends_all_in_its_turn() -> None:
    def cancelled() -> None:
        raise Cancelled("Stopped on request; nothing was written.")

    coming = in_their_turn(iter([attempt("a"), attempt("b", cancelled), attempt("c")]), 2)
    assert next(coming).location == "a"
    with pytest.raises(Cancelled):
        next(coming)


class Watched(Silent):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[float, float, str]] = []
        self.stop = False

    def step(self, done: float, total: float, what: str) -> None:
        self.told.append((done, total, what))

    def cancelled(self) -> bool:
        return self.stop


def test_what_runs_ahead_says_nothing_before_its_turn() -> None:
    watched = Watched()
    later = DeferredProgress(watched)
    later.step(0.0, 8.0, "b")
    later.step(8.0, 8.0, "b")
    assert watched.told == []
    later.begin()
    assert watched.told == [(8.0, 8.0, "b")]
    later.step(9.0, 9.0, "b")
    assert watched.told[-1] == (9.0, 9.0, "b")
    watched.stop = True
    assert later.cancelled()


def test_a_location_and_a_file_of_maps_go_with_it() -> None:
    scene = Attempt(
        "a.tif", Path("a_maps.tif"), DeferredProgress(Silent()), problem=InputError("gone")
    )
    assert next(iter(in_their_turn([scene], 2))) is scene
    assert (scene.location, scene.maps, scene.batch) == ("a.tif", Path("a_maps.tif"), None)
