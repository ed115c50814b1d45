"""The plugin under PyQt6, without a QGIS: run by tests/unit/plugin/test_plugin_qt6.py.

    python under_qt6.py CHECK FOLDER ENGINE

FOLDER holds the plugin as the package `snet4`; ENGINE is the engine's interpreter. What is Qt's is
true. What is QGIS's is a stand-in: the few classes below that the checks rely on, and for all
else classes that can be named, and subclassed, and do nothing.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import PyQt6
from PyQt6 import QtCore, QtGui, QtWidgets

FOLDER, ENGINE = Path(sys.argv[2]), sys.argv[3]
PROFILE = Path(tempfile.mkdtemp(prefix="snet4-qt6-"))


STOOD_IN = (
    "qgis", "qgis.core", "qgis.gui", "qgis.utils", "processing", "processing.gui",
    "processing.gui.wrappers", "processing.core", "processing.core.ProcessingConfig",
    "osgeo", "osgeo.gdal",
)  # fmt: skip


class _Named(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Named(name, (), {})
        setattr(cls, name, made)
        return made


class Module(types.ModuleType):
    """Has every class that is asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []  # a package, of which no file is looked for

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Named(name, (), {})
        setattr(self, name, made)
        return made


class Feedback(QtCore.QObject):
    """QgsProcessingFeedback, which is cancelled at `until_s` of the clock if that is set."""

    until_s: float | None = None

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.commands: list[str] = []

    def isCanceled(self) -> bool:
        return self.until_s is not None and time.monotonic() > self.until_s

    def pushCommandInfo(self, line: str) -> None:
        self.commands.append(line)

    def pushConsoleInfo(self, line: str) -> None:
        self.lines.append(line)


class Application:
    """QgsApplication, of which the checks need the profile's folder and the language."""

    @staticmethod
    def qgisSettingsDirPath() -> str:
        return str(PROFILE)

    @staticmethod
    def locale() -> str:
        return "de"


class Settings(QtCore.QSettings):
    """QgsSettings, in the profile."""

    def __init__(self) -> None:
        super().__init__(str(PROFILE / "QGIS.ini"), QtCore.QSettings.Format.IniFormat)


class CanvasItem(QtWidgets.QGraphicsItem):
    """QgsMapCanvasItem."""

    def __init__(self, canvas: Any) -> None:
        super().__init__()


def stand_in() -> None:
    """Put Qt 6 and the stand-ins where the plugin imports from."""
    for name in STOOD_IN:
        sys.modules[name] = Module(name)
    sys.modules["qgis.PyQt"] = PyQt6
    sys.modules["qgis.PyQt.sip"] = importlib.import_module("PyQt6.sip")
    for name in ("QtCore", "QtGui", "QtWidgets"):
        sys.modules[f"qgis.PyQt.{name}"] = importlib.import_module(f"PyQt6.{name}")
    core, gui = sys.modules["qgis.core"], sys.modules["qgis.gui"]
    for name, made in {
        "QgsProcessingFeedback": Feedback,
        "QgsApplication": Application,
        "QgsSettings": Settings,
        "QgsCsException": type("QgsCsException", (Exception,), {}),
        "QgsProcessingException": type("QgsProcessingException", (Exception,), {}),
    }.items():
        setattr(core, name, made)
    for name, made in {
        "QgsMapCanvasItem": CanvasItem,
        "QgsDockWidget": QtWidgets.QDockWidget,
    }.items():
        setattr(gui, name, made)
    sys.path.insert(0, str(FOLDER))


def until(happened: Callable[[], object], limit_s: float = 60) -> None:
    """Let Qt work until something has happened."""
    end_s = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < end_s, "it never happened"
        QtCore.QCoreApplication.processEvents()
        time.sleep(0.01)


def refused(error: type[Exception], attempt: Callable[[], object]) -> str:
    """What the error says that an attempt has to raise."""
    try:
        attempt()
    except error as problem:
        return str(problem)
    raise AssertionError(f"no {error.__name__}")


def check_every_module_is_imported() -> None:
    names = [m.name for m in pkgutil.walk_packages([str(FOLDER / "snet4")], "snet4.")]
    assert len(names) > 20, names
    for name in names:
        importlib.import_module(name)


def check_texts_are_translated() -> None:
    from snet4.plugin import Snet4Plugin
    from snet4.texts import duration, tr

    held = Snet4Plugin(None)
    assert tr("Apply to the whole layer") != "Apply to the whole layer"
    assert duration(40) == "40 s"
    held.unload()
    assert tr("Apply to the whole layer") == "Apply to the whole layer"


