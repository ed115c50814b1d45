"""`snet4 scenes`: writes a synthetic data set in SpaceNet 4's file layout."""

from __future__ import annotations

from pathlib import Path

import click

from snet4_cli.telling import Bar, tells


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--tiles", type=click.IntRange(1), default=10, show_default=True, help="Number of places."
)
@click.option(
    "--looks",
    default="spacenet4",
    show_default=True,
    metavar="spacenet4|LIST",
    help="All 27 collects, or a comma-separated list of collects (nadir30, a catalogue id) "
    "and ANGLE:AZIMUTH pairs in degrees (45:200).",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same bytes."
)
@click.option(
    "--layout",
    type=click.Choice(["competition", "bucket"]),
    default="competition",
    show_default=True,
    help="Which of SpaceNet 4's two naming schemes.",
)
@click.option(
    "--size", "size_px", type=click.IntRange(64), default=900, show_default=True,
    help="Side of a tile in pixels of 0.5 m.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@tells
def scenes(
    out: Path, tiles: int, looks: str, seed: int, layout: str, size_px: int, workers: int, bar: Bar
) -> None:
    """Write synthetic places, each seen at many looks, into the folder OUT.

    Pictures are GeoTIFF (blue, green, red, infrared, uint16, 0.5 m); footprints are those on
    the ground, the same for every look, with the height of each building. `looks.csv` lists
    the angles.

    \b
    snet4 scenes sn4-like --tiles 40 --workers 4
    snet4 scenes tilted --tiles 3 --looks nadir7,45:200 --layout bucket --seed 7
    """
    from snet4_training.scenes.dataset import parse_looks, write_scenes

    with bar:
        written = write_scenes(
            out, tiles, parse_looks(looks), seed, "bucket" if layout == "bucket" else "competition",
            size_px=size_px, workers=workers, progress=bar,
        )  # fmt: skip
    count = sum(len(one.buildings) for one in written)
    click.echo(f"{out}: {len(written)} tiles, {count} buildings")
