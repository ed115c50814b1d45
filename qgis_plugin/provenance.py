"""Says in a layer where it comes from: its name, its fields in words, its history."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from qgis.core import (
    QgsDataProvider,
    QgsLayerMetadata,
    QgsLayerTreeLayer,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVectorLayer,
)

from . import fields
from .texts import tr


@dataclass(frozen=True)
class Made:
    """What a run was, for those who find its layer later."""

    scene: str
    """Name of the picture's file, without its ending."""
    off_nadir_deg: float | None
    """The look angle; None where it is unknown."""
    command: str
    """The equal command line; empty where the engine did not say it."""
    versions: str
    """Plugin and engine."""
    maps_file: str = ""
    """The maps that were kept; empty without."""
    settings: dict[str, Any] = field(default_factory=dict)
    """How maps became footprints, in the engine's words."""
    vectors: list[str] = field(default_factory=list)
    """Layers of the run that were loaded, by their ids."""
    maps: list[str] = field(default_factory=list)
    """The same of its maps; none or one."""

    def title(self, what: str) -> str:
        """The layer's name: scene, look, and what is in it."""
        if self.off_nadir_deg is None:
            return f"{self.scene} {what}"
        return f"{self.scene} {self.off_nadir_deg:g}° {what}"


def describe(layer: QgsVectorLayer, made: Made | None) -> None:
    """Fields in words, features by number and height, and the history in the metadata."""
    for name, alias in (
        ("footprint_id", tr("Number")),
        ("scene", tr("Picture")),
        ("confidence", tr("Confidence, 0 to 1")),
        ("area_m2", tr("Area, m²")),
        ("off_nadir_deg", tr("Off-nadir angle, degrees")),
        ("azimuth_deg", tr("Azimuth, degrees")),
        ("look_source", tr("Look read from")),
        ("height_m", tr("Height, m")),
        ("height_source", tr("Height from")),
        ("model", tr("Model")),
    ):
        if fields.index_of(layer, name) >= 0:
            layer.setFieldAlias(fields.index_of(layer, name), alias)
    number, height = (fields.name_of(layer, name) for name in ("footprint_id", "height_m"))
    if number is not None:
        shown = f'to_string("{number}")'
        if height is not None:
            shown += f" || coalesce(', ' || round(\"{height}\", 1) || ' m', '')"
        layer.setDisplayExpression(shown)
    if made is None:
        return
    metadata = QgsLayerMetadata()
    metadata.setTitle(layer.name())
    metadata.setAbstract(
        tr("Building footprints that a network found in {scene}; made by {versions}.").format(
            scene=made.scene, versions=made.versions
        )
    )
    metadata.setHistory([line for line in (made.versions, _model(layer), made.command) if line])
    layer.setMetadata(metadata)


def keep(layer: QgsVectorLayer, made: Made) -> None:
    """Store the history in the layer's GeoPackage too, for those who open the file itself."""
    describe(layer, made)
    source = layer.source()
    if "|layername=" not in source:
        # The first of its tables; QGIS saves metadata only where the table is named.
        name = layer.dataProvider().subLayers()[0].split(QgsDataProvider.sublayerSeparator())[1]
        source += f"|layername={name}"
    QgsProviderRegistry.instance().saveLayerMetadata("ogr", source, layer.metadata())


def put_below(layer: Any, made: Made) -> None:
    """Move the maps of a run below its other layers, in whatever order they are loaded."""
    (made.maps if isinstance(layer, QgsRasterLayer) else made.vectors).append(layer.id())
    root = QgsProject.instance().layerTreeRoot()
    node = root.findLayer(made.maps[0]) if made.maps else None
    if node is None:
        return
    siblings = node.parent().children()
    ids = [child.layerId() if isinstance(child, QgsLayerTreeLayer) else "" for child in siblings]
    lowest = max((ids.index(each) for each in made.vectors if each in ids), default=-1)
    if lowest > ids.index(made.maps[0]):
        parent = node.parent()
        parent.insertChildNode(lowest + 1, node.clone())
        parent.removeChildNode(node)


def _model(layer: QgsVectorLayer) -> str:
    index = fields.index_of(layer, "model")
    names = sorted(map(str, layer.uniqueValues(index, 3))) if index >= 0 else []
    return tr("Model: {}").format(", ".join(names)) if names else ""
