"""`snet4 merge`: merges the parts of a run's shards into one layer."""

from __future__ import annotations

import json
from pathlib import Path

import click

from snet4_cli import options
from snet4_cli.telling import Bar, tells
from snet4core.errors import SomeScenesFailed


@click.command()
@click.argument("parts", nargs=-1, required=True, metavar="PARTS...")
@options.output
@options.csv
@options.heights
@options.overwrite
@click.option(
    "--allow-missing", is_flag=True, help="Write the layer even if parts are missing; name them."
)
@click.option("--remove", is_flag=True, help="Remove PARTS once the layer is complete.")
@click.option("--allow-remote", is_flag=True, help="Let PARTS be URLs of object stores.")
@options.as_json
@tells
def merge(
    parts: tuple[str, ...],
    output: Path,
    csv_path: Path | None,
    height_min_m: float | None,
    roofs: bool | None,
    roofs_file: Path | None,
    overwrite: bool,
    allow_missing: bool,
    remove: bool,
    allow_remote: bool,
    as_json: bool,
    bar: Bar,
) -> None:
    """Merge the folders (or object stores) PARTS... that 'snet4 run --shard I/N' filled into OUT.

    Needs neither the pictures nor the model. The layer has the same bytes as that of one
    undivided run with the same --height-min and --roofs, which are no part of a shard.

    \b
      snet4 run mosaic.tif -o town.gpkg --shard 1/2     # on one machine
      snet4 run mosaic.tif -o town.gpkg --shard 2/2     # on another
      snet4 merge town.gpkg.parts -o town.gpkg
    """
    from snet4core.files.object_store import place_of
    from snet4core.jobs.merge import Merge
    from snet4core.jobs.merge import merge as merge_parts

    places = tuple(place_of(each, allow_remote=allow_remote) for each in parts)
    job = Merge(
        places,
        output,
        csv=csv_path,
        roofs=roofs,
        roofs_file=roofs_file,
        height_min_m=height_min_m,
        overwrite=overwrite,
        allow_missing=allow_missing,
        remove=remove,
    )
    with bar:
        done = merge_parts(job, bar)
    if as_json:
        facts = {
            "output": str(output),
            "footprints": done.footprints,
            "scenes": done.scenes,
            "missing": done.missing,
            "failed": done.failed,
        }
        click.echo(json.dumps(facts, indent=2))
    else:
        click.echo(f"{done.footprints} footprints of {done.scenes} scenes in {output}")
    told = []
    if done.failed:
        told.append(
            f"{len(done.failed)} scenes failed, the others are in {output}: "
            + "; ".join(done.failed.values())
        )
    if done.missing:
        told.append(
            f"{len(done.missing)} parts were missing, the others are in {output}: "
            + "; ".join(done.missing)
        )
    if told:
        raise SomeScenesFailed(" ".join(told))
