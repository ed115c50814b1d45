"""What the next run's dialog offers: settings that were kept, a look that was drawn.

It takes nothing by itself: the dialog shows a line with a link, and the user takes it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from qgis.core import QgsSettings

from .shape_settings import Settings
from .texts import tr

_KEPT = "snet4/kept_shapes"


@dataclass(frozen=True)
class Offer:
    """Values for parameters of the dialog."""

    sentence: str
    """What they are, for people."""
    values: dict[str, Any]
    """Parameter -> value."""


_drawn: list[Offer] = []
"""None or one: the look is that of a picture, so it is not kept beyond this session."""


def keep(settings: Settings) -> None:
    """Offer these settings from now on."""
    QgsSettings().setValue(_KEPT, json.dumps(settings.facts()))


def drawn(azimuth_deg: float, off_nadir_deg: float | None) -> None:
    """Offer the look that was drawn on the map."""
    values = {"AZIMUTH": round(azimuth_deg, 1)}
    if off_nadir_deg is None:
        sentence = tr("Drawn on the map: azimuth {azimuth:g}°.").format(azimuth=values["AZIMUTH"])
    else:
        values["OFF_NADIR"] = round(off_nadir_deg, 1)
        sentence = tr("Drawn on the map: azimuth {azimuth:g}°, {angle:g}° off nadir.").format(
            azimuth=values["AZIMUTH"], angle=values["OFF_NADIR"]
        )
    _drawn[:] = [Offer(sentence, values)]


def offers() -> list[Offer]:
    """All that there are; at most two."""
    found = list(_drawn)
    kept = _kept()
    if kept is not None and None not in (kept.threshold, kept.min_area_m2):
        sentence = tr(
            "Kept settings: threshold {threshold:g}, at least {area:g} m², confidence {sure:g} or "
            "more, simplified within {metres:g} m."
        ).format(
            threshold=kept.threshold,
            area=kept.min_area_m2,
            sure=kept.min_confidence or 0.0,
            metres=kept.simplify_m or 0.0,
        )
        values = {
            "THRESHOLD": kept.threshold,
            "MIN_AREA": kept.min_area_m2,
            "MIN_CONFIDENCE": kept.min_confidence,
            "SIMPLIFY": kept.simplify_m,
            "REGULARIZE": 2 if kept.regularize is None else int(kept.regularize),
        }
        if kept.height_min_m is not None:
            values["HEIGHT_MIN"] = kept.height_min_m
            sentence += " " + tr("At least {height:g} m high.").format(height=kept.height_min_m)
        found.append(Offer(sentence, values))
    return found


def forget() -> None:
    """Offer nothing any more."""
    QgsSettings().remove(_KEPT)
    _drawn.clear()


def _kept() -> Settings | None:
    text = str(QgsSettings().value(_KEPT, "") or "")
    try:
        return Settings.of(json.loads(text)) if text else None
    except (TypeError, ValueError):
        return None
