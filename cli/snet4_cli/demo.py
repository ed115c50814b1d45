"""`snet4 demo`: the whole pipeline on a synthetic scene, in a minute, without a download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from snet4_cli import options
from snet4_cli.telling import Bar, tells

if TYPE_CHECKING:
    from snet4core.score import Score

SEED = 9_000_000
"""Seed of a place that no model was trained on: training uses much lower seeds."""

LOOKS = "nadir8,nadir32,nadir47"
"""One collect of SpaceNet 4 for each look category."""


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    metavar="FOLDER",
    help="Folder for the files.",
)
@options.engine
@options.overwrite
@tells
def demo(
    output: Path, model: str, device: str, precision: str, engine: str, overwrite: bool, bar: Bar
) -> None:
    """Render one place as seen from three angles, find its houses, score and draw them.

    Writes footprints.gpkg, footprints.csv, truth.csv and preview.png into FOLDER.
    """
    import shutil

    from snet4_training.scenes.dataset import parse_looks, write_scenes
    from snet4core.files import outputs
    from snet4core.jobs.job import Job
    from snet4core.jobs.run import run_job
    from snet4core.layers.read import read_buildings
    from snet4core.maps.predictor import Predictor
    from snet4core.maps.runtime import choose_runtime
    from snet4core.model.header import find_model
    from snet4core.parts.plan import Choices
    from snet4core.scene import inputs as scene_inputs
    from snet4core.score import score

    output.mkdir(parents=True, exist_ok=True)
    names = ("footprints.gpkg", "footprints.csv", "truth.csv", "preview.png")
    layer, table, truth, preview = (output / name for name in names)
    for target in (layer, table, truth, preview):
        outputs.check(target, overwrite=overwrite)
    predictor = Predictor(find_model(model), choose_runtime(device, precision, engine))  # type: ignore[arg-type]  # click checked it
    scenes = output / "scenes"
    if overwrite and scenes.is_dir():
        shutil.rmtree(scenes)  # this command's own folder, made by an earlier call
    with bar:
        bar.note("Rendering one place as three collects of SpaceNet 4 saw theirs ...")
        write_scenes(scenes, 1, parse_looks(LOOKS), SEED, progress=bar)
        inputs = tuple(scene_inputs.expand([scenes / "**" / "*.tif"]))
        choices = Choices(looks_table=scenes / "looks.csv")
        job = Job(inputs, choices, layer, csv=table, overwrite=overwrite, stop_at_error=True)
        done = run_job(job, predictor, bar)
    _join_tables(sorted(scenes.glob("summaryData/*.csv")), truth)
    result = score(read_buildings(table), read_buildings(truth, confidence=False))
    _draw([Path(each.location) for each in inputs], table, truth, preview)
    click.echo(f"{done.footprints} footprints in {len(inputs)} pictures of one place.")
    _say_score(result)
    click.echo(f"Look at {preview}; open {layer} in QGIS over {scenes}.")


def _join_tables(tables: list[Path], target: Path) -> None:
    """Concatenate SpaceNet tables under one header."""
    lines = [each.read_text(encoding="utf-8").splitlines() for each in tables]
    text = "\n".join([lines[0][0], *(line for each in lines for line in each[1:])])
    target.write_text(text + "\n", encoding="utf-8", newline="\n")


def _say_score(result: Score) -> None:
    for category, tally in result.categories.items():
        click.echo(f"  {category:15} F1 {tally.f1:.3f}  ({tally.tp} of {tally.tp + tally.fn})")
    click.echo(f"  {'mean':15} F1 {result.mean_f1:.3f}  (SpaceNet 4's score)")


def _draw(scenes: list[Path], found: Path, truth: Path, target: Path) -> None:
    """Draw found footprints on the left, true ones on the right, a row for each look."""
    from snet4core.layers.read import read_buildings
    from snet4core.layers.spacenet import image_id
    from snet4core.scene import preview
    from snet4core.scene.reader import SceneReader
    from snet4core.scene.scene import open_scene
    from snet4core.windows import Window

    tables = {
        preview.FOUND_COLOUR: read_buildings(found),
        preview.TRUTH_COLOUR: read_buildings(truth, confidence=False),
    }
    rows = []
    for path in sorted(scenes, key=lambda path: len(path.name)):  # nadir8 before nadir32
        scene = open_scene(path)
        with SceneReader(scene) as reader:
            rgb_HW3 = preview.natural_colours(*reader.read(Window(0, 0, *scene.grid.shape)))
        image = image_id(path.name)
        what = image.split("_catid_")[0].removeprefix("Atlanta_")
        rows.append(
            [
                preview.Panel(
                    f"{what}: {title}",
                    rgb_HW3,
                    table.polygons_N[table.image_id_N == image],
                    colour,
                )
                for (colour, table), title in zip(
                    tables.items(), ("found", "true footprints"), strict=True
                )
            ]
        )
    preview.sheet(rows).save(target)
