"""From picture to layer with a network whose answer is known: bright is building."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import fiona
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry import shape

from snet4core.errors import Cancelled, InputError, LookError, SomeScenesFailed, UsageError
from snet4core.footprints.footprints import Footprints
from snet4core.jobs.job import Job
from snet4core.jobs.run import run_job
from snet4core.layers.write import write_layer
from snet4core.look.look import Look
from snet4core.maps.maps import Maps
from snet4core.model.card import Architecture, Card, WindowSettings
from snet4core.model.header import Header
from snet4core.outlines import outline
from snet4core.outlines.regularize import RULE
from snet4core.parts.detect import detect
from snet4core.parts.plan import Choices, plan_for
from snet4core.parts.polygonize import polygonize
from snet4core.parts.work import SceneWork
from snet4core.progress import Silent
from snet4core.scene.inputs import SceneInput
from snet4core.windows import Tile, tiles

HOUSES = ((20, 30, 24, 40), (60, 50, 30, 30), (100, 120, 60, 20), (10, 150, 20, 20))
"""Row, column, height and width in pixels of 0.5 m."""

AT_30 = Choices(off_nadir_deg=30.0)


class BrightIsBuilding:
    """Stands where the network stands; its windows are small, so that houses cross them."""

    def __init__(self, core_px: int = 64) -> None:
        windows = WindowSettings(core_px, 32)
        card = Card("bright", Architecture(), windows, gsd_range_m=(0.3, 1.0))
        self.header = Header(Path("bright.safetensors"), card, "0" * 64)
        self.key, self.guesser, self.shapers, self.together = "exact", None, 1, 2

    def maps(
        self,
        read: Callable[..., tuple[NDArray[np.float32], NDArray[np.bool_]]],
        shape: tuple[int, int],
        look: Look,
        wanted: Iterable[Tile] | None = None,
        lean_px: tuple[float, float] | None = None,
    ) -> Iterator[Maps]:
        core_px = self.header.card.windows.core_px
        for tile in tiles(shape, core_px, 32, 32) if wanted is None else wanted:
            picture_CHW, valid_HW = read(tile)
            cut = tile.own.slices(tile.read)
            bright_HW = np.where(picture_CHW[1][cut] > 0.5, 230, 10).astype(np.uint8)
            yield Maps(tile.own, bright_HW, np.zeros_like(bright_HW), valid_HW[cut])


def write_scene(path: Path, crs: str = "EPSG:32616", gsd: float = 0.5, x: float = 740000) -> Path:
    """Four bright houses on dark ground, uint16, B G R NIR."""
    counts = np.full((4, 180, 200), 300, dtype=np.uint16)
    for row, col, height, width in HOUSES:
        counts[:, row : row + height, col : col + width] = 900
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=4,
        height=180,
        width=200,
        dtype="uint16",
        crs=crs,
        transform=Affine(gsd, 0, x, 0, -gsd, 3720000),
    ) as file:
        file.write(counts)
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "town.tif")


def found_in(scene: Path, choices: Choices = AT_30, core_px: int = 64) -> list[Footprints]:
    return list(detect(scene, BrightIsBuilding(core_px), choices).footprints)


def polygons(batches: list[Footprints]) -> list[shapely.Polygon]:
    return [polygon for batch in batches for polygon in batch.polygons_N]


def test_four_houses_are_four_footprints_where_they_stand(scene: Path) -> None:
    expected = [
        shapely.box(
            740000 + col * 0.5,
            3720000 - (row + height) * 0.5,
            740000 + (col + width) * 0.5,
            3720000 - row * 0.5,
        )
        for row, col, height, width in sorted(HOUSES)
    ]
    found = polygons(found_in(scene))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.intersection(other).area / one.union(other).area > 0.999


def test_every_feature_says_its_look_and_where_it_was_read(scene: Path) -> None:
    (batch,) = found_in(scene, Choices(off_nadir_deg=42.5, azimuth_deg=20.0))
    columns = batch.columns()
    assert set(columns["off_nadir_deg"]) == {42.5}
    assert set(columns["azimuth_deg"]) == {20.0}
    assert set(columns["look"]) == {"very-off-nadir"}
    assert set(columns["look_source"]) == {"option"}
    assert set(columns["scene"]) == {"town"}
    assert columns["footprint_id"] == [1, 2, 3, 4]


@pytest.mark.parametrize("core_px", [32, 96, 1024])
def test_the_windows_leave_no_trace(scene: Path, core_px: int) -> None:
    one, other = polygons(found_in(scene)), polygons(found_in(scene, core_px=core_px))
    assert [a.wkb for a in one] == [b.wkb for b in other]


@pytest.mark.parametrize("block_px", [16, 50, 64, 4096])
def test_stored_maps_give_exactly_the_features_of_the_run(
    scene: Path, tmp_path: Path, block_px: int
) -> None:
    maps = tmp_path / "maps.tif"
    run = list(detect(scene, BrightIsBuilding(), AT_30, save_maps=maps).footprints)
    again = list(polygonize(maps, block_px=block_px).footprints)
    assert [a.wkb for a in polygons(run)] == [b.wkb for b in polygons(again)]
    assert [a.columns() for a in run] == [b.columns() for b in again]


def test_another_threshold_needs_no_second_inference(scene: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps.tif"
    list(detect(scene, BrightIsBuilding(), AT_30, save_maps=maps).footprints)
    assert len(polygons(list(polygonize(maps).footprints))) == 4
    nothing = list(polygonize(maps, Choices(threshold=0.95)).footprints)
    assert len(polygons(nothing)) == 0


@pytest.mark.parametrize(
    ("choices", "look"),
    [
        (Choices(), Look(30.0, 20.0, "option")),
        (Choices(azimuth_deg=200.0), Look(30.0, 200.0, "option")),
        (Choices(off_nadir_deg=40.0), Look(40.0, None, "option")),
        (Choices(off_nadir_deg=40.0, azimuth_deg=200.0), Look(40.0, 200.0, "option")),
    ],
)
def test_options_take_the_place_of_the_look_in_stored_maps(
    scene: Path, tmp_path: Path, choices: Choices, look: Look
) -> None:
    maps = tmp_path / "maps.tif"
    seen = Choices(off_nadir_deg=30.0, azimuth_deg=20.0)
    list(detect(scene, BrightIsBuilding(), seen, save_maps=maps).footprints)
    found = polygonize(maps, choices)
    assert found.source.look == look
    assert [batch.source.look for batch in found.footprints] == [look]


def test_maps_that_are_not_read_to_their_end_leave_no_file(scene: Path, tmp_path: Path) -> None:
    found = detect(scene, BrightIsBuilding(), AT_30, save_maps=tmp_path / "maps.tif")
    del found
    assert [each.name for each in tmp_path.iterdir()] == ["town.tif"]


def test_bounds_and_area_of_interest_limit_what_is_found(scene: Path, tmp_path: Path) -> None:
    box = (740000.0, 3719950.0, 740040.0, 3720000.0)
    (inside,) = found_in(scene, Choices(off_nadir_deg=30, bounds=box))
    assert len(inside) == 2
    area = tmp_path / "area.geojson"
    with fiona.open(
        area,
        "w",
        driver="GeoJSON",
        crs="EPSG:32616",
        schema={"geometry": "Polygon", "properties": {}},
    ) as layer:
        layer.write({"geometry": shapely.geometry.mapping(shapely.box(*box)), "properties": {}})
    (also,) = found_in(scene, Choices(off_nadir_deg=30, aoi=area))
    for one, other in zip(inside.polygons_N, also.polygons_N, strict=True):
        assert one.symmetric_difference(other).area < 1.0
    with pytest.raises(InputError, match="outside the scene"):
        found_in(scene, Choices(off_nadir_deg=30, bounds=(0, 0, 1, 1)))


@pytest.mark.parametrize("regularize", [True, False])
def test_right_angles_know_how_wide_a_pixel_is_on_the_ground(
    regularize: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 55 degrees north a pixel of a picture in degrees is half as wide as high, nearly."""
    path, seen = tmp_path / "a.tif", set[float]()
    counts_BHW = np.full((4, 120, 120), 300, np.uint16)
    counts_BHW[:, 40:80, 30:90] = 900
    place = Affine(5e-6, 0, 15, 0, -5e-6, 55)
    with rasterio.open(path, "w", driver="GTiff", count=4, height=120, width=120, dtype="uint16",
                       crs="EPSG:4326", transform=place) as file:  # fmt: skip
        file.write(counts_BHW)
    drawn = outline.outlines
    monkeypatch.setattr(outline, "outlines", lambda *given: seen.add(given[-1]) or drawn(*given))
    choices = replace(AT_30, regularize=regularize)
    assert len(polygons(found_in(path, choices))) == 1
    (aspect,) = seen
    assert aspect == pytest.approx(0.576 if regularize else 1.0, abs=0.002)
    facts = SceneWork(plan_for(path, BrightIsBuilding().header, choices)).facts("exact")
    told = f"True, rule {RULE}, aspect {aspect!r}" if regularize else "False"
    assert facts["regularize"] == told


