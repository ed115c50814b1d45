"""A model, with its default settings, on real tilted satellite pictures that it never saw.

    python -m benchmarks.quality.tilted_pictures [--model NAME or FILE] [--tta SCALES]
        [--out FOLDER] [--told]

The labels of these WorldView-2 pictures follow roofs. So roofs are scored against the labels as
they are (where a model gives none, its footprints are), and footprints against the labels moved to
the ground by `GROUND_M`, a fixed length for each group: one or two storeys at its angle. F1 at IoU
0.5, in pixels; the mean is over the four groups. `--told` says 0 degrees to the model instead of
the true look. Beside F1 stands the median offset of each scene's roofs from their footprints,
along the azimuth and across it. Writes a table, tilted_pictures.json, and a drawing of each
picture.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

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
from snet4core.score import Tally, match
from snet4core.windows import Window

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "offnadir"

GROUND_M = {
    "michael 19.8": 1.0,
    "michael 25.1": 1.0,
    "socal 15.4": 0.5,
    "socal 32.7": 2.5,
}
"""Metres by which the roofs of each group lie off their footprints, towards the azimuth."""

SMALLEST_PX = 20


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture with its look, as the table says it."""

    path: Path
    off_nadir_deg: float
    azimuth_deg: float

    @property
    def group(self) -> str:
        """Pictures of one look, whose counts are summed."""
        place = {"hurricane-michael": "michael", "socal-fire": "socal"}
        return f"{place[self.path.name.split('_')[0]]} {self.off_nadir_deg:.1f}"

    def along(self, length: float) -> NDArray[np.float64]:
        """`length` towards the azimuth, as an offset (x, y) on a map."""
        turn = math.radians(self.azimuth_deg)
        return length * np.array([math.sin(turn), math.cos(turn)])


def shots() -> list[Shot]:
    """All pictures of the table, in its order."""
    with (DATA / "looks.csv").open(encoding="utf-8") as file:
        return [
            Shot(DATA / row["scene"], float(row["off_nadir_deg"]), float(row["azimuth_deg"]))
            for row in csv.DictReader(file)
        ]


@dataclass(frozen=True, slots=True)
class Found:
    """What a model finds in one picture, in map units, the surest first."""

    scene: Scene
    footprints: NDArray[np.object_]
    roofs: NDArray[np.object_]
    """The footprints once more where the model gives no roofs."""
    heights_m: NDArray[np.float64] | None


def found_in(predictor: Predictor, shot: Shot, *, told: bool) -> Found:
    """Run the model, told the true look or 0 degrees."""
    choices = (
        Choices(off_nadir_deg=0.0)
        if told
        else Choices(off_nadir_deg=shot.off_nadir_deg, azimuth_deg=shot.azimuth_deg)
    )
    stream = detect(shot.path, predictor, choices)
    tables = list(stream.footprints)
    order = np.argsort(-np.concatenate([each.confidence_N for each in tables]), kind="stable")
    footprints = np.concatenate([each.polygons_N for each in tables])[order]
    if any(each.roofs is None for each in tables):
        return Found(stream.plan.scene, footprints, footprints, None)
    roofs = np.concatenate([each.roofs.polygons_N for each in tables if each.roofs is not None])
    heights_m = np.concatenate([each.height_m_N for each in tables])
    return Found(stream.plan.scene, footprints, roofs[order], heights_m[order])


def labels_of(shot: Shot, scene: Scene) -> NDArray[np.object_]:
    """The labels in the scene's map units."""
    layer = read_buildings(shot.path.with_suffix(".geojson"), confidence=False)
    assert layer.crs is not None  # GeoJSON has one
    polygons = list(reprojected(layer.polygons_N, layer.crs, scene.grid.crs, layer.name))
    return np.asarray(shapely.make_valid(np.array(polygons, object)), dtype=object)


