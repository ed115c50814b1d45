"""Batches that are written twice: kept in a temporary file while the first writer takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from snet4core.footprints.footprints import Footprints, Source
from snet4core.footprints.spool import Place, Spool


class KeptBatches:
    """Iterable of the batches that went through `passed`, any number of times.

    They lie in an unnamed file, so that memory holds one batch at a time.
    """

    def __init__(self, source: Source) -> None:
        """`source` is that of the first batch; all have roofs, or none has, as it says."""
        self._spool = Spool(source)
        self._places: list[tuple[Source, Place]] = []

    def passed(self, batches: Iterable[Footprints]) -> Iterator[Footprints]:
        """Pass the batches through, keeping each. Raises OutputError when the disk is full."""
        for batch in batches:
            self._places.append((batch.source, self._spool.add(batch)))
            yield batch

    def __iter__(self) -> Iterator[Footprints]:
        for source, place in self._places:
            yield replace(self._spool.read(place), source=source)

    def __enter__(self) -> KeptBatches:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()
