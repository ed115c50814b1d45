"""Made maps of boxes whose heights are known, seen at any angle on any grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely import Polygon, box
from shapely.affinity import translate

from snet4core.look.look import Look
from snet4core.maps.heights import height_m_of
from snet4core.maps.maps import Maps
from snet4core.model.card import FIVE_MAPS, Architecture, Card, WindowSettings
from snet4core.model.header import Header
from snet4core.windows import Tile, Window

Shift = Callable[[float], tuple[float, float]]
"""Height in metres -> columns, rows by which a roof lies off its footprint."""

CARD = Card("roofs", Architecture(maps=FIVE_MAPS), WindowSettings(32, 32))
HEADER = Header(Path("roofs.safetensors"), CARD, "0" * 64)


@dataclass(frozen=True, slots=True)
class House:
    """A box on the ground, in pixels of a grid, and how high its eaves are on the map's scale."""

    col: int
    row: int
    width: int
    height: int
    value: int

    @property
    def eaves_m(self) -> float:
        """As a footprint tells it."""
        return round(float(height_m_of(np.array(self.value))), 1)

    @property
    def ground(self) -> Polygon:
        return box(self.col, self.row, self.col + self.width, self.row + self.height)


HOUSES = (
    House(20, 64, 18, 14, 51),
    House(80, 70, 30, 20, 102),
    House(58, 100, 14, 22, 77),
    House(90, 120, 24, 24, 127),
    House(205, 40, 20, 16, 0),
)
"""None touches another, on the ground or as roofs at up to 47 degrees on pixels of 0.5 m."""


def maps_of(houses: Iterable[House], shape: tuple[int, int], shift: Shift) -> Maps:
    """Five maps; `shift` gives the (columns, rows) by which a roof of some height lies off."""
    houses = list(houses)
    roofs = [translate(each.ground, *shift(each.eaves_m)) for each in houses]
    ground_HW = _burned([each.ground for each in houses], [230] * len(houses), shape)
    roof_HW = _burned(roofs, [220] * len(houses), shape)
    height_HW = _burned(roofs, [each.value for each in houses], shape)
    none_HW = np.zeros(shape, np.uint8)
    layers = (ground_HW, none_HW, roof_HW, none_HW.copy(), height_HW)
    return Maps.of(Window(0, 0, *shape), layers, np.ones(shape, np.bool_))


def _burned(
    polygons: list[Polygon], values: list[int], shape: tuple[int, int]
) -> NDArray[np.uint8]:
    pairs = list(zip(polygons, values, strict=True))
    return np.asarray(rasterize(pairs, out_shape=shape, dtype=np.uint8), np.uint8)


def north_up_shift(look: Look, gsd_m: float) -> Shift:
    """By the plain formula, for square pixels with north up."""
    assert look.azimuth_deg is not None
    turn, slope = math.radians(look.azimuth_deg), math.tan(math.radians(look.off_nadir_deg))

    def shift(height_m: float) -> tuple[float, float]:
        length_px = height_m * slope / gsd_m
        return length_px * math.sin(turn), -length_px * math.cos(turn)

    return shift


class RoofMapper:
    """Stands where `Predictor` stands, and cuts windows from maps that are made already."""

    def __init__(self, maps: Maps) -> None:
        self.header, self.key, self.guesser = HEADER, "exact", None
        self.shapers, self.together = 1, 2
        self._maps = maps

    def maps(
        self,
        read: object,
        shape: tuple[int, int],
        look: Look,
        wanted: Iterable[Tile],
        lean_px: tuple[float, float] | None = None,
    ) -> Iterator[Maps]:
        for tile in wanted:
            yield self._maps.part(tile.own)
