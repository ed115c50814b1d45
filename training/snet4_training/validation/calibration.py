"""Fits thresholds and the confidence calibration on pictures with known footprints.

The network runs once on every picture; settings are then searched on its maps for the
highest F1 of the challenge in each look category. Data sets have equal weight,
whatever their size: a thousand rendered houses must not outvote a hundred real ones.
Then confidence is bent so that of all footprints said to be 80 % sure, 80 in 100 are right;
and those that are so unlikely that F1 rises without them are left out. Of a model that
guesses looks, it is also measured how well. Axis: N footprints.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4_training.pictures.doubts import tell
from snet4_training.pictures.ground import footprints_on
from snet4_training.pictures.pairs import pairs
from snet4_training.pictures.splits import joined_places, looks_table
from snet4_training.pictures.targets import Polygons
from snet4_training.validation.look_error import look_error
from snet4core.errors import InputError
from snet4core.files import outputs
from snet4core.footprints.footprints import Footprints, Source, concatenated
from snet4core.footprints.shaping import footprints_from
from snet4core.grid import Grid
from snet4core.look.look import CATEGORIES, Category
from snet4core.look.sighting import Sighting
from snet4core.maps.maps import Maps
from snet4core.maps.predictor import Predictor
from snet4core.model import weights
from snet4core.model.header import check_ending
from snet4core.parts.plan import Choices, plan_for
from snet4core.parts.work import maps_of
from snet4core.progress import Progress, Silent, stop_if_cancelled
from snet4core.score import MIN_AREA_PX, Tally, match
from snet4core.settings import UNCALIBRATED, Calibration, ShapeSettings

THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65)
SEEDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
CUTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MIN_AREAS_M2 = (5.0, 10.0, 15.0, 20.0, 30.0)
MIN_CONFIDENCES = tuple(round(0.02 * step, 2) for step in range(26))
"""F1 is highest without those less likely than half of it, so 0.5 is far enough."""

SLACK = 0.01
"""F1 that a setting may cost where it draws fewer cuts or leaves out fewer buildings: the pictures
that settings are fitted on are easier to read than those that they are used on."""

KNOTS = 12
"""Most groups of footprints whose share of hits is measured."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The maps of one picture, with its true footprints."""

    name: str
    category: Category
    maps: tuple[Maps, ...]
    grid: Grid
    """Of the maps."""
    native: Grid
    """Of the picture."""
    source: Source
    truth: Polygons
    """In pixels of the picture."""
    guess: Sighting | None = None
    """What the network guesses of the look, if it can; the true one is the source's."""


DataSet = Sequence[Seen]
"""Pictures that are scored together."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The result of a calibration."""

    shapes: dict[Category, ShapeSettings]
    """Settings for every category; as they were where there was no picture."""
    calibration: Calibration
    """Of the confidence."""
    before: dict[Category, float]
    """Mean F1 with the model's old settings, for the categories that have pictures."""
    after: dict[Category, float]
    """Mean F1 with the new ones."""
    look_error_deg: tuple[float, float | None] | None = None
    """See `Card.look_error_deg`."""


def see(
    folder: Path,
    predictor: Predictor,
    progress: Progress | None = None,
    places: Collection[str] | None = None,
    labels: Path | None = None,
    looks: Path | None = None,
) -> list[Seen]:
    """The maps of every picture of a data folder, computed once and kept (3 bytes a pixel).

    Footprints come from files beside the pictures, or all from `labels`. Looks come from the
    table `looks`, else from `looks.csv` in the folder, or as in `snet4 run`, but
    never from a guess. What is doubtful about pictures, as the order of their bands, is logged
    once for all that have it.
    `places` are the only ones that take part; `InputError` when the folder has none of them.
    """
    progress = progress or Silent()
    choices = Choices(looks_table=looks_table(folder, looks))
    every = pairs(folder, labels)
    if places is not None:
        every = [pair for pair in joined_places(every) if {pair.place, pair.name} & set(places)]
        if not every:
            raise InputError(f"{folder} has no picture of the places that were asked for.")
    seen = []
    told: set[str] = set()
    for done, pair in enumerate(every, start=1):
        stop_if_cancelled(progress)
        plan = plan_for(pair.image, predictor.header, choices)
        tell(plan.warnings, plan.scene, told)
        seen.append(
            Seen(
                name=plan.scene.name,
                category=plan.look.category,
                maps=tuple(maps_of(plan, predictor)),
                grid=plan.grid,
                native=plan.scene.grid,
                source=plan.source,
                truth=footprints_on(pair.labels, plan.scene.grid).polygons,
                guess=predictor.guesser.sighting(plan.scene),
            )
        )
        progress.step(done, len(every), "pictures")
    return seen


