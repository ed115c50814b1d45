"""Copies the engine's result into the output layer and styles it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsFeature,
    QgsFeatureSink,
    QgsFields,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsVectorLayer,
)

from . import provenance, shape_settings
from .destinations import is_wanted
from .provenance import Made
from .texts import tr

STYLES = Path(__file__).resolve().parent / "styles"
ROOFS = "roofs"
"""Name of the engine's second layer, and of its style."""

ROOFS_STYLE = STYLES / "roofs.qml"

_KEY = "fid"
"""The GeoPackage's own number, which the target makes anew."""


class Styling(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded result its style. QGIS keeps no reference, so the class keeps all."""

    _kept: list[Styling] = []  # noqa: RUF012 (shared on purpose)

    style = ""
    """The file with the style."""

    made: Made | None = None
    """Where the layer comes from."""

    @classmethod
    def new(cls, style: Path, made: Made | None = None) -> Styling:
        """One that lives as long as QGIS."""
        styling = cls()
        styling.style = str(style)
        styling.made = made
        cls._kept.append(styling)
        return styling

    def postProcessLayer(self, layer: Any, context: Any, feedback: Any) -> None:
        """Called in the main thread, when the layer is in the project."""
        layer.loadNamedStyle(self.style)
        if isinstance(layer, QgsVectorLayer):
            provenance.describe(layer, self.made)
        if self.made is not None:
            provenance.put_below(layer, self.made)
        layer.triggerRepaint()
        if self.made is not None and self.made.maps_file and isinstance(layer, QgsVectorLayer):
            shape_settings.remember(layer, self.made.maps_file, self.made.settings)
            if self.style != str(ROOFS_STYLE):
                for listener in when_adjustable:
                    listener(layer)


when_adjustable: list[Callable[[QgsVectorLayer], None]] = []
"""Called with a layer of footprints whose maps were kept, once it is in the project."""


def copied(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    name: str,
    context: QgsProcessingContext,
    result: dict[str, Any],
    layer: str,
    made: Made | None = None,
) -> str:
    """Copy a layer of the engine's result into the sink `name`; returns the new layer's id.

    Nothing is created before the engine is done, so a run that fails or is stopped leaves
    no file. Raises QgsProcessingException.
    """
    source = QgsVectorLayer(f"{result['output']}|layername={layer}", "found", "ogr")
    if not source.isValid():
        raise QgsProcessingException(
            tr("The engine's result cannot be opened; is the disk for temporary files full?")
        )
    kept = [index for index, field in enumerate(source.fields()) if field.name() != _KEY]
    fields = QgsFields()
    for index in kept:
        fields.append(source.fields().at(index))
    sink, layer_id = algorithm.parameterAsSink(
        parameters, name, context, fields, source.wkbType(), source.crs()
    )
    if sink is None:
        raise QgsProcessingException(algorithm.invalidSinkError(parameters, name))
    for found in source.getFeatures():
        feature = QgsFeature(fields)
        values = found.attributes()
        feature.setAttributes([values[index] for index in kept])
        feature.setGeometry(found.geometry())
        if not sink.addFeature(feature, QgsFeatureSink.Flag.FastInsert):
            raise QgsProcessingException(
                tr("The layer cannot be written ({reason}); is the disk full?").format(
                    reason=sink.lastError()
                )
            )
    sink.flushBuffer()
    del sink  # closes the file
    _style(layer_id, context, layer, fields.indexOf("height_m") >= 0, made)
    return layer_id


def copied_roofs(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    context: QgsProcessingContext,
    result: dict[str, Any],
    feedback: QgsProcessingFeedback,
    made: Made | None = None,
) -> dict[str, str]:
    """Copy the roofs into the sink ROOFS; returns it as an output, or nothing.

    The sink is optional, and an engine of before knows no roofs, as most models do.
    """
    if not is_wanted(parameters, "ROOFS"):
        return {}
    layer = result.get("roofs_layer")
    if layer is None:
        feedback.pushInfo(tr("The model gives no roofs, so there is no layer of them."))
        return {}
    return {"ROOFS": copied(algorithm, parameters, "ROOFS", context, result, layer, made)}


def styled_maps(path: str, context: QgsProcessingContext, made: Made) -> None:
    """Kept maps are loaded half transparent, below the footprints."""
    if context.willLoadLayerOnCompletion(path):
        details = context.layerToLoadOnCompletionDetails(path)
        details.setPostProcessor(Styling.new(STYLES / "maps.qml", made))


def _style(
    layer_id: str,
    context: QgsProcessingContext,
    name: str,
    has_heights: bool,
    made: Made | None,
) -> None:
    """Style the layer that QGIS will load, and the GeoPackage for those who open it later."""
    style, words = STYLES / "footprints.qml", tr("Bright outline with a dark casing")
    if name == ROOFS:
        style, words = ROOFS_STYLE, tr("Thin blue outline with a dark casing")
    elif has_heights:
        style = STYLES / "footprints_heights.qml"
        words = tr("Bright outline with a dark casing; blocks of the height in 3D")
    if context.willLoadLayerOnCompletion(layer_id):
        details = context.layerToLoadOnCompletionDetails(layer_id)
        details.setPostProcessor(Styling.new(style, made))
        if made is not None:
            details.name = made.title(tr("roofs") if name == ROOFS else tr("footprints"))
    if ".gpkg" not in layer_id.lower():
        return
    layer = QgsVectorLayer(layer_id, name, "ogr")
    if not layer.isValid():
        return
    if made is not None:
        provenance.keep(layer, made)
    count, _, names, *_ = layer.listStylesInDatabase()
    if count > 0 and name in names[:count]:
        return  # saving again would ask the user a question
    layer.loadNamedStyle(str(style))
    layer.saveStyleToDatabase(name, words, True, "")
