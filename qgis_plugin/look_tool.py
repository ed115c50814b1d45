"""A map tool: drag from a corner of a roof to its foot, and the look is read from it."""

from __future__ import annotations

import math
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
)
from qgis.gui import QgsMapCanvas, QgsMapTool, QgsRubberBand
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor

from . import lean

SHORTEST_PX = 4
"""A shorter drag is a click by mistake; its direction would be noise."""


class LookTool(QgsMapTool):
    """Tells the way from foot to roof, on the ground."""

    drawn = pyqtSignal(object)
    """`lean.Offset` from the foot to the roof."""
    failed = pyqtSignal()
    """The drag was too short, or not on Earth."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._roof: Any = None
        self._roof_px: Any = None
        self._band = QgsRubberBand(canvas)
        self._band.setStrokeColor(QColor(214, 40, 40))
        self._band.setWidth(3)
        self.setCursor(Qt.CursorShape.CrossCursor)

    def canvasPressEvent(self, event: Any) -> None:
        """The roof's corner."""
        self._roof, self._roof_px = event.mapPoint(), event.pixelPoint()

    def canvasMoveEvent(self, event: Any) -> None:
        """A line follows the hand."""
        if self._roof is not None:
            line = QgsGeometry.fromPolylineXY([self._roof, event.mapPoint()])
            self._band.setToGeometry(line, self._canvas.mapSettings().destinationCrs())

    def canvasReleaseEvent(self, event: Any) -> None:
        """The foot."""
        roof, roof_px, self._roof = self._roof, self._roof_px, None
        self._band.reset()
        if roof is None:
            return
        dragged = event.pixelPoint() - roof_px
        way = None
        if math.hypot(dragged.x(), dragged.y()) >= SHORTEST_PX:
            way = self._on_ground(event.mapPoint(), roof)
        if way is None:
            self.failed.emit()
        else:
            self.drawn.emit(way)

    def deactivate(self) -> None:
        """Another tool was taken."""
        self._roof = None
        self._band.reset()
        super().deactivate()

    def remove(self) -> None:
        """Leave no drawing on the canvas, which holds it otherwise, and no tool."""
        self._canvas.unsetMapTool(self)
        self._canvas.scene().removeItem(self._band)
        self.deleteLater()

    def _on_ground(self, start: QgsPointXY, end: QgsPointXY) -> lean.Offset | None:
        to_lonlat = QgsCoordinateTransform(
            self._canvas.mapSettings().destinationCrs(),
            QgsCoordinateReferenceSystem("EPSG:4326"),
            QgsProject.instance(),
        )
        try:
            places = [to_lonlat.transform(point) for point in (start, end)]
        except QgsCsException:
            return None
        return lean.between(*(lean.Place(each.x(), each.y()) for each in places))
