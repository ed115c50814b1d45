"""Decides which pixels of a scene are no data: by the option, the file, or zero in all bands."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from snet4core.errors import UsageError
from snet4core.files.auxiliary import Auxiliary
from snet4core.files.names import printable
from snet4core.files.sidecars import beside
from snet4core.scene.bands import BandMap, option_for
from snet4core.scene.door import CheckedFile
from snet4core.scene.gdal import GDAL_ERRORS
from snet4core.sentence import BANDS, NODATA, Sentence

LARGEST_COUNT = 1e30
"""No sensor counts that far; larger numbers are undeclared fill values."""


@dataclass(frozen=True, slots=True)
class NodataRule:
    """Which pixels are no data. One that is NaN, infinite or huge in any band always is."""

    values: tuple[float | None, ...]
    """Per model band, the value that means "no data" if ALL present bands have theirs."""
    mask: bool
    """Whether the file has a mask or an alpha band; 0 there means no data."""
    says: str
    """One sentence for the log."""
    assumed: bool = False
    """True when neither option nor file gives a no-data value, and 0 in all bands is assumed."""

    def ground(self, planes_BHW: NDArray[np.generic], chosen: BandMap) -> NDArray[np.bool_]:
        """Valid pixels (H, W) by their counts alone; the file's mask is applied elsewhere.

        `planes_BHW` are the bands that the file has, in the model's order.
        """
        pairs = zip(chosen.file_bands, self.values, strict=True)
        values = [value for band, value in pairs if band is not None]
        ground_HW = np.ones(planes_BHW.shape[1:], dtype=np.bool_)
        if planes_BHW.dtype.kind == "f":
            for plane_HW in planes_BHW:
                ground_HW &= np.abs(plane_HW) < LARGEST_COUNT  # False for NaN and infinity too.
        if any(value is None or math.isnan(value) for value in values):
            return ground_HW  # A band that is never "no data": then no pixel is.
        absent_HW = np.ones(planes_BHW.shape[1:], dtype=np.bool_)
        for plane_HW, value in zip(planes_BHW, values, strict=True):
            absent_HW &= plane_HW == planes_BHW.dtype.type(value)
            if not absent_HW.any():
                return ground_HW  # In most windows the first band says so.
        return ground_HW & ~absent_HW


def nodata_rule(
    admitted: CheckedFile,
    dataset: rasterio.DatasetReader,
    chosen: BandMap,
    option: float | None,
    auxiliary: Auxiliary,
) -> tuple[NodataRule, list[str]]:
    """The rule, and warnings: from the option, else the file, else its `.aux.xml`, else zero.

    UsageError for an option that the data type cannot hold.
    """
    rule, warnings = _rule(admitted, dataset, chosen, option, auxiliary)
    warnings = warnings + _mask_beside(admitted) + _doubtful_alpha(admitted, dataset, chosen)
    if rule.assumed:
        warnings += _undeclared(admitted, dataset, chosen)
    return rule, warnings


def _mask_beside(admitted: CheckedFile) -> list[str]:
    """A warning for a mask in a file of its own, which GDAL is kept from opening."""
    path = admitted.path
    mask = None if path is None else beside(path, f"{path.name}.msk", f"{path.stem}.msk")
    if mask is None:
        return []
    return [
        f"{admitted.shown}: the mask {printable(mask.name)} beside it is not read; put it into the "
        "picture with 'gdal_translate --config GDAL_TIFF_INTERNAL_MASK YES IN OUT'."
    ]


def _rule(
    admitted: CheckedFile,
    dataset: rasterio.DatasetReader,
    chosen: BandMap,
    option: float | None,
    auxiliary: Auxiliary,
) -> tuple[NodataRule, list[str]]:
    dtype = dataset.dtypes[0]
    mask = chosen.alpha_band is not None or _has_mask(dataset, chosen)
    masked = ", and what the file masks" if mask else ""
    if option is not None:
        if not holds(dtype, option):
            raise UsageError(
                f"{admitted.shown}: ",
                NODATA,
                f" {option:g} is no value of its type {dtype}; give one that its pixels can have, "
                "or nan for none.",
            )
        says = "No value" if math.isnan(option) else f"The value {option:g} in all bands"
        everywhere = tuple(None if band is None else option for band in chosen.file_bands)
        told = Sentence(f"{says} is no data (from ", NODATA, f"){masked}.")
        return NodataRule(everywhere, mask, told), []
    declared = tuple(_declared(dataset, band) for band in chosen.file_bands)
    says_beside = tuple(_beside(dataset, band, auxiliary) for band in chosen.file_bands)
    warnings = []
    if not any(value is not None for value in declared) and any(
        value is not None for value in says_beside
    ):
        declared = says_beside
        warnings.append(f"{admitted.shown}: its no-data value is read from {auxiliary.name}.")
    elif any(b is not None and a != b for a, b in zip(declared, says_beside, strict=True)):
        warnings.append(
            f"{admitted.shown}: {auxiliary.name} names another no-data value than the file itself; "
            "the file is believed."
        )
    values = {value for value in declared if value is not None}
    if values:
        named = " or ".join(f"{value:g}" for value in sorted(values))
        says = f"The declared {named} in all bands is no data{masked}."
        return NodataRule(declared, mask, says), warnings
    warnings += _hidden(admitted, dtype)
    if mask:
        nothing = (None,) * len(declared)
        return NodataRule(nothing, True, "What the file masks is no data."), warnings
    zeros = tuple(None if band is None else 0.0 for band in chosen.file_bands)
    says = "The file declares no no-data value; pixels that are 0 in all bands are no data."
    return NodataRule(zeros, False, says, assumed=True), warnings


_SAMPLED, _SAMPLE_PX = 3, 64
"""An alpha band is looked at in 3 x 3 windows of 64 x 64 pixels."""

_MANY_VALUES, _MANY_PIXELS = 32, 0.25
"""More distinct values than this, in more than this share of the pixels beside the two most
common values, are no transparency: infrared has hundreds, feathered edges cover little."""


def _doubtful_alpha(
    admitted: CheckedFile, dataset: rasterio.DatasetReader, chosen: BandMap
) -> list[str]:
    """A warning for a band that is tagged as alpha, but looks like infrared."""
    if chosen.alpha_band is None or "nir" not in chosen.missing:
        return []
    rows, cols = dataset.shape
    side = [min(_SAMPLE_PX, length) for length in (rows, cols)]
    windows = [
        Window((cols - side[1]) * x // (_SAMPLED - 1), (rows - side[0]) * y // (_SAMPLED - 1),
               side[1], side[0])
        for y in range(_SAMPLED) for x in range(_SAMPLED)
    ]  # fmt: skip
    with contextlib.suppress(*GDAL_ERRORS):  # Damaged pixels are reported when they are needed.
        sample = [dataset.read(chosen.alpha_band, window=window).ravel() for window in windows]
        _, counts = np.unique(np.concatenate(sample), return_counts=True)
        between = 1 - np.sort(counts)[-2:].sum() / counts.sum()
        if len(counts) > _MANY_VALUES and between > _MANY_PIXELS:
            pairs = zip(chosen.model_bands, chosen.file_bands, strict=True)
            named = {name: band for name, band in pairs if band is not None}
            option = option_for({**named, "nir": chosen.alpha_band})
            return [
                Sentence(
                    f"{admitted.shown}: band {chosen.alpha_band} is tagged as alpha and taken as "
                    f"a mask, but holds {len(counts)} values in a sample, as infrared does; if it "
                    "is, give ",
                    BANDS.taking(option),
                    ".",
                )
            ]
    return []


_CORNER_PX = 16
_FILLS = (-9999.0, -32768.0, -99.0, -999.0, 1e20, -1e20)
"""What is often used for "no data", besides the ends of a whole-number type."""


def _undeclared(
    admitted: CheckedFile, dataset: rasterio.DatasetReader, chosen: BandMap
) -> list[str]:
    """A warning for a corner that holds one such value in all bands: a collar, most likely."""
    kind = np.dtype(dataset.dtypes[0])
    ends = [np.iinfo(kind).max, np.iinfo(kind).min] if kind.kind in "iu" else []
    fills = {*_FILLS, *map(float, ends)} - {0.0}
    fills |= {float(np.float32(fill)) for fill in fills}  # as a file of that type holds them
    rows, cols = dataset.shape
    height, width = min(_CORNER_PX, rows), min(_CORNER_PX, cols)
    corners = [(0, 0), (0, cols - width), (rows - height, 0), (rows - height, cols - width)]
    with contextlib.suppress(*GDAL_ERRORS):  # Damaged pixels are reported when they are needed.
        for row, col in corners:
            window = Window(col, row, width, height)
            corner_BHW = dataset.read(list(chosen.read_bands), window=window)
            value = float(corner_BHW.flat[0])
            if value in fills and (corner_BHW == corner_BHW.flat[0]).all():
                # Not rounded: the option must name the very value.
                exact = f"{value:.0f}" if abs(value) < 2**53 else f"{value:g}"
                return [
                    Sentence(
                        f"{admitted.shown}: a corner holds {exact} in all bands, and no no-data "
                        "value is declared; if that is no ground, give ",
                        NODATA.taking(exact),
                        ".",
                    )
                ]
    return []


def _declared(dataset: rasterio.DatasetReader, band: int | None) -> float | None:
    """The no-data value that a band declares, if its data type can hold it."""
    value = None if band is None else dataset.nodatavals[band - 1]
    return value if value is not None and holds(dataset.dtypes[0], value) else None


def _beside(
    dataset: rasterio.DatasetReader, band: int | None, auxiliary: Auxiliary
) -> float | None:
    """The same by the `.aux.xml`."""
    value = None if band is None else auxiliary.nodata.get(band)
    return value if value is not None and holds(dataset.dtypes[0], value) else None


def _has_mask(dataset: rasterio.DatasetReader, chosen: BandMap) -> bool:
    """Whether the file's own mask covers a band that is read; an alpha band is not counted."""
    flags = [dataset.mask_flag_enums[band - 1] for band in chosen.read_bands]
    return any(MaskFlags.per_dataset in f and MaskFlags.alpha not in f for f in flags)


def _hidden(admitted: CheckedFile, dtype: str) -> list[str]:
    """A warning for a declared value that the type cannot hold; NaN for integers is common."""
    if not admitted.nodata or admitted.nodata.lower() == "nan":
        return []
    return [
        Sentence(
            f"{admitted.shown} declares no-data {printable(admitted.nodata[:40])}, which {dtype} "
            "cannot hold; it is ignored, use ",
            NODATA,
            " to name the true value.",
        )
    ]


def holds(dtype: str, value: float) -> bool:
    """Whether a pixel of this data type can have this value.

    >>> holds("uint8", 255.0), holds("uint8", -1.0), holds("uint16", 0.5), holds("uint8", math.nan)
    (True, False, False, True)
    """
    kind = np.dtype(dtype)
    if not math.isfinite(value):
        return True  # NaN means no value; infinity is no data anyway.
    if kind.kind == "f":
        return abs(value) <= float(np.finfo(kind).max)
    limits = np.iinfo(kind)
    return value == int(value) and limits.min <= value <= limits.max
