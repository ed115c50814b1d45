"""Computes a network at several scales and takes the mean.

The network runs on the window resized to each scale, and its probabilities are resized back. At
another scale a building looks as much higher as it looks wider, so heights are divided by the
scale. There are scales only, no flips or rotations: they would put walls and shadows where a tilted
picture never has them. The result depends on the window alone, as with one scale.

`AtScales` does it with numpy, around any network; `torch_network` does the same on its device, from
which 26 MB of probabilities would have to come back for each window and scale.

Array names end in their axes: B batch, C channel or band, M map, H row, W column.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from snet4core import kernels
from snet4core.look.look import Look
from snet4core.maps.runtime import Network
from snet4core.model.card import HEIGHT, Architecture
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
        return quantised(self._sums(images_BCHW, look, head), len(self._scales))

    def probabilities(
        self, images_BCHW: NDArray[np.float32], look: Look, head: str
    ) -> NDArray[np.float32]:
        """See `runtime.Network`."""
        return self._sums(images_BCHW, look, head) / np.float32(len(self._scales))

    def look_estimates(self, images_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `runtime.Network`; a picture is looked at in its own size."""
        return self._network.look_estimates(images_BCHW)

    def _sums(self, images_BCHW: NDArray[np.float32], look: Look, head: str) -> NDArray[np.float32]:
        """Probabilities, (B, M, H, W), added up over the scales."""
        shape = images_BCHW.shape[2], images_BCHW.shape[3]
        maps = self._architecture.maps
        total_BMHW = np.zeros((len(images_BCHW), len(maps), *shape), dtype=np.float32)
        for scaled_shape in shapes_at(self._scales, shape, self._architecture.stride_px):
            scaled_BCHW = resized(images_BCHW, scaled_shape)
            maps_BMHW = self._network.probabilities(scaled_BCHW, look, head)
            maps_BMHW = resized(maps_BMHW, shape)
            if HEIGHT in maps:
                maps_BMHW[:, maps.index(HEIGHT)] *= height_share(shape, scaled_shape)
            total_BMHW += maps_BMHW
        return total_BMHW


def quantised(total: NDArray[np.float32], count: int) -> NDArray[np.uint8]:
    """The mean of `count` probabilities, given their sum, as 0..255; above 1 is 1.

    >>> quantised(np.array([0.25, 1.0, 2.5], np.float32), 2).tolist()
    [32, 128, 255]
    """
    if kernels.compiled():
        return kernels.quantised(total, count)
    whole: NDArray[np.float32] = np.rint(np.minimum(total / np.float32(count), 1) * 255)
    return whole.astype(np.uint8)


def shapes_at(
    scales: Sequence[float], shape: tuple[int, int], stride_px: int
) -> Iterator[tuple[int, int]]:
    """The size (rows, columns) at which a window of `shape` is seen at each scale."""
    return (scaled(shape, scale, stride_px) for scale in scales)


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
