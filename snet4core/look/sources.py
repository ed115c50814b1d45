"""Finds the look of a scene: options, table, STAC, vendor metadata, file name; else a guess.

Each source gives a `Sighting`. The first with an off-nadir angle decides; the others are
compared with it, and a difference of more than 2 degrees gives a warning. Azimuth always
runs from the satellite to the ground, clockwise from north. What no source gives is guessed from
the picture: the look, or of a tilted picture the azimuth alone. Where the picture is large enough
for that to cost nothing, a sure guess also warns of an azimuth that points the other way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from snet4core.errors import InputError, LookError
from snet4core.files.names import printable
from snet4core.look.look import Look
from snet4core.look.names import sightings_in_path
from snet4core.look.sighting import AGREE_DEG, Sighting, angle_between_deg
from snet4core.look.stac import sighting_in_stac
from snet4core.look.table import sighting_in_table
from snet4core.look.vendors import sighting_in_tags, vendor_sightings
from snet4core.scene.deliveries import Delivery, delivery_of
from snet4core.scene.inputs import href_name
from snet4core.scene.scene import Scene
from snet4core.sentence import AZIMUTH, OFF_NADIR, Sentence


@dataclass(frozen=True, slots=True)
class LookFound:
    """A scene's look, and warnings for the user."""

    look: Look
    """Off-nadir angle of the first source that has one, and the first azimuth of those that
    do not contradict it."""
    warnings: tuple[str, ...] = ()
    """About sources that disagree, sources that could not be read, and a guess that was used."""


Guess = Callable[[], Sighting | None]
"""Guesses a look, with the source `estimated`; returns None where it cannot."""

GUESSED_FROM_DEG = 13.0
"""Below this angle a missing azimuth is not guessed: roofs lean by less than a quarter of their
height. Measured on rendered places: at 14 degrees the guess helps, at 11 it harms."""

DOUBTED_FROM_DEG = 15.0
"""Below this angle no azimuth is doubted."""

DOUBTED_FROM_PX = 48_000_000
"""Scenes from this size have their azimuth compared with the network's guess, which takes nine
windows of 512 px: a twentieth of such a run at most."""

SURE = 0.8
"""Certainty from which a guess may doubt an azimuth that was read."""

OPPOSITE_DEG = 120.0
"""Azimuths farther apart than this are opposite: conventions differ by 180 degrees, guesses err by
far less than 60."""


def find_look(
    scene: Scene,
    *,
    off_nadir_deg: float | None = None,
    azimuth_deg: float | None = None,
    table: Path | None = None,
    guess: Guess | None = None,
) -> LookFound:
    """The look of a scene, from the first source that gives it.

    `guess` is called if none does, if none gives the azimuth of a tilted picture, and for a large
    one, whose azimuth is compared with it. LookError if there is no off-nadir angle at all (the
    message asks for `--off-nadir`), or if the deciding angle is impossible. InputError for a
    table that cannot be read.
    """
    option = Sighting(off_nadir_deg, azimuth_deg, "option", Sentence(OFF_NADIR, " and ", AZIMUTH))
    warnings: list[str] = []
    sightings = [option]
    if table is not None:
        found = sighting_in_table(table, scene.location)
        if found is None:
            warnings.append(f"{printable(table)} does not mention {scene.admitted.shown}.")
        else:
            sightings.append(found)
    delivery = Delivery() if scene.path is None else delivery_of(scene.path)
    sightings += _from_files(scene, delivery, warnings)
    sightings = [s for s in sightings if s.says_something]
    warnings += _unread(scene, delivery, sightings)
    if guess is not None and all(s.off_nadir_deg is None for s in sightings):
        sightings += _guessed(scene, guess(), sightings, warnings)
        return _decided(scene, sightings, warnings)
    decided = _decided(scene, sightings, warnings)
    tilt_deg = decided.look.off_nadir_deg
    if guess is not None and decided.look.azimuth_deg is None and tilt_deg >= GUESSED_FROM_DEG:
        return _with_azimuth(scene, decided, guess())
    large = math.prod(scene.grid.shape) >= DOUBTED_FROM_PX
    if guess is not None and large and tilt_deg >= DOUBTED_FROM_DEG:
        return _doubted(scene, decided, guess())
    return decided


def _with_azimuth(scene: Scene, found: LookFound, guess: Sighting | None) -> LookFound:
    """The look with the guessed azimuth, and a warning that names it; unchanged without one.

    That the picture is tilted is known, so a guess may tell where roofs lean though it takes it
    for hardly tilted.
    """
    if guess is None or guess.lean_deg is None:
        return found
    warning = Sentence(
        f"{scene.admitted.shown} does not tell in which direction it leans; {guess.where} is used: "
        f"azimuth {guess.lean_deg:g}. If you know it, give it with ",
        AZIMUTH,
        ".",
    )
    look = replace(
        found.look, azimuth_deg=guess.lean_deg, source=f"{found.look.source}+{guess.source}"
    )
    return LookFound(look, (*found.warnings, warning))


