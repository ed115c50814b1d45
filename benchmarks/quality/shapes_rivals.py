"""What a user would write instead: other ways from a mask to labels and to polygons.

Each outliner takes a label image and gives one polygon per label (None where it finds
none), in pixels with edges at whole numbers, so half a pixel is added where a library
counts from pixel centres. Axes: H rows, W columns, N labels.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from scipy import ndimage as ndi

LabelImage = NDArray[np.int32]
Polygons = NDArray[np.object_]

FOREIGN_PYTHON = "SNET4_BENCH_PYTHON"
"""Environment variable: an interpreter that has buildingregulariser, if this one has not."""


def rasterio_shapes(labels_HW: LabelImage) -> Polygons:
    """Exact outlines by GDAL; of a label in pieces the largest."""
    found: Polygons = np.full(labels_HW.max(initial=0), None, object)
    for geometry, value in shapes(labels_HW, mask=labels_HW > 0, connectivity=4):
        polygon, index = shapely.geometry.shape(geometry), int(value) - 1
        if found[index] is None or polygon.area > found[index].area:
            found[index] = polygon
    return found


def rasterio_simplified(labels_HW: LabelImage, tolerance_px: float) -> Polygons:
    """rasterio.features.shapes, then shapely's simplify."""
    return np.asarray(shapely.simplify(rasterio_shapes(labels_HW), tolerance_px), object)


def contours_approximated(labels_HW: LabelImage, tolerance_px: float) -> Polygons:
    """skimage find_contours at 0.5 and approximate_polygon, label by label in its box."""
    from skimage.measure import approximate_polygon, find_contours

    found: Polygons = np.full(labels_HW.max(initial=0), None, object)
    for index, box in enumerate(ndi.find_objects(labels_HW)):
        if box is None:
            continue
        mask = np.pad(labels_HW[box] == index + 1, 1).astype(float)
        ring = approximate_polygon(max(find_contours(mask, 0.5), key=len), tolerance_px)
        if len(ring) >= 4:
            found[index] = shapely.Polygon(
                ring[:, ::-1] - 0.5 + np.array([box[1].start, box[0].start])
            )
    return found


def opencv_contours(labels_HW: LabelImage, tolerance_px: float) -> Polygons:
    """cv2.findContours, which walks through pixel centres, and approxPolyDP."""
    import cv2

    found: Polygons = np.full(labels_HW.max(initial=0), None, object)
    for index, box in enumerate(ndi.find_objects(labels_HW)):
        if box is None:
            continue
        mask = (labels_HW[box] == index + 1).astype(np.uint8)
        rings, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        ring = cv2.approxPolyDP(max(rings, key=cv2.contourArea), tolerance_px, True)[:, 0]
        if len(ring) >= 3:
            found[index] = shapely.Polygon(ring + 0.5 + np.array([box[1].start, box[0].start]))
    return found


REGULARISE = """
import sys, time, geopandas, numpy, shapely
from buildingregulariser import regularize_geodataframe
source, target, gsd = sys.argv[1], sys.argv[2], float(sys.argv[3])
polygons = shapely.from_wkb(numpy.load(source, allow_pickle=True))
polygons = shapely.transform(polygons, lambda xy: xy * [gsd, -gsd])
frame = geopandas.GeoDataFrame({"number": range(len(polygons))}, geometry=polygons, crs=32616)
begin = time.process_time()
made = regularize_geodataframe(frame, num_cores=1)
took = time.process_time() - begin
out = numpy.full(len(polygons), None, object)
for number, polygon in zip(made["number"], made.geometry):
    out[number] = shapely.to_wkb(shapely.transform(polygon, lambda xy: xy / [gsd, -gsd]))
numpy.save(target, out, allow_pickle=True)
print(took)
"""


def building_regulariser(exact: Polygons, gsd_m: float) -> tuple[Polygons, float] | None:
    """buildingregulariser with its own defaults in metres, and its seconds; None if absent."""
    python = os.environ.get(FOREIGN_PYTHON)
    if not python:
        return None
    there = np.flatnonzero(exact != np.array(None))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.npy", Path(folder) / "out.npy"
        np.save(source, shapely.to_wkb(exact[there]), allow_pickle=True)
        ran = subprocess.run(
            [python, "-c", REGULARISE, source, target, str(gsd_m)],
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            raise RuntimeError(f"{python} could not run buildingregulariser: {ran.stderr[-300:]}")
        made = shapely.from_wkb(np.load(target, allow_pickle=True))
    found: Polygons = np.full(exact.size, None, object)
    found[there] = made
    return found, float(ran.stdout.split()[-1])


def connected_components(foreground_HW: NDArray[np.bool_]) -> LabelImage:
    """4-connected components, nothing split."""
    return np.asarray(ndi.label(foreground_HW)[0], np.int32)


def gallery_watershed(foreground_HW: NDArray[np.bool_]) -> LabelImage:
    """scikit-image's gallery example: markers at the peaks of the distance transform."""
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    distance_HW = ndi.distance_transform_edt(foreground_HW)
    peaks = peak_local_max(distance_HW, footprint=np.ones((3, 3)), labels=foreground_HW)
    markers_HW = np.zeros(foreground_HW.shape, np.int32)
    markers_HW[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(watershed(-distance_HW, markers_HW, mask=foreground_HW), np.int32)
