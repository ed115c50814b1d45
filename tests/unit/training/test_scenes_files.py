"""Scenes as files: SpaceNet 4's names and tables, the same bytes for the same seed."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from click.testing import CliRunner

from snet4_cli.scenes import scenes
from snet4_training.scenes.dataset import parse_looks, write_scenes
from snet4_training.scenes.spacenet_files import (
    TileName,
    image_id,
    image_path,
    labels_path,
    labels_text,
    summary_path,
    summary_text,
)
from snet4_training.scenes.world import Building
from snet4core.errors import Cancelled, OutputError, UsageError
from snet4core.look.names import SPACENET4_LOOKS
from snet4core.look.table import sighting_in_table

NADIR7 = SPACENET4_LOOKS[0]
TILE = TileName(743501, 3728739)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_27_looks() -> None:
    assert len(SPACENET4_LOOKS) == 27
    assert len({one.catalogue_id for one in SPACENET4_LOOKS}) == 27
    kinds = [one.look.category for one in SPACENET4_LOOKS]
    assert [kinds.count(name) for name in ("nadir", "off-nadir", "very-off-nadir")] == [11, 7, 9]
    assert sum(one.look.side == "south" for one in SPACENET4_LOOKS) == 8
    renamed = {31.0: "nadir30", 37.0: "nadir36", 54.0: "nadir53"}
    for one in SPACENET4_LOOKS:
        assert one.folder == renamed.get(one.off_nadir_deg, f"nadir{int(one.off_nadir_deg)}")


def test_names_of_the_competition() -> None:
    assert str(image_path("competition", NADIR7, TILE)) == (
        "Atlanta_nadir7_catid_1030010003D22F00/Pan-Sharpen/"
        "Pan-Sharpen_Atlanta_nadir7_catid_1030010003D22F00_743501_3728739.tif"
    )
    assert str(labels_path("competition", TILE)) == (
        "geojson/spacenet-buildings/spacenet-buildings_743501_3728739.geojson"
    )
    assert str(summary_path(NADIR7)) == (
        "summaryData/Atlanta_nadir7_catid_1030010003D22F00_Train.csv"
    )
    assert image_id(NADIR7, TILE) == "Atlanta_nadir7_catid_1030010003D22F00_743501_3728739"


def test_names_of_the_bucket() -> None:
    assert str(image_path("bucket", NADIR7, TILE)) == (
        "nadir7_catid_1030010003D22F00/PS-RGBNIR/SN4_buildings_train_AOI_6_Atlanta_"
        "nadir7_catid_1030010003D22F00_PS-RGBNIR_743501_3728739.tif"
    )
    assert str(labels_path("bucket", TILE)) == (
        "geojson_buildings/"
        "SN4_buildings_train_AOI_6_Atlanta_geojson_buildings_743501_3728739.geojson"
    )


def test_the_tile_is_named_by_its_lower_left_corner() -> None:
    to_map = TILE.transform(900, 0.5)
    assert (to_map.c, to_map.f + 900 * to_map.e) == (743501, 3728739)
    assert (to_map.c + 900 * to_map.a, to_map.f) == (743951, 3729189)


def test_a_tile_without_buildings_has_one_row() -> None:
    courtyard = shapely.box(1, 1, 9, 9).difference(shapely.box(4, 4, 6, 6))
    house = Building(courtyard, 6.4, "hip", 4.1)
    to_map = TILE.transform(10, 0.5)
    rows = list(
        csv.DictReader(summary_text([("a", [house], to_map), ("b", [], to_map)]).split("\n"))
    )
    assert [(row["ImageId"], row["BuildingId"]) for row in rows] == [("a", "0"), ("b", "-1")]
    assert rows[1]["PolygonWKT_Pix"] == "POLYGON EMPTY"
    assert shapely.from_wkt(rows[0]["PolygonWKT_Pix"]).equals(courtyard)
    assert shapely.from_wkt(rows[0]["PolygonWKT_Geo"]).area == pytest.approx(60 * 0.25)
    (feature,) = json.loads(labels_text([house], to_map))["features"]
    assert feature["properties"]["height_m"] == 6.4
    assert len(feature["geometry"]["coordinates"]) == 2


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes") / "data"
    write_scenes(out, 2, parse_looks("nadir7,nadir53"), 3, size_px=160)
    return out


def test_pictures_and_labels_lie_on_one_grid(written: Path) -> None:
    """Three collects, two tiles: six pictures, two label files, three tables."""
    pictures = sorted(written.rglob("*.tif"))
    assert len(pictures) == 6
    for path in pictures:
        x, y = (int(part) for part in path.stem.split("_")[-2:])
        with rasterio.open(path) as file:
            assert file.crs.to_epsg() == 32616
            assert file.res == (0.5, 0.5)
            assert (file.bounds.left, file.bounds.bottom) == (x, y)
            assert file.dtypes == ("uint16",) * 4
            assert file.descriptions == ("blue", "green", "red", "nir")
        labels = written / labels_path("competition", TileName(x, y))
        features = json.loads(labels.read_text())["features"]
        assert features
        for feature in features:
            shape = shapely.geometry.shape(feature["geometry"])
            assert shapely.box(x, y, x + 80, y + 80).buffer(0.01).contains(shape)
            assert feature["properties"]["height_m"] > 0


def test_tables_repeat_the_labels_for_every_look(written: Path) -> None:
    tables = sorted((written / "summaryData").glob("*.csv"))
    assert len(tables) == 3
    contents = []
    for path in tables:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        stem = path.stem.removesuffix("_Train")
        assert {row["ImageId"].rsplit("_", 2)[0] for row in rows} == {stem}
        contents.append([row["PolygonWKT_Pix"] for row in rows])
        for row in rows:
            x, y = (int(part) for part in row["ImageId"].split("_")[-2:])
            pixels = shapely.from_wkt(row["PolygonWKT_Pix"])
            mapped = shapely.from_wkt(row["PolygonWKT_Geo"])
            corner = np.array([x, y + 80])
            moved = shapely.transform(pixels, lambda at, c=corner: at * [0.5, -0.5] + c)
            assert moved.symmetric_difference(mapped).area < 0.01 * mapped.length
    assert contents[0] == contents[1] == contents[2]


def test_same_seed_same_bytes_with_any_number_of_workers(written: Path, tmp_path: Path) -> None:
    write_scenes(tmp_path / "b", 2, parse_looks("nadir7,nadir53"), 3, size_px=160, workers=2)
    assert digests(tmp_path / "b") == digests(written)


def test_a_look_does_not_depend_on_the_others(written: Path, tmp_path: Path) -> None:
    write_scenes(tmp_path / "c", 1, parse_looks("nadir7"), 3, size_px=160)
    here, there = digests(tmp_path / "c"), digests(written)
    pictures = [name for name in here if name.endswith((".tif", ".geojson"))]
    assert len(pictures) == 2
    assert all(here[name] == there[name] for name in pictures)


def test_looks_of_ones_own() -> None:
    assert parse_looks("spacenet4") == SPACENET4_LOOKS
    (own,) = parse_looks("45.5:-20")
    assert (own.folder, own.off_nadir_deg, own.azimuth_deg) == ("nadir45", 45.5, 340.0)
    assert len(own.catalogue_id) == 16
    assert parse_looks("45.5:340") == (own,)
    assert len(parse_looks("nadir10")) == 2
    for wrong in ("nadir11", "45", "95:0", "a:b", ""):
        with pytest.raises(UsageError):
            parse_looks(wrong)


def test_a_filled_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not an empty folder"):
        write_scenes(tmp_path, 1, parse_looks("nadir7"), 0)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_folder_that_one_stands_in_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path / "own")
    write_scenes(Path(), 1, parse_looks("nadir7"), 0, size_px=64)
    assert (Path.cwd() / "looks.csv").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


class StopsAtOnce:
    """Somebody who changes their mind after the first tile."""

    def step(self, done: float, total: float, what: str) -> None:
        pass

    def cancelled(self) -> bool:
        return True


def test_a_stopped_run_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        write_scenes(tmp_path / "d", 2, parse_looks("5:0"), 0, size_px=64, progress=StopsAtOnce())
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_scenes(tmp_path / "file" / "d", 1, parse_looks("5:0"), 0, size_px=64)


def test_the_command_is_light_until_it_runs() -> None:
    heavy = "[m for m in ('numpy', 'rasterio', 'shapely', 'scipy') if m in sys.modules]"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, snet4_cli.scenes; print({heavy})"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_command_writes_the_bucket_layout(tmp_path: Path) -> None:
    out = tmp_path / "sn4"
    result = CliRunner().invoke(
        scenes,
        [str(out), "--tiles", "1", "--looks", "30:45", "--layout", "bucket", "--size", "96"],
    )
    assert result.exit_code == 0, result.output
    assert "1 tiles" in result.output
    (picture,) = out.rglob("*.tif")
    assert picture.parent.name == "PS-RGBNIR"
    seen = sighting_in_table(out / "looks.csv", str(picture))
    assert seen is not None
    assert (seen.off_nadir_deg, seen.azimuth_deg) == (30.0, 45.0)
    assert (out / "looks.csv").read_text().splitlines()[1].split(",")[1:4] == [
        "nadir30",
        "30",
        "45",
    ]
