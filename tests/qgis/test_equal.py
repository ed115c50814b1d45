"""What QGIS gives is what `snet4 run` gives: same geometry, same fields, same CRS."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not in this Python; run: make test-qgis")

from osgeo import ogr
from qgis_helpers import ENGINE, SHARED_DATA, engine

HOSTILE = {
    "PROJ_LIB": "/usr/share/proj",
    "GDAL_DATA": "/usr/share/gdal",
    "PYTHONHOME": "/usr",
    "PYTHONPATH": "/usr/lib/python3/dist-packages:/usr/share/qgis/python",
    "SSL_CERT_FILE": "/nowhere/cacert.pem",
}
"""QGIS survives these, which are its own; the engine would not."""


def features(path: Path, layer: str) -> dict[str, Any]:
    """Everything about a layer but its own numbering of rows."""
    source = ogr.Open(str(path))
    table = source.GetLayerByName(layer)
    definition = table.GetLayerDefn()
    fields = [definition.GetFieldDefn(index) for index in range(definition.GetFieldCount())]
    system = table.GetSpatialRef()
    return {
        "crs": (system.GetAuthorityName(None), system.GetAuthorityCode(None)),
        "kind": table.GetGeomType(),
        "fields": [(field.GetName(), field.GetTypeName()) for field in fields],
        "rows": [
            (
                bytes(feature.GetGeometryRef().ExportToIsoWkb()),
                [feature.GetField(field.GetName()) for field in fields],
            )
            for feature in table
        ],
    }


@pytest.mark.parametrize("env", [{}, HOSTILE], ids=["clean", "hostile"])
def test_a_rendered_scene_gives_the_features_of_the_command_line(
    env: dict[str, str], scene: Path, tmp_path: Path, qgis_process: Any
) -> None:
    engine("-m", "snet4_cli", "run", str(scene), "-o", str(tmp_path / "cli.gpkg"))
    done = qgis_process("snet4:extractfootprints", env, INPUT=scene, OUTPUT=tmp_path / "qgis.gpkg")
    assert done.rc == 0, done.stderr
    expected = features(tmp_path / "cli.gpkg", "footprints")
    assert expected["crs"] == ("EPSG", "32616")
    assert len(expected["rows"]) >= 5
    assert features(tmp_path / "qgis.gpkg", "qgis") == expected
    assert done.results["COUNT"] == len(expected["rows"])
    assert "read from the file name" in done.log
    assert f"snet4 run {scene} -o {tmp_path / 'qgis.gpkg'}" in done.log


@pytest.mark.parametrize("env", [{}, HOSTILE], ids=["clean", "hostile"])
def test_a_real_picture_gives_the_features_of_the_command_line(
    env: dict[str, str], tmp_path: Path, qgis_process: Any
) -> None:
    pictures = sorted((SHARED_DATA / "real" / "sn4-atlanta-pan").glob("*.tif"))
    if not pictures:
        pytest.skip("the folder of real pictures (../shared/data) is not here")
    engine(
        *("-m", "snet4_cli", "run", str(pictures[0]), "-o", str(tmp_path / "cli.gpkg")),
        *("--bands", "1,1,1,-", "--off-nadir", "10", "--threshold", "0.4"),
        *("--min-confidence", "0.05"),
        *("--bounds", "733601", "3724700", "733850", "3725100"),
    )
    done = qgis_process(
        "snet4:extractfootprints",
        env,
        INPUT=pictures[0],
        BANDS="1,1,1,-",
        OFF_NADIR=10,
        THRESHOLD=0.4,
        MIN_CONFIDENCE=0.05,
        EXTENT="733601,733850,3724700,3725100 [EPSG:32616]",
        OUTPUT=tmp_path / "qgis.gpkg",
    )
    assert done.rc == 0, done.stderr
    expected = features(tmp_path / "cli.gpkg", "footprints")
    assert len(expected["rows"]) >= 5
    assert features(tmp_path / "qgis.gpkg", "qgis") == expected
    assert "read from your parameters" in done.log


def test_the_engine_would_not_survive_what_is_kept_from_it() -> None:
    code = "from rasterio.crs import CRS; assert CRS.from_epsg(32616).to_epsg() == 32616"
    survived = set()
    for name, value in HOSTILE.items():
        # Without -I, as a plugin that takes no care would start it.
        env = {**os.environ, name: value}
        done = subprocess.run([ENGINE, "-c", code], env=env, capture_output=True, timeout=300)
        if done.returncode == 0:
            survived.add(name)
    ask = "import sys, rasterio; print(sys.base_prefix, rasterio.__path__[0], sep='\\n')"
    own, rasterio = engine("-c", ask).stdout.splitlines()
    # An engine that was made of the system's Python has its home there.
    harmless = {"PYTHONHOME"} if own == HOSTILE["PYTHONHOME"] else set()
    # PROJ refuses a database that is older than its own, and reads the others.
    if _layout(Path(HOSTILE["PROJ_LIB"])) >= _layout(Path(rasterio, "proj_data")):
        harmless.add("PROJ_LIB")
    assert {"PROJ_LIB", "PYTHONHOME"} & survived <= harmless


def _layout(folder: Path) -> list[int]:
    """Version of the layout of the database of PROJ in a folder."""
    with closing(sqlite3.connect(f"file:{folder / 'proj.db'}?mode=ro", uri=True)) as database:
        rows = dict(database.execute("SELECT key, value FROM metadata"))
    return [int(rows[f"DATABASE.LAYOUT.VERSION.{part}"]) for part in ("MAJOR", "MINOR")]


def test_maps_that_were_kept_give_the_same_features_again(
    scene: Path, tmp_path: Path, qgis_process: Any
) -> None:
    done = qgis_process(
        "snet4:extractfootprints",
        INPUT=scene,
        OUTPUT=tmp_path / "first.gpkg",
        SAVE_MAPS=tmp_path / "maps.tif",
    )
    assert done.rc == 0, done.stderr
    again = qgis_process(
        "snet4:polygonizemaps", INPUT=tmp_path / "maps.tif", OUTPUT=tmp_path / "again.gpkg"
    )
    assert again.rc == 0, again.stderr
    first = features(tmp_path / "first.gpkg", "first")
    assert features(tmp_path / "again.gpkg", "again") == first
    fewer = qgis_process(
        "snet4:polygonizemaps",
        INPUT=tmp_path / "maps.tif",
        MIN_AREA=150,
        OUTPUT=tmp_path / "fewer.gpkg",
    )
    assert 0 < fewer.results["COUNT"] < len(first["rows"])
    score = qgis_process(
        "snet4:scorefootprints",
        PROPOSALS=tmp_path / "fewer.gpkg",
        TRUTH=tmp_path / "first.gpkg",
    )
    assert score.rc == 0, score.stderr
    assert score.results["TP"] == fewer.results["COUNT"]
    assert score.results["FN"] == len(first["rows"]) - fewer.results["COUNT"]
    assert score.results["PRECISION"] == 1


def test_the_check_says_that_the_engine_works(qgis_process: Any) -> None:
    done = qgis_process("snet4:checkengine")
    assert done.rc == 0, done.stderr
    assert done.results["WORKS"] is True
    report = done.results["REPORT"]
    for word in ("QGIS", "snet4", "PROJ", "EPSG:32616 is known", "sha256", ENGINE):
        assert word in report
