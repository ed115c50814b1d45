"""Loads a model file into the engine that computes it."""

from __future__ import annotations

from snet4core.runtime import Network, Runtime


def network_for(runtime: Runtime) -> Network:
    """Load the model into its engine; the other engine is not imported."""
    if runtime.engine == "torch":
        from snet4core.runtime_torch import TorchNetwork

        return TorchNetwork(runtime)
    from snet4core.runtime_openvino import OpenVinoNetwork

    return OpenVinoNetwork(runtime)
