"""Hands layers of polygons over to the engine, as GeoPackages with the fields that it reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsFeatureSink,
    QgsFields,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from .texts import tr

_OF_BUILDINGS = ("imageid", "confidence", "conf", "score", "height_m")
"""Names, in lower case, of the fields by which the engine scores."""


def extent_in(
    source: QgsProcessingFeatureSource,
    crs: QgsCoordinateReferenceSystem,
    context: QgsProcessingContext,
) -> QgsRectangle:
    """The box around the polygons, in another CRS."""
    move = QgsCoordinateTransform(source.sourceCrs(), crs, context.transformContext())
    return move.transformBoundingBox(source.sourceExtent())


def written_area(
    source: QgsProcessingFeatureSource, folder: Path, context: QgsProcessingContext
) -> str:
    """The polygons, or those of them that are selected, as a GeoPackage in the folder.

    Raises QgsProcessingException.
    """
    path, crs = folder / "area.gpkg", source.sourceCrs()
    _write(path, source.getFeatures(), [], source, crs, source.sourceName(), context)
    return str(path)


def written_buildings(layer: QgsVectorLayer, path: Path, context: QgsProcessingContext) -> str:
    """The layer as a GeoPackage, edits and memory included. Raises QgsProcessingException."""
    kept: dict[str, int] = {}
    for index, field in enumerate(layer.fields()):
        if field.name().lower() in _OF_BUILDINGS:  # of a GeoPackage, case makes no other name
            kept.setdefault(field.name().lower(), index)
    indices = list(kept.values())
    _write(path, layer.getFeatures(), indices, layer, layer.crs(), layer.name(), context)
    return str(path)


def _write(
    path: Path,
    features: Iterable[QgsFeature],
    kept: list[int],
    like: Any,
    crs: QgsCoordinateReferenceSystem,
    name: str,
    context: QgsProcessingContext,
) -> None:
    """Write geometries, with the fields `kept` of the source `like`.

    Other fields could be called as the GeoPackage's own, `fid` and `geom`, or hold what it cannot.
    """
    fields = QgsFields()
    for index in kept:
        fields.append(like.fields().at(index))
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = path.stem
    writer = QgsVectorFileWriter.create(
        str(path), fields, like.wkbType(), crs, context.transformContext(), options
    )
    fine = writer.hasError() == QgsVectorFileWriter.WriterError.NoError
    for found in features:
        feature = QgsFeature(fields)
        feature.setGeometry(found.geometry())
        feature.setAttributes([found.attribute(index) for index in kept])
        fine = fine and writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert)
    reason = writer.errorMessage()
    del writer  # closes the file
    if not fine:
        raise QgsProcessingException(
            tr("The layer {name} cannot be handed to the engine ({reason}).").format(
                name=name, reason=reason
            )
        )
