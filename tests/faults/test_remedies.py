"""Every remedy that an error names helps: options exist, commands run; other makes are read."""

from __future__ import annotations

import ast
import csv
import gzip
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.crs import CRS

from snet4_cli.main import COMMANDS, INSTEAD, Commands, in_words_of, snet4
from snet4core.errors import InputError, LookError
from snet4core.jobs.run import _horizontal
from snet4core.layers.read import read_buildings
from snet4core.look.table import sighting_in_table
from snet4core.scene.inputs import expand
from snet4core.scene.scene import open_scene
from snet4core.sentence import AZIMUTH, NODATA, OFF_NADIR, Sentence

Picture = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]
ONE_PIXEL = np.full((3, 4, 4), 9, dtype=np.uint8)


def command(name: str) -> click.Command:
    found = Commands().get_command(click.Context(snet4), name)
    assert found is not None
    return found


def flags_of(*names: str) -> set[str]:
    found = {"--help", "-h", "--version", "--verbose", "-v"}
    for name in names:
        outer = command(name)
        for each in (outer, *getattr(outer, "commands", {}).values()):
            found |= {opt for par in each.params for opt in (*par.opts, *par.secondary_opts)}
    return found


def sentences() -> Iterator[tuple[str, str]]:
    """(place, text) of every string in an error or a warning of ours; `{}` for what is put in."""
    for folder in ("snet4core", "cli", "training"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            docs = {
                id(node.body[0].value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
                and node.body and isinstance(node.body[0], ast.Expr)
            }  # fmt: skip
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    text = "".join(
                        str(each.value) if isinstance(each, ast.Constant) else "{}"
                        for each in node.values
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    text = "" if id(node) in docs else node.value
                else:
                    continue
                if len(text) > 12:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", text


SENTENCES = list(sentences())
GDAL = re.compile(r"'((?:gdal\w+|ogr2ogr)(?:\.py)? [^']*)'")
OWN = re.compile(r"'?snet4 (" + "|".join(COMMANDS) + r")\b([^'\n;]*)")


def gdal_commands() -> list[str]:
    found = {match for _, text in SENTENCES for match in GDAL.findall(text)}
    return sorted(found)


def test_there_are_remedies_to_try() -> None:
    assert len(SENTENCES) > 500
    assert len(gdal_commands()) >= 8


@pytest.mark.parametrize("text", gdal_commands())
def test_a_command_of_gdals_that_an_error_names_runs(
    picture: Picture, tmp_path: Path, text: str
) -> None:
    program = text.split()[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if program == "ogr2ogr":
        source = tmp_path / "in.geojson"
        source.write_text('{"type":"FeatureCollection","features":[]}')
    else:
        source = picture(ONE_PIXEL, "in.tif", photometric="RGB")
    filled = text
    for word, value in (
        (r"\bIN\b", str(source)), (r"\bOUT(\.\w+)?\b", str(tmp_path / "out.tif")),
        (r"\bLAYER\b", "in"),
        (r"\bCRS\b", "EPSG:32616"), (r"\bNUMBER\b", "32616"), (r"\b-b N\b", "-b 1"),
        (r"\bULX ULY LRX LRY\b", "0 4 4 0"), (r"\bVALUE\b", "0"), (r"-b N", "-b 1"),
        (r"\{\}", "1"), (r" -rpc", ""),
    ):  # fmt: skip
        filled = re.sub(word, value, filled)
    if program == "ogr2ogr":
        filled = filled.replace("out.tif", "out.gpkg")
    if "-expand" in filled:
        with rasterio.open(picture(ONE_PIXEL[:1], "in.tif"), "r+") as dataset:
            dataset.write_colormap(1, {9: (1, 2, 3, 255)})
    done = subprocess.run(filled.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("place", "text"), [(p, t) for p, t in SENTENCES if OWN.search(t)], ids=lambda v: v[:50]
)
def test_a_command_of_ours_that_a_text_names_exists(place: str, text: str) -> None:
    for name, rest in OWN.findall(text):
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest)) <= flags_of(name), place


@pytest.mark.parametrize(
    ("place", "text"),
    [(p, t) for p, t in SENTENCES if re.search(r"(?<![\w-])--[a-z]", t)],
    ids=lambda v: v[:50],
)
def test_an_option_that_a_text_names_exists(place: str, text: str) -> None:
    without_gdal = GDAL.sub("", text)
    known = flags_of(*COMMANDS) | {"--config"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", without_gdal)) <= known, place


@pytest.mark.parametrize("name", ["calibrate", "train"])
def test_a_command_without_an_option_names_what_it_takes_instead(name: str) -> None:
    error = LookError("Give ", OFF_NADIR, ", ", AZIMUTH, " or ", NODATA, ".")
    told = in_words_of(command(name), error.sentence)
    assert not set(re.findall(r"--[a-z-]+", told)) - flags_of(name)
    assert "looks.csv" in told
    assert in_words_of(command("run"), error.sentence) == str(error)
    assert in_words_of(None, Sentence("plain")) == "plain"
    assert set(INSTEAD) <= flags_of("run")


def test_calibrate_has_the_options_that_its_engine_names() -> None:
    assert {"--device", "--precision", "--runtime"} <= flags_of("calibrate")


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
    remedy = GDAL.findall(str(problem.value))[0].replace("OUT.gpkg", str(tmp_path / "o.gpkg"))
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
    assert _horizontal(compound) == _horizontal(plain) == plain
    assert _horizontal(CRS.from_epsg(32617)) != plain


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
