"""Loads networks (`network_for`), and averages those of several models and scales into one.

Each model runs on the window resized to each scale, its probabilities are resized back, and
their mean is quantised once. At another scale a building looks as much higher as it looks
wider, so heights are divided by the scale. There are scales only, no flips or rotations: they
would put walls and shadows where a tilted picture never has them. The result depends on the
window alone, as with one network.

Array names end in their axes: B batch, C channel or band, M map, H row, W column.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from snet4core.look.look import Look
from snet4core.maps.runtime import MapNetwork, Network, Runtime
from snet4core.model.card import HEIGHT
from snet4core.model.header import Header
from snet4core.scene.resample import resized


class AveragedNetwork:
    """A `runtime.MapNetwork` that averages other networks over one or several scales."""

    def __init__(self, networks: Sequence[Network], header: Header) -> None:
        """`networks` are those of `header.members`, in the same order."""
        architectures = [each.card.architecture for each in header.members]
        self._members = list(zip(networks, architectures, strict=True))
        self._scales = header.scales or (1.0,)
        self._stride_px = architectures[0].stride_px
        self._maps = architectures[0].maps

    def prepare(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        """See `runtime.MapNetwork`: each network prepares for the windows that it will see."""
        for scale in self._scales:
            scaled_shapes = {scaled(shape, scale, self._stride_px) for shape in shapes}
            for network, architecture in self._members:
                if head in architecture.heads:  # another model's own head depends on the look
                    network.prepare_probabilities(scaled_shapes, head)

    def forward(self, images_BCHW: NDArray[np.float32], look: Look, head: str) -> NDArray[np.uint8]:
        """See `runtime.MapNetwork`; each model uses its own head for the look."""
        shape = images_BCHW.shape[2], images_BCHW.shape[3]
        total_BMHW = np.zeros((len(images_BCHW), len(self._maps), *shape), dtype=np.float32)
        for scale in self._scales:
            scaled_shape = scaled(shape, scale, self._stride_px)
            scaled_BCHW = resized(images_BCHW, scaled_shape)
            # What rounding to the stride left of the scale; values grow with the height's root.
            share_M = np.ones((len(self._maps), 1, 1), np.float32)
            share_M[[name == HEIGHT for name in self._maps]] = (
                math.prod(shape) / math.prod(scaled_shape)
            ) ** 0.25
            for network, architecture in self._members:
                maps_BMHW = network.probabilities(scaled_BCHW, look, architecture.head_for(look))
                total_BMHW += resized(maps_BMHW, shape) * share_M
        mean_BMHW = total_BMHW / (len(self._scales) * len(self._members))
        whole_BMHW: NDArray[np.float32] = np.rint(np.minimum(mean_BMHW, 1) * 255)
        return whole_BMHW.astype(np.uint8)


def averaged_network(networks: Sequence[Network], header: Header) -> MapNetwork:
    """Return one network unchanged; combine several, or several scales, in `AveragedNetwork`."""
    if len(networks) == 1 and not header.scales:
        return networks[0]
    return AveragedNetwork(networks, header)


def scaled(shape: tuple[int, int], scale: float, stride_px: int) -> tuple[int, int]:
    """Multiply (rows, columns) by `scale`, rounded to multiples of the stride, at least one.

    >>> scaled((1152, 928), 0.8, 32), scaled((32, 64), 0.3, 32)
    ((928, 736), (32, 32))
    """
    rows, cols = (max(1, round(side * scale / stride_px)) * stride_px for side in shape)
    return rows, cols


def network_for(runtime: Runtime) -> Network:
    """Load the model into its engine; the other engine is not imported."""
    if runtime.engine == "torch":
        from snet4core.maps.torch_network import TorchNetwork

        return TorchNetwork(runtime)
    from snet4core.maps.openvino_network import OpenVinoNetwork

    return OpenVinoNetwork(runtime)
