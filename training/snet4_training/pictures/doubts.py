"""Tells what is doubtful about the pictures that are learned from, as a guessed order of bands.

A thousand pictures of one kind give one line: what was told of one is not told of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from snet4core.errors import InputError
from snet4core.scene.ranges import spread
from snet4core.scene.scene import Scene, open_scene

log = logging.getLogger("snet4")

MOST_LOOKED_AT = 64
"""Pictures of a folder that are opened for this; most folders hold one kind."""


def tell(warnings: Iterable[str], scene: Scene, told: set[str]) -> None:
    """Log the warnings about a picture, but those in `told`: of another, but for its name."""
    for warning in warnings:
        general = warning.replace(scene.admitted.shown, "").replace(scene.location, "")
        if general not in told:
            told.add(general)
            log.warning(warning)


def tell_of_all(pictures: Sequence[Path], bands: Sequence[str], told: set[str]) -> None:
    """Open some of the pictures, spread over all, and log what is doubtful about them.

    What cannot be opened is passed over here: it is an error where it is read.
    """
    for index in islice(spread(len(pictures)), MOST_LOOKED_AT):
        with suppress(InputError):
            scene = open_scene(pictures[index], model_bands=bands)
            tell(scene.warnings, scene, told)
