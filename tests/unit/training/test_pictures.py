"""Pictures on disk as training data: looks, places that never mix, and any raster folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from snet4_training.chips import from_pictures
from snet4_training.chips.from_pictures import picture_of, splits_of
from snet4_training.chips.sources import HELD_OUT, fill
from snet4_training.chips.store import ChipStore
from snet4_training.pictures.pairs import Pair, pairs
from snet4_training.pictures.picture import Chip
from snet4_training.pictures.splits import (
    Shot,
    Split,
    joined_places,
    looks_table,
    shots,
    split_by_place,
)
from snet4_training.recipe import DataRecipe, Recipe
from snet4_training.recipe_file import read_recipe
from snet4_training.scenes.dataset import parse_looks, write_scenes
from snet4core.errors import InputError, LookError, UsageError
from snet4core.look.look import CATEGORIES

LOOKS = "nadir7,nadir29,45:200"
SIZE_PX = 128


@pytest.fixture(scope="module", params=["competition", "bucket"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four places at three looks, in each of SpaceNet 4's two layouts."""
    out: Path = tmp_path_factory.mktemp("data") / request.param
    write_scenes(out, 4, parse_looks(LOOKS), 5, request.param, size_px=SIZE_PX)
    return out


def recipe_for(folder: Path, **keys: object) -> Recipe:
    data = DataRecipe(
        pictures=str(folder), chip_px=64, spare_px=0, scene_chips=0, picture_chips=24,
        validation_chips=1, folds=4, **keys,
    )  # type: ignore[arg-type]  # fmt: skip
    return Recipe(data=data)


def split_of(data: DataRecipe) -> Split:
    return splits_of(data)["pictures"]


def shots_of(data: DataRecipe, held_out: bool) -> tuple[Shot, ...]:
    return from_pictures.shots_of(data, data.real_sources[0], held_out)


def picture_chunk(recipe: Recipe, seed: int, number: int, held_out: bool, each: int) -> list[Chip]:
    return from_pictures.picture_chunk(
        recipe, recipe.data.real_sources[0], seed, number, held_out, each
    )


def test_all_looks_of_a_place_are_kept_with_their_true_angles(folder: Path) -> None:
    every = shots(tuple(pairs(folder)), looks_table(folder, ""))
    assert len(every) == 4 * 3
    looks = {(shot.look.off_nadir_deg, shot.look.azimuth_deg) for shot in every}
    assert looks == {(7.8, 118.4), (29.1, 181.0), (45.0, 200.0)}


def test_catalogue_ids_tell_angle_and_azimuth_without_a_table(folder: Path) -> None:
    known = tuple(pair for pair in pairs(folder) if "nadir45" not in str(pair.image))
    looks = {(shot.look.off_nadir_deg, shot.look.azimuth_deg) for shot in shots(known, None)}
    assert looks == {(7.8, 118.4), (29.1, 181.0)}


def test_other_products_of_the_same_tile_are_left_alone(folder: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(folder, tmp_path / folder.name))
    before = pairs(own)
    image = before[0].image
    for product in ("MS", "PAN"):
        other = image.parent.with_name(product) / image.name.replace("Pan-Sharpen", product)
        other.parent.mkdir(exist_ok=True)
        other.touch()
    assert pairs(own) == before


def test_no_place_is_on_both_sides(folder: Path) -> None:
    held: list[str] = []
    for fold in range(4):
        split = split_of(replace(recipe_for(folder).data, fold=fold))
        train, out = ({pair.place for pair in side} for side in (split.train, split.held_out))
        assert not train & out
        assert train | out == {pair.place for pair in pairs(folder)}
        # All looks of a place go together.
        assert len(split.held_out) == 3 * len(out)
        held += out
    assert sorted(held) == sorted({pair.place for pair in pairs(folder)})


names = st.lists(st.integers(0, 40), min_size=2, max_size=60)


