"""Runs a job: detects the footprints of several scenes and writes them as one layer.

One bad scene of several does not stop the good ones; it is listed at the end. A single
scene that fails raises its own error, and nothing is written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from snet4core.errors import Cancelled, InputError, OutputError, OutsideError, Snet4Error
from snet4core.files import outputs
from snet4core.footprints.footprints import Footprints
from snet4core.jobs import overlap
from snet4core.jobs.attempts import Attempt, in_their_turn
from snet4core.jobs.executors import Executor, InProcess, Task, open_tasks
from snet4core.jobs.job import (
    Done,
    Job,
    OtherCrsError,
    Result,
    Shard,
    description_of,
    nothing_written,
    of_another_crs,
)
from snet4core.layers.write import write_layer
from snet4core.maps import file as mapsfile
from snet4core.parts import store as partstore
from snet4core.parts.detect import detect
from snet4core.parts.heights import not_lower
from snet4core.parts.plan import Plan, plan_for, searched
from snet4core.parts.shelf import MemoryStore, PartStore
from snet4core.parts.store import FolderStore
from snet4core.parts.work import Elsewhere, SceneWork
from snet4core.progress import DeferredProgress, Progress

if TYPE_CHECKING:
    from snet4core.maps.predictor import Predictor

log = logging.getLogger("snet4")


def run_job(
    job: Job,
    predictor: Predictor | Elsewhere,
    progress: Progress,
    executor: Executor | None = None,
) -> Done:
    """Find the footprints of all scenes and write them as one layer.

    `executor` computes the parts; without one this process does, with `predictor`. A job with
    a shard ends when its parts are kept.

    Raises the scene's own error when there is only one or the first failure ends the job,
    SomeScenesFailed when all of several failed; nothing is written then, but finished parts
    stay where they are kept. They go once the layer is complete.
    """
    if job.shard is not None:
        return _run_shard(job, predictor, progress, executor)
    if executor is not None:
        return _run_with_executor(job, predictor, progress, executor)
    if job.resume or job.parts is not None:
        return _run_resumable(job, predictor, progress)
    return _run_in_memory(job, predictor, progress)


def _run_in_memory(job: Job, predictor: Predictor | Elsewhere, progress: Progress) -> Done:
    """Compute all parts in this process; none outlives it."""
    return _written(job, predictor, progress, Work(MemoryStore()))


def _run_resumable(job: Job, predictor: Predictor | Elsewhere, progress: Progress) -> Done:
    """Compute in this process the parts that are not in the store, and keep each one there."""
    resumed = job.resumed
    with partstore.opened(job.parts_place) as store:
        return _written_from(store, job, predictor, progress, Work(store, resumed))


def _run_with_executor(
    job: Job, predictor: Predictor | Elsewhere, progress: Progress, executor: Executor
) -> Done:
    """Let `executor` fill the store with all parts, then write the layer from the store."""
    resumed = job.resumed
    with partstore.opened(job.parts_place) as store:
        work = Work(store, resumed)
        _fill(job, predictor, progress, work, executor)
        computed = Elsewhere(predictor.header, predictor.key, predictor.guesser)
        return _written_from(store, job, computed, progress, work)


def _run_shard(
    job: Job, predictor: Predictor | Elsewhere, progress: Progress, executor: Executor | None
) -> Done:
    """Fill the store with the shard's parts and write no layer; other shards may do so too."""
    if executor is None:
        assert not isinstance(predictor, Elsewhere)  # a shard without executor is computed here
        executor = InProcess(predictor)
    with partstore.opened(job.parts_place, alone=False) as store:
        work = Work(store)
        store.note_job([scene.name for scene in job.inputs], searched(job.choices))
        _fill(job, predictor, progress, work, executor)
        return _of_shard(job, work)


def _fill(
    job: Job,
    predictor: Predictor | Elsewhere,
    progress: Progress,
    work: Work,
    executor: Executor,
) -> None:
    """Let the executor compute all parts that are missing."""
    parts = _Parts(progress, work)
    filled = executor.fill(_tasks(job, predictor, work), parts)
    work.failed |= filled.failed
    if filled.done:
        parts.step(filled.done, filled.done, "parts")  # how many there are is known only now


