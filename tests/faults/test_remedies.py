"""Inputs of other makes are read, or refused with a remedy that helps."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import shapely
from click.testing import CliRunner
from rasterio.crs import CRS

from snet4_cli.main import Commands, in_words_of, snet4
from snet4core.errors import EngineError, InputError
from snet4core.grid import horizontal
from snet4core.jobs.job import of_another_crs
from snet4core.layers.read import read_buildings
from snet4core.look.table import sighting_in_table
from snet4core.maps.look_guesser import LookGuesser
from snet4core.scene.inputs import expand
from snet4core.scene.scene import open_scene
from snet4core.sentence import PRECISION

Picture = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]
ONE_PIXEL = np.full((3, 4, 4), 9, dtype=np.uint8)


# --- Inputs of other makes ---


@pytest.mark.parametrize(
    "href", ["file://{folder}/my%20town.tif", "my%20town.tif", "./my town.tif"]
)
def test_hrefs_of_every_make_are_found(picture: Picture, tmp_path: Path, href: str) -> None:
    path = picture(ONE_PIXEL, "my town.tif", photometric="RGB")
    asset = {"href": href.format(folder=tmp_path), "type": "image/tiff", "roles": ["data"]}
    item = {"type": "Feature", "properties": {}, "assets": {"a": asset}}
    (tmp_path / "item.json").write_text(json.dumps(item))
    (scene,) = expand([tmp_path / "item.json"])
    assert Path(scene.location).samefile(path)
    assert open_scene(scene).grid.shape == (4, 4)


@pytest.mark.parametrize("line", ['"{}"', "'{}'", "{}", '  "{}"  '])
def test_quoted_entries_of_a_list_are_paths(tmp_path: Path, line: str) -> None:
    (tmp_path / "my town.tif").touch()
    (tmp_path / "list.txt").write_text(line.format("my town.tif") + "\n")
    (scene,) = expand([f"@{tmp_path / 'list.txt'}"])
    assert Path(scene.location).name == "my town.tif"


def test_a_looks_table_of_semicolons_is_read(tmp_path: Path) -> None:
    table = tmp_path / "looks.csv"
    table.write_text("scene;off_nadir_deg;azimuth_deg\na.tif;31,5;182,25\nb,c.tif;4;5\n")
    found = sighting_in_table(table, "a.tif")
    assert found is not None
    assert (found.off_nadir_deg, found.azimuth_deg) == (31.5, 182.25)
    assert sighting_in_table(table, "b,c.tif") is not None


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("scene\toff_nadir_deg\tazimuth_deg\na.tif\t31,5\t24\n", "utf-8"),
        ("scene\toff_nadir_deg\tazimuth_deg\r\na.tif\t31.5\t24\r\n", "utf-16"),
        ("sep=;\nscene;off_nadir_deg;azimuth_deg\na.tif;31,5;24\n", "utf-8"),
        ("\n# looks of May\n\nscene,off_nadir_deg,azimuth_deg\na.tif,31.5,24\n", "utf-8"),
        ("scene,off_nadir_deg,azimuth_deg\n/data/my%20town/a.tif,31.5,24\n", "utf-8"),
        ("scene,off_nadir_deg,azimuth_deg\nfile:///my%20town/a.tif,31.5,24\n", "utf-8"),
    ],
    ids=["tabs", "text of Excel", "its separator", "a comment", "%20", "file://"],
)
def test_looks_tables_of_spreadsheets_are_read(tmp_path: Path, text: str, encoding: str) -> None:
    table = tmp_path / "looks.csv"
    table.write_bytes(text.encode(encoding))
    found = sighting_in_table(table, "/home/me/my town/a.tif")
    assert found is not None
    assert (found.off_nadir_deg, found.azimuth_deg) == (31.5, 24.0)


def test_lines_above_the_header_of_a_looks_table_are_counted(tmp_path: Path) -> None:
    table = tmp_path / "looks.csv"
    table.write_text("sep=,\n\nscene,off_nadir_deg\na.tif,steep\n")
    with pytest.raises(InputError, match=r"looks\.csv, line 4: 'steep'"):
        sighting_in_table(table, "a.tif")


def test_a_looks_table_of_another_machine_is_read(tmp_path: Path) -> None:
    table = tmp_path / "looks.csv"
    rows = [["scene", "off_nadir"], [r"D:\data\north\a.tif", 31], [r"D:\data\south\a.tif", 12],
            ["/mnt/x/b.tif", 7]]  # fmt: skip
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)

    def angle(location: str) -> float | None:
        found = sighting_in_table(table, location)
        return None if found is None else found.off_nadir_deg

    assert angle("/home/me/north/a.tif") == 31
    assert angle("/home/me/south/a.tif") == 12
    assert angle("/home/me/b.tif") == 7
    assert angle("/home/me/c.tif") is None
    with pytest.raises(InputError, match="another look"):
        angle("/home/me/west/a.tif")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_world_file_with_decimal_commas_is_read(picture: Picture) -> None:
    path = picture(ONE_PIXEL, "a.tif", photometric="RGB", transform=None)
    path.with_name("a.tfw").write_text("0,5\n0,0\n0,0\n-0,5\n733601,25\n3725138,75\n")
    grid = open_scene(path).grid
    assert (grid.transform.c, grid.transform.f) == (733601.0, 3725139.0)


@pytest.mark.parametrize(
    ("head", "remedy"),
    [(b"NITF02.10", "gdal_translate IN OUT.tif"), (b"PK\x03\x04", "unzip IN"),
     (b"SQLite format 3\0", "gdal_translate IN OUT.tif"), (b"\x1f\x8b", "gunzip IN"),
     (b"<MRF_META>", "gdal_translate IN OUT.tif"), (b"\x89HDF", "gdal_translate IN OUT.tif")],
)  # fmt: skip
def test_a_format_that_is_not_read_comes_with_the_command(
    tmp_path: Path, head: bytes, remedy: str
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(head + bytes(99))
    with pytest.raises(InputError, match=f"'{remedy}'"):
        open_scene(path)


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint16", 65535), ("int16", -9999), ("float32", -9999), ("uint8", 255)]
)
def test_a_collar_that_is_not_declared_is_told(picture: Picture, dtype: str, value: int) -> None:
    counts_BHW = np.full((3, 64, 64), 40, dtype=dtype)
    plain = open_scene(picture(counts_BHW, "plain.tif"))
    assert not any("corner" in warning for warning in plain.warnings)
    counts_BHW[:, :20, :20] = value
    path = picture(counts_BHW)
    (warning,) = [text for text in open_scene(path).warnings if "corner" in text]
    assert warning.endswith(f"give --nodata {value}.")
    assert open_scene(path, nodata=value).warnings == ()


def test_a_geodatabase_is_told_how_to_become_a_layer(tmp_path: Path) -> None:
    (tmp_path / "town.gdb").mkdir()
    with pytest.raises(InputError, match=r"town.gdb is a folder.*'ogr2ogr OUT.gpkg IN LAYER'"):
        read_buildings(tmp_path / "town.gdb")


@pytest.mark.parametrize(
    ("name", "head", "remedy"),
    [
        ("a.kml", b'<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2">',
         "'ogr2ogr OUT.gpkg IN'"),
        ("a.osm", b'<?xml version="1.0"?>\n<osm version="0.6">', "'ogr2ogr OUT.gpkg IN'"),
        ("a.dxf", b"  0\r\nSECTION\r\n", "'ogr2ogr OUT.gpkg IN'"),
        ("a.zip", b"PK\x03\x04", "'unzip IN'"),
        ("a.kmz", b"PK\x03\x04", "'unzip IN'"),
        ("a.geojson", b"version https://git-lfs.github.com/spec/v1\n", "'git lfs pull'"),
        ("a.geojson", b"<!DOCTYPE html><html>", "a page, perhaps a failed download"),
        ("a.geojson", b"", "is empty; copy or download it again"),
        ("a.shx", b"\0\0\x27\x0a", "the index of a shapefile; give the .shp beside it"),
    ],
)  # fmt: skip
def test_a_layer_that_is_not_read_comes_with_the_command(
    tmp_path: Path, name: str, head: bytes, remedy: str
) -> None:
    path = tmp_path / name
    path.write_bytes(head + bytes(99) * bool(head))
    with pytest.raises(InputError, match=re.escape(remedy)) as problem:
        read_buildings(path)
    assert name in str(problem.value)


def test_a_shapefile_without_its_index_is_told_how_to_get_one(tmp_path: Path) -> None:
    import fiona

    schema = {"geometry": "Polygon", "properties": {}}
    path = tmp_path / "a.shp"
    with fiona.open(path, "w", driver="ESRI Shapefile", schema=schema, crs="EPSG:32616") as file:
        file.write(
            {"geometry": shapely.geometry.mapping(shapely.box(0, 0, 1, 1)), "properties": {}}
        )
    assert len(read_buildings(path)) == 1
    path.with_suffix(".shx").unlink()
    with pytest.raises(InputError, match=r"no .shx beside it.*SHAPE_RESTORE_SHX") as problem:
        read_buildings(path)
    remedy = re.findall(r"'(ogr2ogr [^']*)'", str(problem.value))[0].replace(
        "OUT.gpkg", str(tmp_path / "o.gpkg")
    )
    if shutil.which("ogr2ogr") is None:
        pytest.skip("ogr2ogr is not installed")
    subprocess.run(re.sub(r"\bIN\b", str(path), remedy).split(), check=True, capture_output=True)
    assert len(read_buildings(tmp_path / "o.gpkg")) == 1


def lines_of_features() -> str:
    square: Any = shapely.geometry.mapping(shapely.box(10, 10, 10.1, 10.1))
    feature = json.dumps({"type": "Feature", "properties": {"height": -1}, "geometry": square})
    return f"{feature}\n{feature}\n"


def test_lines_of_geojson_in_a_csv_are_read(tmp_path: Path) -> None:
    """As Microsoft's footprints come."""
    path = tmp_path / "part-00109.csv"
    path.write_text(lines_of_features())
    assert len(read_buildings(path)) == 2