@settings(deadline=None, max_examples=60)
@given(names, st.integers(2, 6), st.integers(0, 99), st.data())
def test_split_law(places: list[int], folds: int, seed: int, data: st.DataObject) -> None:
    every = [Pair(Path(f"{n}.tif"), Path("l"), f"place {p}") for n, p in enumerate(places)]
    fold = data.draw(st.integers(0, folds - 1))
    if len(set(places)) < folds:
        with pytest.raises(InputError, match="same buildings on both sides"):
            split_by_place(every, folds, fold, seed)
        return
    split = split_by_place(every, folds, fold, seed)
    assert not {pair.place for pair in split.train} & {pair.place for pair in split.held_out}
    assert sorted([*split.train, *split.held_out], key=lambda pair: int(pair.image.stem)) == every
    assert split == split_by_place(every, folds, fold, seed)
    assert split.train
    assert split.held_out


def test_store_is_filled_from_the_right_sides_and_names_what_was_held_out(
    folder: Path, tmp_path: Path
) -> None:
    recipe = recipe_for(folder)
    fill(recipe, tmp_path)
    listed = (tmp_path / HELD_OUT).read_text().split()
    assert tuple(listed) == split_of(recipe.data).held_out_places
    assert {shot.pair.place for shot in shots_of(recipe.data, held_out=True)} == set(listed)
    assert not {shot.pair.place for shot in shots_of(recipe.data, held_out=False)} & set(listed)
    for name in ("pictures", "validation/pictures"):
        facts = ChipStore(tmp_path / name).facts(0)
        angles = [fact["off_nadir_deg"] for fact in facts]
        assert angles == [7.8] * 8 + [29.1] * 8 + [45.0] * 8
    assert {path.parent.name for path in tmp_path.rglob("*.npy")} == {"pictures"}
    other_fold = replace(recipe, data=replace(recipe.data, fold=1))
    with pytest.raises(UsageError, match="chips of another recipe"):
        fill(other_fold, tmp_path)


def test_chunk_is_a_function_of_its_number(folder: Path) -> None:
    recipe = recipe_for(folder)
    one, again, other = (picture_chunk(recipe, 20000, n, False, 2) for n in (3, 3, 4))
    assert all(
        np.array_equal(a.counts_BHW, b.counts_BHW) and a.look == b.look
        for a, b in zip(one, again, strict=True)
    )
    assert any(
        not np.array_equal(a.counts_BHW, b.counts_BHW) for a, b in zip(one, other, strict=True)
    )
    assert [chip.look.category for chip in one] == [c for c in CATEGORIES for _ in range(2)]
    assert any(chip.targets_MHW[0].any() for chip in one)


def test_a_part_of_a_picture_has_the_truth_of_that_part(folder: Path) -> None:
    recipe = recipe_for(folder)
    shot = shots_of(recipe.data, held_out=False)[0]
    whole, ranges = picture_of(shot, recipe.model.bands, SIZE_PX, np.random.default_rng(0))
    part, part_ranges = picture_of(shot, recipe.model.bands, 64, np.random.default_rng(0))
    assert part.counts_BHW.shape == (4, 64, 64)
    assert part_ranges == ranges
    rng = np.random.default_rng(0)
    row, col = (int(rng.integers(SIZE_PX - 64 + 1)) for _ in range(2))
    window = slice(row, row + 64), slice(col, col + 64)
    assert np.array_equal(part.counts_BHW, whole.counts_BHW[:, *window])
    from snet4_training.pictures.targets import burn

    whole_HW = burn(whole.polygons, (SIZE_PX, SIZE_PX))
    assert np.array_equal(burn(part.polygons, (64, 64)), whole_HW[window])


def raster(path: Path, x: float, y: float = 0.0, bands: int = 3) -> None:
    """100 x 100 pixels of half a metre, its upper left corner at (x, y)."""
    counts = np.random.default_rng(int(x) % 7).integers(1, 255, (bands, 100, 100), dtype=np.uint8)
    where = Affine(0.5, 0, 500000 + x, 0, -0.5, 4000000 + y)
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, width=100, height=100, dtype="uint8",
        crs="EPSG:32616", transform=where,
    ) as file:  # fmt: skip
        file.write(counts)


