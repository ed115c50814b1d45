"""The Processing provider; it lists its algorithms even when no engine is installed."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import install_button
from .about import version
from .algorithms.check_engine import CheckEngine
from .algorithms.extract_footprints import ExtractFootprints
from .algorithms.install_engine import InstallEngine
from .algorithms.polygonize_maps import PolygonizeMaps
from .algorithms.score_footprints import ScoreFootprints
from .environment import SETTING
from .texts import tr

HERE = Path(__file__).resolve().parent
GROUP = "snet4"


class Snet4Provider(QgsProcessingProvider):
    """All algorithms of snet4."""

    def id(self) -> str:
        """Stands before every algorithm's name: snet4:extractfootprints."""
        return "snet4"

    def name(self) -> str:
        """As the toolbox shows it."""
        return "snet4"

    def longName(self) -> str:
        """With the version, for the log."""
        return f"snet4 {version()}: " + tr("building footprints from off-nadir pictures")

    def versionInfo(self) -> str:
        """As written in metadata.txt."""
        return version()

    def icon(self) -> QIcon:
        """The plugin's."""
        return QIcon(str(HERE / "icons" / "snet4.svg"))

    def svgIconPath(self) -> str:
        """The same, for menus."""
        return str(HERE / "icons" / "snet4.svg")

    def load(self) -> bool:
        """Announce the settings, then the algorithms."""
        if _settings_page() is not None:
            _add_setting()
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """Take the settings' rows away; a value stays."""
        config = _settings_page()
        if config is not None:
            for name in (SETTING, install_button.SETTING):
                config.ProcessingConfig.removeSetting(name)

    def loadAlgorithms(self) -> None:
        """One file each."""
        for algorithm in (
            ExtractFootprints,
            PolygonizeMaps,
            ScoreFootprints,
            CheckEngine,
            InstallEngine,
        ):
            self.addAlgorithm(algorithm())


def _settings_page():
    """Processing's own configuration; it is a plugin, which may be switched off."""
    try:
        from processing.core import ProcessingConfig
    except ImportError:
        return None
    return ProcessingConfig


def _add_setting() -> None:
    config = _settings_page()
    config.ProcessingConfig.settingIcons[GROUP] = QIcon(str(HERE / "icons" / "snet4.svg"))
    config.ProcessingConfig.addSetting(
        config.Setting(
            GROUP,
            SETTING,
            tr(
                "Python interpreter of the engine (empty: SNET4_PYTHON, then the one that was "
                "installed here, then ~/.snet4)"
            ),
            "",
            valuetype=config.Setting.FILE,
        )
    )
    config.ProcessingConfig.addSetting(install_button.setting_row(config.Setting, GROUP))
    config.ProcessingConfig.readSettings()
