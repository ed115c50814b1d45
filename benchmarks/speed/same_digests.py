"""The same bytes, however a scene is computed: compiled or by numpy, in blocks, by processes.

    python -m benchmarks.speed.same_digests [--kinds suburb,country,informal] [--side 2048]

Stored maps stand for the network (`everything_else`). Digests of the maps with heights by feet,
of all parts (footprints, and components that reach over their edges; plain and with right
angles), and of the layer: by the compiled kernels, by numpy, and with two processes that shape.
And of the footprints of the same maps in blocks of several sizes. Then the default model itself
on the first kind: its layer in batches of 1 and 4 windows, one window at a time, by two workers,
compiled and by numpy (--network-side 0 leaves that out). Exit code 1 if any differ.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.measured import keep
from benchmarks.scene_file import OPTIONS, write_scene
from benchmarks.speed.everything_else import Clock, Stored, StoredPredictor, run, stored_maps
from benchmarks.speed.run_speed import whole
from snet4core import kernels
from snet4core.footprints.footprints import Footprints, concatenated, to_arrays
from snet4core.footprints.shaping import Shaping, footprints_from
from snet4core.maps.maps import Maps
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.header import find_model
from snet4core.parts import shaping_pool
from snet4core.parts.part import Part, finish
from snet4core.windows import Window

BLOCKS_PX = (256, 700, 1024, 2048)

Seen = list[tuple[Part, list[Maps], Shaping]]


class Sum:
    """A sha256 that grows."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, *arrays: np.ndarray) -> None:
        for each in arrays:
            self._sum.update(f"{each.dtype} {each.shape}".encode())
            self._sum.update(np.ascontiguousarray(each).tobytes())

    def table(self, table: Footprints) -> None:
        self.add(*to_arrays(table).values())

    def __str__(self) -> str:
        return self._sum.hexdigest()[:16]


def digests(scene: Path, stored: Stored, shapers: int) -> tuple[dict[str, str], Seen]:
    """Digests of one run, and the maps that it saw."""
    layer, seen, maps_sum, parts_sum = scene.with_suffix(".gpkg"), [], Sum(), Sum()
    run(scene, layer, StoredPredictor(stored, Clock(), shapers))
    found = {"layer": hashlib.sha256(layer.read_bytes()).hexdigest()[:16]}
    if shapers > 1:
        return found, []

    def kept(part: Part, maps: list[Maps], shaping: Shaping, **_: bool) -> object:
        seen.append((part, list(maps), shaping))
        return finish(part, seen[-1][1], shaping)

    with mock.patch.object(shaping_pool, "finish", kept):
        run(scene, layer, StoredPredictor(stored, Clock()))
    for part, maps, shaping in seen:
        for each in maps:
            maps_sum.add(*each.layers, each.valid_HW)
        for regularize in (False, True):
            settings = replace(shaping.settings, regularize=regularize)
            result = finish(part, maps, replace(shaping, settings=settings))
            parts_sum.table(result.footprints)
            arrays = (getattr(result.rest, each.name) for each in fields(result.rest))
            parts_sum.add(*(each for each in arrays if each is not None))
    return found | {"maps": str(maps_sum), "parts": str(parts_sum)}, seen


def in_blocks(seen: Seen, side: int, block_px: int) -> str:
    """Digest of the footprints of the whole picture's maps, in blocks of one size."""
    shaping = seen[0][2]
    layers = [np.zeros((side, side), np.uint8) for _ in seen[0][1][0].layers]
    valid_HW = np.zeros((side, side), np.bool_)
    for _, maps, _ in seen:
        for each in maps:
            here = each.window.slices(Window(0, 0, side, side))
            valid_HW[here] = each.valid_HW
            for layer_HW, image_HW in zip(layers, each.layers, strict=True):
                layer_HW[here] = image_HW
    whole = Maps.of(Window(0, 0, side, side), layers, valid_HW)

    def blocks() -> Iterator[Maps]:
        for row in range(0, side, block_px):
            for col in range(0, side, block_px):
                high, wide = min(block_px, side - row), min(block_px, side - col)
                yield whole.part(Window(row, col, high, wide))

    found = footprints_from(
        blocks(), shaping.grid, shaping.settings, shaping.source, native=shaping.native
    )
    total = Sum()
    total.table(concatenated(shaping.source, list(found)))
    return str(total)


