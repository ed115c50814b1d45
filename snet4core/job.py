"""A job as values: its scenes and options, where results go, and its outcome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from snet4core import layers, outputs, partstore
from snet4core.errors import OutputError, UsageError
from snet4core.footprints import Footprints
from snet4core.places import Place
from snet4core.plan import Choices, Plan
from snet4core.scene_inputs import SceneInput
from snet4core.scenework import Elsewhere, SceneWork
from snet4core.sentence import joined
from snet4core.text import printable

Overlap = Literal["keep", "best-look", "fuse"]


@dataclass(frozen=True, slots=True)
class Shard:
    """Share `number` of `of` equal shares of a job; 0 and `of` mean the same share."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not (0 <= self.number <= self.of and self.of >= 1):
            raise UsageError(
                f"There is no shard {self.number}/{self.of}; give I/N with I from 1 to N."
            )

    def has(self, index: int) -> bool:
        """Whether the item with this index belongs to the share."""
        return index % self.of == self.number % self.of


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
    resume: bool = False
    """Whether finished parts are kept beside the layer, and those that are there are used."""
    overlap: Overlap = "keep"
    """Where scenes overlap: keep every scene's footprints, those of the best look, or those of
    all looks fused."""
    shard: Shard | None = None
    """Which share of the parts is computed, to be merged later; no layer is written then."""
    parts: Place | None = None
    """Where finished parts are kept; None: beside the layer, where they must outlive a kill."""

    @property
    def needs_maps(self) -> bool:
        """Whether maps are computed to be kept, for the user or for the overlaps."""
        return self.maps is not None or self.overlap != "keep"

    @property
    def parts_place(self) -> Place:
        """Where parts are kept until the layer is complete."""
        return self.parts or partstore.place_beside(self.output)

    @property
    def resumed(self) -> bool:
        """Whether an earlier run left parts that this one goes on with."""
        goes_on = self.resume or self.shard is not None
        return goes_on and partstore.begun(self.parts_place)

    def check_places(self) -> None:
        """Raise OutputError or UsageError before any work if a result could not be written."""
        sources = [Path(each.location) for each in self.inputs]
        layers.check(
            self.output,
            csv=self.csv,
            overwrite=self.overwrite,
            inputs=sources,
            resumed=self.resumed,
        )
        if self.shard is not None and self.needs_maps:
            raise UsageError("A shard keeps no maps; leave out --save-maps, --overlap or --shard.")
        if partstore.begun(self.parts_place) and not self.resume and self.shard is None:
            raise OutputError(
                f"{printable(str(self.parts_place))} holds parts of a run that was interrupted; go "
                "on with --resume, or remove that folder to begin anew."
            )
        if self.maps is None:
            return
        if len(self.inputs) > 1 and not self.maps.is_dir():
            raise UsageError(
                f"{self.maps}: several scenes need a folder for their maps; create it first."
            )
        for each in self.inputs:
            outputs.check(
                self.maps_of(each),
                overwrite=self.overwrite,
                inputs=sources,
                resumed=self.resumed,
            )

    def maps_of(self, scene: SceneInput) -> Path:
        """The maps file of one scene."""
        assert self.maps is not None  # asked only when maps are kept
        if self.maps.is_dir():
            return self.maps / f"{Path(scene.location).stem}_maps.tif"
        return self.maps


@dataclass(slots=True)
class Done:
    """Outcome of a job."""

    footprints: int = 0
    """How many were written."""
    found: dict[str, int] = field(default_factory=dict)
    """Scene -> footprints in it."""
    failed: dict[str, str] = field(default_factory=dict)
    """Scene -> why it has none, in one sentence."""
    lost: list[str] = field(default_factory=list)
    """Parts that no worker could compute; they count as nodata."""
    parts: int = 0
    """Of a shard: how many parts belong to it."""


@dataclass(frozen=True, slots=True)
class Result:
    """One scene, or several fused into one, before it is written into the layer."""

    location: str
    plan: Plan
    batches: Iterator[Footprints]
    description: dict[str, str]
    maps: Path | None
    """The file of its maps, if they were kept."""


@dataclass(slots=True)
class Work:
    """What the steps of one job share."""

    store: PartStore
    resumed: bool = False
    """As in `layers.write`."""
    failed: dict[str, Snet4Error] = field(default_factory=dict)
    """Scenes that a worker could not read."""
    asked: dict[str, list[Task]] = field(default_factory=dict)
    """Of a shard: scene -> the tasks that were given out."""


