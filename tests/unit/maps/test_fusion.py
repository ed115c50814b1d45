"""Several looks at one place: laid together, weighted, and which speaks for which ground."""

from __future__ import annotations

from pathlib import Path

import fiona
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy import ndimage
from shapely.geometry import shape

from helpers.bright import Bright
from snet4core.errors import InputError, UsageError
from snet4core.grid import Grid
from snet4core.jobs.job import Done, Job, Overlap, Shard
from snet4core.jobs.per_scene import each_scene, open_jobs, run_each
from snet4core.jobs.run import run_job
from snet4core.look.look import Look
from snet4core.maps import file as mapsfile
from snet4core.maps import fusion
from snet4core.maps.fusion import LookMaps, RegisteredLook
from snet4core.maps.maps import Maps
from snet4core.parts.plan import Choices
from snet4core.progress import Silent
from snet4core.scene.inputs import SceneInput
from snet4core.windows import Window

UTM = CRS.from_epsg(32616)


def grid_at(row: int = 0, col: int = 0, size: tuple[int, int] = (120, 140)) -> Grid:
    """A grid on one lattice of half-metre pixels."""
    return Grid(size, Affine(0.5, 0, 740000 + 0.5 * col, 0, -0.5, 3720000 - 0.5 * row), UTM)


def town(seed: int, size: tuple[int, int] = (160, 180)) -> NDArray[np.uint8]:
    field_HW = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=size), 3)
    return np.where(field_HW > 0.06, 230, 20).astype(np.uint8)


