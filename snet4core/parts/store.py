"""Stores finished parts in a place that survives a killed process.

    OUT.parts/snet4-parts.txt       what kind of folder this is
    OUT.parts/3f0c.../scene.json    what the parts of one scene depend on, and how they are merged
    OUT.parts/3f0c.../000007-5b1e....part

A part's key is the sha256 of everything that it depends on. So a part that is there under
its key is the right one, whoever put it there; one that is damaged counts as missing. The
place is a folder, or a prefix of an object store; the names are the same in both.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from snet4core.errors import InputError, OutputError
from snet4core.files.names import printable
from snet4core.files.places import TEMPORARY, FolderPlace, Place
from snet4core.footprints.footprints import Source
from snet4core.parts import file as partfile
from snet4core.parts.file import DamagedPartError
from snet4core.parts.part import Part, PartResult
from snet4core.parts.shelf import Facts, Recipe

log = logging.getLogger("snet4")

SUFFIX = ".parts"
"""Put behind the name of the layer: the folder of its parts."""

_MARK, _SCENE = "snet4-parts.txt", "scene.json"
_MARK_TEXT = "Finished parts of a run of snet4 that goes on, or waits for --resume or merge.\n"
_PART_NAME = re.compile(r"(\d{6,})-([0-9a-f]{24})\.part")
_SCENE_NAME = re.compile(r"[0-9a-f]{16}")
_NOTE_NAME = re.compile(r"(job|outside)-[0-9a-f]{16}\.json")

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class FolderShelf:
    """One scene's parts as files in a folder of the place."""

    place: Place
    folder: str
    """Its name in the place."""
    source: Source
    run_key: str
    """sha256 of the facts, hexadecimal."""

    def key(self, part: Part) -> str:
        """sha256, 64 hexadecimal digits, of all that the part depends on."""
        w = part.window
        what = f"{self.run_key} {w.row} {w.col} {w.height} {w.width}"
        return hashlib.sha256(what.encode()).hexdigest()

    def name(self, part: Part) -> str:
        """Of the part's file in the place."""
        return f"{self.folder}/{part.index:06d}-{self.key(part)[:24]}.part"

    def everywhere(self) -> FolderShelf:
        """The same shelf with an absolute path, to be sent to another process."""
        return replace(self, place=self.place.everywhere())

    def here(self) -> set[int]:
        with _said(self.place):
            names = (_PART_NAME.fullmatch(name) for name in self.place.names(self.folder))
            return {int(match[1]) for match in names if match}

    def has(self, part: Part) -> bool:
        """Whether the part's file is there; whether it is whole is seen when it is taken."""
        with _said(self.place):
            return self.place.has(self.name(part))

    def put(self, part: Part, result: PartResult) -> None:
        if not self.has(part):
            with _said(self.place):
                self.place.create(self.name(part), partfile.to_bytes(result, self.key(part)))

    def is_whole(self, part: Part) -> bool:
        """Whether the part's file is there and its checksum is right; as `take` for a damaged one.

        Asked before other processes compute what is missing: later nobody could.
        """
        return self._read(part, partfile.checked) is not None

    def take(self, part: Part) -> PartResult | None:
        return self._read(part, lambda stored, key: partfile.from_bytes(stored, key, self.source))

    def _read(self, part: Part, read: Callable[[bytes, str], _Read]) -> _Read | None:
        """What `read` makes of the part's file and key; None, and a warning, if it is damaged."""
        name = self.name(part)
        try:
            return read(self.place.read(name), self.key(part))
        except FileNotFoundError:
            return None
        except (DamagedPartError, OSError) as problem:
            log.warning(
                "%s: the part is damaged (%s); it is computed again.",
                printable(f"{self.place}/{name}"),
                problem,
            )
            if isinstance(problem, DamagedPartError):  # what cannot be read may be whole
                with suppress(OSError):
                    self.place.remove(name)
            return None


@dataclass(frozen=True, slots=True)
class Kept:
    """One scene as a store has recorded it."""

    location: str
    """As the user gave it."""
    facts: Facts
    recipe: Recipe
    place: Place
    folder: str
    """Its name in the place."""

    def __str__(self) -> str:
        return f"{self.place}/{self.folder}"

    def shelf(self, source: Source) -> FolderShelf:
        """Its parts."""
        return FolderShelf(self.place, self.folder, source, _run_key(self.facts))


