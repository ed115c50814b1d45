"""GDAL is kept narrow and quiet, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import rasterio
from rasterio.env import getenv, hasenv

from snet4core import gdalcalls


def undecodable() -> UnicodeDecodeError:
    return UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def test_only_the_loggers_own_failure_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    printed: list[Any] = []
    monkeypatch.setattr(gdalcalls, "_printed", lambda *problem: printed.append(problem[1]))
    monkeypatch.setattr(gdalcalls, "_unraised", lambda report: printed.append(report.exc_value))
    try:
        raise undecodable()
    except UnicodeDecodeError as problem:
        real = problem
    other = ValueError("x")
    gdalcalls._print_hook(UnicodeDecodeError, undecodable(), None)
    gdalcalls._print_hook(UnicodeDecodeError, real, real.__traceback__)
    gdalcalls._print_hook(ValueError, other, None)
    for source in ("rasterio._env.log_error", "another"):
        report: Any = SimpleNamespace(exc_value=real, object=source)
        gdalcalls._unraisable_hook(report)
    assert printed == [real, other, real]


def test_the_hooks_are_in_place() -> None:
    code = (
        "import sys, snet4core.rasterdoor; from snet4core import gdalcalls as g;"
        "assert (sys.excepthook, sys.unraisablehook) == (g._print_hook, g._unraisable_hook)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_end_with_the_call_and_keep_the_users_own() -> None:
    with rasterio.Env(GDAL_CACHEMAX=64 * 2**20, MINE="kept"):
        with gdalcalls.gdal_settings():
            inside = dict(getenv())
        outside = dict(getenv())
    assert inside["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"
    assert inside["MINE"] == "kept"
    assert "GDAL_DISABLE_READDIR_ON_OPEN" not in outside
    assert outside["GDAL_CACHEMAX"] == 64 * 2**20


def test_nothing_stays_when_nobody_else_set_anything() -> None:
    before = hasenv()
    with gdalcalls.gdal_settings():
        assert hasenv()
    assert hasenv() == before
