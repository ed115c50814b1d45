"""Labels connected components of maps that come in blocks, independently of the blocks.

A footprint depends on its 4-connected component of foreground alone. So components
inside a block are finished there, and only those that touch its edges wait, as `OpenComponents`
pieces, for the neighbouring blocks. Pieces are joined where they meet along a seam, and
a component is finished, once, when every edge it touches has been seen from both
sides. The result does not depend on the order or the size of the blocks.

A part computed on another machine leaves the same kind of `OpenComponents` value as a single
block does: it consists of arrays only, can be stored, and is joined in the same way.

Cost: linear in pixels and runs, n log n in the pieces of one component. Memory: one
block, plus 12 bytes per run and a byte per pixel and map of open components, plus the box of a
component when it is finished. Nothing is copied when pieces join.

Axes: H rows, W columns, R runs, P pixels, N components, E edges, X pixels along edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from snet4core.errors import UsageError
from snet4core.labels import runs
from snet4core.labels.joiner import Joiner, OpenComponents
from snet4core.labels.labels import Labels, packed
from snet4core.labels.packing import boxes_of, sheet_slices
from snet4core.maps.maps import Maps, quantised_threshold
from snet4core.windows import Window

Edge = tuple[tuple[int, int, int, int, int], NDArray[np.int32]]
"""As in `OpenComponents`: axis, line, side, from, to; and the label of each pixel along it."""

Layers = tuple[NDArray[np.uint8], ...]
"""Maps (H, W) of one kind of buildings: footprint and border, or roof, its border and height."""


def complete_components(
    maps: Iterable[Maps],
    shape: tuple[int, int],
    threshold: float,
    min_area_px: float = 0,
    *,
    of_roofs: bool = False,
) -> Iterator[Labels]:
    """Yield the 4-connected components of footprint >= `threshold` (0..1) on valid pixels.

    With `of_roofs` those of the roof map, with heights.

    `maps` cover the raster of `shape` (rows, columns) exactly once, in blocks of any size
    and in any order, else UsageError. Each component is yielded once: those inside a block
    soon after it, the others soon after their last block. Components below `min_area_px`
    pixels are left out. The maps of the result are 0 outside the components.
    """
    seams = Joiner(shape, min_area_px)
    for block in maps:
        inside, rest = label_block(block, shape, threshold, min_area_px, of_roofs=of_roofs)
        seams.take(rest)
        yield from inside
        yield from seams.finished()
    yield from seams.finished(everything=True)
    seams.check_complete()


def label_block(
    maps: Maps,
    shape: tuple[int, int],
    threshold: float,
    min_area_px: float = 0,
    *,
    of_roofs: bool = False,
) -> tuple[Iterator[Labels], OpenComponents]:
    """Label one block; returns its complete components, sheet by sheet, and the open ones.

    A pure function of the block, so that workers may run it. Raises UsageError where arrays
    do not fit the block's window, or the window the raster, or where there are no `of_roofs`.
    """
    window = maps.window
    _check_block(maps, shape)
    layers = maps.roofs if of_roofs else (maps.footprint_HW, maps.border_HW)
    if layers is None:
        raise UsageError(
            "These maps show no roofs; take the footprints from the maps of footprints."
        )
    mask_HW = (layers[0] >= quantised_threshold(threshold)) & maps.valid_HW
    found, count = runs.components(mask_HW)
    edges = _edges(found, window, shape)
    area_N = np.bincount(found.label_R, found.stop_R - found.start_R, count + 1)
    is_open_N = np.zeros(count + 1, np.bool_)
    for _, owner in edges:
        is_open_N[owner] = True
    keep_N = ~is_open_N & (area_N >= min_area_px)
    keep_N[0] = is_open_N[0] = False
    return (
        _finished(found, keep_N, window, layers),
        _open(found, is_open_N, window, layers, edges),
    )


def _finished(
    found: runs.Runs, keep_N: NDArray[np.bool_], window: Window, layers: Layers
) -> Iterator[Labels]:
    """Yield the chosen, complete components, sheet by sheet."""
    done = found.some(keep_N)
    box_N4 = boxes_of(done, int(keep_N.sum()))
    for load in sheet_slices(box_N4):
        on_sheet_N = np.zeros(len(box_N4) + 1, np.bool_)
        on_sheet_N[1:][load] = True
        some = done.some(on_sheet_N)
        values = [some.values(each_HW) for each_HW in layers]
        yield packed(some, box_N4[load], values, window.row, window.col)


def _open(
    found: runs.Runs,
    is_open_N: NDArray[np.bool_],
    window: Window,
    layers: Layers,
    edges: list[Edge],
) -> OpenComponents:
    """Collect the chosen components, which reach the block's edges, and those edges."""
    rest = found.some(is_open_N).by_label()
    footprint_P, border_P, *height = (rest.values(each_HW) for each_HW in layers)
    number_N = np.cumsum(is_open_N, dtype=np.int32) * is_open_N
    return OpenComponents(
        np.array([[window.row, window.col, *window.shape]]),
        (rest.row_R + window.row).astype(np.int32),
        (rest.start_R + window.col).astype(np.int32),
        (rest.stop_R + window.col).astype(np.int32),
        rest.label_R - 1,
        footprint_P,
        border_P,
        np.array([edge for edge, _ in edges], np.int64).reshape(-1, 5),
        np.concatenate([np.zeros(0, np.int32), *(number_N[owner] for _, owner in edges)]),
        *height,
    )


def _check_block(maps: Maps, shape: tuple[int, int]) -> None:
    window = maps.window
    for each in fields(maps):
        image_HW = getattr(maps, each.name)
        if isinstance(image_HW, np.ndarray) and image_HW.shape != window.shape:
            raise UsageError(
                f"{each.name} has shape {image_HW.shape}, but its window has {window.shape}; cut "
                "both to the same pixels."
            )
    if window.within(Window(0, 0, *shape)) != window:
        raise UsageError(
            f"The block {window} reaches beyond a raster of {shape[0]} x {shape[1]} pixels; "
            "cut it off at the raster's edge."
        )


def _edges(found: runs.Runs, window: Window, shape: tuple[int, int]) -> list[Edge]:
    """The block's edges that are not the raster's: (axis, line, side, from, to), labels."""
    edges = []
    for inner_row, line, side, is_seam in (
        (0, window.row, 1, window.row > 0),
        (window.height - 1, window.row_stop, 0, window.row_stop < shape[0]),
    ):
        if is_seam and window.width:
            on = found.row_R == inner_row
            length = found.stop_R[on] - found.start_R[on]
            owner = np.zeros(window.width, np.int32)
            owner[runs.positions(found.start_R[on], length)] = np.repeat(found.label_R[on], length)
            edges.append(((0, line, side, window.col, window.col_stop), owner))
    for on, line, side, is_seam in (
        (found.start_R == 0, window.col, 1, window.col > 0),
        (found.stop_R == window.width, window.col_stop, 0, window.col_stop < shape[1]),
    ):
        if is_seam and window.height:
            owner = np.zeros(window.height, np.int32)
            owner[found.row_R[on]] = found.label_R[on]
            edges.append(((1, line, side, window.row, window.row_stop), owner))
    return edges
