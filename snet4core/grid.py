"""The grid of a raster: shape, affine transform and CRS.

Only this module converts between pixel and map coordinates. Pixel coordinates are (col, row)
= (x right, y down) with pixel edges at whole numbers: the first pixel's centre is (0.5, 0.5).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points

from snet4core.errors import InputError

Points = NDArray[np.float64]
"""(N, 2) coordinates, x then y (or column then row)."""


SQUARE = 0.01
"""Sides of a pixel that differ by a smaller share are equal: projections stretch no more."""

_NOWHERE = "The raster has no place on Earth in its CRS."


@dataclass(frozen=True)
class Grid:
    """Shape, transform and CRS of a raster. The transform may be any invertible affine."""

    shape: tuple[int, int]
    """(rows, columns)."""
    transform: Affine
    """(column, row) of a pixel edge -> (x, y) in the CRS; it may be south-up or rotated."""
    crs: CRS
    """Required: no layer can be written without one."""

    def __post_init__(self) -> None:
        coefficients = self.transform[:6]
        if not all(map(math.isfinite, coefficients)) or self.transform.determinant == 0:
            raise InputError(f"The transform {tuple(coefficients)} cannot be inverted.")
        if min(self.shape) < 1:
            raise InputError(f"A raster of {self.shape[0]} x {self.shape[1]} pixels is empty.")

    def to_map(self, pixels: Points) -> Points:
        """(N, 2) column, row -> (N, 2) x, y in the CRS."""
        a, b, c, d, e, f = self.transform[:6]
        col, row = pixels[:, 0], pixels[:, 1]
        with np.errstate(over="ignore", invalid="ignore"):  # Refused later.
            return np.column_stack([a * col + b * row + c, d * col + e * row + f])

    def to_pixels(self, points: Points) -> Points:
        """(N, 2) x, y in the CRS -> (N, 2) column, row."""
        return Grid(self.shape, ~self.transform, self.crs).to_map(points)

    def scaled(self, coarser: int, finer: int = 1) -> Grid:
        """The grid whose pixels are `coarser` / `finer` times as long.

        It covers the last, incomplete row and column too.

        >>> Grid((5, 4), Affine.scale(2, -2), CRS.from_epsg(32616)).scaled(3, 2).shape
        (4, 3)
        """
        shape = (-(-self.shape[0] * finer // coarser), -(-self.shape[1] * finer // coarser))
        return Grid(shape, self.transform @ Affine.scale(coarser / finer), self.crs)

    @cached_property
    def _equal_area(self) -> CRS:
        """An equal-area projection in metres, centred on the raster, to measure true areas."""
        rows, cols = self.shape
        centre = self.to_map(np.array([[cols / 2, rows / 2]]))
        ((lon, lat),) = _moved(centre, self.crs, CRS.from_epsg(4326))
        if abs(lat) > 90:
            raise InputError(_NOWHERE)
        return CRS.from_proj4(f"+proj=laea +lat_0={lat} +lon_0={lon} +datum=WGS84 +units=m")

    def pixel_area_m2(self, pixels: Points) -> NDArray[np.float64]:
        """True ground area in square metres of one pixel, at (N, 2) column, row.

        It is right whatever the CRS: metres, feet, degrees, or a projection that stretches.
        In a local CRS, without a place on Earth, areas come from its own linear unit.
        """
        across_N2, along_N2 = self._steps_m(pixels)
        area_m2: NDArray[np.float64] = np.abs(
            across_N2[:, 0] * along_N2[:, 1] - across_N2[:, 1] * along_N2[:, 0]
        )
        return area_m2

    def pixels_of_offset(self, offsets_m: Points, pixels: Points) -> Points:
        """(N, 2) metres east, north on the ground -> (N, 2) columns, rows, at (N, 2) column, row.

        North is that at the raster's centre, as in `up_deg`.
        """
        across_N2, along_N2 = self._steps_m(pixels)
        determinant_N = across_N2[:, 0] * along_N2[:, 1] - across_N2[:, 1] * along_N2[:, 0]
        east_N, north_N = offsets_m.T
        cols_N = east_N * along_N2[:, 1] - north_N * along_N2[:, 0]
        rows_N = north_N * across_N2[:, 0] - east_N * across_N2[:, 1]
        return np.column_stack([cols_N, rows_N]) / determinant_N[:, None]

    def _steps_m(self, pixels: Points) -> tuple[Points, Points]:
        """Metres (N, 2) east, north of one pixel's step to the right, and of one down."""
        if not (self.crs.is_projected or self.crs.is_geographic):
            a, b, _, d, e, _ = (each * _local_unit_m(self.crs) for each in self.transform[:6])
            return np.full((len(pixels), 2), (a, d)), np.full((len(pixels), 2), (b, e))
        # The Jacobian of pixel -> equal-area metres, from half a pixel to either side.
        steps = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
        around = self.to_map((pixels[:, None, :] + steps).reshape(-1, 2))
        moved = _moved(around, self.crs, self._equal_area)
        left, right, up, down = np.moveaxis(moved.reshape(-1, 4, 2), 1, 0)
        return right - left, down - up

    @cached_property
    def gsd_m(self) -> float:
        """Ground sample distance at the raster's centre: the side of a square pixel, in metres."""
        rows, cols = self.shape
        return math.sqrt(float(self.pixel_area_m2(np.array([[cols / 2, rows / 2]]))[0]))

    @cached_property
    def aspect(self) -> float:
        """Width of a pixel on the ground by its height, at the raster's centre.

        1 where it is square within `SQUARE`, as in nearly every projection; in degrees it is the
        cosine of the latitude.
        """
        rows, cols = self.shape
        across_12, along_12 = self._steps_m(np.array([[cols / 2, rows / 2]]))
        found = float(np.hypot(*across_12[0]) / np.hypot(*along_12[0]))
        return 1.0 if abs(found - 1) < SQUARE else found

    @cached_property
    def up_deg(self) -> float:
        """True azimuth of the picture's "up", degrees clockwise from north, [0, 360).

        Measured at the raster's centre. An azimuth minus this is an azimuth within the
        picture. In a local CRS the y axis is taken as north.
        """
        rows, cols = self.shape
        ends = self.to_map(np.array([[cols / 2, rows / 2], [cols / 2, rows / 2 - 1]]))
        if self.crs.is_projected or self.crs.is_geographic:
            # In this projection, centred on the raster, north is up at the centre.
            ends = _moved(ends, self.crs, self._equal_area)
        east, north = ends[1] - ends[0]
        return math.degrees(math.atan2(east, north)) % 360.0