def test_a_scene_of_tiny_pixels_is_looked_at_coarser(tmp_path: Path) -> None:
    fine = write_scene(tmp_path / "fine.tif", gsd=0.125)
    found = detect(fine, BrightIsBuilding(), replace(AT_30, min_area_m2=1.0))
    assert found.plan.grid.gsd_m == pytest.approx(0.5, rel=0.01)
    assert len(polygons(list(found.footprints))) == 4


def test_areas_are_true_ground_areas_in_any_unit(tmp_path: Path) -> None:
    metres = found_in(write_scene(tmp_path / "m.tif"))[0].area_m2_N
    foot_m, x_feet = 1200 / 3937, 2_296_583  # on Georgia West's central meridian
    feet = found_in(write_scene(tmp_path / "ft.tif", "EPSG:2240", 0.5 / foot_m, x_feet))
    assert metres == pytest.approx(sorted_areas(), rel=2e-3)
    assert feet[0].area_m2_N == pytest.approx(sorted_areas(), rel=2e-3)


def sorted_areas() -> list[float]:
    return [height * width * 0.25 for _, _, height, width in sorted(HOUSES)]


def test_no_angle_is_an_error_that_names_the_option(scene: Path) -> None:
    with pytest.raises(LookError, match=r"town\.tif.*--off-nadir"):
        detect(scene, BrightIsBuilding(), Choices())


