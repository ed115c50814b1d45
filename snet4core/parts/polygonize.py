"""Polygonizes stored maps: another threshold needs no second inference."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from snet4core.errors import UsageError
from snet4core.footprints.footprints import Footprints, Source
from snet4core.footprints.shaping import footprints_from
from snet4core.layers.write import software
from snet4core.look.look import Look
from snet4core.look.sighting import AGREE_DEG
from snet4core.maps.file import MapsFile, open_maps
from snet4core.maps.foreign import doubts
from snet4core.maps.maps import Maps
from snet4core.parts.command import command_line
from snet4core.parts.heights import no_heights, not_lower
from snet4core.parts.plan import Choices
from snet4core.parts.work import Watch
from snet4core.progress import Progress, Silent
from snet4core.sentence import AZIMUTH, HEIGHT_MIN, OFF_NADIR, Sentence
from snet4core.settings import UNCALIBRATED, ShapeSettings
from snet4core.windows import Window

log = logging.getLogger("snet4")


@dataclass(frozen=True, slots=True)
class Polygonized:
    """The footprints of one file of maps."""

    source: Source
    """Scene, CRS, look and model as far as the file knows them."""
    footprints: Iterator[Footprints]
    """In order, numbered; computed while it is iterated."""
    description: dict[str, str]
    """Maps, settings and model, for the layer's metadata."""
    warnings: tuple[str, ...] = ()
    """What the user should know, a sentence each; logged already."""


def polygonize(
    maps: Path,
    choices: Choices | None = None,
    block_px: int = 1024,
    progress: Progress | None = None,
) -> Polygonized:
    """Polygonize the file `maps`, in blocks of `block_px`, which do not affect the result.

    What `choices` leave open comes from the file: the settings of the model that made it,
    or the defaults. Raises InputError for a file that holds no maps, UsageError for an azimuth
    without any off-nadir angle.
    """
    choices = choices or Choices()
    file = open_maps(maps)
    source, settings = source_of(file, choices), settings_of(file, choices)
    watch = Watch(progress or Silent(), file.grid, source.scene)
    footprints = shaped(file, watch.seen(file.blocks(block_px)), choices)
    warnings: list[str] = [*doubts(file), *_unplaced(file, source)]
    if choices.height_min_m is not None and not source.has_roofs:
        warnings.append(no_heights(file.scene.location, HEIGHT_MIN))
    for warning in warnings:
        log.warning("%s", warning)
    description = {"maps": file.scene.location, "shapes": str(settings)}
    if file.origin.model_digest:
        description["model"] = f"{file.origin.model}, sha256 {file.origin.model_digest}"
    values = {each.name: getattr(choices, each.name) for each in fields(choices)}
    description["command"] = command_line(
        "polygonize", file.scene.location, "footprints.gpkg", values
    )
    description["software"] = software()
    return Polygonized(source, footprints, description, tuple(warnings))


def shaped(
    file: MapsFile, maps: Iterable[Maps], choices: Choices, within: Window | None = None
) -> Iterator[Footprints]:
    """Footprints of the file's `maps`, in order; see `footprints_from` for `within`."""
    footprints = footprints_from(
        maps,
        file.grid,
        settings_of(file, choices),
        source_of(file, choices),
        native=file.native,
        calibration=file.origin.confidence_knots or UNCALIBRATED,
        within=within,
    )
    return not_lower(footprints, choices.height_min_m)


def settings_of(file: MapsFile, choices: Choices) -> ShapeSettings:
    """Those chosen; what is left open comes from the file, else from the defaults."""
    return choices.shapes(file.origin.shapes or ShapeSettings())


def source_of(file: MapsFile, choices: Choices) -> Source:
    """What all footprints of the file have in common; UsageError for an azimuth without angle."""
    return Source(
        file.origin.scene or file.scene.name,
        file.grid.crs,
        _look(file, choices),
        file.origin.model,
        has_roofs=choices.has_roofs(file.has_roofs, file.scene.admitted.shown),
    )


def _unplaced(file: MapsFile, source: Source) -> Iterator[str]:
    """A warning where the given angle is so far from the file's that its azimuth is not taken."""
    look, told = source.look, file.origin.look
    if not source.has_roofs or told is None or look is None:
        return
    if look.azimuth_deg is None and told.azimuth_deg is not None and look.off_nadir_deg > 0:
        yield Sentence(
            f"{file.scene.admitted.shown} was made for {told.off_nadir_deg:g} degrees, so its "
            "azimuth is not taken, and footprints lie where roofs are seen; give the azimuth with ",
            AZIMUTH,
            f" too ({told.azimuth_deg:g} in the file).",
        )


def _look(file: MapsFile, choices: Choices) -> Look | None:
    """The look that the options give, else the file's; None when neither knows it.

    As in a run: an azimuth alone takes the place of the file's, and an angle alone keeps that of
    a file which agrees with it.
    """
    look, angle_deg = file.origin.look, choices.off_nadir_deg
    if angle_deg is not None:
        azimuth_deg = choices.azimuth_deg
        if azimuth_deg is None and look and abs(look.off_nadir_deg - angle_deg) <= AGREE_DEG:
            azimuth_deg = look.azimuth_deg
        return Look(angle_deg, azimuth_deg, "option")
    if choices.azimuth_deg is None:
        return look
    if look is None:
        raise UsageError(
            f"{file.scene.admitted.shown} does not tell how tilted the picture was, and an azimuth "
            "alone is no look; give the angle with ",
            OFF_NADIR,
            " too.",
        )
    return replace(look, azimuth_deg=choices.azimuth_deg)
