"""Roofs and heights from a picture to the file, on every way: run, maps, shards, looks, scenes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from rasterio.crs import CRS

from helpers.cityjson import check_document, is_closed, points_of, volume_m3
from helpers.roofs import HOUSES, RoofMapper, maps_of, north_up_shift
from snet4_cli.polygonize import polygonize as polygonize_command
from snet4core.jobs.job import Job, Shard
from snet4core.jobs.merge import Merge
from snet4core.jobs.merge import merge as merge_parts
from snet4core.jobs.run import run_job
from snet4core.look.look import Look
from snet4core.parts.plan import Choices
from snet4core.progress import Silent
from snet4core.scene.inputs import SceneInput

SHAPE = (240, 240)
LOOK = Look(40.0, 73.0, "option")
MAPPER: Any = RoofMapper(maps_of(HOUSES, SHAPE, north_up_shift(LOOK, 0.5)))
CHOICES = Choices(off_nadir_deg=40.0, azimuth_deg=73.0, min_area_m2=0.0, min_confidence=0.0)
EAVES_M = sorted(house.eaves_m for house in HOUSES)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.tif"
    counts = np.full((4, *SHAPE), 300, np.uint16)
    with rasterio.open(
        path, "w", driver="GTiff", width=SHAPE[1], height=SHAPE[0], count=4, dtype="uint16",
        crs=CRS.from_epsg(32616), transform=Affine(0.5, 0, 499950, 0, -0.5, 3724689),
    ) as file:  # fmt: skip
        file.write(counts)
        file.descriptions = ("blue", "green", "red", "nir")
    return path


@pytest.fixture
def job(scene: Path, tmp_path: Path) -> Job:
    return Job((SceneInput(str(scene)),), CHOICES, tmp_path / "out.gpkg", stop_at_error=True)


def heights_m(path: Path, layer: str = "footprints") -> list[float]:
    with fiona.open(path, layer=layer) as opened:
        return sorted(feature.properties["height_m"] for feature in opened)


def layers(path: Path) -> list[str]:
    return [name for name in fiona.listlayers(path) if name != "layer_styles"]


def test_a_run_gives_both_layers_and_a_file_of_roofs(job: Job, tmp_path: Path) -> None:
    roofs = tmp_path / "roofs.geojson"
    assert run_job(replace(job, roofs_file=roofs), MAPPER, Silent()).footprints == len(HOUSES)
    assert heights_m(job.output) == heights_m(job.output, "roofs") == EAVES_M
    assert heights_m(roofs, "roofs") == EAVES_M


def test_no_roofs_and_a_least_height(job: Job) -> None:
    chosen = replace(CHOICES, roofs=False, height_min_m=10.0)
    run_job(replace(job, choices=chosen), MAPPER, Silent())
    assert layers(job.output) == ["footprints"]
    high = [height_m for height_m in EAVES_M if height_m >= 10.0]
    assert heights_m(job.output) == high
    with fiona.open(job.output, layer="footprints") as opened:
        numbers = [feature.properties["footprint_id"] for feature in opened]
    assert numbers == list(range(1, len(high) + 1))


def test_blocks_are_as_high_as_the_houses(job: Job, tmp_path: Path) -> None:
    path = tmp_path / "town.city.json"
    run_job(replace(job, output=path), MAPPER, Silent())
    document = json.loads(path.read_text(encoding="utf-8"))
    check_document(document)
    points_N3 = points_of(document)
    for building in document["CityObjects"].values():
        [geometry], facts = building["geometry"], building["attributes"]
        if facts["height_m"] == 0:
            assert geometry["lod"] == "0"
            continue
        assert is_closed(geometry)
        expected_m3 = facts["area_m2"] * facts["height_m"]
        assert volume_m3(geometry, points_N3) == pytest.approx(expected_m3, rel=2e-3)


def test_kept_maps_give_the_same_features(job: Job, tmp_path: Path) -> None:
    maps, again = tmp_path / "maps.tif", tmp_path / "again.gpkg"
    run_job(replace(job, maps=maps), MAPPER, Silent())
    options = ["--min-area", "0", "--min-confidence", "0"]
    done = CliRunner().invoke(polygonize_command, [str(maps), "-o", str(again), *options])
    assert done.exit_code == 0, done.output
    for layer in ("footprints", "roofs"):
        with fiona.open(job.output, layer=layer) as one, fiona.open(again, layer=layer) as other:
            assert [dict(f.properties) for f in one] == [dict(f.properties) for f in other]
            assert [f.geometry for f in one] == [f.geometry for f in other]
    high = ["--height-min", "10", "--no-roofs", "--roofs-file", str(tmp_path / "r.fgb")]
    done = CliRunner().invoke(
        polygonize_command, [str(maps), "-o", str(again), "--overwrite", *options, *high]
    )
    assert done.exit_code == 0, done.output
    assert layers(again) == ["footprints"]
    assert (
        heights_m(again)
        == heights_m(tmp_path / "r.fgb", "roofs")
        == [height_m for height_m in EAVES_M if height_m >= 10.0]
    )


def test_shards_are_merged_to_the_bytes_of_one_run(job: Job, tmp_path: Path) -> None:
    chosen = replace(job, choices=replace(CHOICES, height_min_m=10.0))
    whole = tmp_path / "whole.gpkg"
    run_job(replace(chosen, output=whole), MAPPER, Silent())
    for number in (1, 2):
        run_job(replace(chosen, shard=Shard(number, 2)), MAPPER, Silent())
    place, merged = job.parts_place, tmp_path / "merged.gpkg"
    merge_parts(Merge((place,), merged, height_min_m=10.0), Silent())
    assert merged.read_bytes() == whole.read_bytes()
    assert layers(merged) == ["footprints", "roofs"]
    bare = tmp_path / "bare.gpkg"
    merge_parts(Merge((place,), bare, roofs=False), Silent())
    assert layers(bare) == ["footprints"]
    assert heights_m(bare) == EAVES_M


def test_a_resumed_run_may_ask_for_another_least_height(job: Job, tmp_path: Path) -> None:
    for number in (1, 2):
        run_job(replace(job, shard=Shard(number, 2)), MAPPER, Silent())
    high = replace(job, resume=True, choices=replace(CHOICES, height_min_m=10.0))
    assert run_job(high, MAPPER, Silent()).footprints == sum(each >= 10 for each in EAVES_M)


@pytest.mark.parametrize("overlap", ["best-look", "fuse"])
def test_looks_at_one_place(job: Job, tmp_path: Path, overlap: Any) -> None:
    twice = tmp_path / "second.tif"
    twice.write_bytes(Path(job.inputs[0].location).read_bytes())
    inputs = (*job.inputs, SceneInput(str(twice)))
    chosen = replace(CHOICES, height_min_m=10.0)
    both = replace(job, inputs=inputs, overlap=overlap, choices=chosen)
    count = run_job(both, MAPPER, Silent()).footprints
    if overlap == "fuse":
        assert layers(job.output) == ["footprints"]
        assert count == len(HOUSES)  # nothing is known of their heights
    else:
        assert layers(job.output) == ["footprints", "roofs"]
        assert heights_m(job.output) == [each for each in EAVES_M if each >= 10.0]
