"""Computes the robust range of each band, from a sample spread over the whole scene.

The sample depends on the raster alone: not on windows, workers or the working grid.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snet4core.scene.radiometry import BandRange, band_range
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import Scene
from snet4core.windows import Window

ENOUGH_PX = 2**22
"""Valid pixels after which a percentile no longer moves."""

THINNING = 2
"""Of larger rasters every second row and column is used: neighbours are much alike, and
coverage of the whole scene matters more."""

MOST_READ_PX = 2**27
"""Most pixels read in search of more valid ones, for scenes that are mostly empty."""

SAMPLE_PX = 2**18
"""Pixels in one piece of the sample."""

COLLAR_SHARE = 0.005
"""Pixels at an extreme in all bands at once are a collar if they exceed this share."""

_GOLDEN = 0.6180339887498949


def scene_ranges(scene: Scene) -> tuple[BandRange | None, ...]:
    """One range per model band, None for bands that the file does not have.

    Small rasters (up to 4 MPix) are read whole. Of larger ones pieces along the file's own
    blocks are read, evenly spread and thinned, until there are enough valid pixels; of mostly
    empty ones until `MOST_READ_PX` pixels were read and some of them were valid.
    """
    bands = scene.bands.file_bands
    rows, cols = scene.grid.shape
    step = 1 if rows * cols <= ENOUGH_PX else THINNING
    thin = slice(None, None, step)
    pieces: list[NDArray[np.generic]] = []
    found_px = read_px = 0
    with SceneReader(scene) as reader:
        for window in sample_windows(scene.grid.shape, scene.block_shape):
            if found_px >= ENOUGH_PX or (found_px and read_px >= MOST_READ_PX):
                break
            # Without a single valid pixel there would be no range, and no building in the scene:
            # so the search goes on, but not through what is no data for nothing was written there.
            if read_px >= MOST_READ_PX and reader.is_hole(window):
                continue
            counts_BHW, valid_HW = reader.read(window)
            pieces.append(counts_BHW[:, thin, thin][:, valid_HW[thin, thin]])
            found_px += pieces[-1].shape[1] * step**2
            read_px += window.height * window.width
    sample_BN = np.concatenate(pieces, axis=1) if pieces else np.zeros((len(bands), 0))
    sample_BN = without_collar(sample_BN, [n for n, band in enumerate(bands) if band is not None])
    return tuple(None if band is None else band_range(sample_BN[n]) for n, band in enumerate(bands))


def sample_windows(shape: tuple[int, int], block_shape: tuple[int, int]) -> Iterator[Window]:
    """Windows of about `SAMPLE_PX` aligned to the file's blocks, each far from the last.

    Together they cover the raster exactly once.
    """
    rows, cols = shape
    block_rows, block_cols = min(block_shape[0], rows), min(block_shape[1], cols)
    width = min(cols, block_cols * max(1, 512 // block_cols))
    height = min(rows, block_rows * max(1, SAMPLE_PX // (width * block_rows)))
    height = min(height, max(1, 16 * SAMPLE_PX // width))
    across = -(-cols // width)
    pieces = across * -(-rows // height)
    for index in spread(pieces):
        row, col = index // across * height, index % across * width
        yield Window(row, col, min(height, rows - row), min(width, cols - col))


def spread(count: int) -> Iterator[int]:
    """0 .. count - 1, each once, any first n evenly spread, in steps of the golden section.

    >>> list(spread(8))
    [0, 5, 2, 7, 4, 1, 6, 3]
    """
    step = max(1, round(count * _GOLDEN))
    while np.gcd(step, count) != 1:
        step += 1
    return (index * step % count for index in range(count))


def without_collar(sample_BN: NDArray[np.generic], present: list[int]) -> NDArray[np.generic]:
    """Drop pixels with the largest (smallest) value of ALL bands at once, if they are many.

    A bright or dark frame around the picture has one value everywhere and would shift
    the percentiles. If nothing else is left (a constant picture), nothing is dropped.
    """
    if sample_BN.shape[1] == 0 or not present:
        return sample_BN
    keep_N = np.ones(sample_BN.shape[1], dtype=np.bool_)
    for extreme in (np.min, np.max):
        at_N = np.ones(sample_BN.shape[1], dtype=np.bool_)
        for band in present:
            at_N &= sample_BN[band] == extreme(sample_BN[band])
            if np.count_nonzero(at_N) / at_N.size <= COLLAR_SHARE:
                break  # seldom needs a second band
        else:
            keep_N &= ~at_N
    some_go = keep_N.any() and not keep_N.all()
    return sample_BN[:, keep_N] if some_go else sample_BN
