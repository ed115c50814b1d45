"""What a layer remembers of its run: where the maps lie, and which settings made it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qgis.core import QgsVectorLayer

from .engine_client import Facts

_MAPS, _SETTINGS = "snet4/maps", "snet4/settings"
"""Properties of a layer, which QGIS keeps in the project."""


@dataclass(frozen=True)
class Settings:
    """How maps become footprints; None is what the model's card says."""

    threshold: float | None = None
    """Probability, 0 to 1."""
    min_area_m2: float | None = None
    min_confidence: float | None = None
    """0 to 1."""
    simplify_m: float | None = None
    regularize: bool | None = None
    """Whether walls get right angles."""
    height_min_m: float | None = None
    """Lower buildings are left out; None: all stay, whatever the card says."""

    @staticmethod
    def of(facts: Facts) -> Settings:
        """From the engine's words; what is missing or unknown stays open."""
        names = Settings.__dataclass_fields__
        return Settings(**{name: facts[name] for name in names if name in facts})

    def facts(self) -> Facts:
        """In the engine's words."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if self.height_min_m is None:  # an engine of before does not know it
            del found["height_min_m"]
        return found


def remember(layer: QgsVectorLayer, maps: str, settings: Facts) -> None:
    """Write into a run's layer where its maps lie, and which settings made it."""
    layer.setCustomProperty(_MAPS, maps)
    layer.setCustomProperty(_SETTINGS, json.dumps(Settings.of(settings).facts()))


def maps_of(layer: Any) -> str | None:
    """The stored maps of a layer, if they are still there."""
    path = layer.customProperty(_MAPS) if isinstance(layer, QgsVectorLayer) else None
    return path if path and Path(path).is_file() else None


def settings_of(layer: QgsVectorLayer) -> Settings:
    """Those that made the layer, as far as it says."""
    try:
        return Settings.of(json.loads(layer.customProperty(_SETTINGS) or "{}"))
    except (TypeError, ValueError):
        return Settings()


def rounded(settings: Settings, decimals: int = 4) -> Settings:
    """Numbers as a person would write them: sliders give 0.30000000000000004."""
    numbers = {
        name: round(value, decimals)
        for name, value in settings.facts().items()
        if isinstance(value, float)
    }
    return replace(settings, **numbers)
