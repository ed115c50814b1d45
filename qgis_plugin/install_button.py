"""The button "Install the engine", wherever an engine is missed: a message, a link, a setting.

It opens the dialog of the algorithm of that name; nothing is installed before its *Run*.
"""

from __future__ import annotations

from html import escape
from typing import Any

import qgis.utils
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QPushButton

from .environment import SCHEME, NoEngine
from .texts import tr

SETTING = "SNET4_INSTALL"
"""Name of the row in Processing's settings."""

LINK = f"{SCHEME}:install"
"""Where the links lead."""

_MESSAGE = "snet4_install"
"""Name of the message, of which a bar never holds two."""


def link() -> str:
    """The button as a link, for texts in HTML."""
    return f'<a href="{LINK}">{tr("Install the engine")}</a>'


def with_link(missing: NoEngine) -> str:
    """Why there is no engine: HTML with the button where it helps, else the plain sentence."""
    if not missing.cured_by_installing:
        return missing.sentence
    return f"{escape(missing.sentence, quote=False)} {link()}"


def open_installer() -> None:
    """The dialog of "Install the engine", beside what is open."""
    import processing

    dialog = processing.createAlgorithmDialog("snet4:installengine", {})
    if dialog is not None:
        dialog.show()
        dialog.raise_()


def offer_in(bar: Any, sentence: str) -> None:
    """Say the sentence in a message bar, with the button beside it."""
    for item in bar.items():
        if item.objectName() == _MESSAGE:
            bar.popWidget(item)
    message = bar.createMessage("snet4", sentence)
    message.setObjectName(_MESSAGE)
    button = QPushButton(tr("Install the engine"), message)
    button.clicked.connect(lambda: open_installer())
    message.layout().addWidget(button)
    bar.pushWidget(message)


def bar_beside(algorithm_id: str) -> Any:
    """The message bar of the open dialog of an algorithm, else QGIS's own; None without windows."""
    if qgis.utils.iface is None:
        return None
    from qgis.gui import QgsProcessingAlgorithmDialogBase  # qgis_process need not load it

    for window in QApplication.topLevelWidgets():
        if (
            isinstance(window, QgsProcessingAlgorithmDialogBase)
            and window.isVisible()
            and window.algorithm() is not None
            and window.algorithm().id() == algorithm_id
        ):
            return window.messageBar()
    return qgis.utils.iface.messageBar()


def setting_row(kind: Any, group: str) -> Any:
    """A row for Processing's settings that installs when they are confirmed.

    Its rows hold values and no buttons, so this one is a box to tick; it never stays ticked.
    `kind` is Processing's class of settings.
    """

    class InstallRow(kind):  # type: ignore[misc]  # QGIS's class, found when it runs
        def read(self, qsettings: QgsSettings | None = None) -> None:
            self.value = False

        def save(self, qsettings: QgsSettings | None = None) -> None:
            wanted, self.value = self.value, False
            if wanted is True:
                # Later: the windows of the settings are still open, and let no other be used.
                QTimer.singleShot(0, lambda: open_installer())

    return InstallRow(group, SETTING, tr("Install the engine: tick, then OK"), False)
