"""From masks to footprints, measured side by side with what a user would write instead.

    python -m benchmarks.quality.shapes [--quick | --full]

Truth: the 33 public SpaceNet 4 tiles (2,319 buildings), four dense chips of Banepa, and
made blocks; see `shapes_data`. Prints tables and writes benchmarks/out/shapes.json. Times
are processor seconds of one thread.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import shapely
from numpy.typing import NDArray
from skimage.measure import label as connected

from benchmarks.measured import keep
from benchmarks.quality import shapes_data as data
from benchmarks.quality import shapes_rivals as rivals
from snet4core.labels import seams, watershed
from snet4core.labels.labels import Labels
from snet4core.maps.maps import Maps
from snet4core.outlines.outline import outlines
from snet4core.outlines.rings import trace
from snet4core.settings import SplitSettings
from snet4core.windows import Window, blocks

Row = dict[str, Any]
LabelImage = NDArray[np.int32]
Polygons = NDArray[np.object_]
GSD_M = 0.5
TOLERANCE_PX = 1.0
RAGGED = 0.15
"""Standard deviation of the noise that makes masks ragged: exact outlines have IoU .92."""


# ---------------------------------------------------------------- small tools


def table(title: str, rows: list[Row]) -> None:
    """Print rows that have the same keys."""
    print(f"\n{title}")
    if not rows:
        print("  (nothing measured)")
        return
    cells = [[_text(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(rows[0], *cells, strict=True)]
    for line in [list(rows[0]), *cells]:
        print("  " + "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)))
    sys.stdout.flush()


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.0f}"
    return "-" if value is None else str(value)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """A result and the processor seconds it took."""
    begin = time.process_time()
    result = work()
    return result, time.process_time() - begin


def labels_of(labels_HW: LabelImage, footprint_HW: NDArray[np.uint8] | None = None) -> Labels:
    """A label image as the value that outlines take."""
    if footprint_HW is None:
        footprint_HW = np.where(labels_HW > 0, 255, 0).astype(np.uint8)
    return Labels.of_image(labels_HW, footprint_HW, np.zeros_like(footprint_HW))


def one_piece_each(block: data.Block) -> tuple[LabelImage, Polygons]:
    """The block's buildings burned, each as its largest 4-connected piece, and their truth."""
    burned_HW = data.labels_of(block)
    pieces_HW = connected(burned_HW, connectivity=1, background=0)
    size = np.bincount(pieces_HW.ravel())
    owner = np.zeros(size.size, np.int64)
    owner[pieces_HW] = burned_HW
    size[0] = 0
    largest = np.zeros(block.polygons.size + 1, np.int64)
    order = np.argsort(size, kind="stable")
    largest[owner[order]] = order
    kept = np.flatnonzero(size[largest] > 0)
    kept = kept[kept > 0]
    number = np.zeros(size.size, np.int32)
    number[largest[kept]] = np.arange(1, kept.size + 1)
    return number[pieces_HW], block.polygons[kept - 1]


def iou(one: Polygons, other: Polygons) -> NDArray[np.float64]:
    """Intersection over union of pairs; 0 where there is none or it is invalid."""
    there = np.array([p is not None and p.is_valid for p in one])
    result = np.zeros(len(one))
    a, b = one[there], other[there]
    common = shapely.area(shapely.intersection(a, b))
    result[there] = common / (shapely.area(a) + shapely.area(b) - common)
    return result


def right_angles(polygons: Polygons, within_deg: float = 5.0) -> float:
    """Share of all corners that turn by 90 degrees, give or take."""
    good = total = 0
    for polygon in polygons:
        if polygon is None:
            continue
        for part in shapely.get_parts(polygon):
            xy = shapely.get_coordinates(part.exterior)[:-1]
            step = np.roll(xy, -1, axis=0) - xy
            heading = np.degrees(np.arctan2(step[:, 1], step[:, 0]))
            turn = np.abs((heading - np.roll(heading, 1) + 180) % 360 - 180)
            good += int((np.abs(turn - 90) <= within_deg).sum())
            total += turn.size
    return good / max(1, total)


def vertices(polygons: Polygons) -> float:
    """Mean number of corners."""
    there = np.array([p for p in polygons if p is not None], object)
    rings = 1 + shapely.get_num_interior_rings(there)
    return float(np.mean(shapely.get_num_coordinates(there) - np.maximum(rings, 1)))


