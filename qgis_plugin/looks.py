"""The look of a layer: from its fields, or from the plan that the engine made of its picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from qgis.core import QgsFeatureRequest, QgsRasterLayer, QgsVectorLayer

from . import fields
from .engine_client import Facts


class Look(NamedTuple):
    """How tilted a picture is, with its azimuth."""

    off_nadir_deg: float
    azimuth_deg: float
    """From satellite to ground, clockwise from north."""
    source: str
    """As the engine says it: metadata, option, estimated, ..."""


_planned: dict[str, Look | None] = {}
"""File of a picture -> the look of its last plan in this session."""


when_noted: list[Callable[[], None]] = []
"""Called when the look of a picture has become known."""


def note(scene: str, look: Facts | None) -> None:
    """Remember the look that the engine's plan of a picture says."""
    _planned[scene] = (
        None
        if look is None
        else _known(look.get("off_nadir_deg"), look.get("azimuth_deg"), look.get("source"))
    )
    for listener in when_noted:
        listener()


def look_of(layer: Any) -> Look | None:
    """The look of footprints or of a picture; None where angle or azimuth is unknown."""
    if isinstance(layer, QgsRasterLayer):
        return _planned.get(layer.source())
    if not isinstance(layer, QgsVectorLayer):
        return None
    names = [
        fields.name_of(layer, each) for each in ("off_nadir_deg", "azimuth_deg", "look_source")
    ]
    if None in names:
        return None
    for feature in layer.getFeatures(QgsFeatureRequest().setLimit(1)):
        return _known(*(feature.attribute(name) for name in names))
    return None


def _known(off_nadir_deg: Any, azimuth_deg: Any, source: Any) -> Look | None:
    try:
        return Look(float(off_nadir_deg), float(azimuth_deg), str(source or ""))
    except (TypeError, ValueError):  # NULL
        return None
