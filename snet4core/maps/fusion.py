"""Fuses the maps of several looks at the same ground into one pair of maps.

Maps from a vertical view err where trees hide walls; those from an oblique view err behind
towers. Where their errors are independent, a weighted mean of the maps errs less than each;
`docs/guide/scale.md` gives the measurements. The looks are warped to the grid of the best one,
shifted by whole pixels to register the buildings (orthorectified pictures are off by some
pixels, differently in each), and weighted by how much more they are tilted than the best.
What is missing in a tilted look may be occluded, so its "no building" counts less, down to a
third. A mean would blur borders, which are thin, so each border pixel comes from the best
look with data there. Roofs lie at another place in each look, so maps of roofs and heights are
left out, and footprints come from the maps of footprints.

Array axes: H rows, W columns, L looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from snet4core.errors import InputError
from snet4core.files.names import printable
from snet4core.grid import Grid, horizontal
from snet4core.look.look import Look
from snet4core.maps.maps import Maps
from snet4core.scene.gdal import gdal_settings
from snet4core.windows import Window, blocks

BLOCK_PX = 1024

REACH_PX = 8
"""Largest shift between two looks; SpaceNet 4's looks differ by up to about 5 pixels."""

SAMPLE_PX = 512
"""Side of the windows in which two looks are correlated."""

SAMPLES = 9
"""Number of windows, those with most buildings, that determine a shift."""

_FALL_DEG = 10.0
"""Additional tilt over the best look that divides a weight by e (see docs/guide/scale.md)."""

_DOUBT = 0.3
"""Weight of a far more tilted look's "no building", relative to its "building"."""


@dataclass(frozen=True, slots=True)
class LookMaps:
    """Maps of one look, in a file written by `maps.file`."""

    path: Path
    grid: Grid
    """The file's own grid."""
    look: Look
    scene: str
    """Name of the scene, for messages."""


@dataclass(frozen=True, slots=True)
class RegisteredLook:
    """One look registered to the common grid."""

    maps: LookMaps
    weight: float
    """Weight relative to the other looks."""
    shift_px: tuple[int, int]
    """Shift (rows down, columns right) that registers it with the best look."""


def weight_of(look: Look, best: Look) -> float:
    """Weight of a look: 1 for the best, less the more it is tilted.

    >>> best = Look(10.0, None, "option")
    >>> [round(weight_of(Look(angle, None, "option"), best), 2) for angle in (10, 16, 28)]
    [1.0, 0.55, 0.17]
    """
    return math.exp(-(look.off_nadir_deg - best.off_nadir_deg) / _FALL_DEG)


def best_first(looks: Sequence[LookMaps]) -> list[LookMaps]:
    """Sort looks by off-nadir angle, the least tilted first; equal ones by name."""
    return sorted(looks, key=lambda each: (each.look.off_nadir_deg, each.scene))


def registered(looks: Sequence[LookMaps]) -> list[RegisteredLook]:
    """Order looks, the best first, and compute weight and shift of each relative to the best.

    Raises InputError if they are not in one CRS.
    """
    ordered = best_first(looks)
    best = ordered[0]
    for other in ordered[1:]:
        if horizontal(other.grid.crs) != horizontal(best.grid.crs):
            raise InputError(
                f"{printable(other.scene)} and {printable(best.scene)} show the same ground in "
                "different CRS; warp them into one to fuse them."
            )
    frame = common_grid(ordered)
    return [
        RegisteredLook(
            each,
            weight_of(each.look, best.look),
            (0, 0) if each is best else shift_px(best, each, frame),
        )
        for each in ordered
    ]


def common_grid(looks: Sequence[LookMaps]) -> Grid:
    """Extend the grid of the best look to cover all looks."""
    best = best_first(looks)[0].grid
    corners = np.concatenate(
        [best.to_pixels(each.grid.to_map(_corners(each.grid))) for each in looks]
    )
    col, row = np.floor(corners.min(axis=0) + 1e-6).astype(int).tolist()
    col_stop, row_stop = np.ceil(corners.max(axis=0) - 1e-6).astype(int).tolist()
    return Grid(
        (row_stop - row, col_stop - col), best.transform @ Affine.translation(col, row), best.crs
    )


def fused(laid: Sequence[RegisteredLook], frame: Grid) -> Iterator[Maps]:
    """Yield fused maps in blocks that cover `frame` once; valid where any look is.

    `laid` holds the best look first. The footprint map is the weighted mean of the log-odds,
    so that a certain look outweighs an uncertain one.
    """
    with ExitStack() as stack:
        stack.enter_context(gdal_settings())
        opened = [stack.enter_context(_Warped(each.maps, frame, each.shift_px)) for each in laid]
        for window in blocks(frame.shape, BLOCK_PX):
            odds_HW, weight_HW = np.zeros((2, *window.shape), np.float32)
            border_HW = np.zeros(window.shape, np.uint8)
            for each, look in zip(laid, opened, strict=True):
                (seen_HW, edge_HW), valid_HW = look.read(window)
                np.copyto(border_HW, edge_HW, where=valid_HW & (weight_HW == 0))
                share_HW = np.where(valid_HW, np.float32(each.weight), np.float32(0))
                odds_HW += _odds_of(each.weight)[seen_HW] * share_HW
                weight_HW += share_HW
            valid_HW = weight_HW > 0
            odds_HW /= np.where(valid_HW, weight_HW, 1)
            footprint_HW = np.rint(255 / (1 + np.exp(-odds_HW))).astype(np.uint8)
            yield Maps(window, footprint_HW, border_HW, valid_HW)


