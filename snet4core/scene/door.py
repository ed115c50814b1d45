"""Checks and opens raster files; no other module opens them with GDAL.

A file is checked before GDAL sees it: it must be a regular file, and its first bytes must
be those of an allowed format. GDAL then opens it read-only with that one driver, without
access to other files (sidecars, external overviews and masks may open connections). URLs and
GDAL's virtual paths are accepted only where the caller allows it.

Allowed: GeoTIFF (also BigTIFF and COG), JPEG 2000, PNG, JPEG, ERDAS Imagine, ENVI; and a virtual
raster over files of these formats (but ENVI), which `vrt` reads in GDAL's place.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from snet4core.errors import InputError, Snet4Error
from snet4core.files.names import is_remote, linked, printable, spelt_in_utf8
from snet4core.files.sidecars import beside, read_text
from snet4core.scene import tiff, vrt
from snet4core.scene.gdal import GDAL_ERRORS, gdal_settings
from snet4core.sentence import ALLOW_REMOTE

MOST_PIXELS = 2**40
"""A million by a million; a header that claims more is taken for damaged."""

MOST_BLOCK_BYTES = 2**29
"""One decoded block must fit in memory several times over."""

MOST_BANDS = 4096

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"II*\0", "GTiff"),
    (b"MM\0*", "GTiff"),
    (b"II+\0", "GTiff"),
    (b"MM\0+", "GTiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"EHFA_HEADER_TAG\0", "HFA"),
)

_REMOTE_DRIVERS = tuple(dict.fromkeys(driver for _, driver in _MAGIC))

ALLOWED = "GeoTIFF, JPEG 2000, PNG, JPEG, ERDAS Imagine (.img), ENVI or a VRT of these"

_REFUSED_FORMATS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\s*<!doctype html|\s*<html", re.I), "an HTML page, perhaps a failed download"),
    (re.compile(rb"\s*<(GDAL_WMS|WMT_MS|WMS|TileMap)", re.I), "a description of a web map"),
    (re.compile(rb"\s*<MRF_META", re.I), "an MRF header, which names other files"),
    (re.compile(rb"\s*<"), "an XML or HTML text"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive"),
    (re.compile(rb"SQLite format 3\0"), "an SQLite or GeoPackage file"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"%PDF"), "a PDF"),
    (re.compile(rb"NITF|NSIF"), "a NITF file"),
    (re.compile(rb"\x89HDF|CDF[\x01\x02]"), "an HDF5 or netCDF file"),
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS, not the file it stands for"),
)


_REMEDIES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"NITF|NSIF|SQLite format 3\0|%PDF|\x89HDF|CDF[\x01\x02]"),
     "convert it with 'gdal_translate IN OUT.tif', or "),
    (re.compile(rb"\s*<MRF_META", re.I),
     "where you trust it, convert it with 'gdal_translate IN OUT.tif', or "),
    (re.compile(rb"PK\x03\x04"), "unpack it with 'unzip IN', or "),
    (re.compile(rb"\x1f\x8b"), "unpack it with 'gunzip IN', or "),
    (re.compile(rb"version https://git-lfs"), "fetch it with 'git lfs pull', or "),
)  # fmt: skip
"""What makes a picture of these."""

_opening = threading.Lock()
"""`warnings.catch_warnings` changes the whole process: one opening at a time."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file that passed the checks, and the driver to open it with."""

    location: str
    """Path or URL as given."""
    driver: str | None
    """The one GDAL driver; None for a remote file, which has not been checked."""
    pages: int = 1
    """Pictures in the file; only the first is read."""
    nodata: str | None = None
    """A TIFF's no-data tag, verbatim."""
    mosaic: vrt.Mosaic | None = None
    """What a VRT was read as; None for a plain picture."""
    header: vrt.FileState | None = None
    """ENVI's header, a text that says what the pixels are."""

    @property
    def shown(self) -> str:
        """The location for messages, on one line."""
        return printable(self.location)

    @property
    def path(self) -> Path | None:
        """The local path; None for a remote file."""
        return None if self.driver is None else Path(self.location)

    @property
    def others(self) -> tuple[vrt.FileState, ...]:
        """The files that pixels come from beside it: a VRT's sources, ENVI's header."""
        return self.mosaic.files if self.mosaic else (self.header,) if self.header else ()


def admit(location: str | os.PathLike[str], *, allow_remote: bool = False) -> CheckedFile:
    """Check a file before GDAL opens it; InputError, naming the file, if it is refused."""
    text = os.fspath(location)
    if is_remote(text):
        if not allow_remote:
            remedy = "give its path alone" if text.lower().startswith("file:") else "download it"
            raise InputError(
                f"{printable(text)} is a URL or virtual path, and snet4 opens no connections by "
                f"itself; {remedy}, or give ",
                ALLOW_REMOTE,
                ".",
            )
        return CheckedFile(text, None)
    if "\0" in text:
        raise InputError(
            f"{printable(text)}: a path cannot hold a NUL byte; check the list it came from."
        )
    path = Path(text)
    head = _first_bytes(path)
    if vrt.STARTS.match(head):
        return CheckedFile(text, "VRT", mosaic=vrt.read(path, _tile))
    return _picture(path, text, head)


