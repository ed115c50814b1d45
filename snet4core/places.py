"""Where named files are kept: a folder here. What an object store does instead is in `objectplace`.

A file is there whole or not at all, and is never changed once it is there. Names may hold
one slash: `3f0c.../scene.json`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from snet4core import outputs
from snet4core.errors import OutputError
from snet4core.text import printable
from snet4core.workfolder import locked

TEMPORARY = ".writing-"
"""How files begin that are not complete yet, or never will be."""


class Place(Protocol):
    """Keeps files under names. Every method may raise OSError."""

    def __str__(self) -> str:
        """As the user would name it."""

    def names(self, folder: str = "") -> list[str]:
        """Names of what lies in a folder of it, or in itself; none where there is no folder."""

    def has(self, name: str) -> bool:
        """Whether a file is there."""

    def read(self, name: str) -> bytes:
        """A file's content. FileNotFoundError where there is none."""

    def create(self, name: str, content: bytes) -> bool:
        """Keep a file, unless there is one of that name: then False, and it stays as it is."""

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""

    def prune(self, folder: str = "") -> None:
        """Take a folder away, if it is empty and folders exist at all."""

    def is_there(self) -> bool:
        """Whether anything is left of it."""

    def everywhere(self) -> Place:
        """The same for a process that stands in another folder."""

    def entered(self, mark: str, *, alone: bool) -> AbstractContextManager[None]:
        """Work in it; `alone`: nobody else may, where that can be told.

        OutputError for what cannot be used, holds something without the file `mark`, or is in use.
        """


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder of a file system."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def names(self, folder: str = "") -> list[str]:
        """See `Place`."""
        try:
            return sorted(each.name for each in (self.folder / folder).iterdir())
        except FileNotFoundError:
            return []

    def has(self, name: str) -> bool:
        """See `Place`."""
        return (self.folder / name).exists()

    def read(self, name: str) -> bytes:
        """See `Place`."""
        return (self.folder / name).read_bytes()

    def create(self, name: str, content: bytes) -> bool:
        """See `Place`: complete and on disk, or not at all."""
        path = self.folder / name
        if path.exists():
            return False
        path.parent.mkdir(exist_ok=True)
        descriptor, writing = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
        temporary = Path(writing)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        outputs.to_disk(path.parent)
        return True

    def remove(self, name: str) -> None:
        """See `Place`."""
        (self.folder / name).unlink(missing_ok=True)

    def prune(self, folder: str = "") -> None:
        """See `Place`."""
        with suppress(OSError):  # not empty: somebody else's files
            (self.folder / folder).rmdir()

    def is_there(self) -> bool:
        """See `Place`."""
        return self.folder.exists()

    def everywhere(self) -> FolderPlace:
        """See `Place`."""
        return FolderPlace(self.folder.resolve())

    @contextmanager
    def entered(self, mark: str, *, alone: bool) -> Iterator[None]:
        """See `Place`; makes the folder where there is none."""
        name, folder = printable(self.folder), self.folder
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise OutputError(f"{name} must be a folder for parts; move what is there away.")
        folder.mkdir(exist_ok=True)
        if not self.has(mark) and any(not each.startswith(TEMPORARY) for each in self.names()):
            raise OutputError(
                f"{name} is where parts would be kept, but holds something else; move it away, or "
                "choose another name for the layer."
            )
        with locked(folder, shared=not alone, unknown=True) as free:
            if not free:
                raise OutputError(
                    f"{name} is in use by another run; wait for it, or choose another name for "
                    "the layer."
                )
            yield