# ---------------------------------------------------------------- outlines


Outliner = Callable[[LabelImage], Polygons]

OUTLINERS: dict[str, Outliner] = {
    "snet4": lambda labels_HW: outlines(labels_of(labels_HW), TOLERANCE_PX).polygons_N,
    "snet4, regularize": (
        lambda labels_HW: outlines(labels_of(labels_HW), TOLERANCE_PX, True).polygons_N
    ),
    "snet4, 2 px": lambda labels_HW: outlines(labels_of(labels_HW), 2.0).polygons_N,
    "snet4, exact": lambda labels_HW: outlines(labels_of(labels_HW), 0.0).polygons_N,
    "rasterio + simplify": lambda labels_HW: rivals.rasterio_simplified(labels_HW, TOLERANCE_PX),
    "find_contours + approximate": (
        lambda labels_HW: rivals.contours_approximated(labels_HW, TOLERANCE_PX)
    ),
    "OpenCV contours": lambda labels_HW: rivals.opencv_contours(labels_HW, TOLERANCE_PX),
}


def outliners(
    images: list[LabelImage], names: list[str]
) -> Iterator[tuple[str, list[Polygons], float | None]]:
    """Each way to outline, with its polygons of every image and its seconds."""
    for name in names:
        made, seconds = timed(lambda name=name: [OUTLINERS[name](image) for image in images])
        yield name, made, seconds
    exact = [rivals.rasterio_shapes(image) for image in images]
    foreign = rivals.building_regulariser(np.concatenate(exact), GSD_M)
    if foreign is None:
        print(
            "  SKIPPED: buildingregulariser is not measured; set "
            f"{rivals.FOREIGN_PYTHON} to a Python that has it."
        )
        return
    parts = np.split(foreign[0], np.cumsum([each.size for each in exact])[:-1])
    yield "buildingregulariser", parts, foreign[1]


def perfect_masks(tiles: list[data.Block]) -> list[Row]:
    """Perfect masks of the public tiles -> polygons."""
    images, truths = zip(*map(one_piece_each, tiles), strict=True)
    truth = np.concatenate(truths)
    pixels = np.concatenate([np.bincount(image.ravel())[1:] for image in images])
    small = pixels < 100
    rows = []
    for name, made, seconds in outliners(list(images), list(OUTLINERS)):
        found = np.concatenate(made)
        area = np.array([0.0 if p is None else p.area for p in found])
        valid = [p is not None and p.is_valid for p in found]
        overlap = iou(found, truth)
        rows.append(
            {
                "outlines": name,
                "mean IoU": float(overlap.mean()),
                "5th percentile": float(np.quantile(overlap, 0.05)),
                "area / pixels": float(area.sum() / pixels.sum()),
                "same, < 100 px": float(area[small].sum() / pixels[small].sum()),
                "vertices": vertices(found),
                "valid": float(np.mean(valid)),
                "buildings/s": len(found) / seconds if seconds else None,
            }
        )
    return rows


def noisy_houses(count: int) -> list[Row]:
    """Rectangles and Ls at any angle, burned at 0.5 m with ragged edges -> polygons."""
    block, image = _noisy_block(count)
    truth = block.polygons
    rows = []
    wanted = ["snet4", "snet4, regularize", "snet4, exact", "rasterio + simplify"]
    for name, (found,), seconds in outliners([image], wanted):
        overlap = iou(found, truth)
        rows.append(
            {
                "outlines": name,
                "mean IoU": float(overlap.mean()),
                "5th percentile": float(np.quantile(overlap, 0.05)),
                "right angles": right_angles(found),
                "vertices": vertices(found),
                "valid": float(np.mean([p is not None and p.is_valid for p in found])),
                "ms each": 1e3 * seconds / len(truth) if seconds else None,
            }
        )
    return rows


