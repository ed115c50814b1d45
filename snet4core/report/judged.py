"""What a score's page shows, as plain values: who was found, missed or false, and where.

Array names end in their axes: P proposals, T truths, K of both that count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4core.layers.buildings import Buildings
from snet4core.score import MIN_AREA_PX, Score, Tally, match_pairs, rows_by_image, takes_part
from snet4core.score import score as score_of

FOUND, FALSE, MISSED = 0, 1, 2
"""Kinds of buildings: a proposal that matches, one that does not, and a truth without a match."""

_CELLS = 12
"""Tiles along the longer side of a layer; those of a table are its images."""

_CURVE_POINTS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One file of proposals against the truth."""

    name: str
    score: Score
    kind_K: NDArray[np.int8]
    """(K,) FOUND, FALSE or MISSED."""
    polygons_K: NDArray[np.object_]
    """(K,) the proposal, or the truth that was missed."""
    confidence_K: NDArray[np.float64]
    """(K,) of the proposal; 1 for missed ones."""
    tile_K: NDArray[np.object_]
    """(K,) name of the tile: the image of a table, a cell of a layer."""
    curve: tuple[tuple[float, float, float], ...]
    """(recall, precision, least confidence), the most confident first."""

    @property
    def angles(self) -> tuple[tuple[float, float, str], ...]:
        """(off-nadir angle in degrees, F1, collect) of each collect, by angle."""
        found = []
        for collect, tally in self.score.collects.items():
            angle = re.search(r"nadir(\d{1,2})", collect)
            if angle is not None:
                found.append((float(angle[1]), tally.f1, collect))
        return tuple(sorted(found))

    @property
    def tiles(self) -> list[tuple[str, Tally]]:
        """Tiles with buildings, the worst first: lowest F1, then most errors.

        The tallies of a table's tiles are those of its images.
        """
        names, tile_K = np.unique(self.tile_K.astype(str), return_inverse=True)
        counts = np.zeros((len(names), 3), int)
        np.add.at(counts, (tile_K, self.kind_K), 1)
        tallies = [Tally(*map(int, row)) for row in counts]
        pairs = list(zip(names.tolist(), tallies, strict=True))
        return sorted(pairs, key=lambda each: (each[1].f1, -each[1].fp - each[1].fn, each[0]))


def judged(proposals: Buildings, truth: Buildings) -> Judged:
    """Match proposals with truth, both in the same coordinates (`score.aligned`)."""
    min_area = MIN_AREA_PX if truth.in_pixels else 0.0
    ours, theirs = rows_by_image(proposals), rows_by_image(truth)
    nothing = np.empty(0, np.int64)
    matched_P, matched_T = np.zeros(len(proposals), bool), np.zeros(len(truth), bool)
    for image in {*ours, *theirs}:
        rows_P, rows_T = ours.get(image, nothing), theirs.get(image, nothing)
        rows_P = rows_P[np.argsort(-proposals.confidence_N[rows_P], kind="stable")]
        _, pairs = match_pairs(
            proposals.polygons_N[rows_P], truth.polygons_N[rows_T], min_area=min_area
        )
        matched_P[rows_P[pairs[:, 0]]] = True
        matched_T[rows_T[pairs[:, 1]]] = True
    part_P = takes_part(shapely.area(proposals.polygons_N), min_area, truth=False)
    missed_T = takes_part(shapely.area(truth.polygons_N), min_area, truth=True) & ~matched_T
    polygons_K = np.concatenate([proposals.polygons_N[part_P], truth.polygons_N[missed_T]])
    images_K = np.concatenate([proposals.image_id_N[part_P], truth.image_id_N[missed_T]])
    result = score_of(proposals, truth)
    return Judged(
        name=proposals.name,
        score=result,
        kind_K=np.concatenate(
            [np.where(matched_P[part_P], FOUND, FALSE), np.full(missed_T.sum(), MISSED)]
        ).astype(np.int8),
        polygons_K=polygons_K,
        confidence_K=np.concatenate([proposals.confidence_N[part_P], np.ones(missed_T.sum())]),
        tile_K=images_K if truth.in_pixels else cells(polygons_K),
        curve=curve(
            proposals.confidence_N[part_P],
            matched_P[part_P],
            result.total.tp + result.total.fn,
        ),
    )


def curve(
    confidence_P: NDArray[np.float64], matched_P: NDArray[np.bool_], truths: int
) -> tuple[tuple[float, float, float], ...]:
    """(recall, precision, least confidence) while ever less confident proposals are let in.

    Exact: proposals are matched in this order, so leaving out the last ones changes no other.

    >>> curve(np.array([0.9, 0.5]), np.array([True, False]), 2)
    ((0.5, 1.0, 0.9), (0.5, 0.5, 0.5))
    """
    if not len(confidence_P) or not truths:
        return ()
    order_P = np.argsort(-confidence_P, kind="stable")
    least_P = confidence_P[order_P]
    found_P = np.cumsum(matched_P[order_P])
    last_P = np.flatnonzero(np.append(least_P[1:] != least_P[:-1], True))
    if len(last_P) > _CURVE_POINTS:
        last_P = last_P[np.linspace(0, len(last_P) - 1, _CURVE_POINTS).astype(int)]
    return tuple(
        (float(found_P[at] / truths), float(found_P[at] / (at + 1)), float(least_P[at]))
        for at in last_P
    )


def cells(polygons_K: NDArray[np.object_]) -> NDArray[np.object_]:
    """The tile of each polygon of a layer, such as `row 3, column 12`, from the top left."""
    if not len(polygons_K):
        return np.empty(0, object)
    left, low, right, high = shapely.total_bounds(polygons_K).tolist()
    side = max(right - left, high - low, 1e-9) / _CELLS
    bounds_K4 = shapely.bounds(polygons_K)
    column_K = ((bounds_K4[:, 0] + bounds_K4[:, 2]) / 2 - left) // side
    row_K = (high - (bounds_K4[:, 1] + bounds_K4[:, 3]) / 2) // side
    return np.array(
        [
            f"row {int(row) + 1}, column {int(col) + 1}"
            for row, col in zip(row_K, column_K, strict=True)
        ],
        object,
    )