def found_in(
    picture: Seen, settings: ShapeSettings, calibration: Calibration = UNCALIBRATED
) -> Footprints:
    """The picture's footprints with these settings; `calibration` that of the confidence."""
    batches = list(
        footprints_from(
            picture.maps,
            picture.grid,
            settings,
            picture.source,
            native=picture.native,
            calibration=calibration,
        )
    )
    return concatenated(picture.source, batches)


def tally(
    pictures: Sequence[Seen], settings: ShapeSettings, calibration: Calibration = UNCALIBRATED
) -> Tally:
    """The challenge's counts over pictures, in pixels of the pictures."""
    total = Tally()
    for picture in pictures:
        total += _matched(picture, found_in(picture, settings, calibration), 0.0)
    return total


def _matched(picture: Seen, found: Footprints, min_confidence: float) -> Tally:
    order = np.argsort(-found.confidence_N, kind="stable")
    order = order[found.confidence_N[order] >= min_confidence]
    return match(found.polygons_px_N[order], picture.truth, min_area=MIN_AREA_PX)


def mean_f1(
    sets: Sequence[DataSet], settings: ShapeSettings, calibration: Calibration = UNCALIBRATED
) -> float:
    """F1 of each data set, averaged."""
    return float(np.mean([tally(pictures, settings, calibration).f1 for pictures in sets]))


def best_min_confidence(
    sets: Sequence[DataSet], settings: ShapeSettings, calibration: Calibration
) -> float:
    """The lowest of those with which F1 is highest, or lower by less than `SLACK`."""
    found = [[(one, found_in(one, settings, calibration)) for one in pictures] for pictures in sets]

    def f1(least: float) -> float:
        tallies = (sum((_matched(*each, least) for each in one), Tally()) for one in found)
        return float(np.mean([each.f1 for each in tallies]))

    scores = [f1(least) for least in MIN_CONFIDENCES]
    return next(
        least
        for least, score in zip(MIN_CONFIDENCES, scores, strict=True)
        if score > max(scores) - SLACK
    )


def best_settings(sets: Sequence[DataSet], start: ShapeSettings) -> ShapeSettings:
    """The best settings by coordinate search; then seeds and threshold one step either way.

    A setting changes only for a higher score, so that flat optima stay where they are. At last the
    search goes as far as `SLACK` allows towards fewer cuts and smaller buildings.
    """

    def with_threshold(value: float) -> ShapeSettings:
        return replace(best, threshold=value)

    def with_seed(value: float) -> ShapeSettings:
        return replace(best, split=replace(best.split, seed_threshold=value))

    def with_cut(value: float) -> ShapeSettings:
        return replace(best, split=replace(best.split, cut_probability=value))

    def with_area(value: float) -> ShapeSettings:
        return replace(best, min_area_m2=value)

    best, best_f1 = start, mean_f1(sets, start)

    def search(make: Callable[[float], ShapeSettings], values: Sequence[float]) -> None:
        nonlocal best, best_f1
        others = [settings for settings in map(make, values) if settings != best]
        for settings, f1 in [(each, mean_f1(sets, each)) for each in others]:
            if f1 > best_f1:
                best, best_f1 = settings, f1

    search(with_seed, SEEDS)
    search(with_threshold, THRESHOLDS)
    search(with_cut, CUTS)
    search(with_area, MIN_AREAS_M2)
    search(with_seed, _beside(best.split.seed_threshold, SEEDS))
    search(with_threshold, _beside(best.threshold, THRESHOLDS))
    bolder = [with_cut(value) for value in reversed(CUTS) if value > best.split.cut_probability]
    best = next((one for one in bolder if mean_f1(sets, one) > best_f1 - SLACK / 2), best)
    smaller = [with_area(value) for value in MIN_AREAS_M2 if value < best.min_area_m2]
    return next((one for one in smaller if mean_f1(sets, one) > best_f1 - SLACK), best)


def _beside(value: float, steps: Sequence[float]) -> list[float]:
    """The neighbours of a value in a list of steps.

    >>> _beside(0.5, (0.3, 0.4, 0.5, 0.6, 0.7)), _beside(0.2, (0.3, 0.4))
    ([0.4, 0.6], [0.3])
    """
    return [
        *[each for each in steps if each < value][-1:],
        *[each for each in steps if each > value][:1],
    ]


def right(found: Polygons, truth: Polygons) -> NDArray[np.bool_]:
    """(N,) whether a footprint's IoU with any true one is above 0.5.

    Footprints do not overlap each other, so no two of them can claim the same truth.
    """
    hit_N = np.zeros(len(found), dtype=bool)
    if len(found) and len(truth):
        one, other = shapely.STRtree(truth).query(found)
        common = shapely.area(shapely.intersection(found[one], truth[other]))
        union = shapely.area(found[one]) + shapely.area(truth[other]) - common
        hit_N[one[common > 0.5 * union]] = True
    return hit_N


