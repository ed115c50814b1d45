"""Makes random places: plans them, draws their rasters and lights them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
from shapely import affinity
from shapely.geometry import Polygon, box

from snet4_training.scenes import materials as paint
from snet4_training.scenes.canvas import Canvas, ground
from snet4_training.scenes.districts import FILLERS
from snet4_training.scenes.floor_plans import largest_polygon
from snet4_training.scenes.light import lit, shadow_ceiling
from snet4_training.scenes.maker import Maker, Style
from snet4_training.scenes.plants import park_all, plant_all
from snet4_training.scenes.roofs import raise_structure
from snet4_training.scenes.street_plan import Block, Frame, Groves, Plan
from snet4_training.scenes.world import Building, Facades, Floats, Place, RoofKind, Structure, Sun

MARGIN_PX = 90
"""45 m at 0.5 m: a 30 m tower out there still leans into the tile at 55 degrees."""

KINDS: dict[str, dict[str, float]] = {
    "suburb": {
        "houses": 0.84,
        "park": 0.05,
        "wood": 0.05,
        "field": 0.03,
        "slabs": 0.02,
        "lot": 0.01,
    },
    "city lots": {"narrow": 0.82, "park": 0.05, "slabs": 0.05, "parking": 0.04, "perimeter": 0.04},
    "wooded suburb": {"houses": 0.6, "wood": 0.3, "park": 0.05, "water": 0.02, "lot": 0.03},
    "town": {
        "terraces": 0.6,
        "perimeter": 0.12,
        "slabs": 0.1,
        "houses": 0.1,
        "park": 0.05,
        "parking": 0.03,
    },
    "apartments": {
        "slabs": 0.62,
        "parking": 0.08,
        "houses": 0.12,
        "park": 0.1,
        "halls": 0.05,
        "lot": 0.03,
    },
    "centre": {"perimeter": 0.7, "slabs": 0.15, "parking": 0.07, "park": 0.08},
    "high-rise": {
        "towers": 0.4,
        "high perimeter": 0.35,
        "parking": 0.08,
        "park": 0.09,
        "houses": 0.05,
        "halls": 0.03,
    },
    "industry": {
        "halls": 0.72,
        "parking": 0.08,
        "lot": 0.08,
        "field": 0.06,
        "slabs": 0.03,
        "water": 0.03,
    },
    "village": {"houses": 0.3, "field": 0.4, "wood": 0.2, "lot": 0.05, "water": 0.05},
    "informal": {"warren": 0.84, "field": 0.06, "lot": 0.05, "park": 0.02, "houses": 0.03},
    "country": {
        "field": 0.5,
        "wood": 0.3,
        "houses": 0.06,
        "water": 0.07,
        "lot": 0.05,
        "park": 0.02,
    },
}
"""Which fillers a kind of district uses, and how often."""

_SHARES = {
    "suburb": 0.22,
    "city lots": 0.1, "wooded suburb": 0.12, "town": 0.1, "apartments": 0.1, "centre": 0.06,
    "industry": 0.09, "village": 0.08, "informal": 0.1, "country": 0.03,
}  # fmt: skip
"""How often a place is of a kind where none is asked for; high-rises are made on demand alone."""

_BLOCKS_M = {
    "city lots": (90, 200, 62, 92),
    "suburb": (90, 220, 48, 82), "wooded suburb": (100, 240, 60, 110), "town": (60, 140, 36, 62),
    "apartments": (90, 190, 70, 130), "high-rise": (70, 160, 50, 110),
    "centre": (60, 130, 40, 80), "industry": (120, 260, 70, 150),
    "village": (90, 220, 60, 140), "informal": (25, 70, 18, 45), "country": (120, 300, 100, 260),
}  # fmt: skip
"""Shortest and longest block along u, then along v."""


def make_sun(rng: np.random.Generator) -> Sun:
    """A random sun, mostly in the south, as over most land at the time of the overpass."""
    azimuth = rng.normal(160, 25) if rng.random() < 0.8 else rng.uniform(0, 360)
    sky = rng.uniform(0.18, 0.55)
    tint = np.array([1.45, 1.1, 0.88, 0.62]) ** rng.uniform(0.6, 1.2)
    ambient = np.clip(sky * tint, 0.03, 0.8).astype(np.float32)
    return Sun(float(azimuth % 360), float(rng.uniform(26, 68)), ambient)


_PALETTES = (*["american"] * 4, "tiles", "desert", "dark", "mixed", "tin", "nepal")
"""Palettes of roofs, as often as each is named."""

_LEAFY = {"suburb": 0.6, "wooded suburb": 0.95, "village": 0.6, "city lots": 0.35, "country": 0.6}
"""Share of the places where large trees stand over the houses; elsewhere `_SOME_LEAFY`."""
_SOME_LEAFY = 0.2


def style_of(rng: np.random.Generator, kind: str) -> Style:
    """What the houses and gardens of a place of this kind have in common, drawn at random."""
    poor = kind == "informal"
    name = ("nepal", "tin")[rng.random() < 0.4] if poor else _PALETTES[rng.integers(10)]
    sets: tuple[tuple[RoofKind, ...], ...] = (
        ("gable", "hip", "gable", "hip", "flat"),
        ("gable", "gable", "gable", "hip", "shed"),
        ("hip", "hip", "gable"),
        ("flat", "flat", "gable", "shed"),
    )
    large = rng.uniform(0.8, 1.7)
    lot = float(rng.uniform(14, 30)) if kind != "wooded suburb" else float(rng.uniform(20, 42))
    leafy = rng.random() < _LEAFY.get(kind, _SOME_LEAFY)
    density = rng.choice([0.7, 1.2, 1.8]) if leafy else rng.choice([0.08, 0.3, 0.7])
    tidy = float(rng.choice([0.95, 0.8, 0.4, 0.1], p=[0.45, 0.3, 0.15, 0.1]))
    style = Style(
        palette=tuple(rng.choice(paint.ROOF_PALETTES[name], int(rng.integers(3, 9)))),
        roofs=sets[rng.integers(4)],
        pitch=float(rng.uniform(0.25, 0.85)),
        tree_density=float(density),
        lot_m=float(rng.uniform(6, 11)) if poor else lot,
        house_m=(float(13 * large), float(rng.uniform(7, 13)) if poor else float(9.5 * large)),
        storeys=float(rng.choice([1.0, 1.0, 1.4, 2.0, 2.6]))
        if not poor
        else float(rng.uniform(1.0, 3.4)),
        tidy=tidy,
        species=tuple(int(i) for i in rng.integers(0, 4, 3)),
        crown=float(rng.uniform(1.2, 1.9)) if leafy else float(rng.uniform(0.8, 1.3)),
        sheds=float(rng.choice([0.15, 0.4, 0.6])),
        pools=float(rng.choice([0.0, 0.08, 0.3])),
        worn=float(rng.choice([0.0, 0.5, 1.5])),
        clutter=float(rng.uniform(0, 0.5) if tidy > 0.5 else rng.uniform(0.3, 1.5)),
        fenced=float(rng.choice([0.0, 0.3, 0.8])),
    )
    if kind in ("suburb", "wooded suburb") and rng.random() < 0.4:
        return _tract(rng, style)
    if kind in ("suburb", "wooded suburb", "village") and rng.random() < 0.1:
        return _mobile(rng, style)
    return style


def _groves(rng: np.random.Generator) -> Groves | None:
    """Wooded parts 40 to 140 m wide in most places."""
    wave, phase = rng.uniform(12, 45, 2), rng.uniform(0, 6, 2)
    if rng.random() < 0.3:
        return None
    return Groves((float(wave[0]), float(wave[1])), (float(phase[0]), float(phase[1])))


def _tract(rng: np.random.Generator, style: Style) -> Style:
    """The same place built by one hand: large houses under roofs of many slopes, all of one or two
    colours, on lots that they fill."""
    name = ("tiles", "desert", "american", "dark")[rng.integers(4)]
    house_m = (float(rng.uniform(14, 21)), float(rng.uniform(12, 17)))
    return replace(
        style,
        palette=tuple(rng.choice(paint.ROOF_PALETTES[name], int(rng.integers(1, 4)))),
        roofs=("hip", "hip", "hip", "gable"),
        plans=(*["villa"] * 5, "L", "T", "box"),
        pitch=float(rng.uniform(0.35, 0.7)),
        tree_density=float(rng.choice([0.15, 0.4, 0.8])),
        lot_m=house_m[0] * float(rng.uniform(1.1, 1.4)),
        house_m=house_m,
        tidy=float(rng.choice([0.95, 0.8])),
        pools=float(rng.choice([0.05, 0.3, 0.6])),
        fenced=float(rng.choice([0.2, 0.9])),
    )


def _mobile(rng: np.random.Generator, style: Style) -> Style:
    """The same place with mobile homes: long, narrow, low, often under white metal."""
    return replace(
        style,
        palette=("white roof", "light roof", "tin", "grey roof", "stained roof", "brown roof"),
        roofs=("gable", "gable", "flat"),
        pitch=float(rng.uniform(0.12, 0.3)),
        house_m=(float(rng.uniform(14, 20)), float(rng.uniform(4.3, 7.5))),
        storeys=1.0,
    )


def _cuts(rng: np.random.Generator, reach: float, short: float, long: float) -> list[float]:
    """Where streets run, from -reach to +reach, blocks of a length typical for the place."""
    typical = rng.uniform(short, long)
    cuts = [-reach - rng.uniform(0, typical)]
    while cuts[-1] < reach:
        cuts.append(cuts[-1] + min(max(typical * rng.uniform(0.75, 1.3), short * 0.8), long * 1.2))
    return cuts


def make_plan(
    rng: np.random.Generator, kind: str, season: paint.Season, side_m: float, margin_m: float
) -> Plan:
    """Streets and blocks of one kind of district over the tile and its margin, in metres."""
    reach = (side_m / 2 + margin_m) * 1.45
    poor = kind == "informal"
    bend = rng.uniform(4, 34) if rng.random() < 0.65 else 0.0
    frame = Frame(
        float(rng.uniform(0, math.pi)),
        (float(bend * rng.uniform(-1, 1)), float(bend * rng.uniform(-1, 1))),
        (float(rng.uniform(60, 180)), float(rng.uniform(60, 180))),
        (float(rng.uniform(0, 6)), float(rng.uniform(0, 6))),
        side_m / 2,
    )
    style = style_of(rng, kind)
    m = Maker(rng, Plan(crown=style.crown, groves=_groves(rng)), frame, season, style)
    lane = float(rng.uniform(2.5, 5) if poor else rng.uniform(5.5, 9.5))
    walk = float(rng.uniform(0.0, 3.0))
    short_u, long_u, short_v, long_v = _BLOCKS_M[kind]
    us, vs = _cuts(rng, reach, short_u, long_u), _cuts(rng, reach, short_v, long_v)
    if rng.random() < 0.06:
        m.season.road[:] = m.season.earth
    names = list(KINDS[kind])
    weights = np.array([KINDS[kind][name] for name in names])
    inner = (side_m / 2 + margin_m) * 1.0
    for u0, u1 in pairwise(us):
        for v0, v1 in pairwise(vs):
            x, y = frame.at((u0 + u1) / 2, (v0 + v1) / 2)
            far = max(abs(x - side_m / 2), abs(y - side_m / 2))
            if far > inner + max(u1 - u0, v1 - v0) * 0.7:
                continue
            _street(m, Block(u0, u1, v0, v1), lane, walk)
            block = Block(u0, u1, v0, v1).shrunk(lane / 2 + walk + rng.uniform(0, 0.6))
            if min(block.size) < 8:
                continue
            FILLERS[names[rng.choice(len(names), p=weights / weights.sum())]](m, block)
    return m.plan


def _street(m: Maker, block: Block, lane_m: float, walk_m: float) -> None:
    """The roads along two sides of a block (its neighbours bring the other two)."""
    half = lane_m / 2
    width = half * (1.6 if m.chance(0.1) else 1.0)
    skip = m.chance(0.12)
    for road in (
        Block(block.u0 - half, block.u1 + half, block.v0 - width, block.v0 + width),
        Block(block.u0 - half, block.u0 + half, block.v0 - half, block.v1 + half),
    ):
        if road.size[0] < road.size[1] and skip:
            continue
        if walk_m > 0.3:
            m.rect(road.shrunk(-walk_m), m.season.verge, rough=0.12, paved=True)
        tone = (m.season.road * np.exp(m.rng.normal(0, 0.05))).astype(np.float32)
        m.rect(road, tone, rough=0.07, paved=True)
        if lane_m > 6 and m.chance(0.4):
            if road.size[0] > road.size[1]:
                mid = (road.v0 + road.v1) / 2
                line = Block(road.u0 + lane_m, road.u1 - lane_m, mid - 0.26, mid + 0.26)
            else:
                mid = (road.u0 + road.u1) / 2
                line = Block(mid - 0.26, mid + 0.26, road.v0 + lane_m, road.v1 - lane_m)
            # Half as wide as a cell of the ground: the road shines through.
            mark = 0.6 * tone + 0.4 * paint.shade_of(m.rng, "light roof")
            m.rect(line, mark.astype(np.float32), paved=True)
        long = max(road.size)
        _poles(m, road)
        for _ in range(m.rng.poisson(long / 70)):
            at = m.rng.uniform(0.1, 0.9)
            off = m.rng.choice([-0.28, 0.28]) * lane_m
            if road.size[0] > road.size[1]:
                m.car(road.u0 + at * long, (road.v0 + road.v1) / 2 + off, 0.0)
            else:
                m.car((road.u0 + road.u1) / 2 + off, road.v0 + at * long, math.pi / 2)


def _poles(m: Maker, road: Block) -> None:
    """Lamp posts or power poles along a road, thin objects with long shadows."""
    if m.chance(0.5):
        return
    grey = paint.shade_of(m.rng, "old asphalt")
    step = m.rng.uniform(22, 45)
    along_u = road.size[0] > road.size[1]
    for at in np.arange(step / 2, max(road.size), step).tolist():
        u, v = (road.u0 + at, road.v1 + 0.8) if along_u else (road.u1 + 0.8, road.v0 + at)
        m.box(u, v, 0.0, (0.5, 0.5, m.rng.uniform(6, 10)), grey)


def make_place(
    rng: np.random.Generator,
    size_px: int = 900,
    gsd_m: float = 0.5,
    *,
    kind: str | None = None,
    oversample: int = 2,
) -> Place:
    """A random place with buildings; deterministic for a state of `rng`.

    `kind` is one of `KINDS` (random when None). `oversample` is the number of raster cells
    along a pixel's edge: 2 gives smooth edges, 1 is about three times faster.
    """
    if kind is None:
        kind = str(rng.choice(list(_SHARES), p=np.array(list(_SHARES.values()))))
    sun, season = make_sun(rng), paint.season(rng)
    margin_m = MARGIN_PX * gsd_m
    plan = make_plan(rng, kind, season, size_px * gsd_m, margin_m)
    return paint_place(rng, plan, kind, sun, season, size_px, gsd_m, oversample)


def paint_place(
    rng: np.random.Generator,
    plan: Plan,
    kind: str,
    sun: Sun,
    season: paint.Season,
    size_px: int,
    gsd_m: float,
    oversample: int,
) -> Place:
    """Rasterise a plan into a place."""
    margin_m = MARGIN_PX * gsd_m
    side = size_px + 2 * MARGIN_PX
    canvas = ground(
        rng,
        plan.patches,
        season.ground,
        season.second,
        (side, side),
        1 / gsd_m,
        -margin_m,
        oversample,
    )
    if season.snow:
        _dust(canvas, season.snow)
    world = box(-margin_m, -margin_m, size_px * gsd_m + margin_m, size_px * gsd_m + margin_m)
    structures = [one for one in plan.structures if one.outline.intersects(world)]
    heights = [
        raise_structure(canvas, one, index + 1, rng, sun, season.snow)
        for index, one in enumerate(structures)
    ]
    park_all(canvas, plan.boxes)
    plant_all(canvas, plan.plants, rng, season, sun)
    cell_m = gsd_m / oversample
    ceiling = shadow_ceiling(canvas.height_HW, cell_m, sun)
    surface = lit(
        canvas.colour_HWC, canvas.shade_HW, canvas.height_HW, ceiling, canvas.owner_HW, sun
    )
    return Place(
        size_px, gsd_m, kind, sun,
        tuple(
            Building(_in_pixels(one.outline, gsd_m), high, one.roof, one.eave_m)
            for one, high in zip(structures, heights, strict=True)
        ),
        oversample, MARGIN_PX, surface,
        np.clip(canvas.height_HW * 100, 0, 30000).astype(np.int16),
        canvas.owner_HW,
        np.clip(ceiling * 100, -30000, 30000).astype(np.int16),
        _facades(rng, structures),
    )  # fmt: skip


def _in_pixels(outline: Polygon, gsd_m: float) -> Polygon:
    return affinity.scale(outline, 1 / gsd_m, 1 / gsd_m, origin=(0, 0))


def _dust(canvas: Canvas, snow: float) -> None:
    """Snow on open ground, thinner where the ground is rough."""
    share = np.float32(snow) * np.where(canvas.paved_HW, 0.15, 0.85)[..., None].astype(np.float32)
    canvas.colour_HWC += share * (paint.base("snow") - canvas.colour_HWC)


def _facades(rng: np.random.Generator, structures: list[Structure]) -> Facades:
    count = len(structures)
    walls: list[Floats] = [one.wall_colour for one in structures]
    return Facades(
        np.stack(walls).astype(np.float32) if walls else np.zeros((0, 4), np.float32),
        np.array([one.wings[0].angle for one in structures], dtype=np.float32),
        rng.uniform(2.0, 4.5, count).astype(np.float32),
        (rng.uniform(0.2, 0.75, count) * (rng.random(count) < 0.85)).astype(np.float32),
        rng.uniform(0.2, 0.9, count).astype(np.float32),
    )


def truth(place: Place, min_area_px: float = 4.0) -> list[Building]:
    """The buildings of the tile, with ground footprints clipped to its edge.

    The same for every look. Pieces below `min_area_px` square pixels are left out.
    """
    tile = box(0, 0, place.size_px, place.size_px)
    found = []
    for one in place.buildings:
        if not one.footprint.intersects(tile):
            continue
        part: Polygon = largest_polygon(one.footprint.intersection(tile))
        if part.area >= min_area_px:
            found.append(replace(one, footprint=part))
    return found
