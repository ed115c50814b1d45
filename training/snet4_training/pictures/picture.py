"""Pictures with their true footprints, and the chips cut from them.

Whatever the source (a rendered place, a leaned drone picture, a real scene), training
sees it as a `Picture`; `cut` turns, scales and shifts it into a `Chip` of fixed size,
with the truth moved by the same transform and burned afterwards.
Axes: B bands, M maps, N buildings, H rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from snet4_training.pictures.targets import Polygons, targets
from snet4core.look.look import Look
from snet4core.scene.radiometry import BandRange, band_range
from snet4core.windows import Window

VISIBLE = ("red", "green", "blue")
"""Bands that are seen, in the order of RGB files, and of the channels in the files of torchvision,
timm and segmentation-models-pytorch."""

_LOW, _HIGH = 0.25 / 1.75, 1.25 / 1.75
CHIP_RANGE = BandRange(low=255 * _LOW, high=255 * _HIGH)
"""Chips hold every band in 8 bits: these two counts are the ends of the robust range.

Beyond them a quarter of the range below and half of it above still fit: exactly what
`radiometry.normalise` lets through."""


def wrapped_deg(angle_deg: float) -> float:
    """The angle in [0, 360); `%` alone turns -1e-20 into 360."""
    return angle_deg % 360 % 360


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture with its true footprints, in its pixels."""

    counts_BHW: NDArray[np.generic]
    """Sensor counts, one layer per band of the model; anything where a band is unknown."""
    known: tuple[bool, ...]
    """Which bands the picture really has."""
    valid_HW: NDArray[np.bool_]
    """True where there is data."""
    polygons: Polygons
    """Ground footprints in pixels (column, row)."""
    look: Look
    """The direction of view."""
    gsd_m: float
    """Ground length of a pixel side."""
    roofs: Polygons | None = None
    """What is seen of each roof, one for each footprint; None where roofs are the footprints."""
    heights_m: NDArray[np.float64] | None = None
    """Metres by which each roof's outline is displaced, NaN where unknown; None: all unknown."""
    roofs_known: bool = True
    """False where neither `roofs` nor `polygons` tell where the roofs appear."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A training example before augmentation; all arrays are square, uint8."""

    counts_BHW: NDArray[np.uint8]
    """Bands stretched so that `CHIP_RANGE` is the robust range of the whole picture."""
    targets_MHW: NDArray[np.uint8]
    """`FIVE_MAPS` in their order, 0..255; a height of 0 is unknown."""
    valid_HW: NDArray[np.uint8]
    """1 where there is data."""
    known: tuple[bool, ...]
    """Which bands are real."""
    look: Look
    """The look, turned along with the picture."""
    gsd_m: float
    """Ground length of a chip's pixel side."""
    polygons: Polygons | None = None
    """Ground footprints in the chip's pixels, also beyond its edge; None where only the burned
    targets are known, which are all that training needs."""
    roofs: Polygons | None = None
    """The same of what is seen of the roofs; None where they are the footprints."""
    roofs_known: bool = True
    """Whether the maps of roofs can be learned from."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Position, scale and rotation of a chip in its picture."""

    centre: tuple[float, float]
    """Column and row of the picture that come to the chip's centre."""
    scale: float
    """Picture pixels per chip pixel: above 1 the chip is coarser."""
    turn_deg: float
    """Clockwise turn of the contents."""
    mirror: bool = False
    """East and west swapped (only where neither lean nor light has a known direction)."""

    def matrix(self) -> NDArray[np.float64]:
        """(2, 2): offset from the chip's centre (column, row) -> offset in the picture."""
        turn = math.radians(self.turn_deg)
        back = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        flip = np.diag([-1.0 if self.mirror else 1.0, 1.0])
        matrix: NDArray[np.float64] = self.scale * (flip @ back)
        return matrix

    def look(self, look: Look) -> Look:
        """The look in the chip, with the azimuth mirrored and turned accordingly."""
        if look.azimuth_deg is None:
            return look
        azimuth_deg = -look.azimuth_deg if self.mirror else look.azimuth_deg
        return Look(look.off_nadir_deg, wrapped_deg(azimuth_deg + self.turn_deg), look.source)


