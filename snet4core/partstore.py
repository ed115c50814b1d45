"""Where finished parts wait: in memory for a moment, or in a folder that outlives a kill.

    OUT.parts/snet4-parts.txt       what kind of folder this is
    OUT.parts/3f0c.../scene.json    what the parts of one scene depend on, and how they are merged
    OUT.parts/3f0c.../000007-5b1e....part

A part's key is the sha256 of everything that it depends on. So a part that is there under
its key is the right one, whoever put it there; one that is damaged counts as missing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from snet4core import outputs, partfile
from snet4core.errors import InputError, OutputError
from snet4core.footprints import Source
from snet4core.partfile import DamagedPartError
from snet4core.parts import Part, PartResult
from snet4core.text import printable
from snet4core.workfolder import locked

log = logging.getLogger("snet4")

SUFFIX = ".parts"
"""Put behind the name of the layer: the folder of its parts."""

_MARK, _SCENE, _TEMPORARY = "snet4-parts.txt", "scene.json", ".writing-"
_MARK_TEXT = "Finished parts of a run of snet4 that goes on, or waits for --resume or merge.\n"
_PART_NAME = re.compile(r"(\d{6,})-([0-9a-f]{24})\.part")
_SCENE_NAME = re.compile(r"[0-9a-f]{16}")

Facts = Mapping[str, str]
"""What a scene's parts depend on: name in words -> value in words."""

Recipe = Mapping[str, Any]
"""What merges a scene's parts without its picture and its model, as plain JSON."""


class Shelf(Protocol):
    """The parts of one scene."""

    def here(self) -> set[int]:
        """Indices of the parts that are there."""

    def put(self, part: Part, result: PartResult) -> None:
        """Keep a result, unless it is there already."""

    def take(self, part: Part) -> PartResult | None:
        """A result that is there; None when it is missing or damaged."""


class PartStore(Protocol):
    """The shelves of all scenes of a run."""

    def shelf(
        self, location: str, facts: Callable[[], Facts], source: Source, recipe: Recipe
    ) -> Shelf:
        """The scene's shelf; `facts` are asked for only where parts outlive the run."""


class MemoryStore:
    """Keeps a part until it is taken: for runs that need not outlive their process."""

    def shelf(
        self, location: str, facts: Callable[[], Facts], source: Source, recipe: Recipe
    ) -> Shelf:
        return _MemoryShelf()


@dataclass(slots=True)
class _MemoryShelf:
    _results: dict[int, PartResult] = field(default_factory=dict)

    def here(self) -> set[int]:
        return set(self._results)

    def put(self, part: Part, result: PartResult) -> None:
        self._results.setdefault(part.index, result)

    def take(self, part: Part) -> PartResult | None:
        return self._results.pop(part.index, None)


@dataclass(frozen=True, slots=True)
class FolderShelf:
    """One scene's parts as files."""

    folder: Path
    source: Source
    run_key: str
    """sha256 of the facts, hexadecimal."""

    def key(self, part: Part) -> str:
        """sha256, 64 hexadecimal digits, of all that the part depends on."""
        w = part.window
        what = f"{self.run_key} {w.row} {w.col} {w.height} {w.width}"
        return hashlib.sha256(what.encode()).hexdigest()

    def path(self, part: Part) -> Path:
        return self.folder / f"{part.index:06d}-{self.key(part)[:24]}.part"

    def here(self) -> set[int]:
        with _said(self.folder):
            names = (_PART_NAME.fullmatch(name) for name in os.listdir(self.folder))  # noqa: PTH208  # names alone: quicker for many
            return {int(match[1]) for match in names if match}

    def put(self, part: Part, result: PartResult) -> None:
        path = self.path(part)
        if not path.exists():
            with _said(self.folder):
                _write_new(path, partfile.to_bytes(result, self.key(part)))

    def take(self, part: Part) -> PartResult | None:
        path = self.path(part)
        try:
            return partfile.from_bytes(path.read_bytes(), self.key(part), self.source)
        except FileNotFoundError:
            return None
        except (DamagedPartError, OSError) as problem:
            log.warning(
                "%s: the part is damaged (%s); it is computed again.", printable(path), problem
            )
            if isinstance(problem, DamagedPartError):  # what cannot be read may be whole
                with suppress(OSError):
                    path.unlink()
            return None


@dataclass(frozen=True, slots=True)
class Kept:
    """One scene as a store remembers it."""

    location: str
    """As the user gave it."""
    facts: Facts
    recipe: Recipe
    folder: Path

    def shelf(self, source: Source) -> FolderShelf:
        """Its parts."""
        return FolderShelf(self.folder, source, _run_key(self.facts))


