"""The SpaceNet 4 score: matches proposals with truth, and reports F1 by off-nadir category.

Works on arrays alone, without a model or files. A worked example, in pixels:

    truth       A  0..10 x 0..10 (area 100)     B  20..30 x 0..10 (area 100)
    proposals   a  0..10 x 0..8, confidence .9   overlap with A 80, union 100: IoU .8
                b  0..10 x 0..10, confidence .5  overlap with A 100, union 100: IoU 1
                c  25..35 x 0..10, confidence .4 overlap with B 50, union 150: IoU .33

`a` is matched first, as the most confident, and takes A. `b` would fit better but A is taken,
and `c` overlaps B too little: both are false positives. B is missed.
TP = 1, FP = 2, FN = 1, so precision = 1/3, recall = 1/2, F1 = 2 x 1/6 : 5/6 = 0.4.

>>> from shapely import box
>>> image = "Atlanta_nadir8_catid_10300100023BC100_743501_3728739"
>>> truth = Buildings.of([image] * 2, [box(0, 0, 10, 10), box(20, 0, 30, 10)])
>>> found = [box(0, 0, 10, 8), box(0, 0, 10, 10), box(25, 0, 35, 10)]
>>> result = score(Buildings.of([image] * 3, found, [0.9, 0.5, 0.4]), truth)
>>> result.images[image]
Tally(tp=1, fp=2, fn=1)
>>> result.categories["nadir"].f1
0.4
>>> round(result.mean_f1, 3)  # the two other categories have no images and count 0
0.133
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4core.errors import InputError, UsageError
from snet4core.files.names import printable
from snet4core.layers.buildings import Buildings
from snet4core.layers.height_errors import HeightScore, height_score
from snet4core.layers.reproject import in_one_turn, reprojected
from snet4core.look.look import CATEGORIES, Category, category_of

if TYPE_CHECKING:
    pass

IOU_ABOVE = 0.5
"""A proposal matches if its IoU is STRICTLY above this."""

MIN_AREA_PX = 20.0
"""Truth counts from this area in px2, proposals only above it, as in the challenge's scorer."""

NO_LOOK = "No image names its look (nadir<NN>); what matters is the line of all images."
"""Why there is no mean over the categories."""

_NEAR = 1e-6
"""IoU this close to the limit is computed again as the challenge's scorer does."""

_COLLECT = re.compile(r"^(?:.*?_)?nadir(\d{1,2})(?:_catid_[0-9A-Za-z]+)?(?=_|$)")


