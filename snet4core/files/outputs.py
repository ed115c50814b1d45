"""Checks output paths before the work, and replaces the files atomically after it.

A file is written under a temporary name in a folder of its own beside the target, so
that nothing a driver leaves there (journals, temporary indexes) outlives it; then it is
flushed to disk and renamed. Readers of the target see the old file or the new one.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from snet4core.errors import OutputError, Snet4Error
from snet4core.files.interrupts import interrupts_wait
from snet4core.files.names import printable, same_file_key
from snet4core.files.workfolder import PREFIX, work_folder
from snet4core.sentence import OVERWRITE

_JOURNALS = ("-wal", "-journal")
"""Endings of the files that SQLite keeps beside a database that is open or was left unfinished."""

LEAST_FREE_BYTES = 1 << 20
"""A disk with less is as good as full."""


def check(
    path: Path,
    *,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
    resumed: bool = False,
) -> None:
    """Raise `OutputError` if a file could not be written to `path`; leaves nothing behind.

    Call it before any work. `inputs` are files that must not be replaced. `resumed`: a file
    at `path` may be the result itself, if the run was killed in its last moment.
    """
    _check_target(path, overwrite or resumed, inputs)
    _check_folder(path.parent, printable(path))


def refuse_inputs(results: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise `OutputError` if a result would replace one of the files that are read."""
    read = {_identity(each) for each in inputs} - {None}
    for result in results:
        if _identity(result) in read:
            raise OutputError(
                f"{printable(result)} is also an input; choose another name for the result."
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from others; None where there is none."""
    with suppress(OSError, ValueError):  # it is not there, or its name cannot be one
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def check_apart(paths: Iterable[Path]) -> None:
    """Raise `OutputError` if two results would be written to one file."""
    seen: set[str] = set()
    for path in paths:
        key = same_file_key(Path(os.path.realpath(path)))
        if key in seen:
            raise OutputError(
                f"{printable(path)} is named twice; give each result a name of its own."
            )
        seen.add(key)


def _check_target(path: Path, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    name = printable(path)
    try:
        found = path.lstat()
    except FileNotFoundError:
        found = None
    except (OSError, ValueError) as error:
        raise OutputError(f"{name} cannot be written ({_reason(error)}); choose another.") from None
    if found is not None:
        _check_existing(name, found, overwrite, inputs)
    for ending in _JOURNALS:
        journal = path.with_name(path.name + ending)
        # SQLite would replay it into the new file and destroy it. A write-ahead log is removed
        # when the last program closes the database; a journal may remain, emptied.
        if _size(journal) > (-1 if ending == "-wal" else 0):
            raise OutputError(
                f"{name} is open in another program or was left unfinished by one (there is a "
                f"{printable(journal.name)}); close it there, or choose another name."
            )


def _size(path: Path) -> int:
    """Bytes of a file, -1 where there is none (or its name is too long to exist)."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _check_existing(
    name: str, found: os.stat_result, overwrite: bool, inputs: Iterable[Path]
) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise OutputError(f"{name} is a link; name the file that it points to, or another.")
    if stat.S_ISDIR(found.st_mode):
        raise OutputError(f"{name} is a folder; name a file in it.")
    if not stat.S_ISREG(found.st_mode):
        raise OutputError(f"{name} is no ordinary file; choose another name.")
    if (found.st_dev, found.st_ino) in map(_identity, inputs):
        raise OutputError(f"{name} is also an input; choose another name for the result.")
    if not overwrite:
        raise OutputError(f"{name} exists already; remove it or give ", OVERWRITE, ".")


def _check_folder(folder: Path, name: str) -> None:
    if not folder.is_dir():
        raise OutputError(f"{name} cannot be written: there is no such folder; create it first.")
    try:
        # Trying is the only reliable test of permissions, read-only mounts and quotas.
        with interrupts_wait():
            probe = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
            with suppress(FileNotFoundError):  # another run may have swept it
                probe.rmdir()
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(
            f"{name} cannot be written ({_reason(error)}); choose a folder that you may write to."
        ) from None
    if free_bytes < LEAST_FREE_BYTES:
        raise OutputError(
            f"{name} cannot be written: only {free_bytes / 1e6:.1f} MB are free there; make room "
            "or choose another place."
        )


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


@contextmanager
def replacing(
    *targets: Path, overwrite: bool = True, resumed: bool = False
) -> Iterator[tuple[Path, ...]]:
    """Yield temporary paths to write; move them to `targets` if the block raises no exception.

    On any exception, Ctrl-C included, the targets stay as they were and nothing is left
    beside them. The system's errors (a full disk) are raised as `OutputError`; so is a target
    that has appeared meanwhile. The first target is moved last: if it is new, so are the
    others. `resumed`: a target that already holds the very same bytes is accepted.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder, "result.txt")
    ...     with replacing(target) as (temporary,):
    ...         _ = temporary.write_text("complete")
    ...     target.read_text(), [path.name for path in Path(folder).iterdir()]
    ('complete', ['result.txt'])
    """
    try:
        with ExitStack() as stack:
            # The driver may depend on the extension, so it is kept.
            temporary = tuple(
                stack.enter_context(work_folder(target.parent)) / f"result{target.suffix}"
                for target in targets
            )
            yield temporary
            for path, target in zip(temporary, targets, strict=True):
                to_disk(path)
                same = resumed and target.is_file() and filecmp.cmp(path, target, shallow=False)
                _check_target(target, overwrite or same)
            for path, target in reversed(list(zip(temporary, targets, strict=True))):
                move(path, target)
            for folder in {target.parent for target in targets}:
                to_disk(folder)
    except Snet4Error:
        raise
    except OSError as error:
        names = " and ".join(printable(target) for target in targets)
        raise OutputError(
            f"{names} could not be written ({_reason(error)}); nothing was changed there."
        ) from error


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A folder for large intermediate files in the folder of `beside`, removed at the end."""
    try:
        with work_folder(beside.parent) as folder:
            yield folder
    except Snet4Error:
        raise
    except OSError as error:
        raise OutputError(
            f"{printable(beside)}: what is computed on the way could not be kept there "
            f"({_reason(error)}); make room, or choose another place."
        ) from error


def to_disk(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to disk (fsync).

    Windows flushes only what is open for writing, and does not open folders: its file system
    keeps a journal of names.
    """
    windows = sys.platform == "win32"
    if windows and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move(path: Path, target: Path) -> None:
    """Rename a file, over `target` if there is one. May raise `OSError`.

    Windows renames nothing over a file that is open, and scanners for viruses open what is new:
    so it is tried for `_PATIENCE_S` there.
    """
    give_up = time.monotonic() + (_PATIENCE_S if sys.platform == "win32" else 0)
    while True:
        try:
            path.replace(target)
            return
        except PermissionError:
            if time.monotonic() >= give_up:
                raise
        time.sleep(0.05)


_PATIENCE_S = 2.0


@contextmanager
def driver_errors(what: str) -> Iterator[None]:
    """Raise any error of a format's library as `OutputError`; use around its calls only.

    The errors of GDAL's bindings have no common base class.
    """
    try:
        yield
    except (Snet4Error, ImportError):  # a missing library is not the disk's fault
        raise
    except Exception as error:
        raise OutputError(
            f"The {what} could not be written ({printable(str(error))[:120]}); is the disk full?"
        ) from error
