"""Burns the network's targets from polygons: maps of footprints, roofs, their borders and heights.

All but heights are antialiased: rasterised at a third of a pixel and averaged, so that an edge
pixel holds the share of it that is building, and a house does not move by half a pixel.
Axes: M maps, N buildings, H rows, W columns, S rows and columns drawn finer.
"""

from __future__ import annotations

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from snet4core.maps.heights import height_value_of

FINER = 3
"""Drawn points per pixel side."""

BORDER_PX = 1.5
"""Half the width of the border that runs along every wall."""

NEIGHBOUR_PX = 4.0
"""Buildings nearer to each other than this get a wider border between them ..."""

CONTACT_PX = 2.5
"""... all that lies within this distance of both."""

_SHARES = np.rint(np.arange(FINER**2 + 1) / FINER**2 * 255).astype(np.uint8)
"""Number of drawn points in a pixel -> its share in 8 bits."""

Polygons = NDArray[np.object_]
"""shapely polygons in pixels: x = column, y = row, pixel edges at whole numbers."""


def burn(polygons: Polygons, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Share of each pixel that the polygons cover: (H, W), 0..255.

    >>> burn(np.array([shapely.box(0, 0, 1, 2)]), (2, 2)).tolist()
    [[255, 0], [255, 0]]
    """
    solid = polygons[~shapely.is_empty(polygons)]
    if solid.size == 0:
        return np.zeros(shape, dtype=np.uint8)
    drawn_SS = rasterize(
        list(solid),
        out_shape=(shape[0] * FINER, shape[1] * FINER),
        transform=Affine.scale(1 / FINER),
        dtype=np.uint8,
    )
    # Summed by slices: a mean over two short axes takes thirty times as long.
    rows_HS = sum(drawn_SS[start::FINER] for start in range(FINER))
    count_HW = sum(rows_HS[:, start::FINER] for start in range(FINER))
    whole_HW: NDArray[np.uint8] = _SHARES[count_HW]
    return whole_HW


def border_zones(polygons: Polygons) -> Polygons:
    """The border areas: a buffer along every wall, and the space between near neighbours.

    Without the latter, the seeds of two houses that share a wall would touch.
    """
    walls = shapely.buffer(shapely.boundary(polygons), BORDER_PX, quad_segs=2)
    one, other = shapely.STRtree(polygons).query(
        polygons, predicate="dwithin", distance=NEIGHBOUR_PX
    )
    one, other = one[one < other], other[one < other]
    grown = shapely.buffer(polygons, CONTACT_PX, quad_segs=2)
    between = shapely.intersection(grown[one], grown[other])
    return np.concatenate([walls, between])


def height_map(
    roofs: Polygons, heights_m: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Heights of roofs on the scale of `snet4core.maps.heights`, (H, W); 0: no roof, or unknown."""
    known = np.isfinite(heights_m) & ~shapely.is_empty(roofs)
    if not known.any():
        return np.zeros(shape, dtype=np.uint8)
    values_N = np.maximum(1, height_value_of(heights_m[known])).tolist()
    burned_HW: NDArray[np.uint8] = rasterize(
        zip(roofs[known], values_N, strict=True), out_shape=shape, dtype=np.uint8
    )
    return burned_HW


def targets(
    footprints: Polygons,
    shape: tuple[int, int],
    roofs: Polygons | None = None,
    heights_m: NDArray[np.float64] | None = None,
) -> NDArray[np.uint8]:
    """All maps of `FIVE_MAPS`, in that order: (5, H, W), 0..255.

    `roofs` are those that are seen, the footprints where None; `heights_m` are theirs, NaN or None
    where unknown.
    """
    on_ground = _solid_and_border(footprints, shape)
    as_seen = on_ground if roofs is None else _solid_and_border(roofs, shape)
    height_HW = np.zeros(shape, dtype=np.uint8)
    if roofs is not None and heights_m is not None:
        height_HW = height_map(roofs, heights_m, shape)
    return np.stack([*on_ground, *as_seen, height_HW])


def _solid_and_border(
    polygons: Polygons, shape: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if polygons.size == 0:
        return np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.uint8)
    return burn(polygons, shape), burn(border_zones(polygons), shape)
