"""Runs the network over a fixed grid of windows: pictures in, maps out.

A map depends on the raster, the model, the engine and the precision alone: windows start at
multiples of the encoder's stride, the halo is cropped and not blended, and windows are never
resized to fill a batch. Reading, the network and the consumer of the maps run concurrently,
each a few windows ahead of the next.

Array names end in their axes: B batch, C channel or band, M map, H row, W column.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snet4core.errors import EngineError
from snet4core.look.look import Look
from snet4core.maps import memory
from snet4core.maps.feet import heights_by_feet
from snet4core.maps.look_guesser import LookGuesser
from snet4core.maps.maps import Maps
from snet4core.maps.networks import averaged_network, network_for
from snet4core.maps.runtime import (
    DeviceMemoryError,
    RuntimeChoice,
    choose_runtime,
    resolved_runtimes,
)
from snet4core.model.ensemble import header_of
from snet4core.model.header import Header
from snet4core.sentence import DEVICE
from snet4core.windows import Tile, tiles

log = logging.getLogger("snet4")

Picture = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Network input (C, H, W) and valid (H, W) of one window."""

ReadPicture = Callable[[Tile], Picture]
"""Reads a tile's `read` window. Outside the raster nothing is valid; the network does not run
on windows without any valid pixel."""


class Predictor:
    """A loaded model on its device, ready for any number of scenes."""

    def __init__(
        self,
        model: Path | Header,
        wanted: RuntimeChoice | None = None,
        batch: int | None = None,
        *,
        memory_bytes: int | None = None,
        shapers: int = 1,
        guesser: LookGuesser | None = None,
        on_maps: Callable[[Maps], None] | None = None,
    ) -> None:
        """Load `model`; `batch` windows at once (default: 1 on the CPU, 16 on a GPU).

        A file is computed at the scales that its card names; a header may stand for several
        models, or for other scales, see `ensemble`.
        `memory_bytes` limits how many windows are under way, as far as one at a time. With more
        than one of `shapers` (`runtime.shapers_for`) so many processes shape the parts of large
        scenes; a script that asks for them needs Python's `if __name__ == "__main__"`.
        `guesser` is one of this model that may know some looks already. `on_maps` is called
        with the maps of each window before they are handed out, in the thread that takes them.
        """
        self.header = model if isinstance(model, Header) else header_of(model)
        self.card = self.header.card
        runtimes = resolved_runtimes(wanted or choose_runtime(), self.header.members)
        # With several models each window runs through several programs.
        lean = memory_bytes is not None or len(runtimes) == 1
        runtimes = [replace(each, lean=lean) for each in runtimes]
        self.runtime = runtimes[0]
        self.guesser = guesser or LookGuesser(self.header, self.runtime.engine)
        self._on_maps = on_maps
        on_cpu = self.runtime.device == "cpu"
        networks = [network_for(each, self.header.scales) for each in runtimes]
        self._network = averaged_network(networks, self.header)
        side_px = self.card.windows.core_px + 2 * self.card.windows.halo_px
        side_px = round(side_px * max((1.0, *self.header.scales)))
        flight = memory.in_flight(
            memory_bytes,
            memory.held_bytes(),
            self.runtime.lanes,
            batch or (1 if on_cpu else 16),
            side_px**2,
            len(self.card.architecture.bands),
            memory.WORK_BYTES_PER_PX[self.runtime.engine] if on_cpu else 0,
            len(self.card.architecture.maps),
        )
        if memory_bytes is not None and flight.needed_bytes > memory_bytes:
            log.warning(
                "This model needs about %d MB with one window at a time; going on above the limit.",
                flight.needed_bytes // 10**6,
            )
        self.batch = flight.batch
        self.ahead = flight.ahead
        # One thread reads about as fast as four threads of a processor compute.
        threads = self.runtime.lanes * self.runtime.threads
        self.readers = min(8, max(1, threads // 4), self.ahead)
        self.shapers = shapers
        # The network runs on a small scene while the one before is shaped; that takes memory.
        self.together = 2 if memory_bytes is None else 1
        self._lanes = ThreadPoolExecutor(flight.lanes, thread_name_prefix="snet4-network")

    @property
    def key(self) -> str:
        """Identifies all that the maps depend on besides the raster and its look."""
        runtime = self.runtime
        return f"{self.header.network}-{runtime.engine}-{runtime.device}-{runtime.precision}"

    def tiles(self, shape: tuple[int, int]) -> list[Tile]:
        """The model's fixed grid of tiles over a raster of `shape` (rows, columns)."""
        settings = self.card.windows
        stride_px = self.card.architecture.stride_px
        return list(tiles(shape, settings.core_px, settings.halo_px, stride_px))

    def maps(
        self,
        read: ReadPicture,
        shape: tuple[int, int],
        look: Look,
        wanted: Iterable[Tile] | None = None,
        lean_px: tuple[float, float] | None = None,
    ) -> Iterator[Maps]:
        """Yield the maps of every tile, row by row, for a raster of `shape` seen at `look`.

        `wanted` are tiles of the same fixed grid, in another order or not all of them.
        `lean_px` are the columns and rows by which a roof one metre high lies from its
        footprint, if that is known: then heights are those that roofs and footprints agree on.
        `read` is called from `self.readers` other threads (one where there are few
        processors), some windows ahead of the network, and the network computes while the
        maps before are worked on. What goes wrong there is raised here,
        in turn; whoever stops early stops the threads too.
        """
        head = self.card.architecture.head_for(look)
        in_turn = self.tiles(shape) if wanted is None else list(wanted)
        self._network.prepare({tile.read.shape for tile in in_turn}, head)
        waiting: deque[Future[list[Maps]]] = deque()
        reading = ThreadPoolExecutor(self.readers, "snet4-read")
        try:
            for group in self._batches(in_turn):
                pictures = [reading.submit(read, tile) for tile in group]
                waiting.append(
                    self._lanes.submit(self._maps_of, group, pictures, look, head, lean_px)
                )
                if len(waiting) >= self.ahead:
                    yield from self._told(waiting.popleft())
            while waiting:
                yield from self._told(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()
            reading.shutdown(cancel_futures=True)
            wait(waiting)

    def _told(self, coming: Future[list[Maps]]) -> Iterator[Maps]:
        for each in coming.result():
            if self._on_maps is not None:
                self._on_maps(each)
            yield each

    def _batches(self, in_turn: Iterable[Tile]) -> Iterator[list[Tile]]:
        """Group the tiles, in order, into batches of one window size, at most `batch` long."""
        for _, same in groupby(in_turn, key=lambda tile: tile.read.shape):
            run = list(same)
            while run:
                count = self.batch  # may shrink on the way
                yield run[:count]
                run = run[count:]

    def _maps_of(
        self,
        group: list[Tile],
        coming: list[Future[Picture]],
        look: Look,
        head: str,
        lean_px: tuple[float, float] | None,
    ) -> list[Maps]:
        pictures = [each.result() for each in coming]
        coming.clear()
        seen = [index for index, (_, valid_HW) in enumerate(pictures) if valid_HW.any()]
        maps_BMHW = self._quantised([pictures[index][0] for index in seen], look, head)
        if lean_px is not None and self.card.architecture.maps_roofs:
            maps_BMHW = [heights_by_feet(maps_MHW, lean_px) for maps_MHW in maps_BMHW]
        maps_by_tile = dict(zip(seen, maps_BMHW, strict=True))
        found = []
        for index, (tile, (_, valid_HW)) in enumerate(zip(group, pictures, strict=True)):
            cut = tile.own.slices(tile.read)
            maps_MHW = maps_by_tile.get(index)
            if maps_MHW is None:  # no valid pixel: the network did not run
                count = len(self.card.architecture.maps)
                maps_MHW = np.zeros((count, *tile.read.shape), dtype=np.uint8)
            found.append(Maps.of(tile.own, maps_MHW[:, *cut], valid_HW[cut]))
        return found

    def _quantised(
        self, images: list[NDArray[np.float32]], look: Look, head: str
    ) -> list[NDArray[np.uint8]]:
        """Network inputs (C, H, W) to (M, H, W) uint8 each; halves the batch if memory runs out."""
        if not images:
            return []
        try:
            # Run singly on a CPU, which gains nothing from a batch: results cannot depend on it.
            step = 1 if self.runtime.device == "cpu" else len(images)
            return [
                maps_MHW
                for start in range(0, len(images), step)
                for maps_MHW in self._network.forward(
                    _stacked(images[start : start + step]), look, head
                )
            ]
        except DeviceMemoryError as problem:
            if len(images) == 1:
                raise EngineError(
                    f"The memory of {self.runtime.device} does not hold one window; use ",
                    DEVICE,
                    " cpu or a smaller model.",
                ) from problem
        self.batch = max(1, len(images) // 2)
        log.warning("GPU memory is short: going on with %d windows at once.", self.batch)
        middle = len(images) // 2
        return self._quantised(images[:middle], look, head) + self._quantised(
            images[middle:], look, head
        )


def _stacked(images: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Stack arrays (C, H, W) into (B, C, H, W); a single one is not copied."""
    return images[0][None] if len(images) == 1 else np.stack(images)
