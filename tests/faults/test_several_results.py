"""Runs of several scenes and their results: nothing is overwritten, left out or lost on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
import shapely.affinity
from affine import Affine
from rasterio.warp import transform

from faults.test_parts import BrightIsBuilding
from snet4core.errors import InputError, OutputError, UsageError
from snet4core.files.places import FolderPlace
from snet4core.jobs.job import Job, Shard
from snet4core.jobs.merge import Merge, merge
from snet4core.jobs.per_scene import each_scene, open_jobs, run_each
from snet4core.jobs.run import run_job
from snet4core.maps.file import MapsOrigin, open_maps, writing
from snet4core.model.card import FIVE_MAPS
from snet4core.parts.plan import Choices, plan_for
from snet4core.parts.polygonize import polygonize
from snet4core.progress import Silent
from snet4core.scene.inputs import SceneInput

LOOK = Choices(off_nadir_deg=30.0)


def town(path: Path, crs: str = "EPSG:32616", east_m: float = 0.0) -> SceneInput:
    """One house in 64 x 64 pixels of half a metre."""
    counts_BHW = np.full((4, 64, 64), 300, np.uint16)
    counts_BHW[:, 10:34, 20:44] = 900
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=4, height=64, width=64, dtype="uint16", crs=crs,
        transform=Affine(0.5, 0, 740000 + east_m, 0, -0.5, 3720000),
    ) as file:  # fmt: skip
        file.write(counts_BHW)
    return SceneInput(str(path))


def several(folder: Path) -> tuple[SceneInput, ...]:
    return tuple(town(folder / f"{name}.tif", east_m=100.0 * n) for n, name in enumerate("ab"))


def run(job: Job) -> int:
    return run_job(job, BrightIsBuilding(), Silent()).footprints


# ---------------------------------------------------------------- maps


def test_going_on_overwrites_no_file_but_maps_of_ones_own(tmp_path: Path) -> None:
    scene, precious = town(tmp_path / "a.tif"), tmp_path / "precious.tif"
    parts = FolderPlace(tmp_path / "parts")
    (tmp_path / "maps").mkdir()
    scenes = (scene, SceneInput(str(tmp_path / "none.tif")))
    broken = Job(scenes, LOOK, tmp_path / "first.gpkg", maps=tmp_path / "maps", parts=parts)
    assert run(broken) == 1
    assert (tmp_path / "parts").is_dir(), "a scene failed, so the parts stay"
    precious.write_text("precious")
    again = Job((scene,), LOOK, tmp_path / "o.gpkg", maps=precious, parts=parts, resume=True)
    with pytest.raises(OutputError, match=r"precious\.tif exists"):
        run(again)
    assert precious.read_text() == "precious"
    assert (tmp_path / "parts").is_dir()
    precious.unlink()
    with writing(precious, plan_for(scene, BrightIsBuilding().header, LOOK).grid, MapsOrigin()):
        pass  # as an interrupted run leaves them
    assert run(again) == 1
    assert sum(len(batch) for batch in polygonize(precious).footprints) == 1


def test_each_scene_has_maps_of_its_own(tmp_path: Path) -> None:
    job = Job(several(tmp_path), LOOK, tmp_path / "{scene}.gpkg", maps=tmp_path / "{scene}_m.tif")
    jobs = each_scene(job)
    assert [each.maps for each in jobs] == [tmp_path / "a_m.tif", tmp_path / "b_m.tif"]
    run_each(jobs, BrightIsBuilding(), Silent())
    assert {path.name for path in tmp_path.glob("*_m.tif")} == {"a_m.tif", "b_m.tif"}
    with pytest.raises(UsageError, match=r"m\.tif would hold one scene; put \{scene\}"):
        each_scene(replace(job, maps=tmp_path / "m.tif"))
    (tmp_path / "maps").mkdir()
    assert len(each_scene(replace(job, maps=tmp_path / "maps"))) == 2
    with pytest.raises(UsageError, match="would hold one scene"):
        each_scene(replace(job, maps=None, csv=tmp_path / "maps"))


def test_a_layer_whose_table_is_missing_is_not_complete(tmp_path: Path) -> None:
    job = Job(several(tmp_path), LOOK, tmp_path / "{scene}.gpkg", resume=True)
    run_each(open_jobs(each_scene(job)), BrightIsBuilding(), Silent())
    assert open_jobs(each_scene(job)) == []
    wanted = each_scene(replace(job, csv=tmp_path / "{scene}.csv"))
    assert open_jobs(wanted) == wanted
    with pytest.raises(OutputError, match=r"a\.gpkg exists already.*--overwrite"):
        run_each(wanted, BrightIsBuilding(), Silent())
    run_each([replace(each, overwrite=True) for each in wanted], BrightIsBuilding(), Silent())
    assert len(list(tmp_path.glob("*.csv"))) == 2
    assert open_jobs(wanted) == []


# ---------------------------------------------------------------- CRS


@pytest.mark.parametrize(
    "crs", [("EPSG:32616", "EPSG:32616+5773"), ("EPSG:32616+5773", "EPSG:32616")]
)
def test_a_vertical_crs_loses_no_scene(tmp_path: Path, crs: tuple[str, str]) -> None:
    scenes = tuple(town(tmp_path / f"{n}.tif", each, 100.0 * n) for n, each in enumerate(crs))
    assert run(Job(scenes, LOOK, tmp_path / "o.gpkg")) == 2


def test_a_scene_of_another_zone_is_named_and_the_others_are_written(tmp_path: Path) -> None:
    scenes = (town(tmp_path / "a.tif"), town(tmp_path / "b.tif", "EPSG:32617"))
    done = run_job(Job(scenes, LOOK, tmp_path / "o.gpkg"), BrightIsBuilding(), Silent())
    assert done.footprints == 1
    assert [Path(each).name for each in done.failed] == ["b.tif"]


# ---------------------------------------------------------------- maps read again


@pytest.mark.parametrize("names", [FIVE_MAPS, FIVE_MAPS[::-1]])
def test_five_named_maps_without_a_no_data_value_are_read(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    path = tmp_path / "five.tif"
    solid_HW = np.zeros((64, 64), np.uint8)
    solid_HW[20:44, 20:50] = 230
    layers = {"footprint": solid_HW, "roof": solid_HW}
    with rasterio.open(
        path, "w", driver="GTiff", count=5, height=64, width=64, dtype="uint8", crs="EPSG:32616",
        transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000), photometric="MINISBLACK",
    ) as file:  # fmt: skip
        file.write(np.stack([layers.get(name, np.zeros_like(solid_HW)) for name in names]))
        file.descriptions = names
    assert open_maps(path).has_roofs
    found = polygonize(path, Choices(off_nadir_deg=20.0, azimuth_deg=10.0)).footprints
    assert sum(len(batch) for batch in found) == 1


@pytest.mark.parametrize(
    ("told", "azimuth_deg"),
    [(Choices(off_nadir_deg=30.5), 100.0), (Choices(off_nadir_deg=40.0), None), (Choices(), 100.0)],
    ids=["the same angle", "another angle", "nothing"],
)
def test_an_angle_alone_keeps_the_azimuth_that_maps_which_agree_have(
    tmp_path: Path, told: Choices, azimuth_deg: float | None
) -> None:
    scene = town(tmp_path / "a.tif")
    both = Choices(off_nadir_deg=30.0, azimuth_deg=100.0)
    run(Job((scene,), both, tmp_path / "o.gpkg", maps=tmp_path / "m.tif"))
    [batch] = [each for each in polygonize(tmp_path / "m.tif", told).footprints if len(each)]
    assert batch.source.look is not None
    assert batch.source.look.azimuth_deg == azimuth_deg


# ---------------------------------------------------------------- bounds and areas


@pytest.mark.parametrize("bounds", [(-np.inf, -np.inf, np.inf, np.inf), (np.nan,) * 4])
def test_bounds_that_are_no_numbers_are_refused_in_words(
    tmp_path: Path, bounds: tuple[float, float, float, float]
) -> None:
    with pytest.raises(UsageError, match="bounds must be four finite numbers"):
        run(Job((town(tmp_path / "a.tif"),), replace(LOOK, bounds=bounds), tmp_path / "o.gpkg",
                stop_at_error=True))  # fmt: skip


def areas(path: Path, *boxes: shapely.Polygon) -> Path:
    features = [
        {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(box)}
        for box in boxes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.mark.parametrize("reach_deg", [0.01, 3.0, 180.0])
def test_an_area_of_any_size_is_cut_to_the_scene(tmp_path: Path, reach_deg: float) -> None:
    scene = town(tmp_path / "a.tif")
    [lon_deg], [lat_deg] = transform("EPSG:32616", "EPSG:4326", [740016], [3719984])
    box = shapely.Point(lon_deg, lat_deg).buffer(reach_deg, cap_style="square")
    if reach_deg > 90:
        box = shapely.box(-180, -90, 180, 90)
    for name, part, houses in (
        ("around", box, 1),
        ("in pieces", box - shapely.Point(lon_deg, lat_deg + 2e-5).buffer(2e-4), 0),
        ("far", shapely.affinity.translate(box, -2 * reach_deg - 0.001), None),
    ):
        aoi = areas(tmp_path / f"{name}.geojson", part)
        job = Job((scene,), replace(LOOK, aoi=aoi), tmp_path / f"{name}.gpkg", stop_at_error=True)
        if houses is None and reach_deg > 90:
            continue  # nowhere is as far
        if houses is None:
            with pytest.raises(InputError, match="lies outside the scene"):
                run(job)
        else:
            assert run(job) == houses


# ---------------------------------------------------------------- shards


def test_a_shard_that_never_ran_is_missed_by_the_merge(tmp_path: Path) -> None:
    """With whole scenes for each shard, nothing in the parts tells of the other scenes."""
    job = Job(several(tmp_path), LOOK, tmp_path / "o.gpkg", shard=Shard(0, 2))
    run_job(job, BrightIsBuilding(), Silent())
    merging = Merge((job.parts_place,), tmp_path / "merged.gpkg", remove=True)
    with pytest.raises(InputError, match=r"1 of 2 scenes have no parts \(b, \.\.\.\)"):
        merge(merging, Silent())
    done = merge(replace(merging, allow_missing=True), Silent())
    assert (done.footprints, done.scenes, done.missing) == (1, 1, ["b, all parts"])
    assert job.parts_place.is_there(), "what is there may still be wanted"
    run_job(replace(job, shard=Shard(1, 2)), BrightIsBuilding(), Silent())
    whole = merge(replace(merging, overwrite=True), Silent())
    assert (whole.footprints, whole.scenes, whole.missing) == (2, 2, [])
    assert not job.parts_place.is_there(), "and the records of the job went with the parts"


def test_a_scene_that_a_shard_could_not_read_is_missed_by_the_merge(tmp_path: Path) -> None:
    scenes = (town(tmp_path / "a.tif"), SceneInput(str(tmp_path / "none.tif")))
    for number in range(2):
        run_job(Job(scenes, LOOK, tmp_path / "o.gpkg", shard=Shard(number, 2)),
                BrightIsBuilding(), Silent())  # fmt: skip
    place = FolderPlace(tmp_path / "o.gpkg.parts")
    with pytest.raises(InputError, match=r"1 of 2 scenes have no parts \(none, "):
        merge(Merge((place,), tmp_path / "merged.gpkg"), Silent())


def test_shards_in_places_of_their_own_and_parts_of_before_are_merged(tmp_path: Path) -> None:
    scenes = several(tmp_path)
    places = []
    for number in range(2):
        job = Job(scenes, LOOK, tmp_path / str(number) / "o.gpkg", shard=Shard(number, 2))
        job.output.parent.mkdir()
        run_job(job, BrightIsBuilding(), Silent())
        places.append(job.parts_place)
    both = Merge(tuple(places), tmp_path / "merged.gpkg")
    assert merge(both, Silent()).footprints == 2
    for record in (tmp_path / "0" / "o.gpkg.parts").glob("job-*.json"):
        record.write_text("{}")
    with pytest.raises(InputError, match=r"job-.*\.json is damaged"):
        merge(replace(both, overwrite=True), Silent())
    for record in tmp_path.glob("*/o.gpkg.parts/job-*.json"):
        record.unlink()
    one = Merge(tuple(places[:1]), tmp_path / "merged.gpkg", overwrite=True)
    assert merge(one, Silent()).scenes == 1, "stores of before know no more"
