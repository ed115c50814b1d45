"""Which pixels of a picture are no ground, and why: a value that says so in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.enums import MaskFlags

from snet4core.bands import BandMap
from snet4core.errors import UsageError


@dataclass(frozen=True, slots=True)
class NodataRule:
    """Which pixels are no ground. One that is NaN, inf or huge in any band never is."""

    values: tuple[float | None, ...]
    """Per model band, the value that means "no data" if ALL present bands have theirs."""
    mask: bool
    """Whether the file carries a mask or an alpha band; 0 there is no ground."""
    says: str
    """One sentence for the log."""
    assumed: bool = False
    """True when nobody said what "no data" is, and 0 in all bands was taken for it."""


def nodata_rule(
    location: str, dataset: rasterio.DatasetReader, chosen: BandMap, option: float | None
) -> tuple[NodataRule, list[str]]:
    """What is no ground: the option, else the file's word, else zero in all bands."""
    present = [band for band in chosen.file_bands if band is not None]
    flags = [dataset.mask_flag_enums[band - 1] for band in present]
    internal = any(MaskFlags.per_dataset in f and MaskFlags.alpha not in f for f in flags)
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
        f"{location} declares no-data {value:g}, which {dataset.dtypes[0]} cannot hold; ignored, "
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
    return NodataRule(values, False, says, assumed=True), warnings


def _holds(dtype: str, value: float) -> bool:
    """Whether a pixel of this type can have this value."""
    kind = np.dtype(dtype)
    if not math.isfinite(value):
        return True  # Nothing, or what is never ground anyway.
    if kind.kind == "f":
        return abs(value) <= float(np.finfo(kind).max)
    limits = np.iinfo(kind)
    return value == int(value) and limits.min <= value <= limits.max
