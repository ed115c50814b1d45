"""Reads a raster's transform and CRS from the file itself, else from its sidecars.

The file itself takes precedence. A world file, a `.prj` or the `.aux.xml` of GDAL and ArcGIS
supply what is missing; where they contradict the file, a warning says so. Nothing is guessed.
`--crs` replaces the CRS that would be read, with a warning where the two differ.
"""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points

from snet4core.errors import InputError, UsageError
from snet4core.files.auxiliary import Auxiliary, auxiliary_of
from snet4core.files.names import printable
from snet4core.files.sidecars import beside, read_text
from snet4core.grid import Grid
from snet4core.scene.gdal import GDAL_ERRORS
from snet4core.sentence import CRS as CRS_OPTION
from snet4core.sentence import Sentence


@dataclass(frozen=True, slots=True)
class Georeference:
    """A raster's grid, and warnings about where it was read from."""

    grid: Grid
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A transform, a CRS or both, and the file that they were read from."""

    transform: Affine | None
    crs: CRS | None
    where: str


def crs_named(text: str) -> CRS:
    """The CRS of the `--crs` option: a code of an authority, or WKT. Raises UsageError.

    Other spellings that GDAL takes could name files or URLs.

    >>> crs_named("epsg:32616").to_epsg()
    32616
    """
    found = _crs_of(text) if _CODE.fullmatch(text.strip()) or _WKT.match(text) else None
    if found is None:
        raise UsageError(
            CRS_OPTION,
            f" '{printable(text)[:60]}' is no CRS that PROJ knows; give the code of an authority, "
            "as in EPSG:32616, or WKT.",
        )
    return found


_CODE = re.compile(r"[A-Za-z]{2,20}:[A-Za-z0-9._]{1,30}")
_WKT = re.compile(r"\s*[A-Z_]+\s*\[")


def georeference(
    location: str,
    dataset: rasterio.DatasetReader,
    path: Path | None,
    option: str | None = None,
) -> Georeference:
    """The grid of an open dataset; InputError if transform or CRS is missing or unusable.

    `path` is the local file whose sidecars may be read, None for a remote one. `option` is a
    CRS to be used in place of the one that is found, as in `crs_named`.
    """
    shape = (dataset.height, dataset.width)
    inside = _inside(dataset)
    outside = _sidecars(path) if path is not None else []
    warnings: list[str] = []
    if option is not None:
        chosen = crs_named(option)
        warnings += _overruled(location, shape, [inside, *outside], chosen)
        inside = replace(inside, crs=chosen)
        outside = [replace(found, crs=None) for found in outside]
    warnings += [text for found in outside for text in _conflicts(location, shape, inside, found)]
    transform, crs = inside.transform, inside.crs
    for found in outside:
        fills = (transform is None and found.transform, crs is None and found.crs)
        transform, crs = transform or found.transform, crs or found.crs
        if any(fills):
            part = "transform" if fills[0] else "CRS"
            warnings.append(f"{location}: its {part} is read from {found.where}.")
    if transform is None or crs is None:
        unused = [] if path is None else _unused(path, transform, crs)
        raise _missing(location, dataset, transform, unused)
    return Georeference(_grid(location, shape, transform, crs), tuple(warnings))


def _grid(location: str, shape: tuple[int, int], transform: Affine, crs: CRS) -> Grid:
    """The grid; InputError if its pixels have no place or no size on Earth."""
    try:
        grid = Grid(shape, transform, crs)
        gsd_m = grid.gsd_m
    except GDAL_ERRORS as problem:
        raise InputError(
            f"{location}: {str(problem).rstrip('.')}; check transform and CRS with 'gdalinfo' and "
            "correct them with 'gdal_translate -a_srs CRS -a_ullr ULX ULY LRX LRY IN OUT'."
        ) from problem
    if not (math.isfinite(gsd_m) and gsd_m > 0):
        raise InputError(
            f"{location}: its pixels have no size on Earth in {crs.to_string()[:60]}; check "
            "transform and CRS with 'gdalinfo' and correct them with 'gdal_translate'."
        )
    return grid


def _inside(dataset: rasterio.DatasetReader) -> _Found:
    """Transform and CRS in the file itself. GDAL returns the identity for "no transform"."""
    transform = dataset.transform
    known = transform not in (Affine.identity(), Affine.scale(1, -1))
    try:
        crs = dataset.crs or None
    except GDAL_ERRORS:
        crs = None
    return _Found(transform if known else None, crs, "the file")


def _missing(
    location: str, dataset: rasterio.DatasetReader, transform: Affine | None, unused: list[str]
) -> InputError:
    """The error for a missing transform or CRS, with the tool that adds it.

    `unused` says of the sidecars that should have it why they have not.
    """
    points, _ = dataset.gcps
    why = "".join(f" ({each})" for each in unused)
    if transform is None and points:
        return InputError(
            f"{location} is placed by {len(points)} ground control points only; warp it first "
            "with 'gdalwarp -t_srs CRS IN OUT'."
        )
    if transform is None and dataset.rpcs is not None:
        return InputError(
            f"{location} is placed by a sensor model (RPC) only; orthorectify it first with "
            "'gdalwarp -rpc -t_srs CRS IN OUT', best with an elevation model."
        )
    if transform is None:
        return InputError(
            f"{location} has no transform{why}, so nobody knows where its pixels lie; give it one "
            "with 'gdal_translate -a_srs CRS -a_ullr ULX ULY LRX LRY IN OUT'."
        )
    return InputError(
        f"{location} has no CRS{why}, so nobody knows where on Earth it lies; give it its own with "
        "'gdal_translate -a_srs EPSG:NUMBER IN OUT', or for this run with ",
        CRS_OPTION.taking("EPSG:NUMBER"),
        ".",
    )


def _sidecars(path: Path) -> list[_Found]:
    """Transforms and CRSs in sidecar files, GDAL's own first; unreadable files are skipped."""
    found: list[_Found] = []
    auxiliary = auxiliary_of(path)
    if auxiliary.name:
        found.append(_from_auxiliary(auxiliary))
    world, projection = _placing(path)
    if world is not None:
        with contextlib.suppress(InputError):
            found.append(_Found(_world_file(world), None, world.name))
    if projection is not None:
        with contextlib.suppress(InputError):
            found.append(_Found(None, _crs_of(read_text(projection, 2**20)), projection.name))
    return [f for f in found if f.transform is not None or f.crs is not None]


