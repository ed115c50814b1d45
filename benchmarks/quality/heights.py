"""Roofs and heights of a model on rendered places that no model trained on.

    python -m benchmarks.quality.heights [--model NAME or FILE] [--places 20] [--seed 555]
        [--size 640] [--kind high-rise] [--folder PICTURES]

The places of `benchmarks.quality.looks`, at eight of its looks; with `--kind`, places of that kind
alone, of which some are never drawn otherwise. True roofs are the footprints,
displaced by the heights of the walls: all of them, though some are hidden. F1 at IoU 0.5 of roofs
and of footprints, and the height errors of the buildings whose roofs were found: the median of the
absolute error in metres of those below 15 m, and as a share of the true height of the others.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely

from benchmarks.measured import keep
from benchmarks.quality.looks import GSD_M, SMALLEST_PX, SOME, choices_of, picture, place_of
from snet4_training.scenes import KINDS, Place, truth
from snet4core.footprints.footprints import concatenated
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.header import find_model
from snet4core.parts.detect import detect
from snet4core.score import Tally, match, match_pairs

HIGH_FROM_M = 15.0
TILTED_FROM_DEG = 25.0


@dataclass
class Found:
    """What was found at one look, or at several."""

    roofs: Tally = field(default_factory=Tally)
    footprints: Tally = field(default_factory=Tally)
    true_m: list[float] = field(default_factory=list)
    error_m: list[float] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Count another look's buildings, too."""
        self.roofs += other.roofs
        self.footprints += other.footprints
        self.true_m += other.true_m
        self.error_m += other.error_m

    def errors(self) -> dict[str, float]:
        """Median absolute errors: metres of low buildings, share of the height of high ones."""
        true_m, error_m = np.array(self.true_m), np.abs(np.array(self.error_m))
        low = true_m < HIGH_FROM_M
        return {
            "low_m": float(np.median(error_m[low])) if low.any() else float("nan"),
            "high_share": float(np.median((error_m / true_m)[~low])) if (~low).any() else np.nan,
            "low": int(low.sum()),
            "high": int((~low).sum()),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="default")
    parser.add_argument("--places", type=int, default=20)
    parser.add_argument("--seed", type=int, default=555)
    parser.add_argument("--size", type=int, default=640, help="side of a place in pixels")
    parser.add_argument("--kind", choices=sorted(KINDS), help="of all places; otherwise mixed")
    parser.add_argument("--folder", type=Path, help="keep the pictures here for the next time")
    asked = parser.parse_args()
    predictor = Predictor(find_model(asked.model), choose_runtime())
    if not predictor.card.architecture.maps_roofs:
        sys.exit(f"The model {predictor.card.name} maps no roofs.")
    found: dict[float, Found] = defaultdict(Found)
    with tempfile.TemporaryDirectory(prefix="snet4-heights-") as temporary:
        folder = asked.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(asked.places):
            place = place_of(asked.seed, number, asked.size, asked.kind)
            look_at(predictor, place, asked.seed, number, folder, found)
    tilted = Found()
    print("look   roofs  footpr.  below 15 m      from 15 m on")
    for angle_deg, one in sorted(found.items()):
        say(f"{angle_deg:.1f}", one)
        if angle_deg >= TILTED_FROM_DEG:
            tilted.add(one)
    say(f"{TILTED_FROM_DEG:.0f}+", tilted)
    keep("heights", {"tilted": tilted.errors()})


def look_at(
    predictor: Predictor,
    place: Place,
    seed: int,
    number: int,
    folder: Path,
    found: dict[float, Found],
) -> None:
    """Add what is found in one place at every look."""
    print(f"{number + 1}: {place.kind}", file=sys.stderr)
    height_m_N = np.array([building.eave_m for building in truth(place)])
    for collect in SOME:
        seen = picture(place, collect, seed, number, folder)
        assert seen.look.lean_m is not None  # every collect has an azimuth
        east_m, north_m = seen.look.lean_m
        steps_N2 = height_m_N[:, None] * np.array([east_m, -north_m]) / GSD_M
        moved_V2 = np.repeat(steps_N2, shapely.get_num_coordinates(seen.truth), axis=0)
        roofs_N = shapely.transform(seen.truth, lambda xy, by=moved_V2: xy + by)
        batches = list(detect(seen.path, predictor, choices_of(seen.look)).footprints)
        table = concatenated(batches[0].source, batches)
        order = np.argsort(-table.confidence_N, kind="stable")
        assert table.roofs_px is not None
        roofs, pairs_M2 = match_pairs(
            table.roofs_px.polygons_N[order], roofs_N, min_area=SMALLEST_PX
        )
        one = found[collect.off_nadir_deg]
        one.roofs += roofs
        one.footprints += match(table.polygons_px_N[order], seen.truth, min_area=SMALLEST_PX)
        mine, true = pairs_M2.T
        one.true_m += height_m_N[true].tolist()
        one.error_m += (table.height_m_N[order][mine] - height_m_N[true]).tolist()


def say(name: str, one: Found) -> None:
    errors = one.errors()
    print(
        f"{name:6} {one.roofs.f1:5.3f}  {one.footprints.f1:5.3f}   "
        f"{errors['low_m']:4.2f} m ({errors['low']:5})  "
        f"{errors['high_share']:6.1%} ({errors['high']})"
    )


if __name__ == "__main__":
    main()
