"""GDAL is kept narrow and quiet, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.env import getenv, hasenv

from snet4core.scene import gdal


def undecodable() -> UnicodeDecodeError:
    return UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def test_only_the_loggers_own_failure_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[Any] = []
    monkeypatch.setattr(gdal, "_printed", lambda *problem: printed.append(problem[1]))
    monkeypatch.setattr(gdal, "_unraised", lambda report: printed.append(report.exc_value))
    try:
        raise undecodable()
    except UnicodeDecodeError as problem:
        real = problem
    other = ValueError("x")
    gdal._print_hook(UnicodeDecodeError, undecodable(), None)
    gdal._print_hook(UnicodeDecodeError, real, real.__traceback__)
    gdal._print_hook(ValueError, other, None)
    for source in ("rasterio._env.log_error", "another"):
        report: Any = SimpleNamespace(exc_value=real, object=source)
        gdal._unraisable_hook(report)
    assert printed == [real, other, real]


def test_the_hooks_are_in_place() -> None:
    code = (
        "import sys, snet4core.scene.door; from snet4core.scene import gdal as g;"
        "assert (sys.excepthook, sys.unraisablehook) == (g._print_hook, g._unraisable_hook)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_end_with_the_call_and_keep_the_users_own() -> None:
    with rasterio.Env(GDAL_CACHEMAX=64 * 2**20, MINE="kept"):
        with gdal.gdal_settings():
            inside = dict(getenv())
        outside = dict(getenv())
    assert inside["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"
    assert inside["MINE"] == "kept"
    assert "GDAL_DISABLE_READDIR_ON_OPEN" not in outside
    assert outside["GDAL_CACHEMAX"] == 64 * 2**20


def test_nothing_stays_when_nobody_else_set_anything() -> None:
    before = hasenv()
    with gdal.gdal_settings():
        assert hasenv()
    assert hasenv() == before


_GDALS = {
    "rasterio": "from rasterio.crs import CRS; assert CRS.from_epsg(32616).to_wkt() == wkt",
    "fiona": "from fiona.crs import CRS; assert 'UTM zone 16N' in CRS.from_epsg(32616).to_wkt()",
    "pyogrio": (
        "import pyogrio, io; file = io.BytesIO(); "
        "pyogrio.raw.write(file, np.array([box], object), [], [], driver='FlatGeobuf', layer='x', "
        "geometry_type='Polygon', crs=wkt); "
        "assert pyogrio.read_info(file.getvalue())['crs'] == 'EPSG:32616'"
    ),
}
"""What shows that each library's own GDAL finds its own tables of CRS."""


@pytest.mark.parametrize("order", list(permutations(_GDALS)), ids="-".join)
def test_three_gdals_live_in_one_process(order: tuple[str, ...]) -> None:
    wkt = CRS.from_epsg(32616).to_wkt()
    first = f"import sys, shapely, numpy as np; sys.modules['pandas'] = None; wkt = {wkt!r}; "
    first += "box = shapely.to_wkb(shapely.box(0, 0, 1, 1))"
    # Twice: what was loaded last must not have led the others astray.
    code = "\n".join([first, *(_GDALS[name] for name in (*order, *order))])
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
