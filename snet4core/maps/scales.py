"""Computes a network at several scales and takes a mean.

The network runs on the window resized to each scale, and its probabilities are resized back. At
another scale a building looks as much higher as it looks wider, so heights are divided by the
scale. There are scales only, no flips or rotations: they would put walls and shadows where a tilted
picture never has them. The result depends on the window alone, as with one scale.

Of a network that maps roofs, the scale next to 1 gives all maps, and the others are glances: they
are told no look and have a say in roofs alone, a small one, but where they see a large roof, the
larger. From farther away a large roof is seen whole, but narrow gaps are not; and roofs of real
pictures are found better by a network that is told no look (docs/how-it-works/experiments.md).
Without roofs, all scales count the same.

`AtScales` does it with numpy, around any network; `torch_network` does the same on its device, from
which 26 MB of probabilities would have to come back for each window and scale.

Array names end in their axes: B batch, C channel or band, M map, H row, W column; 2 is a roof and
its border.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels
from snet4core.look.look import Look
from snet4core.maps.runtime import Network
from snet4core.model.card import HEIGHT, ONE_HEAD, Architecture
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
        maps = self._architecture.maps
        total_BMHW: NDArray[np.float32] | None = None
        for sight in sights(self._scales, self._architecture, shape, look):
            seen_BCHW = resized(images_BCHW, sight.shape)
            maps_BMHW = self._network.probabilities(seen_BCHW, sight.told, head)
            maps_BMHW = resized(maps_BMHW[:, sight.maps], shape)
            if total_BMHW is None:
                total_BMHW = with_heights(maps_BMHW, maps, shape, sight.shape)
            else:
                total_BMHW = joined(total_BMHW, maps_BMHW, maps, np)
        assert total_BMHW is not None  # there is always a scale
        return total_BMHW if ROOF in maps else total_BMHW / np.float32(len(self._scales))

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


LEAST_SAY, MOST_SAY = 0.1, 0.7
"""How much of a roof's probability a glance gives: anywhere, and where it sees a large roof."""

LARGE_PX = 8
"""A large roof holds a square of so many pixels; a power of two, as `opened` takes it."""

ROOF = "roof"


@dataclass(frozen=True, slots=True)
class Sight:
    """How a window is seen at one scale."""

    shape: tuple[int, int]
    """Rows and columns to which it is resized."""
    told: Look
    """The look that the network is told."""
    maps: slice
    """The maps that have a say."""


def sights(
    scales: Sequence[float], architecture: Architecture, shape: tuple[int, int], look: Look
) -> list[Sight]:
    """How a window of `shape` is seen at each scale, the one next to 1 first.

    >>> from snet4core.model.card import FIVE_MAPS
    >>> five = Architecture(heads=ONE_HEAD, maps=FIVE_MAPS)
    >>> own, far = sights((0.5, 1.0), five, (64, 64), Look(30.0, 90.0, "option"))
    >>> own.shape, own.told.off_nadir_deg, five.maps[own.maps] == five.maps
    ((64, 64), 30.0, True)
    >>> far.shape, far.told.off_nadir_deg, five.maps[far.maps]
    ((32, 32), 0.0, ('roof', 'roof_border'))
    """
    first, *others = sorted(scales, key=lambda scale: abs(math.log(scale)))
    # A head of a category knows its own looks alone.
    unknown = Look(0.0, None, look.source) if architecture.heads == ONE_HEAD else look
    told, maps = (unknown, _roofs(architecture.maps)) if architecture.maps_roofs else (look, ALL)
    stride_px = architecture.stride_px
    own = Sight(scaled(shape, first, stride_px), look, ALL)
    return [own, *(Sight(scaled(shape, each, stride_px), told, maps) for each in others)]


ALL = slice(None)


def _roofs(maps: tuple[str, ...]) -> slice:
    """Roofs and their borders, which stand side by side."""
    return slice(maps.index(ROOF), maps.index(ROOF) + 2)


def with_heights(
    maps_BMHW: Any, maps: tuple[str, ...], shape: tuple[int, int], seen: tuple[int, int]
) -> Any:
    """The maps, whose heights become in place those of a window that was not resized to `seen`."""
    if HEIGHT in maps and seen != shape:
        maps_BMHW[:, maps.index(HEIGHT)] *= height_share(shape, seen)
    return maps_BMHW


def joined(total_BMHW: Any, seen_BMHW: Any, maps: tuple[str, ...], library: Any) -> Any:
    """What was seen before and what another scale's maps that have a say make of it, in place.

    With roofs a mean, without them a sum. `library` is numpy, or torch where both are its tensors.
    """
    if ROOF not in maps:
        total_BMHW += seen_BMHW
        return total_BMHW
    roofs_B2HW = total_BMHW[:, _roofs(maps)]
    clear_BHW = seen_BMHW[:, 0] * (1 - seen_BMHW[:, 1])
    large_BHW = library.clip(2 * opened(clear_BHW, library) - 0.5, 0, 1)
    say_BHW = LEAST_SAY + (MOST_SAY - LEAST_SAY) * large_BHW
    roofs_B2HW += say_BHW[:, None] * (seen_BMHW - roofs_B2HW)
    return total_BMHW


def opened(value_BHW: Any, library: Any) -> Any:
    """The morphological opening by squares of `LARGE_PX` that lie inside: at each pixel, the least
    value of that square over it whose least value is largest.

    >>> spot = np.zeros((1, 9, 20), np.float32)
    >>> spot[0, :8, 4:12], spot[0, 1, 15] = 0.75, 1.0
    >>> large = opened(spot, np)
    >>> large.shape, large.max().item(), (large > 0).sum().item()
    ((1, 9, 20), 0.75, 64)
    """
    for axis in (1, 2):
        value_BHW = _along(value_BHW, axis, library.minimum)
    for axis in (1, 2):
        edge_BHW = library.zeros_like(value_BHW.swapaxes(1, axis)[:, :1].swapaxes(1, axis))
        edges = [edge_BHW] * (LARGE_PX - 1)
        value_BHW = library.concatenate([*edges, value_BHW, *edges], axis)
        value_BHW = _along(value_BHW, axis, library.maximum)
    return value_BHW


def _along(value_BHW: Any, axis: int, extreme: Any) -> Any:
    """The extreme of each `LARGE_PX` neighbours along an axis, which becomes as much shorter."""
    step = 1
    while step < LARGE_PX:
        before, after = (slice(None, -step), slice(step, None))
        where = (slice(None),) * axis
        value_BHW = extreme(value_BHW[(*where, before)], value_BHW[(*where, after)])
        step *= 2
    return value_BHW


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
