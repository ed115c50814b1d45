"""`snet4 score`: computes the SpaceNet 4 score of proposals against truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snet4_cli import options
from snet4_cli.telling import command_line

if TYPE_CHECKING:
    from snet4core.layers.buildings import Buildings
    from snet4core.layers.height_errors import HeightScore
    from snet4core.score import Score, Tally

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("proposals", type=_FILE)
@click.argument("truth", type=_FILE)
@click.option(
    "--geometry",
    type=click.Choice(["footprint", "roof"]),
    default="footprint",
    show_default=True,
    help="Which layer of a GeoPackage that holds both is compared.",
)
@click.option(
    "--height-field",
    metavar="NAME",
    help="Field of TRUTH with heights in metres [height_m, where there is one].",
)
@click.option(
    "--report",
    type=_FILE,
    metavar="HTML",
    help="Also write a page: F1 over the look, precision and recall, what was missed and where.",
)
@click.option(
    "--against",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="Other proposals, beside PROPOSALS on the page; may be given several times.",
)
@click.option("--scene", metavar="RASTER", help="Picture below the map of the page.")
@options.overwrite
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def score(
    proposals: Path,
    truth: Path,
    geometry: str,
    height_field: str | None,
    report: Path | None,
    against: tuple[Path, ...],
    scene: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Score PROPOSALS against TRUTH as the SpaceNet 4 challenge did.

    Both are SpaceNet tables (.csv with ImageId, PolygonWKT_Pix, Confidence), or both
    vector layers. A proposal is correct if its IoU with a truth polygon that is not matched
    yet is above 0.5. Tables leave out polygons below 20 square pixels; layers count all.
    Where both have heights, those of correct proposals are compared too.

    \b
      snet4 score submission.csv truth.csv
      snet4 score footprints.gpkg buildings.geojson --json
      snet4 score footprints.gpkg roofs-by-hand.gpkg --geometry roof --height-field eaves
      snet4 score new.csv truth.csv --against old.csv --report score.html
    """
    from snet4core.layers.height_errors import check_heights
    from snet4core.layers.read import read_buildings
    from snet4core.score import aligned
    from snet4core.score import score as score_of

    if report is None and (against or scene is not None or overwrite):
        raise click.UsageError(
            "--against, --scene and --overwrite are for the page: name --report."
        )
    if report is not None:
        _check_page(report, [proposals, truth, *against], overwrite)
    which: Any = geometry  # click checked it
    found = read_buildings(proposals, geometry=which)
    field = "height_m" if height_field is None else height_field
    expected = read_buildings(truth, confidence=False, geometry=which, height_field=field)
    if height_field is not None:
        check_heights(found, expected, height_field)
    found, notes = aligned(found, expected)
    for note in notes:
        click.echo(f"Note: {note}", err=True)
    result = score_of(found, expected)
    if report is not None:
        others = [aligned(read_buildings(each, geometry=which), expected) for each in against]
        said = [*notes, *(note for _, found_notes in others for note in found_notes)]
        _write_page(
            [found, *(each for each, _ in others)], expected, report, scene, said, overwrite
        )
    if as_json:
        click.echo(json.dumps(result.as_dict(), indent=2))
    else:
        click.echo(_text(result, expected.in_pixels))


def _check_page(report: Path, inputs: list[Path], overwrite: bool) -> None:
    from snet4core.files import outputs

    outputs.check(report, overwrite=overwrite, inputs=inputs)


def _write_page(
    found: list[Buildings],
    truth: Buildings,
    report: Path,
    scene: str | None,
    notes: list[str],
    overwrite: bool,
) -> None:
    from snet4core.report.score_page import write_score_report
    from snet4core.scene.scene import open_scene

    if scene is not None and truth.in_pixels:
        raise click.UsageError("--scene is for layers; the polygons of tables name no place.")
    write_score_report(
        found,
        truth,
        report,
        scene=None if scene is None else open_scene(scene),
        command=command_line(),
        notes=notes,
        overwrite=overwrite,
    )


def _text(result: Score, in_pixels: bool) -> str:
    from snet4core.score import NO_LOOK

    lines = [f"{'':16} {'F1':>7} {'precision':>9} {'recall':>7} {'TP':>7} {'FP':>7} {'FN':>7}"]
    if result.categories_seen:
        lines += [_line(name, tally) for name, tally in result.categories.items()]
    lines.append(_line("all images", result.total))
    missing = [name for name in result.categories if name not in result.categories_seen]
    if result.categories_seen:
        lines.append(f"Mean F1 of the three categories: {result.mean_f1:.4f}")
        if missing:
            lines.append(f"No images are {' or '.join(missing)}; that counts as 0 in the mean.")
    else:
        lines.append(NO_LOOK)
    if not in_pixels:
        lines.append("Layers in map units: polygons of every size count.")
    if result.heights is not None:
        lines += _height_lines(result.heights)
    return "\n".join(lines)


def _height_lines(heights: HeightScore) -> list[str]:
    """A table of height errors, with a dash where there is nothing to compare."""
    known, matched = heights.total.count, heights.matched
    lines = [
        f"Heights: {known} of {matched} correct buildings of known height have one.",
        f"{'':16} {'error, m':>9} {'relative':>9} {'buildings':>9}",
    ]
    groups = {
        "all heights": heights.total,
        "below 15 m": heights.low,
        "15 m and more": heights.high,
    }
    for name, errors in groups.items():
        metres = "-" if errors.median_abs_m is None else f"{errors.median_abs_m:.2f}"
        share = "-" if errors.median_relative is None else f"{errors.median_relative:.3f}"
        lines.append(f"{name:16} {metres:>9} {share:>9} {errors.count:>9d}")
    return [*lines, "Errors are medians of absolute values; relative ones are shares of the truth."]


def _line(name: str, tally: Tally) -> str:
    return (
        f"{name:16} {tally.f1:7.4f} {tally.precision:9.4f} {tally.recall:7.4f} "
        f"{tally.tp:7d} {tally.fp:7d} {tally.fn:7d}"
    )
