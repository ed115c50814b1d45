"""The inner loops of shapes, compiled; where they are missing, numpy does the same.

The wheels of a release for Linux, macOS and Windows have them, and so has what is installed from
its source where there is a C compiler; the wheel for all other machines, which the QGIS plugin
carries too, is pure Python and has none. A checkout whose C file has changed since it was compiled
has none either, until it is installed again. Every function here
has its numpy twin in the module that calls it, with equal results to the bit; `compiled` says
whether they are there. `SNET4_KERNELS=off` in the environment chooses numpy.

The compiled functions trust what they are given, so everything is checked here: other types, shapes
or places are a TypeError, ValueError or IndexError and never a wrong address.

Array names end in their axes: H rows, W columns, R runs or rings, E walls, P pixels, K candidates,
S segments, T taps, N new values.
"""

from __future__ import annotations

import hashlib
import math
import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _of_other_source(kernels: Any) -> bool:
    """Whether the C file of a checkout is not the one that was compiled."""
    try:
        source = Path(__file__).with_name("_kernels.c").read_bytes()
    except OSError:  # a wheel, which has none
        return False
    return getattr(kernels, "SOURCE_SHA256", "") != hashlib.sha256(source).hexdigest()


_kernels: Any = None
_stale = False
if os.environ.get("SNET4_KERNELS", "").lower() != "off":
    with suppress(ImportError):
        _kernels = import_module("snet4core._kernels")
        if _stale := _of_other_source(_kernels):
            _kernels = None

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def compiled() -> bool:
    """Whether the other functions of this module can be called."""
    return _kernels is not None


def stale() -> bool:
    """Whether there is a compiled module, of other source than this checkout's: it is not used."""
    return _stale


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
    image_HW = _plain(image_HW, image_HW.dtype)
    runs = _runs_inside(first_R, length_R, image_HW)
    value_P = np.empty(int(runs[1].sum()), image_HW.dtype)
    _kernels.take_runs(image_HW, *runs, value_P, image_HW.itemsize)
    return value_P


def put_runs(image_HW: NDArray[Any], first_R: Ints, length_R: Ints, value_P: NDArray[Any]) -> None:
    """Write values (P,) into the runs of a contiguous image of the same type, run after run."""
    runs = _runs_inside(first_R, length_R, image_HW)
    if value_P.shape != (int(runs[1].sum()),):
        raise ValueError("As many values as pixels of the runs are wanted.")
    _kernels.put_runs(image_HW, *runs, _plain(value_P, image_HW.dtype), image_HW.itemsize)


def fill_runs(
    image_HW: NDArray[np.int32], first_R: Ints, length_R: Ints, value_R: NDArray[np.int32]
) -> None:
    """Write one value (R,) into each run of a contiguous image."""
    _same_type(image_HW, np.int32)
    runs = _runs_inside(first_R, length_R, image_HW)
    if value_R.shape != runs[0].shape:
        raise ValueError("As many values as runs are wanted.")
    _kernels.fill_runs(image_HW, *runs, _plain(value_R, np.int32))


def _runs_inside(first_R: Ints, length_R: Ints, image_HW: NDArray[Any]) -> tuple[Ints, Ints]:
    """Flat indices and lengths as compiled code wants them, of runs that lie inside of an image."""
    first_R, length_R = _plain(first_R, np.int64), _plain(length_R, np.int64)
    if first_R.ndim != 1 or first_R.shape != length_R.shape:
        raise ValueError("As many lengths as runs are wanted.")
    if first_R.size and (
        first_R.min() < 0
        or length_R.min() < 0
        # Differences, since a sum might be beyond the largest number.
        or (length_R > image_HW.size - first_R).any()
    ):
        raise IndexError("A run reaches beyond its image.")
    return first_R, length_R