def _moved(points: Points, source: CRS, target: CRS) -> Points:
    """Transform (N, 2) x, y between CRSs; InputError where a point has no place on Earth."""
    try:
        moved = np.column_stack(warp_points(source, target, points[:, 0], points[:, 1]))
    except Exception as problem:  # the bindings' errors for such points have no public name
        raise InputError(_NOWHERE) from problem
    if not np.isfinite(moved).all():
        raise InputError(_NOWHERE)
    return moved


def _local_unit_m(crs: CRS) -> float:
    """Metres per unit of a local (engineering) CRS, which only its WKT gives."""
    wkt = crs.to_wkt()
    units = re.findall(r'UNIT\["[^"]*",\s*([0-9.eE+-]+)', wkt)
    if not wkt.startswith(("LOCAL_CS", "ENGCRS")) or not units or float(units[-1]) <= 0:
        raise InputError(f"The CRS {wkt[:60]} says nothing of lengths on the ground.")
    return float(units[-1])


def horizontal(crs: CRS) -> CRS:
    """The part of a CRS that places a picture: without the vertical one of a compound CRS."""
    found = re.match(r'COMPD_CS\["(?:[^"]|"")*",', crs.to_wkt())
    if found is None:
        return crs
    text, depth = crs.to_wkt()[found.end() :], 0
    for end, sign in enumerate(text):
        depth += {"[": 1, "]": -1}.get(sign, 0)
        if sign == "]" and depth == 0:
            return CRS.from_wkt(text[: end + 1])
    return crs
