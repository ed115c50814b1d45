"""Merges parts into footprints: joins the seams, sorts and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from snet4core.footprints.footprints import Footprints
from snet4core.footprints.shaping import Shaping
from snet4core.labels.joiner import Joiner
from snet4core.parts import PartResult


def merged(results: Iterable[PartResult], shaping: Shaping) -> Iterator[Footprints]:
    """All footprints of a scene, in order, from the results of all its parts in any order.

    Footprints inside a part pass through; components that touch its edges are joined, and
    vectorised by the same rule. Raises UsageError where parts are missing or come twice.
    """

    def found() -> Iterator[Footprints]:
        seams = Joiner(shaping.grid.shape, shaping.specks_px)
        for result in results:
            yield result.footprints
            seams.take(result.rest)
            yield from map(shaping.footprints, seams.finished())
        yield from map(shaping.footprints, seams.finished(everything=True))
        seams.check_complete()

    return shaping.in_order(found())
