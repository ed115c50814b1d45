"""From pictures to maps: the network over one fixed grid of windows.

A map is a function of the raster, the model and the precision alone: windows start at
multiples of the encoder's stride, the halo is cropped and not blended, and windows are
never resized to fill a batch.

Array names end in their axes: B batch, C channel or band, H row, W column, L look.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from snet4core import weights
from snet4core.errors import EngineError
from snet4core.look import Look
from snet4core.maps import Maps
from snet4core.modelfile import read_header
from snet4core.windows import Tile, tiles

log = logging.getLogger("snet4")

Precision = Literal["auto", "fp32", "bf16"]

Picture = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Network input (C, H, W) and valid (H, W) of one window."""

ReadPicture = Callable[[Tile], Picture]
"""Reads a tile's `read` window; outside the raster nothing is valid, and where nothing at
all is valid the network is not asked."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where and how the network is computed."""

    device: torch.device
    dtype: torch.dtype
    """float32, or bfloat16 under autocast."""
    reason: str
    """Why this precision, in words for `doctor`."""


def choose_runtime(device: str = "auto", precision: Precision = "auto") -> Runtime:
    """Turn `--device auto|cpu|cuda|cuda:N|mps` and `--precision` into a runtime.

    Raises EngineError when the device asked for is not there.
    """
    chosen = _device(device)
    if precision != "auto":
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        return Runtime(chosen, dtype, "as asked")
    if chosen.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        reason = "the GPU computes bf16" if fast else "the GPU has no bf16"
    elif chosen.type == "cpu":
        fast, reason = _cpu_gains_from_bf16()
    else:
        fast, reason = False, "bf16 is untested on this device"
    return Runtime(chosen, torch.bfloat16 if fast else torch.float32, reason)


def _device(device: str) -> torch.device:
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as problem:
        raise EngineError(
            f"The device '{device}' is unknown; use auto, cpu, cuda, cuda:N or mps."
        ) from problem
    count = torch.cuda.device_count()
    if chosen.type == "cuda" and (chosen.index or 0) >= count:
        raise EngineError(f"The device '{device}' is not there: {count} GPUs found; try cpu.")
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise EngineError("The device 'mps' is not there; use --device cpu.")
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise EngineError(f"The device '{device}' is not supported; use cpu, cuda:N or mps.")
    return chosen


def _cpu_gains_from_bf16() -> tuple[bool, str]:
    """bf16 pays with AMX tiles, or with AVX512_BF16 as AMD builds it.

    Measured against fp32, both channels_last: AMX 2.8 x, AMD AVX512_BF16 2.0 to 2.2 x; but
    Intel's AVX512_BF16 0.88 x, AVX-512 0.38 x and AVX2 0.13 x, so the gate is narrow.
    """
    # The kernels obey this variable, so the choice of precision has to as well.
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA", "DEFAULT").upper()
    unlimited = allowed in ("", "ALL", "DEFAULT")
    vendor, flags = _cpu_facts()
    if {"amx_tile", "amx_bf16"} <= flags and (unlimited or "AMX" in allowed):
        return True, "the CPU has AMX"
    if (
        vendor == "AuthenticAMD"
        and "avx512_bf16" in flags
        and (unlimited or "BF16" in allowed or "AMX" in allowed)
    ):
        return True, "an AMD CPU with AVX512_BF16"
    return False, "this CPU has no fast bf16"


