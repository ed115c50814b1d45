"""Simulates a network's maps from known buildings.

Footprints are burned with walls that reach too far, borders are drawn along all walls and
then blurred, broken, shifted and made noisy. The splitting of attached buildings is trained
on such maps (`judge`) and measured on others (`benchmarks/quality/shapes.py`).

Everything is a function of polygons in pixels (x = column, y = row, pixel edges at whole
numbers) and a seed. Axes: H rows, W columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy import ndimage as ndi
from shapely.geometry.base import BaseGeometry

Polygons = NDArray[np.object_]
"""shapely polygons in pixel coordinates."""

FINER = 3
"""Drawn points per pixel side."""

WALL_PX = 1.5
"""Half the width of the border band along every wall."""


@dataclass(frozen=True, slots=True)
class Block:
    """Buildings in the pixels of a raster of a given size."""

    name: str
    polygons: Polygons
    shape: tuple[int, int]
    """(rows, columns)"""


@dataclass(frozen=True, slots=True)
class BorderQuality:
    """How much a border map is degraded."""

    strength: tuple[float, float] = (0.55, 1.0)
    """Lowest and highest value along the walls, between which it varies slowly."""
    breaks_per_100px: float = 3.0
    """Number of gaps per 100 px of wall."""
    break_radius_px: tuple[float, float] = (1.5, 4.0)
    """Smallest and largest radius of these gaps."""
    break_strength: tuple[float, float] = (0.0, 0.35)
    """Lowest and highest share of the border that is left there."""
    shift_px: float = 0.7
    """Standard deviation of a smooth displacement of the map."""
    blur_px: float = 1.0
    """Standard deviation of the blur."""
    noise: float = 0.06
    """Standard deviation of noise that is 1.5 px wide."""


REALISTIC = BorderQuality()
POOR = BorderQuality((0.35, 0.9), 6.0, (1.5, 6.0), (0.0, 0.35), 1.0, 1.4, 0.1)


def solid(geometries: Polygons) -> Polygons:
    """Polygons only, valid, not empty; parts of a multipolygon stand alone."""
    parts: Polygons = shapely.get_parts(shapely.make_valid(np.asarray(geometries, dtype=object)))
    return np.asarray(parts[(shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 1)])


# ---------------------------------------------------------------- made buildings


def terraces(seed: int, rows: int = 6, shape: tuple[int, int] = (900, 900)) -> Block:
    """Rows of attached houses, 9-22 px wide and 16-30 px deep, at any angle, set back a little."""
    rng = np.random.default_rng((seed, 1))
    houses: list[shapely.Polygon] = []
    taken: BaseGeometry = shapely.Polygon()
    for _ in range(rows * 4):
        width, depth = rng.uniform(9, 22), rng.uniform(16, 30)
        count, angle = int(rng.integers(3, 13)), rng.uniform(0, 180)
        row = [
            shapely.box(i * width, step, (i + 1) * width, step + depth)
            for i, step in enumerate(rng.choice([0.0, 0.0, 0.0, 2.0, 4.0], count))
        ]
        x, y = rng.uniform(60, shape[1] - 60), rng.uniform(60, shape[0] - 60)
        turned = _placed(np.array(row, dtype=object), angle, x, y)
        outline = shapely.union_all(turned).buffer(8)
        frame = shapely.box(5, 5, shape[1] - 5, shape[0] - 5)
        if frame.contains(outline) and not taken.intersects(outline):
            taken = taken.union(outline)
            houses.extend(turned)
    return Block(f"terraces-{seed}", np.array(houses, dtype=object), shape)


def halls(seed: int, shape: tuple[int, int] = (900, 900)) -> Block:
    """Large roofs of 2,500 to 20,000 px2: plain, L- and T-shaped, at any angle, free standing."""
    rng = np.random.default_rng((seed, 2))
    made: list[shapely.Polygon] = []
    taken: BaseGeometry = shapely.Polygon()
    for _ in range(60):
        area, aspect = math.exp(rng.uniform(math.log(2600), math.log(20000))), rng.uniform(1, 3.5)
        a, b = math.sqrt(area * aspect), math.sqrt(area / aspect)
        roof: BaseGeometry = shapely.box(0, 0, a, b)
        if rng.random() < 0.4:  # a wing, so that the hall is an L or a T
            wing, reach = a * rng.uniform(0.3, 0.5), b * rng.uniform(0.4, 1.0)
            at = rng.choice([0.0, (a - wing) / 2])
            roof = roof.union(shapely.box(at, b, at + wing, b + reach))
        x, y = rng.uniform(0, shape[1]), rng.uniform(0, shape[0])
        turned = _placed(np.array([roof], dtype=object), rng.uniform(0, 180), x, y)[0]
        frame = shapely.box(5, 5, shape[1] - 5, shape[0] - 5)
        if frame.contains(turned) and not taken.intersects(turned.buffer(10)):
            taken = taken.union(turned.buffer(10))
            made.append(turned)
    return Block(f"halls-{seed}", np.array(made, dtype=object), shape)


def _placed(polygons: Polygons, angle_deg: float, x: float, y: float) -> Polygons:
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    turn = np.array([[cos, sin], [-sin, cos]])
    return affinity(polygons, turn, np.array([x, y]))


def affinity(
    polygons: Polygons, matrix: NDArray[np.float64], shift: NDArray[np.float64]
) -> Polygons:
    """Every vertex (x, y) as a row, times `matrix` (2, 2), plus `shift` (2,)."""

    def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return xy @ matrix + shift

    moved: Polygons = shapely.transform(polygons, move)
    return moved


# ---------------------------------------------------------------- burning


def labels_of(block: Block) -> NDArray[np.int32]:
    """Pixel centres inside polygon i get i + 1 (H, W); where two overlap, the later one."""
    pairs = [(polygon, i + 1) for i, polygon in enumerate(block.polygons)]
    if not pairs:
        return np.zeros(block.shape, np.int32)
    labels_HW: NDArray[np.int32] = rasterize(pairs, out_shape=block.shape, dtype=np.int32)
    return labels_HW


def footprint_map(
    block: Block, fat_px: float = 0.0, blur_px: float = 0.6, noise: float = 0.02, seed: int = 0
) -> NDArray[np.uint8]:
    """A footprint map (H, W), 0..255, whose buildings reach `fat_px` beyond their walls."""
    rng = np.random.default_rng((seed, 3))
    solid = shapely.buffer(block.polygons, fat_px, join_style="mitre")
    share_HW = ndi.gaussian_filter(_share(solid, block.shape), blur_px)
    return _quantised(share_HW * 0.97 + _smooth_noise(rng, block.shape, 1.0) * noise)


def perfect_mask(block: Block, fat_px: float = 0.0) -> NDArray[np.uint8]:
    """255 where the pixel's centre is inside a building grown by `fat_px`, else 0 (H, W)."""
    solid = shapely.buffer(block.polygons, fat_px, join_style="mitre")
    return labels_of(Block(block.name, solid, block.shape)).astype(bool).astype(np.uint8) * 255


