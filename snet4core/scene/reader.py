"""Reads windows of a scene on its working grid, from one thread or several.

`SceneReader` gives counts in the model's band order, and which pixels are valid. The working
grid has pixels of about the size that the model was trained on: scene pixels interpolated,
averaged or both, where they are of another size, see `working_scale`. `SharedReader` does the
same for several threads: GDAL's handles must not be shared between them, but its block cache is,
so each thread finds the blocks that the others have decoded.

Array axes: B model bands, H rows, W columns.
"""

from __future__ import annotations

import contextlib
import os
import threading
from contextlib import ExitStack
from types import TracebackType

import numpy as np
import rasterio
from rasterio.windows import Window as RasterioWindow

from snet4core.errors import InputError, UsageError
from snet4core.files.names import printable
from snet4core.scene import door
from snet4core.scene.gdal import GDAL_ERRORS, decoding
from snet4core.scene.resample import averaged, interpolated
from snet4core.scene.scene import Counts, Scene, Valid
from snet4core.scene.vrt import FileState
from snet4core.scene.working_scale import WorkingScale
from snet4core.windows import Window

_STRIP = 256
"""Rows of working pixels that are averaged at once."""


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


class SceneReader:
    """Reads windows of a scene on the working grid; use one per thread.

    >>> with SceneReader(scene) as reader:  # doctest: +SKIP
    ...     counts_BHW, valid_HW = reader.read(Window(0, 0, 512, 512))
    """

    def __init__(self, scene: Scene, scale: WorkingScale | None = None) -> None:
        self.scene = scene
        self.scale = scale or WorkingScale()
        self.grid = self.scale.grid(scene.grid)
        """The working grid; `read` takes windows in its pixels."""
        self._stack = contextlib.ExitStack()
        self._dataset: rasterio.DatasetReader | None = None

    def __enter__(self) -> SceneReader:
        _refuse_changed(self.scene)
        self._dataset = self._stack.enter_context(door.opened(self.scene.admitted))
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

        The window may extend beyond the raster, where pixels are invalid. Counts have the
        file's type when the scale is 1, float32 otherwise; 0 where invalid and in bands that
        the file does not have. A pixel has the same value in every window.
        InputError if the pixels cannot be decoded.
        """
        m = self.scale.coarser
        if m == 1:
            return self._interpolated(window)
        strips = []
        # Strip by strip: interpolated pixels are many, and only their means are kept.
        for row in range(window.row, max(window.row_stop, window.row + 1), _STRIP):
            rows = min(_STRIP, window.row_stop - row)
            cells = Window(row * m, window.col * m, rows * m, window.width * m)
            strips.append(averaged(*self._interpolated(cells), m))
        counts, valid = zip(*strips, strict=True)
        return np.concatenate(counts, axis=1), np.concatenate(valid)

    def is_hole(self, window: Window) -> bool:
        """Whether the file is known to hold nothing of a window in its own pixels: in a sparse
        TIFF, blocks that were never written. Found without reading any."""
        if self._dataset is None:
            raise UsageError("A SceneReader reads only inside its 'with' block.")
        if self.scene.admitted.driver != "GTiff":
            return False
        stored = self.scene.orientation.stored(window, self.scene.grid.shape)
        rows, cols = self._dataset.block_shapes[0]
        return not any(
            self._dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
            for row in range(stored.row // rows, -(-stored.row_stop // rows))
            for col in range(stored.col // cols, -(-stored.col_stop // cols))
            for band in self.scene.bands.file_bands
            if band is not None
        )

    def _interpolated(self, window: Window) -> tuple[Counts, Valid]:
        """As `read`, on pixels that are `scale.finer` times as small as the scene's own."""
        k = self.scale.finer
        if k == 1:
            return self._native(window)
        row, col = window.row // k - 1, window.col // k - 1
        around = Window(
            row, col, -(-window.row_stop // k) + 1 - row, -(-window.col_stop // k) + 1 - col
        )
        finer = Window(around.row * k, around.col * k, around.height * k, around.width * k)
        counts_BHW, valid_HW = interpolated(*self._native(around), k)
        part = window.slices(finer)
        return counts_BHW[:, *part], valid_HW[part]

    def _native(self, window: Window) -> tuple[Counts, Valid]:
        """As `read`, on the scene's own pixels."""
        bands = self.scene.bands.file_bands
        present = [n for n, band in enumerate(bands) if band is not None]
        inside = window.within(Window(0, 0, *self.scene.grid.shape))
        if inside.height and inside.width:
            planes_BHW, valid_HW = self._decoded(inside)
            if not valid_HW.all():
                np.copyto(planes_BHW, 0, where=~valid_HW)
            if inside == window and len(present) == len(bands):
                return planes_BHW, valid_HW
        counts_BHW = np.zeros((len(bands), *window.shape), dtype=self.scene.dtype)
        all_valid_HW = np.zeros(window.shape, dtype=np.bool_)
        if inside.height and inside.width:
            part = inside.slices(window)
            all_valid_HW[part] = valid_HW
            for model_band, plane_HW in zip(present, planes_BHW, strict=True):
                counts_BHW[model_band][part] = plane_HW
        return counts_BHW, all_valid_HW

    def _decoded(self, inside: Window) -> tuple[Counts, Valid]:
        """Counts of the bands that the file has, in the model's order, and validity."""
        if self._dataset is None:
            raise UsageError("A SceneReader reads only inside its 'with' block.")
        stored = self.scene.orientation.stored(inside, self.scene.grid.shape)
        where = RasterioWindow(stored.col, stored.row, stored.width, stored.height)
        chosen, rule = self.scene.bands, self.scene.nodata
        try:
            with decoding():
                planes_BHW = self._dataset.read(
                    [band for band in chosen.file_bands if band is not None], window=where
                )
                if not rule.mask:
                    valid_HW = np.ones(stored.shape, dtype=np.bool_)
                elif chosen.alpha_band is not None:
                    valid_HW = self._dataset.read(chosen.alpha_band, window=where) != 0
                else:
                    valid_HW = self._dataset.read_masks(chosen.read_bands[0], window=where) != 0
        except GDAL_ERRORS as problem:
            rows = f"rows {stored.row} to {stored.row_stop}"
            what = f"{rows}, columns {stored.col} to {stored.col_stop}"
            raise door.read_problem(self.scene.admitted.shown, problem, what) from problem
        valid_HW &= rule.ground(planes_BHW, chosen)
        turn = self.scene.orientation.turn
        return turn(planes_BHW), turn(valid_HW)


def _refuse_changed(scene: Scene) -> None:
    """Raise InputError if the file has changed since it was described."""
    if scene.path is None:
        return
    own = FileState(str(scene.path), scene.size_bytes, scene.modified_ns)
    for before in (own, *scene.admitted.others):
        try:
            status = os.stat(before.path)  # noqa: PTH116 - the error names the path below
        except OSError as problem:
            raise InputError(f"{printable(before.path)} has gone; check the path.") from problem
        if (status.st_size, status.st_mtime_ns) != (before.size_bytes, before.modified_ns):
            raise InputError(f"{printable(before.path)} changed while it was in use; run again.")
