"""`snet4 score`: computes the SpaceNet 4 score of proposals against truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from snet4core.score import Score, Tally

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("proposals", type=_FILE)
@click.argument("truth", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def score(proposals: Path, truth: Path, as_json: bool) -> None:
    """Score PROPOSALS against TRUTH as the SpaceNet 4 challenge did.

    Both are SpaceNet tables (.csv with ImageId, PolygonWKT_Pix, Confidence), or both
    vector layers. A proposal is correct if its IoU with a truth polygon that is not matched
    yet is above 0.5. Tables leave out polygons below 20 square pixels; layers count all.

    \b
      snet4 score submission.csv truth.csv
      snet4 score footprints.gpkg buildings.geojson --json
    """
    from snet4core.layers.read import read_buildings
    from snet4core.score import aligned
    from snet4core.score import score as score_of

    found = read_buildings(proposals)
    expected = read_buildings(truth, confidence=False)
    found, notes = aligned(found, expected)
    for note in notes:
        click.echo(f"Note: {note}", err=True)
    result = score_of(found, expected)
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=2))
    else:
        click.echo(_text(result, expected.in_pixels))


def _text(result: Score, in_pixels: bool) -> str:
    lines = [f"{'':16} {'F1':>7} {'precision':>9} {'recall':>7} {'TP':>7} {'FP':>7} {'FN':>7}"]
    lines += [_line(name, tally) for name, tally in result.categories.items()]
    lines.append(_line("all images", result.total))
    missing = [name for name in result.categories if name not in result.categories_seen]
    if len(missing) < len(result.categories):
        lines.append(f"Mean F1 of the three categories: {result.mean_f1:.4f}")
        if missing:
            lines.append(f"No images are {' or '.join(missing)}; that counts as 0 in the mean.")
    else:
        lines.append("No image names its look (nadir<NN>); what matters is the line of all images.")
    if not in_pixels:
        lines.append("Layers in map units: polygons of every size count.")
    return "\n".join(lines)


def _line(name: str, tally: Tally) -> str:
    return (
        f"{name:16} {tally.f1:7.4f} {tally.precision:9.4f} {tally.recall:7.4f} "
        f"{tally.tp:7d} {tally.fp:7d} {tally.fn:7d}"
    )
