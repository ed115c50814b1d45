"""Residential blocks: detached, narrow and attached houses, and unplanned settlements."""

from __future__ import annotations

import math

import numpy as np

from snet4_training.scenes import materials as paint
from snet4_training.scenes import yards
from snet4_training.scenes.floor_plans import irregular
from snet4_training.scenes.maker import STOREY_M, Maker
from snet4_training.scenes.street_plan import Block
from snet4_training.scenes.world import RoofKind


def houses(m: Maker, block: Block) -> None:
    """Detached houses in two rows, fronts to the streets along u."""
    rng, style = m.rng, m.style
    m.lawn(block)
    length_v = block.size[1]
    rows = 2 if length_v > 34 else 1
    for row in range(rows):
        side = 1 if row == 0 else -1
        front = block.v0 if row == 0 else block.v1
        depth = length_v / rows
        u = block.u0 + rng.uniform(0, 3)
        while u + style.lot_m * 0.75 < block.u1:
            lot = style.lot_m * rng.uniform(0.8, 1.35)
            lot = min(lot, block.u1 - u)
            _lot(m, u, u + lot, front, side, depth)
            u += lot


def _lot(m: Maker, u0: float, u1: float, front: float, side: int, depth: float) -> None:
    """One garden with its house, what stands around it, and trees."""
    rng, style = m.rng, m.style
    lot = u1 - u0
    far_side = front + side * depth
    near, far = sorted((front, far_side))
    ground = Block(u0, u1, near, far)
    if m.chance(0.45):
        m.lawn(ground)
    if m.chance(0.3):
        edge = (m.season.pavement * rng.uniform(0.6, 1.3)).astype(np.float32)
        m.rect(Block(u0 - 0.25, u0 + 0.25, near, far), edge)
    if m.chance(0.05):
        m.plan.scatter(rng, m.frame, ground, int(ground.size[0] * depth / 60), style.species)
        return
    length = min(style.house_m[0] * rng.uniform(0.75, 1.3), lot - 2.2)
    width = min(style.house_m[1] * rng.uniform(0.75, 1.3), depth * 0.6)
    if length < 4 or width < 4:
        return
    setback = (
        min(rng.uniform(3, 9), max(depth - width - 1.5, 0.5))
        if style.tidy > 0.3
        else (rng.uniform(0.5, max(depth - width - 1, 1)))
    )
    u = (u0 + u1) / 2 + rng.uniform(-0.5, 0.5) * max(lot - length - 2, 0)
    v = front + side * (setback + width / 2)
    turn = rng.normal(0, 0.25 * (1 - style.tidy)) + (
        math.pi / 2 if m.chance(0.25) and lot - 2.2 > width and depth > length + 6 else 0.0
    )
    kind = m.pick(*style.plans)
    roof: RoofKind = style.roofs[rng.integers(len(style.roofs))]
    inner = front + side * (setback + 1.0)
    drive_u = yards.drive(m, ground, front, inner)
    yards.worn(m, ground)
    behind = front + side * (setback + width)
    if m.chance(style.fenced):
        yards.fence(m, Block(u0, u1, *sorted((behind - side * width * 0.4, far_side))))
    if m.chance(0.35):
        yards.patio(m, u + rng.uniform(-0.3, 0.3) * length, behind, side)
    eave = STOREY_M * max(0.85, rng.normal(style.storeys, 0.5))
    colour = paint.roof_colour(rng, style.palette)
    m.building(u, v, turn, length, width, kind, eave, roof, colour, porch=0.2)
    if m.chance(0.4):
        m.car(drive_u, (front + inner) / 2, math.pi / 2)
    back = depth - setback - width
    if back > 9 and m.chance(style.sheds):
        at = front + side * (depth - rng.uniform(3, 6))
        yards.shed(m, rng.uniform(u0 + 4, max(u1 - 4, u0 + 4.1)), at)
    if back > 10 and m.chance(style.pools):
        yards.pool(m, u + rng.uniform(-3, 3), behind + side * 5)
    yards.clutter(m, ground)
    if m.chance(0.6):
        yards.shrubs(m, Block(u - length / 2, u + length / 2, v - width / 2, v + width / 2))
    if m.chance(0.12):
        yards.hedge(m, u0, near, far)
    m.plan.scatter(
        rng, m.frame, ground, rng.poisson(style.tree_density * lot * depth / 100), style.species
    )


def narrow(m: Maker, block: Block) -> None:
    """Old city lots: narrow, deep houses close together, garages along a back alley."""
    rng, style = m.rng, m.style
    m.lawn(block)
    lot = rng.uniform(7.5, 12.5)
    deep = min(rng.uniform(13, 22), block.size[1] * 0.36)
    setback = rng.uniform(2, 6)
    middle = (block.v0 + block.v1) / 2
    if m.chance(0.8):
        m.rect(Block(block.u0, block.u1, middle - 2, middle + 2), m.season.pavement, paved=True)
    roof: RoofKind = style.roofs[rng.integers(len(style.roofs))]
    garage = paint.roof_colour(rng, style.palette)
    for side in (1, -1):
        front = block.v0 if side == 1 else block.v1
        for u in np.arange(block.u0 + lot / 2, block.u1 - lot / 2, lot).tolist():
            m.lawn(Block(u - lot / 2, u + lot / 2, *sorted((front, middle - side * 3))))
            if m.chance(0.07):
                continue
            wide = lot - rng.uniform(0.8, 3.0)
            own = deep * rng.uniform(0.75, 1.15)
            colour = paint.roof_colour(rng, style.palette)
            eave = STOREY_M * max(1.0, rng.normal(style.storeys, 0.4))
            own_roof = roof if m.chance(0.75) else style.roofs[rng.integers(len(style.roofs))]
            at = front + side * (setback + own / 2 + rng.normal(0, 0.5))
            m.building(
                u, at, math.pi / 2, own, wide, m.pick("box", "box", "steps"), eave, own_roof, colour
            )
            if m.chance(0.7) and block.size[1] / 2 > setback + own + 13:
                size = rng.uniform(5, 7.5), rng.uniform(4.5, 6.5)
                tone = garage if m.chance(0.4) else paint.roof_colour(rng, style.palette)
                kind: RoofKind = ("hip", "gable", "flat")[rng.integers(3)]
                at = middle - side * (2.6 + size[0] / 2)
                m.building(
                    u + rng.uniform(-0.8, 0.8), at, math.pi / 2, *size, "box", 2.6, kind, tone
                )
    count = rng.poisson(style.tree_density * block.size[0] * block.size[1] / 130)
    m.plan.scatter(rng, m.frame, block, count, style.species, (1.2, 4.5))