def _noisy_block(count: int, seed: int = 0) -> tuple[data.Block, LabelImage]:
    """Houses of 16-40 by 14-30 px; the exact outline of their ragged mask has IoU .92."""
    rng = np.random.default_rng((seed, 7))
    side, pitch = int(np.ceil(np.sqrt(count))), 80
    houses = []
    for index in range(count):
        row, col = divmod(index, side)
        w, h = rng.uniform(16, 40), rng.uniform(14, 30)
        house = shapely.box(-w / 2, -h / 2, w / 2, h / 2)
        if index % 2:
            house = house.difference(shapely.box(rng.uniform(-0.1, 0.15) * w, 0, w, h))
        turned = shapely.affinity.rotate(house, rng.uniform(0, 180), origin=(0, 0))
        x, y = rng.uniform(-0.5, 0.5, 2) + np.array([col, row]) * pitch + 40
        houses.append(shapely.affinity.translate(turned, x, y))
    block = data.Block("ragged", np.array(houses, object), (side * pitch, side * pitch))
    map_HW = data.footprint_map(block, blur_px=1.0, noise=RAGGED)
    pieces_HW = connected(map_HW >= 128, connectivity=1, background=0)
    truth_HW = data.labels_of(block)
    # The piece with which each house has most pixels in common is the house.
    pair = truth_HW.astype(np.int64) * (pieces_HW.max() + 1) + pieces_HW
    pair, common = np.unique(pair[(truth_HW > 0) & (pieces_HW > 0)], return_counts=True)
    order = np.argsort(common, kind="stable")
    house, piece = np.divmod(pair[order], pieces_HW.max() + 1)
    best = np.zeros(count + 1, np.int64)
    best[house] = piece
    number = np.zeros(pieces_HW.max() + 1, np.int32)
    number[best[1:]] = np.arange(1, count + 1)
    return block, number[pieces_HW]


def phases(tiles: list[data.Block]) -> list[Row]:
    """The same buildings burned with the pixels elsewhere: no figure hangs on their place."""
    rows = []
    for x, y in ((0.0, 0.0), (0.25, 0.5), (0.5, 0.25), (0.75, 0.75)):
        shift = np.array([x, y])
        moved = [
            data.Block(tile.name, data.affinity(tile.polygons, np.eye(2), shift), (901, 901))
            for tile in tiles
        ]
        images, truths = zip(*map(one_piece_each, moved), strict=True)
        truth = np.concatenate(truths)
        row: Row = {"pixels shifted by": f"{x:.2f}, {y:.2f}"}
        for name in ("snet4", "snet4, regularize", "snet4, exact", "rasterio + simplify"):
            found = np.concatenate([OUTLINERS[name](image) for image in images])
            row[name] = float(iou(found, truth).mean())
        rows.append(row)
    return rows


# ---------------------------------------------------------------- splitting


def split_labels(footprint_HW: NDArray[np.uint8], border_HW: NDArray[np.uint8]) -> LabelImage:
    """snet4: components, then the border watershed with its default settings."""
    window = Window(0, 0, *footprint_HW.shape)
    maps = Maps(window, footprint_HW, border_HW, np.ones(window.shape, bool))
    all_HW = np.zeros(window.shape, np.int32)
    for labels in seams.complete_components([maps], window.shape, 0.5):
        parts_HW = watershed.split(labels, SplitSettings(), GSD_M).at_home(window).labels_HW
        all_HW += np.where(parts_HW > 0, parts_HW + all_HW.max(), 0)
    return all_HW


Splitter = Callable[[NDArray[np.uint8], NDArray[np.uint8]], LabelImage]

SPLITTERS: dict[str, Splitter] = {
    "snet4": split_labels,
    "snet4, no border map": lambda f, b: split_labels(f, np.zeros_like(b)),
    "connected components": lambda f, b: rivals.connected_components(f >= 128),
    "scikit-image gallery": lambda f, b: rivals.gallery_watershed(f >= 128),
    "the same, border cut out": lambda f, b: rivals.gallery_watershed((f >= 128) & (b < 128)),
}


def fat_masks(tiles: list[data.Block]) -> list[Row]:
    """Masks that are too fat, with border maps of realistic quality: F1 at IoU 0.5."""
    rows = []
    for name, splitter in SPLITTERS.items():
        row: Row = {"split": name}
        for fat_px in (0, 1, 2, 3):
            total, seconds = data.Count(0, 0, 0), 0.0
            for seed, tile in enumerate(tiles):
                maps = _maps(tile, fat_px, seed)
                labels_HW, took = timed(partial(splitter, *maps))
                total, seconds = total + data.matched(labels_HW, tile)[0], seconds + took
            row[f"F1 at {fat_px} px"] = total.f1
        row["MPix/s"] = 0.81 * len(tiles) / seconds if seconds else None
        rows.append(row)
    return rows


