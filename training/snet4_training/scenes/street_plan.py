"""The plan of a place in metres: streets, blocks, lots, and the objects on them.

Nothing is painted here. A plan is a list of coloured patches of ground (later ones
cover earlier ones), of structures, plants and boxes. Streets follow a frame (u, v)
that is turned and bent against (x, y), so that no place is a straight grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from snet4_training.scenes.world import Box, Floats, Plant, Point, Structure


@dataclass(frozen=True, slots=True)
class Frame:
    """Street coordinates (u, v) in metres -> (x, y): turned, and gently bent."""

    angle: float
    bend_m: tuple[float, float]
    wave_m: tuple[float, float]
    phase: tuple[float, float]
    centre_m: float

    def at(self, u: float, v: float) -> Point:
        """The point (x, y) of (u, v)."""
        a = u + self.bend_m[0] * math.sin(v / self.wave_m[0] + self.phase[0])
        b = v + self.bend_m[1] * math.sin(u / self.wave_m[1] + self.phase[1])
        c, s = math.cos(self.angle), math.sin(self.angle)
        return self.centre_m + a * c - b * s, self.centre_m + a * s + b * c

    def heading(self, u: float, v: float) -> float:
        """Direction of the u axis at (u, v), radians from x towards y."""
        x0, y0 = self.at(u - 1, v)
        x1, y1 = self.at(u + 1, v)
        return math.atan2(y1 - y0, x1 - x0)

    def outline(self, u0: float, u1: float, v0: float, v1: float) -> list[Point]:
        """The rectangle's outline in (x, y), with enough points to follow the bend."""
        nu, nv = (max(1, int(abs(side) / 12)) for side in (u1 - u0, v1 - v0))
        ring = [(u0 + (u1 - u0) * i / nu, v0) for i in range(nu)]
        ring += [(u1, v0 + (v1 - v0) * i / nv) for i in range(nv)]
        ring += [(u1 - (u1 - u0) * i / nu, v1) for i in range(nu)]
        ring += [(u0, v1 - (v1 - v0) * i / nv) for i in range(nv)]
        return [self.at(u, v) for u, v in ring]


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle in street coordinates, metres."""

    u0: float
    u1: float
    v0: float
    v1: float

    @property
    def size(self) -> tuple[float, float]:
        """Lengths along u and v."""
        return self.u1 - self.u0, self.v1 - self.v0

    def shrunk(self, by_m: float) -> Block:
        """The block without a strip along every side."""
        return Block(self.u0 + by_m, self.u1 - by_m, self.v0 + by_m, self.v1 - by_m)


@dataclass(frozen=True, slots=True)
class Patch:
    """A piece of ground."""

    outline: tuple[Point, ...]
    colour: Floats
    rough: float
    """Spread of its texture relative to its brightness."""
    life: float
    """How much of it is vegetation, 0..1: that part turns poor in places."""
    paved: bool
    """Trees do not grow here."""
    stripes: float = 0.0
    """Spacing of plough furrows or crop rows in metres; 0 for none."""


_WIDEST_CROWN_M = 7.5


@dataclass(frozen=True, slots=True)
class Groves:
    """Wooded and open parts of a place, tens of metres wide."""

    wave_m: tuple[float, float]
    """Their size along x and along y, over 2 pi."""
    phase: tuple[float, float]

    def share(self, x_m: float, y_m: float) -> float:
        """Density of trees at a point: 0 in the open, 1 amid a grove, 0.5 on average."""
        across = x_m / self.wave_m[0] + self.phase[0]
        down = y_m / self.wave_m[1] + self.phase[1]
        height = math.sin(across + 1.3 * math.sin(down)) + 0.7 * math.sin(down * 1.7 - across)
        return min(max(0.5 + 0.6 * height, 0.0), 1.0)


@dataclass(slots=True)
class Plan:
    """A plan under construction, to which the districts add objects."""

    patches: list[Patch] = field(default_factory=list)
    structures: list[Structure] = field(default_factory=list)
    plants: list[Plant] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    crown: float = 1.0
    """Size of the trees relative to what the districts ask for."""
    groves: Groves | None = None
    """Where trees stand together; evenly spread when None."""

    def patch(
        self,
        outline: Iterable[Point],
        colour: Floats,
        rough: float = 0.08,
        life: float = 0.0,
        paved: bool = False,
        stripes: float = 0.0,
    ) -> None:
        """Cover a piece of ground."""
        self.patches.append(Patch(tuple(outline), colour, rough, life, paved, stripes))

    def scatter(
        self,
        rng: np.random.Generator,
        frame: Frame,
        block: Block,
        count: int,
        species: tuple[int, ...],
        radius_m: tuple[float, float] = (1.5, 4.5),
    ) -> None:
        """Add trees at random positions in a block, some of them in clumps."""
        while count > 0:
            u, v = rng.uniform(block.u0, block.u1), rng.uniform(block.v0, block.v1)
            clump = min(count, 1 if rng.random() < 0.6 else int(rng.integers(2, 7)))
            count -= clump
            if self.groves is not None:
                share = self.groves.share(*frame.at(u, v))
                clump = round(2 * clump * share + rng.uniform(-0.5, 0.5))
            for _ in range(clump):
                x, y = frame.at(u + rng.normal(0, 4.0), v + rng.normal(0, 4.0))
                self.plant(rng, x, y, radius_m, species)

    def plant(
        self,
        rng: np.random.Generator,
        x: float,
        y: float,
        radius_m: tuple[float, float],
        species: tuple[int, ...],
        high_m: float | None = None,
    ) -> None:
        """Add a tree of random size, about `high_m` high if that is given."""
        if high_m is None:
            radius = min(rng.uniform(*radius_m) * self.crown, _WIDEST_CROWN_M)
            height = radius * rng.uniform(1.2, 3.2)
        else:
            radius = rng.uniform(*radius_m)
            height = high_m * rng.uniform(0.75, 1.15)
        kind = int(species[rng.integers(len(species))])
        self.plants.append(Plant(x, y, radius, min(height, 24.0), kind))
