"""How well a model finds buildings at every look, and what knowing the look is worth.

    python -m benchmarks.quality.looks [--model NAME or FILE] [--places 20] [--seed 555]
        [--size 640] [--folder PICTURES]
    python -m benchmarks.quality.looks --told [--places 8]
    python -m benchmarks.quality.looks --leaned [--banepa FOLDER]
    python -m benchmarks.quality.looks --after [--places 8]
    python -m benchmarks.quality.looks --edges [--places 8]

1. Places that no model trained on (their seeds are below 10000), drawn as training draws
   its own, at all 27 looks of SpaceNet 4: F1 at IoU 0.5 of footprint polygons by the
   challenge's rules, per collect, per category, per kind of place.
2. `--told`: the same pictures with the true look, with the model's own guess of it, without an
   azimuth, with the opposite azimuth, with the angle of the nearest other category's middle, and
   with 0 degrees.
3. `--leaned`: real drone pictures of Banepa that no model trained on, leaned over by geometry
   to 0, 15, 30 and 45 degrees, told the true look and told 0 degrees.
4. `--after`: the same maps turned into footprints in several ways, by the plain script too.
5. `--edges`: the buildings of a strip in the middle of each place, seen in the whole picture and
   in one that has data in the strip alone.

`--tta 0.8,1,1.25` takes other scales than the card's, and several `--model` average over models,
in each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
import shapely
from affine import Affine

from benchmarks.measured import keep
from benchmarks.speed.plain_script import buildings
from snet4_training.chips.sources import draw_heights_m
from snet4_training.scenes import SPACENET4_LOOKS, Collect, Place, make_place, render, truth
from snet4_training.scenes.dataset import day_of
from snet4_training.scenes.spacenet_files import TileName, write_image
from snet4core.footprints.footprints import Footprints, Source
from snet4core.footprints.shaping import footprints_from
from snet4core.look.look import CATEGORIES, Look
from snet4core.maps.file import open_maps
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.ensemble import combined_header
from snet4core.model.header import find_model, read_header
from snet4core.parts.detect import detect
from snet4core.parts.plan import Choices
from snet4core.score import Tally, match
from snet4core.settings import ShapeSettings

SMALLEST_PX = 20.0
GSD_M = 0.5
SOME = [
    one for one in SPACENET4_LOOKS
    if one.off_nadir_deg in (7.8, 16.9, 25.4, 29.1, 34.0, 39.6, 44.2, 50.9)
]  # fmt: skip
"""Enough looks to compare by."""
STRIP = (0.3, 0.7)
"""Where the strip of `--edges` begins and ends, as shares of the width."""
LEANS_DEG = (0.0, 15.0, 30.0, 45.0)
ELSEWHERE_DEG = {"nadir": 33.0, "off-nadir": 8.0, "very-off-nadir": 33.0}
BANEPA = Path(__file__).resolve().parents[3] / "shared" / "data" / "train" / "banepa"

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
    parser.add_argument("--tta", default="", help="scales, separated by commas; empty: the card's")
    parser.add_argument("--places", type=int, default=20)
    parser.add_argument("--seed", type=int, default=555)
    parser.add_argument("--size", type=int, default=640, help="side of a place in pixels")
    parser.add_argument("--told", action="store_true")
    parser.add_argument("--leaned", action="store_true")
    parser.add_argument("--after", action="store_true")
    parser.add_argument("--edges", action="store_true")
    parser.add_argument("--banepa", type=Path, default=BANEPA)
    parser.add_argument("--folder", type=Path, help="keep the pictures here for the next time")
    asked = parser.parse_args()
    headers = [read_header(find_model(name)) for name in asked.model or ["default"]]
    scales = [float(scale) for scale in asked.tta.split(",") if scale]
    predictor = Predictor(combined_header(headers, scales), choose_runtime())
    with tempfile.TemporaryDirectory(prefix="snet4-looks-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        places = Places(asked.seed, asked.places, asked.size, folder)
        if asked.leaned:
            keep("looks_leaned", leaned_figures(predictor, asked.banepa, folder))
        elif asked.after:
            keep("looks_after", after_figures(predictor, places))
        elif asked.edges:
            keep("looks_edges", edge_figures(predictor, places))
        elif asked.told:
            keep("looks_told", told_figures(predictor, places))
        else:
            keep("looks", score_figures(predictor, places))


@dataclass(frozen=True)
class Places:
    """Unseen places, and where their pictures are kept."""

    seed: int
    count: int
    size_px: int
    folder: Path

    def seen(self, collects: Sequence[Collect]) -> Iterator[tuple[str, Collect, Seen]]:
        """Every place as each collect shows it, with its kind."""
        for number in range(self.count):
            place = place_of(self.seed, number, self.size_px)
            print(f"{number + 1} of {self.count}: {place.kind}", file=sys.stderr)
            for collect in collects:
                yield place.kind, collect, picture(place, collect, self.seed, number, self.folder)


def score_figures(predictor: Predictor, places: Places) -> dict[str, object]:
    """F1 per collect, category and kind of place."""
    by_collect, by_category = defaultdict(Tally), defaultdict(Tally)
    by_kind: Mapping[str, Tallies] = defaultdict(lambda: defaultdict(Tally))
    for kind, collect, seen in places.seen(SPACENET4_LOOKS):
        one = tally(predictor, seen, seen.look)
        by_collect[f"{collect.off_nadir_deg:.1f}/{collect.azimuth_deg:.0f}"] += one
        by_category[seen.look.category] += one
        by_kind[kind][seen.look.category] += one
    say({"all": by_category, **dict(sorted(by_kind.items()))})
    for collect, one in by_collect.items():
        print(f"{collect:10} {one.f1:.3f}")
    return {
        "mean_f1": mean_f1(by_category),
        "categories": as_dicts(by_category),
        "collects": as_dicts(by_collect),
        "kinds": {kind: as_dicts(tallies) for kind, tallies in by_kind.items()},
    }


def told_figures(predictor: Predictor, places: Places) -> dict[str, object]:
    """F1 per category for what the network is told of the same pictures."""
    by_told: Mapping[str, Tallies] = defaultdict(lambda: defaultdict(Tally))
    for _, _, seen in places.seen(SOME):
        for name, look in tellings(seen.look).items():
            by_told[name][seen.look.category] += tally(predictor, seen, look)
    say(by_told)
    return {name: as_dicts(tallies) for name, tallies in by_told.items()}


def tellings(true: Look) -> dict[str, Look | None]:
    """What may be said of one look, true and false; None: nothing, so the model has to guess."""
    assert true.azimuth_deg is not None
    opposite_deg = (true.azimuth_deg + 180) % 360
    return {
        "true": true,
        "guessed": None,
        "azimuth unknown": Look(true.off_nadir_deg, None, "option"),
        "azimuth opposite": Look(true.off_nadir_deg, opposite_deg, "option"),
        "other category": Look(ELSEWHERE_DEG[true.category], true.azimuth_deg, "option"),
        "0 degrees": Look(0.0, None, "option"),
    }


def after_figures(predictor: Predictor, places: Places) -> dict[str, object]:
    """F1 per category, and per kind of place, for what becomes of the same maps."""
    by_way: Mapping[str, Tallies] = defaultdict(lambda: defaultdict(Tally))
    by_kind: Mapping[str, Tallies] = defaultdict(lambda: defaultdict(Tally))
    for kind, _, seen in places.seen(SOME):
        maps = places.folder / "maps.tif"
        found = detect(seen.path, predictor, choices_of(seen.look), save_maps=maps, overwrite=True)
        list(found.footprints)
        shapes = {name: drawn(maps, each) for name, each in ways(found.plan.settings).items()}
        shapes["plain watershed"] = plainly_drawn(maps, found.plan.settings)
        for name, polygons in shapes.items():
            one = match(polygons, seen.truth, min_area=SMALLEST_PX)
            by_way[name][seen.look.category] += one
            by_kind[name][kind] += one
    say(by_way)
    for name, tallies in by_kind.items():
        print(f"{name:24} {said(tallies)}")
    return {name: as_dicts(by_way[name]) | as_dicts(by_kind[name]) for name in by_way}


def edge_figures(predictor: Predictor, places: Places) -> dict[str, object]:
    """F1 per category of the buildings in a strip, with and without its surroundings."""
    by_sight: Mapping[str, Tallies] = defaultdict(lambda: defaultdict(Tally))
    for _, _, seen in places.seen(SOME):
        begin, end = (share * places.size_px for share in STRIP)
        box = shapely.box(begin, 0, end, places.size_px)
        inside = seen.truth[shapely.contains_properly(box, seen.truth)]
        alone = places.folder / "strip.tif"
        write_strip(seen.path, alone, round(begin), round(end))
        for name, path in (("whole picture", seen.path), ("strip alone", alone)):
            found = _in_order(detect(path, predictor, choices_of(seen.look)).footprints)
            found = found[shapely.contains_properly(box, found)]
            by_sight[name][seen.look.category] += match(found, inside, min_area=SMALLEST_PX)
    say(by_sight)
    return {name: as_dicts(tallies) for name, tallies in by_sight.items()}


def write_strip(whole: Path, target: Path, begin: int, end: int) -> None:
    """The picture with data in some of its columns alone; 0 is no data."""
    with rasterio.open(whole) as file:
        counts_BHW, profile, names = file.read(), file.profile, file.descriptions
    counts_BHW = np.maximum(counts_BHW, 1)
    counts_BHW[:, :, :begin] = counts_BHW[:, :, end:] = 0
    with rasterio.open(target, "w", **{**profile, "nodata": 0}) as file:
        file.write(counts_BHW)
        file.descriptions = names


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


def drawn(maps: Path, settings: ShapeSettings) -> np.ndarray:
    """The footprints of stored maps with other settings, in pixels, the surest first."""
    file = open_maps(maps)
    source = Source("place", file.grid.crs, file.origin.look)
    blocks = file.blocks(1024)
    return _in_order(footprints_from(blocks, file.grid, settings, source, native=file.native))


def plainly_drawn(maps: Path, settings: ShapeSettings) -> np.ndarray:
    """What the plain script makes of the same maps, with the same thresholds."""
    with rasterio.open(maps) as file:
        footprint, border = file.read() / 255
    metres = Affine.scale(GSD_M)
    found = list(buildings(footprint, border, settings, GSD_M, metres))
    found.sort(key=lambda one: -one[1])
    in_metres = np.array([polygon for polygon, _ in found], dtype=object)
    return np.asarray(shapely.transform(in_metres, lambda xy: xy / GSD_M), dtype=object)


def leaned_figures(predictor: Predictor, banepa: Path, folder: Path) -> dict[str, object]:
    """F1 on leaned drone pictures, told the truth and told 0 degrees."""
    from snet4_training.pictures.flat import flat_pictures
    from snet4_training.pictures.lean import leaned

    bands = ("blue", "green", "red")
    flat = flat_pictures(str(banepa), "", True, bands)[0]
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


def place_of(seed: int, number: int, size_px: int, kind: str | None = None) -> Place:
    return make_place(np.random.default_rng([seed, number]), size_px, GSD_M, kind=kind)


def picture(place: Place, collect: Collect, seed: int, number: int, folder: Path) -> Seen:
    """The place as one of SpaceNet 4's collects shows it; a file that is there is taken."""
    # No catalogue id in the name: the engine would know the azimuth from it.
    name = f"{seed}_{number}_{place.kind}_{place.size_px}_{SPACENET4_LOOKS.index(collect)}"
    path = folder / f"{name}.tif"
    if not path.exists():
        counts_BHW = render(place, collect.look, day_of(collect, seed))
        write_image(path, counts_BHW, TileName(733601 + 450 * number, 3720139), GSD_M)
    shapes = np.array([building.footprint for building in truth(place)], dtype=object)
    return Seen(path, collect.look, shapes)


