"""Computes a network at several scales and takes a mean.

The network runs on the window resized to each scale, and its probabilities are resized back. At
another scale a building looks as much higher as it looks wider, so heights are divided by the
scale. There are scales only, no flips or rotations: they would put walls and shadows where a tilted
picture never has them. The result depends on the window alone, as with one scale.

Of a network that maps roofs, the scale next to 1 gives all maps, and the others are glances: they
count for roofs alone, half as much, and are told no look. A glance from farther away sees large
roofs whole, but not how narrow gaps are; and roofs of real pictures are found better by a network
that is told no look (docs/how-it-works/experiments.md). Without roofs, all scales count the same.

`AtScales` does it with numpy, around any network; `torch_network` does the same on its device, from
which 26 MB of probabilities would have to come back for each window and scale.

Array names end in their axes: B batch, C channel or band, M map, H row, W column.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels
from snet4core.look.look import Look
from snet4core.maps.runtime import Network
from snet4core.model.card import HEIGHT, ONE_HEAD, TWO_MAPS, Architecture
from snet4core.scene.resample import resized


class AtScales:
    """A `runtime.Network` whose maps are the mean of another one's at several scales."""

    def __init__(
        self, network: Network, architecture: Architecture, scales: Sequence[float]
    ) -> None:
        """`architecture` is the network's."""
        self._network, self._architecture, self._scales = network, architecture, scales

    def prepare(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        """See `runtime.MapNetwork`: the network prepares for the windows that it will see."""
        self.prepare_probabilities(shapes, head)

    def prepare_probabilities(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        """The same for `probabilities`."""
        stride_px = self._architecture.stride_px
        for scale in self._scales:
            scaled_shapes = {scaled(shape, scale, stride_px) for shape in shapes}
            self._network.prepare_probabilities(scaled_shapes, head)

    def forward(self, images_BCHW: NDArray[np.float32], look: Look, head: str) -> NDArray[np.uint8]:
        """See `runtime.MapNetwork`."""
        return quantised(self.probabilities(images_BCHW, look, head), 1)

    def probabilities(
        self, images_BCHW: NDArray[np.float32], look: Look, head: str
    ) -> NDArray[np.float32]:
        """See `runtime.Network`."""
        shape = images_BCHW.shape[2], images_BCHW.shape[3]
        maps = len(self._architecture.maps)
        total_BMHW = np.zeros((len(images_BCHW), maps, *shape), dtype=np.float32)
        for sight in sights(self._scales, self._architecture, shape, look):
            seen_BCHW = resized(images_BCHW, sight.shape)
            maps_BMHW = self._network.probabilities(seen_BCHW, sight.told, head)
            for index, weight in sight.weights:
                whole_BHW = resized(maps_BMHW[:, [index]], shape)[:, 0]
                whole_BHW *= weight
                total_BMHW[:, index] += whole_BHW
        return total_BMHW

    def look_estimates(self, images_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `runtime.Network`; a picture is looked at in its own size."""
        return self._network.look_estimates(images_BCHW)


def quantised(total: NDArray[np.float32], count: int) -> NDArray[np.uint8]:
    """The mean of `count` probabilities, given their sum, as 0..255; above 1 is 1.

    >>> quantised(np.array([0.25, 1.0, 2.5], np.float32), 2).tolist()
    [32, 128, 255]
    """
    if kernels.compiled():
        return kernels.quantised(total, count)
    whole: NDArray[np.float32] = np.rint(np.minimum(total / np.float32(count), 1) * 255)
    return whole.astype(np.uint8)


GLANCE = 0.5
"""How much a roof counts at another scale, beside 1 at the scale next to 1."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How a window is seen at one scale."""

    shape: tuple[int, int]
    """Rows and columns to which it is resized."""
    told: Look
    """The look that the network is told."""
    weights: tuple[tuple[int, float], ...]
    """The maps that count, by number, and how much; over all scales each map's weights are 1, but
    for what makes heights those of the window's own size."""


def sights(
    scales: Sequence[float], architecture: Architecture, shape: tuple[int, int], look: Look
) -> list[Sight]:
    """How a window of `shape` is seen at each scale.

    >>> from snet4core.model.card import FIVE_MAPS
    >>> five = Architecture(heads=ONE_HEAD, maps=FIVE_MAPS)
    >>> far, own = sights((0.5, 1.0), five, (64, 64), Look(30.0, 90.0, "option"))
    >>> far.shape, far.told.off_nadir_deg, [(n, round(each, 2)) for n, each in far.weights]
    ((32, 32), 0.0, [(2, 0.33), (3, 0.33)])
    >>> own.told.off_nadir_deg, [(n, round(each, 2)) for n, each in own.weights]
    (30.0, [(0, 1.0), (1, 1.0), (2, 0.67), (3, 0.67), (4, 1.0)])
    """
    own = min(scales, key=lambda scale: abs(math.log(scale)))
    # A head of a category knows its own looks alone.
    unknown = Look(0.0, None, look.source) if architecture.heads == ONE_HEAD else look
    found = []
    for scale in scales:
        seen = scaled(shape, scale, architecture.stride_px)
        told = unknown if architecture.maps_roofs and scale != own else look
        share_M = _shares(scale == own, len(scales), architecture)
        by_map = zip(architecture.maps, share_M, strict=True)
        weights = [w * height_share(shape, seen) if n == HEIGHT else w for n, w in by_map]
        found.append(Sight(seen, told, tuple((n, w) for n, w in enumerate(weights) if w)))
    return found


def _shares(is_own: bool, count: int, architecture: Architecture) -> list[float]:
    """What each map counts at one of `count` scales."""
    if not architecture.maps_roofs:
        return [1 / count] * len(architecture.maps)
    of_roofs = (1.0 if is_own else GLANCE) / (1 + GLANCE * (count - 1))
    roofs = set(architecture.maps) - {*TWO_MAPS, HEIGHT}
    return [of_roofs if name in roofs else float(is_own) for name in architecture.maps]


def scaled(shape: tuple[int, int], scale: float, stride_px: int) -> tuple[int, int]:
    """Multiply (rows, columns) by `scale`, rounded to multiples of the stride, at least one.

    >>> scaled((1152, 928), 0.8, 32), scaled((32, 64), 0.3, 32)
    ((928, 736), (32, 32))
    """
    rows, cols = (max(1, round(side * scale / stride_px)) * stride_px for side in shape)
    return rows, cols


def height_share(shape: tuple[int, int], scaled_shape: tuple[int, int]) -> float:
    """What a height's value, which grows with its root, is multiplied by after resizing back.

    By the sizes and not by the scale, of which rounding to the stride left something else.

    >>> height_share((64, 64), (32, 32)), height_share((64, 64), (64, 64))
    (1.4142135623730951, 1.0)
    """
    return float((math.prod(shape) / math.prod(scaled_shape)) ** 0.25)
