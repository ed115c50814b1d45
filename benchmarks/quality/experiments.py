"""What each idea is worth: small networks that differ in one thing, trained alike.

    python -m benchmarks.quality.experiments [--out runs/experiments] [--only "one head,no sweep"]
        [--seeds 1,2,3] [--steps 600] [--places 6] [--list]

Every variant is the base recipe with a few keys changed (`--list` prints them). It is
trained on the same chips of suburbs, for the same number of steps, and scored on suburbs that
no variant trained on, at all 27 looks of SpaceNet 4: F1 at IoU 0.5 of footprint polygons,
with the engine's standard settings for all; and once more over the ten collects that "17
collects" never saw. A run that is finished is not repeated, so the table grows from call to
call. The networks are small and trained for minutes: differences count, not the figures
themselves, and only those well above the spread between seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measured import keep
from benchmarks.quality import looks
from snet4_training.recipe_file import read_recipe
from snet4_training.scenes import SPACENET4_LOOKS
from snet4core.look.look import CATEGORIES
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.card import FIVE_HEADS, THREE_HEADS
from snet4core.model.header import find_model
from snet4core.score import Tally

RECIPE = Path(__file__).resolve().parents[2] / "training" / "recipes" / "experiment.toml"
SEED = 555

KINDS = read_recipe(RECIPE).data.scene_kinds
"""Of the places that are scored: those that the networks trained on."""

LEFT_OUT = tuple(SPACENET4_LOOKS[index] for index in (1, 4, 7, 9, 12, 15, 17, 20, 22, 25))
"""Ten collects of all three categories."""
KEPT = ",".join(one.catalogue_id for one in SPACENET4_LOOKS if one not in LEFT_OUT)


@dataclass(frozen=True)
class Variant:
    """The base recipe with some keys changed."""

    changes: tuple[str, ...] = ()
    bands: str | None = None
    """What the engine is told of the bands when it is scored."""
    apart: bool = False
    """One network for each look category, each trained on that category alone, for a third
    of the steps."""
    store: str = "chips"
    """Folder of the prepared chips: one for each set of looks."""


def _heads(names: Sequence[str]) -> str:
    return f"model.heads={json.dumps(list(names))}"


VARIANTS: dict[str, Variant] = {
    "base": Variant(),
    "one head": Variant((_heads(["any"]),)),
    "three decoders": Variant((_heads(THREE_HEADS), "model.shared_decoder=false")),
    "three networks": Variant((_heads(["any"]),), apart=True),
    "five heads": Variant((_heads(FIVE_HEADS),)),
    "look not heard": Variant(("model.sweeps_lean=false", "model.hears_look=false")),
    "no sweep": Variant(("model.sweeps_lean=false",)),
    "maps of every pixel": Variant(
        ("model.maps_stride_px=1", "model.decoder_channels=[64,32,24,16,16]")
    ),
    "one head and details": Variant((_heads(["any"]), "model.subpixel_maps=true")),
    "one head and fine sweep": Variant((_heads(["any"]), "model.swept_stride_px=2")),
    "three bands": Variant(("augment.drop_nir=1.0",), bands="1,2,3,-"),
    "infrared never missing": Variant(("augment.drop_nir=0.0",)),
    "small buildings weigh more": Variant(("train.size_weight=2.0",)),
    "narrow gaps weigh more": Variant(("train.gap_weight=2.0",)),
    "focal and dice": Variant(("train.loss=focal+dice",)),
    "flips": Variant(("augment.flips=0.5",)),
    "flips and turns": Variant(("augment.flips=0.5", "augment.quarter_turns=0.75")),
    "edges": Variant(("augment.edge=0.3",)),
    "no look estimate": Variant(("model.estimates_look=false",)),
    "27 collects": Variant(("data.scene_looks=spacenet4",), store="chips-27"),
    "17 collects": Variant((f"data.scene_looks={KEPT}",), store="chips-17"),
}
"""One idea each; `base` has three heads on one decoder that hears the look and sweeps."""

Tallies = dict[str, Tally]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/experiments"))
    parser.add_argument("--only", help="names of variants, separated by commas")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--places", type=int, default=6)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--list", action="store_true")
    asked = parser.parse_args()
    chosen = [name.strip() for name in asked.only.split(",")] if asked.only else list(VARIANTS)
    if asked.list:
        for name in chosen:
            print(f"{name:28} {' '.join(VARIANTS[name].changes) or '(the recipe)'}")
        return
    for seed in map(int, asked.seeds.split(",")):
        for name in chosen:
            folder = asked.out / f"{name.replace(' ', '-')}_{seed}_{asked.steps}"
            if not (folder / "score.json").exists():
                models = trained(VARIANTS[name], folder, asked.out, seed, asked.steps)
                scored(VARIANTS[name], models, folder, asked)
            print_row(name, json.loads((folder / "score.json").read_text()))
    keep("experiments", table(asked.out, asked.steps))


def trained(variant: Variant, folder: Path, out: Path, seed: int, steps: int) -> dict[str, Path]:
    """Train what the variant asks for; look category -> model file."""
    if variant.apart:
        return {
            category: _train(
                (*variant.changes, f"data.category={category}"),
                folder / category, out / variant.store, seed, steps // len(CATEGORIES),
            )
            for category in CATEGORIES
        }  # fmt: skip
    model = _train(variant.changes, folder, out / variant.store, seed, steps)
    return dict.fromkeys(CATEGORIES, model)


def _train(changes: Sequence[str], folder: Path, store: Path, seed: int, steps: int) -> Path:
    every = [
        *changes, f"train.seed={seed}", f"train.steps={steps}", f"data.store={store.resolve()}",
    ]  # fmt: skip
    command = [sys.executable, "-m", "snet4_cli", "train", str(RECIPE), "--out", str(folder)]
    resume = ["--resume"] if (folder / "checkpoint.pt").exists() else []
    settings = [word for change in every for word in ("--set", change)]
    subprocess.run([*command, *resume, "--workers", "2", *settings], check=True)
    return folder / "model.safetensors"


def scored(
    variant: Variant, models: dict[str, Path], folder: Path, asked: argparse.Namespace
) -> None:
    """Score on unseen places, and leave the counts in the folder."""
    predictors = {
        path: Predictor(find_model(str(path)), choose_runtime(engine="torch"))
        for path in set(models.values())
    }
    pictures = asked.out / "places"
    pictures.mkdir(parents=True, exist_ok=True)
    tallies: Tallies = defaultdict(Tally)
    for number in range(asked.places):
        place = looks.place_of(SEED, number, asked.size, KINDS[number % len(KINDS)])
        for collect in SPACENET4_LOOKS:
            category = collect.look.category
            seen = looks.picture(place, collect, SEED, number, pictures)
            one = looks.tally(predictors[models[category]], seen, collect.look, variant.bands)
            tallies[category] += one
            if collect in LEFT_OUT:
                tallies[f"left out, {category}"] += one
    text = json.dumps(looks.as_dicts(tallies), indent=2) + "\n"
    (folder / "score.json").write_text(text)


def table(out: Path, steps: int) -> dict[str, dict[str, object]]:
    """Mean and spread over seeds of every variant that is finished."""
    found: dict[str, dict[str, object]] = {}
    for name in VARIANTS:
        paths = sorted(out.glob(f"{name.replace(' ', '-')}_*_{steps}/score.json"))
        if not paths:
            continue
        runs = [json.loads(path.read_text()) for path in paths]
        left_out = [f"left out, {category}" for category in CATEGORIES]
        by_name = {name: [run[name]["f1"] for run in runs] for name in (*CATEGORIES, *left_out)}
        means = [statistics.mean(run[c]["f1"] for c in CATEGORIES) for run in runs]
        found[name] = {
            "seeds": len(runs),
            "mean_f1": round(statistics.mean(means), 4),
            "spread": round(max(means) - min(means), 4),
            **{each: round(statistics.mean(values), 4) for each, values in by_name.items()},
        }
    return found


def print_row(name: str, score: dict[str, dict[str, float]]) -> None:
    f1s = [score[category]["f1"] for category in CATEGORIES]
    unseen = [score[f"left out, {category}"]["f1"] for category in CATEGORIES]
    figures = " ".join(f"{f1:.3f}" for f1 in f1s)
    mean, mean_unseen = statistics.mean(f1s), statistics.mean(unseen)
    print(f"{name:28} {figures}  mean {mean:.3f}, over the ten {mean_unseen:.3f}", flush=True)


if __name__ == "__main__":
    main()
