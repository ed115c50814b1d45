"""Computes parts in several processes on this machine: `--workers N`.

Each worker is a fresh interpreter with a pipe of its own, and loads the network once. So a
worker that dies loses only the part it was computing, and it is known which. When this process
dies, the pipes close, and the workers exit after their current part.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from snet4core.errors import EngineError, Snet4Error
from snet4core.files.interrupts import out_of_reach
from snet4core.jobs.executors import (
    TRIES,
    Failure,
    Filled,
    Queue,
    Task,
    Worker,
    WorkerModel,
    refused,
)
from snet4core.maps.hardware import most_processes
from snet4core.progress import Progress, stop_if_cancelled

log = logging.getLogger("snet4")

_POLL_S = 0.5
"""How often progress is asked whether to go on."""

_STILLBORN = 3
"""Workers in a row that die before their first part until the run is given up."""


@dataclass(slots=True, eq=False)
class _Hand:
    """One worker as the driver sees it."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    is_ready: bool = False


class Processes:
    """Executor with worker processes on this machine."""

    def __init__(self, model: WorkerModel, workers: int) -> None:
        """Workers share the processor's threads; GPUs are assigned in turn."""
        self._model = model
        self._workers = most_processes(workers)

    def fill(self, tasks: Iterable[Task], progress: Progress) -> Filled:
        """See `executors.Executor`."""
        filled = Filled()
        suspects = self._run(iter(tasks), self._workers, TRIES, filled, progress)
        # Alone a part has the whole memory, and takes nobody with it.
        for task in suspects:
            log.warning("%s: tried again, alone.", task.name)
            gone = self._run(iter([task]), 1, 1, filled, progress)
            filled.lost += [each.name for each in gone]
        return filled

    def alone(self, task: Task, filled: Filled, progress: Progress) -> bool:
        """Compute one part in a process of its own; False when that died or failed."""
        return not self._run(iter([task]), 1, 1, filled, progress)

    def _run(
        self,
        tasks: Iterator[Task],
        workers: int,
        tries: int,
        filled: Filled,
        progress: Progress,
    ) -> list[Task]:
        """Hand out all tasks, each up to `tries` times; return those that failed every time."""
        queue = Queue(tasks, tries, filled)
        hands: list[_Hand] = []
        stillborn = 0
        try:
            while queue.has_more() or any(hand.task is not None for hand in hands):
                while len(hands) < workers and queue.has_more():
                    hands.append(self._hired(len(hands), workers))
                for hand in _spoken(hands):
                    answer, task, hand.task = _answer(hand), hand.task, None
                    if isinstance(answer, Snet4Error):
                        refused(filled, task, answer)
                    elif isinstance(answer, Failure):
                        if task is not None:
                            queue.failed(task, answer)
                        if answer == _DIED:
                            hands.remove(hand)
                            _dismissed([hand])
                            stillborn = 0 if hand.is_ready else stillborn + 1
                    else:
                        hand.is_ready = True
                        filled.done += task is not None
                        progress.step(filled.done, filled.done, "parts")
                if stillborn >= _STILLBORN:
                    raise EngineError(
                        f"{stillborn} workers died one after another before they could begin; is "
                        "there enough memory? Use fewer --workers."
                    )
                for hand in hands:
                    if hand.is_ready and hand.task is None and queue.has_more():
                        hand.task = queue.next()
                        with suppress(OSError):  # it died meanwhile, which is seen next time
                            hand.pipe.send(hand.task)
                stop_if_cancelled(progress)
        finally:
            _dismissed(hands)
        return queue.hopeless

    def _hired(self, index: int, workers: int) -> _Hand:
        from snet4core.maps.hardware import processor_threads

        wanted = replace(self._model.wanted, threads=max(1, processor_threads() // workers))
        if wanted.device.startswith("cuda"):
            wanted = replace(wanted, device=_gpu(index))
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(
            target=_work, args=(there, replace(self._model, wanted=wanted)), daemon=True
        )
        with out_of_reach():
            process.start()
        there.close()  # so that the pipe ends with its worker
        return _Hand(process, here)


_READY = "ready"
_DIED = Failure("its worker died")


def _spoken(hands: list[_Hand]) -> list[_Hand]:
    """Workers that answered or died, after a short wait."""
    ready = set(wait([hand.pipe for hand in hands], timeout=_POLL_S))
    return [hand for hand in hands if hand.pipe in ready]


def _answer(hand: _Hand) -> Any:
    try:
        return hand.pipe.recv()
    except (EOFError, OSError):
        return _DIED


def _dismissed(hands: list[_Hand]) -> None:
    """Kill workers at once; the part that one was computing never reaches its shelf."""
    for hand in hands:
        hand.process.kill()
    for hand in hands:
        hand.process.join()
        hand.pipe.close()


def _gpu(index: int) -> str:
    import torch

    return f"cuda:{index % max(1, torch.cuda.device_count())}"


def _work(pipe: Connection, model: WorkerModel) -> None:
    """Main loop of a worker: load the network once, then compute each task from the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's matter
    with suppress(EOFError, OSError):  # the driver has gone
        try:
            worker = Worker(model)
        except Snet4Error as problem:
            pipe.send(problem)
            return
        pipe.send(_READY)
        while True:
            task = pipe.recv()
            try:
                worker.compute(task)
            except Snet4Error as problem:
                pipe.send(problem)
            except Exception as problem:  # whatever it is, the driver decides
                pipe.send(Failure(f"{type(problem).__name__}: {problem}"))
            else:
                pipe.send(None)
