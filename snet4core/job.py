"""Several scenes into one layer: what can fail is said first, what fails is named.

One bad scene of several does not stop the good ones; it is listed at the end. A single
scene that fails raises its own error, and nothing is written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from snet4core import layers, outputs
from snet4core.detect import detect
from snet4core.errors import Cancelled, InputError, Snet4Error, SomeScenesFailed, UsageError
from snet4core.footprints import Footprints
from snet4core.plan import Choices, Plan
from snet4core.progress import Progress
from snet4core.scene_inputs import SceneInput

if TYPE_CHECKING:
    from snet4core.predict import Predictor

log = logging.getLogger("snet4")


@dataclass(frozen=True, slots=True)
class Job:
    """Which scenes, how, and where the results go."""

    inputs: tuple[SceneInput, ...]
    """The scenes, each once."""
    choices: Choices
    """What the user chose."""
    output: Path
    """The layer."""
    csv: Path | None = None
    """The SpaceNet table beside it."""
    maps: Path | None = None
    """Where maps are kept: a file for one scene, a folder for several."""
    overwrite: bool = False
    """Whether files that exist may be replaced."""
    stop_at_error: bool = False
    """Whether the first scene that fails ends the job."""

    def check_places(self) -> None:
        """Raise OutputError or UsageError before any work if a result could not be written."""
        sources = [Path(each.location) for each in self.inputs]
        layers.check(self.output, csv=self.csv, overwrite=self.overwrite, inputs=sources)
        if self.maps is None:
            return
        if len(self.inputs) > 1 and not self.maps.is_dir():
            raise UsageError(
                f"{self.maps}: several scenes need a folder for their maps; create it first."
            )
        for each in self.inputs:
            outputs.check(self.maps_of(each), overwrite=self.overwrite, inputs=sources)

    def maps_of(self, scene: SceneInput) -> Path:
        """The maps file of one scene."""
        assert self.maps is not None  # asked only when maps are kept
        if self.maps.is_dir():
            return self.maps / f"{Path(scene.location).stem}_maps.tif"
        return self.maps


@dataclass(slots=True)
class Done:
    """What came of a job."""

    footprints: int = 0
    """How many were written."""
    found: dict[str, int] = field(default_factory=dict)
    """Scene -> footprints in it."""
    failed: dict[str, str] = field(default_factory=dict)
    """Scene -> the sentence that says why there are none of it."""


def run_job(job: Job, predictor: Predictor, progress: Progress) -> Done:
    """Find the footprints of all scenes and write them as one layer.

    Raises the scene's own error when there is only one or the first failure ends the job,
    SomeScenesFailed when all of several failed; nothing is written then.
    """
    done = Done()
    results = _results(job, predictor, progress, done)
    first = next(results, None)
    if first is None:
        raise SomeScenesFailed(
            f"All {len(job.inputs)} scenes failed, nothing was written: "
            + "; ".join(done.failed.values())
        )
    plan, batches = first

    def stream() -> Iterator[Footprints]:
        yield from batches
        for _, more in results:
            yield from more

    done.footprints = layers.write(
        job.output,
        stream(),
        plan.grid.crs,
        plan.description,
        csv=job.csv,
        overwrite=job.overwrite,
    )
    return done


def _results(
    job: Job, predictor: Predictor, progress: Progress, done: Done
) -> Iterator[tuple[Plan, list[Footprints]]]:
    """Plan and footprints of every scene that went well; the others are noted in `done`."""
    first: Plan | None = None
    for scene in job.inputs:
        try:
            maps = None if job.maps is None else job.maps_of(scene)
            found = detect(scene, predictor, job.choices, progress, maps, overwrite=job.overwrite)
            first = first or found.plan
            _refuse_other_crs(found.plan, first)
            for warning in found.plan.warnings:
                log.warning("%s", warning)
            for value in found.plan.description.values():
                log.info("%s", value)
            # A scene is complete before it goes into the layer: half of one must not stay
            # there when its last rows cannot be read.
            batches = list(found.footprints)
        except Cancelled:
            raise
        except Snet4Error as problem:
            if job.stop_at_error:
                raise
            log.warning("%s", problem)
            done.failed[scene.location] = str(problem)
            continue
        done.found[scene.location] = sum(map(len, batches))
        yield found.plan, batches


def _refuse_other_crs(plan: Plan, first: Plan) -> None:
    """One layer has one CRS: that of the first scene."""
    if plan.grid.crs != first.grid.crs:
        raise InputError(
            f"{plan.scene.location}: is in {plan.grid.crs.to_string()[:60]}, but "
            f"{first.scene.location} in {first.grid.crs.to_string()[:60]}; run them into two files."
        )
