"""`snet4 train`: trains a model from a recipe."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from snet4_cli.telling import Bar, tells


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the run: chips, checkpoint, log.jsonl, pictures, model.safetensors (the last "
    "weights) and best.safetensors (those that validated best).",
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the recipe, as in train.steps=2000 or, in a list of tables, "
    "data.real.0.share=0.2; may be repeated.",
)
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in OUT.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that prepare chips before training starts.",
)
@click.option("--chips-only", is_flag=True, help="Prepare the chips, and train later.")
@tells
def train(
    recipe: Path,
    out: Path,
    changes: tuple[str, ...],
    resume: bool,
    workers: int,
    chips_only: bool,
    bar: Bar,
) -> None:
    """Train a model from RECIPE (.toml) in the folder OUT.

    Chips are prepared first, and kept: a second run with the same data starts at once. An
    interrupted run is continued with --resume. The recipe's keys are documented in
    training/snet4_training/recipe.py, and docs/guide/training.md says how to use them; a time
    limit is --set train.minutes=60. Under torchrun or accelerate launch, all processes train one
    model.

    \b
      snet4 train training/recipes/default.toml --out runs/first --workers 16
      snet4 train training/recipes/default.toml --out runs/first --resume
      snet4 train training/recipes/cpu.toml --out runs/more --workers 2
      torchrun --nproc-per-node 2 -m snet4_cli train RECIPE --out OUT --set train.accumulate=2
    """
    from snet4_training.loop.records import begun_with
    from snet4_training.recipe_file import read_recipe
    from snet4core.errors import Cancelled, OutputError

    chosen = read_recipe(recipe, changes, begun_with(out) if resume else None)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists() and not resume and not chips_only:
        raise OutputError(
            f"{checkpoint} exists: give --resume to go on with that run, or another --out."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputError(f"{out} cannot be made ({problem.strerror}); choose another.") from None

    from snet4_training.chips.sources import fill
    from snet4_training.loop import curves
    from snet4_training.loop.loop import start
    from snet4_training.loop.loop import train as train_by
    from snet4_training.loop.team import gathered
    from snet4_training.validation.card import card_of

    team = gathered()
    # Report problems with the network, the number of processes or the installation before the
    # chips are prepared, which may take hours.
    team.parts(chosen.train.accumulate)
    if chosen.train.tensorboard:
        curves.require()
    card_of(chosen)
    start(chosen, team.device)
    model = out
    try:
        with bar if team.leads else nullcontext():
            if team.leads:
                fill(chosen, out / chosen.data.store, workers, bar)
            team.wait()
            if not chips_only:
                model = train_by(chosen, out, resume, bar if team.leads else None, team)
    except KeyboardInterrupt:
        if checkpoint.exists() and not chips_only:
            kept = f"{checkpoint} is kept, and the same command with --resume goes on from there"
        else:
            kept = f"finished chips are in {out / chosen.data.store}, and the same command goes on"
        raise Cancelled(f"Interrupted; {kept}.") from None
    if team.leads:
        click.echo(out / chosen.data.store if chips_only else model)
