"""Converts footprints to named arrays and back, for storage on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snet4core.footprints import Footprints, Source
from snet4core.shapes import Shapes

Arrays = dict[str, NDArray[Any]]


def to_arrays(table: Footprints) -> Arrays:
    """Everything but the source; equal tables give equal arrays."""
    found: Arrays = {
        "anchors": table.anchors_N2,
        "confidence": table.confidence_N,
        "area_m2": table.area_m2_N,
        "footprint_id": table.footprint_id_N,
    }
    for name, shapes in (("map", table.shapes), ("px", table.shapes_px)):
        found[f"{name}.wkb"], found[f"{name}.lengths"] = shapes.flat()
        found[f"{name}.boxes"] = shapes.boxes_N4
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def from_arrays(found: Mapping[str, NDArray[Any]], source: Source) -> Footprints:
    """Inverse of `to_arrays`. Raises KeyError where an array is missing."""
    shapes, shapes_px = (
        Shapes.from_flat(found[f"{name}.wkb"], found[f"{name}.lengths"], found[f"{name}.boxes"])
        for name in ("map", "px")
    )
    return Footprints(
        source,
        shapes,
        shapes_px,
        found["anchors"],
        found["confidence"],
        found["area_m2"],
        found["footprint_id"],
    )
