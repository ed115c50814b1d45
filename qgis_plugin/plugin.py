"""The plugin: a translator, a Processing provider, the tools of the map, the engine's button."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, QObject, QTranslator, QUrl, pyqtSlot
from qgis.PyQt.QtGui import QDesktopServices

from . import install_button
from .environment import SCHEME, NoEngine, find_engine
from .provider import Snet4Provider
from .texts import tr

HERE = Path(__file__).resolve().parent


class Links(QObject):
    """Follows the link in Processing's message about a missing engine."""

    @pyqtSlot(QUrl)
    def follow(self, link: QUrl) -> None:
        """Every link of the scheme means the same."""
        install_button.open_installer()


class Snet4Plugin:
    """What QGIS holds while the plugin is switched on."""

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.provider: Snet4Provider | None = None
        self.tools: Any = None
        self.translator = QTranslator()
        self._links = Links()
        language = QgsApplication.locale()[:2]
        if self.translator.load(str(HERE / "i18n" / f"snet4_{language}.qm")):
            QCoreApplication.installTranslator(self.translator)

    def initProcessing(self) -> None:
        """Called alone by qgis_process, which has no windows."""
        self.provider = Snet4Provider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Called by the application."""
        self.initProcessing()
        from .tools import Tools  # qgis_process has no windows, and need not load them

        self.tools = Tools(self.iface)
        self.offer()

    def offer(self) -> None:
        """Where no engine is, a message with the button; it opens nothing by itself."""
        QDesktopServices.setUrlHandler(SCHEME, self._links, "follow")
        found = find_engine()
        if not isinstance(found, NoEngine):
            return
        if not found.cured_by_installing:
            self.iface.messageBar().pushMessage("snet4", found.sentence)
            return
        install_button.offer_in(
            self.iface.messageBar(),
            tr("The engine that finds footprints is missing, or of another version."),
        )

    def unload(self) -> None:
        """Leave nothing behind."""
        if self.tools is not None:
            self.tools.remove()
            self.tools = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        if self.iface is not None:
            QDesktopServices.unsetUrlHandler(SCHEME)
        QCoreApplication.removeTranslator(self.translator)
