"""Do several looks at one place see more than the best of them?

    python -m benchmarks.quality.fusion [--tiles 6] [--draws 6] [--folder PLACES]

Renders places at all 27 looks of SpaceNet 4, asks the shipped model for the maps of each, and
draws sets of 2, 3, 5 and 9 looks. F1 at IoU 0.5 against the true footprints, for the least
tilted look of the set alone, for the union of all footprints, and for the fused maps. Once as
rendered, and once with every look but the best moved by up to 4 pixels, as orthorectified
pictures are, with and without the search for these shifts. The weights were chosen on places
of another seed.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from affine import Affine

from benchmarks.measured import keep
from snet4core.footprints.footprints import Source
from snet4core.footprints.shaping import footprints_from
from snet4core.layers import spacenet_reader
from snet4core.maps import file as mapsfile
from snet4core.maps import fusion
from snet4core.maps.fusion import LookMaps, RegisteredLook
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.header import find_model
from snet4core.parts.detect import detect
from snet4core.parts.plan import Choices
from snet4core.score import Tally, match
from snet4core.settings import UNCALIBRATED

COUNTS = (2, 3, 5, 9)
MOST_OFF_PX = 4
SMALLEST_PX = 20.0


@dataclass(frozen=True)
class Place:
    """One place with the maps of all its looks, and what stands there."""

    looks: list[LookMaps]
    truth: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=6)
    parser.add_argument("--draws", type=int, default=6, help="sets of looks per place and count")
    parser.add_argument("--folder", type=Path, help="as 'snet4 scenes' writes it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="snet4-fusion-") as temporary:
        folder = options.folder or rendered(Path(temporary), options.tiles)
        places = [place_of(name, folder, Path(temporary)) for name in places_in(folder)]
        figures = {
            "as rendered": {n: compared(places, n, options.draws, moved=False) for n in COUNTS},
            "moved": {n: compared(places, n, options.draws, moved=True) for n in COUNTS},
        }
    for kind, rows in figures.items():
        print(f"\n{kind}: {len(places)} places, {sum(len(p.truth) for p in places)} buildings")
        for n, row in rows.items():
            print(f"{n} looks  " + "  ".join(f"{name} {f1:.3f}" for name, f1 in row.items()))
    keep("fusion", figures)


def rendered(folder: Path, tiles: int) -> Path:
    from snet4_training.scenes.dataset import parse_looks, write_scenes

    write_scenes(folder / "places", tiles, parse_looks("spacenet4"), 77001, size_px=640)
    return folder / "places"


def places_in(folder: Path) -> list[str]:
    """The last two numbers of the pictures' names say where they lie."""
    return sorted(
        {"_".join(path.stem.split("_")[-2:]) for path in folder.rglob("Pan-Sharpen_*.tif")}
    )


def place_of(name: str, folder: Path, work: Path) -> Place:
    predictor = Predictor(find_model("default"), choose_runtime())
    found = []
    for path in sorted(folder.rglob(f"Pan-Sharpen_*_{name}.tif")):
        maps = work / f"{path.stem}.tif"
        plan = detect(path, predictor, Choices(), save_maps=maps)
        list(plan.footprints)
        found.append(LookMaps(maps, plan.plan.grid, plan.plan.look, path.stem))
    (table,) = list(folder.rglob("summaryData/*nadir7_*.csv"))[:1]
    every = spacenet_reader.read(table)
    mine = np.array([str(each).endswith(name) for each in every.image_id_N])
    return Place(found, every.polygons_N[mine])


def compared(places: Sequence[Place], count: int, draws: int, *, moved: bool) -> dict[str, float]:
    rng = random.Random(count)
    tallies: dict[str, Tally] = {}
    for place in places:
        for _ in range(draws):
            looks = fusion.best_first(rng.sample(place.looks, count))
            if moved:
                looks = [looks[0], *(off(each, rng) for each in looks[1:])]
            for name, shapes in answers(looks, moved).items():
                one = match(shapes, place.truth, min_area=SMALLEST_PX)
                tallies[name] = tallies.get(name, Tally()) + one
    return {name: round(tally.f1, 4) for name, tally in tallies.items()}


def off(maps: LookMaps, rng: random.Random) -> LookMaps:
    """The same maps, said to lie some pixels away."""
    import rasterio

    moved = Affine.translation(
        rng.randint(-MOST_OFF_PX, MOST_OFF_PX), rng.randint(-MOST_OFF_PX, MOST_OFF_PX)
    )
    grid = replace(maps.grid, transform=maps.grid.transform @ moved)
    path = maps.path.with_name(f"off-{rng.random()}.tif")
    path.write_bytes(maps.path.read_bytes())
    with rasterio.open(path, "r+") as file:
        file.transform = grid.transform
    return LookMaps(path, grid, maps.look, maps.scene)


def answers(looks: list[LookMaps], moved: bool) -> dict[str, np.ndarray]:
    frame = looks[0].grid
    still = [
        RegisteredLook(each, fusion.weight_of(each.look, looks[0].look), (0, 0)) for each in looks
    ]
    apart = [shapes_of([each], frame) for each in still]
    found = {
        "best single": apart[0],
        "union": parts_of_union(apart),
        "fuse": shapes_of(fusion.registered(looks), frame),
    }
    if moved:
        found["fuse without shifts"] = shapes_of(still, frame)
    else:
        equal = [replace(each, weight=1.0) for each in still]
        found["equal weights"] = shapes_of(equal, frame)
    return found


def shapes_of(laid: list[RegisteredLook], frame: fusion.Grid) -> np.ndarray:
    """Footprints in pixels of `frame`, with the settings of the best look."""
    origin = mapsfile.open_maps(laid[0].maps.path).origin
    assert origin.shapes is not None
    source = Source("place", frame.crs, laid[0].maps.look)
    calibration = origin.confidence_knots or UNCALIBRATED
    batches = footprints_from(
        fusion.fused(laid, frame), frame, origin.shapes, source, calibration=calibration
    )
    every = list(batches)
    rates = np.concatenate([batch.confidence_N for batch in every])
    shapes = np.concatenate([batch.polygons_px_N for batch in every])
    return shapes[np.argsort(-rates, kind="stable")]


def parts_of_union(apart: Sequence[np.ndarray]) -> np.ndarray:
    union = shapely.union_all(np.concatenate(apart))
    return shapely.get_parts(union)


if __name__ == "__main__":
    main()
