"""The environment of another program: its data, plugins and packages are set aside, and shown."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Picture = Callable[..., Path]
SNET4 = [sys.executable, "-m", "snet4_cli"]


def old_proj(folder: Path) -> Path:
    """A folder with a `proj.db` of a layout that no PROJ of today reads."""
    folder.mkdir()
    with sqlite3.connect(folder / "proj.db") as database:
        database.execute("create table metadata(key text, value text)")
        rows = [("DATABASE.LAYOUT.VERSION.MAJOR", "1"), ("DATABASE.LAYOUT.VERSION.MINOR", "0")]
        database.executemany("insert into metadata values (?, ?)", rows)
    return folder


def broken_packages(folder: Path) -> Path:
    """A folder of packages of another Python: they cannot be imported here."""
    for name in ("numpy", "rasterio", "shapely", "fiona", "pyproj"):
        package = folder / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise ImportError('compiled for another Python')\n")
    (folder / "helpful.py").write_text("")
    return folder


def plugins(folder: Path) -> Path:
    folder.mkdir()
    (folder / "gdal_GTiff.so").write_bytes(b"no library")
    return folder


def settings(folder: Path) -> Path:
    folder.write_text("[configoptions]\nGDAL_SKIP=GTiff\n")
    return folder


def drivers_in_python(folder: Path) -> Path:
    folder.mkdir()
    (folder / "gdal_none.py").write_text("raise SystemError('of another program')\n")
    return folder


VARIABLES: dict[str, Callable[[Path], Path | str]] = {
    "PROJ_LIB": old_proj,
    "PROJ_DATA": old_proj,
    "GDAL_DATA": old_proj,
    "GDAL_DRIVER_PATH": plugins,
    "OGR_DRIVER_PATH": plugins,
    "GDAL_PYTHON_DRIVER_PATH": drivers_in_python,
    "GDAL_CONFIG_FILE": settings,
    "GDAL_SKIP": lambda _: "GTiff",
    "OGR_SKIP": lambda _: "GPKG",
    "PYTHONPATH": broken_packages,
    "PROJ_AUX_DB": lambda folder: old_proj(folder) / "proj.db",
    "GML_SKIP_CORRUPTED_FEATURES": lambda _: "YES",
    "GTIFF_POINT_GEO_IGNORE": lambda _: "TRUE",
    "GDAL_JPEG_TO_RGB": lambda _: "NO",
    "CONVERT_YCBCR_TO_RGB": lambda _: "NO",
    "OGR_GEOJSON_MAX_OBJ_SIZE": lambda _: "1",
    "PROJ_NETWORK": lambda _: "ON",
    "PROJ_NETWORK_ENDPOINT": lambda _: "http://127.0.0.1:9",
}


def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    # What the tests themselves find snet4 by, where it is not installed.
    packages = ("snet4core", "snet4_cli", "snet4_training")
    own = [each for each in sys.path if any(Path(each, name).is_dir() for name in packages)]
    foreign = environment.pop("PYTHONPATH", "")
    path = os.pathsep.join([each for each in (foreign, *own) if each])
    return subprocess.run(
        [*SNET4, *map(str, arguments)],
        env={**os.environ, **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("variable", VARIABLES)
def test_variables_of_another_program_change_nothing(
    picture: Picture, tmp_path: Path, variable: str
) -> None:
    scene = picture(np.full((3, 8, 8), 9, dtype=np.uint8), photometric="RGB")
    value = str(VARIABLES[variable](tmp_path / "foreign"))
    plain = call("info", scene, "--off-nadir", "9", "--json")
    there = call("info", scene, "--off-nadir", "9", "--json", **{variable: value})
    assert (there.returncode, there.stderr) == (0, "")
    assert json.loads(there.stdout) == json.loads(plain.stdout)


@pytest.mark.parametrize("variable", VARIABLES)
def test_doctor_shows_what_was_set_aside(tmp_path: Path, variable: str) -> None:
    value = str(VARIABLES[variable](tmp_path / "foreign"))
    done = call("doctor", "--json", **{variable: value})
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert value in report["set aside"][variable]


def test_what_only_pythonpath_has_is_still_found(tmp_path: Path) -> None:
    folder = broken_packages(tmp_path / "foreign")
    code = (
        "from snet4core.files.environment import use_own_data\nuse_own_data()\n"
        "import helpful, numpy, sys\nprint(numpy.__version__, sys.path[-1])"
    )
    own = [each for each in sys.path if Path(each, "snet4core").is_dir()]
    path = os.pathsep.join([str(folder), *own])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == f"{np.__version__} {folder}"


def test_settings_for_remote_pictures_are_kept() -> None:
    code = (
        "import os\nfrom snet4core.files.environment import use_own_data\nuse_own_data()\n"
        "print(os.environ['GDAL_HTTP_HEADERS'], os.environ['AWS_REGION'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "GDAL_HTTP_HEADERS": "a: b", "AWS_REGION": "r"},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["a:", "b", "r"]