def _cpu_facts() -> tuple[str, frozenset[str]]:
    """Vendor and feature flags as Linux lists them; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "", frozenset()
    facts = {name.strip(): value for name, _, value in (line.partition(":") for line in lines)}
    return facts.get("vendor_id", "").strip(), frozenset(facts.get("flags", "").split())


class Predictor:
    """A loaded model on its device, ready for any number of scenes."""

    def __init__(self, model: Path, runtime: Runtime, batch: int | None = None) -> None:
        """Load `model`; `batch` windows at once (default: 1 on the CPU, 16 on a GPU)."""
        self.header = read_header(model)
        net, self.card = weights.load(model)
        self.runtime = runtime
        self.batch = batch or (1 if runtime.device.type == "cpu" else 16)
        self._net = net.to(runtime.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks the pair

    @property
    def engine(self) -> str:
        """What, beside model and picture, decides the maps' last bits: stored with parts."""
        return str(self.runtime.dtype).removeprefix("torch.")

    def tiles(self, shape: tuple[int, int]) -> list[Tile]:
        """The fixed grid of this model over a raster of `shape` (rows, columns)."""
        settings = self.card.windows
        stride_px = self.card.architecture.stride_px
        return list(tiles(shape, settings.core_px, settings.halo_px, stride_px))

    def maps(
        self,
        read: ReadPicture,
        shape: tuple[int, int],
        look: Look,
        wanted: Iterable[Tile] | None = None,
    ) -> Iterator[Maps]:
        """The maps of every tile, row by row, for a raster of `shape` seen at `look`.

        `wanted` are tiles of the same fixed grid, in another order or not all of them.
        `read` is called from one other thread, a batch ahead of the network.
        """
        head = self.card.architecture.head_for(look)
        in_turn = self.tiles(shape) if wanted is None else wanted
        for group, pictures in _ahead(self._batches(in_turn), read):
            yield from self._maps_of(group, pictures, look, head)

    def _batches(self, in_turn: Iterable[Tile]) -> Iterator[list[Tile]]:
        """Tiles in order, in runs of one window size and at most `batch` long."""
        for _, same in groupby(in_turn, key=lambda tile: tile.read.shape):
            run = list(same)
            for start in range(0, len(run), self.batch):
                yield run[start : start + self.batch]

    def _maps_of(
        self, group: list[Tile], pictures: list[Picture], look: Look, head: str
    ) -> Iterator[Maps]:
        seen = [index for index, (_, valid_HW) in enumerate(pictures) if valid_HW.any()]
        both_B2HW = self._quantised([pictures[index][0] for index in seen], look, head)
        both_by_tile = dict(zip(seen, both_B2HW, strict=True))
        for index, (tile, (_, valid_HW)) in enumerate(zip(group, pictures, strict=True)):
            cut = tile.own.slices(tile.read)
            both_2HW = both_by_tile.get(index)
            if both_2HW is None:  # nothing but nodata: the network is not asked
                both_2HW = np.zeros((2, *tile.read.shape), dtype=np.uint8)
            yield Maps(tile.own, both_2HW[0][cut], both_2HW[1][cut], valid_HW[cut])

    def _quantised(
        self, images: list[NDArray[np.float32]], look: Look, head: str
    ) -> list[NDArray[np.uint8]]:
        """Network inputs (C, H, W) to (2, H, W) uint8 each; halves the batch when memory ends."""
        if not images:
            return []
        try:
            return list(self._forward(np.stack(images), look, head))
        except torch.OutOfMemoryError as problem:
            if len(images) == 1:
                raise EngineError(
                    f"The memory of {self.runtime.device} does not hold one window; "
                    "use --device cpu or a smaller model."
                ) from problem
        torch.cuda.empty_cache()
        self.batch = max(1, len(images) // 2)
        log.warning("GPU memory is short: going on with %d windows at once.", self.batch)
        middle = len(images) // 2
        return self._quantised(images[:middle], look, head) + self._quantised(
            images[middle:], look, head
        )

    @torch.inference_mode()
    def _forward(
        self, images_BCHW: NDArray[np.float32], look: Look, head: str
    ) -> NDArray[np.uint8]:
        device, dtype = self.runtime.device, self.runtime.dtype
        images = torch.from_numpy(images_BCHW).to(device, memory_format=torch.channels_last)
        looks_BL = torch.tensor([look.features()] * len(images_BCHW), device=device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits_B2HW = self._net(images, looks_BL, head)
        probability = torch.sigmoid(logits_B2HW.float())
        quantised: NDArray[np.uint8] = (probability * 255).round_().to(torch.uint8).cpu().numpy()
        return quantised


def _ahead(
    batches: Iterable[list[Tile]], read: ReadPicture
) -> Iterator[tuple[list[Tile], list[Picture]]]:
    """Each batch with its pictures, the next one being read while this one is computed."""

    def read_all(group: list[Tile]) -> list[Picture]:
        return [read(tile) for tile in group]

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="snet4-read") as reader:
        waiting: tuple[list[Tile], Future[list[Picture]]] | None = None
        for group in batches:
            coming = (group, reader.submit(read_all, group))
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = coming
        if waiting is not None:
            yield waiting[0], waiting[1].result()
