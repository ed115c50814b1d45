"""Sources of real pictures in a recipe: several, of footprints or of roofs, and the older keys."""

from __future__ import annotations

import io
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner

from helpers.training import SMALL, bright_squares
from snet4_cli.main import Commands, in_words_of
from snet4_cli.main import snet4 as command
from snet4_cli.telling import Console
from snet4_training.chips.batches import Steps
from snet4_training.chips.from_pictures import picture_of, shots_of, splits_of
from snet4_training.chips.sources import HELD_OUT, fill, sources, validation_sources
from snet4_training.chips.store import ChipStore
from snet4_training.pictures.flat import flat_pictures
from snet4_training.pictures.roofs import displacement_px
from snet4_training.pictures.splits import Shot
from snet4_training.recipe import DataRecipe, RealSource, Recipe
from snet4_training.recipe_file import as_plain, read_recipe
from snet4_training.validation.card import card_of
from snet4core.errors import InputError, UsageError
from snet4core.look.look import Look

pytestmark = pytest.mark.filterwarnings(
    # rasterio.merge multiplies transforms as affine 3 would rather not.
    "ignore:Use `@` matmul:PendingDeprecationWarning"
)

RGB = ("red", "green", "blue")
GSD_M = 0.5
HEIGHT_M = 8.0
SIDE_PX = 96


def feature(box_px: tuple[float, ...], corner: tuple[float, float], **fields: object) -> object:
    x, y = corner
    west, north, east, south = box_px
    box = shapely.box(x + west * GSD_M, y - south * GSD_M, x + east * GSD_M, y - north * GSD_M)
    return {"type": "Feature", "properties": fields, "geometry": shapely.geometry.mapping(box)}


