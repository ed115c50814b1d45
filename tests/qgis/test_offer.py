"""Where the button 'Install the engine' stands; icons get their colours without a restart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis.core import QgsApplication
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QCoreApplication, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QPushButton


class Window:
    """As much of QGIS's interface as the message needs."""

    def __init__(self) -> None:
        self.bar = QgsMessageBar()

    def messageBar(self) -> QgsMessageBar:
        return self.bar


@pytest.fixture
def opened(qgis: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from snet4 import plugin

    found: list[str] = []
    monkeypatch.setattr(plugin, "open_installer", lambda: found.append("dialog"))
    return found


def test_without_an_engine_a_message_offers_to_install_one(
    opened: list[str], engine_is: Any
) -> None:
    import snet4

    engine_is("/nowhere/python")
    window = Window()
    snet4.classFactory(window).offer()
    [item] = window.bar.items()
    [button] = [each for each in item.findChildren(QPushButton) if each.text()]
    assert opened == []
    button.click()
    assert opened == ["dialog"]


def test_with_an_engine_nothing_is_said(opened: list[str], engine_is: Any, stub: Any) -> None:
    import snet4

    engine_is(stub("plain"))
    window = Window()
    snet4.classFactory(window).offer()
    assert window.bar.items() == []


def test_the_link_of_a_grey_algorithm_opens_the_installation(
    opened: list[str], engine_is: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qgis.utils
    import snet4

    engine_is("/nowhere/python")
    window = Window()
    held = snet4.classFactory(window)
    held.offer()
    algorithm = QgsApplication.processingRegistry().algorithmById("snet4:extractfootprints")
    assert "<a " not in algorithm.canExecute()[1]  # qgis_process shows plain text
    monkeypatch.setattr(qgis.utils, "iface", window)
    possible, sentence = algorithm.canExecute()
    assert not possible
    assert '<a href="snet4:install">' in sentence
    QDesktopServices.openUrl(QUrl("snet4:install"))
    assert opened == ["dialog"]
    held.unload()


def test_icons_are_looked_at_again_after_an_installation(
    qgis: Any, engine_is: Any, stub: Any, tmp_path: Path
) -> None:
    registry = QgsApplication.processingRegistry()
    seen: list[str] = []
    provider = registry.providerById("snet4")
    provider.algorithmsLoaded.connect(lambda: seen.append("loaded"))
    registry.createAlgorithmById("snet4:installengine").postProcessAlgorithm(None, None)
    QCoreApplication.processEvents()
    assert seen == ["loaded"]


def test_an_engine_of_another_version_is_told_apart(
    qgis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snet4.about import version
    from snet4.engine_client import EngineFailure, final

    with pytest.raises(
        EngineFailure,
        match=rf"engine \(snet4 9.9\).* plugin \({re.escape(version())}\); run 'Install",
    ):
        final({"event": "hello", "protocol": 99, "snet4": "9.9"})
