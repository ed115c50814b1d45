"""Helpers of the QGIS tests: the engine, `qgis_process`, processes, a small town."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "build" / "plugins"
STUB = ROOT / "tests" / "helpers" / "worker_stub.py"
SHARED_DATA = ROOT.parent / "shared" / "data"
ENGINE = os.environ.get("SNET4_PYTHON") or str(ROOT / ".venv" / "bin" / "python")

AWKWARD_FIELDS = [
    ("fid:integer", [1, 1]),  # as after "Multipart to singleparts"
    ("fid:double", [1.5, 2.5]),
    ("fid:string", ["a", "b"]),
    ("geom:string", ["x", "y"]),
]
"""Fields, and values of two features, that a GeoPackage cannot have as they are."""


@dataclass
class Finished:
    """What came of a `qgis_process` run."""

    rc: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def results(self) -> dict:
        return json.loads(self.stdout)["results"]

    @property
    def log(self) -> str:
        return "\n".join(json.loads(self.stdout)["log"].get("info", []))


def process_arguments(algorithm: str, **parameters: object) -> list[str]:
    words = [f"{name}={value}" for name, value in parameters.items()]
    return ["qgis_process.bin", "--json", "run", algorithm, "--", *words]


def run_process(
    algorithm: str,
    env: dict[str, str] | None = None,
    *,
    limit_s: float = 300,
    **parameters: object,
) -> Finished:
    """`qgis_process run`, with more environment by `env`."""
    started_s = time.monotonic()
    done = subprocess.run(
        process_arguments(algorithm, **parameters),
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        timeout=limit_s,
        stdin=subprocess.DEVNULL,
    )
    seconds = time.monotonic() - started_s
    return Finished(done.returncode, done.stdout, done.stderr, seconds)


def engine(*arguments: str) -> subprocess.CompletedProcess:
    """The engine's own interpreter, as on the command line."""
    return subprocess.run(
        [ENGINE, "-I", *arguments], capture_output=True, text=True, check=True, timeout=300
    )


def make_town(path: Path, *, crs: int | None = 32616, nodata: bool = False) -> None:
    import numpy as np
    from osgeo import gdal, osr

    counts = np.full((180, 180), 300, np.uint16)
    for row, col in ((20, 30), (90, 100), (130, 20)):
        counts[row : row + 24, col : col + 30] = 900
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 180, 180, 4, gdal.GDT_UInt16)
    dataset.SetGeoTransform((740000, 0.5, 0, 3720000, 0, -0.5))
    if crs is not None:
        system = osr.SpatialReference()
        system.ImportFromEPSG(crs)
        dataset.SetProjection(system.ExportToWkt())
    for band in range(1, 5):
        dataset.GetRasterBand(band).WriteArray(counts)
    dataset = None  # closes the file


def engines() -> list[int]:
    """Process ids of workers that still run, of these tests alone: another run of them may go on
    beside. A worker whose QGIS is gone has lost its parent, but not its environment."""
    own = f"XDG_RUNTIME_DIR={os.environ['XDG_RUNTIME_DIR']}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            ours = own in (folder / "environ").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        worker = b"snet4core.worker" in command or b"worker_stub" in command
        if worker and ours and state != "Z":
            found.append(int(folder.name))
    return found


def none_left_within_s(limit_s: float, before: list[int]) -> bool:
    """Whether all engines that were not there `before` are gone in time."""
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        if not set(engines()) - set(before):
            return True
        time.sleep(0.05)
    return False


def told(cancel_at: float | None = None) -> Any:
    """A feedback that keeps what it is told; cancels when progress is that far."""
    from qgis.core import QgsProcessingFeedback

    class Keeping(QgsProcessingFeedback):
        def __init__(self) -> None:
            super().__init__(False)
            self.lines: list[str] = []
            self.percents: list[float] = []
            self.progressChanged.connect(self.watch)

        def watch(self, percent: float) -> None:
            self.percents.append(percent)
            if cancel_at is not None and percent >= cancel_at:
                self.cancel()

        def pushInfo(self, text: str) -> None:
            self.lines.append(text)

        pushCommandInfo = pushWarning = pushDebugInfo = pushConsoleInfo = pushInfo

        def reportError(self, text: str, fatalError: bool = False) -> None:
            self.lines.append(text)

        @property
        def text(self) -> str:
            return "\n".join(self.lines)

    return Keeping()


def until(happened: Any, limit_s: float = 60) -> None:
    """Let Qt work until something has happened."""
    from qgis.PyQt.QtCore import QCoreApplication

    end_s = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < end_s, "it never happened"
        QCoreApplication.processEvents()
        time.sleep(0.01)


def make_window() -> Any:
    """As much of QGIS's window as the plugin's tools need, with a canvas of 600 x 400 pixels."""
    from qgis.core import QgsCoordinateReferenceSystem, QgsRectangle
    from qgis.gui import QgsMapCanvas, QgsMessageBar
    from qgis.PyQt.QtCore import QCoreApplication, pyqtSignal
    from qgis.PyQt.QtWidgets import QMainWindow, QMenu

    class Window(QMainWindow):
        currentLayerChanged = pyqtSignal(object)

        def __init__(self) -> None:
            super().__init__()
            self.canvas, self.bar, self.menu = QgsMapCanvas(self), QgsMessageBar(self), QMenu(self)
            self.active: Any = None
            self.canvas.setFrameStyle(0)
            self.setCentralWidget(self.canvas)
            self.resize(600, 400)
            self.show()  # before, a canvas has no size
            QCoreApplication.processEvents()
            self.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32616"))
            self.canvas.setExtent(QgsRectangle(740000, 3719970, 740045, 3720000))

        def addDockWidget(self, area: Any, dock: Any) -> None:
            """Not beside the canvas, which would shrink and show another extent."""

        def removeDockWidget(self, dock: Any) -> None:
            dock.hide()

        def mapCanvas(self) -> Any:
            return self.canvas

        def mainWindow(self) -> Any:
            return self

        def messageBar(self) -> Any:
            return self.bar

        def pluginMenu(self) -> Any:
            return self.menu

        def activeLayer(self) -> Any:
            return self.active

    return Window()