class Figures(TypedDict):
    """A tally as a dictionary, for JSON."""

    tp: int
    fp: int
    fn: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of matches, with precision, recall and F1; a ratio with nothing to count is 0.

    >>> tally = Tally(tp=6, fp=2, fn=4)
    >>> tally.precision, tally.recall, round(tally.f1, 3)
    (0.75, 0.6, 0.667)
    """

    tp: int = 0
    """True positives: proposals that match a truth."""
    fp: int = 0
    """False positives: proposals that match none."""
    fn: int = 0
    """False negatives: truths that no proposal matches."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of proposals that match."""
        return self.tp / (self.tp + self.fp) if self.tp else 0.0

    @property
    def recall(self) -> float:
        """Share of truths that are matched."""
        return self.tp / (self.tp + self.fn) if self.tp else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    def as_dict(self) -> Figures:
        """Counts, precision, recall and F1 by name."""
        return {
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


@dataclass(frozen=True, slots=True)
class Score:
    """Tallies by off-nadir category, by collect, by image, and in total."""

    categories: Mapping[Category, Tally]
    """By category, all three in order; zeros for one without images."""
    collects: Mapping[str, Tally]
    """By collect, for images whose ImageId names one."""
    images: Mapping[str, Tally]
    """By ImageId, sorted."""
    total: Tally
    """Sum over all images, including those without a category."""
    categories_seen: frozenset[Category]
    """Categories that have images."""
    heights: HeightScore | None = None
    """Errors of the heights; None unless truth and proposals have any."""

    @property
    def mean_f1(self) -> float:
        """The challenge's score: mean F1 of the three categories; one without images counts 0."""
        return sum(self.categories[name].f1 for name in CATEGORIES) / len(CATEGORIES)

    def as_dict(self) -> dict[str, Any]:
        """As a dictionary for JSON: mean_f1, categories, collects, images, total, and heights
        where there are some.

        Where no image names a look there is no mean over categories: null, and why.
        """
        why = {} if self.categories_seen else {"why_no_mean": NO_LOOK}
        found = {
            "mean_f1": self.mean_f1 if self.categories_seen else None,
            "categories": {name: tally.as_dict() for name, tally in self.categories.items()},
            "collects": {name: tally.as_dict() for name, tally in self.collects.items()},
            "images": {name: tally.as_dict() for name, tally in self.images.items()},
            "total": self.total.as_dict(),
            **why,
        }
        return found if self.heights is None else found | {"heights": self.heights.as_dict()}


def collect_of(image_id: str) -> tuple[str, Category] | None:
    """Parse collect and off-nadir category from an ImageId; None if it holds no angle.

    Only the integer right after `nadir` counts, never a tile's coordinates.

    >>> collect_of("Atlanta_nadir53_catid_1030010003193D00_733601_3724689")
    ('Atlanta_nadir53_catid_1030010003193D00', 'very-off-nadir')
    >>> collect_of("22978945_15") is None
    True
    """
    match = _COLLECT.match(image_id)
    return (match[0], category_of(float(match[1]))) if match else None


def score(proposals: Buildings, truth: Buildings) -> Score:
    """Match proposals with truth within each image, and sum the counts.

    In pixels the challenge's area limits apply (truth >= 20 px2, proposals > 20 px2,
    measured before any repair); in map units everything with an area counts. Raises
    UsageError unless both are in pixels or both in map units.
    """
    if proposals.in_pixels != truth.in_pixels:
        raise UsageError("Proposals and truth must both be in pixels, or both in map units.")
    proposals, truth = in_one_turn(proposals), in_one_turn(truth)
    min_area = MIN_AREA_PX if truth.in_pixels else 0.0
    proposal_rows, truth_rows = rows_by_image(proposals), rows_by_image(truth)
    nothing = np.empty(0, np.int64)
    images: dict[str, Tally] = {}
    pairs: list[NDArray[np.int64]] = [np.empty((0, 2), np.int64)]
    for image in sorted({*proposals.images, *truth.images}):
        images[image], pairs_M2 = _match_image(
            proposals, proposal_rows.get(image, nothing), truth, truth_rows.get(image, nothing),
            min_area,
        )  # fmt: skip
        pairs.append(pairs_M2)
    categories: dict[Category, Tally] = dict.fromkeys(CATEGORIES, Tally())
    collects: dict[str, Tally] = {}
    seen: set[Category] = set()
    for image, tally in images.items():
        if found := collect_of(image):
            collect, category = found
            collects[collect] = collects.get(collect, Tally()) + tally
            categories[category] += tally
            seen.add(category)
    heights = height_score(proposals, truth, np.concatenate(pairs))
    return Score(categories, collects, images, _sum(images.values()), frozenset(seen), heights)


def _sum(tallies: Iterable[Tally]) -> Tally:
    return sum(tallies, Tally())


def rows_by_image(buildings: Buildings) -> dict[str, NDArray[np.int64]]:
    """Row numbers of each image, in file order."""
    rows: dict[str, list[int]] = {}
    for row, image in enumerate(buildings.image_id_N):
        rows.setdefault(image, []).append(row)
    return {image: np.array(found, np.int64) for image, found in rows.items()}


def _match_image(
    proposals: Buildings,
    proposal_rows: NDArray[np.int64],
    truth: Buildings,
    truth_rows: NDArray[np.int64],
    min_area: float,
) -> tuple[Tally, NDArray[np.int64]]:
    """The tally, and the (M, 2) rows of the proposals and truths that match."""
    descending = np.argsort(-proposals.confidence_N[proposal_rows], kind="stable")
    ordered = proposal_rows[descending]
    tally, pairs_M2 = match_pairs(
        proposals.polygons_N[ordered], truth.polygons_N[truth_rows], min_area=min_area
    )
    return tally, np.column_stack([ordered[pairs_M2[:, 0]], truth_rows[pairs_M2[:, 1]]])


def match(
    proposals_P: NDArray[np.object_], truths_T: NDArray[np.object_], *, min_area: float = 0.0
) -> Tally:
    """Match the proposals of one image greedily, in the order given.

    Each takes the remaining truth of highest IoU (of equal ones the first) if that is above
    0.5. Invalid proposals are repaired by a zero buffer after their area was compared with
    `min_area`; an invalid truth matches nothing and is missed.

    >>> boxes = np.array([shapely.box(0, 0, 4, 4), shapely.box(6, 0, 9, 4)])
    >>> match(boxes, np.array([shapely.box(0, 0, 4, 5)]))
    Tally(tp=1, fp=1, fn=0)
    """
    return match_pairs(proposals_P, truths_T, min_area=min_area)[0]


def match_pairs(
    proposals_P: NDArray[np.object_], truths_T: NDArray[np.object_], *, min_area: float = 0.0
) -> tuple[Tally, NDArray[np.int64]]:
    """As `match`; also returns who matches whom, (M, 2) indices of a proposal and its truth."""
    part_T = np.flatnonzero(takes_part(shapely.area(truths_T), min_area, truth=True))
    part_P = np.flatnonzero(takes_part(shapely.area(proposals_P), min_area, truth=False))
    proposal_X, truth_X, iou_X = _candidates(proposals_P[part_P], truths_T[part_T])
    taken_P: dict[int, int] = {}
    taken_T: set[int] = set()
    for x in np.lexsort((truth_X, -iou_X, proposal_X)).tolist():
        proposal, candidate = int(proposal_X[x]), int(truth_X[x])
        if proposal not in taken_P and candidate not in taken_T:
            taken_P[proposal] = candidate
            taken_T.add(candidate)
    tp = len(taken_T)
    pairs_M2 = np.array(list(taken_P.items()), np.int64).reshape(-1, 2)
    pairs_M2 = np.column_stack([part_P[pairs_M2[:, 0]], part_T[pairs_M2[:, 1]]])
    return Tally(tp, len(part_P) - tp, len(part_T) - tp), pairs_M2


def takes_part(areas_N: NDArray[np.float64], min_area: float, *, truth: bool) -> NDArray[np.bool_]:
    """True for areas that count: truth from `min_area` on, proposals only above it."""
    if truth:
        return np.asarray((areas_N >= min_area) & (areas_N > 0))
    return np.asarray(areas_N > min_area)


def _candidates(
    proposals_P: NDArray[np.object_], truths_T: NDArray[np.object_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """All pairs X with IoU above 0.5: proposal, truth, IoU."""
    broken = ~shapely.is_valid(proposals_P)
    if broken.any():
        proposals_P = proposals_P.copy()
        proposals_P[broken] = shapely.buffer(proposals_P[broken], 0.0)
    sound_T = np.flatnonzero(shapely.is_valid(truths_T))
    proposal_X, near_X = shapely.STRtree(truths_T[sound_T]).query(proposals_P)
    truth_X = sound_T[near_X]
    ours_X, theirs_X = proposals_P[proposal_X], truths_T[truth_X]
    overlap_X = shapely.area(shapely.intersection(ours_X, theirs_X))
    union_X = shapely.area(ours_X) + shapely.area(theirs_X) - overlap_X
    # Exactly half is no match, so near it compute the union itself, as the original does.
    close = np.abs(overlap_X - IOU_ABOVE * union_X) <= _NEAR * union_X
    union_X[close] = shapely.area(shapely.union(ours_X[close], theirs_X[close]))
    iou_X = np.divide(overlap_X, union_X, out=np.zeros_like(overlap_X), where=union_X > 0)
    good = iou_X > IOU_ABOVE
    return proposal_X[good], truth_X[good], iou_X[good]


def aligned(proposals: Buildings, truth: Buildings) -> tuple[Buildings, list[str]]:
    """Bring the proposals into the truth's coordinates; returns them with notes for the user.

    Raises `InputError` where that is impossible: pixels against map units, or a missing CRS.
    """
    if proposals.in_pixels != truth.in_pixels:
        pixels, ground = (proposals, truth) if proposals.in_pixels else (truth, proposals)
        raise InputError(
            f"{pixels.name} is in pixels, but {ground.name} in map units; score two tables or two "
            "layers (`snet4 run --csv` writes a table)."
        )
    notes = [
        f"{table.name}: {count} skipped, {reason}."
        for table in (proposals, truth)
        for reason, count in table.skipped.items()
    ]
    notes += [note for table, what in ((proposals, "proposals"), (truth, "truths"))
              for note in _doubts(table, what)]  # fmt: skip
    if truth.in_pixels:
        return proposals, notes + _unknown_images(proposals, truth)
    if (proposals.crs is None) != (truth.crs is None):
        bare = proposals if proposals.crs is None else truth
        remedy = "give it its own with 'ogr2ogr -a_srs EPSG:NUMBER OUT.gpkg IN'"
        raise InputError(f"{bare.name} names no CRS, but the other file does; {remedy}.")
    if proposals.crs is not None and truth.crs is not None and proposals.crs != truth.crs:
        notes.append(f"{proposals.name} was moved from its CRS into that of {truth.name}.")
        moved_N = reprojected(proposals.polygons_N, proposals.crs, truth.crs, proposals.name)
        proposals = replace(proposals, polygons_N=moved_N, crs=truth.crs)
    if len(proposals) and len(truth) and not _overlap(in_one_turn(proposals), in_one_turn(truth)):
        notes.append(
            "The two layers do not overlap anywhere; check their CRS and the order of the axes."
        )
    return proposals, notes


def _doubts(table: Buildings, what: str) -> Iterable[str]:
    """Notes about buildings that cannot match, or not as one might think."""
    polygons_N = table.polygons_N
    invalid = int(np.count_nonzero(~shapely.is_valid(polygons_N)))
    if invalid and what == "truths":
        yield (
            f"{table.name}: {invalid} of {len(table)} truths are invalid (they cross themselves) "
            "and match nothing; repair them, for example with 'ogr2ogr -makevalid OUT IN'."
        )
    parts_N = shapely.get_num_geometries(polygons_N)
    several = int(np.count_nonzero(parts_N > 1))
    if several:
        yield (
            f"{table.name}: {several} {what} have several parts ({int(parts_N.sum())} in all) and "
            "count as one each; split them, for example with 'ogr2ogr -explodecollections OUT IN'."
        )
    plain_N = shapely.to_wkb(shapely.normalize(polygons_N))  # wherever their rings begin
    same = set(zip(table.image_id_N, plain_N, strict=True))
    if len(same) < len(table):
        yield (
            f"{table.name}: {len(table) - len(same)} {what} are doubled, the same polygon in the "
            "same image; remove the copies, as each counts."
        )


def _unknown_images(proposals: Buildings, truth: Buildings) -> list[str]:
    known = set(truth.images)
    unknown = [image for image in proposals.images if image not in known]
    if not unknown:
        return []
    example = printable(unknown[0])
    if len(unknown) == len(proposals.images):
        theirs = printable(next(iter(truth.images), "none"))
        return [f"No ImageId of {proposals.name} is in {truth.name}: {example} against {theirs}."]
    return [
        f"{len(unknown)} images of {proposals.name} are not in {truth.name} (such as {example}); "
        "their proposals are false."
    ]


def _overlap(one: Buildings, other: Buildings) -> bool:
    return shapely.box(*shapely.total_bounds(one.polygons_N)).intersects(
        shapely.box(*shapely.total_bounds(other.polygons_N))
    )
