"""What each output format costs: footprints written per second, and the memory it takes.

    python -m benchmarks.speed.writers [--count N]

Each format in a process of its own, from footprints that are made on the way, so that the
peak is the writer's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from benchmarks.measured import keep, measured
from snet4core.footprints.footprints import Footprints, Source, footprints_of
from snet4core.footprints.ordering import in_order
from snet4core.grid import Grid
from snet4core.layers.write import write_layer
from snet4core.outlines.outline import Outlines

FORMATS = ("gpkg", "fgb", "geojson", "parquet", "csv")
BATCH = 2000


def footprints(count: int) -> Iterator[Footprints]:
    """Houses of eight corners in rows, in batches as blocks give them."""
    shape = (count // 100 * 20 + 40, 100 * 20)
    grid = Grid(shape, Affine(0.5, 0, 740000, 0, -0.5, 3720000), CRS.from_epsg(32616))
    source = Source("made.tif", grid.crs, None, "none")
    corners = np.array([[0, 0], [9, 0], [9, 4], [14, 4], [14, 12], [5, 12], [5, 8], [0, 8]], float)

    def batches() -> Iterator[Footprints]:
        for start in range(0, count, BATCH):
            number = np.arange(start, min(count, start + BATCH))
            anchors = np.stack([number // 100 * 20, number % 100 * 20], axis=1)
            rings = shapely.linearrings(anchors[:, None, ::-1] + corners)
            sizes = np.full(len(number), 120)
            outlines = Outlines(shapely.polygons(rings), anchors, np.full(len(number), 0.8), sizes)
            yield footprints_of(outlines, grid, source, min_area_m2=0.0)

    return in_order(source, batches())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--write", type=Path, help="write this one file, and say how long it took")
    asked = parser.parse_args()
    if asked.write:
        crs = CRS.from_epsg(32616)
        batches = list(footprints(asked.count))
        started = time.perf_counter()
        write_layer(asked.write, iter(batches), crs)
        print(time.perf_counter() - started)
        return
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        for extension in FORMATS:
            layer = Path(name, f"out.{extension}")
            cost = measured(
                [sys.executable, "-m", "benchmarks.speed.writers", "--count", str(asked.count),
                 "--write", layer]
            )  # fmt: skip
            figures[extension] = {
                "per_s": round(asked.count / float(cost.said)),
                "peak_mib": round(cost.peak_mib),
                "layer_mib": round(layer.stat().st_size / 2**20, 1),
            }
            print(f"{extension:8} {figures[extension]}", flush=True)
    keep("writers", {"count": asked.count, "formats": figures})


if __name__ == "__main__":
    main()