def terraces(m: Maker, block: Block) -> None:
    """Attached houses in rows that share walls, yards behind."""
    rng, style = m.rng, m.style
    m.rect(block, (m.season.pavement * rng.uniform(0.7, 1.2)).astype(np.float32), rough=0.12)
    length_v = block.size[1]
    deep = min(rng.uniform(8, 13), length_v * 0.42)
    if length_v > 2 * deep + 4:
        m.lawn(Block(block.u0, block.u1, block.v0 + deep + 1, block.v1 - deep - 1))
    whole_colour = paint.roof_colour(rng, style.palette)
    same_roof = m.chance(0.5)
    roof: RoofKind = style.roofs[rng.integers(len(style.roofs))]
    if roof == "hip":
        roof = "gable"
    for side in (1, -1):
        u = block.u0 + rng.uniform(0, 4)
        storeys = max(1.0, style.storeys + rng.normal(0.4, 0.4))
        while u < block.u1 - 4:
            wide = min(rng.uniform(5, 11), block.u1 - u)
            if m.chance(0.08) or wide < 4:
                u += wide
                continue
            own = deep * (1 if same_roof else rng.uniform(0.75, 1.1))
            colour = whole_colour if same_roof else paint.roof_colour(rng, style.palette)
            colour = (colour * np.exp(rng.normal(0, 0.06))).astype(np.float32)
            eave = STOREY_M * (storeys if same_roof else max(1.0, storeys + rng.normal(0, 0.8)))
            centre_v = (block.v0 + own / 2) if side == 1 else (block.v1 - own / 2)
            own_roof: RoofKind = roof if m.chance(0.8) else "flat"
            m.building(u + wide / 2, centre_v, 0.0, wide, own, "box", eave, own_roof, colour)
            if m.chance(0.35) and length_v > 2 * deep + 12:
                back_v = centre_v + side * (own / 2 + 2.0)
                m.building(
                    u + wide * 0.3, back_v, 0.0, wide * 0.5, 4.0, "box", 3.0, "flat",
                    paint.roof_colour(rng, paint.FLAT_PALETTE),
                )  # fmt: skip
            u += wide
    inner = block.shrunk(deep)
    if min(inner.size) > 3:
        count = rng.poisson(style.tree_density * inner.size[0] * inner.size[1] / 120)
        m.plan.scatter(rng, m.frame, inner, count, style.species, (1.0, 3.5))


def warren(m: Maker, block: Block) -> None:
    """A dense unplanned settlement: small irregular roofs that touch."""
    rng = m.rng
    m.rect(block, m.season.earth, rough=0.16, life=0.1)
    target = m.style.lot_m * m.style.house_m[1] * 0.8
    gap = m.chance(0.5)

    def split(part: Block) -> None:
        length_u, length_v = part.size
        if length_u * length_v > target * rng.uniform(0.8, 2.2) and max(part.size) > 5:
            share = rng.uniform(0.35, 0.65)
            if length_u > length_v * rng.uniform(0.8, 1.2):
                cut = part.u0 + share * length_u
                split(Block(part.u0, cut, part.v0, part.v1))
                split(Block(cut, part.u1, part.v0, part.v1))
            else:
                cut = part.v0 + share * length_v
                split(Block(part.u0, part.u1, part.v0, cut))
                split(Block(part.u0, part.u1, cut, part.v1))
            return
        _hut(m, part, gap)

    split(block)


def _hut(m: Maker, part: Block, gap: bool) -> None:
    """One house of a dense settlement, or the yard or garden in its place."""
    rng = m.rng
    if min(part.size) < 3 or m.chance(0.12):
        m.plan.scatter(rng, m.frame, part, rng.poisson(0.8), m.style.species, (0.8, 2.5))
        return
    inset = rng.uniform(0.15, 1.2) if gap else rng.choice([0.0, 0.0, 0.0, 0.4, 1.0])
    own = part.shrunk(float(min(inset, min(part.size) / 4)))
    wobble = 0.5 * (1 - m.style.tidy) if gap else 0.0
    ring = [
        m.frame.at(u + rng.normal(0, wobble), v + rng.normal(0, wobble))
        for u, v in ((own.u0, own.v0), (own.u1, own.v0), (own.u1, own.v1), (own.u0, own.v1))
    ]
    colour = paint.roof_colour(rng, m.style.palette)
    roof: RoofKind = ("flat", "flat", "flat", "shed", "gable")[rng.integers(5)]
    eave = STOREY_M * max(0.9, rng.normal(m.style.storeys, 0.9))
    made = irregular(ring, eave, roof, colour, paint.wall_colour(rng, colour))
    if made is not None:
        m.plan.structures.append(made)
