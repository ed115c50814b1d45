"""FlatGeobuf, through GDAL: copied column by column from a GeoPackage beside it.

GDAL takes columns in Arrow's layout several times as fast as features one by one. They come
from a GeoPackage, which our own writer fills in flat memory: so pyarrow (170 MB installed) is
not needed, and only GDAL's index, some 80 bytes a footprint, grows with the layer. pyogrio
would also take arrays, but all of them at once, 600 bytes a footprint. On the way the disk holds
the layer three times: the GeoPackage, GDAL's unsorted features, and the FlatGeobuf.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rasterio.crs import CRS

from snet4core.errors import OutputError
from snet4core.files.outputs import driver_errors
from snet4core.layers import gpkg
from snet4core.layers.features import Content
from snet4core.layers.vectors import plainly_named

_WHAT = "FlatGeobuf"

_BATCH = 4096
"""Features that GDAL hands on at a time."""


def write(path: Path, content: Content, crs: CRS, description: Mapping[str, str]) -> int:
    """Write a new FlatGeobuf with its index; returns the number of features.

    Its order is that of the index, along a Hilbert curve. A GeoPackage `<name>.gpkg` is beside
    it meanwhile. Raises `OutputError`.
    """
    table = path.with_name(f"{path.name}.gpkg")
    layer = content[0].name
    count = gpkg.write(table, [content], crs, {}, what=_WHAT)
    with plainly_named(path.parent) as folder, driver_errors(_WHAT):
        _copy(folder / table.name, folder / path.name, layer, crs, description)
        table.unlink()
        complete = _is_complete(folder / path.name, count)
    if not complete:
        raise OutputError("The FlatGeobuf was cut off while it was written; is the disk full?")
    return count


def _copy(table: Path, path: Path, layer: str, crs: CRS, description: Mapping[str, str]) -> None:
    # Here, because it loads pandas and geopandas where they are: a second, and 90 MB.
    from pyogrio.raw import open_arrow, write_arrow

    with open_arrow(table, layer=layer, batch_size=_BATCH, use_pyarrow=False) as (meta, rows):
        write_arrow(
            rows,
            path,
            layer=layer,
            driver=_WHAT,
            geometry_name=meta["geometry_name"],
            geometry_type="Polygon",
            crs=crs.to_wkt(),
            layer_options={"DESCRIPTION": json.dumps(dict(description), ensure_ascii=False)},
        )


def _is_complete(path: Path, count: int) -> bool:
    """GDAL says nothing when the disk is full while it closes: is the last feature there?"""
    from pyogrio import raw, read_info

    stated = read_info(path)["features"]  # -1 for none
    if count == 0:
        return True
    return stated == count and raw.read(path, fids=[count - 1], columns=[])[2][0] is not None