def _tile(path: Path) -> vrt.Tile:
    """Check a source of a VRT as a picture of its own; InputError if it is refused."""
    head = _first_bytes(path)
    if vrt.STARTS.match(head):
        raise InputError(f"{printable(path)} is a VRT itself; name its pictures instead.")
    admitted = _picture(path, str(path), head)
    if admitted.driver == "ENVI" or vrt.text_hides_in(head):
        raise InputError(
            f"{admitted.shown} is not read as part of a VRT; convert it with "
            "'gdal_translate IN OUT.tif', and name that."
        )
    with opened(admitted) as dataset, gdal_settings():
        check_header(admitted, dataset)
        return vrt.Tile(dataset.shape, dataset.count, dataset.dtypes[0], dataset.block_shapes[0])


def _picture(path: Path, text: str, head: bytes) -> CheckedFile:
    """Check any file but a VRT, by its first bytes."""
    driver = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
    if driver is None and (header := _envi_header(path)):
        return CheckedFile(text, "ENVI", header=vrt.FileState.of(str(header.absolute())))
    if driver is None:
        what = next((name for pattern, name in _REFUSED_FORMATS if pattern.match(head)), None)
        if what is None and path.suffix.lower() == ".hdr":
            what = "a header without pixels; give the data file beside it"
        raise InputError(
            f"{printable(text)} is {what or 'no raster that snet4 knows'}; "
            f"{_remedy(head)}give a picture as {ALLOWED}."
        )
    if driver != "GTiff":
        return CheckedFile(text, driver)
    facts = tiff.check(path)
    return CheckedFile(text, driver, facts.pictures, facts.nodata)


def _remedy(head: bytes) -> str:
    return next((text for pattern, text in _REMEDIES if pattern.match(head)), "")


