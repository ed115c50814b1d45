"""Training the judge of cuts between attached buildings (`snet4core.judge`).

    python -m snet4_training.splitting OUT.json [--blocks 300] [--banepa FOLDER] [--seed 0]

Buildings come from made places, made terraces and halls, and, if given, the training
footprints of Banepa; no picture is needed and no test data are seen. Their maps are
degraded at random (`degraded`): walls that reach too far, borders faint, broken, wandering
or absent, false ridges over large roofs. Each is flooded as `watershed` does, and every cut
between two regions is an example: a wall when most pixels of both belong to different
buildings.

The judge meets not only first cuts but what its own earlier decisions leave. So examples are
gathered three times: along the true decisions, then twice along those of the judge so far.

Axes: C cuts, K features, N regions, T true buildings.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from torch import nn

from snet4_training import degraded
from snet4_training.scenes.materials import season
from snet4_training.scenes.place import KINDS, make_plan
from snet4core import cuts, judge, seams, watershed
from snet4core.maps import Maps
from snet4core.settings import SplitSettings
from snet4core.windows import Window

GSD_M = 0.5
SIDE_PX = 900
HIDDEN = 32

HALL_M2, HALL_COST = 500.0, 12.0
"""Cutting a building of that size costs so many times as much as missing a wall."""
FALSE_CUT_COST = 1.5
BLIND_COST = 12.0
"""A false cut where no border was seen."""

Floats = NDArray[np.float64]
Decide = Callable[[Floats], Floats]
"""Features (C, K) -> log-odds (C,)."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One block's regions, with the buildings they are truly made of."""

    graph: cuts.Graph
    shared_NT: Floats
    """Pixels that region n has in common with building t; column 0 is background."""


# ---------------------------------------------------------------- blocks and their maps


def random_block(rng: np.random.Generator, real: list[degraded.Block]) -> degraded.Block:
    """Buildings in pixels of 0.5 m: a made place, a terrace, halls, or real ones."""
    draw = rng.random()
    if draw < 0.55:
        return _made_place(rng)
    seed = int(rng.integers(1 << 30))
    if draw < 0.75:
        return degraded.terraces(seed)
    if draw < 0.9 or not real:
        return degraded.halls(seed)
    block, scale = real[rng.integers(len(real))], rng.uniform(0.6, 1.6)
    return degraded.Block(
        block.name,
        degraded.affinity(block.polygons, np.eye(2) * scale, np.zeros(2)),
        (int(block.shape[0] * scale) + 1, int(block.shape[1] * scale) + 1),
    )


def _made_place(rng: np.random.Generator) -> degraded.Block:
    kind = str(rng.choice(list(KINDS)))
    plan = make_plan(rng, kind, season(rng), SIDE_PX * GSD_M, 30.0)
    outlines = np.array([each.outline for each in plan.structures], object)
    scale = rng.uniform(0.75, 1.35) / GSD_M
    outlines = degraded.affinity(outlines, np.eye(2) * scale, np.zeros(2))
    frame = shapely.box(0, 0, SIDE_PX, SIDE_PX)
    inside = degraded.solid(shapely.intersection(outlines, frame))
    return degraded.Block(kind, inside, (SIDE_PX, SIDE_PX))


