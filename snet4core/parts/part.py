"""Divides a run into parts: rectangles of windows to be computed anywhere, in any order.

A footprint depends on its connected component alone. So a part finishes what lies inside
it, and what touches its edges goes on as one `joiner.OpenComponents` value. How a raster
is cut into parts, who computes them, and in which order they come back does not affect the
result: `merged` joins the seams, sorts and numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snet4core.footprints.footprints import Footprints, concatenated
from snet4core.footprints.shaping import Shaping
from snet4core.labels import seams
from snet4core.labels.joiner import Joiner, OpenComponents
from snet4core.maps.maps import Maps
from snet4core.model.card import FIVE_MAPS, TWO_MAPS
from snet4core.windows import Tile, Window, tiles

Windows = tuple[int, int, int]
"""The model's grid of windows: core, halo and stride in pixels, as `windows.tiles` takes them."""

FORMAT = 1
"""What the same input and settings give. Raised when a part that was kept would no longer fit
those computed today: other shapes, another order, other windows. Never raised for a release as
such, so that long runs go on over an update."""

ROOFS_FORMAT = 2
"""The same for models that map roofs: raised alone where only their footprints would not fit."""

PART_WINDOWS = 2
"""Windows along each side of a part: some 4 MPix, a few seconds of a CPU."""


def format_fact() -> str:
    """`FORMAT` as part stores record it.

    snet4 0.1.0 recorded its version in this place, and computed what `FORMAT` 1 means; the
    keys of its parts are hashes of that text. So 1 is written as 0.1.0 did, for good.
    """
    return "0.1.0" if FORMAT == 1 else f"results of form {FORMAT}"


@dataclass(frozen=True, slots=True)
class Part:
    """Some windows of the raster's fixed grid, computed in one go."""

    index: int
    """0, 1, 2, ... row by row."""
    window: Window
    """The rectangle that it owns; parts cover the raster exactly once."""
    tiles: tuple[Tile, ...]
    """Its windows, those of one size together; their `own` cover `window`."""

    @property
    def name(self) -> str:
        """For messages: where it lies on the working grid."""
        w = self.window
        return f"rows {w.row} to {w.row_stop}, columns {w.col} to {w.col_stop}"


@dataclass(frozen=True, slots=True, eq=False)
class PartResult:
    """Result of one part: arrays only."""

    footprints: Footprints
    """Of the components that lie inside the part; not in order, not numbered."""
    rest: OpenComponents
    """Of those that touch its edges, to be joined."""
    maps: tuple[Maps, ...] = ()
    """The maps of its windows, when they are to be kept."""


def parts_of(shape: tuple[int, int], windows: Windows) -> list[Part]:
    """Cut a raster of `shape` (rows, columns) into parts: a function of size and model alone.

    >>> [part.window.shape for part in parts_of((3000, 1000), (1024, 64, 32))]
    [(2048, 1000), (952, 1000)]
    """
    side_px = PART_WINDOWS * windows[0]
    of_part: dict[tuple[int, int], list[Tile]] = {}
    for tile in tiles(shape, *windows):
        of_part.setdefault((tile.own.row // side_px, tile.own.col // side_px), []).append(tile)
    return [
        # Windows of one size go in batches, and through the same program of an engine.
        Part(index, _hull([t.own for t in group]), tuple(sorted(group, key=lambda t: t.read.shape)))
        for index, group in enumerate(of_part.values())
    ]


def finish(
    part: Part, maps: Iterable[Maps], shaping: Shaping, *, keep_maps: bool = False
) -> PartResult:
    """Vectorise a part: the maps of all its windows to its result. Pure.

    The windows are laid side by side and cut at once: many small blocks would give the same
    footprints, but each costs some milliseconds of its own.
    """
    kept = tuple(maps)
    whole = side_by_side(part.window, kept)
    shape, settings = shaping.grid.shape, shaping.settings
    inside, rest = seams.label_block(
        whole, shape, settings.threshold, shaping.specks_px, of_roofs=shaping.source.has_roofs
    )
    found = concatenated(shaping.source, [shaping.footprints(each) for each in inside])
    return PartResult(found, rest, kept if keep_maps else ())


def side_by_side(window: Window, maps: Iterable[Maps]) -> Maps:
    """Mosaic maps that cover `window` exactly once; of an iterator, two are held at a time."""
    whole_MHW, valid_HW = np.empty((0, *window.shape), np.uint8), np.empty(window.shape, np.bool_)
    for each in maps:
        if each.window == window:
            return each
        if not len(whole_MHW):
            whole_MHW = np.empty((len(each.layers), *window.shape), np.uint8)
        here = each.window.slices(window)
        for whole_HW, map_HW in zip(whole_MHW, each.layers, strict=True):
            whole_HW[here] = map_HW
        valid_HW[here] = each.valid_HW
    return Maps.of(window, whole_MHW, valid_HW)


def lost(part: Part, shaping: Shaping) -> PartResult:
    """Result of a part that could not be computed: all nodata."""
    nothing = np.zeros(part.window.shape, np.uint8)
    layers = [nothing] * len(FIVE_MAPS if shaping.source.has_roofs else TWO_MAPS)
    empty = Maps.of(part.window, layers, nothing.astype(np.bool_))
    return finish(part, [empty], shaping)


def _hull(windows: Sequence[Window]) -> Window:
    row, col = min(w.row for w in windows), min(w.col for w in windows)
    row_stop, col_stop = max(w.row_stop for w in windows), max(w.col_stop for w in windows)
    return Window(row, col, row_stop - row, col_stop - col)


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
