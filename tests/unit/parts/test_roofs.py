"""A model of five maps, from the picture to the table: run, stores, workers, stored maps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window as RasterioWindow

from snet4core.errors import InputError
from snet4core.footprints.footprints import Footprints, concatenated, to_arrays
from snet4core.jobs.job import Job
from snet4core.look.look import Look
from snet4core.maps.file import open_maps
from snet4core.maps.maps import Maps
from snet4core.parts import file as partfile
from snet4core.parts.detect import detect
from snet4core.parts.part import finish, lost, merged
from snet4core.parts.plan import Choices, plan_for
from snet4core.parts.polygonize import polygonize
from snet4core.parts.store import FolderPlace, opened
from snet4core.parts.work import SceneWork
from snet4core.scene.inputs import SceneInput
from tests.helpers.roofs import HEADER, HOUSES, RoofMapper, maps_of, north_up_shift

SHAPE = (240, 240)
LOOK = Look(40.0, 155.0, "option")
PLAIN = replace(HEADER, card=replace(HEADER.card, architecture=type(HEADER.card.architecture)()))
"""Of a model that maps footprints alone."""

CHOICES = Choices(off_nadir_deg=40.0, azimuth_deg=155.0)


def ragged() -> Maps:
    """Houses with ragged edges, over the seams of windows and parts."""
    clean = maps_of(HOUSES, SHAPE, north_up_shift(LOOK, 0.5))
    noise_HW = np.random.default_rng(2).random(SHAPE)
    layers = [np.where(noise_HW < 0.95, each, each // 3) for each in clean.layers]
    return Maps.of(clean.window, layers, clean.valid_HW)


def picture(path: Path) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", count=4, height=SHAPE[0], width=SHAPE[1], dtype="uint16",
        crs="EPSG:32616", transform=Affine(0.5, 0, 499950, 0, -0.5, 3724689),
    ) as file:  # fmt: skip
        file.write(np.full((4, *SHAPE), 500, np.uint16))
    return path


def told(batches: Any) -> dict[str, bytes]:
    batches = list(batches)
    table: Footprints = concatenated(batches[0].source, batches)
    return {name: array.tobytes() for name, array in to_arrays(table).items()}


def test_a_run_gives_heights_and_roofs_and_stored_maps_give_the_same_again(tmp_path: Path) -> None:
    scene, maps = picture(tmp_path / "town.tif"), tmp_path / "maps.tif"
    stream = detect(scene, RoofMapper(ragged()), CHOICES, save_maps=maps)  # type: ignore[arg-type]
    found = told(stream.footprints)
    assert "roof.px.wkb" in found
    with rasterio.open(maps) as file:
        assert file.descriptions == ("footprint", "border", "roof", "roof_border", "height")
    for block_px in (256, 4096):
        assert told(polygonize(maps, block_px=block_px).footprints) == found
    other = told(polygonize(maps, Choices(footprints_from="maps")).footprints)
    assert "height_m" not in other


@pytest.mark.parametrize("angle_deg", [41.0, 46.0])
def test_an_azimuth_that_another_angle_leaves_out_is_told(tmp_path: Path, angle_deg: float) -> None:
    scene, maps = picture(tmp_path / "town.tif"), tmp_path / "maps.tif"
    mapper: Any = RoofMapper(ragged())  # no Predictor, but called like one
    assert list(detect(scene, mapper, CHOICES, save_maps=maps).footprints)
    done = polygonize(maps, Choices(off_nadir_deg=angle_deg))
    dropped = done.source.look is not None and done.source.look.azimuth_deg is None
    assert dropped is (angle_deg == 46.0)
    assert [("--azimuth too (155" in each) for each in done.warnings] == [True] * dropped
    both = Choices(off_nadir_deg=angle_deg, azimuth_deg=155.0)
    assert not polygonize(maps, both).warnings


def test_bands_of_stored_maps_are_found_by_their_names(tmp_path: Path) -> None:
    scene, maps = picture(tmp_path / "town.tif"), tmp_path / "maps.tif"
    stream = detect(scene, RoofMapper(ragged()), CHOICES, save_maps=maps)  # type: ignore[arg-type]
    found = told(stream.footprints)
    turned = tmp_path / "turned.tif"
    order = (5, 3, 1, 2, 4)
    with rasterio.open(maps) as one, rasterio.open(turned, "w", **one.profile) as two:
        two.update_tags(**one.tags())
        for band, source in enumerate(order, 1):
            two.write(one.read(source), band)
            two.set_band_description(band, one.descriptions[source - 1])
        two.write_mask(one.read_masks(1, window=RasterioWindow(0, 0, *SHAPE[::-1])))
    assert open_maps(turned).has_roofs
    assert told(polygonize(turned).footprints) == found


def test_kept_parts_give_the_bytes_of_a_run_in_one_go(tmp_path: Path) -> None:
    scene, mapper = picture(tmp_path / "town.tif"), RoofMapper(ragged())
    whole = told(detect(scene, mapper, CHOICES).footprints)  # type: ignore[arg-type]
    place = FolderPlace(tmp_path / "parts")
    work = SceneWork(plan_for(SceneInput(str(scene)), HEADER, CHOICES))
    with opened(place) as store:
        shelf = work.folder_shelf(store, mapper)  # type: ignore[arg-type]
        for part, result in work.computed(work.parts[:5], mapper):  # type: ignore[arg-type]
            shelf.put(part, result)
        assert len(shelf.here()) == 5
        again = detect(scene, mapper, CHOICES, store=store)  # type: ignore[arg-type]
        assert told(again.footprints) == whole


def test_processes_that_shape_give_the_same_bytes(tmp_path: Path) -> None:
    scene, mapper = picture(tmp_path / "town.tif"), RoofMapper(ragged())
    whole = told(detect(scene, mapper, CHOICES).footprints)  # type: ignore[arg-type]
    mapper.shapers = 2
    assert told(detect(scene, mapper, CHOICES).footprints) == whole  # type: ignore[arg-type]


def test_a_part_is_the_same_after_it_was_kept(tmp_path: Path) -> None:
    scene, mapper = picture(tmp_path / "town.tif"), RoofMapper(ragged())
    work = SceneWork(plan_for(SceneInput(str(scene)), HEADER, CHOICES), keep_maps=True)
    results = []
    for _, result in work.computed(work.parts, mapper):  # type: ignore[arg-type]
        stored = partfile.to_bytes(result, "0" * 64)
        results.append(partfile.from_bytes(stored, "0" * 64, work.plan.source))
        assert partfile.to_bytes(results[-1], "0" * 64) == stored
        assert results[-1].maps[0].roofs is not None
    whole = told(detect(scene, mapper, CHOICES).footprints)  # type: ignore[arg-type]
    assert told(merged(results[::-1], work.shaping)) == whole


def test_a_part_that_no_worker_computed_counts_as_no_data(tmp_path: Path) -> None:
    scene, mapper = picture(tmp_path / "town.tif"), RoofMapper(ragged())
    work = SceneWork(plan_for(SceneInput(str(scene)), HEADER, CHOICES))
    results = [result for _, result in work.computed(work.parts[1:], mapper)]  # type: ignore[arg-type]
    results.append(lost(work.parts[0], work.shaping))
    assert "height_m" in told(merged(results, work.shaping))


def test_a_choice_takes_footprints_from_their_maps_and_is_a_fact_of_the_parts(
    tmp_path: Path,
) -> None:
    scene = SceneInput(str(picture(tmp_path / "town.tif")))
    roofs = SceneWork(plan_for(scene, HEADER, CHOICES))
    maps = SceneWork(plan_for(scene, HEADER, replace(CHOICES, footprints_from="maps")))
    assert roofs.plan.source.has_roofs
    assert not maps.plan.source.has_roofs
    assert roofs.facts("exact")["footprints from"] == "roofs"
    assert maps.facts("exact")["footprints from"] == "maps"
    without = SceneWork(plan_for(scene, PLAIN, CHOICES)).facts("exact")
    assert "footprints from" not in without


def test_other_footprints_from_roofs_end_no_run_of_a_model_without_roofs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = SceneInput(str(picture(tmp_path / "town.tif")))
    works = [SceneWork(plan_for(scene, each, CHOICES)) for each in (HEADER, PLAIN)]
    before = [work.facts("exact") for work in works]
    monkeypatch.setattr("snet4core.parts.work.ROOFS_FORMAT", 99)
    roofs, without = (work.facts("exact") for work in works)
    assert roofs != before[0]
    assert without == before[1]


def test_a_model_without_roofs_gives_no_footprints_from_roofs(tmp_path: Path) -> None:
    scene = SceneInput(str(picture(tmp_path / "town.tif")))
    with pytest.raises(InputError, match="maps no roofs; take the footprints from its maps"):
        plan_for(scene, PLAIN, replace(CHOICES, footprints_from="roofs"))


def test_looks_that_are_fused_have_no_roofs_in_common() -> None:
    job = Job((), CHOICES, Path("out.gpkg"), overlap="fuse")
    assert job.scene_choices.footprints_from == "maps"
    assert replace(job, overlap="best-look").scene_choices == CHOICES


def test_blocks_in_any_order_join_the_same_roofs(tmp_path: Path) -> None:
    scene, mapper = picture(tmp_path / "town.tif"), RoofMapper(ragged())
    work = SceneWork(plan_for(SceneInput(str(scene)), HEADER, CHOICES))
    whole = told(detect(scene, mapper, CHOICES).footprints)  # type: ignore[arg-type]
    maps = ragged()
    shuffled = [
        finish(part, [maps.part(tile.own) for tile in part.tiles], work.shaping)
        for part in work.parts
    ]
    order = np.random.default_rng(1).permutation(len(shuffled))
    assert told(merged([shuffled[index] for index in order], work.shaping)) == whole
