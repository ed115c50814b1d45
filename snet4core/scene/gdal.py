"""GDAL settings for every open and read, the errors that may come, and hooks against noise.

Settings are applied around each open and each read: they belong to a thread and must end in
reverse order, so none may stay active across a generator's yield.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError, RasterioIOError

CACHE_BYTES = 64 * 2**20
"""GDAL's block cache must hold the blocks that neighbouring windows share; small caches
decode everything twice. Measured on 16384 x 16384 x 4 uint16, read part by part: 32, 64 and
128 MiB took 5.9, 3.6 and 3.9 s. In bytes: a whole number is not taken as MB."""

# PROJ asks the environment alone whether it may fetch datum grids: `files.environment` says no.
_SETTINGS: dict[str, Any] = {
    "GDAL_CACHEMAX": CACHE_BYTES,
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # No sidecar, .ovr or .msk is looked for.
    "GDAL_PAM_ENABLED": "NO",  # No .aux.xml is read, and none is ever written.
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",  # Else half a JPEG is filled up with grey.
    # Variables of the environment that would change pixels, or move them.
    "GTIFF_IGNORE_READ_ERRORS": "NO",  # Else what cannot be decoded is zeros.
    "GTIFF_POINT_GEO_IGNORE": "NO",
    "GDAL_JPEG_TO_RGB": "YES",
    "VRT_NUM_THREADS": 1,  # Others would not know these settings, which belong to a thread.
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_CONNECTTIMEOUT": 20,
}

GDAL_ERRORS = (RasterioError, CPLE_BaseError, ValueError, OSError)
"""All errors that rasterio raises; they have no common base class (CRSError is a ValueError)."""


_BROKEN_OFF = ("premature end", "bad huffman code")
"""What libjpeg says of a JPEG whose end is missing or overwritten. It fills the rest with grey."""


class _Listener(logging.Filter):
    """Remembers what GDAL warned of, thread by thread.

    Of a JPEG inside of a TIFF GDAL only warns, whatever `GDAL_ERROR_ON_LIBJPEG_WARNING` says.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if any(words in said.lower() for words in _BROKEN_OFF):
            self.heard.said = said.removeprefix("CPLE_AppDefined:")
        # Whoever silences rasterio, as the command line does, hears no more than before.
        return logging.getLogger("rasterio").isEnabledFor(record.levelno)

    def forget(self) -> str | None:
        """What was said in this thread since it was last asked."""
        said: str | None = self.heard.__dict__.pop("said", None)
        return said


_listener = _Listener()
_gdal_says = logging.getLogger("rasterio._err")
_gdal_says.addFilter(_listener)
_gdal_says.setLevel(logging.WARNING)  # of its own: it must be asked where rasterio is silenced


@contextlib.contextmanager
def decoding() -> Iterator[None]:
    """`gdal_settings` around a read of pixels; raises RasterioIOError where a JPEG breaks off."""
    _listener.forget()
    with gdal_settings():
        yield
    if said := _listener.forget():
        raise RasterioIOError(said)


@contextlib.contextmanager
def gdal_settings(**more: str) -> Iterator[None]:
    """Keep GDAL from opening other files and connections; use around every open and read."""
    with rasterio.Env(**{**_SETTINGS, **more}):
        yield


# GDAL quotes bytes of a damaged file in its messages. rasterio's logger decodes them as
# UTF-8, fails, and Python prints a traceback of that failure, although the error about the
# file itself is raised as well and reported in one sentence. The two hooks through which
# Python prints it drop exactly that traceback; everything else is passed on.

_printed = sys.excepthook
_unraised = sys.unraisablehook

_LOGGER = "rasterio._env.log_error"


def _print_hook(
    kind: type[BaseException], problem: BaseException, trace: TracebackType | None
) -> None:
    # An exception that ends a program has a traceback; one that compiled code reports has none.
    if not (isinstance(problem, UnicodeDecodeError) and trace is None):
        _printed(kind, problem, trace)


def _unraisable_hook(unraisable: sys.UnraisableHookArgs) -> None:
    undecodable = isinstance(unraisable.exc_value, UnicodeDecodeError)
    if not (undecodable and unraisable.object == _LOGGER):
        _unraised(unraisable)


sys.excepthook = _print_hook
sys.unraisablehook = _unraisable_hook
