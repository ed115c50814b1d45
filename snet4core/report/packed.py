"""Outlines for the page's script: base64 of small whole numbers, a third of what JSON takes.

The numbers: buildings, rings and points in all; the rings of each building; the points of each
ring; and x, y of each point in tenths of a pixel, as differences from the point before, also
across rings. A difference d is 2 d, or -2 d - 1 below zero. A number takes seven bits a byte, the
lowest first; the eighth bit says that another byte follows.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

_FURTHEST = 2**26
"""Tenths of a pixel: what lies further out is drawn there, where nobody sees it."""


def packed(polygons_M: NDArray[np.object_], matrix: Sequence[float]) -> str:
    """The rings of M polygons or multipolygons, whose closing points are left out.

    `matrix` is a, b, d, e, xoff, yoff of shapely.affinity: from their coordinates to pixels.
    """
    parts, building_of_part = shapely.get_parts(polygons_M, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    xy, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    closing = np.diff(ring_of_point, append=len(rings)) != 0
    xy, ring_of_point = xy[~closing], ring_of_point[~closing]
    a, b, d, e, x0, y0 = matrix
    placed = np.column_stack([a * xy[:, 0] + b * xy[:, 1] + x0, d * xy[:, 0] + e * xy[:, 1] + y0])
    tenths = np.rint(np.clip(placed * 10, -_FURTHEST, _FURTHEST)).astype(np.int64)
    steps = np.diff(tenths, axis=0, prepend=0).ravel()
    numbers = [
        np.array([len(polygons_M), len(rings), len(xy)]),
        np.bincount(building_of_part[part_of_ring], minlength=len(polygons_M)),
        np.bincount(ring_of_point, minlength=len(rings)),
        np.where(steps < 0, -2 * steps - 1, 2 * steps),
    ]
    return base64.b64encode(_bytes_of(np.concatenate(numbers))).decode("ascii")


def _bytes_of(numbers_N: NDArray[np.int64]) -> bytes:
    length_N = 1 + sum((numbers_N >= 2 ** (7 * more)).astype(np.int64) for more in range(1, 5))
    end_N = np.cumsum(length_N)
    found = np.zeros(int(end_N[-1]), np.uint8)
    for place in range(5):
        here = length_N > place
        follows = (length_N[here] > place + 1) * 128
        found[end_N[here] - length_N[here] + place] = (
            (numbers_N[here] >> (7 * place)) & 127
        ) | follows
    return found.tobytes()
