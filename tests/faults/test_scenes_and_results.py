"""Runs whose scenes differ, and results that would replace what is read: told, and nothing lost."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import rasterio
import shapely
from click.testing import CliRunner

from faults.test_parts import BrightIsBuilding
from faults.test_several_results import LOOK, areas, run, several, town
from helpers.bright import ELSEWHERE, BrightModel
from snet4_cli import run_text
from snet4_cli.main import snet4
from snet4core.errors import InputError, OutputError, OutsideError, SomeScenesFailed
from snet4core.files.places import FolderPlace
from snet4core.jobs.job import Done, Job, Overlap, Shard
from snet4core.jobs.merge import Merge, merge
from snet4core.jobs.per_scene import each_scene, run_each
from snet4core.jobs.processes import Processes
from snet4core.jobs.run import run_job
from snet4core.parts.detect import detect
from snet4core.parts.plan import Choices, plan_for, searched
from snet4core.progress import Silent
from snet4core.scene.inputs import SceneInput

HERE = replace(LOOK, bounds=(740000.0, 3719960.0, 740040.0, 3720000.0))
"""The first scene of `several`, and not the second one."""


def outcome(job: Job) -> Done:
    return run_job(job, BrightIsBuilding(), Silent())


def damaged(path: Path) -> SceneInput:
    """A scene whose header can be read, and whose pixels cannot."""
    scene = town(path)
    with rasterio.open(path) as dataset:
        profile, counts_BHW = dataset.profile, dataset.read()
    with rasterio.open(path, "w", **{**profile, "compress": "deflate"}) as dataset:
        dataset.write(counts_BHW)
    content = path.read_bytes()
    path.write_bytes(content[:-60] + bytes(60))
    plan_for(scene, BrightIsBuilding().header, LOOK)
    return scene


# ---------------------------------------------------------------- what is read stays


def refused(*arguments: object) -> str:
    """Why `snet4 run` cannot write its results."""
    words = ["run", *map(str, arguments), "--off-nadir", "30", "--overwrite"]
    problem = CliRunner().invoke(snet4, words).exception
    assert isinstance(problem, OutputError), problem
    return str(problem)


def mosaic(folder: Path) -> Path:
    path = folder / "m.vrt"
    tile = '<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>1</SourceBand>'
    path.write_text(
        '<VRTDataset rasterXSize="64" rasterYSize="64"><SRS>EPSG:32616</SRS>'
        "<GeoTransform>740000, 0.5, 0, 3720000, 0, -0.5</GeoTransform>"
        f'<VRTRasterBand dataType="UInt16" band="1"><SimpleSource>{tile}</SimpleSource>'
        "</VRTRasterBand></VRTDataset>"
    )
    return path


READ: dict[str, Callable[[Path], tuple[Path, list[object]]]] = {
    "area": lambda f: (
        areas(f / "x.geojson", shapely.box(0, 0, 1, 1)),
        [f / "a.tif", "-o", f / "x.geojson", "--aoi", f / "x.geojson"],
    ),
    "looks": lambda f: (
        f / "x.csv",
        [f / "a.tif", "-o", f / "o.gpkg", "--looks", f / "x.csv", "--csv", f / "x.csv"],
    ),
    "model": lambda f: (
        f / "m.safetensors",
        [f / "a.tif", "-o", f / "o.gpkg", "--model", f / "m.safetensors", "--save-maps",
         f / "m.safetensors"],
    ),
    "list": lambda f: (f / "list", [f"@{f}/list", "-o", f / "o.gpkg", "--report", f / "list"]),
    "picture": lambda f: (f / "a.tif", [f / "a.tif", "-o", f / "o.gpkg", "--report", f / "a.tif"]),
    "tile of a VRT": lambda f: (
        f / "a.tif",
        [mosaic(f), "-o", f / "o.gpkg", "--save-maps", f / "a.tif"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_no_result_replaces_what_is_read(name: str, tmp_path: Path) -> None:
    town(tmp_path / "a.tif")
    (tmp_path / "x.csv").write_text("scene,off_nadir_deg\na,30\n")
    (tmp_path / "m.safetensors").write_bytes(b"precious")
    (tmp_path / "list").write_text("a.tif\n")
    precious, arguments = READ[name](tmp_path)
    before = precious.read_bytes()
    assert f"{precious} is also an input" in refused(*arguments)
    assert precious.read_bytes() == before
    assert not (tmp_path / "o.gpkg").exists()


@pytest.mark.parametrize("option", ["--csv", "--roofs-file", "--save-maps", "--report"])
def test_two_results_in_one_file_are_refused_before_the_work(option: str, tmp_path: Path) -> None:
    town(tmp_path / "a.tif")
    both = tmp_path / ("o.csv" if option == "--csv" else "o.gpkg")
    again = f"{tmp_path}/./{both.name}"
    assert "is named twice" in refused(tmp_path / "a.tif", "-o", both, option, again)
    assert {path.name for path in tmp_path.iterdir()} == {"a.tif"}


def test_maps_that_may_not_be_replaced_are_told_of_before_the_work(tmp_path: Path) -> None:
    scene, maps = town(tmp_path / "a.tif"), tmp_path / "maps.tif"
    maps.write_text("precious")
    with pytest.raises(OutputError, match=r"maps\.tif exists already"):
        detect(scene, BrightIsBuilding(), LOOK, save_maps=maps)
    with pytest.raises(OutputError, match=r"a\.tif is also an input"):
        detect(scene, BrightIsBuilding(), LOOK, save_maps=tmp_path / "a.tif", overwrite=True)


def test_no_scene_of_a_pattern_replaces_what_another_one_needs(tmp_path: Path) -> None:
    scenes = (town(tmp_path / "a.tif"), town(tmp_path / "a_maps.tif", east_m=100.0))
    (tmp_path / "out").mkdir()
    job = Job(scenes, LOOK, tmp_path / "out" / "{scene}.gpkg", maps=tmp_path, overwrite=True)
    with pytest.raises(OutputError, match=r"a_maps\.tif is also an input"):
        each_scene(job)
    tables = replace(
        job, maps=None, output=tmp_path / "{scene}.csv", csv=tmp_path / "{scene}_maps.csv"
    )
    with pytest.raises(OutputError, match=r"a_maps\.csv is named twice"):
        each_scene(tables)


def test_places_that_cannot_be_looked_up_are_told_of_in_words(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    town(tmp_path / "a.tif")
    (tmp_path / "o.gpkg").write_text("old")
    said = refused(tmp_path / "a.tif", "-o", tmp_path / "o.gpkg", "--report",
                   tmp_path / "loop" / "r.html")  # fmt: skip
    assert "r.html cannot be written" in said
    long = tmp_path / ("x" * 300)
    job = Job((town(tmp_path / "a.tif"),), LOOK, tmp_path / "o.gpkg", overwrite=True,
              also_read=(long,))  # fmt: skip
    job.check_places()


def test_a_vrt_is_known_by_its_content(tmp_path: Path) -> None:
    town(tmp_path / "a.tif")
    vrt = mosaic(tmp_path).rename(tmp_path / "m.xml")
    job = Job((SceneInput(str(vrt)),), LOOK, tmp_path / "o.gpkg", overwrite=True)
    assert set(job.read_files()) == {vrt, tmp_path / "a.tif"}


# ---------------------------------------------------------------- scenes that fail


def test_a_scene_that_fails_does_not_choose_the_crs(tmp_path: Path) -> None:
    scenes = (
        damaged(tmp_path / "a.tif"),
        town(tmp_path / "b.tif", "EPSG:32617"),
        town(tmp_path / "c.tif"),
        town(tmp_path / "d.tif", "EPSG:32617", 100.0),
    )
    job = Job(scenes, LOOK, tmp_path / "o.gpkg")
    done = outcome(job)
    assert [Path(each).name for each in done.failed] == ["a.tif", "c.tif"]
    assert done.footprints == 2
    told = done.failed[str(tmp_path / "c.tif")]
    assert "c.tif is in EPSG:32616, but" in told
    assert "b.tif in EPSG:32617" in told


def test_a_scene_without_parts_does_not_choose_the_crs_of_a_merge(tmp_path: Path) -> None:
    scenes = (damaged(tmp_path / "a.tif"), town(tmp_path / "b.tif", "EPSG:32617"))
    job = Job(scenes, LOOK, tmp_path / "o.gpkg")
    for number in range(2):
        outcome(replace(job, shard=Shard(number, 2)))
    done = merge(Merge((job.parts_place,), job.output, allow_missing=True), Silent())
    assert (done.footprints, list(done.failed)) == (1, ["a"])


def test_another_crs_is_nothing_that_could_be_mended(tmp_path: Path) -> None:
    scenes = (town(tmp_path / "a.tif"), town(tmp_path / "b.tif", "EPSG:32617"))
    job = Job(scenes, LOOK, tmp_path / "o.gpkg", resume=True)
    done = outcome(job)
    assert done.failed
    assert not job.parts_place.is_there()
    with pytest.raises(SomeScenesFailed, match=r"run them into two files\.$"):
        run_text.say_failed(done, job)


def test_shards_in_two_crss_are_merged_like_an_undivided_run(tmp_path: Path) -> None:
    scenes = (
        town(tmp_path / "a.tif"), town(tmp_path / "b.tif", "EPSG:32617"),
        town(tmp_path / "c.tif", east_m=100.0),
    )  # fmt: skip
    undivided = Job(scenes, LOOK, tmp_path / "one.gpkg")
    assert list(outcome(undivided).failed) == [str(tmp_path / "b.tif")]
    job = Job(scenes, LOOK, tmp_path / "o.gpkg")
    for number in range(2):
        outcome(replace(job, shard=Shard(number, 2)))
    twice = (job.parts_place, FolderPlace(tmp_path / "." / "o.gpkg.parts"))
    done = merge(Merge(twice, job.output, remove=True), Silent())
    assert (done.footprints, done.scenes, done.missing) == (2, 2, [])
    assert done.failed == {"b": "b is in EPSG:32617, but a in EPSG:32616; run them into two files."}
    assert job.output.read_bytes() == undivided.output.read_bytes()
    assert job.parts_place.is_there(), "the parts of b are in no layer yet"


def test_a_scene_that_was_mended_is_run_with_the_others_parts(tmp_path: Path) -> None:
    good, bad = several(tmp_path)
    sound = Path(bad.location).read_bytes()
    damaged(Path(bad.location))
    job = Job((good, bad), LOOK, tmp_path / "o.gpkg", resume=True)
    done = outcome(job)
    assert list(done.failed) == [bad.location]
    with pytest.raises(SomeScenesFailed, match="same command with --resume --overwrite does"):
        run_text.say_failed(done, job)
    Path(bad.location).write_bytes(sound)
    assert run(replace(job, overwrite=True)) == 2
    assert not job.parts_place.is_there()


def test_an_input_that_changed_names_the_folder_of_its_parts_alone(tmp_path: Path) -> None:
    scenes = several(tmp_path)
    job = Job(scenes, LOOK, tmp_path / "o.gpkg", shard=Shard(0, 1))
    outcome(job)
    town(Path(scenes[0].location), east_m=7.0)
    with pytest.raises(OutputError, match="begun with other input") as refused:
        outcome(job)
    folder = Path(str(refused.value).partition(" or remove ")[2].partition(" to begin ")[0])
    assert folder.parent == tmp_path / "o.gpkg.parts"
    shutil.rmtree(folder)
    assert outcome(job).lost == []
    assert merge(Merge((job.parts_place,), job.output), Silent()).footprints == 2


# ---------------------------------------------------------------- one picture twice


def test_copies_of_a_picture_are_both_computed_by_one_shard(tmp_path: Path) -> None:
    first = town(tmp_path / "a.tif")
    shutil.copy(first.location, tmp_path / "b.tif")
    job = Job((first, SceneInput(str(tmp_path / "b.tif"))), LOOK, tmp_path / "o.gpkg",
              shard=Shard(0, 1))  # fmt: skip
    done = outcome(job)
    assert (done.parts, done.lost) == (2, [])
    assert merge(Merge((job.parts_place,), job.output), Silent()).footprints == 2


# ---------------------------------------------------------------- outside


def test_scenes_outside_of_what_is_searched_are_no_failures(tmp_path: Path) -> None:
    scenes = several(tmp_path)
    job = Job(scenes, HERE, tmp_path / "o.gpkg")
    done = outcome(job)
    assert (done.footprints, done.failed, list(done.outside)) == (1, {}, [scenes[1].location])
    strict = replace(job, output=tmp_path / "strict.gpkg", stop_at_error=True)
    assert outcome(strict).footprints == 1
    each = run_each(
        each_scene(replace(job, output=tmp_path / "{scene}.gpkg")), BrightIsBuilding(), Silent()
    )
    assert (each.footprints, each.failed, list(each.outside)) == (1, {}, [scenes[1].location])
    assert (tmp_path / "a.gpkg").exists()
    assert not (tmp_path / "b.gpkg").exists()


def test_shards_of_scenes_outside_are_merged_without_them(tmp_path: Path) -> None:
    undivided = Job(several(tmp_path), HERE, tmp_path / "one.gpkg")
    outcome(undivided)
    job = replace(undivided, output=tmp_path / "o.gpkg")
    for number in range(2):
        done = outcome(replace(job, shard=Shard(number, 2)))
        assert (done.failed, done.lost) == ({}, [])
    done_merge = merge(Merge((job.parts_place,), job.output, remove=True), Silent())
    assert (done_merge.footprints, done_merge.missing) == (1, [])
    assert job.output.read_bytes() == undivided.output.read_bytes()
    assert not job.parts_place.is_there()


def test_scenes_outside_of_another_area_are_missed_by_the_merge(tmp_path: Path) -> None:
    job = Job(several(tmp_path), replace(LOOK, bounds=(0, 0, 1, 1)), tmp_path / "o.gpkg")
    for number in range(2):
        outcome(replace(job, shard=Shard(number, 2)))
    corrected = replace(job, choices=LOOK)
    outcome(replace(corrected, shard=Shard(0, 2)))
    with pytest.raises(InputError, match=r"1 of 2 scenes have no parts \(b, "):
        merge(Merge((job.parts_place,), job.output), Silent())
    outcome(replace(corrected, shard=Shard(1, 2)))
    assert merge(Merge((job.parts_place,), job.output), Silent()).footprints == 2


def test_areas_of_interest_are_told_apart_by_their_content(tmp_path: Path) -> None:
    one, other = (areas(tmp_path / f"{n}.geojson", shapely.box(n, 0, n + 1, 1)) for n in range(2))
    keys = [searched(each) for each in (
        LOOK, HERE, replace(LOOK, aoi=one), replace(LOOK, aoi=other), replace(HERE, aoi=one),
    )]  # fmt: skip
    assert keys[0] == "all"
    assert len(set(keys)) == len(keys)
    copied = tmp_path / "copy.geojson"
    shutil.copy(one, copied)
    assert searched(replace(LOOK, aoi=copied)) == keys[2]
    with pytest.raises(InputError, match=r"none\.geojson cannot be read"):
        searched(replace(LOOK, aoi=tmp_path / "none.geojson"))


@pytest.mark.parametrize("overlap", ["best-look", "fuse"])
def test_where_no_scene_is_left_overlaps_have_nothing_to_resolve(
    overlap: Overlap, tmp_path: Path
) -> None:
    nowhere = replace(LOOK, bounds=(0.0, 0.0, 1.0, 1.0))
    with pytest.raises(OutsideError, match="None of 2 scenes"):
        outcome(Job(several(tmp_path), nowhere, tmp_path / "o.gpkg", overlap=overlap))


def test_a_share_that_lies_outside_is_no_failure(tmp_path: Path) -> None:
    job = Job(several(tmp_path), HERE, tmp_path / "{scene}.gpkg", shard=Shard(1, 2))
    done = run_each(each_scene(job), BrightIsBuilding(), Silent(), is_share=True)
    assert len(done.outside) == 1


def test_where_no_scene_is_inside_nothing_is_written(tmp_path: Path) -> None:
    nowhere = replace(LOOK, bounds=(0.0, 0.0, 1.0, 1.0))
    scenes = several(tmp_path)
    job = Job(scenes, nowhere, tmp_path / "o.gpkg")
    with pytest.raises(OutsideError, match="None of 2 scenes has a part in what is searched"):
        outcome(job)
    with pytest.raises(OutsideError, match="None of 2 scenes"):
        run_each(
            each_scene(replace(job, output=tmp_path / "{scene}.gpkg")), BrightIsBuilding(), Silent()
        )
    alone = replace(job, inputs=scenes[:1], stop_at_error=True)
    for shard in (None, Shard(0, 1)):
        with pytest.raises(InputError, match=r"a\.tif: .* lies outside .* give --bounds in that"):
            outcome(replace(alone, shard=shard))
    outcome(replace(job, shard=Shard(0, 2)))
    merging = Merge((job.parts_place,), job.output)
    with pytest.raises(InputError, match="holds no scene; run the shards first"):
        merge(merging, Silent())
    outcome(replace(job, shard=Shard(1, 2)))
    for _ in range(2):
        with pytest.raises(InputError, match="as all lie outside of what was searched"):
            merge(merging, Silent())
    assert not job.output.exists()


def test_an_area_of_interest_that_misses_is_not_asked_for_in_another_crs(tmp_path: Path) -> None:
    aoi = areas(tmp_path / "aoi.geojson", shapely.box(10, 50, 11, 51))
    job = Job((town(tmp_path / "a.tif"),), replace(LOOK, aoi=aoi), tmp_path / "o.gpkg",
              stop_at_error=True)  # fmt: skip
    with pytest.raises(InputError, match="give another area, or a scene of this one"):
        outcome(job)


# ---------------------------------------------------------------- what is told


def test_layers_that_are_complete_are_counted_as_left_alone(tmp_path: Path) -> None:
    job = Job(several(tmp_path), LOOK, tmp_path / "{scene}.gpkg", resume=True)
    first = run_each(each_scene(job), BrightIsBuilding(), Silent())
    assert (first.footprints, first.left_alone) == (2, [])
    (tmp_path / "b.gpkg").unlink()
    again = run_each(each_scene(job), BrightIsBuilding(), Silent())
    assert (again.footprints, again.left_alone) == (1, [str(tmp_path / "a.gpkg")])


@pytest.mark.parametrize("as_json", [False, True])
def test_a_run_says_which_scenes_and_layers_needed_nothing(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    done = Done(3, outside={"c.tif": "c.tif: outside."}, left_alone=["a.gpkg"])
    run_text.say_done(done, Path("{scene}.gpkg"), as_json)
    said = capsys.readouterr().out
    if as_json:
        told = json.loads(said)
        assert (told["outside"], told["left_alone"]) == (done.outside, done.left_alone)
    else:
        assert "outside of what is searched: 1." in said
        assert "stay as they are: 1; --overwrite" in said


def test_the_merge_that_a_shard_prints_can_be_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "it's here"
    folder.mkdir()
    job = Job(
        several(folder), LOOK, folder / "o $x.gpkg", csv=folder / "o.csv", overwrite=True,
        shard=Shard(0, 1), parts=FolderPlace(folder / "my parts"),
    )  # fmt: skip
    run_text.say_shard(outcome(job), job, as_json=False)
    words = shlex.split(capsys.readouterr().out.partition("all shards are done: ")[2])
    done = CliRunner().invoke(snet4, words[1:])
    assert done.exit_code == 0, done.output
    assert (folder / "o $x.gpkg").exists()
    assert (folder / "o.csv").exists()
    remote = replace(job, choices=Choices(allow_remote=True, roofs=False, height_min_m=2.5))
    run_text.say_shard(Done(), remote, as_json=False)
    assert shlex.split(capsys.readouterr().out.partition("shards are done: ")[2])[-5:] == [
        "--height-min", "2.5", "--no-roofs", "--overwrite", "--allow-remote",
    ]  # fmt: skip


def test_a_layer_of_several_scenes_says_so(tmp_path: Path) -> None:
    scenes = several(tmp_path)
    outcome(Job(scenes, LOOK, tmp_path / "o.geojson"))
    told = json.loads((tmp_path / "o.geojson").read_text())["snet4"]
    assert told["scenes"].startswith("2 were searched (a, b); ")
    outcome(Job(scenes[:1], LOOK, tmp_path / "one.geojson"))
    assert "scenes" not in json.loads((tmp_path / "one.geojson").read_text())["snet4"]
    outcome(Job(scenes, LOOK, tmp_path / "o.gpkg"))
    assert b"Building footprints of several scenes" in (tmp_path / "o.gpkg").read_bytes()


class Steps(Silent):
    def __init__(self) -> None:
        self.told: list[tuple[float, float]] = []

    def step(self, done: float, total: float, what: str) -> None:
        if what == "parts":
            self.told.append((done, total))


def test_progress_of_other_processes_is_over_all_parts(tmp_path: Path) -> None:
    """Of scenes that are not planned yet as many are expected as of the others."""
    scenes = tuple(town(tmp_path / f"{n}.tif", east_m=100.0 * n) for n in range(4))
    steps = Steps()
    run_job(Job(scenes, LOOK, tmp_path / "o.gpkg"), ELSEWHERE, steps, Processes(BrightModel(), 1))
    assert [done for done, _ in steps.told][-5:] == [1, 2, 3, 4, 4]
    assert {total for _, total in steps.told} == {4}


def test_progress_ends_at_its_end_where_the_last_scenes_have_no_parts(tmp_path: Path) -> None:
    scenes = tuple(town(tmp_path / f"{n}.tif", east_m=100.0 * n) for n in range(4))
    area = replace(LOOK, bounds=(740000.0, 3719960.0, 740140.0, 3720000.0))
    steps = Steps()
    run_job(Job(scenes, area, tmp_path / "o.gpkg"), ELSEWHERE, steps, Processes(BrightModel(), 1))
    assert steps.told[-1] == (2, 2)


def test_a_cluster_without_workers_says_what_it_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is not installed")
    from snet4core.errors import Cancelled
    from snet4core.jobs import cluster

    monkeypatch.setattr(cluster, "LONELY_S", 0.0)
    on_gpus = replace(BrightModel(), wanted=replace(BrightModel().wanted, device="cuda:0"))

    class StopOnceTold(Silent):
        def cancelled(self) -> bool:
            return any("the run waits for" in each.getMessage() for each in caplog.records)

    for workers, model, told in (
        (0, BrightModel(), "has no workers, and the run waits for some; start them with"),
        (1, on_gpus, "offers a GPU, and the run waits for one"),
    ):
        caplog.clear()
        with distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=False, dashboard_address=None,
            protocol="tcp", host="127.0.0.1",
        ) as running:  # fmt: skip
            executor = cluster.Cluster(model, running.scheduler_address)
            folder = tmp_path / str(workers)
            folder.mkdir()
            job = Job((town(folder / "a.tif"),), LOOK, folder / "o.gpkg", stop_at_error=True)
            with caplog.at_level(logging.WARNING), pytest.raises(Cancelled):
                run_job(job, ELSEWHERE, StopOnceTold(), executor)
        ours = [each.getMessage() for each in caplog.records if each.name == "snet4"]
        assert [each for each in ours if "the run waits for" in each] == [ours[-1]]
        assert told in ours[-1]
