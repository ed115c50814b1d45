"""Tables of footprints in an unnamed temporary file: written once, read any number of times.

The file has no name, so nothing is left of it when the process ends, however it ends.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from safetensors.numpy import load, save

from snet4core.errors import OutputError
from snet4core.files.names import printable
from snet4core.footprints.footprints import Footprints, Source, from_arrays, to_arrays

Place = tuple[int, int]
"""Where a table begins in the file, and how many bytes it has."""


class Spool:
    """Append-only file of one scene's tables; not for several threads at once."""

    def __init__(self, source: Source) -> None:
        """The file is made when the first table comes; `source` is that of all tables."""
        self._source = source
        self._file: IO[bytes] | None = None

    def add(self, table: Footprints) -> Place:
        """Write one table at the end. OutputError when the disk is full."""
        with _room():
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it, or
                weakref.finalize(self, self._file.close)  # the end of this object, silently
            stored = save(to_arrays(table))
            start = self._file.seek(0, 2)
            self._file.write(stored)
        return start, len(stored)

    def read(self, place: Place) -> Footprints:
        """The table that `add` put there. ValueError once the spool is closed."""
        if self._file is None:
            raise ValueError("The footprints were closed; detect them again.")
        start, size = place
        with _room():
            self._file.seek(start)
            return from_arrays(load(self._file.read(size)), self._source)

    def close(self) -> None:
        """Give the disk's room back. May be called twice."""
        if self._file is not None:
            self._file.close()
            self._file = None


@contextmanager
def _room() -> Iterator[None]:
    """The system's errors around the unnamed file as ours."""
    try:
        yield
    except OSError as problem:
        raise OutputError(
            f"Footprints could not be kept in the temporary folder "
            f"{printable(tempfile.gettempdir())} ({(problem.strerror or str(problem)).lower()}); "
            "make room there, or set TMPDIR to another folder."
        ) from problem
