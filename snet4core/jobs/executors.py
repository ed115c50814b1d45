"""Executors compute the parts of a run: in this process, in others, or on a cluster.

An executor puts results into the part store and returns only what it could not compute, so
finished parts survive whatever dies. A part that fails is retried, then tried once more alone,
and then reported as lost.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from snet4core.errors import Cancelled, EngineError, OutputError, Snet4Error
from snet4core.maps.look_guesser import LookGuesser
from snet4core.model.header import Header, read_header
from snet4core.parts.part import FORMAT as RESULTS_FORMAT
from snet4core.parts.part import ROOFS_FORMAT, Part
from snet4core.parts.store import FolderShelf
from snet4core.parts.work import Elsewhere, SceneWork
from snet4core.progress import Progress, stop_if_cancelled
from snet4core.scene.radiometry import BandRange
from snet4core.scene.ranges import scene_ranges

if TYPE_CHECKING:
    from snet4core.maps.predictor import Predictor
    from snet4core.maps.runtime import RuntimeChoice

log = logging.getLogger("snet4")

FORMAT = f"{RESULTS_FORMAT}.{ROOFS_FORMAT}.2"
"""What a run and its workers must have in common: the results, those of models that map roofs
(second number), and what is sent to workers (third number): `Task`, `WorkerModel` and all that
they hold. Versions of snet4 may differ."""

TRIES = 2
"""How often a part is tried among others before it is tried alone."""


@dataclass(frozen=True, slots=True)
class Task:
    """One part of one scene to compute and put on its shelf; can be sent to other processes."""

    work: SceneWork
    shelf: FolderShelf
    part: Part

    @property
    def key(self) -> str:
        """Unique among the tasks of a run."""
        return f"{self.shelf.folder} {self.shelf.run_key} {self.part.index}"

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.work.plan.scene.name}, {self.part.name}"


@dataclass(frozen=True, slots=True)
class WorkerModel:
    """How a worker loads the network by itself; weights are never sent."""

    model: Header
    """As the driver saw it: files, by their absolute paths, and their digests."""
    wanted: RuntimeChoice
    """Device, engine and precision, settled by the driver so that all workers agree."""
    memory_bytes: int | None = None
    """As `Predictor` takes it, for each worker."""
    form: str = FORMAT
    """`FORMAT` of the driver."""

    def load(self) -> Predictor:
        """The loaded network. EngineError for another `FORMAT` or another model at that path."""
        from snet4core.maps.predictor import Predictor

        if self.form != FORMAT:
            raise EngineError(
                f"A worker computes parts of form {FORMAT}, but the run was started for form "
                f"{self.form}; install the same version of snet4 everywhere."
            )
        for each in self.model.members:
            if read_header(each.path).digest != each.digest:
                raise EngineError(
                    f"{each.path}: a worker finds another model there than the one that was "
                    "given; use the same file everywhere."
                )
        return Predictor(self.model, self.wanted, memory_bytes=self.memory_bytes)


@dataclass(slots=True)
class Filled:
    """Outcome of a run: parts done, parts lost, scenes refused."""

    done: int = 0
    """Parts that are on their shelves."""
    lost: list[str] = field(default_factory=list)
    """Names of parts that failed each time, alone too."""
    failed: dict[str, Snet4Error] = field(default_factory=dict)
    """Scene -> why it cannot be read: trying again would not help."""


class Executor(Protocol):
    """Whatever computes tasks and puts their results on their shelves."""

    def fill(self, tasks: Iterable[Task], progress: Progress) -> Filled:
        """Put the results of all tasks on their shelves. Raises Cancelled, EngineError.

        Of `progress` it knows what is done; how much there will be, only the caller can.
        """


class InProcess:
    """Computes in this process, one scene after another."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def fill(self, tasks: Iterable[Task], progress: Progress) -> Filled:
        """See `Executor`."""
        filled = Filled()
        # By their folders: copies of one picture have one run key.
        for _, same in groupby(tasks, key=lambda task: task.shelf.folder):
            of_scene = list(same)
            first = of_scene[0]
            try:
                parts = [task.part for task in of_scene]
                for part, result in first.work.computed(parts, self._predictor):
                    first.shelf.put(part, result)
                    filled.done += 1
                    progress.step(filled.done, filled.done, "parts")
                    stop_if_cancelled(progress)
            except Cancelled:
                raise
            except Snet4Error as problem:
                refused(filled, first, problem)
        return filled


