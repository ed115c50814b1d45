"""Attached buildings come apart where the border map says so, and nowhere else.

Hearts are where footprint x (1 - border) is high; a component with two or more of them is
flooded from its hearts, inside itself, on the same map. Then every cut is judged:

    evidence = mean over the cut of the border seen on it (the higher of the two sides, 0..1)

A cut whose evidence is below `cut_evidence` is taken back: a ridge that shows over half of
a hall's width stays part of the hall. Example: two houses share a wall of 20 px, with a
border of 0.8 along 15 of them and 0.1 where it broke: (15 x 0.8 + 5 x 0.1) / 20 = 0.63,
which is enough for 0.5. A false ridge of 0.8 over 8 px in a hall 40 px wide gives 0.24: whole.

A component's partition depends on its own pixels alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.segmentation import watershed

from snet4core.labels import Labels
from snet4core.maps import quantised_threshold
from snet4core.settings import SplitSettings

Ints = NDArray[np.signedinteger]


def split(labels: Labels, settings: SplitSettings) -> Labels:
    """The same foreground, with attached buildings under labels of their own, 1..count."""
    if labels.count == 0:
        return labels
    border_HW = labels.border_HW.astype(np.uint16)
    heart_HW = (labels.footprint_HW * (255 - border_HW) // 255).astype(np.uint8)
    seeds_HW = _seeds(labels, heart_HW, settings)
    several_N = _seeds_per_label(labels, seeds_HW) >= 2
    if not several_N.any():
        return labels
    out_HW = labels.labels_HW.copy()
    count = labels.count
    boxes = ndimage.find_objects(labels.labels_HW)
    for label in np.flatnonzero(several_N):
        box = boxes[label - 1]
        inside_HW = labels.labels_HW[box] == label
        markers_HW = np.where(inside_HW, seeds_HW[box], 0)
        grown_HW = watershed(255 - heart_HW[box], markers_HW, mask=inside_HW)  # type: ignore[no-untyped-call]  # unannotated
        parts_HW = _judged(grown_HW, labels.border_HW[box], settings)
        # The first part keeps the component's number, the others get new ones.
        numbers = np.append([0, label], count + np.arange(1, parts_HW.max()))
        out_HW[box][inside_HW] = numbers[parts_HW[inside_HW]]
        count += int(parts_HW.max()) - 1
    return replace(labels, labels_HW=out_HW.astype(np.int32), count=count)


def _seeds(
    labels: Labels, heart_HW: NDArray[np.uint8], settings: SplitSettings
) -> NDArray[np.int32]:
    """Numbered hearts, those below the smallest size left out."""
    high_HW = (labels.labels_HW > 0) & (heart_HW >= quantised_threshold(settings.seed_threshold))
    seeds_HW, count = ndimage.label(high_HW, output=np.int32)
    large = np.bincount(seeds_HW.ravel(), minlength=count + 1) >= settings.seed_min_px
    large[0] = False
    return np.where(large[seeds_HW], seeds_HW, 0).astype(np.int32)


def _seeds_per_label(labels: Labels, seeds_HW: NDArray[np.int32]) -> Ints:
    seeded_HW = seeds_HW > 0
    pairs = np.unique(np.stack([labels.labels_HW[seeded_HW], seeds_HW[seeded_HW]], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=labels.count + 1)


def _judged(
    grown_HW: NDArray[np.int32], border_HW: NDArray[np.uint8], settings: SplitSettings
) -> Ints:
    """Parts after taking back cuts without evidence and fragments; numbered 1..n."""
    ids = np.unique(np.append(grown_HW.ravel(), 0), return_inverse=True)[1]
    numbered_HW: Ints = ids[:-1].reshape(border_HW.shape)
    one, two, evidence, length = _cuts(numbered_HW, border_HW)
    weak = evidence < settings.cut_evidence
    parts_HW = _merged(numbered_HW, one[weak], two[weak])
    area = np.bincount(parts_HW.ravel())
    one, two, _, length = _cuts(parts_HW, border_HW)
    small = np.minimum(area[one], area[two]) < settings.part_min_px
    order = np.argsort(-length[small], kind="stable")
    smaller = np.where(area[one] <= area[two], one, two)[small][order]
    _, first = np.unique(smaller, return_index=True)
    chosen = order[first]
    return _merged(parts_HW, one[small][chosen], two[small][chosen])


def _cuts(
    parts_HW: Ints, border_HW: NDArray[np.uint8]
) -> tuple[Ints, Ints, NDArray[np.float64], Ints]:
    """Every pair of touching parts: numbers (lower first), mean border 0..1, length in px."""
    pairs, seen = [], []
    for before, after in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        a, b = parts_HW[before], parts_HW[after]
        touch = (a != b) & (a > 0) & (b > 0)
        pairs.append(np.stack([np.minimum(a, b)[touch], np.maximum(a, b)[touch]], axis=1))
        seen.append(np.maximum(border_HW[before], border_HW[after])[touch])
    unique, index, length = np.unique(
        np.concatenate(pairs), axis=0, return_inverse=True, return_counts=True
    )
    total = np.bincount(index.ravel(), np.concatenate(seen), minlength=len(unique))
    return unique[:, 0], unique[:, 1], total / np.maximum(length, 1) / 255, length


def _merged(parts_HW: Ints, one: Ints, two: Ints) -> Ints:
    """Parts joined along the given pairs, numbered 1..n in the old order."""
    size = int(parts_HW.max()) + 1
    graph = coo_array((np.ones(len(one)), (one, two)), shape=(size, size))
    _, joined = connected_components(graph, directed=False)  # background stays 0
    return np.asarray(joined[parts_HW])