def counted(found: NDArray[np.object_], truth: NDArray[np.object_], scene: Scene) -> Tally:
    """Matches in pixels of the picture, both clipped to it."""
    rows, cols = scene.grid.shape
    frame = shapely.box(0, 0, cols, rows)

    def seen(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
        in_pixels = shapely.transform(polygons, scene.grid.to_pixels)
        cut = shapely.intersection(in_pixels, frame)
        return np.asarray(cut[shapely.area(cut) > 0], dtype=object)

    return match(seen(found), seen(truth), min_area=SMALLEST_PX)


def offset_m(one: Found, shot: Shot) -> tuple[float, float]:
    """Median offset of roofs from their footprints, along the azimuth and across it, metres."""
    if one.heights_m is None or len(one.roofs) == 0:
        return math.nan, math.nan
    centres = [
        shapely.get_coordinates(shapely.centroid(each)) for each in (one.roofs, one.footprints)
    ]
    away_N2 = centres[0] - centres[1]
    ahead = shot.along(1.0)
    across = np.array([ahead[1], -ahead[0]])
    return float(np.median(away_N2 @ ahead)), float(np.median(away_N2 @ across))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--tta", default="", help="scales, separated by commas; empty: the card's")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/tilted"))
    parser.add_argument("--told", action="store_true", help="tell 0 degrees, not the true look")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    scales = [float(scale) for scale in asked.tta.split(",") if scale]
    header = combined_header([read_header(find_model(asked.model))], scales)
    predictor = Predictor(header, choose_runtime())
    roofs: dict[str, Tally] = defaultdict(Tally)
    footprints: dict[str, Tally] = defaultdict(Tally)
    print(
        f"{'picture':36} {'roofs':>6} {'footpr.':>7} {'along':>6} {'across':>6} m {'height':>6} m"
    )
    for shot in shots():
        one = found_in(predictor, shot, told=asked.told)
        truth = labels_of(shot, one.scene)
        ground = shapely.transform(truth, lambda xy, s=shot: xy - s.along(GROUND_M[s.group]))
        of_roofs = counted(one.roofs, truth, one.scene)
        of_footprints = counted(one.footprints, ground, one.scene)
        roofs[shot.group] += of_roofs
        footprints[shot.group] += of_footprints
        along_m, across_m = offset_m(one, shot)
        height_m = math.nan if one.heights_m is None else float(np.nanmedian(one.heights_m))
        print(
            f"{shot.path.stem:36} {of_roofs.f1:6.3f} {of_footprints.f1:7.3f} {along_m:6.2f} "
            f"{across_m:6.2f}   {height_m:6.1f}"
        )
        draw(shot, one, truth, asked.out)
    for title, tallies in (("roofs", roofs), ("footprints", footprints)):
        f1s = {group: round(tally.f1, 3) for group, tally in tallies.items()}
        print(f"{title:12} {f1s}  mean {np.mean([tally.f1 for tally in tallies.values()]):.3f}")
        for group, tally in tallies.items():
            print(f"  {group:14} precision {tally.precision:.3f} recall {tally.recall:.3f}")
    figures = {
        title: {group: tally.as_dict() for group, tally in tallies.items()}
        for title, tallies in (("roofs", roofs), ("footprints", footprints))
    }
    name = "tilted_pictures_told_0.json" if asked.told else "tilted_pictures.json"
    (asked.out / name).write_text(json.dumps(figures, indent=2) + "\n")


def draw(shot: Shot, one: Found, truth: NDArray[np.object_], out: Path) -> None:
    """Labels, roofs and footprints on the picture, side by side."""
    with SceneReader(one.scene) as reader:
        colours = preview.natural_colours(*reader.read(Window(0, 0, *one.scene.grid.shape)))
    panels = [
        preview.Panel(
            f"{shot.path.stem} {shot.off_nadir_deg:.0f} degrees: {title}",
            colours,
            np.asarray(shapely.transform(polygons, one.scene.grid.to_pixels)),
            colour,
        )
        for polygons, colour, title in (
            (truth, preview.TRUTH_COLOUR, "labels"),
            (one.roofs, preview.FOUND_COLOUR, "roofs"),
            (one.footprints, preview.FOUND_COLOUR, "footprints"),
        )
    ]
    preview.sheet([panels]).save(out / f"{shot.path.stem}.png")


if __name__ == "__main__":
    main()
