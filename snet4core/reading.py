"""Reads one scene from several threads, each with its own GDAL handle.

GDAL's handles must not be shared between threads; its block cache is shared, so each thread
finds the blocks that the others have decoded.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from types import TracebackType

from snet4core.errors import UsageError
from snet4core.raster import Counts, Scene, SceneReader, Valid
from snet4core.windows import Window
from snet4core.working import WorkingScale


class SharedReader:
    """A `SceneReader` for any number of threads. Close it when all of them are done.

    >>> with SharedReader(scene) as reader:  # doctest: +SKIP
    ...     counts_BHW, valid_HW = reader.read(Window(0, 0, 512, 512))
    """

    def __init__(self, scene: Scene, scale: WorkingScale | None = None) -> None:
        self._scene, self._scale = scene, scale
        self._own = threading.local()
        self._opening = threading.Lock()
        self._stack: ExitStack | None = None

    def __enter__(self) -> SharedReader:
        self._stack = ExitStack()
        try:
            self._reader()  # so that a file that cannot be opened fails here
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()
        self._own = threading.local()

    def read(self, window: Window) -> tuple[Counts, Valid]:
        """See `SceneReader.read`; the first call of each thread opens the file."""
        return self._reader().read(window)

    def _reader(self) -> SceneReader:
        reader: SceneReader | None = getattr(self._own, "reader", None)
        if reader is None:
            with self._opening:
                if self._stack is None:
                    raise UsageError("A SharedReader reads only inside its 'with' block.")
                reader = self._stack.enter_context(SceneReader(self._scene, self._scale))
            self._own.reader = reader
        return reader
