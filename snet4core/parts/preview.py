"""Footprints of a part of stored maps, made anew while a user tries settings.

The file stays open and the pixels of the last part stay in memory, so that another threshold
costs the shapes alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from snet4core.errors import InputError
from snet4core.footprints.footprints import Footprints, concatenated
from snet4core.grid import Points
from snet4core.maps.file import open_maps
from snet4core.maps.maps import Maps
from snet4core.parts.plan import Choices
from snet4core.parts.polygonize import settings_of, shaped, source_of
from snet4core.scene.reader import SceneReader
from snet4core.settings import ShapeSettings
from snet4core.windows import Window

MOST_PX = 4_000_000
"""Largest part that is shaped; of a larger one, its middle. About half a second of work."""

MARGIN_PX = 64
"""Read around the part, so that buildings on its edge are whole."""

Bounds = tuple[float, float, float, float]
"""x min, y min, x max, y max in the CRS of the maps."""


@dataclass(frozen=True)
class Preview:
    """What a part of the maps gives."""

    footprints: Footprints
    """Those that reach into the part, numbered within it."""
    bounds: Bounds
    """The part itself."""
    is_whole: bool
    """False where the part that was asked for was too large, and this is its middle."""
    settings: ShapeSettings
    """With what was left open."""


class StoredMaps:
    """A file of maps to be tried. Not for several threads. Close it when done."""

    def __init__(self, path: Path) -> None:
        """Raises InputError for a file that holds no maps."""
        self.path = path
        self._file = open_maps(path)
        self._reader = SceneReader(self._file.scene).__enter__()
        self._last: Maps | None = None

    def close(self) -> None:
        """Close the file."""
        self._reader.__exit__(None, None, None)

    def preview(self, bounds: Bounds | None, choices: Choices) -> Preview:
        """Footprints of the part `bounds` (None: all) as `polygonize` would make them.

        Raises InputError for a part outside of the maps or pixels that cannot be decoded,
        UsageError for choices that make no sense.
        """
        part, is_whole = self._part(bounds)
        whole = Window(0, 0, *self._file.grid.shape)
        window = part.grown(MARGIN_PX).within(whole)
        if self._last is None or self._last.window != window:
            self._last = self._file.read(self._reader, window)
        batches = list(shaped(self._file, [self._last], choices, within=window))
        found = concatenated(source_of(self._file, choices), batches)
        corners_N2 = self._corners(part)
        reaches_N = shapely.intersects(found.polygons_N, shapely.Polygon(corners_N2))
        (low_x, low_y), (high_x, high_y) = corners_N2.min(axis=0), corners_N2.max(axis=0)
        return Preview(
            found[np.asarray(reaches_N)],
            (float(low_x), float(low_y), float(high_x), float(high_y)),
            is_whole,
            settings_of(self._file, choices),
        )

    def _part(self, bounds: Bounds | None) -> tuple[Window, bool]:
        """The pixels of `bounds`, or those in their middle; whether they are all."""
        grid = self._file.grid
        whole = Window(0, 0, *grid.shape)
        part = whole
        if bounds is not None:
            low_x, low_y, high_x, high_y = bounds
            corners = [(low_x, low_y), (low_x, high_y), (high_x, low_y), (high_x, high_y)]
            pixels_42 = grid.to_pixels(np.array(corners, float))
            # A part far away has more pixels than an integer holds.
            pixels_42 = np.clip(pixels_42, -1, [grid.shape[1] + 1, grid.shape[0] + 1])
            col, row = np.floor(pixels_42.min(axis=0)).astype(int).tolist()
            col_stop, row_stop = np.ceil(pixels_42.max(axis=0)).astype(int).tolist()
            part = Window(row, col, row_stop - row, col_stop - col).within(whole)
        if 0 in part.shape:
            raise InputError(
                f"{self._file.scene.admitted.shown} lies outside the part that is shown; "
                "zoom to it."
            )
        return _middle(part)

    def _corners(self, part: Window) -> Points:
        cols, rows = (part.col, part.col_stop), (part.row, part.row_stop)
        around = [(0, 0), (1, 0), (1, 1), (0, 1)]
        pixels_42 = np.array([(cols[right], rows[down]) for right, down in around], float)
        return self._file.grid.to_map(pixels_42)


def _middle(part: Window) -> tuple[Window, bool]:
    """The part, shrunk about its centre to `MOST_PX` pixels where it is larger."""
    share = math.sqrt(MOST_PX / (part.height * part.width))
    if share >= 1:
        return part, True
    height, width = max(1, int(part.height * share)), max(1, int(part.width * share))
    row, col = part.row + (part.height - height) // 2, part.col + (part.width - width) // 2
    return Window(row, col, height, width), False
