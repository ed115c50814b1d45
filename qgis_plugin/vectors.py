"""Hands layers over to the engine: polygons as GeoPackages with the fields that it reads, and
SpaceNet tables as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qgis.core import (
    NULL,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsFeatureSink,
    QgsFields,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsProviderRegistry,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QUrl, QUrlQuery

from .texts import tr

_IMAGE, _PIXELS = "ImageId", "PolygonWKT_Pix"
"""Columns that make a table a SpaceNet table."""

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


def problem(source: QgsProcessingFeatureSource | None) -> str | None:
    """Why nothing can be searched inside these polygons; None where it can."""
    if source is None:
        return None
    if not source.sourceCrs().isValid():
        return tr("The layer {name} has no CRS; give it its own in Layer > Set Layer CRS.").format(
            name=source.sourceName()
        )
    if source.featureCount() == 0:
        return tr(
            "The layer {name} has no polygons, or none of them is selected; choose another."
        ).format(name=source.sourceName())
    return None


def written_area(
    source: QgsProcessingFeatureSource, folder: Path, context: QgsProcessingContext
) -> str:
    """The polygons, or those of them that are selected, as a GeoPackage in the folder.

    Raises QgsProcessingException.
    """
    path, crs = folder / "area.gpkg", source.sourceCrs()
    _write(path, source.getFeatures(), [], source, crs, source.sourceName(), context)
    return str(path)


def is_table(layer: QgsVectorLayer) -> bool:
    """Whether the layer is a SpaceNet table, whose polygons are in pixels of its images."""
    names = {field.name() for field in layer.fields()}
    return _IMAGE in names and (_PIXELS in names or _shows_pixels(layer))


def table_file(layer: QgsVectorLayer, path: Path) -> str:
    """The table's own file; `path`, written, where that is none or holds other rows."""
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
    own = Path(str(parts.get("path") or ""))
    changed = bool(layer.subsetString()) or layer.isModified()
    if own.suffix.lower() == ".csv" and own.is_file() and not changed:
        return str(own)
    names = [field.name() for field in layer.fields()]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(names if _PIXELS in names else [*names, _PIXELS])
        for feature in layer.getFeatures():
            cells = ["" if value == NULL else value for value in feature.attributes()]
            shown = feature.geometry().asWkt() or "POLYGON EMPTY"
            table.writerow(cells if _PIXELS in names else [*cells, shown])
    return str(path)


def _shows_pixels(layer: QgsVectorLayer) -> bool:
    """Whether QGIS made the outlines in pixels to the layer's geometries, which are no field."""
    options = QUrlQuery(QUrl(layer.source()))
    return layer.providerType() == "delimitedtext" and options.queryItemValue("wktField") == _PIXELS


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
