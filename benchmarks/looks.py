"""How well a model finds buildings at every look, and what knowing the look is worth.

    python -m benchmarks.looks [--model NAME or FILE] [--places 20] [--seed 555] [--size 640]
        [--folder PICTURES]
    python -m benchmarks.looks --told [--places 8]
    python -m benchmarks.looks --leaned [--banepa FOLDER]
    python -m benchmarks.looks --after [--places 8]

1. Places that no model trained on (their seeds are below 10000), drawn as training draws
   its own, at all 27 looks of SpaceNet 4: F1 at IoU 0.5 of footprint polygons by the
   challenge's rules, per collect, per category, per kind of place.
2. `--told`: the same pictures with the true look, without an azimuth, with the opposite
   azimuth, with the angle of the nearest other category's middle, and with 0 degrees.
3. `--leaned`: real drone pictures of Banepa that no model trained on, leaned over by geometry
   to 0, 15, 30 and 45 degrees, told the true look and told 0 degrees.
4. `--after`: the same maps turned into footprints in several ways.

`--tta 0.8,1,1.25` averages over scales, and several `--model` average over models, in each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from benchmarks.measured import keep
from snet4_training.scenes import SPACENET4_LOOKS, Collect, Place, make_place, render, truth
from snet4_training.scenes.layout import TileName, write_image
from snet4_training.scenes.write import day_of
from snet4_training.sources import banepa_picture, draw_heights_m
from snet4core.detect import detect, footprints_from
from snet4core.ensemble import together
from snet4core.footprints import Footprints, Source
from snet4core.look import CATEGORIES, Look
from snet4core.mapsfile import open_maps
from snet4core.modelfile import find_model, read_header
from snet4core.plan import Choices
from snet4core.predict import Predictor, choose_runtime
from snet4core.score import Tally, match
from snet4core.settings import ShapeSettings

SMALLEST_PX = 20.0
GSD_M = 0.5
SOME = ("nadir7", "nadir16", "nadir25", "nadir29", "nadir34", "nadir39", "nadir44", "nadir50")
LEANS_DEG = (0.0, 15.0, 30.0, 45.0)
ELSEWHERE_DEG = {"nadir": 33.0, "off-nadir": 8.0, "very-off-nadir": 33.0}
BANEPA = Path(__file__).resolve().parents[2] / "shared" / "data" / "train" / "banepa"

Tallies = dict[str, Tally]


@dataclass(frozen=True)
class Seen:
    """One picture of a place."""

    path: Path
    look: Look
    truth: np.ndarray
    """Footprints in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", help="repeatable: an ensemble")
    parser.add_argument("--tta", default="1", help="scales, separated by commas")
    parser.add_argument("--places", type=int, default=20)
    parser.add_argument("--seed", type=int, default=555)
    parser.add_argument("--size", type=int, default=640, help="side of a place in pixels")
    parser.add_argument("--told", action="store_true")
    parser.add_argument("--leaned", action="store_true")
    parser.add_argument("--after", action="store_true")
    parser.add_argument("--banepa", type=Path, default=BANEPA)
    parser.add_argument("--folder", type=Path, help="keep the pictures here for the next time")
    asked = parser.parse_args()
    headers = [read_header(find_model(name)) for name in asked.model or ["default"]]
    scales = tuple(float(scale) for scale in asked.tta.split(","))
    predictor = Predictor(together(headers, scales if scales != (1.0,) else ()), choose_runtime())
    with tempfile.TemporaryDirectory(prefix="snet4-looks-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if asked.leaned:
            figures = leaned_figures(predictor, asked.banepa, folder)
            keep("looks_leaned", figures)
        elif asked.after:
            figures = after_figures(predictor, asked.seed, asked.places, asked.size, folder)
            keep("looks_after", figures)
        elif asked.told:
            figures = told_figures(predictor, asked.seed, asked.places, asked.size, folder)
            keep("looks_told", figures)
        else:
            figures = score_figures(predictor, asked.seed, asked.places, asked.size, folder)
            keep("looks", figures)


def score_figures(
    predictor: Predictor, seed: int, places: int, size_px: int, folder: Path
) -> dict[str, object]:
    """F1 per collect, category and kind of place."""
    by_collect, by_category = defaultdict(Tally), defaultdict(Tally)
    by_kind: Mapping[str, Tallies] = defaultdict(lambda: defaultdict(Tally))
    for number in range(places):
        place = place_of(seed, number, size_px)
        for collect in SPACENET4_LOOKS:
            one = tally(predictor, picture(place, collect, seed, number, folder), collect.look)
            by_collect[f"{collect.off_nadir_deg:.1f}/{collect.azimuth_deg:.0f}"] += one
            by_category[collect.look.category] += one
            by_kind[place.kind][collect.look.category] += one
        print(f"{number + 1} of {places}: {place.kind}, {said(by_category)}", file=sys.stderr)
    print(f"mean F1 {mean_f1(by_category):.3f}: {said(by_category)}")
    for kind, tallies in sorted(by_kind.items()):
        print(f"{kind:14} {mean_f1(tallies):.3f}: {said(tallies)}")
    for collect, one in by_collect.items():
        print(f"{collect:10} {one.f1:.3f}")
    return {
        "mean_f1": mean_f1(by_category),
        "categories": as_dicts(by_category),
        "collects": as_dicts(by_collect),
        "kinds": {kind: as_dicts(tallies) for kind, tallies in by_kind.items()},
    }


def told_figures(
    predictor: Predictor, seed: int, places: int, size_px: int, folder: Path
) -> dict[str, object]:
    """F1 per category for what the network is told of the same pictures."""
    collects = [one for one in SPACENET4_LOOKS if one.folder in SOME]
    by_told: Mapping[str, Tallies] = defaultdict(lambda: defaultdict(Tally))
    for number in range(places):
        place = place_of(seed, number, size_px)
        for collect in collects:
            seen = picture(place, collect, seed, number, folder)
            for name, look in tellings(collect.look).items():
                by_told[name][collect.look.category] += tally(predictor, seen, look)
        print(f"{number + 1} of {places}: {place.kind}", file=sys.stderr)
    for name, tallies in by_told.items():
        print(f"{name:18} {mean_f1(tallies):.3f}: {said(tallies)}")
    return {name: as_dicts(tallies) for name, tallies in by_told.items()}


def tellings(true: Look) -> dict[str, Look]:
    """What may be said of one look, true and false."""
    assert true.azimuth_deg is not None
    opposite_deg = (true.azimuth_deg + 180) % 360
    return {
        "true": true,
        "azimuth unknown": Look(true.off_nadir_deg, None, "option"),
        "azimuth opposite": Look(true.off_nadir_deg, opposite_deg, "option"),
        "other category": Look(ELSEWHERE_DEG[true.category], true.azimuth_deg, "option"),
        "0 degrees": Look(0.0, None, "option"),
    }


def after_figures(
    predictor: Predictor, seed: int, places: int, size_px: int, folder: Path
) -> dict[str, object]:
    """F1 per category for what becomes of the same maps."""
    collects = [one for one in SPACENET4_LOOKS if one.folder in SOME]
    by_way: Mapping[str, Tallies] = defaultdict(lambda: defaultdict(Tally))
    for number in range(places):
        place = place_of(seed, number, size_px)
        for collect in collects:
            seen = picture(place, collect, seed, number, folder)
            look = collect.look
            choices = Choices(off_nadir_deg=look.off_nadir_deg, azimuth_deg=look.azimuth_deg)
            maps = folder / "maps.tif"
            found = detect(seen.path, predictor, choices, save_maps=maps, overwrite=True)
            list(found.footprints)
            for name, settings in ways(found.plan.settings).items():
                shapes = _in_order(drawn(maps, settings))
                tally_of = match(shapes, seen.truth, min_area=SMALLEST_PX)
                by_way[name][look.category] += tally_of
        print(f"{number + 1} of {places}: {place.kind}", file=sys.stderr)
    for name, tallies in by_way.items():
        print(f"{name:24} {mean_f1(tallies):.3f}: {said(tallies)}")
    return {name: as_dicts(tallies) for name, tallies in by_way.items()}


def ways(shipped: ShapeSettings) -> dict[str, ShapeSettings]:
    """What may be done with maps, beside what the card says."""
    whole = replace(shipped, split=replace(shipped.split, cut_probability=1.0))
    return {
        "as the card says": shipped,
        "every cut stands": replace(shipped, split=replace(shipped.split, cut_probability=0.0)),
        "cuts likelier than 0.4": replace(
            shipped, split=replace(shipped.split, cut_probability=0.4)
        ),
        "never split": whole,
        "never split, 0.5": replace(whole, threshold=0.5),
        "threshold 0.3": replace(shipped, threshold=0.3),
        "threshold 0.7": replace(shipped, threshold=0.7),
        "not simplified": replace(shipped, simplify_m=0.0),
        "simplified to 1 m": replace(shipped, simplify_m=1.0),
        "simplified to 2 m": replace(shipped, simplify_m=2.0),
        "right angles": replace(shipped, regularize=True),
    }


def drawn(maps: Path, settings: ShapeSettings) -> list[Footprints]:
    """The footprints of stored maps with other settings."""
    file = open_maps(maps)
    source = Source("place", file.grid.crs, file.origin.look)
    blocks = file.blocks(1024)
    return list(footprints_from(blocks, file.grid, settings, source, native=file.native))


def leaned_figures(predictor: Predictor, banepa: Path, folder: Path) -> dict[str, object]:
    """F1 on leaned drone pictures, told the truth and told 0 degrees."""
    from snet4_training.lean import leaned

    bands = ("blue", "green", "red")
    flat = banepa_picture(str(banepa), "val", bands)
    figures: dict[str, object] = {}
    for off_nadir_deg in LEANS_DEG:
        told: Tallies = defaultdict(Tally)
        for turn, azimuth_deg in enumerate((20.0, 110.0, 200.0, 290.0)):
            rng = np.random.default_rng([555, turn])
            look = Look(off_nadir_deg, azimuth_deg, "option")
            shot = leaned(flat, draw_heights_m(flat, rng), look, rng)
            path = folder / "leaned.tif"
            write_shot(path, shot.counts_BHW, shot.valid_HW, flat.gsd_m)
            seen = Seen(path, look, np.asarray(flat.polygons, dtype=object))
            told["true"] += tally(predictor, seen, look)
            told["0 degrees"] += tally(predictor, seen, Look(0.0, None, "option"))
        print(f"{off_nadir_deg:4.0f} degrees: {said(told)}")
        figures[f"{off_nadir_deg:.0f}"] = as_dicts(told)
    return figures


def write_shot(path: Path, counts_BHW: np.ndarray, valid_HW: np.ndarray, gsd_m: float) -> None:
    """Three bands, blue first; 0 is no data."""
    solid_BHW = np.where(valid_HW, np.clip(counts_BHW, 1, 255), 0).astype(np.uint8)
    _, rows, cols = solid_BHW.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=rows, width=cols, dtype="uint8", nodata=0,
        crs="EPSG:32645", transform=Affine(gsd_m, 0, 350000, 0, -gsd_m, 3060000),
    ) as file:  # fmt: skip
        file.write(solid_BHW)
        file.descriptions = ("blue", "green", "red")