def _first_bytes(path: Path) -> bytes:
    """Up to 512 bytes of a regular, non-empty file."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise InputError(
                f"{printable(path)} is a folder here, not a raster; give the files in it."
            )
        if not stat.S_ISREG(kind):
            raise InputError(
                f"{printable(path)} is a pipe or device, which cannot be read in windows; "
                "save it to a file first."
            )
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError as problem:
        raise InputError(f"{printable(path)} does not exist; check the path.") from problem
    except PermissionError as problem:
        raise InputError(
            f"{printable(path)} may not be read; ask for the right to read it."
        ) from problem
    except OSError as problem:
        why = problem.strerror or type(problem).__name__
        raise InputError(
            f"{printable(path)} cannot be opened ({why}); check the path."
        ) from problem
    if not head:
        raise InputError(f"{printable(path)} is empty; copy or download it again.")
    return head


def _envi_header(path: Path) -> Path | None:
    """The text header that makes a raw binary file an ENVI raster; None without one."""
    if path.suffix.lower() == ".hdr":
        return None
    header = beside(path, f"{path.stem}.hdr", f"{path.name}.hdr")
    if header is None:
        return None
    with contextlib.suppress(InputError):
        return header if read_text(header, 2**20).lstrip().startswith("ENVI") else None
    return None


@contextlib.contextmanager
def opened(admitted: CheckedFile) -> Iterator[rasterio.DatasetReader]:
    """Open the dataset, for one thread. InputError if GDAL refuses it.

    Read it without resampling, so that overviews, which may be stale, are never used. (The
    open option OVERVIEW_LEVEL=NONE would forbid them, but loses the bands' descriptions.)
    """
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(_visible_name(admitted))
        dataset = _dataset(admitted, name)
        stack.callback(_close, dataset)
        try:
            yield dataset
        except Snet4Error:
            raise
        except GDAL_ERRORS as problem:
            raise InputError(
                f"{admitted.shown} cannot be read as a raster ({_short(problem)}); "
                "copy or download it again."
            ) from problem


def _close(dataset: rasterio.DatasetReader) -> None:
    with gdal_settings():
        dataset.close()


def _dataset(admitted: CheckedFile, name: str) -> rasterio.DatasetReader:
    """Open with the one allowed driver; a remote file, not checked, with the first that fits.

    Never with all of GDAL's drivers: some open other files and connections.
    """
    drivers = [admitted.driver] if admitted.driver else _REMOTE_DRIVERS
    # ENVI finds its header by listing the folder: a private one with nothing else.
    looks = {"GDAL_DISABLE_READDIR_ON_OPEN": "FALSE"} if admitted.driver == "ENVI" else {}
    problems: list[Exception] = []
    for driver in drivers:
        try:
            with gdal_settings(**looks), _opening, warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                return rasterio.open(name, driver=driver, sharing=False)
        except GDAL_ERRORS as problem:
            problems.append(problem)
    raise InputError(
        f"{admitted.shown} cannot be opened as a raster ({_short(problems[0])}); "
        "check that the file is complete."
    ) from problems[0]


@contextlib.contextmanager
def _visible_name(admitted: CheckedFile) -> Iterator[str]:
    """A path under which GDAL sees the file and nothing else; of a VRT, its new text.

    ENVI needs its header beside it, and GDAL cannot open a name that is not UTF-8; for both
    a private folder with a link is made, so that no other sidecar is visible.
    """
    path = admitted.path
    if path is None:
        yield admitted.location
        return
    if admitted.mosaic is not None:
        yield admitted.mosaic.text
        return
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links must stay as they are
    header = admitted.header
    if header is None and spelt_in_utf8(absolute):
        yield str(absolute)
        return
    with tempfile.TemporaryDirectory(prefix="snet4-") as folder:
        link = Path(folder, "scene" + (path.suffix if path.suffix.isascii() else ""))
        try:
            linked(link, absolute)
        except OSError as problem:
            raise InputError(
                f"{admitted.shown} cannot be linked for reading ({problem.strerror}); "
                "convert it to GeoTIFF under a plain name."
            ) from problem
        if header is not None:
            text = read_text(Path(header.path), 2**20)
            link.with_suffix(".hdr").write_text(text, encoding="utf-8", newline="\n")
        yield str(link)


def _check_length(name: str, path: Path, needed_bytes: int) -> None:
    """Refuse a raw file that is too short: GDAL would return zeros for what is missing."""
    if path.stat().st_size < needed_bytes:
        raise InputError(
            f"{name} is incomplete: its header asks for {needed_bytes} bytes, it has "
            f"{path.stat().st_size}; copy or download it again."
        )


def check_header(admitted: CheckedFile, dataset: rasterio.DatasetReader) -> None:
    """Refuse impossible sizes, complex or mixed types, and blocks too large for memory."""
    name = admitted.shown
    rows, cols, count = dataset.height, dataset.width, dataset.count
    if rows < 1 or cols < 1 or count < 1:
        raise InputError(
            f"{name} holds {rows} x {cols} pixels in {count} bands, no picture; "
            "check that it is the right file."
        )
    if rows * cols > MOST_PIXELS or count > MOST_BANDS:
        raise InputError(
            f"{name} claims {rows} x {cols} pixels in {count} bands, which cannot be true; "
            "check that the file is complete."
        )
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise InputError(
            f"{name} holds complex numbers ({dataset.dtypes[0]}), as radar does; "
            "give an optical picture."
        )
    types = sorted(set(dataset.dtypes))
    if len(types) > 1:
        raise InputError(
            f"{name} holds bands of different types ({', '.join(types)}); "
            "write it again with one type."
        )
    item_bytes = np.dtype(dataset.dtypes[0]).itemsize
    if admitted.driver == "ENVI" and admitted.path is not None:
        _check_length(name, admitted.path, rows * cols * count * item_bytes)
    block_rows, block_cols = dataset.block_shapes[0]
    block_bytes = block_rows * block_cols * item_bytes * _bands_together(admitted, dataset)
    if block_bytes > MOST_BLOCK_BYTES:
        raise InputError(
            f"{name} is stored in blocks of {block_rows} x {block_cols} pixels "
            f"({block_bytes / 2**20:.0f} MiB each), too large to read in windows; "
            "tile it with 'gdal_translate -co TILED=YES -co COMPRESS=DEFLATE IN OUT'."
        )


def _bands_together(admitted: CheckedFile, dataset: rasterio.DatasetReader) -> int:
    """Number of bands in one stored block."""
    if admitted.driver != "GTiff":
        return 1  # Not queried: on a damaged JPEG 2000 file GDAL would search for minutes.
    pixelwise = dataset.interleaving is not None and dataset.interleaving.name == "pixel"
    return int(dataset.count) if pixelwise else 1


def read_problem(location: str, problem: Exception, what: str) -> InputError:
    """The error to raise when pixels cannot be decoded; zeros never replace them."""
    return InputError(
        f"{location}: {what} cannot be decoded ({_short(problem)}); the file is damaged, "
        "copy or download it again."
    )


def _short(problem: Exception) -> str:
    """The root cause of an error, on one short line."""
    while problem.__cause__ is not None and isinstance(problem.__cause__, Exception):
        problem = problem.__cause__
    line = " ".join(str(problem).split()) or type(problem).__name__
    return line[:160].rstrip(".;: ")
