"""Scenes: what a raster file holds, and its windows on the working grid.

`open_scene` turns a file into a frozen description, or refuses it in one sentence.
`SceneReader` then reads windows: counts in the model's band order, and which pixels
are ground. The working grid has pixels of about the size that the model knows: scene
pixels averaged k by k, or interpolated k-fold finer; k is 1 for most scenes.

Array axes: B model bands, H rows, W columns.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from snet4core import rasterdoor
from snet4core.bands import MODEL_BANDS, BandMap, FileBands, band_map
from snet4core.errors import InputError, UsageError
from snet4core.georeference import georeference
from snet4core.grid import Grid
from snet4core.resample import averaged, interpolated
from snet4core.windows import Window

MOST_FINER, MOST_COARSER = 3, 128
"""Finer than 3-fold invents detail; coarser than this, a pixel size is a mistake."""

LARGEST_COUNT = 1e30
"""No sensor counts further; such numbers are fill values that nobody declared."""

Counts = NDArray[np.generic]
Valid = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NodataRule:
    """Which pixels are no ground. One that is NaN, inf or huge in any band never is."""

    values: tuple[float | None, ...]
    """Per model band, the value that means "no data" if ALL present bands have theirs."""
    mask: bool
    """Whether the file carries a mask or an alpha band; 0 there is no ground."""
    says: str
    """One sentence for the log."""


@dataclass(frozen=True, slots=True)
class WorkingScale:
    """How scene pixels become working pixels."""

    factor: int = 1
    """k: how many scene pixels a working pixel is long, or the reverse if `finer`."""
    finer: bool = False
    """True: k x k working pixels lie in one scene pixel."""
    gsd_m: float = 0.0
    """Side of a working pixel on the ground, metres."""
    warning: str | None = None
    """Set when even the working pixels are unlike those of the training."""

    def grid(self, native: Grid) -> Grid:
        """The working grid over a scene's own grid."""
        return native if self.factor == 1 else native.scaled(self.factor, finer=self.finer)


@dataclass(frozen=True)
class Scene:
    """Everything about a raster file except its pixels; can travel to other processes."""

    admitted: rasterdoor.Admitted
    """The file, as it was let in."""
    grid: Grid
    """The file's own pixels."""
    dtype: str
    """numpy's name of the counts' type."""
    bands: BandMap
    """Which band feeds which input of the model."""
    nodata: NodataRule
    """Which pixels are no ground."""
    block_shape: tuple[int, int]
    """(rows, columns) in which the file is stored."""
    size_bytes: int
    """Of the file; 0 if remote."""
    modified_ns: int
    """Time of the file's last change; 0 if remote."""
    warnings: tuple[str, ...] = ()
    """What the user should know."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Tags in the file that may tell a look angle; upper-case names."""

    @property
    def location(self) -> str:
        """Path or URL as given."""
        return self.admitted.location

    @property
    def path(self) -> Path | None:
        """The local file; None if remote."""
        return self.admitted.path

    @property
    def name(self) -> str:
        """The file's name without folder and extension: the scene's name in layers."""
        return Path(self.location).stem