def _tasks(job: Job, predictor: Predictor | Elsewhere, work: Work) -> Iterator[Task]:
    """A task for every part of every scene that is not kept yet, made as they are asked for.

    A share of many scenes is whole scenes; of few, parts of each. Scenes that cannot be used
    have none: what is wrong with them is said later, or by a shard at its end.
    """
    assert isinstance(work.store, FolderStore)  # results travel through files
    shard = job.shard or Shard(0, 1)
    by_scene = len(job.inputs) >= shard.of
    for number, scene in enumerate(job.inputs):
        if by_scene and not shard.has(number):
            continue
        try:
            plan = plan_for(scene, predictor.header, job.choices, predictor.guesser)
            scene_work = SceneWork(plan, predictor.header, keep_maps=job.needs_maps)
            shelf = scene_work.folder_shelf(work.store, predictor)
            chosen = [each for each in scene_work.parts if by_scene or shard.has(each.index)]
            tasks = list(open_tasks(scene_work, shelf, chosen))
        except (Cancelled, OutputError):
            raise
        except Snet4Error as problem:
            work.failed[scene.location] = problem
            continue
        if job.shard is not None:
            work.asked[scene.location] = [Task(scene_work, shelf, each) for each in chosen]
        yield from tasks


def _of_shard(job: Job, work: Work) -> Done:
    """What a shard has to say: how many parts it answers for, and which are not there."""
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
            folder = stack.enter_context(outputs.scratch(job.output))
        scenes = _scenes(job, predictor, progress, work, done, folder)
        results = scenes if job.overlap == "keep" else looks.resolved(scenes, job.overlap, done)
        return _layer(job, results, work, done)


def _layer(job: Job, results: Iterator[Result], work: Work, done: Done) -> Done:
    first = next(results, None)
    if first is None:
        raise SomeScenesFailed(
            f"All {len(job.inputs)} scenes failed, nothing was written: ",
            joined("; ", done.failed.values()),
        )

    def stream() -> Iterator[Footprints]:
        for each in chain([first], results):
            for batch in each.batches:
                done.found[each.location] = done.found.get(each.location, 0) + len(batch)
                yield batch

    done.footprints = layers.write(
        job.output,
        stream(),
        first.plan.grid.crs,
        first.description,
        csv=job.csv,
        overwrite=job.overwrite,
        resumed=work.resumed,
    )
    return done


def _scenes(
    job: Job,
    predictor: Predictor | Elsewhere,
    progress: Progress,
    work: Work,
    done: Done,
    folder: Path | None,
) -> Iterator[Result]:
    """Every scene that went well; the others are noted in `done`.

    `folder` is where maps are kept that the user did not ask for.
    """
    attempts = _attempts(job, predictor, progress, work, folder)
    for attempt in in_their_turn(attempts, min(len(job.inputs), predictor.together)):
        if attempt.found is not None:
            for warning in attempt.found.plan.warnings:
                log.warning(warning)
            for value in attempt.found.plan.description.values():
                log.info(value)
        # A scene is complete before it goes into the layer: half of one must not stay there
        # when its last rows cannot be read.
        attempt.compute()
        if attempt.problem is not None:
            if job.stop_at_error:
                raise attempt.problem
            log.warning(attempt.problem.sentence)
            done.failed[attempt.location] = attempt.problem.sentence
            continue
        found, batch = attempt.found, attempt.batch
        assert found is not None  # or there was a problem
        assert batch is not None
        done.lost += found.lost
        batches = chain([batch], found.footprints)
        yield Result(attempt.location, found.plan, batches, found.plan.description, attempt.maps)


def _attempts(
    job: Job,
    predictor: Predictor | Elsewhere,
    progress: Progress,
    work: Work,
    folder: Path | None,
) -> Iterator[Attempt]:
    """Every scene, planned where that went well; see `_scenes`."""
    first: Plan | None = None
    for number, scene in enumerate(job.inputs):
        maps = None if folder is None else folder / f"result-{number}.tif"
        if job.maps is not None:
            maps = job.maps_of(scene)
        attempt = Attempt(scene.location, maps, Later(progress))
        try:
            if scene.location in work.failed:
                raise work.failed[scene.location]
            found = detect(
                scene,
                predictor,
                job.choices,
                attempt.progress,
                maps,
                overwrite=job.overwrite or work.resumed,
                store=work.store,
            )
            first = first or found.plan
            _refuse_other_crs(found.plan, first)
            attempt.found = found
        except (Cancelled, OutputError):  # neither is the fault of this scene
            raise
        except Snet4Error as problem:
            attempt.problem = problem
        yield attempt


def _refuse_other_crs(plan: Plan, first: Plan) -> None:
    """One layer has one CRS: that of the first scene."""
    if plan.grid.crs != first.grid.crs:
        raise InputError(
            f"{plan.scene.location}: is in {plan.grid.crs.to_string()[:60]}, but "
            f"{first.scene.location} in {first.grid.crs.to_string()[:60]}; run them into two files."
        )
