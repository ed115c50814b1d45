"""`snet4 run`: finds building footprints in pictures, and writes a layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from snet4_cli import options, run_text
from snet4_cli.telling import Bar, command_line, tells, warned
from snet4core.errors import Cancelled

if TYPE_CHECKING:
    from snet4core.jobs.executors import Executor
    from snet4core.jobs.job import Job
    from snet4core.maps.look_guesser import LookGuesser
    from snet4core.maps.predictor import Predictor
    from snet4core.model.header import Header
    from snet4core.parts.plan import Choices, Plan
    from snet4core.parts.work import Elsewhere
    from snet4core.scene.inputs import SceneInput


@click.command()
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@options.output
@options.engines
@options.memory
@options.off_nadir
@options.azimuth
@options.looks
@options.crs
@options.bands
@options.nodata
@click.option(
    "--bounds",
    type=float,
    nargs=4,
    metavar="XMIN YMIN XMAX YMAX",
    help="Search only this box, in the scene's CRS.",
)
@click.option(
    "--aoi",
    type=click.Path(path_type=Path),
    help="Search only inside the polygons of this vector layer.",
)
@options.shapes
@options.heights
@click.option(
    "--save-maps",
    type=click.Path(path_type=Path),
    metavar="FILE or FOLDER",
    help="Keep the maps for 'snet4 polygonize'; a folder for several scenes.",
)
@options.csv
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="HTML",
    help="Also write a page about the layer, which opens anywhere; see 'snet4 report'.",
)
@options.overwrite
@click.option(
    "--resume",
    is_flag=True,
    help="Keep finished parts in OUT.parts, and continue from those already there.",
)
@click.option(
    "--parts",
    metavar="PLACE",
    help="Keep finished parts in this folder or object store (s3://BUCKET/PREFIX) instead of "
    "OUT.parts.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes on this machine, one per GPU or with the processor's threads divided.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Compute on a Dask cluster: tcp://SCHEDULER:8786, or 'local' to try it out.",
)
@click.option(
    "--overlap",
    type=click.Choice(["keep", "best-look", "fuse"]),
    default="keep",
    show_default=True,
    help="Where scenes overlap: keep all footprints, those of the least tilted look, or fuse "
    "the looks.",
)
@click.option(
    "--shard",
    metavar="I/N",
    callback=options.share,
    help="Compute one of N shares into OUT.parts, for 'snet4 merge'.",
)
@click.option(
    "--on-error",
    type=click.Choice(["skip", "fail"]),
    default="skip",
    show_default=True,
    help="Whether one bad scene of several stops the run.",
)
@click.option("--allow-remote", is_flag=True, help="Let scenes, and the place of parts, be URLs.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@options.as_json
@tells
def run(
    scenes: tuple[str, ...],
    output: Path,
    models: tuple[str, ...],
    scales: tuple[float, ...],
    device: str,
    precision: str,
    engine: str,
    memory_bytes: int | None,
    save_maps: Path | None,
    csv_path: Path | None,
    roofs_file: Path | None,
    report: Path | None,
    overwrite: bool,
    resume: bool,
    parts: str | None,
    workers: int,
    cluster: str | None,
    overlap: str,
    shard: tuple[int, int] | None,
    on_error: str,
    dry_run: bool,
    as_json: bool,
    bar: Bar,
    **chosen: Any,
) -> None:
    """Find building footprints in SCENE... and write them to OUT, in the scenes' own CRS.

    SCENE is a raster file, a quoted glob, a folder, @list.txt, a STAC item or a STAC
    collection on disk (.json). The look angle comes from --off-nadir, --looks, STAC, the
    file's metadata or its name; where none gives it, a model that is trained to guesses it
    from the picture, with a warning. With {scene} in OUT each scene gets its own file.

    \b
      snet4 run scene.tif -o footprints.gpkg --off-nadir 32 --azimuth 20
      snet4 run 'SN4/**/Pan-Sharpen/*.tif' -o atlanta.gpkg --csv submission.csv
      snet4 run scene.tif -o out.gpkg --save-maps maps.tif
      snet4 run country.tif -o out.gpkg --resume --workers 2
      snet4 run scene.tif -o out.gpkg --model a.safetensors --model b.safetensors --tta 0.8,1,1.25
      snet4 run scenes/ -o 'found/{scene}.gpkg'

    With --resume an interrupted or killed run continues where it stopped: type the same
    command again. It is refused if the picture, the model or the settings have changed.
    """
    from snet4core.files.allocator import use_one_heap
    from snet4core.files.object_store import place_of
    from snet4core.jobs import per_scene
    from snet4core.jobs.job import Job, Shard
    from snet4core.jobs.run import run_job
    from snet4core.maps.look_guesser import LookGuesser
    from snet4core.model import ensemble
    from snet4core.model.header import find_model, read_header
    from snet4core.parts.heights import require_roofs
    from snet4core.parts.plan import Choices
    from snet4core.scene import inputs as scene_inputs
    from snet4core.sentence import ROOFS_FILE

    use_one_heap()
    choices = Choices(**chosen)
    files = [find_model(each) for each in models]
    inputs = scene_inputs.expand(scenes, allow_remote=choices.allow_remote)
    job = Job(
        inputs=tuple(inputs),
        choices=choices,
        output=output,
        csv=csv_path,
        roofs_file=roofs_file,
        maps=save_maps,
        overwrite=overwrite,
        stop_at_error=on_error == "fail" or len(inputs) == 1,
        resume=resume,
        overlap=overlap,  # type: ignore[arg-type]  # click checked it
        shard=None if shard is None else Shard(*shard),
        parts=None if parts is None else place_of(parts, allow_remote=choices.allow_remote),
        also_read=_also_read(files, scenes),
    )
    jobs = per_scene.each_scene(job) if per_scene.names_scenes(output) else [job]
    if report is not None:
        _check_report(job, report)
    for each in per_scene.open_jobs(jobs) if per_scene.names_scenes(output) else jobs:
        each.check_places(*([] if report is None else [report]))
    header = ensemble.combined_header([read_header(each) for each in files], scales)
    if roofs_file is not None:
        require_roofs(header.card, ROOFS_FILE)
    if dry_run:
        guesser = LookGuesser(header, engine)  # type: ignore[arg-type]  # click checked it
        run_text.say_plans(*_planned(inputs, header, choices, guesser), as_json)
        return

    predictor, executor = _network(
        header, (device, precision, engine), workers, cluster, memory_bytes
    )
    try:
        with bar, warned() as warnings:
            if not per_scene.names_scenes(output):
                done = run_job(job, predictor, bar, executor)
            else:
                done = per_scene.run_each(
                    jobs, predictor, bar, executor, is_share=shard is not None
                )
    except KeyboardInterrupt:
        if not (resume or executor or shard or parts):
            if per_scene.names_scenes(output):
                raise Cancelled(
                    "Interrupted; layers of scenes that were finished are complete, and the same "
                    "command with --resume leaves them alone."
                ) from None
            raise
        raise Cancelled(
            f"Interrupted; finished parts are in {job.parts_place}, and the same command with "
            "--resume goes on with them."
        ) from None
    if shard is not None and not per_scene.names_scenes(output):
        run_text.say_shard(done, job, as_json)
        return
    if report is not None:
        _write_report(job, report, warnings)
    run_text.say_done(done, output, as_json)
    run_text.say_failed(done, job)


def _planned(
    inputs: list[SceneInput], header: Header, choices: Choices, guesser: LookGuesser
) -> tuple[list[Plan], dict[str, str]]:
    """Plans of all scenes, and which of several lie outside of what is searched, in words."""
    from snet4core.errors import OutsideError
    from snet4core.jobs.job import Done, nothing_written
    from snet4core.parts.plan import plan_for

    plans, outside = [], dict[str, str]()
    for each in inputs:
        try:
            plans.append(plan_for(each, header, choices, guesser))
        except OutsideError as problem:
            outside[each.location] = problem.sentence
    if not plans:
        raise nothing_written(Done(outside=outside))
    return plans, outside


def _network(
    header: Header,
    runtime: tuple[str, str, str],
    workers: int,
    cluster: str | None,
    memory_bytes: int | None,
) -> tuple[Predictor | Elsewhere, Executor | None]:
    """The predictor of this process, or its placeholder and the executor of other processes."""
    from snet4core.errors import EngineError
    from snet4core.maps.runtime import RuntimeChoice, choose_runtime

    try:
        wanted = choose_runtime(*runtime)  # type: ignore[arg-type]  # click checked it
    except EngineError:
        device, precision, _ = runtime
        if cluster in (None, "local") or not device.startswith("cuda"):
            raise
        # The GPUs are the cluster's; a worker without one reports it.
        fixed = "bf16" if precision == "auto" else precision
        wanted = RuntimeChoice("cuda:0", fixed, "torch")  # type: ignore[arg-type]  # as above
    if workers == 1 and cluster is None:
        from snet4core.maps.predictor import Predictor
        from snet4core.maps.runtime import shapers_for

        shapers = shapers_for(wanted, memory_bytes)
        return Predictor(header, wanted, memory_bytes=memory_bytes, shapers=shapers), None

    from snet4core.jobs.executors import worker_model

    each_bytes = None if memory_bytes is None else memory_bytes // workers
    model, elsewhere = worker_model(header, wanted, each_bytes)
    if cluster is not None:
        from snet4core.jobs.cluster import Cluster

        return elsewhere, Cluster(model, cluster, workers)

    from snet4core.jobs.processes import Processes

    return elsewhere, Processes(model, workers)


def _also_read(models: list[Path], scenes: tuple[str, ...]) -> tuple[Path, ...]:
    """Files that arguments name besides pictures: models, and lists of scenes."""
    return (*models, *(Path(each[1:]) for each in scenes if each.startswith("@")))


def _check_report(job: Job, report: Path) -> None:
    """Refuse before the work what a report cannot be made of; its place is checked with others."""
    from snet4core.errors import UsageError
    from snet4core.jobs.per_scene import names_scenes
    from snet4core.report.contents import refuse_others

    if job.shard is not None or names_scenes(job.output):
        raise UsageError(
            "--report is about one layer; make it with 'snet4 report' when the layers are there."
        )
    refuse_others(job.output)


def _write_report(job: Job, report: Path, warnings: list[str]) -> None:
    """The page about the layer; on the picture where there was one."""
    from snet4core.report.page import write_report
    from snet4core.scene.scene import open_scene

    choices, scene = job.choices, None
    if len(job.inputs) == 1:
        scene = open_scene(
            job.inputs[0],
            bands=choices.bands,
            crs=choices.crs,
            nodata=choices.nodata,
            allow_remote=choices.allow_remote,
        )
    write_report(
        job.output,
        report,
        scene=scene,
        command=command_line(),
        warnings=warnings,
        overwrite=job.overwrite,
    )
