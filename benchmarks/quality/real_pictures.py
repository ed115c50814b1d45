"""The shipped model, with its default settings, on real pictures that it never saw.

    python -m benchmarks.quality.real_pictures [--model NAME or FILE] [--tta SCALES]
        [--out FOLDER]

F1 at IoU 0.5 of footprints against each picture's own labels, clipped to the picture.
All of these pictures were taken from (nearly) straight above, so the look is 0 degrees
with an unknown azimuth. Pictures without a CRS get one made up, with the pixel size that
their README states. Writes a table, real_pictures.json, and a drawing of each picture.
"""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import shapes as masks_to_shapes

from snet4core.layers.buildings import Buildings
from snet4core.layers.read import read_buildings
from snet4core.layers.reproject import reprojected
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.ensemble import combined_header
from snet4core.model.header import find_model, read_header
from snet4core.parts.detect import detect
from snet4core.parts.plan import Choices
from snet4core.scene import preview
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import Scene
from snet4core.score import Tally, score
from snet4core.windows import Window

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
MADE_UP_CRS = "EPSG:32616"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture with labels."""

    group: str
    """Pictures whose counts are summed."""
    path: Path
    labels: Path
    """A vector layer, or a mask of the picture's size."""
    gsd_m: float | None = None
    """Given where the picture has no CRS."""
    bands: str | None = None


def pictures() -> Iterator[Picture]:
    """Every labelled picture of the folder, in a fixed order."""
    real = DATA / "real"
    town = real / "massachusetts"
    yield Picture("massachusetts", town / "22978945_15.tif", town / "22978945_15.geojson")
    for name in ("img8", "img9", "img10"):
        rio = real / "sn1-rio"
        yield Picture("sn1-rio", rio / f"{name}_rgb_u8.tif", rio / f"{name}.geojson")
    vegas = real / "sn2-vegas-rgbn"
    yield Picture("sn2-vegas", vegas / "rgbn_u8.tif", vegas / "buildings.gpkg")
    for path in sorted((real / "banepa-oam").glob("*.tif")):
        yield Picture("banepa-oam", path, real / "banepa-oam" / "buildings.geojson")
    lake = real / "new-brunswick"
    for name in ("1of2", "2of2"):
        yield Picture("new-brunswick", lake / f"{name}.tif", lake / "buildings.geojson")
    pan = real / "sn4-atlanta-pan"
    yield Picture("sn4-atlanta-pan", pan / "image.tif", pan / "buildings.geojson", None, "1,1,1,-")
    shanghai = real / "sn2-rgb" / "AOI_4_Shanghai_img945"
    yield Picture("sn2-shanghai", shanghai.with_suffix(".png"), Path(f"{shanghai}_mask.png"), 0.3)
    with (DATA / "evaluate-only" / "manifest.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            folder = DATA / "evaluate-only"
            gsd_m = float(row["gsd_m"].split("-")[0])
            yield Picture(row["set"], folder / row["image"], folder / row["label"], gsd_m)


def placed(picture: Picture, folder: Path) -> Path:
    """The picture itself, or a GeoTIFF of it with a made-up place and its true pixel size."""
    if picture.gsd_m is None:
        return picture.path
    target = folder / f"{picture.group}_{picture.path.stem}.tif"
    with rasterio.open(picture.path) as source:
        counts, profile = source.read([1, 2, 3]), source.profile
    profile.update(driver="GTiff", count=3, crs=MADE_UP_CRS, nodata=None)
    profile["transform"] = Affine(picture.gsd_m, 0, 740000, 0, -picture.gsd_m, 3720000)
    with rasterio.open(target, "w", **profile) as file:
        file.write(counts)
        file.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue")]
    return target


def truth_of(picture: Picture, scene: Scene) -> np.ndarray:
    """The labels as polygons in the scene's map units, clipped to the picture."""
    if picture.labels.suffix == ".png":
        with rasterio.open(picture.labels) as file:
            mask = (file.read(1) > 127).astype(np.uint8)
        found = masks_to_shapes(mask, mask > 0, transform=scene.grid.transform)
        polygons = [shapely.geometry.shape(outline) for outline, _ in found]
    else:
        layer = read_buildings(picture.labels, confidence=False)
        assert layer.crs is not None  # all labels here name theirs
        polygons = list(reprojected(layer.polygons_N, layer.crs, scene.grid.crs, layer.name))
    rows, cols = scene.grid.shape
    frame = shapely.transform(shapely.box(0, 0, cols, rows), scene.grid.to_map)
    clipped = shapely.intersection(shapely.make_valid(np.array(polygons, object)), frame)
    # What clipping leaves of a building at the edge must still be visible as one.
    pixel = abs(scene.grid.transform.determinant)
    return np.asarray(clipped[shapely.area(clipped) > 30 * pixel], dtype=object)


def main() -> None:
    warnings.simplefilter("ignore", NotGeoreferencedWarning)  # the PNGs are placed here
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--tta", default="", help="scales, separated by commas; empty: the card's")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/real"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    scales = [float(scale) for scale in asked.tta.split(",") if scale]
    header = combined_header([read_header(find_model(asked.model))], scales)
    predictor = Predictor(header, choose_runtime())
    tallies: dict[str, Tally] = {}
    for picture in pictures():
        path = placed(picture, asked.out)
        choices = Choices(off_nadir_deg=0.0, bands=picture.bands)
        found = detect(path, predictor, choices)
        batches = list(found.footprints)
        proposals = [polygon for batch in batches for polygon in batch.polygons_N]
        confidence = [value for batch in batches for value in batch.confidence_N.tolist()]
        truth = truth_of(picture, found.plan.scene)
        total = score(in_map_units(proposals, confidence), in_map_units(list(truth), None)).total
        tallies[picture.group] = tallies.get(picture.group, Tally()) + total
        draw(picture, found.plan.scene, proposals, truth, asked.out)
    print(f"{'picture':18} {'F1':>6} {'prec.':>6} {'recall':>6} {'truth':>6}")
    for group, tally in tallies.items():
        truths = tally.tp + tally.fn
        print(f"{group:18} {tally.f1:6.3f} {tally.precision:6.3f} {tally.recall:6.3f} {truths:6}")
    figures = {group: tally.as_dict() for group, tally in tallies.items()}
    (asked.out / "real_pictures.json").write_text(json.dumps(figures, indent=2) + "\n")


def in_map_units(polygons: list[shapely.Polygon], confidence: list[float] | None) -> Buildings:
    """One image whose polygons are in map units: every size counts."""
    table = Buildings.of([""] * len(polygons), polygons, confidence)
    return replace(table, in_pixels=False, images=("",))


def draw(
    picture: Picture,
    scene: Scene,
    found: list[shapely.Polygon],
    truth: np.ndarray,
    out: Path,
) -> None:
    """What was found beside the labels."""
    with SceneReader(scene) as reader:
        colours = preview.natural_colours(*reader.read(Window(0, 0, *scene.grid.shape)))
    pairs = ((found, preview.FOUND_COLOUR, "found"), (truth, preview.TRUTH_COLOUR, "labels"))
    row = [
        preview.Panel(
            f"{picture.group} {picture.path.stem}: {title}",
            colours,
            np.asarray(shapely.transform(np.array(polygons, object), scene.grid.to_pixels)),
            colour,
        )
        for polygons, colour, title in pairs
    ]
    preview.sheet([row]).save(out / f"{picture.group}_{picture.path.stem}.png")


if __name__ == "__main__":
    main()
