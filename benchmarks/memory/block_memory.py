"""Does `--block` bound memory, and leave the polygons alone?

    python -m benchmarks.memory.block_memory [--side PX]

Burns rows of buildings, and one that is longer than many blocks, into a maps file and
polygonizes it with blocks of 256, 1024 and 4096 pixels: peak memory, and equal features.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

from benchmarks.measured import keep, measured

STRIP = 512


def write_maps(path: Path, side: int) -> None:
    """About 200 buildings per MPix, written strip by strip; one wall runs through all rows."""
    house = np.zeros((70, 70), dtype=np.uint8)
    house[10:40, 12:50] = 220
    pattern = np.tile(house, (-(-STRIP // 70), -(-side // 70)))[:STRIP, :side]
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "crs": "EPSG:32616"}
    with rasterio.open(
        path, "w", width=side, height=side, tiled=True, compress="deflate",
        transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000), **profile,
    ) as file:  # fmt: skip
        for top in range(0, side, STRIP):
            rows = min(STRIP, side - top)
            strip = pattern[:rows].copy()
            strip[:, 50:56] = 255
            file.write(strip, 1, window=Window(0, top, side, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=6000)
    side = parser.parse_args().side
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        maps = Path(folder) / "maps.tif"
        write_maps(maps, side)
        for block in (256, 1024, 4096):
            layer = Path(folder) / f"{block}.gpkg"
            cost = measured(
                [sys.executable, "-m", "snet4_cli", "polygonize", maps, "-o", layer,
                 "--block", str(block)]
            )  # fmt: skip
            figures[block] = {
                "peak_mib": round(cost.peak_mib),
                "cpu_s": round(cost.cpu_s, 1),
                "layer_sha256": hashlib.sha256(layer.read_bytes()).hexdigest()[:16],
            }
            print(f"{side} px, block {block:5}: {figures[block]}")
    same = len({each["layer_sha256"] for each in figures.values()}) == 1
    ratio = figures[4096]["peak_mib"] / figures[256]["peak_mib"]
    print(f"layers equal to the byte: {same}; memory of block 4096 / 256: {ratio:.2f}")
    keep("block_memory", {"side_px": side, "blocks": figures, "equal": same})


if __name__ == "__main__":
    main()
