"""The script that a competent user writes in an afternoon, to be measured against.

    python -m benchmarks.speed.plain_script SCENE OUT --off-nadir 30 --azimuth 20 [--model FILE]

It reads the whole picture, goes over it in overlapping tiles of 512 pixels with the eager
network in fp32, joins the maps, splits houses by skimage's watershed from seeds as the
model's card has them, traces with rasterio, simplifies with shapely and writes the features
with fiona one by one. Nothing in it is slowed down on purpose: torch has all threads, tiles
go in batches, nothing is computed twice but the overlap, and scikit-image, GEOS and GDAL do
what they are good at. It shares with snet4 the network and its weights, the normalising of
pictures, and the thresholds; everything else is its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import fiona
import numpy as np
import rasterio
import rasterio.features
import scipy.ndimage
import shapely
import shapely.geometry
import skimage.measure
import skimage.segmentation
import torch
from affine import Affine

from snet4core.look.look import Look
from snet4core.model import weights
from snet4core.model.header import find_model
from snet4core.scene.radiometry import band_range, normalise
from snet4core.settings import ShapeSettings

TILE, OVERLAP, BATCH = 512, 32, 4


def predicted(image_CHW: np.ndarray, net: torch.nn.Module, look: Look, head: str) -> np.ndarray:
    """Probabilities (2, H, W) of the whole picture, in tiles whose margins are cut off."""
    rows, cols = image_CHW.shape[1:]
    step = TILE - 2 * OVERLAP
    tall, wide = -(-rows // step) * step, -(-cols // step) * step
    padded = np.pad(
        image_CHW,
        ((0, 0), (OVERLAP, tall - rows + OVERLAP), (OVERLAP, wide - cols + OVERLAP)),
        mode="reflect" if min(rows, cols) > 2 * TILE else "constant",
    )
    out = np.empty((2, tall, wide), dtype=np.float32)
    corners = [(row, col) for row in range(0, tall, step) for col in range(0, wide, step)]
    looks = torch.tensor([look.features()])
    with torch.inference_mode():
        for start in range(0, len(corners), BATCH):
            group = corners[start : start + BATCH]
            tiles = np.stack([padded[:, r : r + TILE, c : c + TILE] for r, c in group])
            logits = net(torch.from_numpy(tiles), looks.expand(len(group), -1), head)
            maps = torch.sigmoid(logits)[:, :, OVERLAP:-OVERLAP, OVERLAP:-OVERLAP].numpy()
            for (row, col), each in zip(group, maps, strict=True):
                out[:, row : row + step, col : col + step] = each
    return out[:, :rows, :cols]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--off-nadir", type=float, required=True)
    parser.add_argument("--azimuth", type=float, required=True)
    parser.add_argument("--model", default="default")
    asked = parser.parse_args()
    look = Look(asked.off_nadir, asked.azimuth, "option")
    net, card = weights.load(find_model(asked.model))
    settings = card.shapes[look.category]

    with rasterio.open(asked.scene) as file:
        counts = file.read()
        transform, crs, gsd_m = file.transform, file.crs, file.transform.a
    sample = counts[:, :: max(1, counts.shape[1] // 2048), :: max(1, counts.shape[2] // 2048)]
    ranges = tuple(band_range(band) for band in sample)
    image = normalise(counts, np.ones(counts.shape[1:], dtype=bool), ranges)
    del counts

    footprint, border = predicted(image, net, look, card.architecture.head_for(look))
    del image
    schema = {"geometry": "Polygon", "properties": {"confidence": "float", "area_m2": "float"}}
    with fiona.open(asked.out, "w", driver="GPKG", crs=crs.to_wkt(), schema=schema) as layer:
        for polygon, confidence in buildings(footprint, border, settings, gsd_m, transform):
            layer.write(
                {
                    "geometry": shapely.geometry.mapping(polygon),
                    "properties": {"confidence": confidence, "area_m2": polygon.area},
                }
            )


def buildings(
    footprint: np.ndarray, border: np.ndarray, settings: ShapeSettings, gsd_m: float, to_map: Affine
) -> Iterator[tuple[shapely.Polygon, float]]:
    """Polygons of two maps (H, W), 0..1, each with its mean probability."""
    mask = footprint >= settings.threshold
    seeds, count = scipy.ndimage.label(footprint * (1 - border) > settings.split.seed_threshold)
    sizes = np.bincount(seeds.ravel(), minlength=count + 1)
    seeds[sizes[seeds] < settings.min_area_m2 / gsd_m**2 / 2] = 0
    labels = skimage.segmentation.watershed(-footprint, seeds, mask=mask)
    # What no seed reached is a building of its own.
    rest = skimage.measure.label(mask & (labels == 0), connectivity=1)
    labels[rest > 0] = rest[rest > 0] + labels.max()

    total = np.bincount(labels.ravel(), footprint.ravel())
    means = total / np.maximum(np.bincount(labels.ravel()), 1)
    for outline, value in rasterio.features.shapes(
        labels.astype(np.int32), mask=labels > 0, transform=to_map
    ):
        polygon = shapely.geometry.shape(outline)
        if polygon.area >= settings.min_area_m2:
            yield polygon.simplify(settings.simplify_m), float(means[int(value)])


if __name__ == "__main__":
    main()
