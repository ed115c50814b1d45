"""Where the button 'Install the engine' stands; icons get their colours without a restart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from qgis.core import QgsApplication
from qgis.gui import QgsMessageBar
from qgis.PyQt.QtCore import QCoreApplication, Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QLabel, QPushButton
from qgis_helpers import until


class Window:
    """As much of QGIS's interface as the message needs."""

    def __init__(self) -> None:
        self.bar = QgsMessageBar()

    def messageBar(self) -> QgsMessageBar:
        return self.bar


@pytest.fixture
def opened(qgis: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from snet4 import install_button

    found: list[str] = []
    monkeypatch.setattr(install_button, "open_installer", lambda: found.append("dialog"))
    return found


def button_in(bar: QgsMessageBar) -> QPushButton:
    """The one button of the one message."""
    [item] = [each for each in bar.items() if each.objectName() == "snet4_install"]
    assert bar.currentItem() is item
    [button] = [each for each in item.findChildren(QPushButton) if each.text()]
    assert button.text() == "Install the engine"
    return button


def test_without_an_engine_a_message_offers_to_install_one(
    opened: list[str], no_engine: None
) -> None:
    import snet4

    window = Window()
    snet4.classFactory(window).offer()
    assert opened == []
    button_in(window.bar).click()
    assert opened == ["dialog"]


def test_a_wrong_name_is_to_be_corrected_and_no_button_pretends_to_help(
    opened: list[str], engine_is: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qgis.utils
    import snet4
    from qgis.core import QgsSettings
    from snet4 import environment

    window = Window()
    monkeypatch.setattr(qgis.utils, "iface", window)
    engine_is("/nowhere/python")
    algorithm = QgsApplication.processingRegistry().algorithmById("snet4:extractfootprints")
    check = QgsApplication.processingRegistry().algorithmById("snet4:checkengine")
    sentence = algorithm.canExecute()[1]
    assert sentence == (
        "/nowhere/python, named by the environment variable SNET4_PYTHON, is no Python "
        "interpreter; correct or unset it where QGIS is started."
    )
    assert "<a " not in check.shortHelpString()
    snet4.classFactory(window).offer()
    [item] = window.bar.items()
    assert item.text() == sentence
    dialog = checked(window)
    assert dialog.messageBar().items() == []
    dialog.close()
    QgsSettings().setValue(environment.SETTING_KEY, "/old/python")
    try:
        assert algorithm.canExecute()[1] == (
            "/old/python, named by the Processing setting, is no Python interpreter; correct or "
            "empty it in Settings > Options > Processing > Providers > snet4."
        )
    finally:
        QgsSettings().remove(environment.SETTING_KEY)


def test_with_an_engine_nothing_is_said(opened: list[str], engine_is: Any, stub: Any) -> None:
    import snet4

    engine_is(stub("plain"))
    window = Window()
    snet4.classFactory(window).offer()
    assert window.bar.items() == []


def test_the_link_of_a_grey_algorithm_opens_the_installation(
    opened: list[str], no_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qgis.utils
    import snet4

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


def checked(window: Any) -> Any:
    """The dialog of the check, after its run."""
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    algorithm = QgsApplication.processingRegistry().createAlgorithmById("snet4:checkengine")
    dialog = AlgorithmDialog(algorithm, False, None)
    dialog.show()
    dialog.runAlgorithm()
    until(dialog.wasExecuted)
    return dialog


def test_the_check_offers_the_button_where_no_engine_works(
    opened: list[str], no_engine: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qgis.utils

    window = Window()
    monkeypatch.setattr(qgis.utils, "iface", window)
    dialog = checked(window)
    button_in(dialog.messageBar()).click()
    assert opened == ["dialog"]
    dialog.close()
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("snet4:checkengine")
    assert '<a href="snet4:install">' in algorithm.shortHelpString()
    # Run without its dialog, QGIS's own bar has the button, once however often one checks.
    for _ in range(2):
        import processing

        processing.run("snet4:checkengine", {})
    button_in(window.bar).click()
    assert opened == ["dialog"] * 2


def test_the_check_offers_nothing_where_an_engine_works(
    opened: list[str], engine_is: Any, stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import qgis.utils

    window = Window()
    monkeypatch.setattr(qgis.utils, "iface", window)
    engine_is(stub("plain"))
    dialog = checked(window)
    assert dialog.messageBar().items() == window.bar.items() == []
    dialog.close()


def test_the_settings_of_processing_install_when_they_are_confirmed(opened: list[str]) -> None:
    from processing.core.ProcessingConfig import ProcessingConfig
    from processing.gui.ConfigDialog import ConfigDialog

    setting = ProcessingConfig.settings["SNET4_INSTALL"]
    for ticked in (False, True, False):
        before = list(opened)
        dialog = ConfigDialog(False)
        dialog.items = {setting: dialog.items[setting]}  # others may be wrong on this machine
        assert dialog.items[setting].checkState() == Qt.CheckState.Unchecked
        if ticked:
            dialog.items[setting].setCheckState(Qt.CheckState.Checked)
        dialog.accept()
        assert opened == before  # the windows of the settings still stand in the way
        QCoreApplication.processEvents()
        assert opened == before + ["dialog"] * ticked
    assert setting.value is False


def test_a_dialog_that_has_lost_its_engine_has_the_link(
    opened: list[str], no_engine: None, town: Path
) -> None:
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    algorithm = QgsApplication.processingRegistry().createAlgorithmById("snet4:extractfootprints")
    dialog = AlgorithmDialog(algorithm, False, None)
    dialog.setParameters({"INPUT": str(town), "OUTPUT": "memory:"})
    dialog.show()
    label = dialog.findChild(QLabel, "snet4_scene_facts")
    until(lambda: '<a href="snet4:install">' in label.text())
    label.linkActivated.emit("snet4:install")
    assert opened == ["dialog"]
    dialog.close()


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
