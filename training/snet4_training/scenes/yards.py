"""What surrounds a house: drives, patios, pools, sheds, shrubs, worn ground and clutter."""

from __future__ import annotations

import math

import numpy as np

from snet4_training.scenes import materials as paint
from snet4_training.scenes.maker import Maker
from snet4_training.scenes.street_plan import Block
from snet4_training.scenes.world import Floats, RoofKind


def paving(m: Maker) -> Floats:
    """The reflectance (4,) of one drive or patio: the place's pavement, paler concrete, earth."""
    draw = m.rng.random()
    if draw < 0.5:
        tone = m.season.pavement
    elif draw < 0.8:
        tone = paint.shade_of(m.rng, m.pick("concrete", "concrete", "sand", "pale soil"))
    else:
        tone = m.season.earth
    paved: Floats = (tone * m.rng.uniform(0.75, 1.35)).astype(np.float32)
    return paved


def drive(m: Maker, lot: Block, front: float, inner: float) -> float:
    """A drive from the street at `front` to the house at `inner`; returns its u."""
    rng = m.rng
    u = rng.uniform(lot.u0 + 1.5, max(lot.u1 - 1.5, lot.u0 + 1.6))
    wide = rng.uniform(2.4, 3.4) if m.chance(0.6) else rng.uniform(4.5, 6.5)
    low, high = sorted((front - math.copysign(2.0, inner - front), inner))
    tone = paving(m)
    m.rect(Block(u - wide / 2, u + wide / 2, low, high), tone, rough=0.1, paved=True)
    if m.chance(0.3):  # a path to the door
        door = float(np.clip(u + rng.uniform(-9, 9), lot.u0, lot.u1))
        m.rect(Block(door - 0.5, door + 0.5, low, high), tone, paved=True)
    return float(u)


def patio(m: Maker, u: float, v: float, side: int) -> None:
    """A paved place that begins at (u, v) and reaches away from the street."""
    wide, deep = m.rng.uniform(3, 9), m.rng.uniform(2, 6)
    low, high = sorted((v - side * 1.0, v + side * deep))
    m.rect(Block(u - wide / 2, u + wide / 2, low, high), paving(m), rough=0.1, paved=True)


def pool(m: Maker, u: float, v: float) -> None:
    """A swimming pool in its deck; at times round and above the ground."""
    rng = m.rng
    water = paint.shade_of(rng, "pool", 0.3)
    if m.chance(0.2):
        blob(m, u, v, rng.uniform(1.8, 3.4), water, wobble=0.0)
        return
    half_u, half_v = rng.uniform(2.0, 4.5), rng.uniform(1.3, 2.4)
    rim = rng.uniform(0.6, 3.0)
    deck = paint.shade_of(rng, m.pick("concrete", "light roof", "white roof", "sand"))
    m.rect(Block(u - half_u - rim, u + half_u + rim, v - half_v - rim, v + half_v + rim), deck)
    if m.chance(0.5):
        m.rect(Block(u - half_u, u + half_u, v - half_v, v + half_v), water, rough=0.03)
    else:
        blob(m, u, v, half_v * 1.1, water, wobble=0.2, stretch=half_u / half_v)


def shed(m: Maker, u: float, v: float) -> None:
    """A shed, a garage or a shelter with its own roof."""
    rng = m.rng
    size = (
        (rng.uniform(3.0, 5.0), rng.uniform(2.4, 4.0))
        if m.chance(0.5)
        else (rng.uniform(5.0, 10.0), rng.uniform(4.0, 7.0))
    )
    palette = _PALE if m.chance(0.35) else paint.ROOF_PALETTES["mixed"]
    roof: RoofKind = ("gable", "gable", "flat", "shed")[rng.integers(4)]
    turn = rng.normal(0, 0.1) if m.chance(0.6) else rng.uniform(0, math.pi)
    eave = rng.uniform(2, 3)
    m.building(u, v, turn, *size, "box", eave, roof, paint.roof_colour(rng, palette))