def _placing(path: Path) -> tuple[Path | None, Path | None]:
    """The world file and the `.prj` of a raster, where they are."""
    letters = path.suffix[1:]
    short = letters[:1] + letters[-1:] + "w"
    world = beside(path, f"{path.stem}.{short}", f"{path.stem}.{letters}w", f"{path.stem}.wld")
    return world, beside(path, f"{path.stem}.prj")


def _unused(path: Path, transform: Affine | None, crs: CRS | None) -> list[str]:
    """Which of these files is there, but does not say what is missing, and what it should say."""
    world, projection = _placing(path)
    said = []
    if transform is None and world is not None:
        said.append(f"{printable(world.name)} does not hold six numbers")
    elif crs is None and projection is not None:
        said.append(f"{printable(projection.name)} holds neither WKT nor EPSG:NUMBER")
    return said


def _from_auxiliary(auxiliary: Auxiliary) -> _Found:
    """CRS and transform of GDAL's `.aux.xml`."""
    numbers = _six_numbers((auxiliary.transform or "").replace(",", " "))
    transform = Affine.from_gdal(*numbers) if numbers else None
    crs = None if auxiliary.srs is None else _crs_of(auxiliary.srs)
    return _Found(transform, crs, auxiliary.name)


def _world_file(path: Path) -> Affine | None:
    """The transform of a world file, which gives the first pixel's centre: A D B E C F."""
    # Some programs write decimal commas; nothing else in such a file is one.
    numbers = _six_numbers(read_text(path, 4096).replace(",", "."))
    if numbers is None:
        return None
    a, d, b, e, x, y = numbers
    return Affine(a, b, x - (a + b) / 2, d, e, y - (d + e) / 2)


