"""What all tests share: versions in the header, and the real pictures where they are."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each of pytest's processes has a processor: threads of torch, OpenVINO and of commands
    # would only get in each other's way. Before any of them is loaded.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test leaves compiled networks in the user's cache, or depends on what is there.
os.environ.setdefault("SNET4_CACHE", "off")

# A busy machine is no fault of the code under test.
hypothesis.settings.register_profile("snet4", deadline=None)
hypothesis.settings.load_profile("snet4")

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"


def pytest_report_header() -> list[str]:
    import fiona
    import numpy
    import rasterio
    import shapely

    lines = [
        f"GDAL {rasterio.__gdal_version__} (rasterio), {fiona.__gdal_version__} (fiona), "
        f"PROJ {rasterio.__proj_version__}, "
        f"GEOS {'.'.join(map(str, shapely.geos_version))}, numpy {numpy.__version__}"
    ]
    try:
        import torch
    except ImportError:
        lines.append("torch: not installed, tests of the network are skipped")
    else:
        lines.append(f"torch {torch.__version__}, {os.cpu_count()} processors")
    if not SHARED_DATA.is_dir():
        lines.append("real pictures: absent, the tests that use them are skipped")
    return lines


def pytest_runtest_setup(item: pytest.Item) -> None:
    _seed_torch(item)


def pytest_runtest_call(item: pytest.Item) -> None:
    _seed_torch(item)


def _seed_torch(item: pytest.Item) -> None:
    """Random weights depend on no earlier test; pytest-randomly does so for `random` and numpy."""
    if torch := sys.modules.get("torch"):
        seed = item.config.getoption("randomly_seed", 0)
        torch.manual_seed(zlib.crc32(f"{seed} {item.nodeid}".encode()))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures with labels; its tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real pictures (../shared/data) is not here")
    return SHARED_DATA


Picture = Callable[..., Path]


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """Write an array (bands, rows, columns) as a raster of half-metre pixels in Atlanta.

    `picture(array_BHW, "name.tif", **profile)`: the profile is rasterio's; `descriptions`
    names the bands, `tags` are the file's own, `mask_HW` becomes an internal mask.
    """
    import numpy as np
    import rasterio
    from affine import Affine

    def write(array_BHW: Any, name: str = "scene.tif", **profile: Any) -> Path:
        array_BHW = np.atleast_3d(array_BHW) if array_BHW.ndim > 2 else array_BHW[None]
        descriptions = profile.pop("descriptions", None)
        tags = profile.pop("tags", {})
        mask_HW = profile.pop("mask_HW", None)
        count, height, width = array_BHW.shape
        place = Affine(0.5, 0, 733601, 0, -0.5, 3725139)
        standard = {"driver": "GTiff", "crs": "EPSG:32616", "transform": place}
        if not name.endswith((".jpg", ".jp2", ".png", ".img", ".dat")):
            standard["photometric"] = "MINISBLACK"
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path,
            "w",
            count=count,
            height=height,
            width=width,
            dtype=array_BHW.dtype,
            **{**standard, **profile},
        ) as dataset:
            dataset.write(array_BHW)
            if descriptions:
                dataset.descriptions = descriptions
            if mask_HW is not None:
                with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                    dataset.write_mask(mask_HW)
            dataset.update_tags(**tags)
        return path

    return write
