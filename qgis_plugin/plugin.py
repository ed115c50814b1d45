"""The plugin: a translator and a Processing provider, nothing else."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, QTranslator

from .provider import Snet4Provider

HERE = Path(__file__).resolve().parent


class Snet4Plugin:
    """What QGIS holds while the plugin is switched on."""

    def __init__(self, iface: object) -> None:
        self.iface = iface
        self.provider: Snet4Provider | None = None
        self.translator = QTranslator()
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

    def unload(self) -> None:
        """Leave nothing behind."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        QCoreApplication.removeTranslator(self.translator)
