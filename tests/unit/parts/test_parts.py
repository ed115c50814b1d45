"""Parts leave no trace: however a raster is cut, stored, lost and found again."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy import ndimage

from snet4core.errors import Cancelled, InputError, OutputError
from snet4core.files.places import FolderPlace
from snet4core.footprints.footprints import Footprints, Source
from snet4core.footprints.shaping import Shaping, footprints_from
from snet4core.grid import Grid
from snet4core.jobs.job import Job
from snet4core.jobs.run import run_job
from snet4core.look.look import Look
from snet4core.maps.maps import Maps
from snet4core.model.card import Architecture, Card, WindowSettings
from snet4core.model.header import Header
from snet4core.parts import file as partfile
from snet4core.parts import store as partstore
from snet4core.parts.detect import detect
from snet4core.parts.file import DamagedPartError
from snet4core.parts.part import Part, PartResult, finish, lost, merged, parts_of, side_by_side
from snet4core.parts.plan import Choices, plan_for
from snet4core.parts.work import SceneWork, in_few_sizes
from snet4core.progress import Silent
from snet4core.scene.inputs import SceneInput
from snet4core.settings import ShapeSettings
from snet4core.windows import Tile, Window, tiles

UTM = CRS.from_epsg(32616)
AT_30 = Choices(off_nadir_deg=30.0, min_area_m2=1.0)


def grid_of(shape: tuple[int, int]) -> Grid:
    return Grid(shape, Affine(0.5, 0, 740000, 0, -0.5, 3720000), UTM)


def shaping_for(shape: tuple[int, int]) -> Shaping:
    return Shaping(
        grid_of(shape),
        ShapeSettings(min_area_m2=1.0),
        Source("town", UTM, Look(30.0, 20.0, "option"), "bright"),
    )


def blobs(seed: int, shape: tuple[int, int], share: float = 0.55) -> Maps:
    """Maps with blobs of all sizes, many of them across any seam."""
    rng = np.random.default_rng(seed)
    field_HW = ndimage.gaussian_filter(rng.normal(size=shape), 2.0)
    footprint_HW = (np.clip(field_HW / field_HW.std() * 0.2 + share, 0, 1) * 255).astype(np.uint8)
    border_HW = rng.integers(0, 200, shape).astype(np.uint8)
    return Maps(Window(0, 0, *shape), footprint_HW, border_HW, rng.random(shape) > 0.01)


def cut(maps: Maps, window: Window) -> Maps:
    part = window.slices()
    return Maps(window, maps.footprint_HW[part], maps.border_HW[part], maps.valid_HW[part])


def guillotine(window: Window, rng: random.Random, least_px: int) -> list[Window]:
    """A rectangle in rectangles, cut at random."""
    tall = window.height >= window.width
    side = window.height if tall else window.width
    if side < 2 * least_px or rng.random() < 0.1:
        return [window]
    at = rng.randint(least_px, side - least_px)
    w = window
    if tall:
        halves = (Window(w.row, w.col, at, w.width), Window(w.row + at, w.col, side - at, w.width))
    else:
        halves = (
            Window(w.row, w.col, w.height, at),
            Window(w.row, w.col + at, w.height, side - at),
        )
    return [each for half in halves for each in guillotine(half, rng, least_px)]


def told(batches: Iterable[Footprints]) -> list[tuple[object, ...]]:
    """All that stands in the layer, to the last bit."""
    return [(f.footprint_id, f.polygon.wkb, f.confidence, f.area_m2) for b in batches for f in b]


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.3, 0.45, 0.55]))
def test_any_partition_in_any_order_gives_the_same_footprints(seed: int, share: float) -> None:
    """Parts of any shape, each in blocks of any shape, stored and read, in any order."""
    rng, shape = random.Random(seed), (rng_side(seed), rng_side(seed + 1))
    maps, shaping = blobs(seed, shape, share), shaping_for(shape)
    whole = told(footprints_from([maps], shaping.grid, shaping.settings, shaping.source))
    results = []
    for index, window in enumerate(guillotine(maps.window, rng, 12)):
        blocks = [Tile(each, each) for each in guillotine(window, rng, 5)]
        part = Part(index, window, tuple(blocks))
        result = finish(part, (cut(maps, tile.own) for tile in part.tiles), shaping)
        stored = partfile.to_bytes(result, "ab" * 32)
        results.append(partfile.from_bytes(stored, "ab" * 32, shaping.source))
    rng.shuffle(results)
    assert told(merged(results, shaping)) == whole


def rng_side(seed: int) -> int:
    return random.Random(seed).randint(20, 90)


@settings(max_examples=40)
@given(
    rows=st.integers(1, 700),
    cols=st.integers(1, 700),
    core_px=st.sampled_from([32, 64, 96]),
)
def test_parts_cover_the_raster_once_with_the_windows_of_the_one_grid(
    rows: int, cols: int, core_px: int
) -> None:
    parts = parts_of((rows, cols), (core_px, 32, 32))
    seen_HW = np.zeros((rows, cols), np.int8)
    for part in parts:
        seen_HW[part.window.slices()] += 1
        inside_HW = np.zeros(part.window.shape, np.int8)
        for tile in part.tiles:
            inside_HW[tile.own.slices(part.window)] += 1
        assert (inside_HW == 1).all()
    assert (seen_HW == 1).all()
    assert [part.index for part in parts] == list(range(len(parts)))
    given_tiles = sorted((t.own, t.read) for part in parts for t in part.tiles)
    assert given_tiles == sorted((t.own, t.read) for t in tiles((rows, cols), core_px, 32, 32))


def test_maps_laid_side_by_side_are_those_of_the_whole() -> None:
    whole = blobs(5, (70, 90))
    for windows in ((32, 32, 32), (96, 32, 32)):
        [part] = parts_of((70, 90), (96, 32, 32))
        pieces = (cut(whole, tile.own) for tile in tiles((70, 90), *windows))
        laid = side_by_side(part.window, pieces)
        assert laid.window == whole.window
        for one_HW, other_HW in zip(laid.layers, whole.layers, strict=True):
            assert one_HW.tobytes() == other_HW.tobytes()
        assert laid.valid_HW.tobytes() == whole.valid_HW.tobytes()


def test_an_engine_changes_its_program_once_a_part() -> None:
    """Only one program holds working memory, and taking it anew costs time."""
    parts = parts_of((4096, 4096), (1024, 64, 32))
    wanted = list(in_few_sizes(parts))
    assert sorted(wanted, key=lambda tile: tile.own) == sorted(
        (tile for part in parts for tile in part.tiles), key=lambda tile: tile.own
    )
    at = 0
    for part in parts:  # part by part, as results are wanted
        assert set(wanted[at : at + len(part.tiles)]) == set(part.tiles)
        at += len(part.tiles)
    is_full = [tile.read.shape == (1152, 1152) for tile in wanted]
    assert sum(one != other for one, other in pairwise(is_full)) == len(parts) == 4


def some_result() -> tuple[Part, PartResult, Shaping]:
    shape = (80, 90)
    maps, shaping = blobs(3, shape, 0.4), shaping_for(shape)
    window = Window(16, 20, 40, 50)
    part = Part(4, window, (Tile(window, window),))
    return part, finish(part, [cut(maps, window)], shaping, keep_maps=True), shaping


def test_a_result_comes_back_from_bytes_as_it_went() -> None:
    _, result, shaping = some_result()
    assert len(result.footprints) > 0
    assert result.rest.row_R.size > 0
    key = "0f" * 32
    back = partfile.from_bytes(partfile.to_bytes(result, key), key, shaping.source)
    assert told([back.footprints]) == told([result.footprints])
    assert partfile.to_bytes(back, key) == partfile.to_bytes(result, key)
    (maps,), (expected,) = back.maps, result.maps
    assert maps.window == expected.window
    assert np.array_equal(maps.footprint_HW, expected.footprint_HW)
    assert np.array_equal(maps.valid_HW, expected.valid_HW)


@settings(max_examples=60)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut_off=st.booleans())
def test_a_flipped_bit_or_a_missing_end_is_found_out(place: float, bit: int, cut_off: bool) -> None:
    stored = bytearray(_STORED[1])
    at = int(place * len(stored))
    if cut_off:
        del stored[at:]
    else:
        stored[at] ^= 1 << bit
    with pytest.raises(DamagedPartError):
        partfile.from_bytes(bytes(stored), "0f" * 32, _STORED[0])


def _stored() -> tuple[Source, bytes]:
    _, result, shaping = some_result()
    return shaping.source, partfile.to_bytes(result, "0f" * 32)


_STORED = _stored()


def test_a_part_under_another_parts_name_is_not_taken() -> None:
    with pytest.raises(DamagedPartError, match="another part"):
        partfile.from_bytes(_STORED[1], "0e" * 32, _STORED[0])


def test_ground_that_nobody_computed_counts_as_without_data() -> None:
    shape = (64, 64)
    shaping = shaping_for(shape)
    maps = Maps(Window(0, 0, *shape), *np.full((2, *shape), 255, np.uint8), np.ones(shape, bool))
    left, right = Window(0, 0, 64, 32), Window(0, 32, 64, 32)
    part = Part(0, left, (Tile(left, left),))
    results = [
        finish(part, [cut(maps, left)], shaping),
        lost(Part(1, right, (Tile(right, right),)), shaping),
    ]
    (batch,) = merged(results, shaping)
    assert len(batch) == 1
    assert batch.area_m2_N[0] == pytest.approx(64 * 32 * 0.25, rel=1e-2)


FACTS = {"picture": "a1", "model": "m1", "threshold": "0.5"}


def folder_of(shelf: partstore.FolderShelf) -> Path:
    return Path(str(shelf.place), shelf.folder)


def path_of(shelf: partstore.FolderShelf, part: Part) -> Path:
    return Path(str(shelf.place), shelf.name(part))


def parts_folder(job: Job) -> Path:
    return Path(str(job.parts_place))


def shelf_in(folder: Path, **changed: str) -> partstore.FolderShelf:
    with partstore.opened(FolderPlace(folder)) as store:
        return store.shelf("town.tif", lambda: FACTS | changed, Source("town", UTM), {})


def test_a_kept_part_is_there_for_the_next_run(tmp_path: Path) -> None:
    part, result, _ = some_result()
    shelf_in(tmp_path / "o.parts").put(part, result)
    again = shelf_in(tmp_path / "o.parts")
    assert again.here() == {part.index}
    found = again.take(part)
    assert found is not None
    assert told([found.footprints]) == told([result.footprints])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"picture": "b2"}, "other input.*picture was a1, is b2"),
        ({"model": "m2"}, "other settings.*model was m1, is m2"),
        ({"threshold": "0.4"}, "threshold was 0.5, is 0.4"),
    ],
)
def test_a_changed_run_is_refused_and_says_what_changed(
    tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    shelf_in(tmp_path / "o.parts")
    with pytest.raises(OutputError, match=rf"(?s)o\.parts.*{said}.*remove"):
        shelf_in(tmp_path / "o.parts", **changed)


def test_a_scene_that_is_forgotten_may_begin_anew(tmp_path: Path) -> None:
    """A scene that failed must not pin what was wrong with its picture."""
    parts = FolderPlace(tmp_path / "o.parts")
    part, result, _ = some_result()
    with partstore.opened(parts) as store:
        for location in ("town.tif", "other.tif"):
            store.shelf(location, lambda: FACTS, Source("town", UTM), {}).put(part, result)
        store.forget("town.tif")
    shelf_in(parts.folder, picture="b2").put(part, result)
    with partstore.opened(parts) as store, pytest.raises(OutputError, match="remove"):
        store.shelf("other.tif", lambda: FACTS | {"picture": "b2"}, Source("other", UTM), {})


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "renamed", "folder"])
def test_a_damaged_part_counts_as_missing_with_a_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    part, result, _ = some_result()
    shelf = shelf_in(tmp_path / "o.parts")
    shelf.put(part, result)
    path = path_of(shelf, part)
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[:-5])
    elif damage == "flipped":
        path.write_bytes(whole[:90] + bytes([whole[90] ^ 1]) + whole[91:])
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "renamed":
        other = Part(part.index + 1, part.window.grown(1), part.tiles)
        shelf.put(other, result)
        path_of(shelf, other).replace(path)
    else:
        path.unlink()
        path.mkdir()
    assert shelf.take(part) is None
    assert path.name in caplog.text
    if damage != "folder":
        shelf.put(part, result)
        assert path.read_bytes() == whole


def test_foreign_files_are_neither_used_nor_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part, result, _ = some_result()
    folder = tmp_path / "o.parts"
    shelf = shelf_in(folder)
    shelf.put(part, result)
    (folder / "diary.txt").write_text("mine")
    (folder_of(shelf) / "000009-nonsense.part").write_text("mine")
    assert shelf.here() == {part.index}
    with partstore.opened(FolderPlace(folder)) as store:
        store.remove()
    left = sorted(path.name for path in folder.rglob("*") if path.is_file())
    assert left == ["000009-nonsense.part", "diary.txt"]
    assert "stay" in caplog.text


def test_a_folder_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "o.parts"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="something else"), partstore.opened(FolderPlace(folder)):
        pass
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "o.parts"
    if kind == "file":
        folder.write_text("mine")
    else:
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    place = FolderPlace(folder)
    with pytest.raises(OutputError, match="must be a folder"), partstore.opened(place):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
def test_two_runs_at_once_are_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "o.parts"
    with (
        partstore.opened(FolderPlace(folder)),
        pytest.raises(OutputError, match="in use by another run"),
        partstore.opened(FolderPlace(folder)),
    ):
        pass
    place = FolderPlace(folder)
    with partstore.opened(place, alone=False), partstore.opened(place, alone=False):
        pass


class BrightIsBuilding:
    """A network whose answer is known; counts the windows that it was asked for."""

    def __init__(self, fail_at: int | None = None) -> None:
        card = Card("bright", Architecture(), WindowSettings(32, 32))
        self.header = Header(Path("bright.safetensors"), card, "0" * 64)
        self.key, self.guesser, self.shapers, self.together = "exact", None, 1, 2
        self.asked: list[Window] = []
        self.fail_at = fail_at

    def maps(
        self,
        read: Callable[[Tile], tuple[NDArray[np.float32], NDArray[np.bool_]]],
        shape: tuple[int, int],
        look: Look,
        wanted: Iterable[Tile],
        lean_px: tuple[float, float] | None = None,
    ) -> Iterator[Maps]:
        for tile in wanted:
            if len(self.asked) == self.fail_at:
                raise Cancelled("Stopped.")
            self.asked.append(tile.own)
            picture_CHW, valid_HW = read(tile)
            inside = tile.own.slices(tile.read)
            bright_HW = np.where(picture_CHW[1][inside] > 0.5, 230, 10).astype(np.uint8)
            yield Maps(tile.own, bright_HW, np.zeros_like(bright_HW), valid_HW[inside])


def write_town(path: Path, seed: int = 1, shape: tuple[int, int] = (200, 230)) -> Path:
    counts = np.where(blobs(seed, shape).footprint_HW > 150, 900, 300).astype(np.uint16)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=4,
        height=shape[0],
        width=shape[1],
        dtype="uint16",
        crs=UTM,
        transform=grid_of(shape).transform,
    ) as file:
        file.write(np.stack([counts] * 4))
    return path


def job_in(folder: Path, scenes: Sequence[Path], **more: object) -> Job:
    inputs = tuple(SceneInput(str(each)) for each in scenes)
    options = {"resume": True, "stop_at_error": len(scenes) == 1, **more}
    return Job(inputs, AT_30, folder / "o.gpkg", **options)  # type: ignore[arg-type]


@pytest.fixture
def town(tmp_path: Path) -> Path:
    return write_town(tmp_path / "town.tif")


@pytest.fixture
def undisturbed(town: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    run_job(job_in(folder, [town], resume=False), BrightIsBuilding(), Silent())
    return (folder / "o.gpkg").read_bytes()


def test_an_interrupted_run_goes_on_where_it_was(
    town: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    """Stopped after 1, 4, 7, ... windows more each time; only the open part is repeated."""
    job = job_in(tmp_path, [town])
    asked: list[Window] = []
    stops = 0
    for steps in range(1, 100, 3):
        network = BrightIsBuilding(fail_at=steps)
        try:
            run_job(job, network, Silent())
        except Cancelled:
            stops += 1
            assert not job.output.exists()
            continue
        finally:
            asked += network.asked
        break
    assert job.output.read_bytes() == undisturbed
    assert not parts_folder(job).exists()
    windows = 7 * 8
    assert stops >= 5
    assert len(asked) - windows <= 4 * stops
    assert len(set(asked)) == windows


def test_a_finished_run_leaves_no_parts(town: Path, tmp_path: Path, undisturbed: bytes) -> None:
    job = job_in(tmp_path, [town])
    run_job(job, BrightIsBuilding(), Silent())
    assert job.output.read_bytes() == undisturbed
    assert sorted(each.name for each in tmp_path.iterdir()) == ["o.gpkg", "town.tif"]


def stopped(job: Job, windows: int = 20) -> None:
    with pytest.raises(Cancelled):
        run_job(job, BrightIsBuilding(fail_at=windows), Silent())


def test_damaged_parts_are_computed_again(
    town: Path, tmp_path: Path, undisturbed: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    job = job_in(tmp_path, [town])
    stopped(job, 40)
    parts = sorted(parts_folder(job).rglob("*.part"))
    parts[0].write_bytes(parts[0].read_bytes()[:-1])
    parts[1].write_bytes(b"")
    for record in parts_folder(job).rglob("*.json"):
        record.write_text("{")
    run_job(job, BrightIsBuilding(), Silent())
    assert job.output.read_bytes() == undisturbed
    assert caplog.text.count("the part is damaged") == 2


def test_parts_without_resume_are_not_thrown_away_in_silence(town: Path, tmp_path: Path) -> None:
    job = job_in(tmp_path, [town])
    stopped(job)
    with pytest.raises(OutputError, match=r"o\.gpkg\.parts.*--resume"):
        job_in(tmp_path, [town], resume=False, overwrite=True).check_places()
    job.check_places()


def test_a_changed_picture_is_refused_on_resume(town: Path, tmp_path: Path) -> None:
    job = job_in(tmp_path, [town])
    stopped(job)
    write_town(town, seed=2)
    with pytest.raises(OutputError, match=r"other input.*picture was"):
        run_job(job, BrightIsBuilding(), Silent())
    assert not job.output.exists()


def test_a_changed_threshold_is_refused_on_resume(town: Path, tmp_path: Path) -> None:
    stopped(job_in(tmp_path, [town]))
    other = Choices(off_nadir_deg=30.0, min_area_m2=1.0, threshold=0.61)
    changed = Job((SceneInput(str(town)),), other, tmp_path / "o.gpkg", resume=True)
    with pytest.raises(OutputError, match=r"threshold was 0\.5, is 0\.61"):
        run_job(changed, BrightIsBuilding(), Silent())


def test_a_run_killed_after_renaming_finds_its_own_result(
    town: Path, tmp_path: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_in(tmp_path, [town], csv=tmp_path / "o.csv")
    with monkeypatch.context() as patch:
        patch.setattr(partstore.FolderStore, "remove", lambda self: None)
        run_job(job, BrightIsBuilding(), Silent())
    assert parts_folder(job).exists()
    network = BrightIsBuilding()
    job.check_places()
    run_job(job, network, Silent())
    assert network.asked == []
    assert job.output.read_bytes() == undisturbed
    assert not parts_folder(job).exists()


def test_a_strangers_file_in_the_way_is_not_replaced_by_a_resumed_run(
    town: Path, tmp_path: Path
) -> None:
    job = job_in(tmp_path, [town])
    stopped(job)
    job.output.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        run_job(job, BrightIsBuilding(), Silent())
    assert job.output.read_text() == "mine"


def test_maps_are_kept_with_the_parts(town: Path, tmp_path: Path) -> None:
    """Bands, mask and footprints of a resumed run are those of an undisturbed one."""
    for name, windows in (("a", None), ("b", 30)):
        folder = tmp_path / name
        folder.mkdir()
        job = job_in(folder, [town], maps=folder / "maps.tif")
        if windows:
            stopped(job, windows)
            assert not job.maps_of(job.inputs[0]).exists()
        run_job(job, BrightIsBuilding(), Silent())
    with (
        rasterio.open(tmp_path / "a/maps.tif") as one,
        rasterio.open(tmp_path / "b/maps.tif") as other,
    ):
        assert np.array_equal(one.read(), other.read())
        assert np.array_equal(one.dataset_mask(), other.dataset_mask())


def test_kept_maps_come_in_the_order_of_their_part(town: Path) -> None:
    plan = plan_for(town, BrightIsBuilding().header, AT_30)
    work = SceneWork(plan, keep_maps=True)
    network = BrightIsBuilding()
    count = 0
    for part, result in work.computed(work.parts, network):  # type: ignore[arg-type]  # a double
        assert [each.window for each in result.maps] == [tile.own for tile in part.tiles]
        count += len(result.maps)
    assert network.asked != [tile.own for part in work.parts for tile in part.tiles]
    assert count == len(network.asked)


def test_progress_counts_every_window(town: Path) -> None:
    seen: list[tuple[float, float]] = []

    class Counted(Silent):
        def step(self, done: float, total: float, what: str) -> None:
            seen.append((done, total))

    for _ in detect(town, BrightIsBuilding(), AT_30, Counted()).footprints:  # type: ignore[arg-type]  # a double
        pass
    assert seen[-1][0] == pytest.approx(seen[-1][1])


def test_a_failed_scene_keeps_the_parts_of_the_others(tmp_path: Path) -> None:
    good, bad = write_town(tmp_path / "a.tif"), tmp_path / "b.tif"
    bad.write_text("<html>404</html>")
    job = job_in(tmp_path, [good, bad], overwrite=True)
    done = run_job(job, BrightIsBuilding(), Silent())
    assert list(done.failed) == [str(bad)]
    write_town(bad, seed=4)
    network = BrightIsBuilding()
    done = run_job(job, network, Silent())
    assert len(network.asked) == 7 * 8
    assert done.failed == {}
    assert not parts_folder(job).exists()


def test_a_damaged_record_is_said_in_one_sentence(tmp_path: Path) -> None:
    shelf = shelf_in(tmp_path / "o.parts")
    (folder_of(shelf) / "scene.json").write_text("[]")
    with (
        partstore.opened(FolderPlace(tmp_path / "o.parts")) as store,
        pytest.raises(InputError, match=r"scene\.json"),
    ):
        store.scenes()