def house(path: Path, *corners: float) -> None:
    """Square houses of ten metres at these x."""
    features = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [[500000 + x + dx, 4000000 - 20 + dy]
                     for dx, dy in ((0, 0), (10, 0), (10, 10), (0, 10), (0, 0))]
                ],
            },
        }
        for x in corners
    ]  # fmt: skip
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32616"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))


@pytest.fixture
def plain_folder(tmp_path: Path) -> Path:
    """Three places; one of them was taken twice, a few metres apart."""
    folder = tmp_path / "plain"
    folder.mkdir()
    for name, x in (("a", 0.0), ("a_again", 10.0), ("b", 1000.0), ("c", 2000.0)):
        raster(folder / f"{name}.tif", x)
    house(tmp_path / "all.geojson", 20.0, 1020.0)
    (tmp_path / "looks.csv").write_text(
        "scene,off_nadir_deg,azimuth_deg\na,5,\na_again,44,10\nb,30,90\nc,30,270\n"
    )
    return folder


def test_a_plain_folder_with_one_label_file_and_a_table_trains(plain_folder: Path) -> None:
    home = plain_folder.parent
    recipe = recipe_for(plain_folder)
    data = replace(
        recipe.data, folds=3, labels=str(home / "all.geojson"), looks=str(home / "looks.csv")
    )
    fill(replace(recipe, data=data), home / "chips")
    chip = ChipStore(home / "chips" / "pictures").read(0, 0)
    assert chip.known == (True, True, True, False)
    looks = {
        shot.pair.image.stem: shot.look for side in (False, True) for shot in shots_of(data, side)
    }
    assert (looks["a"].off_nadir_deg, looks["a"].azimuth_deg) == (5.0, None)
    assert (looks["b"].off_nadir_deg, looks["b"].azimuth_deg) == (30.0, 90.0)


def test_pictures_of_the_same_ground_are_one_place_whatever_their_names(
    plain_folder: Path,
) -> None:
    labels = plain_folder.parent / "all.geojson"
    joined = {pair.image.stem: pair.place for pair in joined_places(pairs(plain_folder, labels))}
    assert joined["a"] == joined["a_again"]
    assert len(set(joined.values())) == 3


def test_a_folder_of_one_place_is_refused(plain_folder: Path) -> None:
    labels = plain_folder.parent / "all.geojson"
    for name in ("b", "c"):
        (plain_folder / f"{name}.tif").unlink()
    data = replace(recipe_for(plain_folder).data, labels=str(labels), folds=2)
    with pytest.raises(InputError, match=r"1 place\(s\), too few for 2 folds"):
        split_of(data)


def test_a_picture_without_a_look_is_refused(plain_folder: Path) -> None:
    labels = plain_folder.parent / "all.geojson"
    with pytest.raises(LookError, match="how tilted"):
        shots(tuple(pairs(plain_folder, labels)), None)


def test_a_tile_without_buildings_is_training_data_too(plain_folder: Path) -> None:
    """SpaceNet 4 has empty label files."""
    home = plain_folder.parent
    house(home / "none.geojson")
    data = replace(
        recipe_for(plain_folder).data, folds=3, labels=str(home / "none.geojson"),
        looks=str(home / "looks.csv"),
    )  # fmt: skip
    chips = picture_chunk(Recipe(data=data), 20000, 0, False, 2)
    assert not any(chip.targets_MHW.any() for chip in chips)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.scene_chips=0", "no data.real and no data.pictures"),
        ("data.folds=1", "two folds"),
        ("data.fold=5", "count from 0"),
        ("data.split_by=picture", "split_by"),
    ],
)
def test_impossible_splits_are_refused_at_once(tmp_path: Path, change: str, message: str) -> None:
    path = tmp_path / "r.toml"
    path.write_text("")
    with pytest.raises(UsageError, match=message):
        read_recipe(path, [change])


def test_the_recipe_for_spacenet_4_is_sound() -> None:
    path = Path(__file__).parents[3] / "training" / "recipes" / "spacenet4.toml"
    recipe = read_recipe(path, ["data.pictures=SN4"])
    assert recipe.data.scene_chips == 0
    assert recipe.model.architecture().bands == ("blue", "green", "red", "nir")
