"""`snet4 polygonize`: makes footprints from stored maps, without running the network again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from snet4_cli import options
from snet4_cli.telling import Bar, tells


@click.command()
@click.argument("maps", type=click.Path(path_type=Path))
@options.output
@options.off_nadir
@options.azimuth
@options.shapes
@options.heights
@click.option(
    "--block",
    "block_px",
    type=click.IntRange(16),
    default=1024,
    show_default=True,
    metavar="PX",
    help="Side of the blocks in memory; does not affect the result.",
)
@options.csv
@options.overwrite
@options.as_json
@tells
def polygonize(
    maps: Path,
    output: Path,
    off_nadir_deg: float | None,
    azimuth_deg: float | None,
    block_px: int,
    csv_path: Path | None,
    roofs_file: Path | None,
    overwrite: bool,
    as_json: bool,
    bar: Bar,
    **chosen: Any,
) -> None:
    """Turn MAPS, as 'snet4 run --save-maps' writes them, into the footprints of that run.

    Settings are those of the model; what 'snet4 run' was told of thresholds and shapes is told
    here again.

    MAPS from elsewhere work too: one band (or two, the second the border), uint8 0..255 or
    floating-point 0..1. Without a look in them or in the options the look fields are NULL.
    --azimuth alone takes the place of the azimuth in MAPS.

    \b
      snet4 polygonize maps.tif -o out.gpkg --threshold 0.4
    """
    from snet4core.layers.write import check_layer, write_layer
    from snet4core.parts.plan import Choices
    from snet4core.parts.polygonize import polygonize as polygonized

    choices = Choices(off_nadir_deg=off_nadir_deg, azimuth_deg=azimuth_deg, **chosen)
    check_layer(
        output,
        csv=csv_path,
        roofs=choices.roofs,
        roofs_file=roofs_file,
        overwrite=overwrite,
        inputs=[maps],
    )
    with bar:
        found = polygonized(maps, choices, block_px, bar)
        count = write_layer(
            output,
            found.footprints,
            found.source.crs,
            found.description,
            csv=csv_path,
            roofs=choices.roofs,
            roofs_file=roofs_file,
            overwrite=overwrite,
        )
    if as_json:
        click.echo(json.dumps({"output": str(output), "footprints": count}, indent=2))
    else:
        click.echo(f"{count} footprints in {output}")