@dataclass(frozen=True, slots=True)
class FolderStore:
    """A folder of parts; `opened` makes or enters it."""

    folder: Path
    _entered: dict[str, FolderShelf] = field(default_factory=dict)
    """Shelves of this run: what they depend on was looked at when they were entered."""

    def shelf(
        self, location: str, facts: Callable[[], Facts], source: Source, recipe: Recipe
    ) -> FolderShelf:
        """Enter a scene's shelf, or begin it. OutputError says what changed since it was begun."""
        if location in self._entered:
            return self._entered[location]
        now = {**facts(), "form of the parts": str(partfile.FORMAT)}
        folder = self.folder / scene_key(location)
        record = {"scene": location, "facts": now, "recipe": recipe}
        with _said(self.folder):
            folder.mkdir(exist_ok=True)
            # A damaged record is written again: the keys of the parts say the same.
            begun = _facts_of(folder / _SCENE)
            if begun is None:
                _write_new(folder / _SCENE, _json(record))
        if begun is not None and begun != now:
            raise OutputError(
                f"{printable(self.folder)} was begun with other "
                f"{'input' if begun.get('picture') != now['picture'] else 'settings'} for "
                f"{printable(location)}: {difference(begun, now)}. Run as it was begun, or remove "
                "that folder to begin anew."
            )
        self._entered[location] = FolderShelf(folder, source, _run_key(now))
        return self._entered[location]

    def scenes(self) -> list[Kept]:
        """Every scene that was begun, in the order of their folders.

        InputError for a record that is damaged.
        """
        found = []
        for folder in sorted(self.folder.iterdir()):
            if _SCENE_NAME.fullmatch(folder.name) and folder.is_dir():
                raw = _read_json(folder / _SCENE)
                facts, recipe = raw.get("facts"), raw.get("recipe")
                if not isinstance(facts, dict) or not isinstance(recipe, dict):
                    raise InputError(
                        f"{printable(folder / _SCENE)} is damaged; run that shard again."
                    )
                found.append(Kept(str(raw.get("scene")), facts, recipe, folder))
        return found

    def remove(self) -> None:
        """Take away what is ours; files that somebody else put there stay."""
        with suppress(OSError):
            for folder in [each for each in self.folder.iterdir() if each.is_dir()]:
                if _SCENE_NAME.fullmatch(folder.name):
                    _remove(folder, lambda name: name == _SCENE or bool(_PART_NAME.fullmatch(name)))
            _remove(self.folder, lambda name: name == _MARK)
        if self.folder.exists():
            log.warning(
                "%s: files that snet4 did not put there stay in it.", printable(self.folder)
            )


def folder_of(output: Path) -> Path:
    """Where the parts of a layer are kept."""
    return output.with_name(output.name + SUFFIX)


def scene_key(location: str) -> str:
    """The name of a scene's folder: 16 hexadecimal digits."""
    return hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def begun(folder: Path) -> bool:
    """Whether a run has begun to keep parts in `folder`."""
    try:
        return (folder / _MARK).is_file()
    except OSError:  # a name too long to exist
        return False


@contextmanager
def opened(folder: Path, *, alone: bool = True) -> Iterator[FolderStore]:
    """The store in `folder`, new or as an earlier run left it.

    `alone`: no other process may work in it meanwhile, where the system can tell. Raises
    OutputError for a place that cannot be used, or is not ours.
    """
    name = printable(folder)
    with ExitStack() as stack:
        with _said(folder):
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                raise OutputError(f"{name} must be a folder for parts; move what is there away.")
            folder.mkdir(exist_ok=True)
            if not (folder / _MARK).exists():
                if any(not each.name.startswith(_TEMPORARY) for each in folder.iterdir()):
                    raise OutputError(
                        f"{name} is where parts would be kept, but holds something else; "
                        "move it away, or choose another name for the layer."
                    )
                _write_new(folder / _MARK, _MARK_TEXT.encode())
            free = stack.enter_context(locked(folder, shared=not alone, unknown=True))
        if not free:
            raise OutputError(
                f"{name} is in use by another run; wait for it, or choose another name for the "
                "layer."
            )
        yield FolderStore(folder)


def difference(begun: Facts, now: Facts) -> str:
    """In words, what differs: at most three facts."""
    names = [name for name in {**begun, **now} if begun.get(name) != now.get(name)]
    told = [f"{name} was {_short(begun.get(name))}, is {_short(now.get(name))}" for name in names]
    return printable("; ".join(told[:3]) + (" ..." if len(told) > 3 else ""))


def _short(value: str | None) -> str:
    return "unknown" if value is None else value if len(value) <= 60 else f"{value[:24]}..."


def _run_key(facts: Facts) -> str:
    return hashlib.sha256(_json(dict(sorted(facts.items())))).hexdigest()


def _facts_of(path: Path) -> dict[str, str] | None:
    """What a scene's parts were begun with; None where that is not told."""
    try:
        facts = _read_json(path)["facts"]
    except (InputError, KeyError):
        return None
    return facts if isinstance(facts, dict) else None


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(
            f"{printable(path)} cannot be read ({printable(str(problem))[:80]}); run that "
            "shard again."
        ) from problem
    if not isinstance(raw, dict):
        raise InputError(f"{printable(path)} is damaged; run that shard again.")
    return raw


def _write_new(path: Path, content: bytes) -> None:
    """Put a file there, complete and on disk, or not at all."""
    descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105  # the name is no Path yet
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
    outputs.to_disk(path.parent)


def _remove(folder: Path, ours: Callable[[str], bool]) -> None:
    paths: Iterable[Path] = list(folder.iterdir())
    for path in paths:
        if ours(path.name) or path.name.startswith(_TEMPORARY):
            path.unlink(missing_ok=True)
    with suppress(OSError):  # not empty: somebody else's files
        folder.rmdir()


@contextmanager
def _said(folder: Path) -> Iterator[None]:
    """The system's errors as ours."""
    try:
        yield
    except OSError as problem:
        if isinstance(problem, OutputError):
            raise
        reason = (problem.strerror or str(problem)).lower()
        raise OutputError(
            f"{printable(folder)}: parts cannot be kept there ({reason}); make room, or choose "
            "another place for the layer."
        ) from problem
