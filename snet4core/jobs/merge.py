"""Merges the parts of all shards into one layer: `snet4 merge`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from snet4core.errors import InputError
from snet4core.files.names import printable
from snet4core.files.places import Place
from snet4core.footprints.footprints import Footprints
from snet4core.footprints.shaping import Shaping
from snet4core.jobs.job import description_of, of_another_crs
from snet4core.layers.write import check_layer, write_layer
from snet4core.parts import store as partstore
from snet4core.parts.heights import no_heights, not_lower
from snet4core.parts.part import Part, PartResult, lost, merged, parts_of
from snet4core.parts.store import FolderShelf, FolderStore, Kept, difference
from snet4core.progress import Progress, Step, stop_if_cancelled
from snet4core.sentence import HEIGHT_MIN

log = logging.getLogger("snet4")


@dataclass(frozen=True, slots=True)
class Merge:
    """Which parts are merged, and where the layer goes."""

    places: tuple[Place, ...]
    """Folders or object stores of one run; a scene's parts may be spread over several of them."""
    output: Path
    csv: Path | None = None
    roofs: bool | None = None
    """Whether a GeoPackage gets a layer of roofs; None: where the run's model gave them."""
    roofs_file: Path | None = None
    """The layer of roofs in a file of its own."""
    height_min_m: float | None = None
    """Lower buildings are left out; those of unknown height stay."""
    overwrite: bool = False
    allow_missing: bool = False
    """Whether missing parts count as nodata."""
    remove: bool = False
    """Whether the parts go once the layer is complete."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Outcome of a merge."""

    footprints: int
    scenes: int
    missing: list[str]
    """Names of parts found in none of the places."""
    failed: dict[str, str]
    """Scene -> why it is not in the layer, in one sentence."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """One scene with all shelves that hold parts of it."""

    shaping: Shaping
    parts: list[Part]
    shelves: list[FolderShelf]
    description: dict[str, str]

    def here(self) -> set[int]:
        """Indices of the parts that are on any shelf."""
        return set[int]().union(*(shelf.here() for shelf in self.shelves))

    def missing(self) -> list[Part]:
        here = self.here()
        return [part for part in self.parts if part.index not in here]


def merge(job: Merge, progress: Progress) -> Merged:
    """Write one layer from the parts; needs neither pictures nor a model.

    InputError when parts are missing or do not belong together, OutputError for the place.
    """
    for place in job.places:
        if not partstore.begun(place):
            raise InputError(
                f"{printable(str(place))} holds no parts; give the place that 'snet4 run --shard' "
                f"filled (its OUT with {partstore.SUFFIX} behind it)."
            )
    check_layer(
        job.output,
        csv=job.csv,
        roofs=job.roofs,
        roofs_file=job.roofs_file,
        overwrite=job.overwrite,
    )
    with ExitStack() as stack:
        # A place that is named twice would wait for itself.
        places = {str(place.everywhere()): place for place in job.places}.values()
        stores = [stack.enter_context(partstore.opened(place)) for place in places]
        every = _scenes(stores)
        never = _never_begun(stores, every)
        if not every:
            where = printable(str(job.places[0]))
            if never or not any(store.noted("outside") for store in stores):
                raise InputError(f"{where} holds no scene; run the shards first, then merge.")
            raise InputError(
                f"{where} holds no scene, as all lie outside of what was searched; run the shards "
                "with another area."
            )
        scenes, failed = _of_one_crs(every)
        if never and not job.allow_missing:
            total = len(never) + len(scenes)
            raise InputError(
                f"{printable(str(job.places[0]))}: {len(never)} of {total} scenes have no parts "
                f"({printable(never[0])}, ...): their shards did not run, or could not read them. "
                "Run the shards again, or add --allow-missing."
            )
        missing = [
            f"{scene.shaping.source.scene}, {part.name}"
            for scene in scenes
            for part in scene.missing()
        ]
        if missing and not job.allow_missing:
            total = sum(len(scene.parts) for scene in scenes)
            raise InputError(
                f"{printable(str(job.places[0]))}: {len(missing)} of {total} parts are missing "
                f"({printable(missing[0])}, ...); run the shards again, or add --allow-missing."
            )
        missing += [f"{name}, all parts" for name in never]
        first = scenes[0]
        if job.height_min_m is not None and not first.shaping.source.has_roofs:
            log.warning("%s", no_heights(f"The model {first.shaping.source.model}", HEIGHT_MIN))
        count = write_layer(
            job.output,
            _footprints(scenes, job, missing, progress),
            first.shaping.grid.crs,
            description_of(_names(stores, every), first.description),
            csv=job.csv,
            roofs=job.roofs,
            roofs_file=job.roofs_file,
            overwrite=job.overwrite,
        )
        if job.remove and not (missing or failed):
            for store in stores:
                store.remove()
    return Merged(count, len(scenes), missing, failed)


def _scenes(stores: Sequence[FolderStore]) -> list[_Scene]:
    """All scenes in the order in which one run would write them."""
    by_location: dict[str, list[Kept]] = {}
    for store in stores:
        for kept in store.scenes():
            by_location.setdefault(kept.location, []).append(kept)
    return [_scene(by_location[location]) for location in sorted(by_location)]


def _of_one_crs(scenes: Sequence[_Scene]) -> tuple[list[_Scene], dict[str, str]]:
    """The scenes in the CRS of the first with parts, as in an undivided run that of the first
    that succeeds; and why others are left out."""
    kept: list[_Scene] = []
    failed: dict[str, str] = {}
    first = next((each for each in scenes if each.here()), scenes[0]).shaping
    for scene in scenes:
        own = scene.shaping
        problem = of_another_crs(own.source.scene, own.grid.crs, first.source.scene, first.grid.crs)
        if problem is None:
            kept.append(scene)
        else:
            failed[own.source.scene] = problem.sentence
    return kept, failed


def _names(stores: Sequence[FolderStore], scenes: Sequence[_Scene]) -> set[str]:
    """Names of all scenes of the shards' jobs; stores of before noted none."""
    begun = {scene.shaping.source.scene for scene in scenes}
    return begun | {name for store in stores for name, _ in store.noted("job")}


