"""What all tests share: versions in the header, and the real pictures where they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures with labels; its tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder of real pictures (../shared/data) is not here")
    return SHARED_DATA
