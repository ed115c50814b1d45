"""Progress on stderr: a bar for a terminal, or a JSON line for each step for a program."""

from __future__ import annotations

import json
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import click

from snet4core.progress import Pace, unit_of

if TYPE_CHECKING:
    from typing import Self

How = Literal["auto", "bar", "json", "none"]
"""`auto` draws a bar where stderr is a terminal."""

_EVERY_S = 0.5
"""JSON lines are at least this far apart, but for the first and the last of a step."""


class Bar:
    """`snet4core.progress.Progress` on stderr, with the time left."""

    def __init__(self, how: How = "auto", *, quiet: bool = False) -> None:
        self._quiet = quiet
        if how == "auto":
            how = "bar" if sys.stderr.isatty() and not quiet else "none"
        self._how: How = how
        self._bar: Any = None
        self._what: str | None = None
        self._pace = Pace()
        self._told_s = 0.0

    def step(self, done: float, total: float, what: str) -> None:
        """Show `done` of `total` and the time left; a new `what` starts a new bar.

        `total` may change between calls, as in a training run that is limited by time.
        """
        if self._how == "none":
            return
        is_first = what != self._what
        if is_first:
            self._close()
            self._what, self._pace = what, Pace()
        left_s = self._pace.left_s(done, total)
        if self._how == "json":
            self._tell(done, total, what, left_s, is_first)
        else:
            self._draw(done, total, what, left_s)

    def _tell(
        self, done: float, total: float, what: str, left_s: float | None, is_first: bool
    ) -> None:
        now_s = time.monotonic()
        if not is_first and done < total and now_s - self._told_s < _EVERY_S:
            return
        self._told_s = now_s
        told = {
            "step": what,
            "done": round(done, 3),
            "total": round(total, 3),
            "unit": unit_of(what),
            "seconds": round(self._pace.seconds, 1),
            "seconds_left": None if left_s is None else round(left_s, 1),
        }
        click.echo(json.dumps(told), err=True)

    def _draw(self, done: float, total: float, what: str, left_s: float | None) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=total,
                initial=done,
                desc=what,
                unit=unit_of(what),
                bar_format="{desc}: {percentage:3.0f}% |{bar}| {n:.4g}/{total:.4g} {unit}{postfix}",
                file=sys.stderr,
                dynamic_ncols=True,
            )
        left = "" if left_s is None else f"{self._bar.format_interval(left_s)} left"
        self._bar.set_postfix_str(left, refresh=False)
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def note(self, text: str) -> None:
        """A line for somebody who looks on; not with --quiet, nor among JSON lines."""
        if not self._quiet and self._how != "json":
            click.echo(text, err=True)

    def cancelled(self) -> bool:
        """Always False: Ctrl-C arrives as an exception."""
        return False

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.refresh()  # the last report may not be drawn yet
            self._bar.close()
            self._bar = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
