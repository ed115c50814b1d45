"""A layer whose shapes are adjusted: its stored maps, the settings tried, and the way back.

The layer of the run stays as it is. What is applied lies in GeoPackages of its own beside it, of
which a second layer shows the newest; undoing shows the one before, and at last the run's layer.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    QgsDataProvider,
    QgsLayerTreeLayer,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVectorLayer,
)

from .engine_client import Facts
from .results import STYLES
from .shape_settings import Settings, remember, settings_of
from .texts import tr


@dataclass(frozen=True)
class _Step:
    settings: Settings
    file: Path


class Adjusting:
    """One run's layer, and what was applied since."""

    def __init__(self, layer: QgsVectorLayer, maps: str) -> None:
        self.layer = layer
        self.maps = maps
        own = QgsRasterLayer(maps, "maps", "gdal", QgsRasterLayer.LayerOptions(False)).crs()
        self.crs = own if own.isValid() else layer.crs()
        """Of the maps and of the shapes that come from them; the layer may be in another (KML)."""
        self.first = settings_of(layer)
        self.shown: QgsVectorLayer | None = None
        """The second layer; None while nothing is applied."""
        self._steps: list[_Step] = []

    @property
    def settings(self) -> Settings:
        """Those of what is shown."""
        return self._steps[-1].settings if self._steps else self.first

    def job(self, settings: Settings) -> Facts:
        """For the engine: the whole layer, the same as `snet4 polygonize` writes."""
        return {
            "kind": "polygonize",
            "maps": self.maps,
            "folder": str(self._folder()),
            "shown_output": str(self._free_file()),
            **settings.facts(),
        }

    def apply(self, settings: Settings, result: Facts) -> Path:
        """Keep the engine's result beside the run's layer and show it. Raises OSError."""
        file = self._free_file()
        unfinished = file.with_suffix(".part")
        try:
            shutil.copyfile(result["output"], unfinished)
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
        self._steps.append(_Step(settings, file))
        self._show()
        return file

    def undo(self) -> None:
        """Back to the step before. Its GeoPackage is gone; nothing happens at the run's layer."""
        if not self._steps:
            return
        step = self._steps.pop()
        self._show()
        for path in (step.file, *(Path(f"{step.file}-{each}") for each in ("wal", "shm"))):
            with suppress(OSError):  # another program may look at it
                path.unlink(missing_ok=True)

    def see(self, visible: bool) -> None:
        """Show or hide what is current; the other layer stays hidden while both are there."""
        if self.shown is not None:
            _check(self.shown, visible)
        _check(self.layer, visible and self.shown is None)

    def _show(self) -> None:
        project = QgsProject.instance()
        if not self._steps:
            gone, self.shown = self.shown, None
            if gone is not None:
                project.removeMapLayer(gone.id())
        else:
            source = f"{self._steps[-1].file}|layername=footprints"
            name = tr("{}, adjusted").format(self.layer.name())
            if self.shown is None:
                self.shown = self._added(QgsVectorLayer(source, name, "ogr"))
            else:
                options = QgsDataProvider.ProviderOptions()
                self.shown.setDataSource(source, self.shown.name(), "ogr", options)
            remember(self.shown, self.maps, self.settings.facts())
        self.see(True)

    def _added(self, layer: QgsVectorLayer) -> QgsVectorLayer:
        """The layer in the project, above that of the run and styled as it is."""
        layer.loadNamedStyle(str(STYLES / "footprints.qml"))
        layer.setRenderer(self.layer.renderer().clone())
        QgsProject.instance().addMapLayer(layer, False)
        node = QgsProject.instance().layerTreeRoot().findLayer(self.layer.id())
        parent = node.parent() if node else QgsProject.instance().layerTreeRoot()
        place = parent.children().index(node) if node else 0
        parent.insertChildNode(place, QgsLayerTreeLayer(layer))
        return layer

    def _folder(self) -> Path:
        """Of the run's layer where that is a file, else of its maps."""
        if self.layer.dataProvider() is not None and self.layer.providerType() == "ogr":
            parts = QgsProviderRegistry.instance().decodeUri("ogr", self.layer.source())
            path = Path(str(parts.get("path") or ""))
            if path.is_file():
                return path.parent
        return Path(self.maps).parent

    def _free_file(self) -> Path:
        stem = Path(self.maps).stem
        names = (f"{stem}_adjusted{number}.gpkg" for number in ("", *map(str, range(2, 10_000))))
        return next(path for path in map(self._folder().joinpath, names) if not path.exists())


def _check(layer: QgsVectorLayer, visible: bool) -> None:
    node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
    if node is not None:
        node.setItemVisibilityChecked(visible)
