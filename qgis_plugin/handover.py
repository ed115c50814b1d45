"""Hands pictures over to the engine, which reads plain files of a few formats alone.

A picture in such a file is named; QGIS writes any other one (a tile service, a GeoPackage, an
archive) to a temporary GeoTIFF.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
    QgsPointXY,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProviderRegistry,
    QgsRasterBlockFeedback,
    QgsRasterDataProvider,
    QgsRasterFileWriter,
    QgsRasterInterface,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRectangle,
)
from qgis.PyQt.QtCore import Qt

from . import bands, mosaics
from .texts import tr

COMMON_GSD_M = 0.5
"""Pixel size of a service's picture where the model does not say its own."""

MOST_PIXELS = 200_000_000
"""Largest picture that is written; of a service, three thousand tiles."""

_CONTEXT_PX = 128
"""What the network sees around the box, and how far a roof may lean into it."""


def file_of_layer(layer: QgsRasterLayer) -> str | None:
    """The local file that a raster layer shows, None for services and parts of files."""
    provider = layer.dataProvider().name() if layer.dataProvider() else ""
    if provider != "gdal":
        return None
    found = QgsProviderRegistry.instance().decodeUri("gdal", layer.source())
    path = str(found.get("path") or "")
    if not path or path.startswith("/vsi") or found.get("layerName"):
        return None
    return path


def engine_file(layer: QgsRasterLayer) -> str | None:
    """The file of the layer if the engine reads it; None if QGIS has to write it."""
    path = file_of_layer(layer)
    head = b"" if path is None else _head(Path(path))
    if head.startswith(mosaics.STARTS):
        return path
    if head.lstrip()[:11].lower() == b"<vrtdataset":
        return path if mosaics.is_plain(path) else None
    return path if head and _is_envi(Path(path)) else None


def _is_envi(path: Path) -> bool:
    """Whether the header beside a raw file is ENVI's; Esri's .bil have one of the same name."""
    headers = (path.with_suffix(".hdr"), path.with_name(path.name + ".hdr"))
    head = next((_head(each) for each in headers if each.is_file()), b"")
    return head.lstrip().startswith(b"ENVI")


def _head(path: Path) -> bytes:
    """The first bytes; none of a file that cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""


def crs_of(layer: QgsRasterLayer) -> str | None:
    """The layer's CRS for the engine; None where it is the one that the file itself has."""
    crs = layer.crs()
    if not crs.isValid() or crs == layer.dataProvider().crs():
        return None
    return crs.authid() if re.match(r"(EPSG|ESRI|IGNF):", crs.authid()) else crs.toWkt()


@dataclass
class Export:
    """A picture that QGIS writes for the engine."""

    name: str
    """Name of the layer."""
    provider: QgsRasterDataProvider
    """A clone, which another thread may use."""
    crs: QgsCoordinateReferenceSystem
    extent: QgsRectangle
    """Of the whole layer."""
    native: tuple[float, float] | None
    """Size of the layer's own pixels in map units; None of a service, which has none."""


def export_of(layer: QgsRasterLayer) -> Export:
    """What is to be known of a layer before it is written. Call it in the main thread."""
    provider = layer.dataProvider().clone()
    native = None
    if provider.capabilities() & QgsRasterInterface.Capability.Size and provider.xSize():
        native = (layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY())
    return Export(layer.name(), provider, layer.crs(), layer.extent(), native)


def problem(export: Export, box: QgsRectangle | None) -> str | None:
    """Why QGIS cannot write that; None where it can. `box` is in the layer's CRS."""
    if not export.crs.isValid():
        return tr("The layer {name} has no CRS; give it its own in Layer > Set Layer CRS.").format(
            name=export.name
        )
    if export.native is None and box is None:
        return tr(
            "The layer {name} comes from a service, which has no end; choose where to search."
        ).format(name=export.name)
    area = _clipped(export, box)
    if area.isEmpty():
        return tr("The chosen area lies outside the layer {name}; choose another.").format(
            name=export.name
        )
    cols, rows = _shape(area, _pixel(export, area, COMMON_GSD_M))
    if cols * rows > MOST_PIXELS:
        return tr(
            "The layer {name} would have to be written with {mpix:.0f} megapixels, and "
            "{most:.0f} are the most; choose a smaller area, or save it as a GeoTIFF first."
        ).format(name=export.name, mpix=cols * rows / 1e6, most=MOST_PIXELS / 1e6)
    return None


