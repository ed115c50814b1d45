"""Folders that are gone when their work is done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qgis.core import QgsProcessingUtils


@contextmanager
def temporary_folder(place: Path | None = None) -> Iterator[Path]:
    """A folder in `place`, or among QGIS's own temporary files, that is gone afterwards.

    What another program still holds open stays, as Windows has it. `TemporaryDirectory` can do
    that from Python 3.10 on; QGIS 3.22 has 3.9 on Windows.
    """
    parent = place or QgsProcessingUtils.tempFolder()
    folder = Path(tempfile.mkdtemp(prefix=".snet4-" if place else "snet4-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