def check_one_installs_at_a_time() -> None:
    from snet4.locks import Busy, in_use, locked, used

    with locked(PROFILE):
        assert "another QGIS" in refused(Busy, lambda: locked(PROFILE).__enter__())
    with locked(PROFILE):
        pass
    with used(PROFILE, str(PROFILE / "bin" / "python")):
        assert in_use(PROFILE)
    assert not in_use(PROFILE)


def check_steps_are_run_and_cancelled() -> None:
    from snet4.engine_client import Cancelled, EngineFailure, run_step

    feedback = Feedback()
    assert run_step(ENGINE, ["-c", "print('a line'); exit(3)"], feedback) == (3, "a line\n")
    assert feedback.lines == ["a line"]
    feedback.until_s = time.monotonic() + 0.5
    assert refused(Cancelled, lambda: run_step(ENGINE, ["-c", "input()"], feedback))
    said = refused(EngineFailure, lambda: run_step("/nowhere/python", [], Feedback()))
    assert "/nowhere/python" in said


def check_the_engine_answers() -> None:
    from snet4.engine_client import running

    job = {"kind": "check", "model": "default", "device": "cpu"}
    with running(ENGINE, job, Feedback(), lambda _: None) as result:
        assert result["event"] == "result", result


def check_questions_are_answered_and_withdrawn() -> None:
    from snet4.engine_client import Question

    said: list[Any] = []
    job = {"kind": "check", "model": "default", "device": "cpu"}
    question = Question(ENGINE, job)
    question.answered.connect(said.append)
    question.failed.connect(said.append)
    until(lambda: said)
    assert said[0]["event"] == "result", said
    lost = Question("/nowhere/python", job)
    lost.failed.connect(said.append)
    until(lambda: len(said) > 1)
    assert "/nowhere/python" in said[1]
    unwanted = Question(ENGINE, job)
    unwanted.answered.connect(said.append)
    unwanted.failed.connect(said.append)
    gone: list[Any] = []
    unwanted.destroyed.connect(gone.append)
    unwanted.withdraw()
    until(lambda: gone)
    assert len(said) == 2


def check_the_engine_s_environment_is_clean() -> None:
    from snet4.environment import clean_environment

    os.environ |= {"PYTHONPATH": "/elsewhere", "PROJ_LIB": "/elsewhere", "SNET4_KEPT": "1"}
    environment = clean_environment()
    assert not environment.contains("PYTHONPATH")
    assert not environment.contains("PROJ_LIB")
    assert environment.value("SNET4_KEPT") == "1"


def check_settings_are_kept_and_offered() -> None:
    from snet4 import offers
    from snet4.shape_settings import Settings as Shapes

    assert offers.offers() == []
    offers.keep(Shapes(0.4, 20.0, 0.1, 1.0, True))
    [offer] = offers.offers()
    assert offer.values["THRESHOLD"] == 0.4
    offers.drawn(140.0, 32.0)
    assert len(offers.offers()) == 2
    offers.forget()
    assert offers.offers() == []


def check_a_dial_turns() -> None:
    from snet4.adjust_panel import Dial

    dial = Dial(1.0, 0.01, 1.0, 2, "")
    turns: list[float] = []
    dial.changed.connect(lambda: turns.append(dial.value()))
    dial.slider.setValue(40)
    dial.field.setValue(0.73)
    assert turns == [0.4, 0.73]
    assert dial.slider.value() == 73
    dial.set(0.1)
    assert len(turns) == 2


def check_the_arrow_is_drawn() -> None:
    from snet4.look_arrow import LookArrow
    from snet4.looks import Look

    class Canvas:
        def width(self) -> int:
            return 600

        def height(self) -> int:
            return 400

    class Arrow(LookArrow):
        def on_screen(self, way: Any) -> Any:
            return QtCore.QPointF(way.east_m * 3, -way.north_m * 3)

    arrow = Arrow(Canvas())
    arrow.show_look(Look(45.0, 180.0, "metadata"))
    image = QtGui.QImage(600, 400, QtGui.QImage.Format.Format_RGB32)
    image.fill(QtGui.QColor("white"))
    painter = QtGui.QPainter(image)
    arrow.paint(painter)
    painter.end()
    middle = arrow._middle()
    below = image.pixelColor(round(middle.x()), round(middle.y()) + 15)
    assert (below.red() > 180, below.green() < 90) == (True, True), below.getRgb()
    assert arrow.boundingRect().width() == 600


if __name__ == "__main__":
    stand_in()
    application = QtWidgets.QApplication([])
    globals()[sys.argv[1]]()
    print("Qt", QtCore.qVersion(), "passed", sys.argv[1])