def working_scale(
    gsd_m: float, trained_range_m: tuple[float, float], work_gsd_m: float
) -> WorkingScale:
    """The whole-number factor that brings pixels of `gsd_m` nearest to the model's own.

    Inside the trained range nothing is resampled. InputError for pixels so small that
    they must be a mistake.

    >>> working_scale(0.5, (0.3, 1.0), 0.5).factor, working_scale(0.13, (0.3, 1.0), 0.5).factor
    (1, 4)
    >>> working_scale(2.0, (0.3, 1.0), 0.5)  # doctest: +ELLIPSIS
    WorkingScale(factor=3, finer=True, gsd_m=0.666..., warning=None)
    """
    low_m, high_m = trained_range_m
    if low_m * 0.98 <= gsd_m <= high_m * 1.02:
        return WorkingScale(gsd_m=gsd_m)
    if gsd_m < low_m:
        ideal = work_gsd_m / gsd_m
        if ideal > MOST_COARSER:
            raise InputError(
                f"A pixel measures {gsd_m:.3g} m, the model's {work_gsd_m:g} m; check the "
                "transform and its units, or average the picture first."
            )
    else:
        ideal = gsd_m / work_gsd_m
    candidates = {max(1, math.floor(ideal)), math.ceil(ideal)}
    finer = gsd_m > high_m
    if finer:
        candidates = {min(k, MOST_FINER) for k in candidates}
    factor = min(sorted(candidates), key=lambda k: abs(math.log(ideal / k)))
    got_m = gsd_m / factor if finer else gsd_m * factor
    unlike = not low_m * 0.8 <= got_m <= high_m * 1.25
    warning = (
        f"A pixel measures {gsd_m:.3g} m, and the model was trained on {low_m:g} to {high_m:g} m; "
        "expect poor footprints."
    )
    return WorkingScale(factor, finer and factor > 1, got_m, warning if unlike else None)


def open_scene(
    path: str | Path,
    *,
    bands: str | None = None,
    nodata: float | None = None,
    allow_remote: bool = False,
    model_bands: Sequence[str] = MODEL_BANDS,
) -> Scene:
    """Describe a raster file. No pixels are read.

    `bands` is the `--bands` option (see `bands.band_map`). `nodata` replaces the value
    that the file declares; NaN says that no value means "no data".
    InputError, naming the file and the remedy, for anything that cannot be used.
    """
    admitted = rasterdoor.admit(path, allow_remote=allow_remote)
    location = admitted.location
    with rasterdoor.opened(admitted) as dataset:
        rasterdoor.check_header(location, dataset)
        metadata = _metadata(dataset)
        if "SNET4_MAPS" in metadata:
            raise InputError(
                f"{location}: holds maps that snet4 wrote, not a picture; use 'snet4 polygonize'."
            )
        chosen = _band_map(location, dataset, bands, model_bands)
        placed = georeference(location, dataset, admitted.path)
        rule, nodata_warnings = _nodata_rule(location, dataset, chosen, nodata)
        status = admitted.path.stat() if admitted.path else None
        return Scene(
            admitted=admitted,
            grid=placed.grid,
            dtype=dataset.dtypes[0],
            bands=chosen,
            nodata=rule,
            block_shape=tuple(dataset.block_shapes[0]),
            size_bytes=status.st_size if status else 0,
            modified_ns=status.st_mtime_ns if status else 0,
            warnings=(*_page_warnings(admitted), *placed.warnings, *nodata_warnings),
            metadata=metadata,
        )


def digest(scene: Scene) -> str:
    """sha256 of the file's bytes and of how they are read: the same digest, the same pixels."""
    told = (scene.bands.file_bands, scene.bands.alpha_band, scene.nodata.values, scene.nodata.mask)
    what = repr((scene.grid.shape, scene.grid.transform[:6], scene.grid.crs.to_wkt(), told))
    total = hashlib.sha256(what.encode())
    if scene.path is None:
        total.update(scene.location.encode())
        return total.hexdigest()
    with scene.path.open("rb") as file:
        while chunk := file.read(2**22):
            total.update(chunk)
    return total.hexdigest()


def _band_map(
    location: str, dataset: rasterio.DatasetReader, option: str | None, model: Sequence[str]
) -> BandMap:
    file_bands = FileBands(tuple(dataset.descriptions), _interpretations(dataset))
    try:
        return band_map(file_bands, option, model)
    except UsageError as problem:
        raise UsageError(f"{location}: {problem}") from problem
    except InputError as problem:
        raise InputError(f"{location}: {problem}.") from problem


def _interpretations(dataset: rasterio.DatasetReader) -> tuple[str, ...]:
    """GDAL's colour tag per band; one that rasterio does not know yet counts as none."""
    try:
        return tuple(tag.name for tag in dataset.colorinterp)
    except ValueError:
        return ("undefined",) * int(dataset.count)


