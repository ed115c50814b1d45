"""Real buildings to recover, and how many were.

Made blocks and the maps of all of them come from `snet4_training.judge.degraded_maps`.
Axes: H rows, W columns.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from snet4_training.judge.degraded_maps import (
    POOR,
    REALISTIC,
    Block,
    BorderQuality,
    Polygons,
    affinity,
    border_map,
    border_map_with_ridges,
    footprint_map,
    halls,
    labels_of,
    perfect_mask,
    solid,
    terraces,
)

__all__ = [
    "POOR",
    "REALISTIC",
    "Block",
    "BorderQuality",
    "Count",
    "Polygons",
    "affinity",
    "banepa_blocks",
    "border_map",
    "border_map_with_ridges",
    "footprint_map",
    "halls",
    "labels_of",
    "matched",
    "perfect_mask",
    "separated",
    "shared_data",
    "spacenet4_blocks",
    "terraces",
    "whole",
]


def shared_data() -> Path:
    """Folder of the real pictures, beside the repository."""
    return Path(__file__).resolve().parents[3] / "shared" / "data"


# ---------------------------------------------------------------- real buildings


def spacenet4_blocks(folder: Path | None = None) -> list[Block]:
    """The 33 public SpaceNet 4 tiles: 2,319 buildings in pixels of 0.5 m."""
    folder = folder or shared_data() / "real" / "sn4-atlanta-truth"
    csv.field_size_limit(1 << 28)
    by_image: dict[str, list[str]] = {}
    with (folder / "sample_truth_competition.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            by_image.setdefault(row["ImageId"], []).append(row["PolygonWKT_Pix"])
    return [
        Block(name, solid(shapely.from_wkt(wkt)), (900, 900))
        for name, wkt in sorted(by_image.items())
    ]


def banepa_blocks(gsd_m: float, folder: Path | None = None) -> list[Block]:
    """Dense, touching houses of four chips in Banepa, in pixels of `gsd_m` metres."""
    import rasterio
    from fiona import open as open_layer
    from shapely.geometry import shape as to_shapely

    folder = folder or shared_data() / "real" / "banepa-oam"
    with open_layer(folder / "buildings.geojson") as layer:
        houses = np.array([to_shapely(record["geometry"]) for record in layer], dtype=object)
    blocks = []
    for path in sorted(folder.glob("*.tif")):
        with rasterio.open(path) as picture:
            west, south, east, north = picture.bounds
        metres_per_degree = 111_320.0
        east_px = metres_per_degree * math.cos(math.radians((south + north) / 2)) / gsd_m
        north_px = metres_per_degree / gsd_m
        shape = (math.ceil((north - south) * north_px), math.ceil((east - west) * east_px))
        scale = np.array([east_px, -north_px])
        pixels = affinity(houses, np.diag(scale), -np.array([west, north]) * scale)
        inside = shapely.intersection(pixels, shapely.box(0, 0, shape[1], shape[0]))
        blocks.append(Block(path.stem, solid(inside), shape))
    return blocks


# ---------------------------------------------------------------- counting


@dataclass(frozen=True, slots=True)
class Count:
    """Matches of found against true buildings at IoU above 0.5, by pixels."""

    hits: int
    found: int
    true: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0..1."""
        return 2 * self.hits / max(1, self.found + self.true)

    def __add__(self, other: Count) -> Count:
        return Count(self.hits + other.hits, self.found + other.found, self.true + other.true)


def matched(
    labels_HW: NDArray[np.int32], block: Block, min_area_px: float = 20.0
) -> tuple[Count, NDArray[np.float64]]:
    """How many buildings were found, and the best IoU of each true one, by pixels.

    Above 0.5 a match is unique, so no assignment is needed. Truth and proposals below
    `min_area_px` take no part, as in the challenge.
    """
    truth_HW = labels_of(block)
    truth_px = np.bincount(truth_HW.ravel(), minlength=block.polygons.size + 1)
    found_px = np.bincount(labels_HW.ravel())
    both = (truth_HW > 0) & (labels_HW > 0)
    pair = truth_HW[both].astype(np.int64) * found_px.size + labels_HW[both]
    pairs, common = np.unique(pair, return_counts=True)
    i, j = np.divmod(pairs, found_px.size)
    iou = common / (truth_px[i] + found_px[j] - common)
    best = np.zeros(truth_px.size)
    np.maximum.at(best, i, iou)
    takes_part = (truth_px >= min_area_px) & (np.arange(truth_px.size) > 0)
    hits = (iou > 0.5) & takes_part[i] & (found_px[j] > min_area_px)
    count = Count(int(hits.sum()), int((found_px[1:] > min_area_px).sum()), int(takes_part.sum()))
    return count, best[1:]


def whole(labels_HW: NDArray[np.int32], block: Block, over_px2: float = 2500) -> tuple[int, int]:
    """(whole, all): of the buildings above `over_px2`, those with >= 90 % under one label."""
    truth_HW = labels_of(block)
    big = np.flatnonzero(shapely.area(block.polygons) > over_px2) + 1
    kept = 0
    for i in big:
        inside = labels_HW[truth_HW == i]
        kept += inside.size > 0 and np.bincount(inside).max(initial=0) >= 0.9 * inside.size
    return kept, int(big.size)


def separated(labels_HW: NDArray[np.int32], block: Block) -> tuple[int, int]:
    """(separated, all): buildings that some label meets with IoU > 0.5."""
    _, best = matched(labels_HW, block, 0)
    return int((best > 0.5).sum()), best.size
