"""Reads GDAL's and ArcGIS's `.aux.xml` beside a raster, without GDAL: it may name other files."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from snet4core.errors import InputError
from snet4core.files.sidecars import beside, xml_values


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """What such a file says, as far as it is harmless; texts are not checked yet."""

    name: str = ""
    """The file's name; empty if there is none."""
    srs: str | None = None
    """The CRS, as WKT."""
    transform: str | None = None
    """Six numbers in GDAL's order, separated by commas."""
    nodata: Mapping[int, float] = field(default_factory=dict)
    """Band -> the value that means "no data"."""
    descriptions: Mapping[int, str] = field(default_factory=dict)
    """Band -> what it is called."""
    colours: Mapping[int, str] = field(default_factory=dict)
    """Band -> its colour interpretation, in lower case."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Tags of all domains, by their names in upper case."""
    problem: str = ""
    """Why it, or the rest of it, was not read; a sentence."""


def auxiliary_of(path: Path) -> Auxiliary:
    """The `.aux.xml` of a raster; one that is absent says nothing."""
    file = beside(path, f"{path.name}.aux.xml")
    if file is None:
        return Auxiliary()
    nodata: dict[int, float] = {}
    descriptions: dict[int, str] = {}
    colours: dict[int, str] = {}
    metadata: dict[str, str] = {}
    whole: dict[str, str] = {}
    band, key, problem = 0, "", ""
    try:
        for tags, text in xml_values(file):
            if tags == ("PAMDataset", "Metadata", "MDI", "@key"):
                key = text.upper()
            elif tags == ("PAMDataset", "Metadata", "MDI"):
                metadata[key] = text
            elif tags == ("PAMDataset", "PAMRasterBand", "ColorInterp"):
                colours[band] = text.lower()
            elif tags == ("PAMDataset", "PAMRasterBand", "@band"):
                band = int(text) if text.isdecimal() and len(text) < 6 else 0
            elif tags == ("PAMDataset", "PAMRasterBand", "NoDataValue"):
                with contextlib.suppress(ValueError):
                    nodata[band] = float(text)
            elif tags == ("PAMDataset", "PAMRasterBand", "Description"):
                descriptions[band] = text
            elif len(tags) == 2:
                whole.setdefault(tags[1], text)
    except InputError as found:
        problem = found.sentence
    finite = {n: value for n, value in nodata.items() if not math.isinf(value)}
    srs, transform = whole.get("SRS"), whole.get("GeoTransform")
    return Auxiliary(file.name, srs, transform, finite, descriptions, colours, metadata, problem)