def _metadata(dataset: rasterio.DatasetReader) -> dict[str, str]:
    """Tags of the file itself, of the domains where vendors' angles may stand."""
    found: dict[str, str] = {}
    for domain in (None, "IMD", "IMAGERY"):
        tags = dataset.tags(ns=domain) if domain else dataset.tags()
        found.update({name.upper(): value[:4096] for name, value in tags.items()})
    return found


def _page_warnings(admitted: rasterdoor.Admitted) -> list[str]:
    if admitted.pages < 2:
        return []
    return [f"{admitted.location}: holds {admitted.pages} pictures; only the first is used."]


def _nodata_rule(
    location: str, dataset: rasterio.DatasetReader, chosen: BandMap, option: float | None
) -> tuple[NodataRule, list[str]]:
    """What is no ground: the option, else the file's word, else zero in all bands."""
    present = [band for band in chosen.file_bands if band is not None]
    flags = [dataset.mask_flag_enums[band - 1] for band in present]
    internal = any(
        rasterio.enums.MaskFlags.per_dataset in f and rasterio.enums.MaskFlags.alpha not in f
        for f in flags
    )
    mask = internal or chosen.alpha_band is not None
    masked = ", and what the file masks" if mask else ""
    if option is not None:
        if not _holds(dataset.dtypes[0], option):
            raise UsageError(
                f"{location}: --nodata {option:g} is no value of its type {dataset.dtypes[0]}; "
                "give one that its pixels can have, or nan for none."
            )
        values = tuple(None if band is None else option for band in chosen.file_bands)
        says = "No value" if math.isnan(option) else f"The value {option:g} in all bands"
        return NodataRule(values, mask, f"{says} is no data (from --nodata){masked}."), []
    declared = [None if b is None else dataset.nodatavals[b - 1] for b in chosen.file_bands]
    told = {value for value in declared if value is not None}
    usable = {value for value in told if _holds(dataset.dtypes[0], value)}
    warnings = [
        f"{location}: declares no-data {value:g}, which {dataset.dtypes[0]} cannot hold; ignored, "
        "use --nodata to name the true value."
        for value in sorted(told - usable)
    ]
    if usable:
        values = tuple(v if v in usable else None for v in declared)
        named = " or ".join(f"{value:g}" for value in sorted(usable))
        return NodataRule(values, mask, f"The declared {named} in all bands is no data{masked}."), (
            warnings
        )
    if mask:
        return NodataRule(
            (None,) * len(declared), True, "What the file masks is no data."
        ), warnings
    values = tuple(None if band is None else 0.0 for band in chosen.file_bands)
    says = "The file declares no no-data value; pixels that are 0 in all bands are no data."
    return NodataRule(values, False, says), warnings


def _holds(dtype: str, value: float) -> bool:
    """Whether a pixel of this type can have this value."""
    kind = np.dtype(dtype)
    if not math.isfinite(value):
        return True  # Nothing, or what is never ground anyway.
    if kind.kind == "f":
        return abs(value) <= float(np.finfo(kind).max)
    limits = np.iinfo(kind)
    return value == int(value) and limits.min <= value <= limits.max


