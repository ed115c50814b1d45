"""Finds the fields of a result in a layer whose format cuts their names."""

from __future__ import annotations

from qgis.core import QgsVectorLayer

_KEPT = 10
"""Characters that a shapefile leaves of a name; the engine's names differ in them."""


def index_of(layer: QgsVectorLayer, name: str) -> int:
    """Number of the engine's field of this name; -1 where the layer has none."""
    found = layer.fields().indexOf(name)
    return found if found >= 0 else layer.fields().indexOf(name[:_KEPT])


def name_of(layer: QgsVectorLayer, name: str) -> str | None:
    """What the layer calls the field; None where it has none."""
    found = index_of(layer, name)
    return layer.fields().at(found).name() if found >= 0 else None
