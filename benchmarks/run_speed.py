"""What a whole run costs beside the bare forward pass of the same windows.

    python -m benchmarks.run_speed [--side PX] [--model NAME or FILE]

Same model, precision, threads and process: first the network alone over pictures that
are in memory, then `detect` from file to layer; twice in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from benchmarks.measured import keep
from snet4_training.scenes import PLAIN, make_place, render
from snet4core import layers
from snet4core.detect import detect
from snet4core.look import Look
from snet4core.modelfile import find_model
from snet4core.plan import Choices
from snet4core.predict import Picture, Predictor, choose_runtime
from snet4core.windows import Tile

LOOK = Look(30.0, 20.0, "option")


def write_scene(path: Path, side: int) -> None:
    """One rendered place, repeated: what a run costs depends on its buildings too."""
    place = make_place(np.random.default_rng(9_200_000), 900, 0.5)
    tile_CHW = render(place, LOOK, PLAIN)
    repeats = -(-side // 900)
    counts = np.tile(tile_CHW, (1, repeats, repeats))[:, :side, :side]
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint16", count=4, width=side, height=side, tiled=True,
        compress="deflate", crs="EPSG:32616", transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000),
    ) as file:  # fmt: skip
        file.write(counts)


def forward_s(predictor: Predictor, side: int) -> float:
    """Seconds for the network alone, on noise that is ready in memory."""
    noise = np.random.default_rng(0).standard_normal((4, 1152, 1152)).astype(np.float32)

    def read(tile: Tile) -> Picture:
        rows, cols = tile.read.shape
        return noise[:, :rows, :cols], np.ones((rows, cols), dtype=np.bool_)

    started = time.perf_counter()
    for _ in predictor.maps(read, (side, side), LOOK):
        pass
    return time.perf_counter() - started


def run_s(predictor: Predictor, scene: Path, folder: Path) -> tuple[float, int]:
    """Seconds and footprints of the whole way, from file to layer."""
    started = time.perf_counter()
    found = detect(scene, predictor, Choices(off_nadir_deg=30.0, azimuth_deg=20.0))
    count = layers.write(folder / "out.gpkg", found.footprints, found.plan.grid.crs, overwrite=True)
    return time.perf_counter() - started, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--model", default="default")
    asked = parser.parse_args()
    predictor = Predictor(find_model(asked.model), choose_runtime())
    rounds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scene(folder / "scene.tif", asked.side)
        for _ in range(2):
            bare_s = forward_s(predictor, asked.side)
            whole_s, count = run_s(predictor, folder / "scene.tif", folder)
            rounds.append(
                {"forward_s": bare_s, "run_s": whole_s, "ratio": whole_s / bare_s, "count": count}
            )
            print(
                f"{asked.side} px: forward {bare_s:.1f} s, whole run {whole_s:.1f} s "
                f"({count} footprints), ratio {whole_s / bare_s:.2f}"
            )
    keep("run_speed", {"side_px": asked.side, "rounds": rounds})


if __name__ == "__main__":
    main()