def border_map(
    block: Block, quality: BorderQuality = REALISTIC, seed: int = 0
) -> NDArray[np.uint8]:
    """A border map (H, W), 0..255: along all walls and between near neighbours."""
    rng = np.random.default_rng((seed, 4))
    return _degraded(_border_zones(block.polygons), block.polygons, block.shape, quality, rng)


def border_map_with_ridges(
    block: Block,
    quality: BorderQuality = REALISTIC,
    seed: int = 0,
    over_px2: float = 2500,
    strength: tuple[float, float] = (0.3, 0.8),
) -> NDArray[np.uint8]:
    """`border_map`, and across every building above `over_px2` one or two false ridges.

    A ridge runs along or across the roof, from wall to wall or 60 % of the way, 2-4 px wide,
    with a height in `strength`, broken, blurred and noisy like the true walls.
    """
    rng = np.random.default_rng((seed, 5))
    real_HW = border_map(block, quality, seed)
    big = block.polygons[shapely.area(block.polygons) > over_px2]
    ridges = [ridge for roof in big for ridge in _ridges(roof, rng)]
    if not ridges:
        return real_HW
    height = BorderQuality(
        strength, 2.0, quality.break_radius_px, (0.0, 0.5), 0.0, quality.blur_px, 0.0
    )
    zones = np.array(ridges, dtype=object)
    false_HW = _degraded(zones, zones, block.shape, height, rng)
    return np.maximum(real_HW, false_HW)