def random_maps(
    rng: np.random.Generator, block: degraded.Block
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Footprint and border map (H, W) of a block, bad in a random way."""
    fat_px = rng.uniform(0, 3.3) if rng.random() < 0.6 else 0.0
    quality = degraded.BorderQuality(
        strength=(rng.uniform(0.3, 0.65), rng.uniform(0.85, 1.0)),
        breaks_per_100px=rng.uniform(1, 6),
        break_radius_px=(1.5, rng.uniform(3, 6)),
        shift_px=rng.uniform(0.3, 1.1),
        blur_px=rng.uniform(0.7, 1.5),
        noise=rng.uniform(0.03, 0.1),
    )
    seed, draw = int(rng.integers(1 << 30)), rng.random()
    if rng.random() < 0.9:
        blur_px, noise = rng.uniform(0.4, 1.2), rng.uniform(0.01, 0.06)
        footprint_HW = degraded.footprint_map(block, fat_px, blur_px, noise, seed)
    else:
        footprint_HW = degraded.perfect_mask(block, fat_px)
    if draw < 0.12:
        return footprint_HW, np.zeros_like(footprint_HW)
    if draw < 0.62:
        over_px2 = float(rng.choice([600, 1200, 2500]))
        strength = (rng.uniform(0.15, 0.35), rng.uniform(0.5, 0.85))
        return footprint_HW, degraded.border_map_with_ridges(
            block, quality, seed, over_px2, strength
        )
    return footprint_HW, degraded.border_map(block, quality, seed)


def lesson(
    block: degraded.Block, footprint_HW: NDArray[np.uint8], border_HW: NDArray[np.uint8]
) -> Lesson | None:
    """The block's regions and what they are; None where nothing could come apart."""
    window = Window(0, 0, *footprint_HW.shape)
    maps = Maps(window, footprint_HW, border_HW, np.ones(window.shape, np.bool_))
    labels = next(seams.joined([maps], window.shape, 0.5), None)
    flooded = None if labels is None else watershed.flooded(labels, SplitSettings())
    if flooded is None:
        return None
    truth_P = degraded.labels_of(block).ravel()[flooded.sheet.source_P]
    region_P = flooded.regions_HW.ravel()[flooded.sheet.place_P]
    shared_NT = np.zeros((len(flooded.graph.moments_R6), block.polygons.size + 1))
    np.add.at(shared_NT, (region_P, truth_P), 1)
    shared_NT[:, 0] = 0
    return Lesson(flooded.graph, shared_NT)


def lessons(seed: int, count: int, real: list[degraded.Block]) -> Iterator[Lesson]:
    """`count` blocks, the same for the same seed."""
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        block = random_block(rng, real)
        if block.polygons.size == 0:
            continue
        found = lesson(block, *random_maps(rng, block))
        if found is not None and found.graph.one_C.size:
            yield found


def real_blocks(folder: Path, gsd_m: float = 0.35, side_px: int = 500) -> list[degraded.Block]:
    """Squares of real footprints (`buildings.geojson` in degrees) with 15 houses or more."""
    import fiona
    from shapely.geometry import shape as to_shapely

    with fiona.open(folder / "buildings.geojson") as layer:
        houses = np.array([to_shapely(each["geometry"]) for each in layer], object)
    west, south, east, north = shapely.total_bounds(houses)
    metres = 111_320.0 / gsd_m
    scale = np.array([metres * np.cos(np.radians((south + north) / 2)), -metres])
    houses = degraded.affinity(houses, np.diag(scale), -np.array([west, north]) * scale)
    blocks = []
    for row in range(0, int((north - south) * metres) - side_px, side_px):
        for col in range(0, int((east - west) * scale[0]) - side_px, side_px):
            frame = shapely.box(col, row, col + side_px, row + side_px)
            near = houses[shapely.intersects(houses, frame)]
            if len(near) >= 15:
                inside = shapely.intersection(shapely.make_valid(near), frame)
                moved = degraded.affinity(inside, np.eye(2), -np.array([col, row]))
                blocks.append(degraded.Block("real", degraded.solid(moved), (side_px, side_px)))
    return blocks


# ---------------------------------------------------------------- examples


def examples(one: Lesson, decide: Decide | None) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Features, whether it is a wall, and weight of every cut met on the way.

    The way is that of the true decisions, or of those of `decide`.
    """
    graph, shared_NT = one.graph, one.shared_NT
    met: list[tuple[Floats, NDArray[np.bool_], Floats]] = []
    while graph.one_C.size and len(met) < 40:
        owner_N = shared_NT.argmax(axis=1) * (shared_NT.max(axis=1) > 0)
        one_C, two_C = owner_N[graph.one_C], owner_N[graph.two_C]
        known_C, is_wall_C = (one_C > 0) & (two_C > 0), one_C != two_C
        features = judge.features_CK(graph, GSD_M)
        weight = 1.0 if len(met) < 4 else 0.3
        met.append((features[known_C], is_wall_C[known_C], np.full(int(known_C.sum()), weight)))
        if decide is None:  # the true decisions, the least border first
            surplus_C = np.where(is_wall_C & known_C, 1.0, features[:, 0] - 1e3)
        else:
            surplus_C = decide(features)
        back_C = watershed.weakest_here(graph, surplus_C) & (surplus_C < 0)
        if not back_C.any():
            break
        graph, into_N = graph.merged(back_C)
        merged_NT = np.zeros_like(shared_NT)
        np.add.at(merged_NT, into_N, shared_NT)
        shared_NT = merged_NT
    features_CK, is_wall_C, weight_C = (np.concatenate(each) for each in zip(*met, strict=True))
    return features_CK, is_wall_C, weight_C * _costs(features_CK, is_wall_C) / len(is_wall_C)


def _costs(features_CK: Floats, is_wall_C: NDArray[np.bool_]) -> Floats:
    """What a wrong answer costs, relative to a wall that was missed."""
    cost_C = np.where(is_wall_C, 1.0, FALSE_CUT_COST)
    large_C = features_CK[:, judge.FEATURES.index("larger_m2")] > np.log2(HALL_M2)
    cost_C[large_C & ~is_wall_C] *= HALL_COST
    if features_CK[:, judge.FEATURES.index("rim")].max(initial=0) < judge.SEES_BORDERS:
        cost_C[~is_wall_C] *= BLIND_COST
    return cost_C


Examples = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Features, whether it is a wall, weight."""


def _together(pool: list[Lesson], decide: Decide | None) -> Examples:
    parts = zip(*(examples(each, decide) for each in pool), strict=True)
    features, is_wall, weight = (np.concatenate(part).astype(np.float32) for part in parts)
    return (
        torch.from_numpy(features),
        torch.from_numpy(is_wall),
        torch.from_numpy(weight / weight.sum()),
    )


# ---------------------------------------------------------------- the network


def trained(pool: list[Lesson], steps: int = 4000, members: int = 5, seed: int = 0) -> judge.Judge:
    """A judge from examples along true decisions, then along its own, twice."""
    torch.manual_seed(seed)
    seen: list[Examples] = [_together(pool, None)]
    mean, spread = seen[0][0].mean(0), seen[0][0].std(0)
    for share in (0, 1):
        so_far = _fitted(seen, mean, spread, steps // 2, 1)
        seen.append(_together(pool[share::2], so_far.log_odds_without_costs))
    return _fitted(seen, mean, spread, steps, members)


def _fitted(
    seen: list[Examples], mean: torch.Tensor, spread: torch.Tensor, steps: int, members: int
) -> judge.Judge:
    features, is_wall, weight = (torch.cat(part) for part in zip(*seen, strict=True))
    features = (features - mean) / spread
    made = [_member(features, is_wall, weight, steps) for _ in range(members)]
    return judge.Judge(mean.double().numpy(), spread.double().numpy(), tuple(made))


def _member(
    features: torch.Tensor, is_wall: torch.Tensor, weight: torch.Tensor, steps: int
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
        some = torch.randint(0, len(is_wall), (8192,))
        each = nn.functional.binary_cross_entropy_with_logits(
            net(features[some])[:, 0], is_wall[some], reduction="none"
        )
        loss = (each * weight[some]).sum() / weight[some].sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        schedule.step()
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    return tuple((_numbers(layer.weight.T), _numbers(layer.bias)) for layer in linear)


def _numbers(tensor: torch.Tensor) -> Floats:
    return tensor.detach().double().numpy()


def as_json(made: judge.Judge) -> str:
    """The judge's file: five digits a number, which is more than it is sure of."""

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


def main() -> None:
    """Train a judge and write its file."""
    parser = argparse.ArgumentParser(description="Train the judge of cuts between buildings.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--blocks", type=int, default=300)
    parser.add_argument("--banepa", type=Path, help="folder with buildings.geojson")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    real = real_blocks(chosen.banepa) if chosen.banepa else []
    pool = list(lessons(chosen.seed, chosen.blocks, real))
    chosen.out.write_text(as_json(trained(pool, seed=chosen.seed)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