@dataclass(frozen=True, slots=True)
class FolderStore:
    """A place with a folder of parts for each scene; `opened` makes or enters it."""

    place: Place
    _entered: dict[str, FolderShelf] = field(default_factory=dict)
    """Shelves of this run: what they depend on was looked at when they were entered."""

    def shelf(
        self, location: str, facts: Callable[[], Facts], source: Source, recipe: Recipe
    ) -> FolderShelf:
        """Open a scene's shelf, or create it. OutputError says what changed since then."""
        if location in self._entered:
            return self._entered[location]
        now = {**facts(), "form of the parts": str(partfile.FORMAT)}
        folder = scene_key(location)
        with _said(self.place):
            begun = self._begun(folder, {"scene": location, "facts": now, "recipe": recipe})
        if begun != now:
            raise self._other(folder, location, begun, now)
        self._entered[location] = FolderShelf(self.place, folder, source, _run_key(now))
        return self._entered[location]

    def _other(self, folder: str, location: str, begun: Facts, now: Facts) -> OutputError:
        what, where, rest = "settings", "that folder", "begin anew"
        if begun.get("picture") != now["picture"]:
            what, where = "input", printable(f"{self.place}/{folder}")
            rest = "begin this scene anew"
        return OutputError(
            f"{printable(str(self.place))} was begun with other {what} for {printable(location)}: "
            f"{difference(begun, now)}. Run as it was begun, or remove {where} to {rest}."
        )

    def _begun(self, folder: str, record: Mapping[str, Any]) -> Facts:
        """Facts recorded for a scene, by this run or by another, earlier or at the same time."""
        name = f"{folder}/{_SCENE}"
        begun = self._facts(name)
        if begun is None:
            # A damaged record is written again: the keys of the parts say the same.
            self.place.remove(name)
            if not self.place.create(name, _json(record)):
                begun = self._facts(name)
        now: Facts = record["facts"]
        return now if begun is None else begun

    def _facts(self, name: str) -> Facts | None:
        """Facts in a record; None where there is no record, or a damaged one."""
        try:
            facts = _read_json(self.place, name)["facts"]
        except (InputError, KeyError):
            return None
        return facts if isinstance(facts, dict) else None

    def scenes(self) -> list[Kept]:
        """Every scene that was begun, in the order of their folders.

        InputError for a record that is damaged.
        """
        found = []
        for folder in self._scene_folders():
            raw = _read_json(self.place, f"{folder}/{_SCENE}")
            facts, recipe = raw.get("facts"), raw.get("recipe")
            if not isinstance(facts, dict) or not isinstance(recipe, dict):
                raise InputError(
                    f"{printable(f'{self.place}/{folder}/{_SCENE}')} is damaged; run that shard "
                    "again."
                )
            found.append(Kept(str(raw.get("scene")), facts, recipe, self.place, folder))
        return found

    def note_job(self, scenes: Sequence[str], searched: str) -> None:
        """Record the names of all scenes of a job, of which each shard begins only its own, and
        what is searched."""
        self._note("job", scenes, searched)

    def note_outside(self, scene: str, searched: str) -> None:
        """Record the name of a scene that has no parts, as none of it is searched."""
        self._note("outside", [scene], searched)

    def _note(self, kind: Literal["job", "outside"], scenes: Sequence[str], searched: str) -> None:
        text = _json({"scenes": sorted(scenes), "searched": searched})
        with _said(self.place):
            self.place.create(f"{kind}-{hashlib.sha256(text).hexdigest()[:16]}.json", text)

    def noted(self, kind: Literal["job", "outside"]) -> set[tuple[str, str]]:
        """(scene, what was searched) of all records of a kind. InputError for a damaged one."""
        found: set[tuple[str, str]] = set()
        for name in self.place.names():
            match = _NOTE_NAME.fullmatch(name)
            if match is None or match[1] != kind:
                continue
            note = _read_json(self.place, name)
            scenes, searched = note.get("scenes"), str(note.get("searched", "all"))
            if not isinstance(scenes, list):
                raise InputError(
                    f"{printable(f'{self.place}/{name}')} is damaged; remove it, and run a shard "
                    "again."
                )
            found |= {(str(scene), searched) for scene in scenes}
        return found

    def _scene_folders(self) -> list[str]:
        return [name for name in self.place.names() if _SCENE_NAME.fullmatch(name)]

    def holds_parts(self) -> bool:
        """Whether a part of any scene is there."""
        return any(
            _PART_NAME.fullmatch(name)
            for folder in self._scene_folders()
            for name in self.place.names(folder)
        )

    def holds_notes(self) -> bool:
        """Whether a shard has noted its job, or a scene of it."""
        return any(map(_NOTE_NAME.fullmatch, self.place.names()))

    def forget(self, location: str) -> None:
        """Remove what is kept of a scene, which then may be begun anew."""
        with suppress(OSError):
            self._empty(scene_key(location))
        self._entered.pop(location, None)

    def _empty(self, folder: str) -> None:
        for name in self.place.names(folder):
            if name == _SCENE or _PART_NAME.fullmatch(name) or name.startswith(TEMPORARY):
                self.place.remove(f"{folder}/{name}")
        self.place.prune(folder)

    def remove(self) -> None:
        """Remove our own files; others stay."""
        with suppress(OSError):
            for folder in self._scene_folders():
                self._empty(folder)
            for name in self.place.names():
                ours = name == _MARK or _NOTE_NAME.fullmatch(name)
                if ours or name.startswith(TEMPORARY):
                    self.place.remove(name)
            self.place.prune()
            if self.place.is_there():
                log.warning(
                    "%s: files that snet4 did not put there stay in it.",
                    printable(str(self.place)),
                )


