"""Knows the virtual rasters (VRT) that the engine reads itself; QGIS writes the others.

The engine accepts mosaics alone: pixels copied one to one from pictures in the VRT's own folder or
below. A VRT over other folders, of other VRTs, warped or computed is left to QGIS.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from qgis.PyQt.QtCore import QXmlStreamReader

STARTS = (
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51",
    b"\x89PNG\r\n", b"\xff\xd8\xff", b"EHFA_HEADER_TAG",
)  # fmt: skip
"""First bytes of the pictures that the engine reads."""

_MOST_BYTES = 64 * 2**20

_READ = {
    "VRTDataset", "SRS", "GeoTransform", "VRTRasterBand", "MaskBand", "Description", "ColorInterp",
    "NoDataValue", "HideNoDataValue", "SimpleSource", "ComplexSource", "SourceFilename",
    "SourceBand", "SourceProperties", "SrcRect", "DstRect", "NODATA", "ScaleOffset", "ScaleRatio",
    "ColorTableComponent", "UseMaskBand",
}  # fmt: skip
"""Elements that the engine reads; with any other, but those passed over, it refuses the VRT."""

_PASSED_OVER = {
    "OverviewList", "Overview", "GCPList", "BlockXSize", "BlockYSize", "UnitType", "Offset",
    "Scale", "CategoryNames", "ColorTable", "Histograms", "Metadata",
}  # fmt: skip

_RELATIVE = ("relativeToVRT", "relativetoVRT")
_RECTANGLE = ("xOff", "yOff", "xSize", "ySize")
_SUBPIXEL_PX = 0.01


def is_plain(path: str) -> bool:
    """Whether the engine reads this virtual raster."""
    try:
        state = Path(path).stat()
        return state.st_size <= _MOST_BYTES and _is_plain(path, state.st_mtime_ns)
    except (OSError, ValueError):  # a file that is not there, a number that is none
        return False


@lru_cache(maxsize=64)
def _is_plain(path: str, modified_ns: int) -> bool:
    """The same of the file as it was at that time: a dialog asks again and again."""
    folder = Path(os.path.realpath(path)).parent
    reader = QXmlStreamReader(Path(path).read_bytes())
    names: set[str] = set()
    size: list[int] = []
    while not reader.atEnd():
        reader.readNext()
        if not reader.isStartElement():
            continue
        element, values = str(reader.name()), reader.attributes()
        kind = str(values.value("subClass"))
        if element in _PASSED_OVER:
            reader.skipCurrentElement()
        elif element not in _READ or kind not in ("", "VRTSourcedRasterBand"):
            return False
        elif element == "SourceFilename":
            relative = "1" in (str(values.value(each)) for each in _RELATIVE)
            text = reader.readElementText()
            names.add(str(folder / text) if relative else text)
        elif element in ("SrcRect", "DstRect"):
            rectangle = [float(str(values.value(each)) or "nan") for each in _RECTANGLE]
            if not all(abs(each - round(each)) <= _SUBPIXEL_PX for each in rectangle):
                return False
            if element == "DstRect" and [round(each) for each in rectangle[2:]] != size:
                return False  # stretched to another pixel size
            size = [round(each) for each in rectangle[2:]]
    return not reader.hasError() and all(_is_picture_in(folder, name) for name in names)


def _is_picture_in(folder: Path, name: str) -> bool:
    """Whether a source lies in the folder or below, and is a picture, and no VRT."""
    real = Path(os.path.realpath(name))
    if ".." in Path(name).parts or not real.is_relative_to(folder):
        return False
    with real.open("rb") as file:
        return file.read(64).startswith(STARTS)