def of_features(layer: Path) -> str:
    """A digest of all rows of a GeoPackage's layers; its metadata say which way they were made."""
    with closing(sqlite3.connect(layer)) as database:
        tables = [name for (name,) in database.execute("SELECT table_name FROM gpkg_contents")]
        rows = [database.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall()  # own
                for name in sorted(tables)]  # fmt: skip
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


def by_network(scene: Path) -> dict[str, str]:
    """Digests of the default model's layer, however its windows are computed."""
    layer, found = scene.with_suffix(".gpkg"), {}

    def keep_digest(way: str) -> None:
        found[way] = of_features(layer)

    def run_with(way: str, batch: int, memory_bytes: int | None = None) -> None:
        network = Predictor(
            find_model("default"),
            choose_runtime("cpu", threads=1),
            batch,
            memory_bytes=memory_bytes,
        )
        whole(network, scene, layer)
        keep_digest(way)

    run_with("batches of 1", 1)
    run_with("batches of 4", 4)
    run_with("one window at a time", 1, 1)
    with mock.patch.object(kernels, "_kernels", None):
        run_with("by numpy", 1)
    # How many threads compute a window changes the last digit of a sum: one pixel in a hundred
    # thousand by one of 255 steps. Each of two workers on two processors has one.
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "snet4_cli", "run", scene, "-o", layer, *OPTIONS, "--overwrite"]
    for way, more in (("the command", ()), ("two workers", ("--workers", "2"))):
        subprocess.run([*map(str, words), "-q", *more], check=True, env=one_thread)
        keep_digest(way)
    return found


def judged(kind: str, what: str, rows: dict[str, dict[str, str]]) -> bool:
    """Whether all digests of one thing are one; printed."""
    ways = {way: row[what] for way, row in rows.items() if what in row}
    found = set(ways.values())
    verdict = f"the same: {sorted(found)}" if len(found) == 1 else f"DIFFERENT: {ways}"
    print(f"{kind:10} {what:8} {len(ways)} ways: {verdict}", flush=True)
    return len(found) == 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", default="suburb,country,informal")
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--network-side", type=int, default=1500)
    asked = parser.parse_args()
    figures: dict[str, dict[str, dict[str, str]]] = {}
    fine = kernels.compiled()
    if not fine:
        print("The kernels are not compiled here: python setup.py build_ext --inplace")
    for kind in asked.kinds.split(","):
        with tempfile.TemporaryDirectory() as name:
            scene = write_scene(Path(name, "scene.tif"), asked.side, kind=kind)
            stored = stored_maps(kind)
            rows: dict[str, dict[str, str]] = {}
            rows["compiled"], seen = digests(scene, stored, 1)
            with mock.patch.object(shaping_pool, "FEW_PARTS", 0):
                rows["compiled, two shapers"], _ = digests(scene, stored, 2)
            for block_px in BLOCKS_PX:
                rows[f"compiled, blocks of {block_px}"] = {
                    "blocks": in_blocks(seen, asked.side, block_px)
                }
            with mock.patch.object(kernels, "_kernels", None):
                rows["numpy"], seen = digests(scene, stored, 1)
                rows["numpy, blocks of 1024"] = {"blocks": in_blocks(seen, asked.side, 1024)}
        figures[kind] = rows
        for what in ("layer", "maps", "parts", "blocks"):
            fine &= judged(kind, what, rows)
    if asked.network_side:
        with tempfile.TemporaryDirectory() as name:
            kind = asked.kinds.split(",")[0]
            scene = write_scene(Path(name, "scene.tif"), asked.network_side, kind=kind)
            figures["network"] = {way: {"layer": one} for way, one in by_network(scene).items()}
            fine &= judged("network", "layer", figures["network"])
    keep("same_digests", figures)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
