"""Polygons as WKB with bounding boxes, decoded to shapely only on demand.

Most footprints go from a part into the layer without any computation on their geometry. As
WKB they are sorted, stored and written without passing through GEOS.

Axis letters: N polygons, K some of them, B bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Polygons = NDArray[np.object_]
"""(N,) shapely Polygons."""


@dataclass(frozen=True, eq=False)
class Shapes:
    """Immutable array of polygons: WKB and boxes, decoded lazily.

    >>> shapes = Shapes.of(np.array([shapely.box(0, 0, 4, 2), shapely.box(1, 1, 3, 3)]))
    >>> shapes[1:].boxes_N4.tolist(), shapes[:1].polygons_N.tolist()
    ([[1.0, 1.0, 3.0, 3.0]], [<POLYGON ((4 0, 4 2, 0 2, 0 0, 4 0))>])
    """

    wkb_N: NDArray[np.object_]
    """(N,) bytes: ISO WKB, little-endian."""
    boxes_N4: NDArray[np.float64]
    """(N, 4) xmin, ymin, xmax, ymax of each."""

    @staticmethod
    def of(polygons_N: Polygons) -> Shapes:
        """Encode shapely polygons, none of them empty."""
        wkb_N = shapely.to_wkb(polygons_N, byte_order=1, flavor="iso")
        return Shapes(np.asarray(wkb_N, object), shapely.bounds(polygons_N).reshape(-1, 4))

    @staticmethod
    def joined(several: Sequence[Shapes]) -> Shapes:
        """Concatenate at least one array of polygons, in the order given."""
        return Shapes(
            np.concatenate([each.wkb_N for each in several]),
            np.concatenate([each.boxes_N4 for each in several]),
        )

    @staticmethod
    def from_flat(
        bytes_B: NDArray[np.uint8], lengths_N: NDArray[np.int32], boxes_N4: NDArray[np.float64]
    ) -> Shapes:
        """Inverse of `flat`."""
        stored, ends = bytes_B.tobytes(), np.cumsum(lengths_N, dtype=np.int64).tolist()
        wkb = [stored[start:stop] for start, stop in pairwise([0, *ends])]
        return Shapes(np.array(wkb, object), boxes_N4)

    def flat(self) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """Concatenated WKB (B,) and the length of each (N,), as plain arrays to store."""
        wkb = self.wkb_N.tolist()
        lengths_N = np.fromiter(map(len, wkb), np.int32, len(wkb))
        return np.frombuffer(b"".join(wkb), np.uint8), lengths_N

    def replaced(self, index_K: NDArray[np.intp], polygons_K: Polygons) -> Shapes:
        """Return a copy with the polygons at some indices replaced."""
        wkb_N, boxes_N4, new = self.wkb_N.copy(), self.boxes_N4.copy(), Shapes.of(polygons_K)
        wkb_N[index_K], boxes_N4[index_K] = new.wkb_N, new.boxes_N4
        return Shapes(wkb_N, boxes_N4)

    @cached_property
    def polygons_N(self) -> Polygons:
        """(N,) shapely polygons, decoded on first access."""
        return np.asarray(shapely.from_wkb(self.wkb_N), object)

    def __len__(self) -> int:
        return len(self.wkb_N)

    def __getitem__(self, which: slice | NDArray[Any]) -> Shapes:
        """Select polygons by slice, mask or indices."""
        return Shapes(self.wkb_N[which], self.boxes_N4[which])
