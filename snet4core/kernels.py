"""The inner loops of shapes, compiled; where they are missing, numpy does the same.

`_kernels.c` is built when snet4 is installed from its source where there is a C compiler; the
wheels of `make dist` and of the QGIS plugin are pure Python and have none. Every function here
has its numpy twin in the module that calls it, with equal results to the bit; `compiled` says
whether they are there. `SNET4_KERNELS=off` in the environment chooses numpy.

Array names end in their axes: H rows, W columns, R runs or rings, E walls, P pixels, K candidates,
S segments.
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

_kernels: Any = None
if os.environ.get("SNET4_KERNELS") != "off":
    with suppress(ImportError):
        _kernels = import_module("snet4core._kernels")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def compiled() -> bool:
    """Whether the other functions of this module can be called."""
    return _kernels is not None


def components(mask_HW: NDArray[np.bool_]) -> tuple[Ints, Ints, Ints, NDArray[np.int32], int]:
    """Row, start, stop and label of each run of a mask, and the number of labels."""
    *runs, count = _kernels.components(_plain(mask_HW, np.bool_), *mask_HW.shape)
    return *_run_arrays(runs), count


def runs_of_labels(labels_HW: NDArray[np.int32]) -> tuple[Ints, Ints, Ints, NDArray[np.int32]]:
    """Row, start, stop and label of each run of equal labels other than 0."""
    *runs, _ = _kernels.runs_of_labels(_plain(labels_HW, np.int32), *labels_HW.shape)
    return _run_arrays(runs)


def _run_arrays(runs: list[bytearray]) -> tuple[Ints, Ints, Ints, NDArray[np.int32]]:
    row_R, start_R, stop_R = (np.frombuffer(each, np.int64) for each in runs[:3])
    return row_R, start_R, stop_R, np.frombuffer(runs[3], np.int32)


def take_runs(image_HW: NDArray[Any], first_R: Ints, length_R: Ints) -> NDArray[Any]:
    """The pixels of runs, given by flat index and length, run after run: (P,)."""
    image_HW = np.ascontiguousarray(image_HW)
    value_P = np.empty(_checked(first_R, length_R, image_HW.size), image_HW.dtype)
    runs = _plain(first_R, np.int64), _plain(length_R, np.int64)
    _kernels.take_runs(image_HW, *runs, value_P, image_HW.itemsize)
    return value_P


def put_runs(image_HW: NDArray[Any], first_R: Ints, length_R: Ints, value_P: NDArray[Any]) -> None:
    """Write values (P,) into the runs of a contiguous image of the same type, run after run."""
    if _checked(first_R, length_R, image_HW.size) != value_P.size:
        raise ValueError("As many values as pixels of the runs are wanted.")
    runs = _plain(first_R, np.int64), _plain(length_R, np.int64)
    _kernels.put_runs(image_HW, *runs, _plain(value_P, image_HW.dtype), image_HW.itemsize)


def fill_runs(
    image_HW: NDArray[np.int32], first_R: Ints, length_R: Ints, value_R: NDArray[np.int32]
) -> None:
    """Write one value (R,) into each run of a contiguous image."""
    _checked(first_R, length_R, image_HW.size)
    runs = _plain(first_R, np.int64), _plain(length_R, np.int64)
    _kernels.fill_runs(image_HW, *runs, _plain(value_R, np.int32))


def _checked(first_R: Ints, length_R: Ints, size: int) -> int:
    """The number of pixels of runs, which lie inside of an image."""
    if first_R.size and (
        first_R.min() < 0 or length_R.min() < 0 or (first_R + length_R).max() > size
    ):
        raise IndexError("A run reaches beyond its image.")
    return int(length_R.sum())


def flooded(level_HW: NDArray[np.uint8], sources_HW: NDArray[np.int32], top: int) -> NDArray[Any]:
    """See `labels.flood.flooded`."""
    region_HW = np.array(sources_HW, np.int32, order="C")
    rim = (level_HW[0], level_HW[-1], level_HW[:, 0], level_HW[:, -1])
    if any((each < top).any() for each in rim):
        raise ValueError("The rim of a flooded image must be at its top.")
    _kernels.flooded(_plain(level_HW, np.uint8), region_HW, level_HW.shape[1], top)
    return region_HW


def trace(
    padded_HW: NDArray[np.int32],
) -> tuple[Ints, Ints, NDArray[np.int32], NDArray[np.bool_], Ints, NDArray[np.int32], Any]:
    """Rings of labels that have a rim of background: the fields of `outlines.rings.Rings`.

    Rings come by their first eastward wall in raster order; coordinates without the rim.
    """
    x, y, other, joint, first, label, hole = _kernels.trace(
        _plain(padded_HW, np.int32), padded_HW.shape[1]
    )
    return (
        np.frombuffer(x, np.int64),
        np.frombuffer(y, np.int64),
        np.frombuffer(other, np.int32),
        np.frombuffer(joint, np.bool_),
        np.frombuffer(first, np.int64),
        np.frombuffer(label, np.int32),
        np.frombuffer(hole, np.bool_),
    )


def simplified(
    x_E: Ints, y_E: Ints, joint_E: NDArray[np.bool_], first_R: Ints, tolerance_E: Floats
) -> NDArray[np.bool_]:
    """See `outlines.simplify.douglas_peucker`."""
    kept_E = np.array(joint_E, np.bool_)
    ends = _plain(first_R, np.int64)
    _kernels.simplified(
        _plain(x_E, np.int64), _plain(y_E, np.int64), ends, _plain(tolerance_E, np.float64), kept_E
    )
    return kept_E


def slid_sums(
    row_P: Ints,
    col_P: Ints,
    count_S: Ints,
    steps_KS2: Ints,
    layers: list[tuple[Floats, Floats]],
) -> Floats:
    """Sums (K, S) over segments that are slid over one map, or two, by weights (P,).

    `layers` holds (map (H, W), weights (P,)); segments lie one after the other, and move back by
    columns and rows. What would lie outside is at the edge.
    """
    none = np.empty(0)
    (one_HW, one_P), (two_HW, two_P) = [*layers, (none, none)][:2]
    sums_KS = np.empty(steps_KS2.shape[:2])
    _kernels.slid_sums(
        *(_plain(each, np.int64) for each in (row_P, col_P, count_S, steps_KS2)),
        *(_plain(each, np.float64) for each in (one_HW, one_P, two_HW, two_P)),
        *one_HW.shape,
        len(steps_KS2),
        sums_KS,
    )
    return sums_KS


def pooled(map_HW: NDArray[np.uint8]) -> Floats:
    """See `maps.feet`: means (0..1) of squares of 2 x 2 pixels."""
    rows, cols = map_HW.shape
    mean_HW = np.empty((rows // 2, cols // 2))
    _kernels.pooled(_plain(map_HW, np.uint8), rows, cols, mean_HW)
    return mean_HW


def grown(segments_HW: NDArray[np.int32], steps: int) -> NDArray[np.int32]:
    """See `maps.feet`: segments grown into pixels of none."""
    grown_HW = np.array(segments_HW, np.int32, order="C")
    _kernels.grown(grown_HW, *grown_HW.shape, steps)
    return grown_HW


def scaled(
    counts_HW: NDArray[np.uint16], out_HW: NDArray[np.float32], by: tuple[float, ...]
) -> None:
    """Write ((counts - by[0]) / by[1], clipped to by[2]..by[3], - by[4]) * by[5] to `out_HW`."""
    _kernels.scaled(_plain(counts_HW, np.uint16), out_HW, *by)


def _plain(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """The array itself, if it lies in memory as compiled code wants it."""
    return np.ascontiguousarray(array, dtype)