_MAPS: dict[tuple[str, tuple[int, int], int, int], tuple[NDArray[np.uint8], NDArray[np.uint8]]] = {}


def _maps(tile: data.Block, fat_px: int, seed: int) -> tuple[Any, Any]:
    """The tile's two maps, made once."""
    key = (tile.name, tile.shape, fat_px, seed)
    if key not in _MAPS:
        footprint_HW = data.footprint_map(tile, fat_px, seed=seed)
        _MAPS[key] = footprint_HW, data.border_map(tile, seed=seed)
    return _MAPS[key]


def halls_and_terraces(count: int) -> list[Row]:
    """Halls under false ridges stay whole; terraces with true borders come apart."""
    halls = [data.halls(seed) for seed in range(count)]
    terraces = [data.terraces(seed) for seed in range(count)]
    hall_maps = [
        (data.footprint_map(b, seed=k), data.border_map_with_ridges(b, seed=k))
        for k, b in enumerate(halls)
    ]
    terrace_maps = [
        (data.footprint_map(b, 1, seed=k), data.border_map(b, seed=k))
        for k, b in enumerate(terraces)
    ]
    rows = []
    for name, splitter in SPLITTERS.items():
        stayed = np.array(
            [data.whole(splitter(*m), b) for m, b in zip(hall_maps, halls, strict=True)]
        )
        apart = np.array(
            [data.separated(splitter(*m), b) for m, b in zip(terrace_maps, terraces, strict=True)]
        )
        rows.append(
            {
                "split": name,
                "halls": int(stayed[:, 1].sum()),
                "whole": float(stayed[:, 0].sum() / stayed[:, 1].sum()),
                "terraced houses": int(apart[:, 1].sum()),
                "separated": float(apart[:, 0].sum() / apart[:, 1].sum()),
            }
        )
    return rows


def banepa() -> list[Row]:
    """Dense, touching houses, burned and degraded at three ground sample distances."""
    rows = []
    for gsd_m in (0.13, 0.26, 0.5):
        chips = data.banepa_blocks(gsd_m)
        for name, splitter in SPLITTERS.items():
            total, overlaps = data.Count(0, 0, 0), []
            for seed, chip in enumerate(chips):
                labels_HW = splitter(*_maps(chip, 1, seed))
                count, best = data.matched(labels_HW, chip)
                total, overlaps = total + count, [*overlaps, best]
            rows.append(
                {
                    "GSD m": f"{gsd_m:.2f}",
                    "split": name,
                    "houses": total.true,
                    "F1": total.f1,
                    "mean best IoU": float(np.concatenate(overlaps).mean()),
                }
            )
    _MAPS.clear()
    return rows


# ---------------------------------------------------------------- speed and seams