def tally(predictor: Predictor, seen: Seen, told: Look | None, bands: str | None = None) -> Tally:
    """What a run over the picture finds, told that look, or none."""
    found = detect(seen.path, predictor, replace(choices_of(told), bands=bands)).footprints
    return match(_in_order(found), seen.truth, min_area=SMALLEST_PX)


def choices_of(told: Look | None) -> Choices:
    if told is None:
        return Choices()
    return Choices(off_nadir_deg=told.off_nadir_deg, azimuth_deg=told.azimuth_deg)


def _in_order(batches: Iterable[Footprints]) -> np.ndarray:
    """Footprints in the picture's pixels, the surest first; there is one batch at least."""
    every = list(batches)
    order = np.argsort(-np.concatenate([batch.confidence_N for batch in every]), kind="stable")
    return np.concatenate([batch.polygons_px_N for batch in every])[order]


def mean_f1(tallies: Mapping[str, Tally]) -> float:
    """The challenge's figure: the mean over the three categories."""
    return sum(tallies[name].f1 for name in CATEGORIES if name in tallies) / len(CATEGORIES)


def say(rows: Mapping[str, Tallies]) -> None:
    for name, tallies in rows.items():
        print(f"{name:24} {mean_f1(tallies):.3f}: {said(tallies)}")


def said(tallies: Mapping[str, Tally]) -> str:
    return ", ".join(f"{name} {one.f1:.3f} ({one.tp + one.fn})" for name, one in tallies.items())


def as_dicts(tallies: Mapping[str, Tally]) -> dict[str, object]:
    return {name: one.as_dict() for name, one in tallies.items()}


if __name__ == "__main__":
    main()
