"""`snet4 calibrate`: fits thresholds and confidence on validation data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snet4_cli import options
from snet4_cli.telling import Bar, tells

if TYPE_CHECKING:
    from snet4_training.validation.calibration import Calibrated


@click.command()
@click.argument("model")
@click.argument("data", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DATA...")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Model file to write (.safetensors).",
)
@click.option(
    "--places",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Use only the places in this list, one per line: held-out.txt of a training run.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="One vector file with the footprints of all pictures, instead of one beside each.",
)
@options.looks
@options.tta
@options.device
@options.precision
@options.runtime
@options.overwrite
@options.as_json
@tells
def calibrate(
    model: str,
    data: tuple[Path, ...],
    output: Path,
    places: Path | None,
    labels: Path | None,
    looks_table: Path | None,
    scales: tuple[float, ...],
    device: str,
    precision: str,
    engine: str,
    overwrite: bool,
    as_json: bool,
    bar: Bar,
) -> None:
    """Fit MODEL's thresholds and confidence on DATA, and write them into a new model file.

    The scales of --tta are kept on the card with what was fitted at them, and `snet4 run` then
    computes the model at them. For a model that guesses looks, the median error of its guesses
    is measured and stored too.

    DATA is a folder in SpaceNet 4's layout (as 'snet4 scenes' writes it), or with
    NAME.geojson beside each NAME.tif; looks.csv in it gives the angles. Several folders
    have equal weight, whatever their size. Use places that MODEL was not trained on, and
    yet others to report its score.

    \b
      snet4 scenes validation --tiles 4 --seed 77
      snet4 calibrate runs/first/model.safetensors validation -o first.safetensors
      snet4 calibrate model.safetensors SN4 --places chips/held-out.txt -o sn4.safetensors
    """
    from snet4_training.validation.calibration import calibrate_file
    from snet4core.maps.predictor import Predictor
    from snet4core.maps.runtime import choose_runtime
    from snet4core.model.ensemble import combined_header
    from snet4core.model.header import find_model, read_header

    chosen = None if places is None else _listed(places)
    path = find_model(model)
    header = combined_header([read_header(path)], scales)
    predictor = Predictor(header, choose_runtime(device, precision, engine))  # type: ignore[arg-type]  # click checked it
    with bar:
        found = calibrate_file(
            predictor, path, data, output, bar, overwrite=overwrite, places=chosen,
            labels=labels, looks=looks_table,
        )  # fmt: skip
    click.echo(json.dumps(_facts(found), indent=2) if as_json else _text(found))


def _listed(path: Path) -> set[str]:
    from snet4core.errors import InputError

    try:
        return set(path.read_text(encoding="utf-8").split("\n")) - {""}
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"{path}: the list of places cannot be read ({problem}).") from problem


def _facts(found: Calibrated) -> dict[str, object]:
    return {
        "categories": {
            category: {
                "threshold": found.shapes[category].threshold,
                "seed_threshold": found.shapes[category].split.seed_threshold,
                "cut_probability": found.shapes[category].split.cut_probability,
                "min_area_m2": found.shapes[category].min_area_m2,
                "min_confidence": found.shapes[category].min_confidence,
                "f1_before": found.before[category],
                "f1": found.after[category],
            }
            for category in found.after
        },
        "confidence_knots": found.calibration.knots,
        "look_error_deg": found.look_error_deg,
    }


def _text(found: Calibrated) -> str:
    titles = ("threshold", "seed", "cut", "area m2", "confidence", "F1 was", "F1 is")
    lines = [" ".join((f"{'':16}", *(f"{title:>7}" for title in titles)))]
    for category, f1 in found.after.items():
        shapes = found.shapes[category]
        lines.append(
            f"{category:16} {shapes.threshold:9.2f} {shapes.split.seed_threshold:7.2f} "
            f"{shapes.split.cut_probability:7.2f} {shapes.min_area_m2:7.1f} "
            f"{shapes.min_confidence:10.2f} {found.before[category]:7.4f} {f1:7.4f}"
        )
    if found.look_error_deg is not None:
        angle_deg, azimuth_deg = found.look_error_deg
        azimuth = "unclear everywhere" if azimuth_deg is None else f"{azimuth_deg:.0f} degrees"
        lines.append(f"guessed looks: median error {angle_deg:.1f} degrees, azimuth {azimuth}")
    return "\n".join(lines)
