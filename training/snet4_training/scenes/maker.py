"""Helpers to plan a district: the style of a place, and methods that add objects."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from snet4_training.scenes import materials as paint
from snet4_training.scenes.floor_plans import structure, wings
from snet4_training.scenes.street_plan import Block, Frame, Plan
from snet4_training.scenes.world import Box, Floats, RoofKind, Wing

STOREY_M = 3.0


@dataclass(frozen=True, slots=True)
class Style:
    """Properties that the buildings and gardens of a place share."""

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
    crown: float
    """Size of the trees relative to small garden trees."""
    sheds: float
    """Share of the gardens with a shed."""
    pools: float
    """Share of the large gardens with a pool."""
    worn: float
    """Patches of bare ground per 300 m2 of garden."""
    clutter: float
    """Trailers, boats and the like per garden."""
    fenced: float = 0.0
    """Share of the gardens with a fence around what lies behind the house."""
    plans: tuple[str, ...] = (*["box"] * 5, *["L"] * 3, "T", "steps", "plus", "U", "villa")
    """Floor plans of detached houses, as often as each is named."""


@dataclass(slots=True)
class Maker:
    """Adds objects to a plan, in street coordinates."""

    rng: np.random.Generator
    plan: Plan
    frame: Frame
    season: paint.Season
    style: Style

    def chance(self, share: float) -> bool:
        """True with that probability."""
        return bool(self.rng.random() < share)

    def pick(self, *names: str) -> str:
        """A random one of the names."""
        return names[self.rng.integers(len(names))]

    def rect(self, block: Block, colour: Floats, **how: float | bool) -> None:
        """Cover a rectangle of street coordinates."""
        outline = self.frame.outline(block.u0, block.u1, block.v0, block.v1)
        self.plan.patch(outline, colour, **how)  # type: ignore[arg-type]

    def lawn(self, block: Block) -> None:
        """Garden ground, each its own shade."""
        colour = self.season.lawn * np.exp(self.rng.normal(0, 0.11))
        if self.chance(0.12):
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
        porch: float = 0.0,
    ) -> None:
        """Add a building at (u, v), rotated relative to the street; `porch` is the share of
        buildings that get a low part at one of the long sides."""
        x, y = self.frame.at(u, v)
        angle = self.frame.heading(u, v) + turn
        parts = wings(self.rng, x, y, angle, length, width, kind)
        if len(parts) > 1 and self.chance(0.35):
            parts = self._stepped(parts, eave_m)
        if porch and self.chance(porch):
            parts = (*parts, self._porch(parts[0], eave_m))
        if wall is None:
            wall = paint.wall_colour(self.rng, colour)
        if pitch is None:
            pitch = self.style.pitch * self.rng.uniform(0.7, 1.3)
        deepest = max(min(length, width) / 2, 1.0)
        pitch = min(pitch, self.rng.uniform(1.2, 4.2) / deepest)
        made = structure(parts, eave_m, roof, 0.0 if roof == "flat" else pitch, colour, wall)
        if made.outline.area >= 6:
            self.plan.structures.append(made)

    def _stepped(self, parts: tuple[Wing, ...], eave_m: float) -> tuple[Wing, ...]:
        """The same plan, its side wings some storeys or a step lower."""
        most = max(eave_m - 2.4, 0.0)
        drops = self.rng.choice([0.0, 0.8, 1.5, STOREY_M, 2 * STOREY_M], len(parts) - 1).tolist()
        lower = (replace(w, drop_m=min(d, most)) for w, d in zip(parts[1:], drops, strict=True))
        return (parts[0], *lower)

    def _porch(self, main: Wing, eave_m: float) -> Wing:
        """A porch, carport or patio roof against a long side of the main part."""
        rng = self.rng
        half_u, half_v = min(rng.uniform(1.5, 4.0), main.half_u_m), rng.uniform(1.2, 2.2)
        du = rng.uniform(-1, 1) * (main.half_u_m - half_u)
        dv = float(rng.choice([-1.0, 1.0])) * (main.half_v_m + half_v - 0.2)
        c, s = math.cos(main.angle), math.sin(main.angle)
        drop_m = min(max(eave_m - rng.uniform(2.3, 2.8), 0.2), max(eave_m - 2.0, 0.0))
        x, y = main.x_m + du * c - dv * s, main.y_m + du * s + dv * c
        return Wing(x, y, half_u, half_v, main.angle, drop_m)

    def box(
        self, u: float, v: float, turn: float, size: tuple[float, float, float], c: Floats
    ) -> None:
        """Add a car or a similar box: length, width, height in metres."""
        x, y = self.frame.at(u, v)
        angle = self.frame.heading(u, v) + turn
        self.plan.boxes.append(Box(x, y, *size, angle, c))

    def car(self, u: float, v: float, turn: float) -> None:
        """Add a parked car, sometimes a van."""
        grey = float(self.rng.choice([0.03, 0.06, 0.12, 0.25, 0.45, 0.7]))
        colour = np.full(4, grey, dtype=np.float32)
        if self.chance(0.3):
            colour = colour * np.exp(self.rng.normal(0, 0.2, 4)).astype(np.float32)
        length = self.rng.uniform(3.8, 5.2) if self.chance(0.9) else self.rng.uniform(6, 9)
        self.box(u, v, turn, (length, 1.9, 1.5 if length < 5.5 else 2.6), colour)
