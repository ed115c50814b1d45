"""What a model's settings are worth: each of them moved alone, on pictures with known footprints.

    python -m benchmarks.quality.settings FOLDER... [--model NAME or FILE] [--tta SCALES]

`snet4 calibrate` searches all settings together and takes the best; this shows how far the others
are from it, one at a time, with the model's other settings as they are. So one sees which of them
matter, and which moves cost nothing. Folders as for `snet4 calibrate` (`snet4 scenes` writes such);
the buildings of all of them are counted together. F1 at IoU 0.5 of footprints.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.measured import keep
from snet4_training.validation.calibration import (
    CUTS,
    MIN_AREAS_M2,
    MIN_CONFIDENCES,
    SEEDS,
    THRESHOLDS,
    Seen,
    see,
    tally,
)
from snet4core.look.look import CATEGORIES
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.ensemble import combined_header
from snet4core.model.header import find_model, read_header
from snet4core.settings import ShapeSettings

Change = Callable[[ShapeSettings], ShapeSettings]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--model", default="default")
    parser.add_argument("--tta", default="", help="scales, separated by commas; empty: the card's")
    asked = parser.parse_args()
    scales = [float(scale) for scale in asked.tta.split(",") if scale]
    header = combined_header([read_header(find_model(asked.model))], scales)
    predictor = Predictor(header, choose_runtime())
    seen: dict[str, list[Seen]] = defaultdict(list)
    for folder in asked.folders:
        for one in see(folder, predictor):
            seen[one.category].append(one)
    categories = [category for category in CATEGORIES if seen[category]]
    print(f"{'':24}" + "".join(f"{category:>16}" for category in categories) + f"{'mean':>8}")
    figures = {}
    for name, change in changes():
        f1s = [
            tally(seen[each], change(header.card.shapes[each]), header.card.confidence_knots).f1
            for each in categories
        ]
        figures[name] = {**dict(zip(categories, f1s, strict=True)), "mean": float(np.mean(f1s))}
        print(f"{name:24}" + "".join(f"{f1:16.3f}" for f1 in f1s) + f"{np.mean(f1s):8.4f}")
    keep("settings", figures)


def changes() -> Iterator[tuple[str, Change]]:
    """Names of changes of one setting, and the changes; the first is none."""
    yield "as on the card", lambda old: old
    for value in THRESHOLDS:
        yield f"threshold {value}", lambda old, new=value: replace(old, threshold=new)
    for value in SEEDS:
        yield f"seeds from {value}", lambda old, new=value: _split(old, seed_threshold=new)
    for value in CUTS:
        yield f"cuts from {value}", lambda old, new=value: _split(old, cut_probability=new)
    for value in MIN_CONFIDENCES[::3]:
        yield f"least confidence {value}", lambda old, new=value: replace(old, min_confidence=new)
    for value in MIN_AREAS_M2:
        yield f"least area {value:.0f} m2", lambda old, new=value: replace(old, min_area_m2=new)


def _split(old: ShapeSettings, **new: float) -> ShapeSettings:
    return replace(old, split=replace(old.split, **new))


if __name__ == "__main__":
    main()
