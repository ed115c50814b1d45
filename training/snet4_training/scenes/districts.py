"""What fills a block between streets, by the kind of district."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snet4_training.scenes import materials as paint
from snet4_training.scenes.plan import Block, Frame, Plan
from snet4_training.scenes.shapes import irregular, structure, wings
from snet4_training.scenes.world import Box, Floats, RoofKind

STOREY_M = 3.0


@dataclass(frozen=True, slots=True)
class Style:
    """What the buildings and gardens of one place have in common."""

    palette: tuple[str, ...]
    roofs: tuple[RoofKind, ...]
    pitch: float
    tree_density: float
    """Trees per 100 m2 of garden."""
    lot_m: float
    house_m: tuple[float, float]
    """Typical length and width of a house."""
    storeys: float
    tidy: float
    """1: everything stands square to the street; 0: anyhow."""
    species: tuple[int, ...]


@dataclass(slots=True)
class Maker:
    """The hands that plan: everything a filler needs."""

    rng: np.random.Generator
    plan: Plan
    frame: Frame
    season: paint.Season
    style: Style

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return bool(self.rng.random() < share)

    def pick(self, *names: str) -> str:
        """One of the names."""
        return names[self.rng.integers(len(names))]

    def rect(self, block: Block, colour: Floats, **how: float | bool) -> None:
        """Cover a rectangle of street coordinates."""
        outline = self.frame.outline(block.u0, block.u1, block.v0, block.v1)
        self.plan.patch(outline, colour, **how)  # type: ignore[arg-type]

    def lawn(self, block: Block) -> None:
        """Garden ground, each its own shade."""
        colour = self.season.lawn * np.exp(self.rng.normal(0, 0.13))
        if self.chance(0.2):
            colour = self.season.earth * np.exp(self.rng.normal(0, 0.15))
            self.rect(block, colour.astype(np.float32), rough=0.12, life=0.2)
        else:
            self.rect(block, colour.astype(np.float32), rough=0.14, life=1.0)

    def building(
        self,
        u: float,
        v: float,
        turn: float,
        length: float,
        width: float,
        kind: str,
        eave_m: float,
        roof: RoofKind,
        colour: Floats,
        wall: Floats | None = None,
        pitch: float | None = None,
    ) -> None:
        """Put up a building at (u, v), turned against the street."""
        x, y = self.frame.at(u, v)
        angle = self.frame.heading(u, v) + turn
        parts = wings(self.rng, x, y, angle, length, width, kind)
        if wall is None:
            wall = paint.wall_colour(self.rng, colour)
        if pitch is None:
            pitch = self.style.pitch * self.rng.uniform(0.7, 1.3)
        deepest = max(min(length, width) / 2, 1.0)
        pitch = min(pitch, self.rng.uniform(2.2, 4.5) / deepest)
        made = structure(parts, eave_m, roof, 0.0 if roof == "flat" else pitch, colour, wall)
        if made.outline.area >= 6:
            self.plan.structures.append(made)

    def box(
        self, u: float, v: float, turn: float, size: tuple[float, float, float], c: Floats
    ) -> None:
        """Put down a car or the like: length, width, height in metres."""
        x, y = self.frame.at(u, v)
        angle = self.frame.heading(u, v) + turn
        self.plan.boxes.append(Box(x, y, *size, angle, c))

    def car(self, u: float, v: float, turn: float) -> None:
        """A parked car, sometimes a van."""
        grey = float(self.rng.choice([0.03, 0.06, 0.12, 0.25, 0.45, 0.7]))
        colour = np.full(4, grey, dtype=np.float32)
        if self.chance(0.3):
            colour = colour * np.exp(self.rng.normal(0, 0.5, 4)).astype(np.float32)
        length = self.rng.uniform(3.8, 5.2) if self.chance(0.9) else self.rng.uniform(6, 9)
        self.box(u, v, turn, (length, 1.9, 1.5 if length < 5.5 else 2.6), colour)


def houses(m: Maker, block: Block) -> None:
    """Detached houses in two rows, fronts to the streets along u."""
    rng, style = m.rng, m.style
    m.lawn(block)
    length_u, length_v = block.size
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
    """One garden with its house, drive, shed, pool and trees."""
    rng, style = m.rng, m.style
    lot = u1 - u0
    near, far = sorted((front, front + side * depth))
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
    kind = m.pick("box", "box", "box", "box", "L", "L", "T", "plus", "steps", "U")
    roof: RoofKind = style.roofs[rng.integers(len(style.roofs))]
    drive_u = u0 + rng.uniform(1.5, max(lot - 1.5, 1.6))
    drive = (m.season.pavement * rng.uniform(0.7, 1.3)).astype(np.float32)
    inner = front + side * (setback + 1.0)
    low, high = sorted((front - side * 1.5, inner))
    m.rect(Block(drive_u - 1.4, drive_u + rng.uniform(1.2, 3.0), low, high), drive, paved=True)
    if m.chance(0.35):
        patio = front + side * (setback + width + rng.uniform(1, 4))
        low, high = sorted((v, patio))
        m.rect(Block(u - length * 0.3, u + length * 0.25, low, high), drive, paved=True)
    eave = STOREY_M * max(0.85, rng.normal(style.storeys, 0.5))
    colour = paint.roof_colour(rng, style.palette)
    m.building(u, v, turn, length, width, kind, eave, roof, colour)
    if m.chance(0.4):
        m.car(drive_u, (front + inner) / 2, math.pi / 2)
    back = depth - setback - width
    if back > 9 and m.chance(0.4):
        shed = rng.uniform(3.0, 7.5), rng.uniform(3.0, 5.0)
        at = front + side * (depth - rng.uniform(0.5, 2) - max(shed) / 2)
        tone = paint.roof_colour(rng, paint.ROOF_PALETTES["mixed"])
        roof2: RoofKind = ("gable", "flat", "shed")[rng.integers(3)]
        edge_u = rng.uniform(u0 + 4, max(u1 - 4, u0 + 4.1))
        m.building(edge_u, at, rng.normal(0, 0.1), *shed, "box", rng.uniform(2, 3), roof2, tone)
    if back > 10 and m.chance(0.12):
        tone = paint.shade_of(rng, "pool")
        at = front + side * (setback + width + 5)
        m.rect(Block(u - 4, u + rng.uniform(2, 5), at - 2.2, at + 2.2), m.season.pavement)
        m.rect(Block(u - 3, u + rng.uniform(1, 4), at - 1.6, at + 1.6), tone, rough=0.03)
    m.plan.scatter(
        rng, m.frame, ground, rng.poisson(style.tree_density * lot * depth / 100), style.species
    )


def narrow(m: Maker, block: Block) -> None:
    """Old city lots: narrow deep houses a step apart, garages along an alley behind."""
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
    length_u, length_v = block.size
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


def slabs(m: Maker, block: Block) -> None:
    """Apartment buildings and offices among lawns and parking."""
    rng = m.rng
    m.lawn(block)
    rows = max(1, int(block.size[1] / rng.uniform(32, 48)))
    columns = max(1, int(block.size[0] / rng.uniform(45, 75)))
    storeys = float(rng.choice([2, 3, 4, 5, 8, 12], p=[0.25, 0.25, 0.2, 0.15, 0.1, 0.05]))
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
        rng, m.frame, block, rng.poisson(m.style.tree_density * block.size[0] * block.size[1] / 200),
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


def warren(m: Maker, block: Block) -> None:
    """A dense settlement without plan: small irregular roofs that touch."""
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


def perimeter(m: Maker, block: Block) -> None:
    """A city block: tall buildings wall to wall around a court, or one large one."""
    rng = m.rng
    m.rect(block, m.season.pavement, rough=0.1)
    length_u, length_v = block.size
    storeys = max(2.0, rng.normal(4.5, 1.5))
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
    """Asphalt with painted bays and rows of cars: no building, though rectangular."""
    rng = m.rng
    m.rect(block, paint.shade_of(rng, m.pick("asphalt", "old asphalt", "concrete")), paved=True)
    full = rng.uniform(0.0, 1.0) ** 2
    v = block.v0 + 3
    lines = paint.shade_of(rng, "white roof")
    while v < block.v1 - 3:
        u = block.u0 + 1.5
        while u < block.u1 - 1.5:
            if m.chance(full):
                m.car(u, v, math.pi / 2 + rng.normal(0, 0.04))
            elif m.chance(0.5):
                m.rect(Block(u - 1.35, u - 1.2, v - 2.4, v + 2.4), lines)
            u += 2.7
        v += 5.5 if m.chance(0.5) else 11.0


def field(m: Maker, block: Block) -> None:
    """Fields cut into rectangles, ploughed, grown or bare."""
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
    for i in range(count_u):
        for j in range(count_v):
            if m.chance(0.85):
                u = block.u0 + (i + rng.random()) * gap
                v = block.v0 + (j + rng.random()) * gap
                m.plan.plant(rng, *m.frame.at(u, v), (gap * 0.4, gap * 0.85), species)


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
        m.rect(court, paint.shade_of(rng, name), rough=0.04, paved=True)
        white = paint.shade_of(rng, "white roof")
        inner = court.shrunk(3)
        for line in (
            Block(inner.u0, inner.u1, inner.v0, inner.v0 + 0.3),
            Block(inner.u0, inner.u1, inner.v1 - 0.3, inner.v1),
            Block(inner.u0, inner.u0 + 0.3, inner.v0, inner.v1),
            Block(inner.u1 - 0.3, inner.u1, inner.v0, inner.v1),
            Block((u * 2 + long) / 2 - 0.15, (u * 2 + long) / 2 + 0.15, inner.v0, inner.v1),
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


FILLERS = {
    "houses": houses, "terraces": terraces, "slabs": slabs, "halls": halls, "warren": warren,
    "perimeter": perimeter, "narrow": narrow,
    "parking": parking, "field": field, "wood": wood, "park": park,
    "lot": lot, "water": water,
}  # fmt: skip
