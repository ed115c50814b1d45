"""A dial on the map that shows how roofs lean, with the lean of a roof of 10 m to scale."""

from __future__ import annotations

import math
from typing import Any

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProject,
)
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF, QTextOption

from . import lean
from .looks import Look
from .texts import tr

RADIUS_PX = 46.0
_MARGIN_PX = 24.0
_MESSAGES_PX = 32.0
"""Further down, where QGIS's message bar does not reach."""
_FAR_M = 100.0
"""Directions on the screen are measured over so many metres."""

_INK, _PAPER = QColor(20, 20, 20), QColor(255, 255, 255, 215)
_SCALED = QColor(214, 40, 40)
_SMALLEST_PX = 2.0
"""What is shorter is not seen."""


class LookArrow(QgsMapCanvasItem):
    """Lies over the upper right corner of the canvas while a look is set."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._look: Look | None = None
        self.setZValue(100)
        self.hide()

    def show_look(self, look: Look | None) -> None:
        """Draw this look, or nothing."""
        self._look = look
        self.setVisible(look is not None)
        self.update()

    def boundingRect(self) -> QRectF:
        """The whole canvas: at a large scale, the lean is longer than the dial."""
        return QRectF(0, 0, self._canvas.width(), self._canvas.height())

    def updatePosition(self) -> None:
        """Called when the map moves; a canvas also turns its items, which ours must not be."""
        self.setRotation(0)

    def paint(self, painter: QPainter, option: Any = None, widget: Any = None) -> None:
        """Called by the canvas."""
        if self._look is None:
            return
        azimuth_deg = self._look.azimuth_deg
        far = lean.Offset(
            _FAR_M * math.sin(math.radians(azimuth_deg)),
            _FAR_M * math.cos(math.radians(azimuth_deg)),
        )
        towards, north = self.on_screen(far), self.on_screen(lean.Offset(0.0, _FAR_M))
        if towards is None or north is None:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_dial(painter, _unit(towards), _unit(north))
        length_m = lean.lean(self._look.off_nadir_deg, azimuth_deg).length_m
        self._paint_lean(painter, towards * (length_m / _FAR_M))
        self._paint_words(painter, length_m)

    def on_screen(self, way: lean.Offset) -> QPointF | None:
        """A way on the ground, at the middle of the map, in pixels right and down.

        The CRS of the map and its rotation are in it. None where the map shows no place on Earth.
        """
        settings = self._canvas.mapSettings()
        to_lonlat = QgsCoordinateTransform(
            settings.destinationCrs(),
            QgsCoordinateReferenceSystem("EPSG:4326"),
            QgsProject.instance(),
        )
        middle = settings.visibleExtent().center()
        try:
            start = to_lonlat.transform(middle)
            end = lean.moved(lean.Place(start.x(), start.y()), way)
            back = Qgis.TransformDirection.Reverse
            moved = to_lonlat.transform(QgsPointXY(end.lon, end.lat), back)
        except QgsCsException:
            return None
        to_pixels = settings.mapToPixel()
        here, there = to_pixels.transform(middle), to_pixels.transform(moved)
        return QPointF(there.x() - here.x(), there.y() - here.y())

    def _middle(self) -> QPointF:
        return QPointF(
            self._canvas.width() - RADIUS_PX - _MARGIN_PX, RADIUS_PX + _MARGIN_PX + _MESSAGES_PX
        )

    def _paint_dial(self, painter: QPainter, towards: QPointF, north: QPointF) -> None:
        middle = self._middle()
        painter.setPen(QPen(_INK, 1.5))
        painter.setBrush(QBrush(_PAPER))
        painter.drawEllipse(middle, RADIUS_PX, RADIUS_PX)
        painter.drawLine(middle + north * (RADIUS_PX - 6), middle + north * RADIUS_PX)
        mark = middle + north * (RADIUS_PX - 13)
        box = QRectF(mark.x() - 8, mark.y() - 8, 16, 16)
        painter.drawText(box, tr("N"), _centred())
        painter.setPen(QPen(_INK, 1.5, Qt.PenStyle.DashLine))
        tip = middle + towards * (RADIUS_PX - 2)
        painter.drawLine(middle, tip)
        aside = QPointF(-towards.y(), towards.x())
        painter.setPen(QPen(_INK, 1))
        painter.setBrush(QBrush(_INK))
        base = tip - towards * 9
        painter.drawPolygon(QPolygonF([tip, base + aside * 4, base - aside * 4]))

    def _paint_lean(self, painter: QPainter, way: QPointF) -> None:
        """From the foot, a dot, to the roof, a square."""
        foot, roof = self._middle(), self._middle() + way
        if math.hypot(way.x(), way.y()) >= _SMALLEST_PX:
            for colour, width in ((QColor(255, 255, 255), 6), (_SCALED, 3)):
                painter.setPen(QPen(colour, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
                painter.drawLine(foot, roof)
            painter.setBrush(QBrush(QColor(255, 255, 255)))
            painter.setPen(QPen(_SCALED, 2))
            painter.drawRect(QRectF(roof.x() - 4, roof.y() - 4, 8, 8))
        painter.setPen(QPen(_SCALED, 1))
        painter.setBrush(QBrush(_SCALED))
        painter.drawEllipse(foot, 3, 3)

    def _paint_words(self, painter: QPainter, length_m: float) -> None:
        text = words(self._look, length_m)
        width = max(painter.fontMetrics().boundingRect(line).width() for line in text.split("\n"))
        height = painter.fontMetrics().height() * (text.count("\n") + 1)
        box = QRectF(
            self._canvas.width() - width - 30,
            self._middle().y() + RADIUS_PX + 8,
            width + 16,
            height + 8,
        )
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QBrush(_PAPER))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(QPen(_INK))
        painter.drawText(box, text, _centred())


def words(look: Look, length_m: float) -> str:
    """What stands below the dial."""
    return tr(
        "{angle:g}° off nadir, azimuth {azimuth:g}°\na roof of 10 m leans {length:.1f} m"
    ).format(angle=look.off_nadir_deg, azimuth=look.azimuth_deg, length=length_m)


def _centred() -> QTextOption:
    # Qt 5 and Qt 6 disagree about flags where a number is taken; not about these.
    return QTextOption(Qt.AlignmentFlag.AlignCenter)


def _unit(way: QPointF) -> QPointF:
    length = math.hypot(way.x(), way.y()) or 1.0
    return QPointF(way.x() / length, way.y() / length)
