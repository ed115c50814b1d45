"""A job as values: its scenes and options, where results go, and its outcome."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rasterio.crs import CRS

from snet4core.errors import (
    InputError,
    OutputError,
    OutsideError,
    Snet4Error,
    SomeScenesFailed,
    UsageError,
)
from snet4core.files import outputs
from snet4core.files.names import printable
from snet4core.files.places import Place
from snet4core.footprints.footprints import Footprints
from snet4core.grid import horizontal
from snet4core.layers.spacenet import image_id
from snet4core.layers.write import check_layer
from snet4core.parts import store as partstore
from snet4core.parts.plan import Choices, Plan
from snet4core.scene.inputs import SceneInput
from snet4core.scene.scene import files_of
from snet4core.sentence import ROOFS, ROOFS_FILE, joined

Overlap = Literal["keep", "best-look", "fuse"]


@dataclass(frozen=True, slots=True)
class Shard:
    """Share `number` of `of` equal shares of a job; 0 and `of` mean the same share."""

    number: int
    of: int

    def __post_init__(self) -> None:
        if not (0 <= self.number <= self.of and self.of >= 1):
            raise UsageError(
                f"There is no shard {self.number}/{self.of}; give I/N with I from 1 to N."
            )

    def has(self, index: int) -> bool:
        """Whether the item with this index belongs to the share."""
        return index % self.of == self.number % self.of


@dataclass(frozen=True, slots=True)
class Job:
    """Which scenes, how, and where the results go."""

    inputs: tuple[SceneInput, ...]
    """The scenes, each once."""
    choices: Choices
    """What the user chose."""
    output: Path
    """The layer."""
    csv: Path | None = None
    """The SpaceNet table beside it."""
    roofs_file: Path | None = None
    """The layer of roofs in a file of its own."""
    maps: Path | None = None
    """Where maps are kept: a file for one scene, a folder for several."""
    overwrite: bool = False
    """Whether files that exist may be replaced."""
    stop_at_error: bool = False
    """Whether the first scene that fails ends the job."""
    resume: bool = False
    """Whether finished parts are kept beside the layer, and those that are there are used."""
    overlap: Overlap = "keep"
    """Where scenes overlap: keep every scene's footprints, those of the best look, or those of
    all looks fused."""
    shard: Shard | None = None
    """Which share of the parts is computed, to be merged later; no layer is written then."""
    parts: Place | None = None
    """Where finished parts are kept; None: beside the layer, where they must outlive a kill."""
    also_read: tuple[Path, ...] = ()
    """Files besides scenes and choices that no result may replace: models, lists of scenes."""

    @property
    def needs_maps(self) -> bool:
        """Whether maps are computed to be kept, for the user or for the overlaps."""
        return self.maps is not None or self.overlap != "keep"

    @property
    def scene_choices(self) -> Choices:
        """What was chosen, for one scene: looks that are fused have no roofs in common."""
        if self.overlap == "fuse":
            return replace(self.choices, footprints_from="maps")
        return self.choices

    @property
    def parts_place(self) -> Place:
        """Where parts are kept until the layer is complete."""
        return self.parts or partstore.place_beside(self.output)

    @property
    def has_parts(self) -> bool:
        """Whether parts are kept there already, or still."""
        return partstore.begun(self.parts_place)

    @property
    def resumed(self) -> bool:
        """Whether an earlier run left parts that this one goes on with."""
        return (self.resume or self.shard is not None) and self.has_parts

    def results(self, *more: Path) -> list[Path]:
        """All files that are written, `more` among them."""
        named = (self.output, self.csv, self.roofs_file, *self._maps_files(), *more)
        return [each for each in named if each is not None]

    def read_files(self) -> list[Path]:
        """All files on disk that are read, the pictures of a VRT among them."""
        scenes = [path for each in self.inputs for path in files_of(each.location)]
        items = [each.stac_item for each in self.inputs]
        named = (*items, self.choices.aoi, self.choices.looks_table, *self.also_read)
        return [*scenes, *(each for each in named if each is not None)]

    def check_places(self, *more: Path) -> None:
        """Raise OutputError or UsageError before any work if a result could not be written.

        `more` are files that the caller writes besides, such as a report.
        """
        self._refuse_inputs(self.results(*more))
        check_layer(
            self.output,
            csv=self.csv,
            roofs=self.choices.roofs,
            roofs_file=self.roofs_file,
            overwrite=self.overwrite,
            resumed=self.resumed,
        )
        self._check_image_ids()
        if self.shard is not None and self.needs_maps:
            raise UsageError("A shard keeps no maps; leave out --save-maps, --overlap or --shard.")
        if self.overlap == "fuse" and (self.choices.roofs or self.roofs_file is not None):
            option = ROOFS if self.choices.roofs else ROOFS_FILE
            raise UsageError(
                "Fused looks have no roofs, which lie elsewhere in each of them; leave out ",
                option,
                ", or take --overlap best-look.",
            )
        if self.has_parts and not self.resume and self.shard is None:
            raise OutputError(
                f"{printable(str(self.parts_place))} holds parts of a run that was interrupted; go "
                "on with --resume, or remove that folder to begin anew."
            )
        if self.maps is not None and len(self.inputs) > 1 and not self.maps.is_dir():
            raise UsageError(
                f"{self.maps}: several scenes need a folder for their maps; create it first."
            )
        outputs.check_apart(self.results(*more))
        for each in self._maps_files():
            outputs.check(each, overwrite=self.overwrite, resumed=self.resumed)
        for each in more:
            outputs.check(each, overwrite=self.overwrite)

    def check_together(self, jobs: Iterable[Job]) -> None:
        """Raise OutputError if a result of one of the jobs that this one was split into would
        replace that of another, or a file that any of them reads."""
        results = [path for each in jobs for path in each.results()]
        self._refuse_inputs(results)
        outputs.check_apart(results)

    def _refuse_inputs(self, results: Sequence[Path]) -> None:
        # Nothing is lost where nothing is there, and VRTs take a while to read.
        if any(map(os.path.exists, results)):
            outputs.refuse_inputs(results, self.read_files())

    def _check_image_ids(self) -> None:
        """Refuse products of one picture, as its folders `MS` and `Pan-Sharpen` hold, in one table:
        its lines could not be told apart."""
        tables = [
            each for each in (self.output, self.csv) if each and each.suffix.lower() == ".csv"
        ]
        if not tables:
            return
        first: dict[str, SceneInput] = {}
        for each in self.inputs:
            name = image_id(each.name)
            other = first.setdefault(name, each)
            if other is not each:
                raise UsageError(
                    f"{printable(other.location)} and {printable(each.location)} are products of "
                    f"one picture, and both would be {name} in {printable(tables[0])}; give one "
                    "of them."
                )

    def _maps_files(self) -> list[Path]:
        return [] if self.maps is None else [self.maps_of(each) for each in self.inputs]

    def maps_of(self, scene: SceneInput) -> Path:
        """The maps file of one scene."""
        assert self.maps is not None  # asked only when maps are kept
        if self.maps.is_dir():
            return self.maps / f"{scene.name}_maps.tif"
        return self.maps


def description_of(names: Iterable[str], first: Mapping[str, str]) -> dict[str, str]:
    """What is said of a layer of several scenes: their names, and the facts of the first.

    All that a run or its shards were given: which of them have no part is seen too late.
    """
    ordered = sorted(names)
    if len(ordered) < 2:
        return dict(first)
    some = ", ".join(ordered[:_NAMED]) + (", ..." if len(ordered) > _NAMED else "")
    told = f"{len(ordered)} were searched ({some}); what follows is of one of them"
    return {"scenes": told, **first}


_NAMED = 5
"""How many scenes are called by their names."""


@dataclass(slots=True)
class Done:
    """Outcome of a job."""

    footprints: int = 0
    """How many were written."""
    found: dict[str, int] = field(default_factory=dict)
    """Scene -> footprints in it."""
    failed: dict[str, str] = field(default_factory=dict)
    """Scene -> why it has none, in one sentence."""
    outside: dict[str, str] = field(default_factory=dict)
    """Scene -> how it lies outside of the area that is searched, in one sentence."""
    lost: list[str] = field(default_factory=list)
    """Parts that no worker could compute; they count as nodata."""
    parts: int = 0
    """Of a shard: how many parts belong to it."""
    left_alone: list[str] = field(default_factory=list)
    """Layers that an earlier run had completed."""
    other_crs: list[str] = field(default_factory=list)
    """Scenes among those that failed, with which nothing is wrong but their CRS."""

    @property
    def may_be_mended(self) -> bool:
        """Whether another run, which goes on, may find what this one did not."""
        return bool(self.lost) or len(self.failed) > len(self.other_crs)


class OtherCrsError(InputError):
    """A scene is sound, but cannot go into this layer."""


def of_another_crs(name: str, crs: CRS, first: str, of_first: CRS) -> OtherCrsError | None:
    """What is wrong with a scene unless it has the CRS of the first: a layer has only one."""
    if horizontal(crs) == horizontal(of_first):
        return None
    return OtherCrsError(
        f"{printable(name)} is in {crs.to_string()[:60]}, but {printable(first)} in "
        f"{of_first.to_string()[:60]}; run them into two files."
    )


def nothing_written(done: Done) -> Snet4Error:
    """Why no scene has anything to be written: OutsideError, or SomeScenesFailed."""
    if not done.failed:
        told = list(done.outside.values())
        if len(told) == 1:
            return OutsideError(told[0])
        return OutsideError(
            f"None of {len(told)} scenes has a part in what is searched, nothing was written: ",
            joined("; ", told[:_NAMED]),
        )
    rest = f", {len(done.outside)} lie outside of what is searched" if done.outside else ""
    return SomeScenesFailed(
        f"All {len(done.failed)} scenes failed{rest}, nothing was written: ",
        joined("; ", done.failed.values()),
    )


@dataclass(frozen=True, slots=True)
class Result:
    """One scene, or several fused into one, before it is written into the layer."""

    location: str
    plan: Plan
    batches: Iterator[Footprints]
    description: dict[str, str]
    maps: Path | None
    """The file of its maps, if they were kept."""
