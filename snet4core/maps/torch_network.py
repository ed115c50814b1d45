"""Computes the network with torch: on a CPU, an NVIDIA GPU or an Apple GPU.

Array names end in their axes: B batch, C channel or band, M map, H row, W column,
L look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from snet4core.errors import ModelError
from snet4core.look.look import Look
from snet4core.maps.runtime import DeviceMemoryError, Runtime
from snet4core.maps.scales import ROOF, joined, sights, with_heights
from snet4core.model import weights
from snet4core.model.folded import folded
from snet4core.scene.resample import taps

Finish = Callable[[torch.Tensor], torch.Tensor]
"""Applied to the probabilities while they are on the device."""


class TorchNetwork:
    """A model on its device, in channels-last layout: 2 x faster, in bf16 above all."""

    def __init__(self, runtime: Runtime, scales: Sequence[float] = ()) -> None:
        """Load `runtime.file`; ModelError when it is damaged or not a network's weights.

        With `scales` its maps are the mean over them (`scales.AtScales`), taken on the device.
        """
        if runtime.device == "cpu":
            torch.set_num_threads(runtime.threads)
        self._file = runtime.file
        self._device = torch.device(runtime.device)
        self._is_half = runtime.precision == "bf16"
        net, card = weights.load(runtime.file)
        self._architecture, self._scales = card.architecture, scales
        self._net = folded(net).to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks the pair
        self._own = threading.local()

    def prepare(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        """Does nothing: the same network runs on windows of any shape."""

    def prepare_probabilities(self, shapes: Collection[tuple[int, int]], head: str) -> None:
        """Does nothing either."""

    def forward(self, images_BCHW: NDArray[np.float32], look: Look, head: str) -> NDArray[np.uint8]:
        """See `runtime.MapNetwork`."""
        return self._computed(images_BCHW, look, head, _quantised)

    def probabilities(
        self, images_BCHW: NDArray[np.float32], look: Look, head: str
    ) -> NDArray[np.float32]:
        """See `runtime.Network`."""
        return self._computed(images_BCHW, look, head, _unchanged)

    @torch.inference_mode()
    def look_estimates(self, images_BCHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `runtime.Network`."""
        if self._net.look is None:
            raise ModelError(f"{self._file}: this model does not guess looks.")
        images = torch.from_numpy(images_BCHW).to(self._device)
        coarsest_BCHW = self._net.encoder(images)[-1]
        estimates_B3: NDArray[np.float32] = self._net.look(coarsest_BCHW.float()).cpu().numpy()
        return estimates_B3

    def _stream(self) -> torch.cuda.Stream:
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]  # torch leaves the constructor of Stream untyped
        stream: torch.cuda.Stream = self._own.stream
        return stream

    def _computed(
        self, images_BCHW: NDArray[np.float32], look: Look, head: str, finish: Finish
    ) -> NDArray[Any]:
        """A head's probabilities, passed through `finish` on the device and copied to the host."""
        try:
            if self._device.type != "cuda":
                return self._finished(torch.from_numpy(images_BCHW), look, head, finish)
            # Each thread has its own stream: one batch is copied while another is computed.
            with torch.cuda.stream(self._stream()):
                pinned = torch.from_numpy(images_BCHW).pin_memory()
                return self._finished(pinned, look, head, finish)
        except torch.OutOfMemoryError as problem:
            torch.cuda.empty_cache()
            raise DeviceMemoryError(str(problem)) from problem
        except RuntimeError as problem:
            if "not enough memory" in str(problem):  # the CPU's allocator has no error class
                raise DeviceMemoryError(str(problem)) from problem
            raise

    @torch.inference_mode()
    def _finished(
        self, images: torch.Tensor, look: Look, head: str, finish: Finish
    ) -> NDArray[Any]:
        images = images.to(self._device, non_blocking=True)
        shape = images.shape[2], images.shape[3]
        maps = self._architecture.maps
        total: torch.Tensor | None = None
        for sight in sights(self._scales or (1.0,), self._architecture, shape, look):
            told_BL = torch.tensor([sight.told.features()] * len(images), device=self._device)
            maps_BMHW = self._probable(_resized(images, sight.shape), told_BL, head)
            maps_BMHW = _resized(maps_BMHW[:, sight.maps], shape)
            if total is None:
                total = with_heights(maps_BMHW, maps, shape, sight.shape)
            else:
                total = joined(total, maps_BMHW, maps, torch)
        assert total is not None  # there is always a scale
        mean = total if ROOF in maps else total / max(1, len(self._scales))
        return self._to_host(finish(mean))

    def _to_host(self, values: torch.Tensor) -> NDArray[Any]:
        if self._device.type != "cuda":
            here: NDArray[Any] = values.cpu().numpy()
            return here
        # Into pinned memory, which torch keeps for later: one copy, during which other streams
        # compute.
        pinned = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        pinned.copy_(values, non_blocking=True)
        self._stream().synchronize()
        copied: NDArray[Any] = pinned.numpy()
        return copied

    def _probable(self, images: torch.Tensor, looks_BL: torch.Tensor, head: str) -> torch.Tensor:
        """Probabilities (B, M, H, W), float32, of pictures as they are."""
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._is_half):
            logits_BMHW = self._net(images, looks_BL, head)
        return torch.sigmoid(logits_BMHW.float())


def _resized(values_BCHW: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """As `resample.resized`, on the device: the same sums in the same order."""
    for axis, count in enumerate(shape, start=2):
        old = values_BCHW.shape[axis]
        if old == count:
            continue
        parts = [torch.from_numpy(each).to(values_BCHW.device) for each in taps(old, count)]
        column = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
        total: torch.Tensor | None = None
        for index_N, weight_N in zip(*parts, strict=True):
            part = values_BCHW.index_select(axis, index_N).mul_(weight_N.reshape(column))
            total = part if total is None else total.add_(part)
        assert total is not None  # there are always two taps at least
        values_BCHW = total
    return values_BCHW


def _quantised(probabilities: torch.Tensor) -> torch.Tensor:
    return (probabilities.clamp(max=1) * 255).round().to(torch.uint8)


def _unchanged(probabilities: torch.Tensor) -> torch.Tensor:
    return probabilities
