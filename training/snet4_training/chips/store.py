"""Stores prepared chips on disk, in chunks that depend on recipe and number alone.

A chunk is an array file (N, bands + 6, H, W) of uint8 - bands, the five maps of
`snet4core.model.card.FIVE_MAPS`, valid - and a small JSON file with the looks. A second JSON file
holds the true outlines, of footprints and of roofs, which only validation asks for. All are renamed
into place, the array last, so that a listed chunk is complete.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from snet4_training.pictures.picture import Chip
from snet4_training.pictures.targets import Polygons
from snet4core.errors import InputError, OutputError
from snet4core.files import outputs
from snet4core.look.look import Look
from snet4core.model.card import FIVE_MAPS


@dataclass(frozen=True, slots=True)
class ChipStore:
    """One folder of chunks, all from one source."""

    folder: Path
    """Made when the first chunk is written."""

    def path(self, number: int) -> Path:
        """The array file of a chunk."""
        return self.folder / f"{number:05d}.npy"

    def chunks(self) -> list[int]:
        """Numbers of the chunks that are complete, in order."""
        return sorted(int(path.stem) for path in self.folder.glob("[0-9]*.npy"))

    def write(self, number: int, chips: Sequence[Chip]) -> None:
        """Store a chunk of chips of one size. `OutputError` where it cannot be written."""
        make_folder(self.folder)
        layers = [
            np.concatenate([chip.counts_BHW, chip.targets_MHW, chip.valid_HW[None]])
            for chip in chips
        ]
        facts = [
            {
                "off_nadir_deg": chip.look.off_nadir_deg,
                "azimuth_deg": chip.look.azimuth_deg,
                "known": chip.known,
                "gsd_m": chip.gsd_m,
                "roofs_known": chip.roofs_known,
            }
            for chip in chips
        ]
        path = self.path(number)
        texts = {path.with_suffix(".json"): json.dumps(facts)}
        known = [chip.polygons for chip in chips if chip.polygons is not None]
        if len(known) == len(chips):
            roofs = [known[i] if chip.roofs is None else chip.roofs for i, chip in enumerate(chips)]
            texts[self._outlines(number)] = json.dumps(
                [[shapely.to_wkb(each, hex=True).tolist() for each in both]
                 for both in zip(known, roofs, strict=True)]
            )  # fmt: skip
        with outputs.replacing(path, *texts) as (array, *others):
            np.save(array, np.stack(layers))
            for temporary, text in zip(others, texts.values(), strict=True):
                temporary.write_text(text, encoding="utf-8", newline="\n")

    def facts(self, number: int) -> list[dict[str, object]]:
        """Look, known bands and pixel size of each chip of a chunk."""
        try:
            facts: list[dict[str, object]] = json.loads(
                self.path(number).with_suffix(".json").read_text(encoding="utf-8")
            )
        except (OSError, ValueError) as problem:
            raise InputError(
                f"{self.path(number)}: the chunk's JSON cannot be read ({problem}); delete both."
            ) from problem
        return facts

    def outlines(self, number: int) -> list[tuple[Polygons, Polygons]] | None:
        """The true footprints and roofs of each chip of a chunk, in its pixels; None where none
        were kept."""
        path = self._outlines(number)
        if not path.exists():
            return None
        try:
            texts: list[tuple[list[str], list[str]]] = json.loads(path.read_text(encoding="utf-8"))
            return [(_polygons(footprints), _polygons(roofs)) for footprints, roofs in texts]
        except (OSError, ValueError, shapely.errors.ShapelyError) as problem:
            raise InputError(
                f"{path}: the chunk's outlines cannot be read ({problem}); delete the chunk."
            ) from problem

    def _outlines(self, number: int) -> Path:
        return self.folder / f"{number:05d}.outlines.json"

    def read(self, number: int, index: int) -> Chip:
        """One chip, without its polygons; only its own part of the file is read."""
        try:
            layers = np.load(self.path(number), mmap_mode="r")[index]
        except (OSError, ValueError) as problem:
            raise InputError(
                f"{self.path(number)}: the chunk cannot be read ({problem}); delete it."
            ) from problem
        facts = self.facts(number)[index]
        azimuth_deg = facts["azimuth_deg"]
        return Chip(
            counts_BHW=np.array(layers[: -len(FIVE_MAPS) - 1]),
            targets_MHW=np.array(layers[-len(FIVE_MAPS) - 1 : -1]),
            valid_HW=np.array(layers[-1]),
            known=tuple(facts["known"]),  # type: ignore[arg-type]  # a list in JSON
            look=Look(
                float(facts["off_nadir_deg"]),  # type: ignore[arg-type]
                None if azimuth_deg is None else float(azimuth_deg),  # type: ignore[arg-type]
                "table",
            ),
            gsd_m=float(facts["gsd_m"]),  # type: ignore[arg-type]
            roofs_known=bool(facts["roofs_known"]),
        )


def make_folder(folder: Path) -> None:
    """Make a folder of a store, if need be. `OutputError` where that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputError(
            f"{folder} cannot be made ({problem.strerror}); choose another."
        ) from None


def _polygons(texts: list[str]) -> Polygons:
    polygons: Polygons = shapely.from_wkb(np.array(texts, dtype=object))
    return polygons