def place_beside(output: Path) -> FolderPlace:
    """Where the parts of a layer are kept unless another place is named."""
    return FolderPlace(output.with_name(output.name + SUFFIX))


def scene_key(location: str) -> str:
    """The name of a scene's folder: 16 hexadecimal digits."""
    return hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def begun(place: Place) -> bool:
    """Whether the place holds a part store. OutputError where it cannot be reached."""
    if isinstance(place, FolderPlace):
        try:
            return (place.folder / _MARK).is_file()
        except OSError:  # a name too long to exist
            return False
    with _said(place):
        return place.has(_MARK)


@contextmanager
def opened(place: Place, *, alone: bool = True) -> Iterator[FolderStore]:
    """The store in `place`, new or as an earlier run left it.

    `alone`: no other process may work in it meanwhile, where that can be told. Then a run that
    fails before its first part leaves no store, which the next run would have to go on with.
    Raises OutputError for a place that cannot be used, or is not ours.
    """
    with ExitStack() as stack:
        with _said(place):
            stack.enter_context(place.entered(_MARK, alone=alone))
            place.create(_MARK, _MARK_TEXT.encode())
        store = FolderStore(place)
        try:
            yield store
        except BaseException:
            with suppress(OSError):
                if alone and not store.holds_parts() and not store.holds_notes():
                    store.remove()
            raise


def difference(begun: Facts, now: Facts) -> str:
    """Say in words what differs: at most three facts."""
    names = [name for name in {**begun, **now} if begun.get(name) != now.get(name)]
    told = [f"{name} was {_short(begun.get(name))}, is {_short(now.get(name))}" for name in names]
    return printable("; ".join(told[:3]) + (" ..." if len(told) > 3 else ""))


def _short(value: str | None) -> str:
    return "unknown" if value is None else value if len(value) <= 60 else f"{value[:24]}..."


def _run_key(facts: Facts) -> str:
    return hashlib.sha256(_json(dict(sorted(facts.items())))).hexdigest()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"


def _read_json(place: Place, name: str) -> dict[str, Any]:
    try:
        raw = json.loads(place.read(name))
    except (OSError, ValueError, RecursionError) as problem:
        raise InputError(
            f"{printable(f'{place}/{name}')} cannot be read ({printable(str(problem))[:80]}); run "
            "that shard again."
        ) from problem
    if not isinstance(raw, dict):
        raise InputError(f"{printable(f'{place}/{name}')} is damaged; run that shard again.")
    return raw


@contextmanager
def _said(place: Place) -> Iterator[None]:
    """Raise the system's errors as OutputError."""
    try:
        yield
    except OSError as problem:
        if isinstance(problem, OutputError):
            raise
        reason = (problem.strerror or str(problem)).lower()
        raise OutputError(
            f"{printable(str(place))}: parts cannot be kept there ({reason}); make room, or choose "
            "another place for the layer."
        ) from problem
