"""Trains the judge of cuts between attached buildings (`snet4core.labels.judge`).

    python -m snet4_training.judge OUT.json [--blocks 300] [--places 100]
        [--model default] [--real FOLDER] [--run RUN] [--seed 0]

Its lessons are maps of known buildings, degraded at random, and a model's own maps of places
that it never saw, with --run those of its training's validation too (`lessons`); no test data are
among them. Each is flooded as `watershed`
does, and every cut between two regions is an example. Whether it should stand is what the
challenge's count says: a building is found when its IoU is above 0.5, so a cut is worth what
its two parts find, less what they find as one, less a price for one footprint more. The
difference is the example's weight. So a house lost in a terrace has a large weight, and a
sliver cut off a hall a small one.

The judge meets not only first cuts but what its own earlier decisions leave. So examples are
gathered three times: along the best decisions, then twice along those of the judge so far.

Axes: C cuts, K features, N regions, T true buildings.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from snet4_training.judge.lessons import (
    Floats,
    Lesson,
    chip_lessons,
    degraded_lessons,
    real_blocks,
    seen_lessons,
)
from snet4_training.recipe_file import read_recipe
from snet4_training.validation.validate import judged
from snet4core.labels import cuts, judge, watershed
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model import weights
from snet4core.model.header import find_model

HIDDEN = 32

FOUND_SPREAD = 0.08
"""A building counts as found by a smooth step about an IoU of 0.5, this wide: a part that
brings it from 0.3 to 0.4 helps, too."""

FOOTPRINT_PRICE = 0.2
"""What one footprint more costs, in buildings found. F1 is 2 found / (said + true), so one
more said costs as much as F1 / 2 found, and F1 is about 0.4 on a network's maps."""

Decide = Callable[[Floats], Floats]
"""Features (C, K) -> log-odds (C,)."""


# ---------------------------------------------------------------- examples


def examples(one: Lesson, decide: Decide | None) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Features, whether it should stand, and weight of every cut met on the way.

    The way is that of the best decisions, or of those of `decide`.
    """
    graph, shared_NT = one.graph, one.shared_NT
    met: list[tuple[Floats, Floats, Floats]] = []
    while graph.one_C.size and len(met) < 40:
        features_CK = judge.features_CK(graph, one.gsd_m)
        gain_C = _gain_C(one, graph, shared_NT)
        share = 1.0 if len(met) < 4 else 0.3
        met.append((features_CK, gain_C, share * np.abs(gain_C)))
        surplus_C = gain_C if decide is None else decide(features_CK)
        back_C = watershed.locally_weakest(graph, surplus_C) & (surplus_C < 0)
        if not back_C.any():
            break
        graph, into_N = graph.merged(back_C)
        merged_NT = np.zeros_like(shared_NT)
        np.add.at(merged_NT, into_N, shared_NT)
        shared_NT = merged_NT
    features_CK, gain_C, weight_C = (np.concatenate(each) for each in zip(*met, strict=True))
    # A dense town has a thousand times the cuts of a village, and must not drown it.
    return features_CK, gain_C > 0, weight_C / np.sqrt(gain_C.size)


def _gain_C(one: Lesson, graph: cuts.RegionGraph, shared_NT: Floats) -> Floats:
    """What each cut is worth, in buildings found."""
    size_N = graph.moments_R6[:, 0]
    first, second = graph.one_C, graph.two_C
    found_N, building_N = _found(shared_NT, size_N, one.size_T)
    as_one_C, _ = _found(
        shared_NT[first] + shared_NT[second], size_N[first] + size_N[second], one.size_T
    )
    both_C = found_N[first] + found_N[second]
    better_C = np.maximum(found_N[first], found_N[second])  # no building is found twice
    apart_C = np.where(building_N[first] == building_N[second], better_C, both_C)
    return np.asarray(apart_C - as_one_C - FOOTPRINT_PRICE)


def _found(shared_NT: Floats, size_N: Floats, size_T: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """How well each region matches its best building, 0..1, and the index of that building."""
    iou_NT = shared_NT / np.maximum(1, size_N[:, None] + size_T - shared_NT)
    steps_N = (iou_NT.max(axis=1) - 0.5) / FOUND_SPREAD
    return 1 / (1 + np.exp(-steps_N)), iou_NT.argmax(axis=1)


Examples = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Features, whether it should stand, weight."""


