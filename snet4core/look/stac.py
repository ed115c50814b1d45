"""Reads look angles from STAC items, whose azimuth means different things to different providers.

STAC's own `view:azimuth` runs from the point below the satellite to the scene, as snet4's does.
Planet's items hold its `satellite_azimuth` there, which runs the other way; those of Airbus's
pictures the direction of the scan. docs/guide/look-sources.md names the sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from snet4core.files.names import printable
from snet4core.look.orbits import off_nadir_of_incidence, orbit_km
from snet4core.look.sighting import Sighting, degrees, reversed_azimuth
from snet4core.scene.inputs import asset_of, read_stac

_PLANET = ("skysat", "planet", "psscene", "psorthotile", "reorthotile", "rapideye", "dove",
           "superdove", "pelican", "tanager", "ssc", "ps2", "psb.sd")  # fmt: skip
_AIRBUS = ("phr", "pleiades", "pléiades", "pneo", "spot", "airbus")

Meaning = Literal["to the ground", "to the satellite", "of the scan"]


def sighting_in_stac(path: Path, picture: str = "", warnings: list[str] | None = None) -> Sighting:
    """The `view:` fields of a STAC item; InputError if it is not one.

    Those of the asset that is the picture (its file name) precede those of the item.
    `view:incidence_angle` alone is converted with the platform's height. Before STAC 1.0 the
    prefix was `eo:`.
    """
    item = read_stac(path)
    properties = item.get("properties")
    values = {"collection": item.get("collection")}
    values |= properties if isinstance(properties, dict) else {}
    values |= asset_of(item, picture) or {} if picture else {}
    azimuth = degrees(values.get("view:azimuth", values.get("eo:azimuth")))
    meaning = "to the satellite" if _by_planet(item) else _meaning(values)
    if azimuth is None and meaning == "to the satellite":
        azimuth = degrees(values.get("pl:satellite_azimuth", values.get("satellite_azimuth")))
    azimuth = None if azimuth is None else azimuth % 360.0
    if meaning == "to the satellite":
        azimuth = reversed_azimuth(azimuth)
    elif meaning == "of the scan" and azimuth is not None:
        azimuth = None
        if warnings is not None:
            warnings.append(
                f"{printable(path)}: in items of Airbus's pictures view:azimuth is the direction "
                "of the scan; it is not used, and the azimuth stays unknown."
            )
    return Sighting(_off_nadir(values), azimuth, "stac", printable(path))


def _off_nadir(values: Mapping[str, Any]) -> float | None:
    off_nadir = degrees(values.get("view:off_nadir", values.get("eo:off_nadir")))
    if off_nadir is not None:
        return abs(off_nadir)
    incidence = degrees(values.get("view:incidence_angle"))
    if incidence is None or abs(incidence) >= 90:
        return None
    return off_nadir_of_incidence(abs(incidence), orbit_km(*_names(values)))


def _names(values: Mapping[str, Any]) -> list[str]:
    """Platform, constellation and mission, as far as they are given; then who else is named."""
    keys = ("platform", "constellation", "mission", "collection", "oam:producer_name")
    named = [values.get(key) for key in keys]
    for key in ("instruments", "providers"):
        listed = values.get(key)
        for each in listed if isinstance(listed, list) else [listed]:
            named.append(each.get("name") if isinstance(each, dict) else each)
    return [name for name in named if isinstance(name, str)]


def _by_planet(item: Mapping[str, Any]) -> bool:
    """Whether the item has Planet's own extension of STAC."""
    schemas = item.get("stac_extensions")
    return isinstance(schemas, list) and any("planetlabs.github.io" in str(one) for one in schemas)


def _meaning(values: Mapping[str, Any]) -> Meaning:
    """What `view:azimuth` means in an item with these properties, by who made it."""
    names = [name.lower() for name in _names(values)]
    platform = str(values.get("platform", "")).upper()
    skysat = platform.startswith("SS") and platform[2:].isdigit()
    if skysat or any(key.startswith("pl:") or key == "satellite_azimuth" for key in values):
        return "to the satellite"
    if any(name.startswith(_PLANET) for name in names):
        return "to the satellite"
    return "of the scan" if any(name.startswith(_AIRBUS) for name in names) else "to the ground"