def _doubted(scene: Scene, found: LookFound, guess: Sighting | None) -> LookFound:
    """The look as it is, with a warning where a sure guess sees the picture lean the other way."""
    said_deg = found.look.azimuth_deg
    if guess is None or guess.azimuth_deg is None or said_deg is None:
        return found
    sure = guess.certainty is not None and guess.certainty >= SURE
    if not sure or angle_between_deg(said_deg, guess.azimuth_deg) < OPPOSITE_DEG:
        return found
    warning = Sentence(
        f"{scene.admitted.shown}: the azimuth is taken as {said_deg:g} degrees, but roofs seem to "
        f"lean the other way: {guess.where} says {guess.azimuth_deg:g}. If the source counts from "
        "the ground to the satellite, give ",
        AZIMUTH.taking(f"{(said_deg + 180) % 360:g}"),
        ".",
    )
    return LookFound(found.look, (*found.warnings, warning))


def _from_files(scene: Scene, delivery: Delivery, warnings: list[str]) -> Iterator[Sighting]:
    """Sightings in STAC, vendor metadata and the name; an unreadable source gives a warning."""
    stac = scene.stac_item or delivery.item
    if stac is not None:
        try:
            yield sighting_in_stac(stac, href_name(scene.location), warnings)
        except InputError as problem:
            # A .json beside the scene may be anything; only a STAC item that was given must be one.
            if scene.stac_item is not None:
                warnings.append(problem.sentence)
    yield sighting_in_tags(scene.metadata, warnings)
    yield from vendor_sightings(delivery, warnings)
    yield from sightings_in_path(scene.location, warnings)


def _unread(scene: Scene, delivery: Delivery, sightings: list[Sighting]) -> Iterator[str]:
    """A warning that names metadata which might know the angle, but are not read."""
    if delivery.unread is None or any(s.off_nadir_deg is not None for s in sightings):
        return
    file, vendor = delivery.unread
    yield Sentence(
        f"{scene.admitted.shown}: snet4 does not read angles from {vendor}'s metadata "
        f"({printable(file.name)}); look them up there, and give them with ",
        OFF_NADIR,
        " and ",
        AZIMUTH,
        ".",
    )


def _guessed(
    scene: Scene, guess: Sighting | None, sightings: list[Sighting], warnings: list[str]
) -> Iterator[Sighting]:
    """The guess, with a warning that names it; an azimuth that was read is kept."""
    if guess is None:
        return
    if any(s.azimuth_deg is not None for s in sightings):
        guess = replace(guess, azimuth_deg=None)
        azimuth = "the azimuth as it was read"
    else:
        unknown = guess.azimuth_deg is None
        azimuth = "azimuth unclear" if unknown else f"azimuth {guess.azimuth_deg:g}"
    warnings.append(
        Sentence(
            f"{scene.admitted.shown} does not tell how tilted it is; {guess.where} is used: "
            f"{guess.off_nadir_deg:g} degrees off nadir, {azimuth}. If you know the true angle, "
            "give it with ",
            OFF_NADIR,
            ".",
        )
    )
    yield guess


def _decided(scene: Scene, sightings: list[Sighting], warnings: list[str]) -> LookFound:
    name = scene.admitted.shown
    first = next((s for s in sightings if s.off_nadir_deg is not None), None)
    if first is None or first.off_nadir_deg is None:
        tried = Sentence(", in no metadata and not by name")
        if warnings:
            tried = Sentence(" (", Sentence(warnings[-1]).without_stop(), ")")
        raise LookError(
            f"{name} does not tell how tilted it is",
            tried,
            "; give the angle with ",
            OFF_NADIR.taking("DEGREES"),
            " (0 is straight down), and ",
            AZIMUTH,
            " if you know it.",
        )
    off_nadir_deg = first.off_nadir_deg
    agreeing = [s for s in sightings if _agree(s.off_nadir_deg, off_nadir_deg)]
    azimuth_deg = next((s.azimuth_deg for s in agreeing if s.azimuth_deg is not None), None)
    try:
        look = Look(off_nadir_deg, azimuth_deg, first.source)
    except LookError as problem:
        raise LookError(f"{name}, by ", first.where, ": ", problem.sentence) from problem
    warnings += _disagreements(name, look, first.where, sightings)
    return LookFound(look, tuple(warnings))


def _agree(one_deg: float | None, other_deg: float) -> bool:
    return one_deg is None or abs(one_deg - other_deg) <= AGREE_DEG


def _disagreements(name: str, look: Look, where: str, sightings: list[Sighting]) -> Iterator[str]:
    """One warning for each source that contradicts the look that was taken."""
    for other in sightings:
        if other.off_nadir_deg is not None and not _agree(other.off_nadir_deg, look.off_nadir_deg):
            yield Sentence(
                f"{name}: ",
                where,
                f" says {look.off_nadir_deg:g} degrees off nadir, ",
                other.where,
                f" says {other.off_nadir_deg:g}; the former is taken.",
            )
        elif (
            look.azimuth_deg is not None
            and other.azimuth_deg is not None
            and look.off_nadir_deg > AGREE_DEG  # Straight down, an azimuth means nothing.
            and angle_between_deg(look.azimuth_deg, other.azimuth_deg) > AGREE_DEG
        ):
            yield Sentence(
                f"{name}: the azimuth is taken as {look.azimuth_deg:g} degrees, but ",
                other.where,
                f" says {other.azimuth_deg:g}.",
            )
