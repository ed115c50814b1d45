"""Computes parts on an existing Dask cluster, or on one started on this machine.

    --cluster tcp://scheduler:8786     workers anywhere that see the scenes and OUT.parts
    --cluster local                    workers on this machine, for trying it out

Dask schedules the parts and watches the workers; results go into the part store, and only keys
come back. At most two parts per worker are in flight, so a million parts are no load for the
scheduler. https://distributed.dask.org
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from snet4core.errors import DependencyError, EngineError, Snet4Error
from snet4core.extras import how_to_install
from snet4core.jobs.executors import (
    FORMAT,
    TRIES,
    Failure,
    Filled,
    Queue,
    Task,
    Worker,
    WorkerModel,
    refused,
)
from snet4core.jobs.processes import Processes
from snet4core.progress import Progress, stop_if_cancelled

if TYPE_CHECKING:
    from distributed import Client, Future

log = logging.getLogger("snet4")

AHEAD = 2
"""Tasks in flight per worker: one is computed while the next waits beside it."""

COUNTED_S = 1.0
"""How long a count of workers is reused: asking for it costs as much as submitting a part."""

LONELY_S = 10.0
"""How long nothing comes back until it is asked whether any worker can compute parts at all."""

_POLL_S = 0.5
_CONNECT_S = 20


class Cluster:
    """Executor on a Dask cluster."""

    def __init__(self, model: WorkerModel, address: str, workers: int = 2) -> None:
        """`address` is a scheduler's, or `local` for `workers` processes here."""
        self._model = model
        self._address = address
        self._workers = workers
        self._counted = (float("-inf"), 0)
        """When workers were counted last, and how many there were."""

    def fill(self, tasks: Iterable[Task], progress: Progress) -> Filled:
        """See `executors.Executor`."""
        filled, waiting = Filled(), iter(tasks)
        first = next(waiting, None)
        if first is None:
            return filled
        with _connected(self._address, self._workers) as client:
            self._check_forms(client)
            suspects = self._run(client, chain([first], waiting), filled, progress)
        child = Processes(self._model, 1)
        for task in suspects:
            log.warning("%s: tried again, alone and here.", task.name)
            if not child.alone(task, filled, progress):
                filled.lost.append(task.name)
        return filled

    def _check_forms(self, client: Client) -> None:
        """Raise EngineError unless every worker computes parts of this form."""
        for address, found in client.run(form, on_error="return").items():
            if found != FORMAT:
                what = (
                    f"computes parts of form {found}"
                    if isinstance(found, str)
                    else "has no snet4 that says what form of parts it computes"
                )
                raise EngineError(
                    f"The worker {address} {what}, and this run needs form {FORMAT}; install the "
                    "same version of snet4 everywhere."
                )

    def _run(
        self, client: Client, tasks: Iterator[Task], filled: Filled, progress: Progress
    ) -> list[Task]:
        """Hand out all tasks, each up to `TRIES` times; return those that failed every time."""
        under_way: dict[str, tuple[Future, Task]] = {}
        answered: SimpleQueue[Future] = SimpleQueue()
        queue = Queue(tasks, TRIES, filled)
        resources = {"GPU": 1} if self._needs_gpu else None
        heard_s, is_told = time.monotonic(), False
        while queue.has_more() or under_way:
            room = AHEAD * max(1, self._workers_now(client)) - len(under_way)
            while room > 0 and queue.has_more():
                room -= 1
                task = queue.next()
                future = client.submit(compute, self._model, task, pure=False, resources=resources)
                under_way[future.key] = (future, task)
                future.add_done_callback(answered.put)
            stop_if_cancelled(progress)
            try:
                future = answered.get(timeout=_POLL_S)
            except Empty:
                self._check_alive(client)
                if not is_told and time.monotonic() - heard_s > LONELY_S:
                    is_told, heard_s = self._is_told_alone(client), time.monotonic()
                continue
            heard_s, is_told = time.monotonic(), False
            _, task = under_way.pop(future.key)
            problem = self._problem(client, future)
            if problem is None:
                filled.done += 1
                progress.step(filled.done, filled.done, "parts")
            elif isinstance(problem, Snet4Error):
                refused(filled, task, problem)
            else:
                lines = str(problem).splitlines() or [type(problem).__name__]
                queue.failed(task, Failure(lines[0]))
        return queue.hopeless

    @property
    def _needs_gpu(self) -> bool:
        return self._model.wanted.device.startswith("cuda")

    def _is_told_alone(self, client: Client) -> bool:
        """Say what a run waits for that no worker of the cluster can go on with; True if so."""
        address = client.scheduler.address
        if not self._workers_now(client):
            log.warning(
                "The cluster at %s has no workers, and the run waits for some; start them with "
                "'dask worker %s'.", address, address,
            )  # fmt: skip
            return True
        if self._needs_gpu and True not in client.run(offers_gpu, on_error="return").values():
            log.warning(
                "No worker of the cluster at %s offers a GPU, and the run waits for one; start "
                "its workers with Dask's resource GPU=1.", address,
            )  # fmt: skip
            return True
        return False

    def _workers_now(self, client: Client) -> int:
        """How many workers there are, or were a moment ago: they may come and go."""
        counted_s, count = self._counted
        if count == 0 or time.monotonic() - counted_s > COUNTED_S:
            try:
                count = len(client.nthreads())
            except OSError as problem:
                raise self._gone() from problem
            self._counted = (time.monotonic(), count)
        return count

    def _problem(self, client: Client, future: Future) -> BaseException | None:
        """Why a part was not computed; EngineError when the cluster itself has gone."""
        if future.status == "finished":
            return None
        if future.status == "error":
            problem: BaseException | None = future.exception(timeout=_CONNECT_S)
            return problem
        self._check_alive(client)
        return RuntimeError("the cluster gave it back")

    def _check_alive(self, client: Client) -> None:
        if client.status != "running":
            raise self._gone()

    def _gone(self) -> EngineError:
        return EngineError(
            f"The scheduler at {self._address} has gone; finished parts are kept: start it again, "
            "and repeat the command with --resume."
        )