def _never_begun(stores: Sequence[FolderStore], scenes: Sequence[_Scene]) -> list[str]:
    """Names of the scenes of the shards' jobs that are missed, in order.

    Names, not locations: machines may reach one picture by several paths.
    """
    begun = {scene.shaping.source.scene for scene in scenes}
    # A scene that lay outside of another area is missed.
    outside = {noted for store in stores for noted in store.noted("outside")}
    asked = {noted for store in stores for noted in store.noted("job")}
    return sorted({name for name, _ in asked - outside} - begun)


def _scene(kept: Sequence[Kept]) -> _Scene:
    first = kept[0]
    for other in kept[1:]:
        if other.facts != first.facts:
            raise InputError(
                f"{printable(str(other))} and {printable(str(first))} do not belong together: "
                f"{difference(first.facts, other.facts)}; merge shards of one run."
            )
    try:
        shaping = Shaping.from_json(first.recipe["shaping"])
        core_px, halo_px, stride_px = map(int, first.recipe["windows"])
        description = {str(k): str(v) for k, v in first.recipe["description"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise InputError(
            f"{printable(str(first))}: its record is damaged; run that shard again."
        ) from problem
    shelves = [each.shelf(shaping.source) for each in kept]
    parts = parts_of(shaping.grid.shape, (core_px, halo_px, stride_px))
    return _Scene(shaping, parts, shelves, description)


def _footprints(
    scenes: Sequence[_Scene], job: Merge, missing: list[str], progress: Progress
) -> Iterator[Footprints]:
    done, total = 0, sum(len(scene.parts) for scene in scenes)

    def results(scene: _Scene) -> Iterator[PartResult]:
        nonlocal done
        for part in scene.parts:
            stop_if_cancelled(progress)
            found = (shelf.take(part) for shelf in scene.shelves)
            result = next((each for each in found if each is not None), None)
            if result is None:
                name = f"{scene.shaping.source.scene}, {part.name}"
                if not job.allow_missing:
                    raise InputError(
                        f"The part {printable(name)} is damaged; run its shard again, or add "
                        "--allow-missing."
                    )
                if name not in missing:
                    missing.append(name)
                result = lost(part, scene.shaping)
            yield result
            done += 1
            progress.step(done, total, Step("merging", "parts"))

    for scene in scenes:
        yield from not_lower(merged(results(scene), scene.shaping), job.height_min_m)