def test_compressed_lines_are_told_how_to_unpack(tmp_path: Path) -> None:
    path = tmp_path / "part-00109.csv.gz"
    path.write_bytes(gzip.compress(lines_of_features().encode()))
    with pytest.raises(InputError, match="'gunzip IN'"):
        read_buildings(path)


def test_a_vertical_crs_makes_no_other_place() -> None:
    plain, compound = CRS.from_epsg(32616), CRS.from_string("EPSG:32616+5773")
    assert plain != compound
    assert horizontal(compound) == horizontal(plain) == plain
    assert horizontal(CRS.from_epsg(32617)) != plain

    assert of_another_crs("a.tif", compound, "b.tif", plain) is None
    problem = of_another_crs("a.tif", CRS.from_epsg(32617), "b.tif", plain)
    assert "a.tif is in EPSG:32617, but b.tif in EPSG:32616; run them into two" in str(problem)


def test_lean_writes_only_what_its_name_says(
    picture: Picture, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    from snet4_cli.main import main

    arguments = ["lean", "a.tif", "b.geojson", str(tmp_path / "o.jpg"), "--off-nadir", "3",
                 "--azimuth", "3"]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["snet4", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "o.jpg: a GeoTIFF is written; call it .tif" in capfd.readouterr().err


def test_info_names_its_own_options_where_no_look_can_be_guessed(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's remedies, `--precision` and `--runtime`, are options of `run`."""

    def fail(*_: Any) -> None:
        raise EngineError("OpenVINO cannot compute it in fp32 here (x); try ", PRECISION, " fp32.")

    monkeypatch.setattr(LookGuesser, "sighting", fail)
    path = picture(ONE_PIXEL, photometric="RGB")
    shown = CliRunner().invoke(snet4, ["info", str(path), "--json"])
    (warning,) = json.loads(shown.output)["warnings"]
    assert "OpenVINO cannot compute it in fp32 here (x)" in warning
    assert set(re.findall(r"--[a-z-]+", warning)) == {"--off-nadir"}


@pytest.mark.parametrize("name", ["score", "report", "calibrate", "train"])
def test_a_command_that_opens_no_connections_does_not_offer_to(name: str) -> None:
    command = Commands().get_command(click.Context(snet4), name)
    with pytest.raises(InputError) as problem:
        open_scene("https://example.com/a.tif")
    assert "download it, or give --allow-remote" in str(problem.value)
    told = in_words_of(command, problem.value.sentence)
    assert told.endswith("download it, or give a copy on disk.")


def test_a_parquet_file_is_read_under_its_own_name_alone(tmp_path: Path) -> None:
    path = tmp_path / "town.geojson"
    path.write_bytes(b"PAR1" + bytes(99))
    with pytest.raises(InputError, match=r"town\.geojson is a Parquet file.* rename it"):
        read_buildings(path)


@pytest.mark.parametrize("height", ["tall", -3, "inf"])
def test_what_is_no_height_is_told_without_options(tmp_path: Path, height: object) -> None:
    """`report` and `--aoi` read heights too, and have no option for their field."""
    path = tmp_path / "town.geojson"
    square = shapely.geometry.mapping(shapely.box(0, 0, 1, 1))
    feature = {"type": "Feature", "properties": {"height_m": height}, "geometry": square}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(InputError, match=r"feature 1: the height .* leave it empty") as problem:
        read_buildings(path)
    assert "--" not in str(problem.value)
