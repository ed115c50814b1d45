"""Opens raster files as scenes: everything about a file except its pixels.

`open_scene` describes a file in a frozen `Scene`, or raises InputError; `reader.SceneReader`
then reads its windows.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from snet4core.errors import InputError, UsageError
from snet4core.files.auxiliary import Auxiliary, auxiliary_of
from snet4core.files.names import printable
from snet4core.grid import Grid
from snet4core.scene import door
from snet4core.scene.bands import MODEL_BANDS, BandMap, FileBands, band_map
from snet4core.scene.delivered_bands import delivered_bands
from snet4core.scene.gdal import gdal_settings
from snet4core.scene.georeference import georeference
from snet4core.scene.inputs import SceneInput
from snet4core.scene.nodata import NodataRule, nodata_rule
from snet4core.scene.orientation import Orientation, orientation_of
from snet4core.sentence import Sentence

MOST_TAG_CHARS = 65536
"""Longer tags are cut: no look angle stands beyond this."""

Counts = NDArray[np.generic]
Valid = NDArray[np.bool_]


@dataclass(frozen=True)
class Scene:
    """Description of a raster file, all but its pixels; can be sent to other processes."""

    admitted: door.CheckedFile
    """The file, as `door.admit` accepted it."""
    stored_grid: Grid
    """Grid of the pixels as they are stored."""
    orientation: Orientation
    """How they are turned upright."""
    grid: Grid
    """Grid of the same pixels with north up, as they are read."""
    dtype: str
    """numpy's name of the counts' type."""
    bands: BandMap
    """Which band feeds which input of the model."""
    nodata: NodataRule
    """Which pixels are no data."""
    block_shape: tuple[int, int]
    """(rows, columns) of the file's blocks, upright."""
    size_bytes: int
    """Size of the file; 0 if remote."""
    modified_ns: int
    """Modification time of the file; 0 if remote."""
    stac_item: Path | None = None
    """The STAC item that names the file, if any."""
    warnings: tuple[str, ...] = ()
    """Warnings for the user."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Tags in the file that may hold a look angle; upper-case names."""
    other_name: str = ""
    """Its name in layers, where several pictures of a run have the same; else empty."""

    @property
    def location(self) -> str:
        """Path or URL as given."""
        return self.admitted.location

    @property
    def path(self) -> Path | None:
        """The local file; None if remote."""
        return self.admitted.path

    @property
    def files(self) -> tuple[Path, ...]:
        """The local files that its pixels come from, its own first; none if remote."""
        others = (Path(each.path) for each in self.admitted.others)
        return () if self.path is None else (self.path, *others)

    @property
    def name(self) -> str:
        """The file's name without folder and extension: the scene's name in layers."""
        return self.other_name or Path(self.location).stem


def open_scene(
    path: str | Path | SceneInput,
    *,
    bands: str | None = None,
    crs: str | None = None,
    nodata: float | None = None,
    allow_remote: bool = False,
    model_bands: Sequence[str] = MODEL_BANDS,
) -> Scene:
    """Describe a raster file. No pixels are read, but a sample of a band tagged as alpha.

    `bands` is the `--bands` option (see `bands.band_map`). `crs` replaces the file's
    own CRS (see `georeference.crs_named`), `nodata` the value that it declares; with NaN no
    value means "no data".
    InputError, naming the file and the remedy, for anything that cannot be used.
    """
    model = tuple(model_bands)

    def choose(file: FileBands) -> BandMap:
        if file.descriptions[:2] == ("footprint", "border"):
            raise InputError("holds maps, not a picture; use 'snet4 polygonize'")
        return band_map(file, bands, model)

    return describe(path, choose, crs=crs, nodata=nodata, allow_remote=allow_remote)