def fit_knots(confidence_N: NDArray[np.float64], right_N: NDArray[np.bool_]) -> Calibration:
    """A rising line through (mean probability, share that is right), of `KNOTS` groups.

    Neighbouring groups whose shares fall are pooled until none does (Ayer et al. 1955, the
    pool-adjacent-violators algorithm). Too few footprints leave the confidence as it is.

    >>> few = fit_knots(np.array([0.5]), np.array([True]))
    >>> few == UNCALIBRATED
    True
    """
    if len(confidence_N) < 5 * KNOTS:
        return UNCALIBRATED
    order = np.argsort(confidence_N, kind="stable")
    groups = [
        (float(confidence_N[part].sum()), float(right_N[part].sum()), len(part))
        for part in np.array_split(order, KNOTS)
    ]
    pooled: list[tuple[float, float, int]] = []
    for group in groups:
        pooled.append(group)
        while len(pooled) > 1 and pooled[-2][1] / pooled[-2][2] >= pooled[-1][1] / pooled[-1][2]:
            above, below = pooled.pop(), pooled.pop()
            pooled.append((below[0] + above[0], below[1] + above[1], below[2] + above[2]))
    # One imagined hit and one miss per group: no finite sample proves certainty.
    inner = [(total / n, (hits + 1) / (n + 2)) for total, hits, n in pooled]
    rounded = {round(x, 4): round(y, 4) for x, y in inner if 0.001 < x < 0.999}
    xs, ys = list(rounded), np.maximum.accumulate(list(rounded.values())).tolist()
    if not xs:
        return UNCALIBRATED
    return Calibration(((0.0, 0.0), *zip(xs, ys, strict=True), (1.0, ys[-1])))


def calibrate(
    sets: Sequence[DataSet],
    shapes: dict[Category, ShapeSettings],
    old_calibration: Calibration = UNCALIBRATED,
) -> Calibrated:
    """Fit settings by category, then the confidence over all pictures; measure guesses."""
    chosen = {category: _of_category(sets, category) for category in CATEGORIES}
    chosen = {category: found for category, found in chosen.items() if found}
    fitted = dict(shapes)
    confidences, hits = [np.empty(0)], [np.empty(0, dtype=bool)]
    for category, some in chosen.items():
        # Confidence is not calibrated yet: none is too low.
        start = replace(shapes[category], min_confidence=0.0)
        fitted[category] = best_settings(some, start)
        for picture in (one for pictures in some for one in pictures):
            found = found_in(picture, fitted[category])
            confidences.append(found.confidence_N)
            hits.append(right(found.polygons_px_N, picture.truth))
    calibration = fit_knots(np.concatenate(confidences), np.concatenate(hits))
    for category, some in chosen.items():
        least = best_min_confidence(some, fitted[category], calibration)
        fitted[category] = replace(fitted[category], min_confidence=least)
    before = {name: mean_f1(some, shapes[name], old_calibration) for name, some in chosen.items()}
    after = {name: mean_f1(some, fitted[name], calibration) for name, some in chosen.items()}
    guessed = [
        [(look, one.guess) for one in pictures if one.guess and (look := one.source.look)]
        for pictures in sets
    ]
    return Calibrated(fitted, calibration, before, after, look_error(guessed))


def _of_category(sets: Sequence[DataSet], category: Category) -> list[DataSet]:
    """The pictures of one category; sets without any are left out."""
    some = [[one for one in pictures if one.category == category] for pictures in sets]
    return [pictures for pictures in some if pictures]


def calibrate_file(
    predictor: Predictor,
    model: Path,
    folders: Sequence[Path],
    out: Path,
    progress: Progress | None = None,
    *,
    overwrite: bool = False,
    places: Collection[str] | None = None,
    labels: Path | None = None,
    looks: Path | None = None,
) -> Calibrated:
    """Fit `model` on the pictures of `folders` and write the result as a new model file.

    The scales that `predictor` computes are kept on the new card.

    `places` are the only ones that take part; all by default. `labels` and `looks` are as for
    `see`.
    """
    check_ending(out)
    outputs.check(out, overwrite=overwrite, inputs=(model,))
    net, card = weights.load(model)
    sets = [see(folder, predictor, progress, places, labels, looks) for folder in folders]
    found = calibrate(sets, dict(card.shapes), card.confidence_knots)
    f1 = {category: round(value, 4) for category, value in found.after.items()}
    names = " and ".join(folder.name for folder in folders)
    scores = {**card.scores, f"{names} (settings were fitted on it)": f1}
    new = replace(
        card,
        scales=predictor.header.scales,
        shapes=found.shapes,
        confidence_knots=found.calibration,
        look_error_deg=found.look_error_deg,
        scores=scores,
    )
    weights.save(out, net, new)
    return found
