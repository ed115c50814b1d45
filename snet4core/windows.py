"""Divides a raster into windows: tiles with a halo, and blocks.

Everything here is a pure function of the raster's size and a few numbers, so that
a map depends on the raster alone, never on batch, worker or block size.

Rows run down, columns run right; a window is [row, row + height) x [col, col + width).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snet4core.errors import UsageError


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle of whole pixels; may be empty, never negative in size."""

    row: int
    """First row, y of the upper edge."""
    col: int
    """First column, x of the left edge."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise UsageError(f"A window of {self.height} x {self.width} pixels has no size.")

    @property
    def row_stop(self) -> int:
        """The row after the last one."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """The column after the last one."""
        return self.col + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.height, self.width

    def slices(self, origin: Window | None = None) -> tuple[slice, slice]:
        """Slices of this window in an array that starts at `origin` (default: row 0, column 0).

        >>> Window(4, 6, 2, 3).slices(Window(4, 4, 9, 9))
        (slice(0, 2, None), slice(2, 5, None))
        """
        row0, col0 = (origin.row, origin.col) if origin else (0, 0)
        return (
            slice(self.row - row0, self.row_stop - row0),
            slice(self.col - col0, self.col_stop - col0),
        )

    def grown(self, margin_px: int) -> Window:
        """The window with `margin_px` more pixels on all four sides."""
        return Window(
            self.row - margin_px,
            self.col - margin_px,
            self.height + 2 * margin_px,
            self.width + 2 * margin_px,
        )

    def within(self, other: Window) -> Window:
        """The intersection of this window with `other` (perhaps empty).

        >>> Window(-2, 0, 5, 5).within(Window(0, 0, 4, 4))
        Window(row=0, col=0, height=3, width=4)
        """
        row, col = max(self.row, other.row), max(self.col, other.col)
        return Window(
            row,
            col,
            max(0, min(self.row_stop, other.row_stop) - row),
            max(0, min(self.col_stop, other.col_stop) - col),
        )


@dataclass(frozen=True, slots=True)
class Tile:
    """One step of the network: the window it reads, and the smaller window it owns."""

    read: Window
    """Owned window plus halo; may extend beyond the raster, where nothing is valid."""
    own: Window
    """The pixels that only this tile computes; owned windows cover the raster exactly once."""


def blocks(shape: tuple[int, int], block_px: int) -> Iterator[Window]:
    """Cut `shape` (rows, columns) into square blocks, row by row, the last ones smaller.

    >>> [w.shape for w in blocks((3, 5), 4)]
    [(3, 4), (3, 1)]
    """
    if block_px < 1:
        raise UsageError(f"A block of {block_px} pixels is too small; use at least 1.")
    rows, cols = shape
    for row in range(0, rows, block_px):
        for col in range(0, cols, block_px):
            yield Window(row, col, min(block_px, rows - row), min(block_px, cols - col))


def tiles(shape: tuple[int, int], core_px: int, halo_px: int, stride_px: int) -> Iterator[Tile]:
    """The fixed grid of tiles over a raster of `shape` (rows, columns).

    Cores start at multiples of `core_px`; the windows read start and end at multiples of
    `stride_px`, the encoder's total stride, because the network gives another result for
    the same pixel from a window with another origin. Towards the raster's edge the halo
    stops at the first multiple of the stride beyond the last pixel.

    >>> [t.read.shape for t in tiles((900, 900), 1024, 64, 32)]
    [(928, 928)]
    """
    if core_px % stride_px or halo_px % stride_px or core_px < stride_px or halo_px < 0:
        raise UsageError(
            f"Windows of {core_px} px with a halo of {halo_px} px do not fit a network of "
            f"stride {stride_px}; use multiples of {stride_px}."
        )
    whole = Window(0, 0, *(-(-n // stride_px) * stride_px for n in shape))
    for own in blocks(shape, core_px):
        core = Window(own.row, own.col, core_px, core_px)
        yield Tile(read=core.grown(halo_px).within(whole), own=own)
