"""Sets aside environment variables that other programs set for themselves.

QGIS, PostGIS, conda and system packages point GDAL and PROJ to data of their own, which fit other
versions of them: a CRS is then unknown, or a driver missing. The engine's libraries bring their
data along. The command line and the worker call `use_own_data` before anything else is loaded;
a notebook's environment is left alone.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

_DATA = ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA")
"""Folders of data. Kept where the libraries have none of their own and the folder is in the
same installation, as conda's is."""

_NEVER = (
    "GDAL_DRIVER_PATH", "OGR_DRIVER_PATH", "GDAL_PYTHON_DRIVER_PATH", "GDAL_CONFIG_FILE",
    "GDAL_SKIP", "OGR_SKIP", "PROJ_AUX_DB", "PROJ_NETWORK_ENDPOINT",
)  # fmt: skip
"""Compiled plugins, settings and grids of another version, or from elsewhere."""

_READING = ("GTIFF_", "OGR_", "OSR_", "GML_", "SHAPE_", "GDAL_JPEG_", "CONVERT_YCBCR_TO_RGB")
"""What the names of settings begin with that change what is read of a file. The last must not be
overruled by a setting instead: GDAL asks for it at opening and at reading, and where the two
differ it writes beyond its buffer (GDAL 3.10)."""

_set_aside: dict[str, str] = {}


def use_own_data() -> None:
    """Remove these variables from the process, and with that from its children.

    PROJ is kept from fetching datum grids: it asks its own variable, not GDAL's settings. What
    PYTHONPATH names comes after the installation's own packages, unless snet4 itself lies there.
    """
    for name in (*_DATA, *_NEVER, *(each for each in os.environ if each.startswith(_READING))):
        value = os.environ.get(name)
        if value is not None and (name not in _DATA or _is_foreign(value)):
            _set_aside[name] = value
            del os.environ[name]
    if os.environ.get("PROJ_NETWORK", "OFF").upper() != "OFF":
        _set_aside["PROJ_NETWORK"] = os.environ["PROJ_NETWORK"]
    os.environ["PROJ_NETWORK"] = "OFF"
    _move_behind(os.environ.get("PYTHONPATH", ""))


def variables_set_aside() -> dict[str, str]:
    """Name -> value of what `use_own_data` took away."""
    return dict(_set_aside)


def _is_foreign(folder: str) -> bool:
    """Whether data in this folder belong to another program than the running Python."""
    spec = find_spec("rasterio")
    own = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    if any((place / "proj_data").is_dir() for place in own):
        return True
    try:
        return not Path(folder).resolve().is_relative_to(Path(sys.prefix).resolve())
    except OSError:
        return True


def _move_behind(python_path: str) -> None:
    """Look into PYTHONPATH's folders last; a NumPy of another Python must not come first."""
    named = {os.path.abspath(each) for each in python_path.split(os.pathsep) if each}  # noqa: PTH100  # as in sys.path
    moved = [
        each for each in sys.path if each in named and not Path(each, "snet4core").is_dir()
        and not Path(each, "snet4_cli").is_dir() and not Path(each, "snet4_training").is_dir()
    ]  # fmt: skip
    if moved:
        sys.path[:] = [each for each in sys.path if each not in moved] + moved
        _set_aside["PYTHONPATH"] = os.pathsep.join(moved)