def shift_px(best: LookMaps, other: LookMaps, frame: Grid) -> tuple[int, int]:
    """Shift (rows, columns) of `other` that registers its buildings with those of `best`.

    The peak of the cross-correlation of both footprint maps, summed over windows; (0, 0) where
    the maps have too little in common.
    """
    total = np.zeros((2 * REACH_PX + 1, 2 * REACH_PX + 1))
    with (
        gdal_settings(),
        _Warped(best, frame, (0, 0)) as one,
        _Warped(other, frame, (0, 0)) as two,
    ):
        for window in _densest(one, frame):
            (here_HW, _), here_valid_HW = one.read(window)
            (there_HW, _), there_valid_HW = two.read(window)
            valid_HW = here_valid_HW & there_valid_HW
            if valid_HW.mean() > 0.25:
                total += _correlation(here_HW, there_HW, valid_HW)
    if total.max() <= 0:
        return 0, 0
    row, col = np.unravel_index(int(np.argmax(total)), total.shape)
    return int(row) - REACH_PX, int(col) - REACH_PX


def _correlation(
    here_HW: NDArray[np.uint8], there_HW: NDArray[np.uint8], valid_HW: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Cross-correlation of the two maps, each minus its mean, for shifts up to REACH_PX.

    Entry (REACH_PX + r, REACH_PX + c) is for moving `there` by r rows and c columns.
    """
    size = [n + REACH_PX for n in here_HW.shape]  # zero-padded, so that edges do not wrap around
    spectra = []
    for map_HW in (here_HW, there_HW):
        value_HW = np.where(valid_HW, map_HW - map_HW[valid_HW].mean(), 0.0) / 255
        spectra.append(np.fft.rfft2(value_HW, size))
    full = np.fft.irfft2(spectra[0] * np.conj(spectra[1]), size)
    near = np.arange(-REACH_PX, REACH_PX + 1)
    return np.asarray(full[np.ix_(near, near)])


def _densest(look: _Warped, frame: Grid) -> list[Window]:
    """The SAMPLES windows with most buildings; all windows of a small frame."""
    pieces = list(blocks(frame.shape, SAMPLE_PX))
    if len(pieces) <= SAMPLES:
        return pieces
    # Decimated reads: every window at an eighth of its size.
    amount = [float(look.coarse(piece, 8).sum()) for piece in pieces]
    order = np.argsort(amount, kind="stable")[::-1]
    return [pieces[index] for index in sorted(order[:SAMPLES].tolist())]


class _Warped:
    """Reader of a maps file, warped to another grid and shifted by whole pixels."""

    def __init__(self, maps: LookMaps, frame: Grid, shift_px: tuple[int, int]) -> None:
        self._maps, self._frame = maps, frame
        rows, cols = shift_px
        # Moving the look down by r rows is reading it r rows higher.
        self._transform = frame.transform @ Affine.translation(-cols, -rows)
        self._stack = ExitStack()

    def __enter__(self) -> _Warped:
        dataset = self._stack.enter_context(rasterio.open(self._maps.path, driver="GTiff"))
        rows, cols = self._frame.shape
        self._vrt = self._stack.enter_context(
            WarpedVRT(
                dataset,
                crs=self._frame.crs,
                transform=self._transform,
                height=rows,
                width=cols,
                resampling=Resampling.bilinear,
                add_alpha=True,
            )
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Read both maps (2, H, W) and validity (H, W)."""
        bands = self._vrt.read((1, 2, self._vrt.count), window=_rasterio(window))
        return bands[:2], bands[-1] > 127

    def coarse(self, window: Window, factor: int) -> NDArray[np.uint8]:
        """Read the footprint map, decimated by `factor`."""
        shape = (max(1, window.height // factor), max(1, window.width // factor))
        found: NDArray[np.uint8] = self._vrt.read(1, window=_rasterio(window), out_shape=shape)
        return found


def _rasterio(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col, window.row, window.width, window.height)


def _corners(grid: Grid) -> NDArray[np.float64]:
    rows, cols = grid.shape
    return np.array([[0, 0], [cols, 0], [cols, rows], [0, rows]], np.float64)


def _log_odds() -> NDArray[np.float32]:
    """Log-odds of each of the 256 stored probabilities, clipped to 0.01..0.99."""
    probability = np.clip(np.arange(256) / 255, 0.01, 0.99)
    return np.log(probability / (1 - probability)).astype(np.float32)


_LOG_ODDS = _log_odds()


def _odds_of(weight: float) -> NDArray[np.float32]:
    """Log-odds table of a look; the lower its weight, the less its negative log-odds count."""
    doubt = np.float32(_DOUBT + (1 - _DOUBT) * min(1.0, weight))
    return np.where(_LOG_ODDS < 0, _LOG_ODDS * doubt, _LOG_ODDS)
