"""What a store of chips belongs to, who fills it, and how batches are read from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely

from helpers.bright import Bright
from helpers.training import bright_squares, small_recipe
from snet4_training.chips import sources
from snet4_training.chips.batches import Steps, batches
from snet4_training.chips.from_pictures import splits_of
from snet4_training.chips.sources import HELD_OUT, fill, make_chunk
from snet4_training.chips.store import ChipStore
from snet4_training.pictures.flat import flat_pictures
from snet4_training.pictures.ground import footprints_on
from snet4_training.pictures.pairs import Pair, pairs
from snet4_training.pictures.splits import joined_places, shots
from snet4_training.recipe import DataRecipe, RealSource, Recipe
from snet4_training.scenes.dataset import parse_looks, write_scenes
from snet4_training.validation import calibration
from snet4_training.validation.calibration import see
from snet4core.errors import InputError, OutputError, UsageError
from snet4core.look.look import CATEGORIES
from snet4core.scene.scene import open_scene

pytestmark = pytest.mark.filterwarnings(
    # rasterio.merge multiplies transforms as affine 3 would rather not.
    "ignore:Use `@` matmul:PendingDeprecationWarning"
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five places at three looks."""
    out: Path = tmp_path_factory.mktemp("data") / "SN4"
    write_scenes(out, 5, parse_looks("nadir7,nadir29,45:200"), 5, "competition", size_px=96)
    return out


@pytest.fixture
def folder(scenes: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scenes, tmp_path / "SN4"))


def recipe_of(folder: Path) -> Recipe:
    return Recipe(
        data=DataRecipe(
            pictures=str(folder), chip_px=64, spare_px=0, scene_chips=0, picture_chips=24,
            validation_chips=1, folds=2,
        )
    )  # fmt: skip


# ---------------------------------------------------------------- what a store belongs to


def _tile_taken_away(folder: Path) -> None:
    for path in folder.rglob("*_3720139*"):
        if path.is_file() and "733601" in path.name:
            path.unlink()


def _other_pixels(folder: Path) -> None:
    path = next(folder.rglob("*.tif"))
    path.write_bytes(path.read_bytes() + b"0")


def _other_looks(folder: Path) -> None:
    path = folder / "looks.csv"
    path.write_text(path.read_text().replace("45,200,", "45,190,"))


