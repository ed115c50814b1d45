"""Reads virtual rasters (VRT) without letting GDAL see what they say.

A VRT may name any file, address, or function to run. Accepted is a mosaic of plain files: each
source lies in the VRT's own folder or below, is a picture that `door` lets in, and is copied
pixel for pixel. What is understood of the text is written anew, with absolute paths, and GDAL
opens that text; nothing else in the VRT ever reaches it. What is not understood is refused.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from snet4core.errors import InputError, UsageError
from snet4core.files.names import is_remote, printable
from snet4core.files.sidecars import xml_tree
from snet4core.scene.georeference import crs_named

STARTS = re.compile(rb"\s*<VRTDataset", re.I)
"""First bytes of a VRT."""

MOST_BYTES = 64 * 2**20
MOST_FILES = 20_000
MOST_BANDS = 256

_SUBPIXEL_PX = 0.01
"""Offsets this close to a whole pixel are noise of the division by the pixel size."""

_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32",
    "int32": "Int32", "uint64": "UInt64", "int64": "Int64", "float32": "Float32",
    "float64": "Float64",
}  # fmt: skip
"""numpy's name of a type -> GDAL's."""

_PASSED_OVER = {"OverviewList", "Overview", "GCPList", "BlockXSize", "BlockYSize", "UnitType",
                "Offset", "Scale", "CategoryNames", "ColorTable", "Histograms"}  # fmt: skip
"""Elements that change no count that is read."""

_ARITHMETIC = {"NODATA", "ScaleOffset", "ScaleRatio", "ColorTableComponent", "UseMaskBand"}
"""Elements of a ComplexSource that are one plain number (or true and false)."""

_DOMAINS = (None, "IMD", "IMAGERY")
"""Domains of metadata that may hold a look."""

_CONVERT = "where you trust it, convert it with 'gdal_translate IN OUT.tif'"


@dataclass(frozen=True, slots=True)
class Tile:
    """Facts about one source, from its own header."""

    shape: tuple[int, int]
    """(rows, columns)."""
    bands: int
    dtype: str
    """numpy's name."""
    block_shape: tuple[int, int]
    """(rows, columns)."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file that is read with another, as it was when it was checked."""

    path: str
    size_bytes: int
    modified_ns: int

    @staticmethod
    def of(path: str) -> FileState:
        """The file as it is now. OSError where it cannot be looked up."""
        status = os.stat(path)  # noqa: PTH116 - a VRT names many of them
        return FileState(path, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A VRT that passed the checks."""

    text: str
    """The VRT for GDAL."""
    files: tuple[FileState, ...]
    """Its sources, each once, in their order."""


Check = Callable[[Path], Tile]
"""Checks one source as a picture; InputError, naming it, if it is refused."""


def read(path: Path, check: Check) -> Mosaic:
    """Check the VRT and, by `check`, all that it names; InputError, naming it, if refused."""
    root = xml_tree(path, MOST_BYTES)
    if root.tag != "VRTDataset":
        raise _refused(path, f"begins with <{printable(root.tag)[:30]}>")
    reader = _Reader(path, Path(os.path.realpath(path)).parent, check)
    made = reader.dataset(root)
    return Mosaic(tostring(made, encoding="unicode"), tuple(map(FileState.of, reader.tiles)))


def text_hides_in(head: bytes) -> bool:
    """Whether GDAL could take a picture that begins with these bytes for an XML text.

    It looks for `<VRTDataset` and its like anywhere before the first NUL byte; a true picture
    of the allowed formats has one at once.

    >>> text_hides_in(b"II*\\0"), text_hides_in(b"\\xff\\xd8\\xff<VRTDataset>")
    (False, True)
    """
    end = head.find(b"\0", 0, 32)
    return end < 0 or b"<" in head[:end]


def _refused(path: Path, what: str, remedy: str = _CONVERT) -> InputError:
    return InputError(f"{printable(path)} {what}; {remedy}.")


@dataclass(slots=True)
class _Reader:
    """Writes the elements of one VRT anew."""

    path: Path
    folder: Path
    """Where the VRT lies, without links."""
    check: Check
    shape: tuple[int, int] = (0, 0)
    tiles: dict[str, Tile] = field(default_factory=dict)
    """Real path -> facts, in the order of first use."""

    def dataset(self, root: Element) -> Element:
        """The `VRTDataset` element."""
        if root.get("subClass"):
            raise _refused(self.path, f"is a {printable(root.get('subClass', ''))[:40]}, no mosaic")
        rows, cols = self._size(root.get("rasterYSize")), self._size(root.get("rasterXSize"))
        self.shape = rows, cols
        made = Element("VRTDataset", rasterXSize=str(cols), rasterYSize=str(rows))
        bands = 0
        for part in root:
            if part.tag == "SRS" and (part.text or "").strip():
                SubElement(made, "SRS").text = self._srs(part.text or "")
            elif part.tag == "GeoTransform":
                numbers = [self._number(each) for each in (part.text or "").split(",")]
                SubElement(made, "GeoTransform").text = ",".join(map(repr, numbers))
            elif part.tag == "Metadata":
                self._metadata(made, part)
            elif part.tag == "VRTRasterBand":
                bands += 1
                self._band(SubElement(made, "VRTRasterBand", band=str(bands)), part)
            elif part.tag == "MaskBand":
                self._mask(made, part)
            elif part.tag not in _PASSED_OVER | {"SRS"}:
                raise self._unknown(part)
        if not 1 <= bands <= MOST_BANDS:
            raise _refused(self.path, f"has {bands} bands")
        return made

    def _unknown(self, part: Element) -> InputError:
        return _refused(
            self.path, f"holds <{printable(part.tag)[:40]}>, more than a mosaic of pictures needs"
        )

    def _srs(self, text: str) -> str:
        try:
            return str(crs_named(text.strip()).to_wkt())
        except UsageError as problem:
            raise _refused(
                self.path,
                "names a CRS that PROJ does not know",
                "give it its own with 'gdal_edit.py -a_srs EPSG:NUMBER IN'",
            ) from problem

    def _size(self, text: str | None) -> int:
        if text is None or not re.fullmatch(r"[0-9]{1,10}", text) or int(text) >= 2**31:
            raise _refused(self.path, "does not say how large it is", "make it again")
        return int(text)

    def _number(self, text: str | None) -> float:
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise _refused(
                self.path, f"holds '{printable(text or '')[:40]}' instead of a number",
                "make it again",
            )  # fmt: skip
        return value

    def _metadata(self, made: Element, given: Element) -> None:
        """Plain pairs of the domains that may hold a look; others are left out."""
        if given.get("domain") not in _DOMAINS or given.get("format"):
            return
        domain = given.get("domain")
        kept = SubElement(made, "Metadata", {} if domain is None else {"domain": domain})
        for pair in given:
            if pair.tag == "MDI" and pair.get("key"):
                SubElement(kept, "MDI", key=pair.get("key", "")).text = pair.text

    def _mask(self, made: Element, given: Element) -> None:
        for part in given:
            if part.tag != "VRTRasterBand":
                raise self._unknown(part)
            self._band(SubElement(SubElement(made, "MaskBand"), "VRTRasterBand"), part)

    def _band(self, made: Element, given: Element) -> None:
        """A `VRTRasterBand`, of copied sources only."""
        if given.get("subClass", "VRTSourcedRasterBand") != "VRTSourcedRasterBand":
            what = printable(given.get("subClass", ""))[:40]
            raise _refused(self.path, f"has a {what}, whose pixels are no copies of a picture's")
        dtype = given.get("dataType", "Byte")
        if dtype not in _TYPES.values():
            raise _refused(self.path, f"has a band of the type {printable(dtype)[:40]}")
        made.set("dataType", dtype)
        for part in given:
            text = (part.text or "").strip()
            if part.tag in ("SimpleSource", "ComplexSource"):
                self._source(SubElement(made, part.tag), part)
            elif part.tag in ("Description", "ColorInterp"):
                SubElement(made, part.tag).text = text[:256]
            elif part.tag in ("NoDataValue", "HideNoDataValue"):
                SubElement(made, part.tag).text = self._value(text)
            elif part.tag == "MaskBand":
                self._mask(made, part)
            elif part.tag not in _PASSED_OVER | {"Metadata"}:
                raise self._unknown(part)

    def _value(self, text: str) -> str:
        """One number, which may be NaN or infinite, as it stands."""
        try:
            float(text)
        except ValueError:
            self._number(text)
        return text

    def _source(self, made: Element, given: Element) -> None:
        """A copied rectangle of one file."""
        parts = {part.tag: part for part in given}
        name = self._file(parts.get("SourceFilename"))
        tile = self.tiles[name]
        # One handle of each file, with which the readers of all threads take turns. Shared ones
        # would be one for each reader: more open files, and a sixth more time.
        SubElement(made, "SourceFilename", relativeToVRT="0", shared="0").text = name
        SubElement(made, "SourceBand").text = self._band_of(parts.get("SourceBand"), tile, name)
        rows, cols = tile.shape
        SubElement(
            made,
            "SourceProperties",
            RasterXSize=str(cols),
            RasterYSize=str(rows),
            DataType=_TYPES[tile.dtype],
            BlockXSize=str(tile.block_shape[1]),
            BlockYSize=str(tile.block_shape[0]),
        )
        source = self._rectangle(parts.get("SrcRect"), tile.shape, name)
        target = self._rectangle(parts.get("DstRect"), self.shape, name)
        if source[2:] != target[2:]:
            raise _refused(self.path, f"stretches {_last(name)} to another pixel size")
        if source[0] < 0 or source[1] < 0 or source[0] + source[2] > cols or (
            source[1] + source[3] > rows
        ):  # fmt: skip
            raise _refused(self.path, f"reads beyond the edge of {_last(name)}", "make it again")
        for tag, rectangle in (("SrcRect", source), ("DstRect", target)):
            places = zip(("xOff", "yOff", "xSize", "ySize"), map(str, rectangle), strict=True)
            SubElement(made, tag, dict(places))
        complicated = _ARITHMETIC if given.tag == "ComplexSource" else frozenset[str]()
        self._arithmetic(made, (part for tag, part in parts.items() if tag in complicated))
        known = {"SourceFilename", "SourceBand", "SourceProperties", "SrcRect", "DstRect"}
        for part in given:
            if part.tag not in known | complicated:
                raise self._unknown(part)

    def _arithmetic(self, made: Element, parts: Iterable[Element]) -> None:
        for part in parts:
            text = (part.text or "").strip()
            plain = text.lower() in ("true", "false") and part.tag == "UseMaskBand"
            SubElement(made, part.tag).text = text if plain else self._value(text)

    def _band_of(self, given: Element | None, tile: Tile, name: str) -> str:
        text = "1" if given is None else (given.text or "").strip()
        found = re.fullmatch(r"(mask(?:,)?)?([0-9]{1,5})?", text)
        number = int(found[2] or 1) if found and text else 0
        if not 1 <= number <= tile.bands:
            raise _refused(
                self.path,
                f"reads band {printable(text)[:20]} of {_last(name)}, which has {tile.bands}",
                "make it again",
            )
        return f"mask,{number}" if found and found[1] else str(number)

    def _rectangle(
        self, given: Element | None, whole: tuple[int, int], name: str
    ) -> tuple[int, int, int, int]:
        """(column, row, columns, rows), whole pixels."""
        if given is None:
            return 0, 0, whole[1], whole[0]
        exact = [self._number(given.get(key)) for key in ("xOff", "yOff", "xSize", "ySize")]
        if any(abs(each) > 2**31 for each in exact):
            raise _refused(self.path, f"places {_last(name)} nowhere", "make it again")
        whole_px = [round(each) for each in exact]
        pairs = zip(exact, whole_px, strict=True)
        if any(abs(each - near) > _SUBPIXEL_PX for each, near in pairs):
            raise _refused(
                self.path, f"places {_last(name)} between pixels, so it would be resampled"
            )
        col, row, cols, rows = whole_px
        return col, row, cols, rows

    def _file(self, given: Element | None) -> str:
        """The real path of a source, checked once."""
        text = "" if given is None else (given.text or "")
        if given is None or not text or "\0" in text:
            raise _refused(self.path, "has a source without a file", "make it again")
        shown = printable(text)[:80]
        if is_remote(text):
            raise _refused(
                self.path, f"names {shown}, and only files beside it are read",
                "download that file into the VRT's folder, and make the VRT again",
            )  # fmt: skip
        inside = "move the files into the VRT's folder, and make the VRT again"
        if ".." in re.split(r"[\\/]", text):
            raise _refused(self.path, f"names {shown}, which leads out of its folder", inside)
        relative = given.get("relativeToVRT", given.get("relativetoVRT", "0")) == "1"
        real = os.path.realpath(self.folder / text if relative else text)
        if not Path(real).is_relative_to(self.folder):
            raise _refused(self.path, f"names {shown}, which lies in another folder", inside)
        if real not in self.tiles:
            self.tiles[real] = self._checked(real)
        return real

    def _checked(self, real: str) -> Tile:
        if len(self.tiles) >= MOST_FILES:
            raise _refused(self.path, f"names more than {MOST_FILES} files")
        try:
            real.encode()
        except UnicodeEncodeError as problem:
            raise _refused(
                self.path, "lies in a folder whose name is not UTF-8", "rename the folder"
            ) from problem
        try:
            return self.check(Path(real))
        except InputError as problem:
            raise InputError(f"{printable(self.path)}: ", problem.sentence) from problem


def _last(name: str) -> str:
    return printable(Path(name).name)[:80]