def fence(m: Maker, yard: Block) -> None:
    """A fence around a yard whose ground is its own: as square as a roof, and none."""
    rng = m.rng
    draw = rng.random()
    if draw < 0.55:
        m.lawn(yard)
    elif draw < 0.85:
        bare = m.season.earth * rng.uniform(0.2, 1.0) + m.season.second * rng.uniform(0.2, 0.8)
        m.rect(yard, bare.astype(np.float32), rough=0.12, life=0.4)
    else:
        m.rect(yard, paving(m), rough=0.08)
    tone = paint.shade_of(rng, m.pick("brown roof", "old asphalt", "light roof", "soil"), 0.3)
    high, thick = rng.uniform(1.2, 2.1), rng.uniform(0.15, 0.35)
    u, v = (yard.u0 + yard.u1) / 2, (yard.v0 + yard.v1) / 2
    wide, deep = yard.size
    for at_v in (yard.v0, yard.v1):
        m.box(u, at_v, 0.0, (wide, thick, high), tone)
    for at_u in (yard.u0, yard.u1):
        m.box(at_u, v, math.pi / 2, (deep, thick, high), tone)


def blob(
    m: Maker,
    u: float,
    v: float,
    radius_m: float,
    colour: Floats,
    wobble: float = 0.3,
    stretch: float = 1.0,
    **how: float | bool,
) -> None:
    """A rounded patch of ground around (u, v)."""
    turn = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    phases = m.rng.uniform(0, 6, 2)
    reach = 1 + wobble * np.sin(2 * turn + phases[0]) + wobble * 0.4 * np.sin(5 * turn + phases[1])
    run = radius_m * reach
    ring = [
        m.frame.at(u + stretch * r * math.cos(t), v + r * math.sin(t))
        for r, t in zip(run.tolist(), turn.tolist(), strict=True)
    ]
    m.plan.patch(ring, colour, **how)  # type: ignore[arg-type]


def worn(m: Maker, ground: Block) -> None:
    """Bare, dry or trodden ground, with no straight edge."""
    rng = m.rng
    for _ in range(rng.poisson(m.style.worn * ground.size[0] * ground.size[1] / 300)):
        u, v = rng.uniform(ground.u0, ground.u1), rng.uniform(ground.v0, ground.v1)
        share = rng.uniform(0.2, 0.9)
        tone = (m.season.lawn * (1 - share) + m.season.earth * share) * rng.uniform(0.85, 1.25)
        blob(
            m, u, v, rng.uniform(1.5, 7), tone.astype(np.float32), 0.3, rng.uniform(0.6, 2.2),
            rough=0.15, life=0.3,
        )  # fmt: skip


def clutter(m: Maker, ground: Block) -> None:
    """Trailers, boats, tanks and other things as bright as roofs, but no buildings."""
    rng = m.rng
    for _ in range(rng.poisson(m.style.clutter)):
        u, v = rng.uniform(ground.u0, ground.u1), rng.uniform(ground.v0, ground.v1)
        size = rng.uniform(1.0, 7.0), rng.uniform(0.8, 2.4), rng.uniform(0.5, 2.2)
        m.box(u, v, rng.uniform(0, math.pi), size, paint.shade_of(rng, m.pick(*_THINGS)))


_PALE = ("white roof", "light roof", "tin")
_THINGS = ("white roof", "light roof", "grey roof", "dark roof", "tin", "blue metal", "brown roof")


def shrubs(m: Maker, house: Block) -> None:
    """Small plants along the walls of a house."""
    rng = m.rng
    for _ in range(rng.poisson(2.5)):
        u = rng.uniform(house.u0 - 1.5, house.u1 + 1.5)
        v = float(rng.choice([house.v0 - 1.0, house.v1 + 1.0]))
        m.plan.plant(rng, *m.frame.at(u, v), (0.6, 1.5), m.style.species)


def hedge(m: Maker, u: float, low: float, high: float) -> None:
    """A row of small crowns along a lot's side."""
    kind = (int(m.style.species[0]),)
    for v in np.arange(low, high, 1.8).tolist():
        m.plan.plant(m.rng, *m.frame.at(u, v), (0.9, 1.4), kind)