def kept(
    folder: Path,
    name: str,
    footprint_HW: NDArray[np.uint8],
    *,
    tilt_deg: float = 10.0,
    grid: Grid | None = None,
    valid_HW: NDArray[np.bool_] | None = None,
) -> LookMaps:
    """A file of maps of one look."""
    grid = grid or grid_at(size=(footprint_HW.shape[0], footprint_HW.shape[1]))
    valid_HW = np.ones(grid.shape, np.bool_) if valid_HW is None else valid_HW
    maps = Maps(Window(0, 0, *grid.shape), footprint_HW, footprint_HW // 3, valid_HW)
    path = folder / f"{name}.tif"
    with mapsfile.writing(path, grid, mapsfile.MapsOrigin(name)) as write:
        write(maps)
    return LookMaps(path, grid, Look(tilt_deg, None, "option"), name)


def whole(laid: list[RegisteredLook], frame: Grid) -> Maps:
    (maps,) = fusion.fused(laid, frame)
    return maps


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_equal_looks_fuse_to_themselves(tmp_path: Path, copies: int) -> None:
    levels = np.clip(town(1), 3, 252)
    looks = [kept(tmp_path, f"n{n}", levels, tilt_deg=5.0 * n) for n in range(copies)]
    laid = fusion.registered(looks)
    assert {each.shift_px for each in laid} == {(0, 0)}
    maps = whole(laid, fusion.common_grid(looks))
    is_house = levels > 128
    assert np.array_equal(maps.footprint_HW > 128, is_house)
    assert np.abs(maps.footprint_HW.astype(int) - levels)[is_house].max() <= 1
    assert np.array_equal(maps.border_HW, levels // 3)
    assert maps.valid_HW.all()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(-fusion.REACH_PX, fusion.REACH_PX),
    cols=st.integers(-fusion.REACH_PX, fusion.REACH_PX),
    seed=st.integers(0, 50),
)
def test_a_shift_is_found_to_the_pixel(tmp_path: Path, rows: int, cols: int, seed: int) -> None:
    """The other look's transform is wrong by so many pixels; its pixels are right."""
    ground_HW = town(seed)
    best = kept(tmp_path, "best", ground_HW[20:140, 20:160])
    rng = np.random.default_rng(seed)
    noise_HW = rng.integers(-20, 20, best.grid.shape)
    seen_HW = ground_HW[20 + rows : 140 + rows, 20 + cols : 160 + cols]
    blurred_HW = np.clip(seen_HW + noise_HW, 0, 255).astype(np.uint8)
    other = kept(tmp_path, "other", blurred_HW, tilt_deg=30)
    assert fusion.shift_px(best, other, best.grid) == (rows, cols)
    maps = whole(fusion.registered([other, best]), best.grid)
    inner = (slice(12, -12), slice(12, -12))
    truth_HW = (ground_HW[20:140, 20:160] > 128)[inner]
    assert ((maps.footprint_HW > 128)[inner] == truth_HW).mean() > 0.999


def test_looks_without_anything_in_common_are_not_moved(tmp_path: Path) -> None:
    empty = np.full((120, 140), 10, np.uint8)
    one, other = kept(tmp_path, "a", empty), kept(tmp_path, "b", empty)
    assert fusion.shift_px(one, other, one.grid) == (0, 0)


def test_independent_errors_cancel_out(tmp_path: Path) -> None:
    truth_HW = town(3)[:120, :140] > 128
    rng = np.random.default_rng(8)
    looks, shares = [], []
    for number in range(5):
        wrong_HW = ndimage.gaussian_filter(rng.normal(size=truth_HW.shape), 2) > 0.13
        seen_HW = np.where(truth_HW ^ wrong_HW, 200, 60).astype(np.uint8)
        shares.append(((seen_HW > 128) == truth_HW).mean())
        looks.append(kept(tmp_path, f"n{number}", seen_HW, tilt_deg=10))
    laid = [RegisteredLook(each, 1.0, (0, 0)) for each in looks]
    maps = whole(laid, looks[0].grid)
    assert ((maps.footprint_HW > 128) == truth_HW).mean() > max(shares) + 0.05


def test_the_order_of_the_looks_plays_no_part(tmp_path: Path) -> None:
    looks = [kept(tmp_path, f"n{n}", town(n)[:120, :140], tilt_deg=40 - 9 * n) for n in range(4)]
    frame = fusion.common_grid(looks)
    one = whole(fusion.registered(looks), frame)
    other = whole(fusion.registered(looks[::-1]), fusion.common_grid(looks[::-1]))
    assert np.array_equal(one.footprint_HW, other.footprint_HW)
    assert np.array_equal(one.border_HW, other.border_HW)


def test_ground_that_one_look_lacks_is_taken_from_the_others(tmp_path: Path) -> None:
    ground_HW = town(5)[:120, :140]
    valid_HW = np.ones(ground_HW.shape, np.bool_)
    valid_HW[:, :70] = False
    best = kept(tmp_path, "best", np.where(valid_HW, ground_HW, 0), valid_HW=valid_HW)
    other = kept(tmp_path, "other", ground_HW, tilt_deg=40)
    maps = whole([RegisteredLook(best, 1.0, (0, 0)), RegisteredLook(other, 0.1, (0, 0))], best.grid)
    assert maps.valid_HW.all()
    assert np.array_equal(maps.footprint_HW > 128, ground_HW > 128)


def test_the_common_grid_keeps_the_best_looks_pixels_and_holds_every_look(tmp_path: Path) -> None:
    flat = np.full((40, 50), 9, np.uint8)
    best = kept(tmp_path, "best", flat, grid=grid_at(10, 20, (40, 50)))
    other = kept(tmp_path, "other", flat, grid=grid_at(-5, 30, (40, 50)), tilt_deg=30)
    frame = fusion.common_grid([other, best])
    assert frame.shape == (55, 60)
    offset = best.grid.to_pixels(frame.to_map(np.array([[0.0, 0.0]])))
    assert offset == pytest.approx(np.array([[0.0, -15.0]]), abs=1e-6)


def test_a_less_tilted_look_counts_more(tmp_path: Path) -> None:
    yes, no = np.full((40, 50), 200, np.uint8), np.full((40, 50), 55, np.uint8)
    looks = [kept(tmp_path, "best", yes, tilt_deg=5), kept(tmp_path, "side", no, tilt_deg=45)]
    maps = whole(fusion.registered(looks), looks[0].grid)
    assert (maps.footprint_HW > 128).all()


def test_looks_in_different_crs_are_refused(tmp_path: Path) -> None:
    flat = np.full((40, 50), 9, np.uint8)
    other = Grid((40, 50), grid_at().transform, CRS.from_epsg(32617))
    looks = [kept(tmp_path, "a", flat), kept(tmp_path, "b", flat, grid=other)]
    with pytest.raises(InputError, match="different CRS"):
        fusion.registered(looks)


# --- Through the whole job ---


def written(path: Path, ground_HW: NDArray[np.uint8], row: int, col: int, hidden: int = 0) -> Path:
    import rasterio

    counts_HW = np.where(ground_HW > 128, 900, 300).astype(np.uint16)
    counts_HW[:, :hidden] = 0
    grid = grid_at(row, col, (ground_HW.shape[0], ground_HW.shape[1]))
    with rasterio.open(
        path, "w", driver="GTiff", count=4, height=grid.shape[0], width=grid.shape[1],
        dtype="uint16", crs=UTM, transform=grid.transform, nodata=0,
    ) as file:  # fmt: skip
        file.write(np.stack([counts_HW] * 4))
    return path


def houses() -> NDArray[np.uint8]:
    """Twelve houses, none of them at an edge or beside the column 80."""
    ground_HW = np.zeros((100, 160), np.uint8)
    for row in (10, 40, 70):
        for col in (12, 45, 95, 130):
            ground_HW[row : row + 16, col : col + 18] = 255
    return ground_HW


def job_of(folder: Path, overlap: Overlap, **more: object) -> tuple[Job, Done]:
    """Two scenes of the same ground at 12 and 35 degrees; the first sees only the right half."""
    written(folder / "steep_nadir35.tif", houses(), 0, 0)
    written(folder / "upright_nadir12.tif", houses(), 0, 0, hidden=80)
    scenes = tuple(SceneInput(str(path)) for path in sorted(folder.glob("*nadir*.tif")))
    job = Job(scenes, Choices(), folder / "o.gpkg", overlap=overlap, **more)  # type: ignore[arg-type]
    job.check_places()
    return job, run_job(job, Bright(), Silent())  # type: ignore[arg-type]


def features(path: Path) -> list[tuple[str, int, shapely.Polygon]]:
    with fiona.open(path) as layer:
        return [
            (f.properties["scene"], f.properties["footprint_id"], shape(f.geometry)) for f in layer
        ]


def test_keep_gives_every_scenes_footprints(tmp_path: Path) -> None:
    job, _ = job_of(tmp_path, "keep")
    assert len(features(job.output)) == 12 + 6


def test_best_look_gives_each_house_once_from_the_least_tilted_scene_that_sees_it(
    tmp_path: Path,
) -> None:
    job, done = job_of(tmp_path, "best-look")
    found = features(job.output)
    assert sorted(scene for scene, _, _ in found) == ["steep_nadir35"] * 6 + ["upright_nadir12"] * 6
    assert sorted(done.found.values()) == [6, 6]
    for name in ("steep_nadir35", "upright_nadir12"):
        assert [number for scene, number, _ in found if scene == name] == [1, 2, 3, 4, 5, 6]
    middles = {(round(p.centroid.x), round(p.centroid.y)) for _, _, p in found}
    assert len(middles) == 12


def test_fuse_gives_each_house_once_under_the_name_of_the_best_look(tmp_path: Path) -> None:
    job, done = job_of(tmp_path, "fuse")
    found = features(job.output)
    assert [scene for scene, _, _ in found] == ["upright_nadir12"] * 12
    assert [number for _, number, _ in found] == list(range(1, 13))
    assert sum(done.found.values()) == 12
    assert {path.suffix for path in tmp_path.iterdir()} == {".tif", ".gpkg"}


def test_fuse_leaves_scenes_of_other_ground_alone(tmp_path: Path) -> None:
    written(tmp_path / "far_nadir20.tif", houses(), 5000, 5000)
    job, _ = job_of(tmp_path, "fuse")
    scenes = [scene for scene, _, _ in features(job.output)]
    assert sorted(set(scenes)) == ["far_nadir20", "upright_nadir12"]
    assert len(scenes) == 24


@pytest.mark.parametrize("overlap", ["best-look", "fuse"])
def test_resumed_runs_and_kept_maps_change_nothing(tmp_path: Path, overlap: Overlap) -> None:
    for name in ("plain", "kept"):
        (tmp_path / name).mkdir()
    plain, _ = job_of(tmp_path / "plain", overlap)
    (tmp_path / "kept" / "maps").mkdir()
    other, _ = job_of(tmp_path / "kept", overlap, resume=True, maps=tmp_path / "kept" / "maps")
    one, two = features(plain.output), features(other.output)
    assert [(s, n, p.wkb) for s, n, p in one] == [(s, n, p.wkb) for s, n, p in two]
    assert len(list((tmp_path / "kept" / "maps").iterdir())) == 2
    assert not other.parts_place.is_there()


# --- One file for each scene ---


def two_scenes(folder: Path) -> tuple[SceneInput, ...]:
    for name, row in (("a", 0), ("b", 500)):
        written(folder / f"{name}_nadir20.tif", houses(), row, 0)
    return tuple(SceneInput(str(path)) for path in sorted(folder.glob("*.tif")))


def test_one_file_for_each_scene_holds_what_a_run_of_that_scene_gives(tmp_path: Path) -> None:
    scenes = two_scenes(tmp_path)
    job = Job(scenes, Choices(), tmp_path / "{scene}.gpkg")
    done = run_each(each_scene(job), Bright(), Silent())  # type: ignore[arg-type]
    assert done.footprints == 24
    alone = Job(scenes[:1], Choices(), tmp_path / "alone.gpkg")
    run_job(alone, Bright(), Silent())  # type: ignore[arg-type]
    assert (tmp_path / "a_nadir20.gpkg").read_bytes() == alone.output.read_bytes()


def test_a_bad_scene_does_not_stop_the_files_of_the_others(tmp_path: Path) -> None:
    scenes = two_scenes(tmp_path)
    Path(scenes[0].location).write_text("<html>404</html>")
    job = Job(scenes, Choices(), tmp_path / "{scene}.gpkg")
    done = run_each(each_scene(job), Bright(), Silent())  # type: ignore[arg-type]
    assert list(done.failed) == [scenes[0].location]
    assert [path.name for path in tmp_path.glob("*.gpkg")] == ["b_nadir20.gpkg"]


def test_finished_files_are_not_computed_again_on_resume(tmp_path: Path) -> None:
    job = Job(two_scenes(tmp_path), Choices(), tmp_path / "{scene}.gpkg", resume=True)
    jobs = each_scene(job)
    run_each(jobs[:1], Bright(), Silent())  # type: ignore[arg-type]
    assert open_jobs(jobs) == jobs[1:]


def test_two_scenes_of_one_name_are_not_written_over_each_other(tmp_path: Path) -> None:
    scenes = (SceneInput("here/a.tif"), SceneInput("there/a.tif"))
    with pytest.raises(UsageError, match=r"here/a\.tif would both be written"):
        each_scene(Job(scenes, Choices(), tmp_path / "{scene}.gpkg"))


def test_shards_of_many_files_are_whole_scenes_and_leave_nothing_to_merge(tmp_path: Path) -> None:
    scenes = two_scenes(tmp_path)
    for number in (1, 2):
        job = Job(scenes, Choices(), tmp_path / "{scene}.gpkg", shard=Shard(number, 2))
        run_each(each_scene(job), Bright(), Silent())  # type: ignore[arg-type]
        assert len(list(tmp_path.glob("*.gpkg"))) == number
    assert not list(tmp_path.glob("*.parts"))
