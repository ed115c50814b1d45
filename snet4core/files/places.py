"""Stores named files: the `Place` protocol, and folders; `object_store` adds object stores.

A file is complete or absent, and never changes once it is written. Names may contain one
slash: `3f0c.../scene.json`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from snet4core.errors import OutputError
from snet4core.files import outputs
from snet4core.files.names import printable
from snet4core.files.workfolder import locked

TEMPORARY = ".writing-"
"""Prefix of files that are not complete yet, or never will be."""


class Place(Protocol):
    """Stores files under names. Every method may raise OSError."""

    def __str__(self) -> str:
        """The place as the user would name it."""

    def names(self, folder: str = "") -> list[str]:
        """Names of the entries of a folder (default: of the place); none if there is no folder."""

    def has(self, name: str) -> bool:
        """Whether a file exists."""

    def read(self, name: str) -> bytes:
        """Content of a file; FileNotFoundError if it does not exist."""

    def create(self, name: str, content: bytes) -> bool:
        """Write a file; returns False, and leaves it unchanged, if one of that name exists."""

    def remove(self, name: str) -> None:
        """Delete a file, if it exists."""

    def prune(self, folder: str = "") -> None:
        """Delete a folder, if it is empty and the place has folders at all."""

    def is_there(self) -> bool:
        """Whether the place exists."""

    def everywhere(self) -> Place:
        """The same place with an absolute path, for processes in another working directory."""

    def entered(self, mark: str, *, alone: bool) -> AbstractContextManager[None]:
        """Open the place for work; `alone`: exclusively, where that can be enforced.

        OutputError if it cannot be used, is in use, or holds other files but not the file `mark`.
        """


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder of a file system as a `Place`."""

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
            outputs.move(temporary, path)
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
        with suppress(OSError):  # not empty: it holds other files
            (self.folder / folder).rmdir()

    def is_there(self) -> bool:
        """See `Place`."""
        return self.folder.exists()

    def everywhere(self) -> FolderPlace:
        """See `Place`."""
        return FolderPlace(self.folder.resolve())

    @contextmanager
    def entered(self, mark: str, *, alone: bool) -> Iterator[None]:
        """See `Place`; creates the folder if there is none."""
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
