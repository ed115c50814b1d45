"""Runs each scene as a job of its own with its own output: `-o 'out/{scene}.gpkg'`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from snet4core.errors import (
    Cancelled,
    EngineError,
    OutputError,
    OutsideError,
    Snet4Error,
    UsageError,
)
from snet4core.files.names import printable, same_file_key
from snet4core.jobs.job import Done, Job, Shard, nothing_written
from snet4core.jobs.run import run_job
from snet4core.parts import store as partstore
from snet4core.progress import Progress

if TYPE_CHECKING:
    from snet4core.jobs.executors import Executor
    from snet4core.maps.predictor import Predictor
    from snet4core.parts.work import Elsewhere

log = logging.getLogger("snet4")

SCENE = "{scene}"
"""Stands for the scene's name in the name of a result."""


def names_scenes(output: Path) -> bool:
    """Whether the output is a pattern with `{scene}`: one file for each scene."""
    return SCENE in str(output)


def each_scene(job: Job) -> list[Job]:
    """Split a job with `{scene}` in its output into one job per scene, of its shard only.

    Each of them writes its layer, so shards leave nothing to be merged. UsageError when two
    scenes would be written to one file, or where one file is needed; OutputError when a result
    would replace another, or what any of the scenes' runs reads.
    """
    if job.parts is not None:
        raise UsageError(f"--parts is the place of one layer; leave it out with {SCENE} in OUT.")
    if job.overlap != "keep":
        raise UsageError(
            f"--overlap makes one layer of several scenes; name it without {SCENE} in it."
        )
    by_output: dict[str, Job] = {}
    shard = job.shard or Shard(0, 1)
    for scene in job.inputs:
        stem = scene.name
        output = Path(str(job.output).replace(SCENE, stem))
        csv, roofs, maps = (
            None if each is None else Path(str(each).replace(SCENE, stem))
            for each in (job.csv, job.roofs_file, job.maps)
        )
        key = same_file_key(output)
        if key in by_output:
            other = by_output[key].inputs[0]
            raise UsageError(
                f"{printable(scene.location)} and {printable(other.location)} would both be "
                f"written to {printable(output)}; run them apart."
            )
        by_output[key] = replace(
            job, inputs=(scene,), output=output, csv=csv, roofs_file=roofs, maps=maps, shard=None
        )
    for each in (job.csv, job.roofs_file, job.maps):
        if each is None or SCENE in str(each) or (each == job.maps and each.is_dir()):
            continue
        if len(job.inputs) > 1:
            raise UsageError(f"{printable(each)} would hold one scene; put {SCENE} in its name.")
    job.check_together(by_output.values())
    return [each for number, each in enumerate(by_output.values()) if shard.has(number)]


def open_jobs(jobs: list[Job]) -> list[Job]:
    """Jobs still to be run: with `resume`, an output without a parts folder is complete, where all
    else that was asked for is there. With which settings it was made is not looked at."""
    return [job for job in jobs if not (job.resume and _is_complete(job))]


def _is_complete(job: Job) -> bool:
    try:
        maps = None if job.maps is None else job.maps_of(job.inputs[0])
        results = (job.output, job.csv, job.roofs_file, maps)
        there = all(each is None or each.is_file() for each in results)
        return there and not partstore.begun(job.parts_place)
    except OSError:  # a name too long to exist
        return False


def run_each(
    jobs: list[Job],
    predictor: Predictor | Elsewhere,
    progress: Progress,
    executor: Executor | None = None,
    *,
    is_share: bool = False,
) -> Done:
    """Run the jobs that are still open, one after another.

    Scenes that fail are noted, and errors raised, as in `run_job`; that all lie outside of what
    is searched is none where they are a share of others.
    """
    still = open_jobs(jobs)
    open_outputs = {each.output for each in still}
    done = Done(
        left_alone=[str(each.output) for each in jobs if each.output not in open_outputs],
    )
    for job, found in _runs(still, predictor, progress, executor, done):
        done.footprints += found.footprints
        done.found |= found.found
        done.lost += found.lost
        done.parts += found.parts
        log.info("%d footprints in %s", found.footprints, printable(job.output))
    if done.outside and not (is_share or done.found or done.failed or done.left_alone):
        raise nothing_written(done)
    return done


def _runs(
    jobs: list[Job],
    predictor: Predictor | Elsewhere,
    progress: Progress,
    executor: Executor | None,
    done: Done,
) -> Iterator[tuple[Job, Done]]:
    for job in jobs:
        scene = job.inputs[0].location
        try:
            yield job, run_job(replace(job, stop_at_error=True), predictor, progress, executor)
        except (Cancelled, OutputError, EngineError):  # none is the fault of this scene
            raise
        except OutsideError as problem:
            log.info(problem.sentence)
            done.outside[scene] = problem.sentence
        except Snet4Error as problem:
            if job.stop_at_error:
                raise
            log.warning(problem.sentence)
            done.failed[scene] = problem.sentence
