"""What keeps finished parts, scene by scene; and keeping them in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from snet4core.footprints.footprints import Source
from snet4core.parts.part import Part, PartResult

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
    """Keeps parts in memory until they are taken: for runs that cannot be resumed."""

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