def _ridges(roof: shapely.Polygon, rng: np.random.Generator) -> list[shapely.Polygon]:
    """One or two straight bands over a roof, along the axes of its smallest rectangle."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(roof))[:4]
    ridges: list[shapely.Polygon] = []
    for _ in range(int(rng.integers(1, 3))):
        first = int(rng.integers(0, 2))
        at = rng.uniform(0.25, 0.75)
        a = corners[first] * (1 - at) + corners[first + 1] * at
        b = corners[(first + 3) % 4] * (1 - at) + corners[first + 2] * at
        if rng.random() < 0.4:
            b = a + (b - a) * rng.uniform(0.6, 0.95)
        band = shapely.LineString([a, b]).buffer(rng.uniform(1, 2), cap_style="flat")
        parts = shapely.get_parts(band.intersection(roof))
        ridges.extend(p for p in parts if p.geom_type == "Polygon" and p.area > 4)
    return ridges


def _border_zones(polygons: Polygons, near_px: float = 4.0, reach_px: float = 2.5) -> Polygons:
    """A band along every wall, and all that is close to two buildings near each other."""
    walls = shapely.buffer(shapely.boundary(polygons), WALL_PX, quad_segs=2)
    tree = shapely.STRtree(polygons)
    one, other = tree.query(polygons, predicate="dwithin", distance=near_px)
    one, other = one[one < other], other[one < other]
    grown = shapely.buffer(polygons, reach_px, quad_segs=2)
    return np.concatenate([walls, shapely.intersection(grown[one], grown[other])])


def _degraded(
    zones: Polygons,
    walls: Polygons,
    shape: tuple[int, int],
    quality: BorderQuality,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    low, high = quality.strength
    wander_HW = ndi.gaussian_filter(rng.standard_normal(shape), 12) * 12 * 3.5
    height_HW = low + (high - low) / (1 + np.exp(-1.7 * wander_HW))
    drawn_HW = _share(zones, shape) * height_HW * _breaks(walls, shape, quality, rng)
    if quality.shift_px:
        offsets = [ndi.gaussian_filter(rng.standard_normal(shape), 8) * 28 for _ in range(2)]
        rows, cols = np.indices(shape)
        drawn_HW = ndi.map_coordinates(
            drawn_HW,
            [rows + offsets[0] * quality.shift_px, cols + offsets[1] * quality.shift_px],
            order=1,
        )
    drawn_HW = ndi.gaussian_filter(drawn_HW, quality.blur_px)
    return _quantised(drawn_HW + _smooth_noise(rng, shape, 1.5) * quality.noise)


def _breaks(
    walls: Polygons, shape: tuple[int, int], quality: BorderQuality, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Factor 0..1 (H, W): 1, and less on round spots along the walls."""
    factor_HW = np.ones(shape)
    lines = shapely.boundary(walls)
    counts = rng.poisson(shapely.length(lines) * quality.breaks_per_100px / 100)
    spots = shapely.line_interpolate_point(
        np.repeat(lines, counts), rng.random(counts.sum()), normalized=True
    )
    radius = rng.uniform(*quality.break_radius_px, spots.size)
    left = rng.uniform(*quality.break_strength, spots.size)
    discs = shapely.buffer(spots, radius, quad_segs=3)
    pairs = [(disc, share) for disc, share in zip(discs, left, strict=True)]
    if pairs:
        rasterize(pairs, out=factor_HW, dtype=np.float64)
    return factor_HW


def _share(polygons: Polygons, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Share of each pixel that the polygons cover (H, W), 0..1."""
    solid = polygons[~shapely.is_empty(polygons)]
    if solid.size == 0:
        return np.zeros(shape)
    drawn = rasterize(
        list(solid),
        out_shape=(shape[0] * FINER, shape[1] * FINER),
        transform=Affine.scale(1 / FINER),
        dtype=np.uint8,
    )
    share_HW: NDArray[np.float64] = drawn.reshape(shape[0], FINER, shape[1], FINER).mean((1, 3))
    return share_HW


def _smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], width_px: float
) -> NDArray[np.float64]:
    """Noise of standard deviation 1 that is about `width_px` wide (H, W)."""
    noise_HW: NDArray[np.float64] = ndi.gaussian_filter(rng.standard_normal(shape), width_px)
    noise_HW *= width_px * 2 * math.sqrt(math.pi)
    return noise_HW


def _quantised(share_HW: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(np.clip(share_HW, 0, 1) * 255).astype(np.uint8)