def _written_from(
    store: FolderStore,
    job: Job,
    predictor: Predictor | Elsewhere,
    progress: Progress,
    work: Work,
) -> Done:
    """Write the layer; remove the parts when it is as complete as it can be."""
    done = _written(job, predictor, progress, work)
    if not done.may_be_mended:
        store.remove()
    for location in done.failed:
        # What was computed of a picture that cannot be read goes on with no other one.
        store.forget(location)
    return done


@dataclass(slots=True)
class Work:
    """State shared by the steps of one job."""

    store: PartStore
    resumed: bool = False
    """As in `layers.write_layer`."""
    failed: dict[str, Snet4Error] = field(default_factory=dict)
    """Scenes that a worker could not read."""
    asked: dict[str, list[Task]] = field(default_factory=dict)
    """Of a shard: scene -> the tasks that were given out."""
    first: Plan | None = None
    """Of the first scene that succeeded: the layer has its CRS."""
    tasks: int = 0
    """Given out so far, scene by scene."""
    share: float = 0.0
    """Of the job's scenes, how many are among them, 0..1."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """Progress of an executor, over as many parts as there will be when all scenes are planned."""

    progress: Progress
    work: Work

    def step(self, done: float, total: float, what: str) -> None:
        """Unplanned scenes are taken to have as many parts as the others."""
        expected = round(self.work.tasks / self.work.share) if self.work.share else 0
        self.progress.step(done, max(total, expected), what)

    def cancelled(self) -> bool:
        return self.progress.cancelled()


def _tasks(job: Job, predictor: Predictor | Elsewhere, work: Work) -> Iterator[Task]:
    """Yield a task for every part of every scene that is not in the store yet.

    Where there are at least as many scenes as shards, a shard takes whole scenes, else some
    parts of each. A scene that cannot be used yields none; its error goes to `work.failed`.
    """
    assert isinstance(work.store, FolderStore)  # results travel through files
    shard = job.shard or Shard(0, 1)
    by_scene = len(job.inputs) >= shard.of
    mine = [n for n in range(len(job.inputs)) if not by_scene or shard.has(n)]
    for planned, scene in enumerate([job.inputs[n] for n in mine], 1):
        work.share = planned / len(mine)
        try:
            plan = plan_for(scene, predictor.header, job.scene_choices, predictor.guesser)
            scene_work = SceneWork(plan, keep_maps=job.needs_maps)
            shelf = scene_work.folder_shelf(work.store, predictor)
            chosen = [each for each in scene_work.parts if by_scene or shard.has(each.index)]
            tasks = list(open_tasks(scene_work, shelf, chosen))
        except (Cancelled, OutputError):
            raise
        except OutsideError as problem:
            if len(job.inputs) == 1:
                raise
            if job.shard is not None:
                work.store.note_outside(scene.name, searched(job.choices))
                log.info(problem.sentence)
            continue
        except Snet4Error as problem:
            work.failed[scene.location] = problem
            continue
        work.tasks += len(tasks)
        if job.shard is not None:
            work.asked[scene.location] = [Task(scene_work, shelf, each) for each in chosen]
        yield from tasks


def _of_shard(job: Job, work: Work) -> Done:
    """Outcome of a shard: how many parts belong to it, and which of them are missing."""
    if job.stop_at_error:
        for problem in work.failed.values():
            raise problem
    done = Done(failed={scene: problem.sentence for scene, problem in work.failed.items()})
    for scene, tasks in work.asked.items():
        here = tasks[0].shelf.here() if tasks else set()
        done.parts += len(tasks)
        if scene not in work.failed:
            done.lost += [task.name for task in tasks if task.part.index not in here]
    return done


def _written(job: Job, predictor: Predictor | Elsewhere, progress: Progress, work: Work) -> Done:
    """Detect all scenes and write the layer."""
    done = Done()
    with ExitStack() as stack:
        folder = None
        if job.overlap != "keep":
            folder = stack.enter_context(outputs.scratch_folder(job.output))
        scenes = _scenes(job, predictor, progress, work, done, folder)
        if job.overlap == "keep":
            return _layer(job, scenes, work, done)
        results = overlap.resolved(scenes, job.overlap, done)
        # They are cut anew from the maps, with buildings of every height.
        high = (
            replace(each, batches=not_lower(each.batches, job.choices.height_min_m))
            for each in results
        )
        return _layer(job, high, work, done)


def _layer(job: Job, results: Iterator[Result], work: Work, done: Done) -> Done:
    """Write all results into the layer. Raises SomeScenesFailed when there are none."""
    first = next(results, None)
    if first is None:
        raise nothing_written(done)

    def stream() -> Iterator[Footprints]:
        for each in chain([first], results):
            for batch in each.batches:
                done.found[each.location] = done.found.get(each.location, 0) + len(batch)
                yield batch

    done.footprints = write_layer(
        job.output,
        stream(),
        first.plan.grid.crs,
        description_of([each.name for each in job.inputs], first.description),
        csv=job.csv,
        roofs=job.choices.roofs,
        roofs_file=job.roofs_file,
        overwrite=job.overwrite,
        resumed=work.resumed,
    )
    return done


def _say(plan: Plan, said: dict[str, int]) -> None:
    """Log a scene's warnings; one that another scene had too, but for its name, only as info.

    `said` counts them from scene to scene: a thousand tiles of one kind give one line.
    """
    for warning in plan.warnings:
        general = warning.replace(plan.scene.admitted.shown, "").replace(plan.scene.location, "")
        said[general] = said.get(general, 0) + 1
        log.log(logging.WARNING if said[general] == 1 else logging.INFO, warning)
        if said[general] == 2:
            log.warning(
                "More scenes have that (snet4 -v run shows which): %s", general.strip(" :")[:60]
            )


def _scenes(
    job: Job,
    predictor: Predictor | Elsewhere,
    progress: Progress,
    work: Work,
    done: Done,
    folder: Path | None,
) -> Iterator[Result]:
    """Yield the result of every scene that succeeded; the others are noted in `done`.

    `folder` is where maps are kept that the user did not ask for.
    """
    attempts = _attempts(job, predictor, progress, work, folder)
    said: dict[str, int] = {}
    for attempt in in_their_turn(attempts, min(len(job.inputs), predictor.together)):
        if attempt.found is not None:
            _say(attempt.found.plan, said)
            for value in attempt.found.plan.description.values():
                log.info(value)
        # A scene is complete before it goes into the layer: half of one must not stay there
        # when its last rows cannot be read.
        attempt.compute()
        found, batch = attempt.found, attempt.batch
        if attempt.problem is None and found is not None:
            attempt.problem = _other_crs(found.plan, work)
        if attempt.problem is not None:
            _note(attempt, attempt.problem, job, done)
            continue
        assert found is not None  # or there was a problem
        assert batch is not None
        work.first = work.first or found.plan
        done.lost += found.lost
        batches = chain([batch], found.footprints)
        yield Result(attempt.location, found.plan, batches, found.plan.description, attempt.maps)


def _note(attempt: Attempt, problem: Snet4Error, job: Job, done: Done) -> None:
    """Note why a scene has no footprints; raises it where that ends the job."""
    if isinstance(problem, OutsideError) and len(job.inputs) > 1:
        log.info(problem.sentence)
        done.outside[attempt.location] = problem.sentence
        return
    if job.stop_at_error:
        raise problem
    log.warning(problem.sentence)
    done.failed[attempt.location] = problem.sentence
    if isinstance(problem, OtherCrsError):
        done.other_crs.append(attempt.location)


def _attempts(
    job: Job,
    predictor: Predictor | Elsewhere,
    progress: Progress,
    work: Work,
    folder: Path | None,
) -> Iterator[Attempt]:
    """Yield an attempt for every scene, planned where that succeeded; see `_scenes`."""
    for number, scene in enumerate(job.inputs):
        maps = None if folder is None else folder / f"result-{number}.tif"
        if job.maps is not None:
            maps = job.maps_of(scene)
        attempt = Attempt(scene.location, maps, DeferredProgress(progress))
        try:
            if scene.location in work.failed:
                raise work.failed[scene.location]
            found = detect(
                scene,
                predictor,
                job.scene_choices,
                attempt.progress,
                maps,
                overwrite=job.overwrite or (work.resumed and mapsfile.is_own(maps)),
                store=work.store,
            )
            attempt.problem = _other_crs(found.plan, work)
            attempt.found = found if attempt.problem is None else None
        except (Cancelled, OutputError):  # neither is the fault of this scene
            raise
        except Snet4Error as problem:
            attempt.problem = problem
        yield attempt


def _other_crs(plan: Plan, work: Work) -> InputError | None:
    first = work.first or plan
    scenes = plan.scene.location, plan.grid.crs, first.scene.location, first.grid.crs
    return of_another_crs(*scenes)
