"""What a long command tells while it works: `--progress`, `--log-file` and `--quiet`.

`@tells` gives a command these options, the same for all, and the bar they ask for.
"""

from __future__ import annotations

import copy
import logging
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from snet4_cli.bar import Bar as Bar
from snet4core import __version__
from snet4core.errors import OutputError, Snet4Error
from snet4core.sentence import Sentence

if TYPE_CHECKING:
    from snet4_cli.bar import How

_BEGIN = "snet4 log\n"
"""First line of every log: nothing is ever appended to a file that has another."""


class Console(logging.StreamHandler[Any]):
    """Log records as lines on stderr, above the bar where there is one.

    `words` tells a sentence with the options of the command that runs.
    """

    def __init__(self, stream: TextIO, words: Callable[[Sentence], str] = str) -> None:
        super().__init__(stream)
        self._words = words

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        told = record.msg
        if isinstance(told, Sentence):
            record = copy.copy(record)
            record.msg = self._words(told)
        return super().format(record)

    def emit(self, record: logging.LogRecord) -> None:
        tqdm = sys.modules.get("tqdm")
        if tqdm is None:  # no bar was drawn
            super().emit(record)
            return
        with tqdm.tqdm.external_write_mode(file=self.stream):
            super().emit(record)


class _Warnings(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told.append(record.getMessage())


@contextmanager
def warned() -> Iterator[list[str]]:
    """The list that warnings are added to as they come, also with --quiet."""
    told: list[str] = []
    handler = _Warnings(told)
    logging.getLogger("snet4").addHandler(handler)
    try:
        yield told
    finally:
        logging.getLogger("snet4").removeHandler(handler)


def command_line() -> str:
    """What the user typed, as a shell would take it."""
    return shlex.join(["snet4", *sys.argv[1:]])


def tells(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the three options, and the argument `bar` that follows them."""

    @click.option(
        "--progress",
        "how",
        type=click.Choice(["auto", "bar", "json", "none"]),
        default="auto",
        show_default=True,
        help="On stderr: a bar, or JSON lines with step, done, total, unit, seconds and "
        "seconds_left; auto draws a bar on a terminal.",
    )
    @click.option(
        "--log-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Append what is done, warnings and errors to FILE, with the time.",
    )
    @click.option(
        "-q", "--quiet", is_flag=True, help="Neither bar nor warnings on stderr; errors are told."
    )
    @wraps(command)
    def telling(*args: Any, how: How, log_file: Path | None, quiet: bool, **kwargs: Any) -> None:
        with _logging(log_file, quiet):
            command(*args, bar=Bar(how, quiet=quiet), **kwargs)

    return telling


@contextmanager
def _logging(log_file: Path | None, quiet: bool) -> Iterator[None]:
    """Apply --quiet and --log-file to the log for as long as the command runs."""
    log, consoles = logging.getLogger("snet4"), _consoles() if quiet else []
    levels = [each.level for each in consoles]
    level = log.level
    kept = None if log_file is None else _opened(log_file)
    try:
        for each in consoles:
            each.setLevel(logging.ERROR)
        if kept is None:
            yield
            return
        log.addHandler(kept)
        log.setLevel(logging.INFO)
        _tell(kept, logging.INFO, f"snet4 {__version__}: {' '.join(sys.argv[1:])}")
        with _endings(kept):
            yield
    finally:
        for each, before in zip(consoles, levels, strict=True):
            each.setLevel(before)
        log.setLevel(level)
        if kept is not None:
            log.removeHandler(kept)
            kept.close()


def _consoles() -> list[logging.Handler]:
    return [each for each in logging.getLogger().handlers if isinstance(each, Console)]


@contextmanager
def _endings(kept: logging.Handler) -> Iterator[None]:
    """Note in the log how the command ended; `main` tells errors on stderr."""
    try:
        yield
    except Snet4Error as problem:
        _tell(kept, logging.ERROR, str(problem))
        raise
    except KeyboardInterrupt:
        _tell(kept, logging.ERROR, "Interrupted.")
        raise
    except Exception as problem:
        _tell(kept, logging.ERROR, f"{type(problem).__name__}: {problem}")
        raise
    _tell(kept, logging.INFO, "Done.")


def _tell(kept: logging.Handler, level: int, text: str) -> None:
    kept.handle(logging.LogRecord("snet4", level, "", 0, "%s", (text,), None))


def _opened(path: Path) -> logging.Handler:
    """A handler that appends to a log. OutputError where there is something else."""
    try:
        with path.open("ab+") as file:
            file.seek(0)
            begin = file.read(len(_BEGIN))
            if begin not in (b"", _BEGIN.encode()):
                raise OutputError(
                    f"{path}: is no log of snet4, and stays as it is; name another --log-file."
                )
            if not begin:
                file.write(_BEGIN.encode())
        kept = logging.FileHandler(path, encoding="utf-8")
    except OutputError:
        raise
    except OSError as problem:
        raise OutputError(
            f"{path}: cannot be written ({problem.strerror}); name another --log-file."
        ) from None
    kept.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    return kept


class _OneLine(logging.Formatter):
    """A record as one line, whatever is in it: names of files may hold line breaks."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(super().format(record).split())
