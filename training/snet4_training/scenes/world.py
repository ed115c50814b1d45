"""Data types of places, from planning over drawing to rendering.

Planning speaks metres, x to the east and y to the SOUTH (as rows grow), with (0, 0) at
the tile's upper left corner. Axes: H rows, W columns, C channels (B, G, R, NIR), N items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import Polygon

Floats = NDArray[np.float32]
RENDERED = ("blue", "green", "red", "nir")
"""Band order of rendered pictures."""
RoofKind = Literal["flat", "gable", "hip", "shed", "sawtooth", "vault"]
Point = tuple[float, float]

PLANT, OBJECT = 65535, 65534
"""Owners of surface cells that are no building: vegetation, cars and the like; of bare ground it
is 0."""


def _corners(x_m: float, y_m: float, half_u: float, half_v: float, angle: float) -> list[Point]:
    c, s = math.cos(angle), math.sin(angle)
    return [
        (x_m + a * c - b * s, y_m + a * s + b * c)
        for a, b in ((-half_u, -half_v), (half_u, -half_v), (half_u, half_v), (-half_u, half_v))
    ]


@dataclass(frozen=True, slots=True)
class Wing:
    """A rectangular wing of a building; its roof is aligned with its axes."""

    x_m: float
    y_m: float
    half_u_m: float
    """Half the length along the ridge."""
    half_v_m: float
    """Half the length across the ridge."""
    angle: float
    """Direction of the ridge in radians, from x towards y."""
    drop_m: float = 0.0
    """How much lower than the building's eaves this part is."""

    def corners(self) -> list[Point]:
        """Its four corners, metres."""
        return _corners(self.x_m, self.y_m, self.half_u_m, self.half_v_m, self.angle)


@dataclass(frozen=True, slots=True)
class Structure:
    """A planned building, in metres."""

    outline: Polygon
    wings: tuple[Wing, ...]
    eave_m: float
    """Height of the walls above the ground."""
    roof: RoofKind
    pitch: float
    """Rise of a sloped roof over its run; 0 when flat."""
    roof_colour: Floats
    """Reflectance (4,) in 0..1."""
    wall_colour: Floats
    """Reflectance (4,) in 0..1."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A tree or shrub."""

    x_m: float
    y_m: float
    radius_m: float
    height_m: float
    species: int


@dataclass(frozen=True, slots=True)
class Box:
    """A car, truck or container: an object on the ground that is not a building."""

    x_m: float
    y_m: float
    length_m: float
    width_m: float
    height_m: float
    angle: float
    colour: Floats

    def corners(self, share: float = 1.0) -> list[Point]:
        """Its four corners, metres; of the middle `share` of its length."""
        return _corners(self.x_m, self.y_m, share * self.length_m / 2, self.width_m / 2, self.angle)


@dataclass(frozen=True, slots=True)
class Sun:
    """Direction to the sun."""

    azimuth_deg: float
    """From the ground towards the sun, clockwise from north."""
    elevation_deg: float
    """Above the horizon."""
    ambient_C: Floats
    """Share of the light on flat ground that comes from the whole sky, per band."""

    @property
    def direction(self) -> tuple[float, float, float]:
        """Unit vector towards the sun: x (east), y (SOUTH), up."""
        turn, rise = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        flat = math.cos(rise)
        return math.sin(turn) * flat, -math.cos(turn) * flat, math.sin(rise)


@dataclass(frozen=True, slots=True)
class Building:
    """Ground truth of a building."""

    footprint: Polygon
    """On the ground, in tile pixels: x = column, y = row, may reach over the tile's edge."""
    height_m: float
    """The highest point of the roof above the ground."""
    roof: RoofKind
    eave_m: float
    """Height of the walls: by this far a look displaces the roof's outline. Of lower wings it is
    that of the main part."""


@dataclass(frozen=True, slots=True, eq=False)
class Facades:
    """Appearance of walls, per building (N first)."""

    colour_NC: Floats
    angle_N: Floats
    """Direction of the building's main axis, radians."""
    bay_N: Floats
    """Distance from window to window, metres."""
    glass_N: Floats
    """Share of a bay that is window, 0..1."""
    dark_N: Floats
    """How dark the windows are, 0..1."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A piece of land to render from any look; nothing in it depends on one.

    The rasters have cells of `gsd_m / oversample` and reach `margin_px` tile pixels
    beyond the tile on every side, so that what leans in from outside is there.
    """

    size_px: int
    """The tile is square."""
    gsd_m: float
    kind: str
    sun: Sun
    buildings: tuple[Building, ...]
    """All of them, those in the margin included."""
    oversample: int
    margin_px: int
    lit_HWC: NDArray[np.uint16]
    """The surface seen from straight above, in its light: reflectance * `LIT_ONE`."""
    height_HW: NDArray[np.int16]
    """Top of the surface above the ground, centimetres."""
    owner_HW: NDArray[np.uint16]
    """Index into `buildings` plus 1, or 0, PLANT, OBJECT."""
    ceiling_HW: NDArray[np.int16]
    """Below this height (centimetres) a point here lies in shadow."""
    facades: Facades

    @property
    def cell_m(self) -> float:
        """Edge of a raster cell."""
        return self.gsd_m / self.oversample


LIT_ONE = 32768.0
"""Counts in `Place.lit_HWC` for a reflectance of 1 under full light."""
