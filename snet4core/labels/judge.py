"""Classifies cuts between regions: the log-odds that a wall between two buildings runs there.

The measurements of `cuts` become eighteen features per cut, and an ensemble of small
networks (two layers of 32) turns them into log-odds. They are trained on synthetic places,
with degraded maps and with maps of the default model
(`python -m snet4_training.judge`); their weights are in `judge.json`.
Two costs, which no training set determines, are set here:

- A map without borders says nothing about walls. Where no border is seen along the outlines,
  a cut needs higher odds.
- A hall that is cut in two is a large building lost. The larger the parts, the higher the
  odds that a cut needs.

Axes: C cuts, K features of a cut, U units of a layer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snet4core.labels.cuts import RegionGraph, rectangularity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEATURES = (
    "border_px",  # border crossed from seed to seed, mean over the cut
    "border_to_2_px",  # the same, capped at 2 px: a gap must not decide a cut
    "thin",  # share of the cut with less than 0.8 px of border
    "open",  # share of the cut with less than 0.4 px
    "smaller_m2",  # size of the smaller part, as log2
    "larger_m2",  # of the larger one
    "length_m",  # of the cut, as log2
    "neck",  # its length over the square root of the smaller part's area, as log2
    "smaller_full",  # share of its rectangle that the smaller part fills
    "larger_full",
    "both_full",  # both together
    "gain",  # fullness of the emptier part minus that of both together
    "deep_px",  # how deep inside the component the cut runs
    "rim",  # mean border along the outlines of both parts, 0..1
    "regions",  # in the component, as log2: many in a dense town, few on a single roof
    "component_m2",  # size of all of them together, as log2
    "usual_m2",  # their typical size, as the mean log2
    "usual_border",  # border_to_2_px, mean over the cuts of the component
)

SEES_BORDERS = 0.2
"""Value of feature `rim` from which a map counts as showing borders."""

NO_BORDER_COST = 4.0
"""Log-odds that a cut needs where the map shows no border at all."""

LARGE_M2, LARGE = 280.0, 4.0
"""Geometric mean of the parts' sizes from which, and log-odds per doubling that a cut needs."""


Layers = tuple[tuple[Floats, Floats], ...]
"""Weights (inputs, U) and biases (U,) of each layer; ReLU follows all but the last."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Ensemble of small networks that classify cuts."""

    mean_K: Floats
    """Mean of each feature in training."""
    spread_K: Floats
    """Standard deviation of each feature in training."""
    members: tuple[Layers, ...]
    """Networks whose log-odds are averaged, as a single one is noisy."""

    def log_odds_C(self, features_CK: Floats) -> Floats:
        """Natural log-odds that each cut is a wall, minus costs, rounded to six decimals; (C,)."""
        return np.asarray(
            np.round(self.log_odds_without_costs(features_CK) - costs_C(features_CK), 6)
        )

    def log_odds_without_costs(self, features_CK: Floats) -> Floats:
        """Natural log-odds that each cut is a wall, mean over the networks; (C,)."""
        inputs = (features_CK - self.mean_K) / self.spread_K
        said = [_answer(inputs, layers) for layers in self.members]
        return np.asarray(sum(said) / len(said))


def _answer(values: Floats, layers: Layers) -> Floats:
    for index, (weights, offsets) in enumerate(layers):
        if index:
            values = np.maximum(values, 0)
        # Not `@`: the last bits of BLAS products depend on how many cuts there are.
        values = np.einsum("cu,uv->cv", values, weights) + offsets
    return values[:, 0]


def costs_C(features_CK: Floats) -> Floats:
    """Log-odds that each cut needs beyond 0, for its size and its map; >= 0, shape (C,)."""
    smaller, larger, rim = (
        features_CK[:, FEATURES.index(name)] for name in ("smaller_m2", "larger_m2", "rim")
    )
    blind_C = NO_BORDER_COST * np.clip(1 - rim / SEES_BORDERS, 0, 1)
    large_C = LARGE * np.maximum(0, (smaller + larger) / 2 - np.log2(LARGE_M2))
    return np.asarray(blind_C + large_C)


def features_CK(graph: RegionGraph, gsd_m: float) -> Floats:
    """Features of each cut, in the order of FEATURES, shape (C, 18); `gsd_m` is in metres."""
    one_C, two_C, tallies = graph.one_C, graph.two_C, graph.tallies_C7
    area_C2 = graph.moments_R6[np.stack([one_C, two_C]), 0] * gsd_m**2
    smaller, larger = area_C2.min(axis=0), area_C2.max(axis=0)
    full_R = rectangularity(graph.moments_R6)
    full_C2 = full_R[np.where(area_C2[0] <= area_C2[1], [one_C, two_C], [two_C, one_C])]
    both_C = rectangularity(graph.moments_R6[one_C] + graph.moments_R6[two_C])
    length_C = np.maximum(graph.lengths_C(), 0.5) * gsd_m
    weight_C = tallies[:, 2]
    rim_C2 = graph.rims_R2[one_C] + graph.rims_R2[two_C]
    border_C4 = tallies[:, 3:] / weight_C[:, None]
    return np.stack(
        [
            *border_C4.T,
            np.log2(smaller),
            np.log2(larger),
            np.log2(length_C),
            np.log2(length_C / np.sqrt(smaller)),
            *full_C2,
            both_C,
            full_C2.min(axis=0) - both_C,
            weight_C / (tallies[:, 0] + tallies[:, 1]),
            rim_C2[:, 1] / np.maximum(1, rim_C2[:, 0]),
            *_around(graph, border_C4[:, 1], gsd_m),
        ],
        axis=1,
    )


def _around(graph: RegionGraph, border_C: Floats, gsd_m: float) -> tuple[Floats, ...]:
    """Features of the component of each cut: the last four of FEATURES, each (C,)."""
    of_C = graph.component_R[graph.one_C]
    count, area_R = int(graph.component_R.max()) + 1, graph.moments_R6[:, 0] * gsd_m**2

    def total_N(component: Ints, values: Floats) -> Floats:
        return np.asarray(np.bincount(component, values, count), dtype=float)

    is_left_R = (area_R > 0).astype(float)
    size_R = np.log2(np.where(area_R > 0, area_R, 1))
    regions_N = np.maximum(1, total_N(graph.component_R, is_left_R))
    cuts_N = np.maximum(1, np.bincount(of_C, minlength=count))
    found = (
        np.log2(regions_N),
        np.log2(np.maximum(total_N(graph.component_R, area_R), gsd_m**2)),
        total_N(graph.component_R, size_R) / regions_N,
        total_N(of_C, border_C) / cuts_N,
    )
    return tuple(each_N[of_C] for each_N in found)


@cache
def trained() -> Judge:
    """Load the judge that ships with snet4; cached."""
    return from_json(Path(__file__).with_name("judge.json").read_text(encoding="utf-8"))


def from_json(text: str) -> Judge:
    """Parse a judge: `features`, `mean`, `spread`, and `members` of layers with `weights` and
    `offsets`."""
    facts = json.loads(text)
    assert facts["features"] == list(FEATURES)  # the file and this module are made together
    members = tuple(
        tuple(
            (np.array(layer["weights"], float), np.array(layer["offsets"], float))
            for layer in layers
        )
        for layers in facts["members"]
    )
    return Judge(np.array(facts["mean"], float), np.array(facts["spread"], float), members)
