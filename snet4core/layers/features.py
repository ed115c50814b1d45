"""What a layer holds of a table of footprints: its name, its fields, and the features' values.

There are two layers: `footprints`, on the ground, and `roofs`, as the picture shows them. Every
writer takes one of them with the batches to be written, and asks the layer for the features.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from snet4core.footprints.footprints import FIELDS, Footprints, Source
from snet4core.footprints.polygons import Polygons, Shapes

FOOTPRINTS: Final = "footprints"
"""Name of the layer of footprints; names are fixed, so that no scene's name reaches SQL."""

ROOFS: Final = "roofs"
"""Name of the layer of roofs."""

ROOF_FIELDS = {"footprint_id": "int64", "scene": "str", "confidence": "float", "height_m": "float"}
"""Fields of the layer of roofs; the first two name the footprint that a roof belongs to."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The features that a layer takes from one batch, in the batch's order."""

    scene: str
    """Name of their scene, for messages."""
    shapes: Shapes
    """In map units."""
    shapes_px: Shapes
    """In pixels of the delivered scene."""
    own: Mapping[str, list[Any]]
    """Fields that differ between features, as plain Python values (None = NULL)."""
    shared: Mapping[str, Any]
    """Fields that are equal for all of them."""
    fields: Mapping[str, str]
    """Names and types of the layer's fields, in order."""

    @property
    def polygons_N(self) -> Polygons:
        """(N,) shapely polygons in map units."""
        return self.shapes.polygons_N

    def columns(self) -> dict[str, list[Any]]:
        """All fields of the layer, in order."""
        found = {name: [value] * len(self) for name, value in self.shared.items()}
        found |= self.own
        return {name: found[name] for name in self.fields}

    def __len__(self) -> int:
        return len(self.shapes)


@dataclass(frozen=True, slots=True)
class Layer:
    """One of the two layers."""

    name: Literal["footprints", "roofs"]
    fields: Mapping[str, str]
    """Names and types of its fields, in order."""

    @property
    def has_heights(self) -> bool:
        """Whether its features have a height, which may be unknown."""
        return "height_m" in self.fields

    def features(self, batch: Footprints) -> Features:
        """What the layer takes from a batch, which has the layer's fields."""
        shapes, shapes_px = batch.shapes, batch.shapes_px
        if self.name == ROOFS:
            assert batch.roofs is not None  # the layer is asked for only where there are roofs
            assert batch.roofs_px is not None
            shapes, shapes_px = batch.roofs, batch.roofs_px
        own, shared = batch.own_columns(), batch.source.fields()
        return Features(
            batch.source.scene,
            shapes,
            shapes_px,
            {name: own[name] for name in own if name in self.fields},
            {name: shared[name] for name in shared if name in self.fields},
            self.fields,
        )


def title_of(description: Mapping[str, str]) -> str:
    """What a layer is of, for its title: its one scene, or several; empty if nothing tells.

    >>> title_of({"scene": "sn4/a.tif"}), title_of({"scenes": "2 were ...", "scene": "a.tif"})
    ('a', 'several scenes')
    """
    if "scenes" in description:
        return "several scenes"
    return Path(description.get("scene") or description.get("maps") or "").stem


def footprints_layer(source: Source | None) -> Layer:
    """The layer of footprints of tables like those of `source`; None: of no table at all."""
    return Layer(FOOTPRINTS, FIELDS if source is None else source.layer_fields)


ROOFS_LAYER = Layer(ROOFS, ROOF_FIELDS)
"""The layer of roofs."""

Content = tuple[Layer, Iterable[Footprints]]
"""A layer and the batches that it is filled from."""
