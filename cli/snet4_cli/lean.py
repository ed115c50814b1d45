"""`snet4 lean`: re-renders a near-nadir picture at another look."""

from __future__ import annotations

from pathlib import Path

import click

from snet4_cli import options

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("image", type=_FILE)
@click.argument("footprints", type=_FILE)
@click.argument("out", type=_FILE)
@click.option(
    "--off-nadir",
    "off_nadir_deg",
    type=float,
    required=True,
    help="Look angle in degrees, 0 is straight down.",
)
@click.option(
    "--azimuth",
    "azimuth_deg",
    type=float,
    required=True,
    help="Direction from satellite to ground in degrees, clockwise from north: roofs lean to it.",
)
@click.option(
    "--heights",
    "height_field",
    metavar="FIELD",
    help="Field of FOOTPRINTS with heights in metres [drawn at random, 3 to 12 m].",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of random heights and of the walls' colours.",
)
@options.overwrite
def lean(
    image: Path,
    footprints: Path,
    out: Path,
    off_nadir_deg: float,
    azimuth_deg: float,
    height_field: str | None,
    seed: int,
    overwrite: bool,
) -> None:
    """Re-render IMAGE, taken from nearly straight above, at another look, into OUT (.tif).

    Buildings rise from FOOTPRINTS, roofs move along the azimuth, walls become visible, and
    nearer buildings hide what is behind them. FOOTPRINTS stay true for OUT, so that any
    near-nadir data set can train an off-nadir model.

    \b
      snet4 lean town.tif houses.geojson town-45.tif --off-nadir 45 --azimuth 20
      snet4 lean town.tif houses.gpkg out.tif --off-nadir 30 --azimuth 190 --heights height_m
    """
    from snet4_training.pictures.lean_file import lean_file
    from snet4core.errors import UsageError
    from snet4core.files.names import printable
    from snet4core.look.look import Look

    if out.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(f"{printable(out)}: a GeoTIFF is written; call it .tif.")
    look = Look(off_nadir_deg, azimuth_deg % 360 % 360, "option")
    count = lean_file(image, footprints, out, look, height_field, seed, overwrite=overwrite)
    click.echo(f"{out}: {count} buildings leaned by {off_nadir_deg:g} degrees")
