"""Ordered map over an executor with bounded look-ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def in_turn(
    work: Callable[[Piece], Result], pieces: Iterable[Piece], pool: Executor, ahead: int
) -> Iterator[Result]:
    """Yield the results of `work` in the order of the pieces, with up to `ahead` in flight.

    Pieces are taken from the iterable in the caller's thread. An error in one of them, or in
    taking it, is raised in its turn; when the caller stops early, waiting pieces are cancelled.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     list(in_turn(str.upper, "abc", pool, 2))
    ['A', 'B', 'C']
    """
    waiting: deque[Future[Result]] = deque()
    problem: Exception | None = None
    coming = iter(pieces)
    try:
        while problem is None:
            try:
                waiting.append(pool.submit(work, next(coming)))
            except StopIteration:
                break
            except Exception as found:  # raised once those before it have come
                problem = found
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if problem is not None:
            raise problem
    finally:
        for future in waiting:
            future.cancel()
