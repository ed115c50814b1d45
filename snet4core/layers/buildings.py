"""Buildings as a table: what is read from layers and SpaceNet tables, and what is scored.

Array names end in their axes: N buildings.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4core.errors import InputError
from snet4core.files.names import printable

if TYPE_CHECKING:
    from rasterio.crs import CRS


_FARTHEST = 1e12
"""Largest plausible coordinate, in pixels or map units; GEOS overflows only far beyond it."""


def is_plausible(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """True where a coordinate is finite and of plausible size; same shape as `points`."""
    return np.asarray(np.abs(points) <= _FARTHEST)


def height_of(value: Any, where: str) -> float:
    """A height in metres from a file's cell; NaN for an empty one.

    Raises InputError, which begins with `where`, for what is no height.
    """
    if value is None or value == "":
        return math.nan
    try:
        height_m = float(value)
    except (TypeError, ValueError):
        height_m = -math.inf
    if math.isnan(height_m) or 0 <= height_m < math.inf:
        return height_m
    raise InputError(
        f"{where}: the height '{printable(str(value)[:20])}' is no height in metres; "
        "correct it, or leave it empty where it is unknown."
    )


@dataclass(frozen=True, slots=True, eq=False)
class Buildings:
    """Proposals or truth, as columns of equal length N."""

    image_id_N: NDArray[np.object_]
    """(N,) ImageId of each building, compared literally."""
    polygons_N: NDArray[np.object_]
    """(N,) Polygons or MultiPolygons, possibly invalid, never empty."""
    confidence_N: NDArray[np.float64]
    """(N,) finite numbers; higher ones are matched first. Unused for truth."""
    images: tuple[str, ...]
    """All images searched, including those without buildings."""
    in_pixels: bool = True
    """True: coordinates are pixels of the image; False: map units of `crs`."""
    crs: CRS | None = None
    """CRS of map units; None for pixels, or if the file names none."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    """Number of rows of the file left out, by reason."""
    name: str = ""
    """Name of the file, for messages."""
    height_m_N: NDArray[np.float64] | None = None
    """(N,) height above the ground in metres, NaN: unknown; None if the file has no such field."""

    @staticmethod
    def of(
        image_ids: Sequence[str],
        polygons: Sequence[shapely.Geometry],
        confidence: Sequence[float] | None = None,
        height_m: Sequence[float] | None = None,
    ) -> Buildings:
        """Build from lists, in pixels; empty geometries are left out, confidence defaults to 1."""
        geometries = np.empty(len(polygons), object)
        geometries[:] = polygons
        ids = np.empty(len(image_ids), object)
        ids[:] = image_ids
        kept = ~shapely.is_empty(geometries)
        rates = np.ones(len(polygons)) if confidence is None else np.asarray(confidence, float)
        images = tuple(dict.fromkeys(image_ids))
        heights = None if height_m is None else np.asarray(height_m, float)[kept]
        return Buildings(ids[kept], geometries[kept], rates[kept], images, height_m_N=heights)

    def __len__(self) -> int:
        return len(self.polygons_N)
