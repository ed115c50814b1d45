"""What reading costs by the form of the file: tiled, striped, COG, JPEG 2000.

    python -m benchmarks.speed.reading [--side 2048] [--rounds 3]

The same picture in each form, read in a run's windows with their halos, by one thread and by
two that share GDAL's block cache. Processor milliseconds a MPix of the picture, medians of
rounds that go over all forms in turn; and whether every form gives the same counts.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.shutil import copy

from benchmarks.measured import keep
from benchmarks.scene_file import write_scene
from snet4core.scene.reader import SharedReader
from snet4core.scene.scene import open_scene
from snet4core.windows import Tile, tiles

CORE_PX, HALO_PX, STRIDE_PX = 1024, 64, 32

FORMS: dict[str, dict[str, Any]] = {
    "tiled, deflate": {
        "driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512,
        "compress": "deflate",
    },
    "tiled, plain": {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512},
    "striped, deflate": {"driver": "GTiff", "tiled": False, "compress": "deflate"},
    "striped, plain": {"driver": "GTiff", "tiled": False},
    "COG, deflate": {"driver": "COG", "compress": "deflate"},
    "COG, LZW, predictor": {"driver": "COG", "compress": "lzw", "predictor": "yes"},
    "COG, zstd": {"driver": "COG", "compress": "zstd"},
    "JPEG 2000, no loss": {"driver": "JP2OpenJPEG", "quality": "100", "reversible": "yes"},
}  # fmt: skip


def forms_of(scene: Path) -> Iterator[tuple[str, Path]]:
    """The picture in each form that this GDAL writes."""
    with rasterio.Env() as gdal:
        drivers = set(gdal.drivers())
    for number, (name, options) in enumerate(FORMS.items()):
        if options["driver"] not in drivers:
            print(f"{name}: not written by this GDAL")
            continue
        suffix = ".jp2" if options["driver"].startswith("JP2") else ".tif"
        path = scene.with_name(f"form{number}{suffix}")
        copy(scene, path, **options)
        yield name, path


def cost(path: Path, threads: int) -> tuple[float, float, str]:
    """Processor and wall seconds to read all windows, and a digest of them."""
    scene = open_scene(path)
    digest = hashlib.sha256()

    def read(tile: Tile) -> np.ndarray:
        return reader.read(tile.read)[0]

    cpu, wall = time.process_time(), time.perf_counter()
    with SharedReader(scene) as reader, ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(read, tiles(scene.grid.shape, CORE_PX, HALO_PX, STRIDE_PX)))
    spent = time.process_time() - cpu, time.perf_counter() - wall
    for counts_BHW in found:
        digest.update(counts_BHW.tobytes())
    return *spent, digest.hexdigest()[:16]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    mpix = asked.side**2 / 1e6
    spent: defaultdict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    found: defaultdict[str, set[str]] = defaultdict(set)
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        forms = dict(forms_of(write_scene(Path(name, "scene.tif"), asked.side)))
        for path in forms.values():  # the disk's cache is warm for all
            cost(path, 1)
        for _ in range(asked.rounds):
            for form, path in forms.items():
                for threads in (1, 2):
                    cpu_s, wall_s, digest = cost(path, threads)
                    spent[form, threads].append((cpu_s, wall_s))
                    found[digest].add(form)
        for form, path in forms.items():
            middle = {
                f"{what}, {threads} threads": round(
                    1000 / mpix * statistics.median(each[place] for each in spent[form, threads]), 1
                )
                for threads in (1, 2)
                for place, what in enumerate(("processors", "wall"))
            }
            figures[form] = {**middle, "MB a MPix": round(path.stat().st_size / 1e6 / mpix, 2)}
            print(f"{form:22} ms a MPix: {figures[form]}", flush=True)
    same = len(found) == 1
    print("every form gives", "the same counts" if same else f"OTHER counts: {dict(found)}")
    keep("reading", {"side_px": asked.side, "forms": figures, "same_counts": same})
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
