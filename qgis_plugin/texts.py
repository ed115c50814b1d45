"""Translation of user-visible texts."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication


def tr(text: str) -> str:
    """The text in the user's language; `text` is a literal, from which translations are made."""
    return QCoreApplication.translate("snet4", text)


def duration(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 90:
        return tr("{} s").format(max(1, round(seconds)))
    if seconds < 5400:
        return tr("{} min").format(round(seconds / 60))
    return tr("{:.1f} h").format(seconds / 3600)