@pytest.mark.parametrize("change", [_tile_taken_away, _other_pixels, _other_looks])
def test_chips_of_other_pictures_are_not_gone_on_with(
    folder: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    store = tmp_path / "chips"
    fill(recipe_of(folder), store)
    held_out = (store / HELD_OUT).read_text()
    change(folder)
    _forget()
    with pytest.raises(UsageError, match=r"chips of other pictures \(pictures\.txt\)"):
        fill(recipe_of(folder), store)
    assert (store / HELD_OUT).read_text() == held_out, "those chips were never trained on"


def test_pictures_may_move_and_older_stores_are_believed(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "chips"
    fill(recipe_of(folder), store)
    moved = tmp_path / "elsewhere" / "SN4"
    shutil.copytree(folder, moved)
    fill(recipe_of(moved), store)
    (store / "pictures" / "pictures.txt").unlink()
    fill(recipe_of(folder), store)
    assert (store / "pictures" / "pictures.txt").exists()


def _forget() -> None:
    from snet4_training.pictures import splits

    splits.found.cache_clear()
    splits.shots.cache_clear()


def test_a_store_that_cannot_be_made_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        fill(recipe_of(folder), tmp_path / "file" / "chips")


# ---------------------------------------------------------------- looks and names


def test_an_azimuth_that_the_table_leaves_open_comes_from_the_name(
    folder: Path, tmp_path: Path
) -> None:
    """As in a run, which asks every source for what is missing."""
    every = tuple(pair for pair in pairs(folder) if "nadir29" in str(pair.image))
    table = tmp_path / "angles.csv"
    table.write_text("scene,off_nadir_deg\n" + "".join(f"{p.image.name},29.1\n" for p in every))
    assert {shot.look.azimuth_deg for shot in shots(every, table)} == {181.0}


def test_equal_file_names_in_several_folders_are_several_places(
    folder: Path, tmp_path: Path
) -> None:
    images = [path for path in sorted(folder.rglob("*.tif")) if "nadir7_" in str(path)]
    for number, image in enumerate(images):
        own = tmp_path / "own" / f"t{number}" / "image.tif"
        own.parent.mkdir(parents=True)
        shutil.copy(image, own)
        own.with_suffix(".geojson").write_text('{"type": "FeatureCollection", "features": []}')
    found = pairs(tmp_path / "own")
    assert len(images) == 5
    assert [pair.place for pair in found] == [f"t{number}/image" for number in range(5)]


# ---------------------------------------------------------------- who fills it


def test_a_chunk_that_another_process_made_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small_recipe(tmp_path)
    store = bright_squares(tmp_path / "run") / "chips"
    made: list[object] = []
    monkeypatch.setattr(sources, "scene_chunk", lambda *key: made.append(key) or [])
    before = (store / "scenes" / "00000.npy").read_bytes()
    assert make_chunk(recipe, store, "scenes", 0) == "scenes/0"
    assert not made
    assert (store / "scenes" / "00000.npy").read_bytes() == before


def test_a_chunk_appears_with_its_texts_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chips = [
        ChipStore(bright_squares(tmp_path / "run") / "chips" / "scenes").read(0, index)
        for index in range(2)
    ]
    store = ChipStore(tmp_path / "new")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OutputError, match=r"00000\.npy .*no space left"):
        store.write(0, chips)
    assert list(store.folder.iterdir()) == []


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize("loaders", [0, 1])
def test_a_damaged_chunk_is_one_sentence_from_loader_processes_too(
    tmp_path: Path, loaders: int
) -> None:
    recipe = small_recipe(tmp_path, [f"train.loaders={loaders}"])
    store = bright_squares(tmp_path / "run") / "chips"
    (store / "scenes" / "00000.json").write_text("{")
    with pytest.raises(InputError) as caught:
        next(batches(recipe, store, 0))
    assert "Traceback" not in str(caught.value)
    assert "delete both" in str(caught.value)


@pytest.mark.parametrize(("batch", "accumulate"), [(1, 1), (1, 3), (2, 1), (2, 6), (4, 1), (3, 2)])
def test_every_category_is_shown_in_time_whatever_the_batch(
    tmp_path: Path, batch: int, accumulate: int
) -> None:
    changes = [f"train.batch={batch}", f"train.accumulate={accumulate}"]
    steps = Steps(small_recipe(tmp_path, changes), bright_squares(tmp_path / "run") / "chips")
    looks = [look.category for index in range(3 * accumulate) for look in steps[index].looks]
    counts = [looks.count(category) for category in CATEGORIES]
    assert counts == [batch * accumulate] * 3


# ---------------------------------------------------------------- 16 bits


def test_tiles_of_16_bits_keep_their_tones(tmp_path: Path) -> None:
    for part, left in (("train", 0), ("val", 500)):
        (tmp_path / part).mkdir()
        with rasterio.open(
            tmp_path / part / "one.tif", "w", driver="GTiff", width=64, height=64, count=3,
            dtype="uint16", crs="EPSG:32645", photometric="RGB",
            transform=rasterio.transform.from_origin(500_000 + left, 3_060_000, 0.5, 0.5),
        ) as file:  # fmt: skip
            file.write(np.arange(100, 100 + 64 * 119, 119, dtype=np.uint16)[None, None].repeat(
                3, 0).repeat(64, 1))  # fmt: skip
    (tmp_path / "buildings.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": []})
    )
    [picture] = flat_pictures(str(tmp_path), "", False, ("red", "green", "blue"))
    assert picture.counts_BHW[0, 0, :3].tolist() == [100, 219, 338]


def test_tiles_without_data_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with rasterio.open(
        tmp_path / "train" / "one.tif", "w", driver="GTiff", width=64, height=64, count=3,
        dtype="uint8", crs="EPSG:32645", photometric="RGB", nodata=0,
        transform=rasterio.transform.from_origin(500_000, 3_060_000, 0.5, 0.5),
    ) as file:  # fmt: skip
        file.write(np.zeros((3, 64, 64), np.uint8))
    (tmp_path / "buildings.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": []})
    )
    with pytest.raises(InputError, match=r"train: the pictures hold no data"):
        flat_pictures(str(tmp_path), "", False, ("red", "green", "blue"))