def stretched(
    picture: Picture, ranges: Sequence[BandRange | None] | None = None
) -> NDArray[np.uint8]:
    """All bands scaled to 8 bits, so that `CHIP_RANGE` is the robust range of the whole picture.

    The same percentiles as at inference, from the picture and never from a chip; `ranges`
    where the picture is a part of a larger one.
    """
    out_BHW = np.zeros(picture.counts_BHW.shape, dtype=np.uint8)
    for band, known in enumerate(picture.known):
        if known:
            counts_HW = picture.counts_BHW[band]
            given = ranges[band] if ranges else None
            limits = given or band_range(counts_HW[picture.valid_HW][::7])
            share_HW = (counts_HW.astype(np.float32) - limits.low) / (limits.high - limits.low)
            scaled_HW = share_HW * (CHIP_RANGE.high - CHIP_RANGE.low) + CHIP_RANGE.low
            out_BHW[band] = np.clip(np.rint(scaled_HW), 0, 255)
    return out_BHW


def _frame(cut: Cut, size_px: int, shape: tuple[int, int], margin_px: int) -> Window:
    """The picture's pixels that the cut touches, and a margin around them."""
    half = np.abs(cut.matrix()) @ np.full(2, size_px / 2)
    col, row = (
        math.floor(at - reach) - margin_px for at, reach in zip(cut.centre, half, strict=True)
    )
    width, height = (math.ceil(2 * reach) + 2 * margin_px + 1 for reach in half)
    return Window(row, col, height, width).within(Window(0, 0, *shape))


def _sampled(
    layer_HW: NDArray[np.generic], cut: Cut, size_px: int, order: int, soften_px: float = 0.0
) -> NDArray[np.float32]:
    """One layer of the picture resampled for the cut; 0 outside of the picture."""
    frame = _frame(cut, size_px, layer_HW.shape, margin_px=2 + math.ceil(4 * soften_px))
    if 0 in frame.shape:
        return np.zeros((size_px, size_px), dtype=np.float32)
    near_HW = layer_HW[frame.slices()].astype(np.float32)
    if soften_px:
        near_HW = ndimage.gaussian_filter(near_HW, soften_px)
    # scipy counts (row, column) from pixel centres; ours is (column, row) from edges.
    matrix = cut.matrix()[::-1, ::-1]
    start = np.array(cut.centre[::-1]) - 0.5 - matrix @ np.full(2, (size_px - 1) / 2)
    start -= (frame.row, frame.col)
    out_HW = ndimage.affine_transform(
        near_HW, matrix, start, (size_px, size_px), order=order, cval=0.0
    )
    return np.asarray(out_HW, dtype=np.float32)


def cut_chip(picture: Picture, stretched_BHW: NDArray[np.uint8], cut: Cut, size_px: int) -> Chip:
    """The chip of `size_px` that `cut` takes; `stretched_BHW` is `stretched(picture)`."""
    # Averaged before it is thinned out, or a coarser chip would show aliases.
    soften_px = 0.45 * math.sqrt(max(0.0, cut.scale**2 - 1.0))
    soften_px = soften_px if soften_px > 0.2 else 0.0
    counts_BHW = np.zeros((len(picture.known), size_px, size_px), dtype=np.uint8)
    for band, known in enumerate(picture.known):
        if known:
            layer_HW = _sampled(stretched_BHW[band], cut, size_px, 1, soften_px)
            counts_BHW[band] = np.rint(layer_HW)
    valid_HW = _sampled(picture.valid_HW, cut, size_px, order=0) > 0.5
    polygons, _ = moved(picture.polygons, cut, size_px)
    roofs, heights_m = None, None
    if picture.roofs is not None:
        roofs, near_N = moved(picture.roofs, cut, size_px)
        heights_m = None if picture.heights_m is None else picture.heights_m[near_N]
    return Chip(
        counts_BHW=counts_BHW,
        targets_MHW=targets(polygons, (size_px, size_px), roofs, heights_m),
        valid_HW=valid_HW.astype(np.uint8),
        known=picture.known,
        look=cut.look(picture.look),
        gsd_m=picture.gsd_m * cut.scale,
        polygons=polygons,
        roofs=roofs,
        roofs_known=picture.roofs_known,
    )


def moved(polygons: Polygons, cut: Cut, size_px: int) -> tuple[Polygons, NDArray[np.bool_]]:
    """The polygons near the chip, transformed to its pixels, and which of all these are."""
    if polygons.size == 0:
        return polygons, np.zeros(0, dtype=bool)
    inverse = np.linalg.inv(cut.matrix())
    in_chip = shapely.transform(
        polygons, lambda xy: (xy - np.array(cut.centre)) @ inverse.T + size_px / 2
    )
    inside = shapely.intersects(in_chip, shapely.box(-4, -4, size_px + 4, size_px + 4))
    return in_chip[inside], inside
