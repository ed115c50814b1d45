"""Diagnostics of an installation: versions, data folders, model and device, as JSON values."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from snet4core import __version__
from snet4core.errors import Snet4Error
from snet4core.extras import how_to_install
from snet4core.model.header import find_model, read_header

_LIBRARIES = (
    "torch", "openvino", "segmentation-models-pytorch", "timm", "rasterio", "fiona", "pyogrio",
    "shapely", "scikit-image", "scipy", "numpy", "safetensors",
)  # fmt: skip

Section = dict[str, str]


def engine_facts(model: str, device: str, precision: str) -> dict[str, Section]:
    """Topic -> name -> value; what does not work stands under `problem`, as a sentence."""
    return {
        "engine": {
            "snet4": __version__,
            "python": f"{platform.python_version()} at {sys.executable}",
            "package": str(Path(__file__).parents[1]),
            "system": f"{platform.platform()}, {os.cpu_count()} processors",
        },
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "geography": _geography(),
        "model": _model(model),
        "runtime": _runtime(model, device, precision),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _geography() -> Section:
    """GDAL, PROJ and GEOS as they were found, and whether PROJ has its database."""
    import rasterio
    import shapely
    from rasterio.crs import CRS
    from rasterio.env import GDALDataFinder, PROJDataFinder

    def place(found: str | None) -> str:
        return found or "the library's own"

    try:
        known = CRS.from_epsg(32616).to_epsg() == 32616
        database = "EPSG:32616 is known" if known else "EPSG:32616 is NOT known"
    except Exception as problem:  # the bindings' errors have no common root
        database = f"EPSG:32616 is NOT known ({problem})"
    return {
        "GDAL": f"{rasterio.__gdal_version__}, data: {place(GDALDataFinder().search())}",
        "PROJ": f"{rasterio.__proj_version__}, data: {place(PROJDataFinder().search())}",
        "CRS": database,
        "GEOS": ".".join(map(str, shapely.geos_version)),
    }


def _model(name: str) -> Section:
    try:
        header = read_header(find_model(name))
    except Snet4Error as problem:
        return {"problem": str(problem)}
    card = header.card
    (small_m, large_m), (low_deg, high_deg) = card.gsd_range_m, card.off_nadir_range_deg
    return {
        "name": card.name,
        "file": str(header.path),
        "sha256": header.digest,
        "pixel sizes": f"{small_m:g} to {large_m:g} m",
        "look angles": f"{low_deg:g} to {high_deg:g} degrees",
    }


def _runtime(model: str, device: str, precision: str) -> Section:
    try:
        header = read_header(find_model(model))
    except Snet4Error:
        return {}  # said by the model's section
    try:
        from snet4core.maps.runtime import runtime_facts
    except ImportError as problem:
        return {"problem": f"{problem}; run: {how_to_install('openvino')}"}
    return runtime_facts(header, device, cast(Any, precision), "auto")