def _six_numbers(text: str) -> tuple[float, ...] | None:
    """The six finite numbers of a transform, separated by blanks; None for anything else."""
    words = text.split()
    try:
        numbers = tuple(map(float, words))
    except ValueError:
        return None
    return numbers if len(numbers) == 6 and all(map(math.isfinite, numbers)) else None


def _crs_of(text: str) -> CRS | None:
    """A CRS from WKT, or a code alone: other spellings could name files or URLs."""
    text = text.strip()
    with contextlib.suppress(*GDAL_ERRORS):
        if _CODE.fullmatch(text):
            return CRS.from_authority(*text.upper().split(":")) or None
        return CRS.from_wkt(text) or None
    return None


def _conflicts(location: str, shape: tuple[int, int], inside: _Found, outside: _Found) -> list[str]:
    """Warnings where a sidecar's CRS differs, or its position by more than half a pixel."""
    warnings: list[str] = []
    if inside.transform is None:
        return warnings
    rows, cols = shape
    corners = [(0.0, 0.0), (float(cols), 0.0), (0.0, float(rows)), (float(cols), float(rows))]
    if outside.transform is not None:
        back = ~inside.transform if inside.transform.determinant else Affine.identity()
        apart = 0.0
        for corner in corners:
            col, row = back @ (outside.transform @ corner)
            apart = max(apart, math.hypot(col - corner[0], row - corner[1]))
        if apart > 0.5:
            warnings.append(
                f"{location}: {outside.where} places it {apart:.0f} pixels away from where the "
                "file itself does; the file is believed."
            )
    if inside.crs is not None and outside.crs is not None and inside.crs != outside.crs:
        x, y = inside.transform @ (cols / 2, rows / 2)
        if not _same_place(inside.crs, outside.crs, x, y):
            warnings.append(
                f"{location}: {outside.where} names another CRS than the file itself; "
                "the file is believed."
            )
    return warnings


def _overruled(
    location: str, shape: tuple[int, int], found: list[_Found], chosen: CRS
) -> list[Sentence]:
    """A warning if the CRS that would be read differs from the chosen one by 0.1 m or more."""
    own = next((each for each in found if each.crs is not None), None)
    transform = next((each.transform for each in found if each.transform is not None), None)
    if own is None or own.crs is None or own.crs == chosen:
        return []
    if transform is not None:
        x, y = transform @ (shape[1] / 2, shape[0] / 2)
        if _same_place(own.crs, chosen, x, y, within_deg=1e-6):
            return []
    return [
        Sentence(
            f"{location}: ",
            CRS_OPTION,
            f" replaces the CRS {_short_name(own.crs)} of {own.where} by {_short_name(chosen)}; "
            "leave it out if that is not meant.",
        )
    ]


def _short_name(crs: CRS) -> str:
    """The code of a CRS, else the name in its WKT."""
    code = crs.to_authority()
    return ":".join(code) if code else printable(crs.to_wkt().partition('"')[2].partition('"')[0])


def _same_place(one: CRS, other: CRS, x: float, y: float, within_deg: float = 1e-3) -> bool:
    """Whether two CRSs put a point at the same place, as shown by longitude and latitude."""
    degrees = CRS.from_epsg(4326)
    with contextlib.suppress(*GDAL_ERRORS):
        lon1, lat1 = warp_points(one, degrees, [x], [y])
        lon2, lat2 = warp_points(other, degrees, [x], [y])
        return bool(abs(lon1[0] - lon2[0]) + abs(lat1[0] - lat2[0]) < within_deg)
    return False