class Worker:
    """State of a worker process: the loaded network, and the last scene's band ranges."""

    def __init__(self, model: WorkerModel) -> None:
        self._predictor = model.load()
        self._ranges: dict[str, tuple[BandRange | None, ...]] = {}

    def compute(self, task: Task) -> None:
        """Compute one part and put it on its shelf, unless it is there."""
        if task.shelf.has(task.part):
            return
        key = task.shelf.run_key
        if key not in self._ranges:
            self._ranges = {key: scene_ranges(task.work.plan.scene)}
        work = replace(task.work, ranges=self._ranges[key])
        for part, result in work.computed([task.part], self._predictor):
            task.shelf.put(part, result)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure worth retrying: an exception that is not ours, or a worker that died."""

    message: str


class Queue:
    """Tasks still to be handed out: new ones, and failed ones to be retried."""

    def __init__(self, tasks: Iterator[Task], tries: int, filled: Filled) -> None:
        self._tasks, self._tries, self._filled = tasks, tries, filled
        self._again: deque[Task] = deque()
        self._tried: Counter[str] = Counter()
        self._ahead: Task | None = None
        self.hopeless: list[Task] = []
        """Those that failed every time."""

    def has_more(self) -> bool:
        """Whether `next` has something; tasks of a scene that cannot be read are dropped."""
        while self._ahead is None or self._ahead.work.location in self._filled.failed:
            self._ahead = self._again.popleft() if self._again else next(self._tasks, None)
            if self._ahead is None:
                return False
        return True

    def next(self) -> Task:
        task, self._ahead = self._ahead, None
        assert task is not None  # has_more was asked
        return task

    def failed(self, task: Task, how: Failure) -> None:
        log.warning("%s: %s.", task.name, how.message)
        self._tried[task.key] += 1
        (self._again if self._tried[task.key] < self._tries else self.hopeless).append(task)


def open_tasks(
    work: SceneWork, shelf: FolderShelf, chosen: Iterable[Part] | None = None
) -> Iterator[Task]:
    """Yield a task for each part of a scene (or of those chosen) that is not whole on its shelf."""
    here = shelf.here()
    light = work.for_travel()
    away = shelf.everywhere()
    for part in work.parts if chosen is None else chosen:
        if part.index not in here or not shelf.is_whole(part):
            yield Task(light, away, part)


def refused(filled: Filled, task: Task | None, problem: Snet4Error) -> None:
    """Note an error that is the scene's fault; raise any other, which ends the run."""
    if task is None or isinstance(problem, EngineError | OutputError):
        raise problem
    filled.failed.setdefault(task.work.location, problem)


def worker_model(
    header: Header, wanted: RuntimeChoice, memory_bytes: int | None = None
) -> tuple[WorkerModel, Elsewhere]:
    """The model as workers load it, and its placeholder in the driver.

    Engine and precision are settled once, so that a worker with other hardware computes the
    same or says that it cannot.
    """
    from snet4core.maps.runtime import resolved_runtimes

    runtime = resolved_runtimes(wanted, header.members)[0]
    fixed = replace(wanted, engine=runtime.engine, precision=runtime.precision)
    key = f"{header.network}-{runtime.engine}-{runtime.device}-{runtime.precision}"
    model = WorkerModel(header.at_absolute_paths(), fixed, memory_bytes)
    return model, Elsewhere(header, key, LookGuesser(header, runtime.engine))
