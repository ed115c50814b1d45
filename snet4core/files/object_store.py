"""Stores files under a prefix of an object store, through fsspec: `s3://bucket/prefix`.

fsspec (https://filesystem-spec.readthedocs.io) supports some thirty kinds of stores, each
through a package that its error names when it is missing. An object appears complete or not
at all, so no temporary names are needed. There are no locks: two runs into one place both
compute, and each result is kept once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snet4core.errors import DependencyError, InputError, OutputError
from snet4core.extras import how_to_install
from snet4core.files.names import is_remote, printable
from snet4core.files.places import FolderPlace, Place
from snet4core.sentence import ALLOW_REMOTE

_HERE = ("file", "local", "memory")
"""Protocols that open no connection."""


def place_of(given: str, *, allow_remote: bool = False) -> Place:
    """The place at a path (a folder) or a URL (an object store).

    InputError for a URL that needs connections unless `allow_remote`; DependencyError where
    fsspec, or its package for that protocol, is missing.
    """
    if not is_remote(given):
        return FolderPlace(Path(given))
    protocol, _, rest = given.partition("://")
    if protocol not in _HERE and not allow_remote:
        raise InputError(
            f"{printable(given)} is a URL, and snet4 opens no connections by itself; name a "
            "folder, or add ",
            ALLOW_REMOTE,
            ".",
        )
    if not rest.strip("/"):
        raise InputError(f"{printable(given)} names no place in the store; add a path to it.")
    place = ObjectPlace(given.rstrip("/"))
    place.check()
    return place


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """Objects below a URL."""

    url: str

    def __str__(self) -> str:
        return self.url

    def check(self) -> None:
        """DependencyError or InputError if such URLs cannot be used here."""
        try:
            import fsspec.core
        except ImportError as problem:
            raise DependencyError(
                f"{printable(self.url)}: object stores need fsspec, which is not installed: "
                f"{how_to_install('fsspec')}"
            ) from problem
        protocol = self.url.partition("://")[0]
        try:
            fsspec.get_filesystem_class(protocol)
        except ImportError as problem:  # its text names the package
            raise DependencyError(
                f"{printable(self.url)}: {printable(str(problem)).rstrip('.')}."
            ) from problem
        except ValueError as problem:
            raise InputError(
                f"{printable(self.url)}: fsspec knows no protocol '{printable(protocol)}'."
            ) from problem

    def names(self, folder: str = "") -> list[str]:
        """See `places.Place`."""
        with self._asked(folder) as (store, path):
            store.invalidate_cache()  # others put objects there meanwhile
            try:
                found = store.ls(path, detail=False)
            except FileNotFoundError:
                return []
        return sorted(each.rstrip("/").rpartition("/")[2] for each in found)

    def has(self, name: str) -> bool:
        """See `places.Place`."""
        with self._asked(name) as (store, path):
            store.invalidate_cache()
            return bool(store.isfile(path))

    def read(self, name: str) -> bytes:
        """See `places.Place`."""
        with self._asked(name) as (store, path):
            return bytes(store.cat_file(path))

    def create(self, name: str, content: bytes) -> bool:
        """See `places.Place`; of two at the same moment one wins, if the store supports it."""
        if self.has(name):
            return False
        with self._asked(name) as (store, path):
            store.makedirs(path.rpartition("/")[0], exist_ok=True)
            try:
                store.pipe_file(path, content, mode="create")
            except FileExistsError:
                return False
        return True

    def remove(self, name: str) -> None:
        """See `places.Place`."""
        with self._asked(name) as (store, path):
            try:
                store.rm_file(path)
            except FileNotFoundError:
                return

    def prune(self, folder: str = "") -> None:
        """Does nothing: object stores have no folders, and a bucket is not ours to remove."""

    def is_there(self) -> bool:
        """See `places.Place`."""
        with self._asked("") as (store, path):
            store.invalidate_cache()
            return bool(store.find(path))

    def everywhere(self) -> ObjectPlace:
        """See `places.Place`."""
        return self

    @contextmanager
    def entered(self, mark: str, *, alone: bool) -> Iterator[None]:
        """See `places.Place`; other runs in the same place cannot be detected."""
        if not self.has(mark) and self.is_there():
            raise OutputError(
                f"{printable(self.url)} is where parts would be kept, but holds something else; "
                "choose another place."
            )
        yield

    @contextmanager
    def _asked(self, name: str) -> Iterator[tuple[Any, str]]:
        """The store and the path of `name` in it; errors of its library are raised as OSError.

        They have no common base class. An OSError, as FileNotFoundError, passes unchanged.
        """
        import fsspec.core

        try:
            yield fsspec.core.url_to_fs(f"{self.url}/{name}" if name else self.url)
        except OSError:
            raise
        except Exception as problem:
            raise OSError(f"{type(problem).__name__}: {printable(str(problem))[:200]}") from problem