def describe(
    path: str | Path | SceneInput,
    choose: Callable[[FileBands], BandMap],
    *,
    crs: str | None = None,
    nodata: float | None = None,
    allow_remote: bool = False,
    set_upright: bool = True,
) -> Scene:
    """`open_scene` for any kind of raster: `choose` selects the bands to read.

    Without `set_upright` pixels are read in the order in which they are stored.
    """
    with _disk_errors(os.fspath(path)):
        admitted = door.admit(path, allow_remote=allow_remote)
    name = admitted.shown
    with door.opened(admitted) as dataset, gdal_settings():
        door.check_header(admitted, dataset)
        item = path.stac_item if isinstance(path, SceneInput) else None
        auxiliary = Auxiliary() if admitted.path is None else auxiliary_of(admitted.path)
        chosen = _chosen_bands(name, dataset, choose, auxiliary, admitted.path, item)
        placed = georeference(name, dataset, admitted.path, crs)
        orientation = orientation_of(placed.grid) if set_upright else Orientation()
        rule, nodata_warnings = nodata_rule(admitted, dataset, chosen, nodata, auxiliary)
        status = admitted.path.stat() if admitted.path else None
        return Scene(
            admitted=admitted,
            stored_grid=placed.grid,
            orientation=orientation,
            grid=orientation.upright(placed.grid),
            dtype=dataset.dtypes[0],
            bands=chosen,
            nodata=rule,
            block_shape=orientation.shape(dataset.block_shapes[0]),
            size_bytes=status.st_size if status else 0,
            modified_ns=status.st_mtime_ns if status else 0,
            stac_item=item,
            warnings=(
                *_name_warnings(admitted, path),
                *_page_warnings(admitted),
                *placed.warnings,
                *([auxiliary.problem] if auxiliary.problem else []),
                *(Sentence(f"{name} ", warning) for warning in chosen.warnings),
                *nodata_warnings,
            ),
            metadata={**_shortened(auxiliary.metadata), **_metadata(dataset)},
            other_name=path.other_name if isinstance(path, SceneInput) else "",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """All of a raster, as it is stored."""

    grid: Grid
    counts_BHW: NDArray[np.generic]
    valid_HW: NDArray[np.bool_]
    """By its mask and no-data value."""
    names: tuple[str | None, ...]
    """Descriptions of the bands."""
    colours: tuple[ColorInterp, ...]


def files_of(location: str) -> tuple[Path, ...]:
    """The local files that a scene's pixels come from; itself alone where it cannot be read."""
    with contextlib.suppress(InputError, OSError):
        admitted = door.admit(location)
        return (Path(location), *(Path(each.path) for each in admitted.others))
    return (Path(location),)


def read_whole(path: Path) -> Whole:
    """Read all bands of a small raster into memory, with the guards of `open_scene`.

    InputError for a file that cannot be used, or whose place on Earth is not known.
    """
    with _disk_errors(str(path)):
        admitted = door.admit(path)
    with door.opened(admitted) as dataset, gdal_settings():
        door.check_header(admitted, dataset)
        grid = georeference(admitted.shown, dataset, admitted.path, None).grid
        valid_HW = dataset.dataset_mask() > 0
        return Whole(grid, dataset.read(), valid_HW, dataset.descriptions, dataset.colorinterp)


def digest(scene: Scene) -> str:
    """sha256 of the file's bytes and of how they are read: equal digests mean equal pixels.

    Of a VRT, also of the bytes of all that it names; of ENVI's pixels, of their header.
    """
    told = (scene.bands.file_bands, scene.bands.alpha_band, scene.nodata.values, scene.nodata.mask)
    what = repr((scene.grid.shape, scene.grid.transform[:6], scene.grid.crs.to_wkt(), told))
    total = hashlib.sha256(what.encode())
    if scene.path is None:
        total.update(scene.location.encode())
        return total.hexdigest()
    for path in scene.files:
        with _disk_errors(str(path)), path.open("rb") as file:
            while chunk := file.read(2**22):
                total.update(chunk)
    return total.hexdigest()


@contextlib.contextmanager
def _disk_errors(location: str) -> Iterator[None]:
    """Raise errors of the disk, under a file that was there a moment ago, as InputError."""
    try:
        yield
    except OSError as problem:
        why = (problem.strerror or type(problem).__name__).lower()
        raise InputError(
            f"{printable(location)} cannot be read ({why}); check the disk, and run again."
        ) from problem


def _chosen_bands(
    name: str,
    dataset: rasterio.DatasetReader,
    choose: Callable[[FileBands], BandMap],
    auxiliary: Auxiliary,
    path: Path | None,
    item: Path | None,
) -> BandMap:
    delivered = ((), "") if path is None else delivered_bands(path, item, dataset.count)
    try:
        described = _descriptions(dataset, auxiliary)
        return choose(FileBands(described, _interpretations(dataset, auxiliary), *delivered))
    except UsageError as problem:
        raise UsageError(f"{name}: ", problem.sentence) from problem
    except InputError as problem:
        raise InputError(f"{name} ", problem.sentence, ".") from problem


def _descriptions(dataset: rasterio.DatasetReader, auxiliary: Auxiliary) -> tuple[str | None, ...]:
    """What the bands are called, in the file itself, else in its `.aux.xml`."""
    own = enumerate(dataset.descriptions, 1)
    return tuple(text or auxiliary.descriptions.get(number) for number, text in own)


def _interpretations(dataset: rasterio.DatasetReader, auxiliary: Auxiliary) -> tuple[str, ...]:
    """GDAL's colour interpretation per band, of a file that names none that of its `.aux.xml`.

    `undefined` for all if rasterio knows not all.
    """
    try:
        own = tuple(tag.name for tag in dataset.colorinterp)
    except ValueError:
        own = ("undefined",) * int(dataset.count)
    if set(own) <= {"undefined", "gray"}:
        return tuple(auxiliary.colours.get(number, tag) for number, tag in enumerate(own, 1))
    return own


def _metadata(dataset: rasterio.DatasetReader) -> dict[str, str]:
    """The file's own tags, in the domains that may hold vendors' angles."""
    found: dict[str, str] = {}
    for domain in (None, "IMD", "IMAGERY"):
        tags = dataset.tags(ns=domain) if domain else dataset.tags()
        found.update(_shortened({name.upper(): value for name, value in tags.items()}))
    return found


def _shortened(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:MOST_TAG_CHARS] for name, value in tags.items()}


def _name_warnings(
    admitted: door.CheckedFile, path: str | os.PathLike[str] | SceneInput
) -> list[str]:
    if not (isinstance(path, SceneInput) and path.other_name):
        return []
    called = printable(path.other_name)
    return [f"{admitted.shown} shares its name with another picture; in results it is {called}."]


def _page_warnings(admitted: door.CheckedFile) -> list[str]:
    if admitted.pages < 2:
        return []
    return [f"{admitted.shown} holds {admitted.pages} pictures; only the first is used."]
