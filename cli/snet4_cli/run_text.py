"""What `snet4 run` says when it is done: as text for people, or as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from snet4core.errors import SomeScenesFailed

if TYPE_CHECKING:
    from snet4core.jobs.job import Done, Job
    from snet4core.parts.plan import Plan


def say_plans(plans: Sequence[Plan], outside: Mapping[str, str], as_json: bool) -> None:
    """Print what would be done: the scenes that have a part in what is searched, then others."""
    if as_json:
        facts = [{**plan.description, "warnings": list(plan.warnings)} for plan in plans]
        others = [{"scene": scene, "outside": why} for scene, why in outside.items()]
        click.echo(json.dumps([*facts, *others], indent=2))
        return
    for plan in plans:
        for name, value in plan.description.items():
            click.echo(f"{name:8} {value}")
        for warning in plan.warnings:
            click.echo(f"warning  {warning}")
    for why in outside.values():
        click.echo(f"outside  {why}")


def say_done(done: Done, output: Path, as_json: bool) -> None:
    """Print what was found, and which scenes and layers needed nothing."""
    if as_json:
        facts = {
            "output": str(output),
            "footprints": done.footprints,
            "scenes": done.found,
            "failed": done.failed,
            "outside": done.outside,
            "left_alone": done.left_alone,
        }
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"{done.footprints} footprints in {output}")
    if done.outside:
        click.echo(f"Scenes that lie outside of what is searched: {len(done.outside)}.")
    if done.left_alone:
        click.echo(
            f"Layers that were complete before, and stay as they are: {len(done.left_alone)}; "
            "--overwrite without --resume makes them anew."
        )


def say_failed(done: Done, job: Job) -> None:
    """Raise SomeScenesFailed with all that is missing from the layer, if anything is."""
    from snet4core.jobs.per_scene import names_scenes

    told = []
    if done.failed:
        told.append(
            f"{len(done.failed)} of {len(job.inputs)} scenes failed, the others are in "
            f"{job.output}: " + "; ".join(done.failed.values())
        )
    if done.lost:
        told.append(
            f"{len(done.lost)} parts could not be computed, the others are in {job.output}: "
            + "; ".join(done.lost)
            + "."
        )
    goes_on = bool(done.lost) if names_scenes(job.output) else job.has_parts
    if done.may_be_mended and goes_on:
        told.append(
            "When that is mended, the same command with --resume --overwrite does the rest alone."
        )
    if told:
        raise SomeScenesFailed(" ".join(told))


def say_shard(done: Done, job: Job, as_json: bool) -> None:
    """Print what a shard did and the next command; SomeScenesFailed if anything is missing."""
    if as_json:
        facts = {"parts_folder": str(job.parts_place), "parts": done.parts, "lost": done.lost}
        click.echo(json.dumps({**facts, "failed": done.failed}, indent=2))
    else:
        click.echo(
            f"{done.parts - len(done.lost)} parts in {job.parts_place}; when all shards are done: "
            f"{shlex.join(['snet4', 'merge', str(job.parts_place), *_for_merge(job)])}"
        )
    if done.failed or done.lost:
        told = [*done.failed.values(), *(f"{name} could not be computed" for name in done.lost)]
        raise SomeScenesFailed("; ".join(told))


def _for_merge(job: Job) -> list[str]:
    """Options that a shard keeps nothing of: they choose among its buildings, or name files."""
    words = ["-o", str(job.output)]
    if job.csv is not None:
        words += ["--csv", str(job.csv)]
    if job.choices.height_min_m is not None:
        words += ["--height-min", f"{job.choices.height_min_m:g}"]
    if job.choices.roofs is not None:
        words += ["--roofs" if job.choices.roofs else "--no-roofs"]
    if job.roofs_file is not None:
        words += ["--roofs-file", str(job.roofs_file)]
    if job.overwrite:
        words += ["--overwrite"]
    if job.choices.allow_remote and job.parts is not None:
        words += ["--allow-remote"]
    return words