def flooded(level_HW: NDArray[np.uint8], sources_HW: NDArray[np.int32], top: int) -> NDArray[Any]:
    """See `labels.flood.flooded`."""
    level_HW, region_HW = _plain(level_HW, np.uint8), _plain(sources_HW, np.int32).copy()
    if level_HW.ndim != 2 or level_HW.shape != region_HW.shape or not 0 <= top <= 255:
        raise ValueError("Levels and sources of one shape are wanted, and a top of 0 to 255.")
    if any((each < top).any() for each in _rim(level_HW)):
        raise ValueError("The rim of a flooded image must be at its top.")
    _kernels.flooded(level_HW, region_HW, level_HW.shape[1], top)
    return region_HW


def _rim(image_HW: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Outermost rows and columns, none of an image that is empty."""
    return image_HW[:1], image_HW[-1:], image_HW[:, :1], image_HW[:, -1:]


def trace(
    padded_HW: NDArray[np.int32],
) -> tuple[Ints, Ints, NDArray[np.int32], NDArray[np.bool_], Ints, NDArray[np.int32], Any]:
    """Rings of labels that have a rim of background: the fields of `outlines.rings.Rings`.

    Rings come by their first eastward wall in raster order; coordinates without the rim.
    """
    padded_HW = _plain(padded_HW, np.int32)
    if padded_HW.ndim != 2 or any(each.any() for each in _rim(padded_HW)):
        raise ValueError("Labels with a rim of background are wanted.")
    x, y, other, joint, first, label, hole = _kernels.trace(padded_HW, padded_HW.shape[1])
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
    x_E, y_E, first_R = (_plain(each, np.int64) for each in (x_E, y_E, first_R))
    kept_E, tolerance_E = _plain(joint_E, np.bool_).copy(), _plain(tolerance_E, np.float64)
    if any(each.shape != (x_E.size,) for each in (x_E, y_E, kept_E, tolerance_E)):
        raise ValueError("As many values as corners are wanted.")
    if first_R.ndim != 1 or first_R[0] < 0 or first_R[-1] > x_E.size:
        raise IndexError("A ring reaches beyond its corners.")
    if (first_R[1:] <= first_R[:-1]).any():
        raise ValueError("Every ring needs a corner.")
    _kernels.simplified(x_E, y_E, first_R, tolerance_E, kept_E)
    return kept_E


def missed(x_E: Ints, y_E: Ints, sums_6E: Ints, stretches_C4: Ints) -> Floats:
    """How far the farthest corner of some stretches of rings is from the stretch's line, (C,).

    Stretches are their first and last corner, and the first corner of their ring and of the next;
    from one that is not before its last they go around. See `outlines.fitting.Stairs` for the sums,
    (6, E + 1).
    """
    x_E, y_E, sums_6E = (_plain(each, np.int64) for each in (x_E, y_E, sums_6E))
    stretches_C4 = _plain(stretches_C4, np.int64)
    if x_E.shape != (x_E.size,) or x_E.shape != y_E.shape or sums_6E.shape != (6, x_E.size + 1):
        raise ValueError("As many rows and sums as columns of corners are wanted.")
    if stretches_C4.ndim != 2 or stretches_C4.shape[1] != 4:
        raise ValueError("Four numbers for each stretch are wanted.")
    begin_C, stop_C, first_C, next_C = stretches_C4.T
    if (
        (first_C < 0)
        | (next_C > x_E.size)
        | (begin_C < first_C)
        | (begin_C >= next_C)
        | (stop_C < first_C)
        | (stop_C > next_C)
    ).any():
        raise IndexError("A stretch reaches beyond its ring.")
    most_C = np.empty(len(stretches_C4))
    _kernels.missed(x_E, y_E, sums_6E, stretches_C4, most_C)
    return most_C


def label_sums(labels_HW: NDArray[np.int32], value_HW: NDArray[np.uint8], count: int) -> Ints:
    """The sum of the values of each label 1 to `count`, (N,)."""
    labels_HW, value_HW = _plain(labels_HW, np.int32), _plain(value_HW, np.uint8)
    if labels_HW.shape != value_HW.shape:
        raise ValueError("Labels and values of one shape are wanted.")
    sum_N = np.zeros(count, np.int64)
    _kernels.label_sums(labels_HW, value_HW, sum_N)
    return sum_N


def middles(
    labels_HW: NDArray[np.int32], value_HW: NDArray[np.uint8], first: int, stop: int
) -> Ints:
    """The two values in the middle of those of labels `first` to before `stop`, (N, 2)."""
    labels_HW, value_HW = _plain(labels_HW, np.int32), _plain(value_HW, np.uint8)
    if labels_HW.shape != value_HW.shape:
        raise ValueError("Labels and values of one shape are wanted.")
    middle_N2 = np.empty((stop - first, 2), np.int64)
    _kernels.middles(labels_HW, value_HW, first, middle_N2)
    return middle_N2


def eroded(mask_HW: NDArray[np.bool_], square: bool) -> NDArray[np.bool_]:
    """See `labels.morphology.eroded`."""
    mask_HW = _plain(mask_HW, np.bool_)
    out_HW = np.zeros_like(mask_HW)
    _kernels.eroded(mask_HW, out_HW, *mask_HW.shape, square)
    return out_HW


def slid_sums(
    runs: tuple[Ints, Ints, Ints],
    many_S: Ints,
    steps_KS2: Ints,
    map_HW: NDArray[np.int16],
    weight_HW: NDArray[np.int16] | None,
) -> Ints:
    """See `maps.feet`: sums (K, S) over segments that are slid over a map, of 0 to 1020.

    `runs` are rows, starts and stops (R,), segment after segment; of each there are `many_S`.
    """
    row_R, start_R, stop_R = (_plain(each, np.int64) for each in runs)
    many_S, steps_KS2 = _plain(many_S, np.int64), _plain(steps_KS2, np.int64)
    map_HW = _plain(map_HW, np.int16)
    weight = np.empty(0, np.int16) if weight_HW is None else _plain(weight_HW, np.int16)
    if map_HW.ndim != 2 or (weight_HW is not None and weight.shape != map_HW.shape):
        raise ValueError("A map is wanted, and weights of its shape.")
    _check_slides((row_R, start_R, stop_R), many_S, steps_KS2, map_HW.shape)
    sums_KS = np.empty(steps_KS2.shape[:2], np.int64)
    places = row_R, start_R, stop_R, many_S, steps_KS2
    _kernels.slid_sums(*places, map_HW, weight, *map_HW.shape, len(steps_KS2), sums_KS)
    return sums_KS


_FARTHEST = 1 << 31
"""Steps beyond it would leave the numbers that compiled code counts with."""


def _check_slides(
    runs: tuple[Ints, Ints, Ints], many_S: Ints, steps_KS2: Ints, shape: tuple[int, ...]
) -> None:
    row_R, start_R, stop_R = runs
    if any(each.shape != (row_R.size,) for each in runs):
        raise ValueError("As many starts and stops as rows are wanted.")
    if many_S.ndim != 1 or steps_KS2.shape[1:] != (many_S.size, 2):
        raise ValueError("Two steps for each segment are wanted.")
    if (many_S < 0).any() or (many_S > row_R.size).any() or many_S.sum() != row_R.size:
        raise ValueError("Segments with as many runs as there are rows are wanted.")
    if (steps_KS2 < -_FARTHEST).any() or (steps_KS2 > _FARTHEST).any():
        raise IndexError("A segment is slid too far.")
    if row_R.size and not (
        0 <= row_R.min() <= row_R.max() < shape[0]
        and start_R.min() >= 0
        and stop_R.max() <= shape[1]
        and (start_R < stop_R).all()
    ):
        raise IndexError("A run reaches beyond its map.")


def pooled(map_HW: NDArray[np.uint8]) -> NDArray[np.int16]:
    """See `maps.feet`: sums (0..1020) of squares of 2 x 2 pixels."""
    rows, cols = map_HW.shape
    sum_HW = np.empty((rows // 2, cols // 2), np.int16)
    _kernels.pooled(_plain(map_HW, np.uint8), rows, cols, sum_HW)
    return sum_HW


def grown(segments_HW: NDArray[np.int32], steps: int) -> NDArray[np.int32]:
    """See `maps.feet`: segments grown into pixels of none."""
    grown_HW = _plain(segments_HW, np.int32).copy()
    if grown_HW.size:
        _kernels.grown(grown_HW, *grown_HW.shape, steps)
    return grown_HW


def paint(
    image_HW: NDArray[np.uint8], segments_HW: NDArray[np.int32], value_S: NDArray[np.uint8]
) -> None:
    """Write each segment's value into its squares of 2 x 2 pixels of a contiguous image."""
    _same_type(image_HW, np.uint8)
    segments_HW, value_S = _plain(segments_HW, np.int32), _plain(value_S, np.uint8)
    if segments_HW.shape != tuple(side // 2 for side in image_HW.shape):
        raise ValueError("A segment for each square of the image is wanted.")
    _check_segments(segments_HW, value_S.size)
    _kernels.paint(image_HW, image_HW.shape[1], segments_HW, *segments_HW.shape, value_S)


def _check_segments(segments_HW: NDArray[np.int32], count: int) -> None:
    if segments_HW.size and not 0 <= segments_HW.min() <= segments_HW.max() <= count:
        raise IndexError("A segment is beyond the last one.")


def scaled(
    counts_HW: NDArray[np.uint16], out_HW: NDArray[np.float32], by: tuple[float, ...]
) -> None:
    """Write ((counts - by[0]) / by[1], clipped to by[2]..by[3], - by[4]) * by[5] to `out_HW`."""
    _same_type(out_HW, np.float32)
    if counts_HW.shape != out_HW.shape:
        raise ValueError("Counts and results of one shape are wanted.")
    _kernels.scaled(_plain(counts_HW, np.uint16), out_HW, *by)


def resampled(
    values: NDArray[np.float32], axis: int, index_TN: Ints, weight_TN: NDArray[np.float32]
) -> NDArray[np.float32]:
    """See `scene.resample`: an axis whose values become sums of T of them, weighed, N times."""
    values, weight_TN = _plain(values, np.float32), _plain(weight_TN, np.float32)
    index_TN, (taps, count) = _plain(index_TN, np.int64), index_TN.shape
    before, old, after = values.shape[:axis], values.shape[axis], values.shape[axis + 1 :]
    if weight_TN.shape != index_TN.shape or not taps:
        raise ValueError("A weight for each index is wanted.")
    if index_TN.size and not 0 <= index_TN.min() <= index_TN.max() < old:
        raise IndexError("An index is beyond the axis.")
    out = np.empty((*before, count, *after), np.float32)
    if out.size:
        many, inner = math.prod(before), math.prod(after)
        _kernels.resampled(values, many, old, inner, index_TN, weight_TN, taps, count, out)
    return out


def quantised(total: NDArray[np.float32], count: int) -> NDArray[np.uint8]:
    """See `maps.scales`: the mean of `count` probabilities whose sum is given, as 0..255."""
    maps = np.empty(total.shape, np.uint8)
    _kernels.quantised(_plain(total, np.float32), count, maps)
    return maps


def _plain(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """The array itself, if it lies in memory as compiled code wants it, or else a copy.

    TypeError if values might not stay as they are, and for objects.
    """
    if not np.can_cast(array.dtype, dtype) or np.dtype(dtype).hasobject:
        raise TypeError(f"{array.dtype} is no {np.dtype(dtype)}.")
    return np.require(array, dtype, ["C", "A"])


def _same_type(array: NDArray[Any], dtype: Any) -> None:
    """Check an array that is written to; that it is contiguous, its buffer sees to."""
    if array.dtype != dtype or not array.flags.aligned:
        raise TypeError(f"An array of {np.dtype(dtype)} is wanted, not {array.dtype}.")
