"""What the plugin adds to QGIS's windows: a menu, the panel, the arrow and the tool of the look."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProject, QgsSettings, QgsVectorLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QInputDialog, QMenu, QPushButton

from . import lean, looks, offers, results
from .adjust_panel import AdjustPanel, panel_for
from .look_arrow import LookArrow
from .look_tool import LookTool
from .shape_settings import maps_of
from .texts import tr

_ARROW = "snet4/look_arrow"
"""Setting: whether the arrow is shown."""


class Tools:
    """All of them, for one window of QGIS."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self.canvas = iface.mapCanvas()
        self.panel: AdjustPanel | None = None
        self.arrow = LookArrow(self.canvas)
        self.tool = LookTool(self.canvas)
        self.tool.drawn.connect(self._drawn)
        self.tool.failed.connect(
            lambda: self._say(tr("Press on a corner of the roof and drag to its foot."))
        )
        self.menu = QMenu("snet4", iface.mainWindow())
        adjust = self.menu.addAction(tr("Adjust the footprints…"))
        adjust.triggered.connect(lambda: self._adjust_active())
        self.arrow_action = self.menu.addAction(tr("Show how roofs lean"))
        self.arrow_action.setCheckable(True)
        read = self.menu.addAction(tr("Read the look off a building"))
        read.triggered.connect(lambda: self._take_tool())
        iface.pluginMenu().addMenu(self.menu)
        iface.currentLayerChanged.connect(self.refresh)
        self.arrow_action.toggled.connect(self._toggle)
        self.arrow_action.setChecked(QgsSettings().value(_ARROW, False, type=bool))
        results.when_adjustable.append(self.invite)
        looks.when_noted.append(self.refresh)

    def remove(self) -> None:
        """Leave nothing behind."""
        results.when_adjustable.remove(self.invite)
        looks.when_noted.remove(self.refresh)
        self._iface.currentLayerChanged.disconnect(self.refresh)
        if self.panel is not None:
            self.panel.close()
        self.tool.remove()
        self.canvas.scene().removeItem(self.arrow)
        self.menu.deleteLater()

    # --- the panel ---

    def invite(self, layer: QgsVectorLayer) -> None:
        """After a run that kept its maps: a message with the button; nothing opens by itself."""
        message = self._iface.messageBar().createMessage(
            "snet4", tr("{}: other settings can be tried on the kept maps.").format(layer.name())
        )
        button = QPushButton(tr("Adjust the footprints…"), message)
        wanted = layer.id()
        button.clicked.connect(lambda: self._adjust_by_id(wanted))
        button.clicked.connect(lambda: self._iface.messageBar().popWidget(message))
        message.layout().addWidget(button)
        self._iface.messageBar().pushWidget(message)

    def adjust(self, layer: Any) -> None:
        """Open the panel for a layer, or say why not."""
        maps = maps_of(layer)
        if maps is None:
            self._say(
                tr(
                    "Choose a layer of footprints whose probability maps were kept (SAVE_MAPS) and "
                    "are still there."
                )
            )
            return
        if self.panel is not None:
            self.panel.close()
        panel = panel_for(layer, maps, self.canvas, self._iface.mainWindow())
        panel.ended.connect(self._forget_panel)
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, panel)
        panel.show()
        self.panel = panel

    def _adjust_by_id(self, wanted: str) -> None:
        self.adjust(QgsProject.instance().mapLayer(wanted))

    def _adjust_active(self) -> None:
        self.adjust(self._iface.activeLayer())

    def _forget_panel(self) -> None:
        if self.panel is not None:
            self._iface.removeDockWidget(self.panel)
            self.panel.deleteLater()
            self.panel = None

    # --- the look ---

    def refresh(self, layer: Any = None) -> None:
        """Draw the look of the current layer, if the arrow is wanted."""
        wanted = self.arrow_action.isChecked()
        self.arrow.show_look(looks.look_of(self._iface.activeLayer()) if wanted else None)

    def _toggle(self, on: bool) -> None:
        QgsSettings().setValue(_ARROW, on)
        self.refresh()

    def _take_tool(self) -> None:
        self.canvas.setMapTool(self.tool)
        self._say(tr("Press on a corner of the roof and drag to its foot."))

    def _drawn(self, way: lean.Offset) -> None:
        height_m, known = QInputDialog.getDouble(
            self._iface.mainWindow(),
            tr("Read the look off a building"),
            tr(
                "Roofs lean {azimuth:.0f}°, this one by {length:.1f} m. Its height, m (0: unknown)"
            ).format(azimuth=way.azimuth_deg, length=way.length_m),
            0.0,
            0.0,
            1000.0,
            1,
        )
        if known:
            self.take_look(way, height_m)

    def take_look(self, way: lean.Offset, height_m: float) -> None:
        """Offer the look to the next run's dialog; `height_m` 0 leaves the angle open."""
        angle_deg = lean.off_nadir_of(way, height_m) if height_m > 0 else None
        offers.drawn(way.azimuth_deg, angle_deg)
        self._say(offers.offers()[0].sentence + " " + tr("The next run's dialog offers it."))

    def _say(self, sentence: str) -> None:
        self._iface.messageBar().pushMessage("snet4", sentence)
