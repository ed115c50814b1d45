"""Loads networks (`network_for`), and averages those of several models into one.

The mean of their probabilities is quantised once. The result depends on the window alone, as with
one network.

Array names end in their axes: B batch, C channel or band, M map, H row, W column.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from snet4core.extras import loaded
from snet4core.look.look import Look
from snet4core.maps.runtime import MapNetwork, Network, Runtime
from snet4core.maps.scales import AtScales, quantised
from snet4core.model.header import Header


class AveragedNetwork:
    """A `runtime.MapNetwork` that averages other networks."""

    def __init__(self, networks: Sequence[Network], header: Header) -> None:
        """`networks` are those of `header.members`, in the same order."""
        architectures = [each.card.architecture for each in header.members]
        self._members = list(zip(networks, architectures, strict=True))

    def prepare(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        """See `runtime.MapNetwork`: each network prepares for itself."""
        for network, architecture in self._members:
            if head in architecture.heads:  # another model's own head depends on the look
                network.prepare_probabilities(shapes, head)

    def forward(self, images_BCHW: NDArray[np.float32], look: Look, head: str) -> NDArray[np.uint8]:
        """See `runtime.MapNetwork`; each model uses its own head for the look."""
        total_BMHW: NDArray[np.float32] | None = None
        for network, architecture in self._members:
            maps_BMHW = network.probabilities(images_BCHW, look, architecture.head_for(look))
            total_BMHW = maps_BMHW if total_BMHW is None else total_BMHW + maps_BMHW
        assert total_BMHW is not None  # there are always members
        return quantised(total_BMHW, len(self._members))


def averaged_network(networks: Sequence[Network], header: Header) -> MapNetwork:
    """Return one network unchanged; combine several in `AveragedNetwork`."""
    return networks[0] if len(networks) == 1 else AveragedNetwork(networks, header)


def network_for(runtime: Runtime, scales: Sequence[float] = ()) -> Network:
    """Load the model into its engine; the other engine is not imported.

    With `scales` its maps are the mean over them, else those of a window's own size.
    """
    if runtime.engine == "torch":
        loaded("torch")
        loaded("segmentation_models_pytorch")
        from snet4core.maps.torch_network import TorchNetwork

        return TorchNetwork(runtime, scales)
    from snet4core.maps.openvino_network import OpenVinoNetwork

    network = OpenVinoNetwork(runtime)
    return AtScales(network, network.architecture, scales) if scales else network