class StopAfter(Silent):
    def __init__(self, steps: int) -> None:
        self.left = steps
        self.seen: list[float] = []

    def step(self, done: float, total: float, what: str) -> None:
        self.seen.append(done / total)
        self.left -= 1

    def cancelled(self) -> bool:
        return self.left < 0


def test_progress_never_goes_back_and_ends_at_one(scene: Path) -> None:
    watcher = StopAfter(10_000)
    list(detect(scene, BrightIsBuilding(), AT_30, watcher).footprints)
    assert watcher.seen == sorted(watcher.seen)
    assert watcher.seen[-1] == pytest.approx(1.0)


def test_a_cancelled_run_writes_nothing(scene: Path, tmp_path: Path) -> None:
    found = detect(scene, BrightIsBuilding(), AT_30, StopAfter(3))
    with pytest.raises(Cancelled):
        write_layer(tmp_path / "out.gpkg", found.footprints, found.plan.grid.crs)
    assert [each.name for each in tmp_path.iterdir()] == ["town.tif"]


def job(tmp_path: Path, *scenes: Path, **more: object) -> Job:
    inputs = tuple(SceneInput(str(each)) for each in scenes)
    return Job(inputs, AT_30, tmp_path / "out.gpkg", **more)  # type: ignore[arg-type]


def test_one_bad_scene_does_not_stop_the_good_ones(scene: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tif"
    bad.write_text("<html>404</html>")
    second = write_scene(tmp_path / "second.tif")
    done = run_job(job(tmp_path, bad, scene, second), BrightIsBuilding(), Silent())
    assert done.footprints == 8
    assert list(done.failed) == [str(bad)]
    with fiona.open(tmp_path / "out.gpkg") as layer:
        assert {feature.properties["scene"] for feature in layer} == {"town", "second"}
        assert all(shape(feature.geometry).is_valid for feature in layer)


def test_several_scenes_under_way_leave_no_trace(tmp_path: Path) -> None:
    scenes = [write_scene(tmp_path / f"{name}.tif", x=740000 + 500 * at)
              for at, name in enumerate("abcdef")]  # fmt: skip
    layers_of = {}
    for together in (1, 2, 4):
        network = BrightIsBuilding()
        network.together = together
        (tmp_path / str(together)).mkdir()
        several = job(tmp_path / str(together), *scenes)
        run_job(several, network, Silent())
        layers_of[together] = several.output.read_bytes()
    assert layers_of[1] == layers_of[2] == layers_of[4]


def test_a_scene_in_another_crs_is_named_and_left_out(scene: Path, tmp_path: Path) -> None:
    other = write_scene(tmp_path / "zone17.tif", "EPSG:32617")
    done = run_job(job(tmp_path, scene, other), BrightIsBuilding(), Silent())
    assert done.footprints == 4
    assert "EPSG:32617" in done.failed[str(other)]


def test_when_all_scenes_fail_nothing_is_written(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        (tmp_path / name).write_text("nothing")
    with pytest.raises(SomeScenesFailed, match="All 2 scenes failed"):
        run_job(job(tmp_path, tmp_path / "a.tif", tmp_path / "b.tif"), BrightIsBuilding(), Silent())
    assert not (tmp_path / "out.gpkg").exists()


def test_maps_of_several_scenes_go_into_a_folder(scene: Path, tmp_path: Path) -> None:
    second = write_scene(tmp_path / "second.tif")
    with pytest.raises(UsageError, match="folder"):
        job(tmp_path, scene, second, maps=tmp_path / "maps.tif").check_places()
    folder = tmp_path / "maps"
    folder.mkdir()
    both = job(tmp_path, scene, second, maps=folder)
    both.check_places()
    run_job(both, BrightIsBuilding(), Silent())
    assert sorted(each.name for each in folder.iterdir()) == ["second_maps.tif", "town_maps.tif"]


def test_the_same_run_gives_the_same_bytes(scene: Path, tmp_path: Path) -> None:
    for name in ("a.gpkg", "b.gpkg"):
        found = detect(scene, BrightIsBuilding(), AT_30)
        write_layer(tmp_path / name, found.footprints, found.plan.grid.crs, found.plan.description)
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()