def suburb(side: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
    """Maps (side, side) with about 200 houses per MPix, some attached, and their number."""
    rng = np.random.default_rng((seed, 11))
    tile_px, pitch = 1024, 74
    houses = []
    for y in range(37, tile_px - 30, pitch):
        for x in range(37, tile_px - 30, pitch):
            w, h = rng.uniform(14, 32), rng.uniform(14, 30)
            house = shapely.box(-w / 2, -h / 2, w / 2, h / 2)
            if rng.random() < 0.4:
                house = house.union(shapely.box(-w / 2, h / 2, 0, h / 2 + 8))
            angle = rng.uniform(0, 180)
            turned = shapely.affinity.rotate(house, angle, origin=(0, 0))
            houses.append(shapely.affinity.translate(turned, x, y))
            if rng.random() < 0.2:  # a second house shares the wall on the right
                second = shapely.affinity.rotate(
                    shapely.box(w / 2, -h / 2, w / 2 + 14, h / 2), angle, origin=(0, 0)
                )
                houses.append(shapely.affinity.translate(second, x, y))
    block = data.Block("suburb", np.array(houses, object), (tile_px, tile_px))
    maps = data.footprint_map(block, seed=seed), data.border_map(block, seed=seed)
    times = side // tile_px
    footprint_HW, border_HW = (np.tile(each, (times, times)) for each in maps)
    return footprint_HW, border_HW, len(houses) * times * times


def stages(sides: list[int]) -> list[Row]:
    """Processor time of each stage, streamed in blocks of 1,024 px with seams."""
    rows = []
    for side in sides:
        footprint_HW, border_HW, _ = suburb(side)
        spent = dict.fromkeys(("seams", "split", "trace", "outline", "regularize"), 0.0)
        count = 0
        stream = seams.complete_components(
            _blocks(footprint_HW, border_HW, 1024), footprint_HW.shape, 0.5
        )
        while True:
            labels, took = timed(partial(next, stream, None))
            spent["seams"] += took
            if labels is None:
                break
            parts, took = timed(partial(watershed.split, labels, SplitSettings(), GSD_M))
            spent["split"] += took
            spent["trace"] += timed(partial(trace, parts.labels_HW))[1]
            found, took = timed(partial(outlines, parts, TOLERANCE_PX))
            spent["outline"] += took
            spent["regularize"] += timed(partial(outlines, parts, TOLERANCE_PX, True))[1]
            count += len(found.polygons_N)
        total = spent["seams"] + spent["split"] + spent["outline"]
        rows.append(
            {
                "side px": side,
                "buildings": count,
                "per MPix": round(count / side**2 * 1e6),
                **{f"{stage} /s": count / seconds for stage, seconds in spent.items()},
                "all, plain /s": count / total,
                "MPix/s": side**2 / 1e6 / total,
            }
        )
    return rows


def _blocks(
    footprint_HW: NDArray[np.uint8], border_HW: NDArray[np.uint8], block_px: int
) -> Iterator[Maps]:
    for window in blocks((footprint_HW.shape[0], footprint_HW.shape[1]), block_px):
        part = window.slices()
        yield Maps(window, footprint_HW[part], border_HW[part], np.ones(window.shape, bool))


def tiled(sides_px: list[int], tile: data.Block) -> list[Row]:
    """The polygons of one raster for several block sizes: are they the same bytes?"""
    footprint_HW, border_HW = _maps(tile, 2, 0)
    rows = []
    for regularize in (False, True):
        reference: list[bytes] = []
        for block_px in sides_px:
            found: list[bytes] = []
            stream = _blocks(footprint_HW, border_HW, block_px)
            for labels in seams.complete_components(stream, footprint_HW.shape, 0.5):
                parts = watershed.split(labels, SplitSettings(), GSD_M)
                drawn = outlines(parts, TOLERANCE_PX, regularize).polygons_N
                found.extend(shapely.to_wkb(shapely.normalize(drawn)))
            found.sort()
            reference = reference or found
            rows.append(
                {
                    "regularize": regularize,
                    "block px": block_px,
                    "polygons": len(found),
                    "differ": len(set(found) ^ set(reference)),
                }
            )
    return rows


def main() -> None:
    """Measure everything, print it, keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="less than two minutes (default)")
    size.add_argument("--full", action="store_true", help="all tiles, up to 16,384 px square")
    full = parser.parse_args().full
    tiles = data.spacenet4_blocks()
    some = tiles if full else tiles[::6]
    sides = [1024, 2048, 4096, 8192, 16384] if full else [1024, 2048]
    sections: list[tuple[str, Callable[[], list[Row]]]] = [
        ("Perfect masks of the public tiles, tolerance 1 px = 0.5 m", lambda: perfect_masks(tiles)),
        ("Mean IoU of perfect masks at four phases", lambda: phases(some)),
        ("Ragged rectangles and Ls at 0.5 m", lambda: noisy_houses(900 if full else 225)),
        (f"Masks too fat, realistic borders ({len(some)} tiles)", lambda: fat_masks(some)),
        ("Halls under false ridges, terraces", lambda: halls_and_terraces(8 if full else 2)),
        ("Banepa, dense and touching, masks 1 px too fat", banepa),
        ("Speed by stage", lambda: stages(sides)),
        ("Tiled against whole", lambda: tiled([900, 512, 256, 101], some[0])),
    ]
    figures = {}
    for title, measure in sections:
        rows = measure()
        table(title, rows)
        figures[title] = rows
    keep("shapes", {"full": full, **figures})


if __name__ == "__main__":
    main()
