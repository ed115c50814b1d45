"""Label images of complete components, with their maps and their place in the raster.

Array names end in their axes: H rows, W columns, R runs, P pixels, N labels, M maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels
from snet4core.errors import UsageError
from snet4core.labels import runs
from snet4core.labels.packing import shelf_packed
from snet4core.windows import Window

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Labels:
    """Complete components, packed close together; all images have one shape (H, W).

    Every label is a whole 4-connected component of the raster's foreground (or, after
    `watershed.split`, a part of one), never a piece that continues beyond the block that it
    was found in. So whatever is computed from these pixels is the same for every tiling of
    the raster. Components do not touch, not even at corners.

    They are components of the footprint map or of the roof map; the two probabilities are
    those of that map and of its border map.
    """

    labels_HW: NDArray[np.int32]
    """0 background, 1..count buildings; every number occurs."""
    footprint_HW: NDArray[np.uint8]
    """Probability of a footprint (or roof), 0..255 = 0..1; 0 where the label is 0."""
    border_HW: NDArray[np.uint8]
    """Probability of its border, 0..255 = 0..1; 0 where the label is 0."""
    origin_N2: NDArray[np.int64]
    """(count + 1, 2) offset (row, column) of each label from this image to the raster; row 0 is
    unused."""
    height_HW: NDArray[np.uint8] | None = None
    """Of roofs: height on the scale of `maps.heights`; 0 where the label is 0."""

    @staticmethod
    def of_image(
        labels_HW: NDArray[np.int32],
        footprint_HW: NDArray[np.uint8],
        border_HW: NDArray[np.uint8],
        row: int = 0,
        col: int = 0,
    ) -> Labels:
        """Labels in their raster positions; the images begin at (`row`, `col`)."""
        count = int(labels_HW.max(initial=0))
        return Labels(labels_HW, footprint_HW, border_HW, np.full((count + 1, 2), (row, col)))

    def __post_init__(self) -> None:
        for name in ("footprint_HW", "border_HW", "height_HW"):
            image_HW = getattr(self, name)
            shape = self.labels_HW.shape if image_HW is None else image_HW.shape
            if shape != self.labels_HW.shape:
                raise UsageError(
                    f"{name} has shape {shape}, but labels_HW has {self.labels_HW.shape}; "
                    "cut both to the same pixels."
                )

    @property
    def count(self) -> int:
        """Number of labels."""
        return len(self.origin_N2) - 1

    def at_home(self, window: Window) -> Labels:
        """The same labels in their raster positions, in a window that holds them all; no heights.

        To display and to trace, not to split again: there, separate components may touch at
        corners.
        """
        return Labels.of_image(
            self.placed(self.labels_HW, window),
            self.placed(self.footprint_HW, window),
            self.placed(self.border_HW, window),
            window.row,
            window.col,
        )

    def placed(self, image_HW: NDArray[Pixel], window: Window) -> NDArray[Pixel]:
        """Move an image of these labels (H, W) to its place in the raster `window`; 0 elsewhere."""
        row_P, col_P = np.nonzero(self.labels_HW)
        origin_P2 = self.origin_N2[self.labels_HW[row_P, col_P]] - (window.row, window.col)
        placed_HW = np.zeros(window.shape, image_HW.dtype)
        placed_HW[row_P + origin_P2[:, 0], col_P + origin_P2[:, 1]] = image_HW[row_P, col_P]
        return placed_HW


CHUNK_PX = 1 << 20
"""Pixels that are copied at a time, which bounds the index arrays: a component may be as large
as the raster."""


def packed(
    found: runs.Runs,
    box_N4: NDArray[np.int64],
    maps_MP: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    row: int = 0,
    col: int = 0,
) -> Labels:
    """Pack components onto a sheet, from their runs, boxes (`packing.boxes_of`) and map values.

    `maps_MP` are footprint (or roof), its border and perhaps height at the components' pixels,
    run after run. Runs and boxes are relative to (`row`, `col`) of the raster.
    """
    shape, shift_N2 = shelf_packed(box_N4)
    moved, length_R = found.moved(shift_N2), found.lengths
    first_R = moved.row_R * shape[1] + moved.start_R
    labels_HW = np.zeros(shape, np.int32)
    images_MHW = np.zeros((len(maps_MP), *shape), np.uint8)
    if kernels.compiled():
        kernels.fill_runs(labels_HW, first_R, length_R, found.label_R)
        for image_HW, map_P in zip(images_MHW, maps_MP, strict=True):
            kernels.put_runs(image_HW, first_R, length_R, map_P)
    else:
        _put(labels_HW, images_MHW, first_R, length_R, found.label_R, maps_MP)
    origin_N2 = np.vstack([np.zeros((1, 2), np.int64), np.array([row, col]) - shift_N2])
    footprint_HW, border_HW, *height = images_MHW
    return Labels(labels_HW, footprint_HW, border_HW, origin_N2, *height)


def _put(
    labels_HW: NDArray[np.int32],
    images_MHW: NDArray[np.uint8],
    first_R: NDArray[np.int64],
    length_R: NDArray[np.int64],
    label_R: NDArray[np.int32],
    maps_MP: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
) -> None:
    """Write labels and maps into the runs of images."""
    pixels_before = np.concatenate([[0], np.cumsum(length_R)])
    marks = np.arange(0, pixels_before[-1], CHUNK_PX)
    bounds = [*np.searchsorted(pixels_before, marks).tolist(), length_R.size]
    for a, b in pairwise(bounds):
        place_P = runs.positions(first_R[a:b], length_R[a:b])
        of_chunk = slice(pixels_before[a], pixels_before[b])
        labels_HW.ravel()[place_P] = np.repeat(label_R[a:b], length_R[a:b])
        for image_HW, map_P in zip(images_MHW, maps_MP, strict=True):
            image_HW.ravel()[place_P] = map_P[of_chunk]
