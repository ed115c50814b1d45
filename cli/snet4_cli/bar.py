"""A progress bar on stderr with the time left, shown only on a terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


class Bar:
    """`snet4core.progress.Progress` as a bar; silent when stderr is not a terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._bar: Any = None
        self._what = ""

    def step(self, done: float, total: float, what: str) -> None:
        """Show `done` of `total` and the time left; a new `what` starts a new bar.

        `total` may change between calls, as in a training run that is limited by time.
        """
        if not self._shown:
            return
        if self._bar is None or what != self._what:
            from tqdm import tqdm

            self._close()
            self._what = what
            # What a resumed run finds done must not count towards its rate.
            self._bar = tqdm(
                total=total, initial=done, desc=what, unit="", file=sys.stderr, dynamic_ncols=True
            )
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def cancelled(self) -> bool:
        """Always False: Ctrl-C arrives as an exception."""
        return False

    def _close(self) -> None:
        if self._bar is not None:
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
