"""The functions that fill a block between streets, by name."""

from __future__ import annotations

from collections.abc import Callable

from snet4_training.scenes.homes import houses, narrow, terraces, warren
from snet4_training.scenes.large import (
    halls,
    high_perimeter,
    parking,
    perimeter,
    slabs,
    towers,
)
from snet4_training.scenes.maker import Maker
from snet4_training.scenes.open_land import field, lot, park, water, wood
from snet4_training.scenes.street_plan import Block

FILLERS: dict[str, Callable[[Maker, Block], None]] = {
    "houses": houses, "terraces": terraces, "slabs": slabs, "halls": halls, "warren": warren,
    "perimeter": perimeter, "narrow": narrow, "towers": towers, "high perimeter": high_perimeter,
    "parking": parking, "field": field, "wood": wood, "park": park,
    "lot": lot, "water": water,
}  # fmt: skip
