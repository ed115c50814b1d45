"""Small label images and pictures of them turned, for the tests of outlines."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rasterio.features import rasterize
from skimage.measure import label

from snet4core.labels.labels import Labels

LabelImage = NDArray[np.int32]
Polygons = NDArray[np.object_]


def as_labels(labels_HW: LabelImage, row: int = 0, col: int = 0) -> Labels:
    """Labels whose footprint probability is 204 / 255 = 0.8 inside."""
    footprint = np.where(labels_HW > 0, 204, 0).astype(np.uint8)
    return Labels.of_image(labels_HW, footprint, np.zeros_like(footprint), row, col)


def whole(values_HW: NDArray[np.integer]) -> LabelImage:
    """4-connected pieces of equal value as labels 1, 2, ...; 0 is background."""
    return np.asarray(label(values_HW, connectivity=1, background=0), np.int32)


def label_images(max_side: int = 12, values: int = 2) -> st.SearchStrategy[LabelImage]:
    """Ragged labels that touch each other everywhere: walls, corners, courtyards, joints."""
    side = st.integers(1, max_side)
    cells = arrays(np.int8, st.tuples(side, side), elements=st.integers(0, values))
    # Blocks of 1 to 4 pixels, so that there is also something to simplify.
    blown = st.tuples(cells, st.integers(1, 4)).map(
        lambda drawn: np.kron(drawn[0], np.ones((drawn[1], drawn[1]), np.int8))
    )
    return blown.map(whole).filter(lambda labels_HW: labels_HW.max() > 0)


def burned(polygons: list[shapely.Polygon], shape: tuple[int, int]) -> LabelImage:
    """Labels 1, 2, ... of the pixels whose centres lie inside."""
    pairs = [(polygon, index + 1) for index, polygon in enumerate(polygons)]
    return np.asarray(rasterize(pairs, out_shape=shape, dtype=np.int32), np.int32)


def placed(
    polygon: shapely.Polygon, angle_deg: float, x: float = 30.0, y: float = 30.0
) -> shapely.Polygon:
    """The polygon turned about the origin, then moved."""
    turned = shapely.affinity.rotate(polygon, angle_deg, origin=(0, 0))
    return shapely.affinity.translate(turned, x, y)


def quarter_turned(polygons: Polygons, width: int) -> Polygons:
    """What np.rot90 does to an image of this width, done to polygons."""

    def turn(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([xy[:, 1], width - xy[:, 0]])

    return np.asarray(shapely.transform(polygons, turn), object)


def same_set(one: Polygons, other: Polygons) -> bool:
    """Whether both hold the very same polygons, in any order and from any start vertex."""
    a, b = (sorted(shapely.to_wkb(shapely.normalize(each)).tolist()) for each in (one, other))
    return a == b


def iou(one: Polygons, other: Polygons) -> NDArray[np.float64]:
    """Intersection over union of pairs."""
    common = shapely.area(shapely.intersection(one, other))
    return np.asarray(common / (shapely.area(one) + shapely.area(other) - common), np.float64)


def right_angles(polygons: Polygons, within_deg: float = 5.0) -> float:
    """Share of the corners that turn by 90 degrees, give or take."""
    good = total = 0
    for polygon in polygons:
        xy = shapely.get_coordinates(polygon.exterior)[:-1]
        step = np.roll(xy, -1, axis=0) - xy
        heading = np.degrees(np.arctan2(step[:, 1], step[:, 0]))
        turn = np.abs((heading - np.roll(heading, 1) + 180) % 360 - 180)
        good += int((np.abs(turn - 90) <= within_deg).sum())
        total += turn.size
    return good / total
