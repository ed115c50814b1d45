"""Where the results of a run may go: read from the parameters, and tried before the work."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsDataSourceUri,
    QgsFeature,
    QgsFeatureSink,
    QgsGeometry,
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterFeatureSink,
    QgsProcessingUtils,
    QgsProperty,
    QgsProviderRegistry,
    QgsRectangle,
    QgsVectorLayer,
)

from .temporary import temporary_folder
from .texts import tr


class Place(NamedTuple):
    """A file, or a table in one."""

    file: Path
    table: str | None
    """None: the whole file, which a result replaces."""


def is_wanted(parameters: dict[str, Any], name: str) -> bool:
    """Whether an optional output is asked for.

    A batch gives a definition for every cell, also for one that its user left empty.
    """
    value = parameters.get(name)
    return _is_computed(value) or bool(_text(value))


def file_of(value: Any) -> Path | None:
    """The plain file that an output's value names; None for memory, databases, temporary ones."""
    place = _place(value)
    return None if place is None or place.table is not None else place.file


def shown_output(parameters: dict[str, Any]) -> str:
    """What the command line that is shown names as its output."""
    return str(file_of(parameters.get("OUTPUT")) or "footprints.gpkg")


def problem(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict[str, Any],
    read: Iterable[QgsMapLayer | None],
) -> str | None:
    """Why a result could not be written at the end, or would replace a layer that is read.

    Of databases of servers, and of places that are yet to be computed, nothing is said.
    """
    layers = [layer for layer in read if layer is not None]
    for output in algorithm.destinationParameterDefinitions():
        place = _place(parameters.get(output.name()))
        if place is None:
            continue
        replaced = next((layer for layer in layers if _replaces(place, layer)), None)
        if replaced is not None:
            return tr(
                "{file} holds the layer {layer}, which the run reads; choose another place for "
                "{output}."
            ).format(file=place.file, layer=replaced.name(), output=output.name())
        is_layer = isinstance(output, QgsProcessingParameterFeatureSink)
        said = _unwritable(place, is_layer and place.table is None)
        if said is not None:
            return said
    return None


def _unwritable(place: Place, try_format: bool) -> str | None:
    """Why nothing can be written there; tried, as rights and mounts say little beforehand."""
    file = place.file
    if not file.parent.is_dir():
        return tr("{file} cannot be written: there is no folder {folder}; create it first.").format(
            file=file.name, folder=file.parent
        )
    if file.is_dir():
        return tr("{file} is a folder; name a file in it.").format(file=file)
    if file.exists() and not os.access(file, os.W_OK):
        return tr("{file} is write-protected; choose another name.").format(file=file)
    try:
        with temporary_folder(file.parent) as folder:
            if not try_format or _takes_polygons((folder / "tried").with_suffix(file.suffix)):
                return None
    except OSError as reason:
        return tr(
            "{file} cannot be written ({reason}); choose a folder that you may write to."
        ).format(file=file, reason=reason.strerror or reason)
    return tr(
        "A {ending} file holds no polygons with fields; name a .gpkg in place of {file}."
    ).format(ending=file.suffix, file=file.name)


def _takes_polygons(file: Path) -> bool:
    """Whether QGIS can write a polygon with a field in the format of this file's ending."""
    layer = QgsVectorLayer("Polygon?crs=EPSG:32616&field=footprint_id:integer", "tried", "memory")
    feature = QgsFeature(layer.fields())
    feature.setAttributes([1])
    feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(740000, 3720000, 740010, 3720010)))
    crs = QgsCoordinateReferenceSystem("EPSG:32616")
    try:
        sink, _ = QgsProcessingUtils.createFeatureSink(
            str(file), QgsProcessingContext(), layer.fields(), layer.wkbType(), crs
        )
    except QgsProcessingException:
        return False
    return sink is not None and sink.addFeature(feature, QgsFeatureSink.Flag.FastInsert)


def _replaces(place: Place, layer: QgsMapLayer) -> bool:
    """Whether what is written there would take the place of the layer's own data."""
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
    try:
        same = place.file.samefile(str(parts.get("path") or ""))
    except OSError:  # one of them is not there
        return False
    return same and place.table in (None, parts.get("layerName") or place.file.stem)


def _place(value: Any) -> Place | None:
    """The place on this computer's disks that an output's value names."""
    text = _text(value)
    if text.startswith("ogr:"):
        source = QgsDataSourceUri(text.removeprefix("ogr:"))
        return Place(Path(source.database()), source.table()) if source.database() else None
    if not text or text in ("TEMPORARY_OUTPUT", "memory:") or ":" in text[2:]:
        return None
    return Place(Path(text), None)


def _property(value: Any) -> Any:
    """The value itself, or the property inside a definition."""
    return value.sink if isinstance(value, QgsProcessingOutputLayerDefinition) else value


def _is_computed(value: Any) -> bool:
    """Whether an expression or a field gives the place when the run begins."""
    held = _property(value)
    return isinstance(held, QgsProperty) and bool(held.expressionString() or held.field())


def _text(value: Any) -> str:
    """The place as text; empty where there is none, or where it is yet to be computed."""
    held = _property(value)
    if isinstance(held, QgsProperty):
        held = held.staticValue()
    return held.strip() if isinstance(held, str) else ""
