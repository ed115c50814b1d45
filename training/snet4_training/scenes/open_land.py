"""Open land: fields, woods, parks, bare lots and water, with many rectangles but no buildings."""

from __future__ import annotations

import math

import numpy as np

from snet4_training.scenes import materials as paint
from snet4_training.scenes.maker import Maker
from snet4_training.scenes.street_plan import Block


def field(m: Maker, block: Block) -> None:
    """Rectangular fields: ploughed, grown or bare."""
    rng = m.rng
    m.rect(block, m.season.ground, rough=0.14, life=0.6)
    if m.chance(0.25):
        _garden_beds(m, block)
        return
    parts = int(rng.integers(1, 5))
    step = block.size[0] / parts
    for i in range(parts):
        name = m.pick(
            "crop", "lush grass", "dry grass", "straw", "soil", "pale soil", "red soil", "grass"
        )
        colour = paint.shade_of(rng, name, 0.3)
        stripes = float(rng.uniform(1.0, 4.0)) if m.chance(0.5) else 0.0
        alive = 0.0 if "soil" in name else 0.7
        part = Block(block.u0 + step * i + 0.6, block.u0 + step * (i + 1) - 0.6, block.v0, block.v1)
        m.rect(part, colour, rough=0.09, life=alive, stripes=stripes)


def _garden_beds(m: Maker, block: Block) -> None:
    """Small plots: rectangles of soil and plants the size of houses."""
    rng = m.rng
    u = block.u0 + 1
    while u < block.u1 - 8:
        wide = rng.uniform(7, 20)
        v = block.v0 + 1
        while v < block.v1 - 8:
            deep = rng.uniform(7, 22)
            if m.chance(0.85):
                name = m.pick("crop", "grass", "soil", "pale soil", "straw", "red soil", "gravel")
                part = Block(u, min(u + wide, block.u1), v, min(v + deep, block.v1))
                m.rect(part.shrunk(0.6), paint.shade_of(rng, name, 0.3), rough=0.12, life=0.4)
            v += deep
        u += wide


def wood(m: Maker, block: Block) -> None:
    """A forest, dense or open."""
    rng = m.rng
    floor = (0.6 * m.season.earth + 0.4 * m.season.lawn).astype(np.float32)
    m.rect(block, (floor * rng.uniform(0.5, 0.9)).astype(np.float32), rough=0.25, life=0.6)
    gap = rng.uniform(4.2, 8.0)
    count_u, count_v = (int(side / gap) for side in block.size)
    species = m.style.species if m.chance(0.5) else (int(m.style.species[0]),)
    # Trees of a closed wood are about equally high, whatever the width of their crowns.
    high_m, crown = rng.uniform(7, 20), rng.uniform(0.5, 1.0)
    for i in range(count_u):
        for j in range(count_v):
            if m.chance(0.9):
                u = block.u0 + (i + rng.random()) * gap
                v = block.v0 + (j + rng.random()) * gap
                radius_m = gap * crown * 0.7, gap * crown * 1.1
                m.plan.plant(rng, *m.frame.at(u, v), radius_m, species, high_m)


def park(m: Maker, block: Block) -> None:
    """Lawn with paths, sport courts, scattered trees."""
    rng = m.rng
    m.lawn(block)
    for _ in range(int(rng.integers(0, 4))):
        long, wide = (36.0, 18.0) if m.chance(0.6) else (rng.uniform(20, 90), rng.uniform(15, 55))
        if long + 4 > block.size[0] or wide + 4 > block.size[1]:
            continue
        u, v = (
            rng.uniform(block.u0 + 2, block.u1 - long - 2),
            rng.uniform(block.v0 + 2, block.v1 - wide - 2),
        )
        name = m.pick("court", "clay court", "blue court", "grass", "lush grass", "soil", "asphalt")
        court = Block(u, u + long, v, v + wide)
        tone = paint.shade_of(rng, name)
        m.rect(court, tone, rough=0.04, paved=True)
        # Painted lines are far narrower than a cell.
        white = (0.75 * tone + 0.25 * paint.shade_of(rng, "white roof")).astype(np.float32)
        inner = court.shrunk(3)
        for line in (
            Block(inner.u0, inner.u1, inner.v0, inner.v0 + 0.6),
            Block(inner.u0, inner.u1, inner.v1 - 0.6, inner.v1),
            Block(inner.u0, inner.u0 + 0.6, inner.v0, inner.v1),
            Block(inner.u1 - 0.6, inner.u1, inner.v0, inner.v1),
            Block(u + long / 2 - 0.3, u + long / 2 + 0.3, inner.v0, inner.v1),
        ):
            m.rect(line, white)
    count = rng.poisson(m.style.tree_density * block.size[0] * block.size[1] / 150)
    m.plan.scatter(rng, m.frame, block, count, m.style.species)


def lot(m: Maker, block: Block) -> None:
    """Bare rectangles, cleared ground, concrete slabs without a house."""
    rng = m.rng
    m.rect(block, m.season.earth, rough=0.2, life=0.3)
    for _ in range(int(rng.integers(1, 7))):
        long, wide = rng.uniform(6, 30), rng.uniform(6, 22)
        if long + 2 > block.size[0] or wide + 2 > block.size[1]:
            continue
        u, v = rng.uniform(block.u0, block.u1 - long), rng.uniform(block.v0, block.v1 - wide)
        name = m.pick("soil", "pale soil", "concrete", "gravel", "old asphalt", "sand", "straw")
        m.rect(Block(u, u + long, v, v + wide), paint.shade_of(rng, name, 0.3), rough=0.12)


def water(m: Maker, block: Block) -> None:
    """A pond or basin."""
    rng = m.rng
    m.lawn(block)
    (u0, v0), (u1, v1) = (block.u0, block.v0), (block.u1, block.v1)
    turn = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    wave = 0.75 + 0.18 * np.sin(2 * turn + rng.uniform(0, 6)) + 0.07 * np.sin(5 * turn)
    square = 0.0 if m.chance(0.7) else 1.0
    ring = [
        m.frame.at(
            (u0 + u1) / 2
            + (u1 - u0)
            / 2
            * (np.clip(1.5 * math.cos(t), -0.9, 0.9) if square else w * math.cos(t)),
            (v0 + v1) / 2
            + (v1 - v0)
            / 2
            * (np.clip(1.5 * math.sin(t), -0.9, 0.9) if square else w * math.sin(t)),
        )
        for t, w in zip(turn.tolist(), wave.tolist(), strict=True)
    ]
    m.plan.patch(ring, paint.shade_of(rng, m.pick("water", "muddy water")), 0.03, 0.0, True)
    m.plan.scatter(rng, m.frame, block, int(rng.integers(0, 30)), m.style.species)
