"""All pairs of overlapping boxes: a vectorised sweep along x within bands of y.

For boxes that are mostly small and disjoint, as those of buildings are, this costs a fifth
of an R-tree.

Axis letters: N boxes, E (box, band) entries, P pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snet4core.labels.runs import positions

Indices = NDArray[np.int64]


def overlapping_boxes(boxes_N4: NDArray[np.float64]) -> tuple[Indices, Indices]:
    """Return all index pairs (later, earlier) whose boxes overlap; touching is not enough.

    `boxes_N4` holds xmin, ymin, xmax, ymax. Each pair comes once, in no particular order.

    >>> boxes = np.array([[0, 0, 4, 4], [3, 3, 5, 5], [4, 0, 6, 3]], float)
    >>> [index.tolist() for index in overlapping_boxes(boxes)]
    [[1], [0]]
    """
    if len(boxes_N4) < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    x0_N, y0_N, x1_N, y1_N = boxes_N4.T
    # Rounded outwards to integers: exact as keys, and never smaller than the boxes.
    left_N = np.floor(x0_N - x0_N.min()).astype(np.int64)
    right_N = np.ceil(x1_N - x0_N.min()).astype(np.int64)
    width = int(right_N.max()) + 1
    band_height = max(1.0, float((y1_N - y0_N).mean()))
    first_N = np.floor((y0_N - y0_N.min()) / band_height).astype(np.int64)
    last_N = np.floor((y1_N - y0_N.min()) / band_height).astype(np.int64)

    which_E = np.repeat(np.arange(len(boxes_N4)), last_N - first_N + 1)
    start_E = positions(first_N, last_N - first_N + 1) * width
    key_E = start_E + left_N[which_E]
    order_E = np.argsort(key_E, kind="stable")
    which_E, start_E, key_E = which_E[order_E], start_E[order_E], key_E[order_E]
    # The entries of the band that begin before this one ends follow it directly.
    after_E = np.searchsorted(key_E, start_E + right_N[which_E])
    here_E = np.arange(len(key_E))
    count_E = np.maximum(after_E - here_E - 1, 0)
    entry_P = np.repeat(here_E, count_E)
    one_P, other_P = which_E[entry_P], which_E[positions(here_E + 1, count_E)]
    meets_P = (
        (x0_N[one_P] < x1_N[other_P])
        & (x0_N[other_P] < x1_N[one_P])
        & (y0_N[one_P] < y1_N[other_P])
        & (y0_N[other_P] < y1_N[one_P])
        # Report a pair that shares several bands only in the first of them.
        & (start_E[entry_P] == width * np.maximum(first_N[one_P], first_N[other_P]))
    )
    one_P, other_P = one_P[meets_P], other_P[meets_P]
    return np.maximum(one_P, other_P), np.minimum(one_P, other_P)