_LOCAL = {
    # A part that kills its worker does so once here, not four times.
    "distributed.scheduler.allowed-failures": 1,
    # A hundred looks a second at what a worker is doing, for a dashboard that is not there.
    "distributed.worker.profile.enabled": False,
}
"""Dask's settings for a cluster that is ours alone."""

_worker: tuple[WorkerModel, Worker] | None = None
_one_at_a_time = threading.Lock()
"""A worker may have several threads; the network uses the processor's own."""


def compute(model: WorkerModel, task: Task) -> str:
    """On a worker: compute one part, put it on its shelf, and return only its key."""
    global _worker  # the network is loaded once per process
    with _one_at_a_time:
        if _worker is None or _worker[0] != model:
            _worker = (model, Worker(model))
        _worker[1].compute(task)
    return task.key


def form() -> str:
    """On a worker: the `FORMAT` of its snet4."""
    return FORMAT


def offers_gpu(dask_worker: Any) -> bool:
    """On a worker, which Dask hands in: whether it takes tasks that need a GPU."""
    return "GPU" in dask_worker.state.total_resources


@contextmanager
def _connected(address: str, workers: int) -> Iterator[Client]:
    """A client of the cluster. EngineError when nobody answers, DependencyError without Dask."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as problem:
        raise DependencyError(
            f"A cluster needs Dask, which is not installed: {how_to_install('distributed')}"
        ) from problem
    # What Dask says of every connection is not for our user; what we need we ask it.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        if address == "local":
            stack.enter_context(dask.config.set(_LOCAL))
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    scheduler_kwargs={"dashboard": False},
                    silence_logs=logging.CRITICAL,
                )
            )
            address = cluster.scheduler_address
        try:
            client = stack.enter_context(
                Client(address, timeout=_CONNECT_S, set_as_default=False, name="snet4")
            )
        except (OSError, TimeoutError, ValueError) as problem:
            raise EngineError(
                f"No Dask scheduler answers at {address}; start one with 'dask scheduler', or use "
                "--cluster local."
            ) from problem
        yield client