def written(
    export: Export,
    box: QgsRectangle | None,
    gsd_m: float,
    folder: Path,
    feedback: QgsProcessingFeedback,
) -> tuple[str, str | None]:
    """Write the picture; returns the file, and a value of BANDS where the file cannot say it.

    Its own pixels where it has some, else pixels of `gsd_m` on the ground; with some context
    around `box`. Raises QgsProcessingException.
    """
    area = _clipped(export, box)
    pixel = _pixel(export, area, gsd_m)
    area = _snapped(export, area, pixel)
    cols, rows = _shape(area, pixel)
    name = re.sub(r"[^\w-]+", "_", export.name).strip("_") or "layer"
    path = folder / f"{name[:60]}.tif"
    feedback.pushInfo(
        tr(
            "QGIS writes the layer {name} to a temporary GeoTIFF of {cols} x {rows} pixels, "
            "which is removed afterwards."
        ).format(name=export.name, cols=cols, rows=rows)
    )
    colours = bands.colours_of(export.provider)
    listening = QgsRasterBlockFeedback()
    direct = Qt.ConnectionType.DirectConnection
    feedback.canceled.connect(listening.cancel, direct)
    listening.progressChanged.connect(feedback.setProgress, direct)
    pipe = QgsRasterPipe()
    pipe.set(export.provider)
    writer = QgsRasterFileWriter(str(path))
    writer.setOutputFormat("GTiff")
    options = ["COMPRESS=DEFLATE", "TILED=YES", "BIGTIFF=IF_SAFER"]
    writer.setCreateOptions(options + bands.creation_options(colours))
    failed = writer.writeRaster(
        pipe, cols, rows, area, export.crs, QgsCoordinateTransformContext(), listening
    )
    if feedback.isCanceled():
        raise QgsProcessingException(tr("Stopped on request; nothing was written."))
    said = listening.errors()
    if failed != QgsRasterFileWriter.WriterError.NoError or not path.is_file():
        raise QgsProcessingException(
            tr(
                "QGIS cannot write the layer {name} to a GeoTIFF ({reason}); save it as one by "
                "hand, and choose that."
            ).format(name=export.name, reason="; ".join(said)[:200] or int(failed))
        )
    if said:
        feedback.pushWarning(
            tr("The layer {name} was not read without errors: {reason}").format(
                name=export.name, reason="; ".join(said)[:400]
            )
        )
    return str(path), bands.named(str(path), export.provider, colours)


def _clipped(export: Export, box: QgsRectangle | None) -> QgsRectangle:
    """The part of the layer that is searched."""
    if box is None:
        return QgsRectangle(export.extent)
    return box if export.extent.isEmpty() else box.intersect(export.extent)


def _pixel(export: Export, area: QgsRectangle, gsd_m: float) -> tuple[float, float]:
    """Width and height of a pixel, in map units."""
    if export.native is not None:
        return export.native
    measure = QgsDistanceArea()
    measure.setSourceCrs(export.crs, QgsCoordinateTransformContext())
    measure.setEllipsoid(export.crs.ellipsoidAcronym() or "EPSG:7030")
    centre = area.center()
    sizes = []
    for x, y in ((area.width() / 100, 0.0), (0.0, area.height() / 100)):
        end = QgsPointXY(centre.x() + x, centre.y() + y)
        sizes.append(gsd_m * (x + y) / measure.measureLine(QgsPointXY(centre), end))
    return sizes[0], sizes[1]


def _shape(area: QgsRectangle, pixel: tuple[float, float]) -> tuple[int, int]:
    """Columns and rows."""
    return max(1, round(area.width() / pixel[0])), max(1, round(area.height() / pixel[1]))


def _snapped(export: Export, area: QgsRectangle, pixel: tuple[float, float]) -> QgsRectangle:
    """The area with context around it, on the layer's own pixels, and inside the layer."""
    whole, (width, height) = export.extent, pixel
    if export.native is None:
        left, top = area.xMinimum(), area.yMaximum()
        most = (10**9, 10**9)
        least = -_CONTEXT_PX
    else:
        left, top = whole.xMinimum(), whole.yMaximum()
        most = _shape(whole, pixel)
        least = 0
    cols = [
        int((area.xMinimum() - left) // width) - _CONTEXT_PX,
        int(-((left - area.xMaximum()) // width)) + _CONTEXT_PX,
    ]
    rows = [
        int((top - area.yMaximum()) // height) - _CONTEXT_PX,
        int(-((area.yMinimum() - top) // height)) + _CONTEXT_PX,
    ]
    col, col_stop = max(least, cols[0]), min(most[0], cols[1])
    row, row_stop = max(least, rows[0]), min(most[1], rows[1])
    return QgsRectangle(
        left + col * width, top - row_stop * height, left + col_stop * width, top - row * height
    )