def write_picture(
    path: Path,
    corner: tuple[float, float],
    *boxes: tuple[float, ...],
    bands: int = 3,
    **fields: object,
) -> None:
    """A picture in UTM 45 N with labels beside it: RGB, or other bands without names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.stem))
    with rasterio.open(
        path, "w", driver="GTiff", width=SIDE_PX, height=SIDE_PX, count=bands, dtype="uint8",
        crs="EPSG:32645", transform=Affine(GSD_M, 0, corner[0], 0, -GSD_M, corner[1]),
        photometric="RGB" if bands == 3 else "MINISBLACK",
    ) as file:  # fmt: skip
        file.write(rng.integers(1, 255, (bands, SIDE_PX, SIDE_PX), dtype=np.uint8))
    write_labels(path.with_suffix(".geojson"), *(feature(box, corner, **fields) for box in boxes))


def write_labels(path: Path, *features: object) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32645"}}
    path.write_text(
        json.dumps({"type": "FeatureCollection", "crs": crs, "features": list(features)})
    )


HOUSE = (40.0, 40.0, 60.0, 60.0)
TILTED = Look(40.0, 90.0, "table")
_, EAST_PX = displacement_px(HEIGHT_M, TILTED, GSD_M)


def roofs_folder(folder: Path, **fields: object) -> Path:
    """Four places, each seen from above and at 40 degrees, its roof then further east."""
    table = ["image,off_nadir_deg,azimuth_deg"]
    for number in range(4):
        corner = (500_000.0 + 1000 * number, 3_060_000.0)
        write_picture(folder / f"top{number}.tif", corner, HOUSE, **fields)
        leaned = (HOUSE[0] + EAST_PX, HOUSE[1], HOUSE[2] + EAST_PX, HOUSE[3])
        write_picture(folder / f"side{number}.tif", corner, leaned, **fields)
        table += [f"top{number},3,90", f"side{number},40,90"]
    (folder / "looks.csv").write_text("\n".join(table) + "\n")
    return folder


def data_of(*real: RealSource, **keys: object) -> DataRecipe:
    return DataRecipe(
        real=real, chip_px=64, spare_px=0, scene_chips=0, folds=4, validation_chips=8, **keys
    )  # type: ignore[arg-type]  # fmt: skip


def every_shot(data: DataRecipe) -> dict[str, Shot]:
    [source] = data.real_sources
    both = (*shots_of(data, source, False), *shots_of(data, source, True))
    return {shot.pair.image.stem: shot for shot in both}


def footprint_of(shot: Shot) -> list[float]:
    """To a tenth of a pixel: grid north and grid metres are those of the ground to 0.04 %."""
    picture, _ = picture_of(shot, RGB, 1024, np.random.default_rng(0))
    [polygon] = picture.polygons
    return [round(value, 1) for value in polygon.bounds]


# ---------------------------------------------------------------- what labels mean


def test_roofs_as_seen_become_footprints_by_their_heights(tmp_path: Path) -> None:
    folder = roofs_folder(tmp_path / "set", height_m=HEIGHT_M)
    source = RealSource(str(folder), labels="roofs", height_field="height_m")
    shots = every_shot(data_of(source))
    assert len(shots) == 8
    assert footprint_of(shots["side0"]) == list(HOUSE)
    assert footprint_of(shots["top0"]) == list(HOUSE)


def test_footprints_are_learned_as_they_are_whatever_the_tilt(tmp_path: Path) -> None:
    folder = roofs_folder(tmp_path / "set", height_m=HEIGHT_M)
    shots = every_shot(data_of(RealSource(str(folder))))
    assert footprint_of(shots["side0"])[0] == pytest.approx(HOUSE[0] + EAST_PX, abs=0.1)


def test_a_roof_outside_of_the_picture_has_its_footprint_inside(tmp_path: Path) -> None:
    folder = roofs_folder(tmp_path / "set", height_m=HEIGHT_M)
    far = (90.0, 40.0, 110.0, 60.0)
    seen = (far[0] + EAST_PX, far[1], far[2] + EAST_PX, far[3])
    corner = (500_000.0, 3_060_000.0)
    write_labels(folder / "side0.geojson", feature(seen, corner, height_m=HEIGHT_M))
    source = RealSource(str(folder), labels="roofs", height_field="height_m")
    assert footprint_of(every_shot(data_of(source))["side0"]) == list(far)


@pytest.mark.parametrize("height", [None, "no field"])
def test_tilted_pictures_whose_roofs_have_no_heights_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, height: str | None
) -> None:
    folder = roofs_folder(tmp_path / "set", height_m=None)
    field = "" if height else "height_m"
    source = RealSource(str(folder), labels="roofs", height_field=field)
    assert set(every_shot(data_of(source))) == {"top0", "top1", "top2", "top3"}
    assert "3 of 6 pictures of set are left out" in caplog.text
    none = roofs_folder(tmp_path / "none", height_m=None)
    for path in none.glob("top*"):
        path.unlink()
    source = RealSource(str(none), labels="roofs", height_field=field)
    with pytest.raises(InputError, match=r"none has no picture to train on: its labels are roofs"):
        every_shot(data_of(source))


def test_tilted_roofs_without_an_azimuth_are_left_out(tmp_path: Path) -> None:
    folder = roofs_folder(tmp_path / "set", height_m=HEIGHT_M)
    table = (folder / "looks.csv").read_text().replace("side1,40,90", "side1,40,")
    (folder / "looks.csv").write_text(table)
    source = RealSource(str(folder), labels="roofs", height_field="height_m")
    assert "side1" not in every_shot(data_of(source))
    assert "side2" in every_shot(data_of(source))


# ---------------------------------------------------------------- several sources


def drone_folder(folder: Path) -> Path:
    corners = {"train": (510_000.0, 3_060_000.0), "val": (511_000.0, 3_060_000.0)}
    for part, corner in corners.items():
        write_picture(folder / part / "one.tif", corner, HOUSE)
        (folder / part / "one.geojson").unlink()
    write_labels(folder / "buildings.geojson", *(feature(HOUSE, each) for each in corners.values()))
    return folder


def test_several_sources_fill_one_store_each_with_its_own_validation(tmp_path: Path) -> None:
    seen = RealSource(str(roofs_folder(tmp_path / "seen")), labels="roofs", share=0.2, chips=24)
    drone = RealSource(str(drone_folder(tmp_path / "drone")), lean=True, share=0.6, chips=48)
    recipe = Recipe(data=data_of(seen, drone))
    store = tmp_path / "chips"
    fill(recipe, store)
    assert {name: ChipStore(store / name).chunks() for name in ("seen", "drone")} == {
        "seen": [0],
        "drone": [0, 1],
    }
    assert ChipStore(store / "validation" / "seen").chunks() == [0]
    assert ChipStore(store / "validation" / "drone").chunks() == [0]
    [split] = splits_of(recipe.data).values()
    held_out = {pair.image.stem for pair in split.held_out}
    assert set((store / HELD_OUT).read_text().split()) == held_out, "one place, by all its names"
    assert len(held_out) == 2
    steps = Steps(recipe, store)
    chunks = {"seen": [0], "drone": [0, 1]}
    drawn = [steps._source(chunks, share) for share in np.linspace(0, 0.999, 1000)]
    assert drawn.count("seen") == 250, "shares are relative without rendered places"
    other = replace(
        recipe, data=replace(recipe.data, real=(replace(seen, labels="footprints"), drone))
    )
    with pytest.raises(UsageError, match=r"chips of another recipe \(source.json\)"):
        fill(other, store)


def test_prepared_chips_are_trained_on_where_their_pictures_are_not(tmp_path: Path) -> None:
    drone = RealSource(str(drone_folder(tmp_path / "drone")), lean=True, chips=24)
    recipe = Recipe(data=data_of(drone))
    fill(recipe, tmp_path / "chips")
    shutil.rmtree(tmp_path / "drone")
    fill(recipe, tmp_path / "chips")
    assert ChipStore(tmp_path / "chips" / "drone").chunks() == [0]


@pytest.mark.parametrize(("bands", "told"), [(3, 0), (4, 1)])
def test_a_guessed_order_of_bands_is_told_once_before_the_chips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bands: int, told: int
) -> None:
    """In the words of `train`, which has no `--bands`."""
    for number in range(4):
        write_picture(
            tmp_path / f"p{number}.tif", (500_000.0 + 1000 * number, 3_060_000.0), HOUSE,
            bands=bands,
        )  # fmt: skip
    (tmp_path / "looks.csv").write_text(
        "image,off_nadir_deg\n" + "".join(f"p{number},3\n" for number in range(4))
    )
    recipe = Recipe(data=data_of(RealSource(str(tmp_path), chips=24)))
    with caplog.at_level(logging.WARNING, "snet4"):
        fill(recipe, tmp_path / "chips")
    records = [each for each in caplog.records if "untagged bands" in each.getMessage()]
    assert len(records) == told
    train = Commands().get_command(click.Context(command), "train")
    console = Console(io.StringIO(), lambda sentence: in_words_of(train, sentence))
    for record in records:
        assert "--bands" in record.getMessage()
        assert "--bands" not in console.format(record)
        assert "-colorinterp red,green,blue" in console.format(record)
    caplog.clear()
    fill(recipe, tmp_path / "chips")
    assert not caplog.records, "the chips are there"


def test_tiles_are_read_by_the_names_of_their_bands(tmp_path: Path) -> None:
    """Red is not the first band everywhere."""
    folder = drone_folder(tmp_path / "drone")
    tile = folder / "train" / "one.tif"
    with rasterio.open(tile) as file:
        place = {"crs": file.crs, "transform": file.transform}
    with rasterio.open(
        tile, "w", driver="GTiff", width=SIDE_PX, height=SIDE_PX, count=4, dtype="uint8",
        photometric="MINISBLACK", **place,
    ) as file:  # fmt: skip
        file.write(np.arange(10, 50, 10, dtype=np.uint8)[:, None, None].repeat(96, 1).repeat(96, 2))
        file.descriptions = ("blue", "green", "red", "nir")
    [picture] = flat_pictures(str(folder), "", False, RGB)
    assert picture.counts_BHW[:, 50, 50].tolist() == [30, 20, 10]
    with rasterio.open(tile, "r+") as file:
        file.descriptions = ("ndvi", "slope", "height", None)
    flat_pictures.cache_clear()
    with pytest.raises(InputError, match=r"one\.tif has 4 bands \(named ndvi, slope, height\)"):
        flat_pictures(str(folder), "", False, RGB)


def test_rendered_places_get_what_the_shares_leave(tmp_path: Path) -> None:
    data = replace(data_of(RealSource("a", share=0.2), RealSource("b", share=0.3)), scene_chips=24)
    steps = Steps(Recipe(data=data), tmp_path)
    chunks = {"scenes": [0], "a": [0], "b": [0]}
    drawn = [steps._source(chunks, share) for share in np.linspace(0, 0.999, 1000)]
    assert [drawn.count(name) for name in chunks] == [500, 200, 300]


def test_without_real_sources_there_are_rendered_places_alone() -> None:
    assert [one.name for one in sources(Recipe())] == ["scenes"]
    assert [one.name for one in validation_sources(Recipe())] == ["validation/scenes"]


def test_ground_that_two_sources_show_is_on_one_side(tmp_path: Path) -> None:
    first = roofs_folder(tmp_path / "first")
    second = tmp_path / "second"
    for number in range(8):  # the last four are the places of the first source
        write_picture(second / f"p{number}.tif", (500_000.0 + 1000 * (number - 4), 3_060_000.0))
    for fold in range(4):
        data = data_of(RealSource(str(first)), RealSource(str(second)), fold=fold)
        splits = splits_of(data)
        held = {pair.image.stem[-1] for pair in splits["first"].held_out}
        again = {str(int(pair.image.stem[1:]) - 4) for pair in splits["second"].held_out}
        assert {number for number in again if int(number) >= 0} == held


def test_licence_and_attribution_of_every_source_are_on_the_card() -> None:
    given = RealSource("/d/a", about="Views of A.", licence="CC BY 4.0, A.", share=0.1)
    card = card_of(Recipe(data=DataRecipe(real=(given, RealSource("/d/b", lean=True, share=0.1)))))
    assert "Views of A, less the places of fold 0 of 5" in card.training_data
    assert "folder b. Pictures as taken, and leaned over" in card.training_data
    assert card.licence.startswith("MIT. CC BY 4.0, A. Trained on the pictures and footprints of b")


# ---------------------------------------------------------------- --set


def read(folder: Path, text: str, *changes: str) -> DataRecipe:
    path = folder / "r.toml"
    path.write_text(text)
    return read_recipe(path, changes).data


TWO = '[[data.real]]\nfolder = "/x/a"\nshare = 0.1\n[[data.real]]\nfolder = "/x/b"\nshare = 0.2\n'


def test_set_reaches_every_table_of_the_list(tmp_path: Path) -> None:
    assert [one.share for one in read(tmp_path, TWO).real] == [0.1, 0.2]
    changed = read(tmp_path, TWO, "data.real.1.share=0.3", "data.real.2.folder=/x/c d")
    known = [(one.name, one.share) for one in changed.real]
    assert known == [("a", 0.1), ("b", 0.3), ("c d", 0.5)]
    replaced = read(tmp_path, TWO, 'data.real=[{folder="/y", labels="roofs"}]')
    assert replaced.real == (RealSource("/y", labels="roofs"),)
    assert read(tmp_path, TWO, "data.real=[]").real == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("data.real.3.share=0.1", r"data.real has 2 table\(s\), counted from 0"),
        ("data.real.share=0.1", "NUMBER"),
        ("data.real.x.share=0.1", "NUMBER"),
        ("data.real=5", "must be a tuple"),
        ("data.real=[5]", r"data.real.0. is 5; it must be a table"),
        ("data.real.0.shar=0.1", "data.real.0.shar"),
        ("data.real.0.share=2", "between 0 and 1"),
        ("data.real.1.share=0.95", "add up to 1.05"),
        ("data.real.0.labels=roof", "footprints, roofs"),
        ("data.real.0.folder=", "has no folder"),
        ("data.real.0.name=b", "2 sources of real pictures are called 'b'"),
        ("data.real.0.name=scenes", "cannot be called 'scenes'"),
        ("data.real.0.name=a/b", "cannot be called 'a/b'"),
        ("data.real.0.chips=-1", "0 or more"),
        ("data.real.0.height_field=h", 'only used with labels = "roofs"'),
    ],
)
def test_impossible_sources_are_refused_at_once(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, TWO, change)


# ---------------------------------------------------------------- the keys before [[data.real]]

OLD = RealSource("/x/town", "banepa", share=0.28, chips=1600, lean=True)


def without_words(data: DataRecipe) -> list[RealSource]:
    return [replace(one, about="", licence="") for one in data.real]


def test_older_keys_are_read_from_a_recipe_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "snet4"):
        data = read(tmp_path, '[data]\nbanepa = "/x/town"\nbanepa_share = 0.1\n')
    assert without_words(data) == [replace(OLD, share=0.1)]
    assert "OpenStreetMap contributors (ODbL)" in data.real[0].licence
    [record] = caplog.records
    said = record.getMessage()
    assert said.startswith("data.banepa, data.banepa_share: replaced by [[data.real]]")
    # What the warning tells to write means the same.
    shown = said[said.index("data.real = [") : said.rindex(" instead.")]
    assert without_words(read(tmp_path, "[data]\n" + shown.removeprefix("data."))) == [
        replace(OLD, share=0.1)
    ]


def test_older_keys_are_read_from_the_command_line_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = read(tmp_path, TWO, "data.banepa=/x/town", "data.banepa_chips=2400")
    assert without_words(data)[0] == replace(OLD, chips=2400)
    assert [one.name for one in data.real] == ["banepa", "a", "b"]
    assert "replaced by [[data.real]]" in caplog.text


def test_older_keys_without_a_folder_add_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert read(tmp_path, "[data]\nbanepa_chips = 2400\nbanepa_share = 0.1\n").real == ()
    assert "replaced by [[data.real]]" in caplog.text


def test_a_run_begun_with_the_older_keys_is_resumed_with_the_same_chips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its store and log are as earlier versions wrote them; the recipe lost keys since."""
    monkeypatch.chdir(tmp_path)
    town, out = drone_folder(tmp_path / "town"), bright_squares(tmp_path / "run")
    recipe = tmp_path / "r.toml"
    recipe.write_text(SMALL)
    arguments = ["train", str(recipe), "--out", str(out), "--set", f"data.banepa={town}"]
    first = [*arguments, "--set", "data.banepa_chips=24", "--set", "data.banepa_share=0.4",
             "--set", "data.validation_chips=8", "--set", "train.steps=2"]  # fmt: skip
    result = CliRunner().invoke(command, first, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    older = log[0]["recipe"]
    del older["data"]["real"]
    older["data"] |= {"banepa": str(town), "banepa_chips": 24, "banepa_share": 0.4}
    (out / "log.jsonl").write_text("\n".join(json.dumps(line) for line in log) + "\n{cut\n")
    (out / "chips" / "banepa" / "source.json").unlink()
    claim = json.loads((out / "chips" / "recipe.json").read_text())
    assert set(claim) == {"bands", "maps", "chip_px", "gsd_m", "gsd_range_m", "seed", "spare_px",
                          "validation_chips"}  # fmt: skip
    caplog.clear()
    again = [*arguments, "--resume", "--set", "data.validation_chips=8"]
    result = CliRunner().invoke(command, again, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "replaced by [[data.real]]" in caplog.text
    assert ChipStore(out / "chips" / "banepa").chunks() == [0], "no more than it began with"
    [started] = [
        json.loads(line)["recipe"]["data"]["real"]
        for line in (out / "log.jsonl").read_text().splitlines()[-20:]
        if '"event": "start"' in line and '"real"' in line
    ]
    assert (started[0]["chips"], started[0]["share"]) == (24, 0.4)
    assert json.loads((out / "log.jsonl").read_text().splitlines()[-1])["step"] == 4


def test_the_leaned_source_reads_the_part_that_was_asked_for(tmp_path: Path) -> None:
    folder = drone_folder(tmp_path / "drone")
    train, val = (flat_pictures(str(folder), "", part, RGB)[0] for part in (False, True))
    assert train.gsd_m == pytest.approx(GSD_M, rel=1e-3), "no finer than a satellite's best"
    assert train.gsd_m != val.gsd_m, "another place of the grid"
    assert len(train.polygons) == len(val.polygons) == 1
    with pytest.raises(InputError, match=r"needs train/\*.tif"):
        flat_pictures(str(tmp_path), "", False, RGB)


def test_the_recipe_is_saved_flat(tmp_path: Path) -> None:
    """Its `[model]` holds the architecture's keys beside its own, as a recipe file does."""
    path = tmp_path / "r.toml"
    path.write_text(SMALL)
    model = as_plain(read_recipe(path, ["model.attention="]))["model"]
    assert (model["name"], model["encoder"], model["attention"]) == ("default", "resnet18", None)