def place_of(seed: int, number: int, size_px: int) -> Place:
    return make_place(np.random.default_rng([seed, number]), size_px, GSD_M)


def picture(place: Place, collect: Collect, seed: int, number: int, folder: Path) -> Seen:
    """The place as one of SpaceNet 4's collects shows it; a file that is there is taken."""
    # No catalogue id in the name: the engine would know the azimuth from it.
    path = folder / f"{seed}_{number}_{place.size_px}_{SPACENET4_LOOKS.index(collect)}.tif"
    if not path.exists():
        counts_BHW = render(place, collect.look, day_of(collect, seed))
        write_image(path, counts_BHW, TileName(733601 + 450 * number, 3720139), GSD_M)
    shapes = np.array([building.footprint for building in truth(place)], dtype=object)
    return Seen(path, collect.look, shapes)


def tally(predictor: Predictor, seen: Seen, told: Look, bands: str | None = None) -> Tally:
    """What a run over the picture finds, told that look."""
    choices = Choices(off_nadir_deg=told.off_nadir_deg, azimuth_deg=told.azimuth_deg, bands=bands)
    batches = list(detect(seen.path, predictor, choices).footprints)
    return match(_in_order(batches), seen.truth, min_area=SMALLEST_PX)


def _in_order(batches: Sequence[Footprints]) -> np.ndarray:
    """Footprints in the picture's pixels, the surest first."""
    shapes = [batch.polygons_px_N for batch in batches]
    rates = [batch.confidence_N for batch in batches]
    if not shapes:
        return np.array([], dtype=object)
    order = np.argsort(-np.concatenate(rates), kind="stable")
    return np.concatenate(shapes)[order]


def mean_f1(tallies: Mapping[str, Tally]) -> float:
    """The challenge's figure: the mean over the three categories."""
    return sum(tallies[name].f1 for name in CATEGORIES if name in tallies) / len(CATEGORIES)


def said(tallies: Mapping[str, Tally]) -> str:
    return ", ".join(f"{name} {one.f1:.3f} ({one.tp + one.fn})" for name, one in tallies.items())


def as_dicts(tallies: Mapping[str, Tally]) -> dict[str, object]:
    return {name: one.as_dict() for name, one in tallies.items()}


if __name__ == "__main__":
    main()
