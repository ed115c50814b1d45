"""Blocks of large buildings: apartments, city blocks, industry, and their parking."""

from __future__ import annotations

import math

import numpy as np

from snet4_training.scenes import materials as paint
from snet4_training.scenes.maker import STOREY_M, Maker
from snet4_training.scenes.street_plan import Block
from snet4_training.scenes.world import RoofKind


def slabs(m: Maker, block: Block) -> None:
    """Apartment buildings and offices among lawns and parking."""
    _slabs(m, block, {2: 0.25, 3: 0.25, 4: 0.2, 5: 0.15, 8: 0.1, 12: 0.05})


def towers(m: Maker, block: Block) -> None:
    """The same, most of them high."""
    _slabs(m, block, {2: 0.14, 3: 0.14, 4: 0.14, 5: 0.18, 8: 0.18, 12: 0.14, 16: 0.08})


def _slabs(m: Maker, block: Block, storeys_shares: dict[int, float]) -> None:
    """`storeys_shares` says how often a block's buildings have so many storeys."""
    rng = m.rng
    m.lawn(block)
    rows = max(1, int(block.size[1] / rng.uniform(32, 48)))
    columns = max(1, int(block.size[0] / rng.uniform(45, 75)))
    storeys = float(rng.choice(list(storeys_shares), p=list(storeys_shares.values())))
    colour = paint.roof_colour(rng, paint.FLAT_PALETTE)
    wall = paint.wall_colour(rng, colour)
    flat = m.chance(0.65)
    step_u, step_v = block.size[0] / columns, block.size[1] / rows
    for i in range(columns):
        for j in range(rows):
            u, v = block.u0 + step_u * (i + 0.5), block.v0 + step_v * (j + 0.5)
            if m.chance(0.18):
                parking(
                    m,
                    Block(u - step_u * 0.4, u + step_u * 0.4, v - step_v * 0.35, v + step_v * 0.35),
                )
                continue
            length = step_u * rng.uniform(0.55, 0.85)
            width = min(step_v * rng.uniform(0.35, 0.6), rng.uniform(11, 22))
            kind = m.pick("box", "box", "L", "T", "steps", "plus", "U")
            if kind in ("L", "U", "plus"):
                width = step_v * 0.7
            roof: RoofKind = "flat" if flat else ("hip", "gable")[rng.integers(2)]
            tone = colour if m.chance(0.7) else paint.roof_colour(rng, paint.FLAT_PALETTE)
            height = STOREY_M * max(1.0, storeys + rng.normal(0, 0.5))
            m.building(u, v, 0.0, length, width, kind, height, roof, tone, wall)
    m.plan.scatter(
        rng, m.frame, block,
        rng.poisson(m.style.tree_density * block.size[0] * block.size[1] / 200),
        m.style.species,
    )  # fmt: skip


def halls(m: Maker, block: Block) -> None:
    """Industry and shops: large low roofs, yards with trucks and containers."""
    rng = m.rng
    yard = paint.shade_of(rng, m.pick("old asphalt", "asphalt", "concrete", "gravel", "soil"))
    m.rect(block, yard, rough=0.12)
    length_u, length_v = block.size
    columns = max(1, int(length_u / rng.uniform(60, 130)))
    step = length_u / columns
    for i in range(columns):
        u0 = block.u0 + step * i
        if m.chance(0.15):
            parking(m, Block(u0 + 3, u0 + step - 3, block.v0 + 4, block.v1 - 4))
            continue
        length, width = step * rng.uniform(0.5, 0.88), length_v * rng.uniform(0.35, 0.75)
        roof: RoofKind = ("flat", "flat", "flat", "gable", "sawtooth", "shed", "vault")[
            rng.integers(7)
        ]
        colour = paint.roof_colour(rng, paint.FLAT_PALETTE)
        kind = m.pick("box", "box", "L", "steps", "T", "U")
        at = block.v0 + 3 + width / 2 + rng.uniform(0, 1) * (length_v - width - 6)
        m.building(
            u0 + step / 2, at, 0.0, length, width, kind, rng.uniform(4.5, 12), roof, colour,
            pitch=rng.uniform(0.06, 0.2),
        )  # fmt: skip
        free = Block(u0 + 2, u0 + step - 2, at + width / 2 + 4, block.v1 - 2)
        if free.size[1] > 16 and m.chance(0.6):
            parking(m, free)
        elif free.size[1] > 6:
            for _ in range(int(rng.integers(0, 14))):
                size = (rng.uniform(6, 14), 2.5, rng.uniform(2.5, 4))
                tone = paint.roof_colour(rng, paint.ROOF_PALETTES["mixed"])
                where = rng.uniform(free.u0, free.u1), rng.uniform(free.v0 + 2, free.v1 - 2)
                m.box(*where, float(rng.choice([0, math.pi / 2])), size, tone)
    m.plan.scatter(rng, m.frame, block, int(rng.integers(0, 12)), m.style.species, (1.0, 3.0))


def perimeter(m: Maker, block: Block) -> None:
    """A perimeter block: tall attached buildings around a courtyard, or one large one."""
    _perimeter(m, block, 4.5, 1.5)


def high_perimeter(m: Maker, block: Block) -> None:
    """The same, higher."""
    _perimeter(m, block, 6.0, 2.5)


def _perimeter(m: Maker, block: Block, storeys: float, spread: float) -> None:
    """`storeys` is the mean over blocks, `spread` their standard deviation."""
    rng = m.rng
    m.rect(block, m.season.pavement, rough=0.1)
    length_v = block.size[1]
    storeys = max(2.0, rng.normal(storeys, spread))
    u = block.u0
    while u < block.u1 - 6:
        wide = min(rng.uniform(14, 38), block.u1 - u)
        height = STOREY_M * min(max(2.0, storeys + rng.normal(0, 1.2)), 15)
        kind = m.pick("box", "court", "U", "box") if wide > 18 else "box"
        roof: RoofKind = ("flat", "flat", "hip", "gable")[rng.integers(4)]
        colour = paint.roof_colour(rng, (*paint.FLAT_PALETTE, *m.style.palette))
        deep = length_v * (1.0 if kind in ("court", "U") else rng.uniform(0.6, 1.0))
        at = block.v0 + deep / 2
        m.building(u + wide / 2, at, 0.0, wide, deep, kind, height, roof, colour, pitch=0.35)
        u += wide + (rng.uniform(2, 8) if m.chance(0.15) else 0)


def parking(m: Maker, block: Block) -> None:
    """A car park with painted bays and rows of cars: rectangular, but not a building."""
    rng = m.rng
    floor = paint.shade_of(rng, m.pick("asphalt", "old asphalt", "concrete"))
    m.rect(block, floor, rough=0.1, paved=True)
    full = rng.uniform(0.0, 1.0) ** 2
    v = block.v0 + 3
    # A painted line is a third of a cell wide.
    lines = (0.65 * floor + 0.35 * paint.shade_of(rng, "white roof")).astype(np.float32)
    while v < block.v1 - 3:
        u = block.u0 + 1.5
        while u < block.u1 - 1.5:
            if m.chance(full):
                m.car(u, v, math.pi / 2 + rng.normal(0, 0.04))
            elif m.chance(0.5):
                m.rect(Block(u - 1.5, u - 1.0, v - 2.4, v + 2.4), lines)
            u += 2.7
        v += 5.5 if m.chance(0.5) else 11.0