def _together(pools: Sequence[Sequence[Lesson]], decide: Decide | None) -> Examples:
    """All examples; every pool of lessons counts the same."""
    every: list[tuple[NDArray[np.float32], ...]] = []
    for pool in pools:
        parts = zip(*(examples(each, decide) for each in pool), strict=True)
        features, stands, weight = (np.concatenate(part).astype(np.float32) for part in parts)
        every.append((features, stands, weight / weight.sum()))
    features, stands, weight = (np.concatenate(part) for part in zip(*every, strict=True))
    return torch.from_numpy(features), torch.from_numpy(stands), torch.from_numpy(weight)


# ---------------------------------------------------------------- the network


def trained(
    pools: Sequence[Sequence[Lesson]], steps: int = 4000, members: int = 5, seed: int = 0
) -> judge.Judge:
    """Train a judge on examples along the best decisions, then along its own, twice.

    Every pool of lessons has the same weight, whatever its size.
    """
    torch.manual_seed(seed)
    seen: list[Examples] = [_together(pools, None)]
    mean, spread = seen[0][0].mean(0), seen[0][0].std(0)
    for half in (0, 1):
        so_far = _fitted(seen, mean, spread, steps // 2, 1)
        some = [pool[half::2] for pool in pools]
        seen.append(_together(some, so_far.log_odds_without_costs))
    return _fitted(seen, mean, spread, steps, members)


def _fitted(
    seen: list[Examples], mean: torch.Tensor, spread: torch.Tensor, steps: int, members: int
) -> judge.Judge:
    features, stands, weight = (torch.cat(part) for part in zip(*seen, strict=True))
    features = (features - mean) / spread
    made = [_member(features, stands, weight, steps) for _ in range(members)]
    return judge.Judge(mean.double().numpy(), spread.double().numpy(), tuple(made))


def _member(
    features: torch.Tensor, stands: torch.Tensor, weight: torch.Tensor, steps: int
) -> judge.Layers:
    net = nn.Sequential(
        nn.Linear(len(judge.FEATURES), HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, 1),
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        some = torch.randint(0, len(stands), (8192,))
        each = nn.functional.binary_cross_entropy_with_logits(
            net(features[some])[:, 0], stands[some], reduction="none"
        )
        loss = (each * weight[some]).sum() / weight[some].sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    return tuple((_numbers(layer.weight.T), _numbers(layer.bias)) for layer in linear)


def _numbers(tensor: torch.Tensor) -> Floats:
    return tensor.detach().double().numpy()


def as_json(made: judge.Judge) -> str:
    """The judge's file, with five significant digits for each number."""

    def short(values: Floats) -> list[object]:
        if values.ndim > 1:
            return [short(row) for row in values]
        return [float(f"{value:.5g}") for value in values]

    members = [
        [{"weights": short(weights), "offsets": short(offsets)} for weights, offsets in layers]
        for layers in made.members
    ]
    return json.dumps(
        {
            "features": list(judge.FEATURES),
            "mean": short(made.mean_K),
            "spread": short(made.spread_K),
            "members": members,
        }
    )


def _of_run(run: Path, model: Path) -> Iterator[Lesson]:
    recipe = read_recipe(run / "recipe.toml")
    net, card = weights.load(model)
    return chip_lessons(judged(net, card, recipe, run / recipe.data.store), card)


def main() -> None:
    """Train a judge and write its file."""
    parser = argparse.ArgumentParser(description="Train the judge of cuts between buildings.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--blocks", type=int, default=300, help="with degraded maps")
    parser.add_argument("--places", type=int, default=100, help="as the model sees them")
    parser.add_argument("--model", default="default")
    # --banepa is its older name.
    parser.add_argument("--real", "--banepa", type=Path, help="folder with buildings.geojson")
    parser.add_argument("--run", type=Path, help="the model's training, for its validation chips")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    real = real_blocks(chosen.real) if chosen.real else []
    model = find_model(chosen.model)
    predictor = Predictor(model, choose_runtime())
    pools = [
        list(degraded_lessons(chosen.seed, chosen.blocks, real)),
        list(seen_lessons(chosen.seed, chosen.places, predictor)),
        list(_of_run(chosen.run, model)) if chosen.run else [],
    ]
    made = trained([pool for pool in pools if pool], seed=chosen.seed)
    chosen.out.write_text(as_json(made) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