class SceneReader:
    """An open scene that hands out windows on the working grid; one per thread.

    >>> with SceneReader(scene) as reader:  # doctest: +SKIP
    ...     counts_BHW, valid_HW = reader.read(Window(0, 0, 512, 512))
    """

    def __init__(self, scene: Scene, scale: WorkingScale | None = None) -> None:
        self.scene = scene
        self.scale = scale or WorkingScale()
        self.grid = self.scale.grid(scene.grid)
        """The working grid, whose pixels `read` counts in."""
        self._stack = contextlib.ExitStack()
        self._dataset: rasterio.DatasetReader | None = None

    def __enter__(self) -> SceneReader:
        _refuse_changed(self.scene)
        self._dataset = self._stack.enter_context(rasterdoor.opened(self.scene.admitted))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._dataset = None
        self._stack.close()

    def read(self, window: Window) -> tuple[Counts, Valid]:
        """Counts (B, H, W) and validity (H, W) of a window on the working grid.

        The window may reach beyond the raster: invalid there. Counts are of the file's
        type when the scale is 1, float32 otherwise; 0 where invalid and in bands that
        the file does not have. The same pixel has the same value in every window.
        InputError if the pixels cannot be decoded.
        """
        k = self.scale.factor
        if k == 1:
            return self._native(window)
        if not self.scale.finer:
            cells = Window(window.row * k, window.col * k, window.height * k, window.width * k)
            return averaged(*self._native(cells), k)
        row, col = window.row // k - 1, window.col // k - 1
        around = Window(
            row, col, -(-window.row_stop // k) + 1 - row, -(-window.col_stop // k) + 1 - col
        )
        finer = Window(around.row * k, around.col * k, around.height * k, around.width * k)
        counts_BHW, valid_HW = interpolated(*self._native(around), k)
        part = window.slices(finer)
        return counts_BHW[:, *part], valid_HW[part]

    def _native(self, window: Window) -> tuple[Counts, Valid]:
        """The same on the file's own pixels."""
        inside = window.within(Window(0, 0, *self.scene.grid.shape))
        bands = self.scene.bands.file_bands
        counts_BHW = np.zeros((len(bands), *window.shape), dtype=self.scene.dtype)
        valid_HW = np.zeros(window.shape, dtype=np.bool_)
        if inside.height == 0 or inside.width == 0:
            return counts_BHW, valid_HW
        stored, mask_HW = self._decoded(inside)
        rows, cols = inside.slices(window)
        part_HW = mask_HW
        absent_HW = np.ones(inside.shape, dtype=np.bool_)
        told = False
        for model_band, band in enumerate(bands):
            if band is None:
                continue
            plane_HW = stored[band]
            counts_BHW[model_band, rows, cols] = plane_HW
            if plane_HW.dtype.kind == "f":
                part_HW &= np.abs(plane_HW) < LARGEST_COUNT  # False for NaN and infinity too.
            value = self.scene.nodata.values[model_band]
            if value is not None and not math.isnan(value):
                told = True
                absent_HW &= plane_HW == plane_HW.dtype.type(value)
            elif value is None:
                absent_HW[:] = False
        if told:
            part_HW &= ~absent_HW
        valid_HW[rows, cols] = part_HW
        if not part_HW.all():
            counts_BHW[:, ~valid_HW] = 0
        return counts_BHW, valid_HW

    def _decoded(self, inside: Window) -> tuple[dict[int, NDArray[Any]], Valid]:
        """Every needed band once, and what the file's own mask says."""
        if self._dataset is None:
            raise UsageError("A SceneReader reads only inside its 'with' block.")
        where = RasterioWindow(inside.col, inside.row, inside.width, inside.height)
        chosen = self.scene.bands
        wanted = list(chosen.read_bands)
        try:
            planes_BHW = self._dataset.read(wanted, window=where)
            if not self.scene.nodata.mask:
                mask_HW = np.ones(inside.shape, dtype=np.bool_)
            elif chosen.alpha_band is not None:
                mask_HW = self._dataset.read(chosen.alpha_band, window=where) != 0
            else:
                mask_HW = self._dataset.read_masks(wanted[0], window=where) != 0
        except (RasterioError, OSError, ValueError) as problem:
            what = (
                f"rows {inside.row} to {inside.row_stop}, columns {inside.col} to {inside.col_stop}"
            )
            raise rasterdoor.read_problem(self.scene.location, problem, what) from problem
        return dict(zip(wanted, planes_BHW, strict=True)), mask_HW


def _refuse_changed(scene: Scene) -> None:
    """The description must be that of the file as it is now."""
    if scene.path is None:
        return
    try:
        status = os.stat(scene.path)  # noqa: PTH116 - the error names the path below
    except OSError as problem:
        raise InputError(f"{scene.location}: has gone; check the path.") from problem
    if (status.st_size, status.st_mtime_ns) != (scene.size_bytes, scene.modified_ns):
        raise InputError(f"{scene.location}: changed while it was in use; run again.")