# ---------------------------------------------------------------- recipes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.gsd_range_m=[0.6,1.0]", r"data\.gsd_range_m is \[0\.6, 1\.0\] and data\.gsd_m 0\.5"),
        ("data.gsd_range_m=[0.3]", "smallest and the largest"),
        ("data.gsd_range_m=[1.0,0.3]", "smallest and the largest"),
        ("data.gsd_range_m=[0.0,1.0]", "smallest and the largest"),
        ("train.weight_decay=-1.0", r"train\.weight_decay is -1\.0; it must be 0 or more"),
        ("train.warmup_steps=-1", r"train\.warmup_steps is -1"),
        ("augment.gamma=-0.5", r"augment\.gamma is -0\.5"),
        ("augment.stretch=-0.5", r"augment\.stretch"),
        ("augment.band_gain=-0.5", r"augment\.band_gain"),
        ("augment.angle_noise_deg=-0.5", r"augment\.angle_noise_deg"),
        ("augment.azimuth_noise_deg=nan", r"augment\.azimuth_noise_deg"),
    ],
)
def test_recipes_that_no_training_can_follow_are_refused_when_they_are_read(
    tmp_path: Path, change: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        small_recipe(tmp_path, [change])


def test_bands_that_rendered_places_lack_are_refused_before_chips_are_made(
    tmp_path: Path,
) -> None:
    recipe = small_recipe(tmp_path, ['model.bands=["red","swir"]'])
    with pytest.raises(UsageError, match=r"no band swir.*data\.scene_chips=0"):
        fill(recipe, tmp_path / "chips")


# ---------------------------------------------------------------- across 180 degrees


def _across(path: Path, left_deg: float, size_px: int = 400) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=size_px, height=size_px, count=3, dtype="uint8",
        crs="EPSG:4326", photometric="RGB",
        transform=rasterio.transform.from_origin(left_deg, -17.0, 5e-6, 5e-6),
    ) as file:  # fmt: skip
        file.write(np.full((3, size_px, size_px), 90, np.uint8))
    return path


def test_labels_on_both_sides_of_the_antimeridian_are_kept(tmp_path: Path) -> None:
    scene = open_scene(_across(tmp_path / "across.tif", 179.999))
    boxes = [shapely.box(west, -17.0006, west + 1e-4, -17.0005) for west in (179.9995, -179.9995)]
    labels = tmp_path / "across.geojson"
    features = [
        {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(box)}
        for box in boxes
    ]
    labels.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = footprints_on(labels, scene.grid).polygons
    assert sorted(round(each) for each in shapely.bounds(found)[:, 0]) == [100, 300]


def test_the_same_ground_is_one_place_on_either_side_of_the_antimeridian(tmp_path: Path) -> None:
    across = _across(tmp_path / "across.tif", 179.999)
    east = _across(tmp_path / "east.tif", -179.9999)
    far = _across(tmp_path / "far.tif", 100.0)
    named = [Pair(path, tmp_path / "labels.gpkg", path.stem) for path in (across, east, far)]
    assert [pair.place for pair in joined_places(named)] == ["across", "across", "far"]


# ---------------------------------------------------------------- calibration


def test_calibration_takes_one_file_of_labels_and_knows_places_by_their_own_names(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second folder shows ground of the first, which named the places when they were dealt."""
    images = [path for path in sorted(folder.rglob("*.tif")) if "nadir7_" in str(path)]
    for name in ("first", "second"):
        for number, image in enumerate(images):
            own = tmp_path / name / f"{name}{number}.tif"
            own.parent.mkdir(exist_ok=True)
            shutil.copy(image, own)
    labels = tmp_path / "labels.geojson"
    labels.write_text('{"type": "FeatureCollection", "features": []}')
    looks = tmp_path / "looks.csv"
    names = [path.stem for name in ("first", "second") for path in (tmp_path / name).iterdir()]
    looks.write_text("scene,off_nadir_deg\n" + "".join(f"{name},3\n" for name in names))
    real = [
        RealSource(str(tmp_path / name), labels_file=str(labels), looks=str(looks))
        for name in ("first", "second")
    ]
    data = DataRecipe(real=tuple(real), scene_chips=0, folds=5)
    places = {name for split in splits_of(data).values() for name in split.held_out_places}
    [own] = [name for name in places if name.startswith("second")]
    predictor: Any = Bright()
    monkeypatch.setattr(calibration, "maps_of", lambda *_: [])
    predictor.guesser = SimpleNamespace(sighting=lambda _: None)
    seen = see(tmp_path / "second", predictor, None, places, labels, looks)
    assert [one.name for one in seen] == [own]
    assert seen[0].source.look is not None
    assert seen[0].source.look.off_nadir_deg == 3
