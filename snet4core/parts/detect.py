"""Detects the building footprints of one scene.

    scene -> tiles -> maps -> labels -> outlines -> footprints

The command line and the QGIS worker reach `detect` through `jobs.run.run_job`, a notebook
through `snet4core.detect` (`parts.face`), which keeps the result so that it can be read again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from snet4core.files import outputs
from snet4core.footprints.footprints import Footprints
from snet4core.maps import file as mapsfile
from snet4core.parts.heights import not_lower
from snet4core.parts.part import merged
from snet4core.parts.plan import Choices, Plan, plan_for
from snet4core.parts.shelf import MemoryStore, PartStore
from snet4core.parts.work import Elsewhere, SceneWork
from snet4core.progress import Progress
from snet4core.scene.inputs import SceneInput

if TYPE_CHECKING:
    from snet4core.maps.predictor import Predictor


@dataclass(frozen=True, slots=True)
class SceneStream:
    """Result of one scene: its plan, and its footprints as they are computed."""

    plan: Plan
    """Scene, look, grid and settings."""
    footprints: Iterator[Footprints]
    """In order, numbered; computed while it is iterated, so iterating may raise too."""
    lost: list[str] = field(default_factory=list)
    """Parts that no worker could compute; known once `footprints` gave its first batch."""


def detect(
    scene: str | Path | SceneInput,
    predictor: Predictor | Elsewhere,
    choices: Choices | None = None,
    progress: Progress | None = None,
    save_maps: Path | None = None,
    *,
    overwrite: bool = False,
    store: PartStore | None = None,
) -> SceneStream:
    """Find the building footprints of one scene.

    Metadata are read and checked at once, pixels while `footprints` is consumed (a few before,
    where the look has to be guessed).
    `save_maps` also keeps the maps, from which `snet4 polygonize` gives the same footprints;
    `overwrite` allows to replace that file. The scene is computed in parts, which wait in
    `store`; those that are there already are not computed again.

    Raises InputError (LookError without a look angle), OutputError where maps cannot be kept at
    that place, and Cancelled from `progress`.
    """
    choices = choices or Choices()
    plan = plan_for(scene, predictor.header, choices, predictor.guesser)
    if save_maps is not None:
        outputs.check(save_maps, overwrite=overwrite, inputs=plan.scene.files)
    work = SceneWork(plan, keep_maps=save_maps is not None)
    shelf = work.shelf(store or MemoryStore(), predictor)
    lost: list[str] = []
    results = work.results(shelf, predictor, progress, lost)
    if save_maps is not None:
        results = mapsfile.saved(
            results,
            save_maps,
            plan.grid,
            plan.origin,
            lambda part: part.maps,
            names=plan.model.card.architecture.maps,
            overwrite=overwrite,
        )
    footprints = not_lower(merged(results, work.shaping), choices.height_min_m)
    return SceneStream(plan, footprints, lost)
