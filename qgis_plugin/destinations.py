"""Where the results of a run may go, as the values of its parameters say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingOutputLayerDefinition, QgsProperty

from .texts import tr


def is_wanted(parameters: dict[str, Any], name: str) -> bool:
    """Whether an optional output is asked for.

    A batch gives a definition for every cell, also for one that its user left empty.
    """
    value = parameters.get(name)
    return _is_computed(value) or bool(_text(value))


def file_of(value: Any) -> Path | None:
    """The plain file that an output's value names; None for memory, databases, temporary ones."""
    text = _text(value)
    if not text or text in ("TEMPORARY_OUTPUT", "memory:") or ":" in text[2:]:
        return None
    return Path(text)


def shown_output(parameters: dict[str, Any]) -> str:
    """What the command line that is shown names as its output."""
    return str(file_of(parameters.get("OUTPUT")) or "footprints.gpkg")


def check_place(parameters: dict[str, Any], name: str) -> str | None:
    """Why a file could not be put where the user wants it; None where it could, or elsewhere."""
    path = file_of(parameters.get(name))
    if path is None:
        return None
    if not path.parent.is_dir():
        return tr("{file} cannot be written: there is no folder {folder}; create it first.").format(
            file=path.name, folder=path.parent
        )
    if path.is_dir():
        return tr("{file} is a folder; name a file in it.").format(file=path)
    return None


def _property(value: Any) -> Any:
    """The value itself, or the property inside a definition."""
    return value.sink if isinstance(value, QgsProcessingOutputLayerDefinition) else value


def _is_computed(value: Any) -> bool:
    """Whether an expression or a field gives the place when the run begins."""
    held = _property(value)
    return isinstance(held, QgsProperty) and bool(held.expressionString() or held.field())


def _text(value: Any) -> str:
    """The place as text; empty where there is none, or where it is yet to be computed."""
    held = _property(value)
    if isinstance(held, QgsProperty):
        held = held.staticValue()
    return held.strip() if isinstance(held, str) else ""
