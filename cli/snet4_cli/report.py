"""`snet4 report`: writes a page about a layer that opens anywhere."""

from __future__ import annotations

from pathlib import Path

import click

from snet4_cli import options
from snet4_cli.telling import command_line


@click.command()
@click.argument("layer", type=click.Path(path_type=Path))
@click.argument("scene", required=False)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="HTML",
    help="Page to write.",
)
@options.crs
@options.bands
@options.nodata
@options.overwrite
def report(
    layer: Path,
    scene: str | None,
    output: Path,
    crs: str | None,
    bands: str | None,
    nodata: float | None,
    overwrite: bool,
) -> None:
    """Write one HTML file about LAYER: a map, counts, plots, and what was assumed.

    The file needs no network and no other file. With SCENE, a raster file, the buildings are
    drawn on the picture; of a layer of several scenes those of SCENE are shown.

    \b
      snet4 report footprints.gpkg scene.tif -o report.html
      snet4 report footprints.gpkg -o report.html
    """
    from snet4core.report.page import write_report
    from snet4core.scene.scene import open_scene

    picture = None
    if scene is not None:
        picture = open_scene(scene, crs=crs, bands=bands, nodata=nodata)
    count = write_report(layer, output, scene=picture, command=command_line(), overwrite=overwrite)
    click.echo(f"{count} buildings in {output}")
