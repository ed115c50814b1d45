"""Pictures from straight above, of which tilted views are made: tiles of drone mosaics, joined.

A folder has `train/*.tif` and `val/*.tif`, or all tiles side by side; then the easternmost columns
of tiles are held out, because tiles that adjoin show the same houses.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import shapely

from snet4_training.pictures.ground import mosaic, tile_at
from snet4_training.pictures.picture import Picture
from snet4core.errors import InputError
from snet4core.grid import Grid
from snet4core.look.look import Look

COARSE_M = 0.26
"""Finer pictures are averaged to about this, by a whole factor: as fine as a satellite's best."""

HELD_OUT_SHARE = 0.17
"""Share of the columns of tiles that is held out where a folder has no `val`; at least one."""


@lru_cache(maxsize=8)
def flat_pictures(
    folder: str, labels_file: str, held_out: bool, bands: tuple[str, ...]
) -> tuple[Picture, ...]:
    """The pictures to train on, or those held out, one for each group of tiles that adjoin.

    `labels_file` may be empty: then it is `buildings.geojson` in the folder. Raises `InputError`
    where there is no tile, none with data, or one that cannot be read.
    """
    labels = Path(labels_file) if labels_file else Path(folder) / "buildings.geojson"
    tiles = tiles_in(folder, held_out)
    if not tiles:
        raise InputError(
            f"{folder} has no picture for {'validation' if held_out else 'training'}; a source "
            "with lean needs train/*.tif and val/*.tif, or *.tif of two columns or more."
        )
    grids = {tile: _grid_of(tile) for tile in tiles}
    pictures = []
    for group in adjoining(grids):
        factor = max(1, round(COARSE_M / grids[group[0]].gsd_m))
        picture = mosaic(group, labels, bands, factor, Look(0.0, None, "table"))
        if picture.valid_HW.any():
            pictures.append(picture)
    if not pictures:
        raise InputError(f"{tiles[0].parent}: the pictures hold no data; copy them again.")
    return tuple(pictures)


def tiles_in(where: str, held_out: bool) -> list[Path]:
    """The tiles in a folder to train on, or those held out. Raises `InputError`."""
    folder = Path(where)
    part = folder / ("val" if held_out else "train")
    if part.is_dir():
        return sorted(part.glob("*.tif"))
    tiles = sorted(folder.glob("*.tif"))
    left = {tile: round(_grid_of(tile).transform.c, 7) for tile in tiles}
    columns = sorted(set(left.values()))
    first_held_out = len(columns) - max(1, round(HELD_OUT_SHARE * len(columns)))
    chosen = set(columns[first_held_out:] if held_out else columns[:first_held_out])
    return [tile for tile in tiles if left[tile] in chosen]


def _grid_of(tile: Path) -> Grid:
    with tile_at(tile) as source:
        return Grid(source.shape, source.transform, source.crs)


def adjoining(grids: dict[Path, Grid]) -> list[list[Path]]:
    """Tiles in groups that adjoin, gaps of a pixel allowed; groups and tiles in order."""
    tiles = sorted(grids)
    areas = []
    for tile in tiles:
        grid = grids[tile]
        rows, cols = grid.shape
        corners = np.array([[0, 0], [cols, 0], [cols, rows], [0, rows]], dtype=float)
        areas.append(shapely.polygons(grid.to_map(corners)))
    pixel = abs(grids[tiles[0]].transform.a)
    grown = shapely.buffer(np.array(areas), pixel, cap_style="square", join_style="mitre")
    islands = shapely.get_parts(shapely.union_all(grown))
    of_island: dict[int, list[Path]] = {}
    for tile, area in zip(tiles, areas, strict=True):
        island = int(np.flatnonzero(shapely.intersects(islands, shapely.centroid(area)))[0])
        of_island.setdefault(island, []).append(tile)
    return sorted(of_island.values())
