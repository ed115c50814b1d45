"""Where results go: looked at before the work, and replaced in one step after it.

A file is written under a temporary name in a folder of its own beside the target, so
that nothing a driver leaves there (journals, temporary indexes) outlives it; then it is
forced to disk and renamed. Whoever looks at the target sees the old file or the new.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from snet4core.errors import OutputError, Snet4Error
from snet4core.text import printable

_PREFIX = ".snet4-"
"""Temporary folders begin so; a fixed, short name, because the target's may be at the limit."""


def check(
    path: Path,
    *,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
    needed_bytes: int = 1 << 20,
) -> None:
    """Raise `OutputError` if a file could not be put at `path`; leaves nothing behind.

    Call it before any work. `inputs` are files that must not be replaced.
    """
    name = printable(path)
    try:
        found = path.lstat()
    except FileNotFoundError:
        found = None
    except (OSError, ValueError) as error:
        raise OutputError(f"{name} cannot be written ({_reason(error)}); choose another.") from None
    if found is not None:
        _check_existing(path, name, found, overwrite, inputs)
    _check_folder(path.parent, name, needed_bytes)


def _check_existing(
    path: Path, name: str, found: os.stat_result, overwrite: bool, inputs: Iterable[Path]
) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise OutputError(f"{name} is a link; name the file that it points to, or another.")
    if stat.S_ISDIR(found.st_mode):
        raise OutputError(f"{name} is a folder; name a file in it.")
    if not stat.S_ISREG(found.st_mode):
        raise OutputError(f"{name} is no ordinary file; choose another name.")
    for source in inputs:
        if source.exists() and os.path.samestat(found, source.stat()):
            raise OutputError(f"{name} is also an input; choose another name for the result.")
    if not overwrite:
        raise OutputError(f"{name} exists already; remove it or give --overwrite.")


def _check_folder(folder: Path, name: str, needed_bytes: int) -> None:
    if not folder.is_dir():
        raise OutputError(f"{name} cannot be written: there is no such folder; create it first.")
    try:
        # The only honest question: permissions, read-only mounts and quotas all answer.
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder):
            free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(
            f"{name} cannot be written ({_reason(error)}); choose a folder that you may write to."
        ) from None
    if free_bytes < needed_bytes:
        raise OutputError(
            f"{name} needs about {needed_bytes / 1e6:.0f} MB, but only {free_bytes / 1e6:.0f} MB "
            "are free there; make room or choose another place."
        )


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


@contextmanager
def replacing(*targets: Path) -> Iterator[tuple[Path, ...]]:
    """Temporary paths to write; moved to `targets` when the block ends without an exception.

    On any exception, Ctrl-C included, the targets stay as they were and nothing is left
    beside them. The system's errors (a full disk) come out as `OutputError`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = Path(folder, "result.txt")
    ...     with replacing(target) as (temporary,):
    ...         _ = temporary.write_text("complete")
    ...     target.read_text(), [path.name for path in Path(folder).iterdir()]
    ('complete', ['result.txt'])
    """
    try:
        with ExitStack() as stack:
            temporary = tuple(_temporary(stack, target) for target in targets)
            yield temporary
            for path in temporary:
                _to_disk(path)
            for path, target in zip(temporary, targets, strict=True):
                path.replace(target)
            for folder in {target.parent for target in targets}:
                _to_disk(folder)
    except Snet4Error:
        raise
    except OSError as error:
        names = " and ".join(printable(target) for target in targets)
        raise OutputError(
            f"{names} could not be written ({_reason(error)}); nothing was changed there."
        ) from error


def _temporary(stack: ExitStack, target: Path) -> Path:
    folder = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=target.parent)
    # The driver may look at the extension, so that stays.
    return Path(stack.enter_context(folder), "result" + target.suffix)


def _to_disk(path: Path) -> None:
    """Force a file's bytes, or a folder's list of names, out of the system's memory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
