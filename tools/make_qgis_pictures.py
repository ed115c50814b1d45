"""The pictures of docs/guide/qgis.md, taken from the real application.

    python tools/make_qgis_pictures.py

Needs QGIS, Xvfb, `make plugin` and an engine (`SNET4_PYTHON`, or `.venv`). The script
renders two scenes, starts QGIS in a screen of its own with a fresh profile, and QGIS runs
the script again, which then drives the windows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(os.environ.get("SNET4_ROOT") or Path(__file__).resolve().parents[1])
PICTURES = ROOT / "docs" / "pictures" / "qgis"
SCREEN = (1360, 860)
SEED = "9000000"
LANGUAGE = os.environ.get("SNET4_LANGUAGE", "en_US")


def outside() -> None:
    """Make scenes and a profile, then start QGIS."""
    engine = os.environ.get("SNET4_PYTHON") or str(ROOT / ".venv" / "bin" / "python")
    subprocess.run([sys.executable, str(ROOT / "tools" / "make_plugin.py")], check=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        subprocess.run(
            [
                *(engine, "-I", "-m", "snet4_cli", "scenes", str(work / "scenes")),
                *("--tiles", "1", "--looks", "nadir32", "--seed", SEED),
            ],
            check=True,
        )
        settings = work / "profiles" / "default" / "QGIS" / "QGIS3.ini"
        settings.parent.mkdir(parents=True)
        settings.write_text(
            "[PythonPlugins]\nsnet4=true\nprocessing=true\n"
            "[qgis]\ncheckVersion=false\nnewsFeed=false\nshowTips=false\n"
            f"[locale]\noverrideFlag=true\nuserLocale={LANGUAGE}\n"
            "[app]\nprojections\\unknownCrsBehavior=NoAction\n",
            encoding="utf-8",
        )
        environment = {
            **os.environ,
            "SNET4_PYTHON": engine,
            "SNET4_ROOT": str(ROOT),
            "SNET4_WORK": str(work),
            "QGIS_PLUGINPATH": str(ROOT / "build" / "plugins"),
            "XDG_RUNTIME_DIR": str(work),
            "LC_ALL": "C.UTF-8",
            # QGIS takes the first python3 of the path for its own.
            "PATH": os.pathsep.join(["/usr/bin", os.environ.get("PATH", "")]),
        }
        environment.pop("QT_QPA_PLATFORM", None)
        screen = f"-screen 0 {SCREEN[0]}x{SCREEN[1]}x24"
        subprocess.run(
            [
                *("xvfb-run", "-a", "-s", screen, "qgis.bin", "--nologo", "--noversioncheck"),
                *("--profiles-path", str(work), "--code", str(Path(__file__).resolve())),
            ],
            env=environment,
            check=True,
            timeout=1800,
        )


def inside() -> None:
    """Drive the windows of a QGIS that has just started."""
    import processing
    from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
    from qgis.PyQt.QtCore import QCoreApplication, QRect, QTimer
    from qgis.PyQt.QtWidgets import QDockWidget, QLabel, QLineEdit, QTreeView
    from qgis.utils import iface

    def settle(seconds: float) -> None:
        until(lambda: False, seconds, must=False)

    def until(happened: Callable[[], bool], limit_s: float = 300, must: bool = True) -> None:
        end_s = time.monotonic() + limit_s
        while not happened():
            if time.monotonic() > end_s:
                if must:
                    raise TimeoutError("a window never did what it should")
                return
            QCoreApplication.processEvents()
            time.sleep(0.02)

    def save(widget: object, name: str, height: int = -1) -> None:
        settle(0.5)
        part = QRect(0, 0, widget.width(), widget.height() if height < 0 else height)
        widget.grab(part).save(str(PICTURES / name), quality=85 if name.endswith("jpg") else -1)

    def take() -> None:
        window = iface.mainWindow()
        window.resize(*SCREEN)
        iface.messageBar().clearWidgets()  # what this QGIS has to say of its own start
        for dock in window.findChildren(QDockWidget):
            if dock.objectName() not in ("ProcessingToolbox", "Layers"):
                dock.hide()
        [scene] = Path(os.environ["SNET4_WORK"]).glob("scenes/**/*.tif")
        layer = QgsRasterLayer(str(scene), "scene")
        QgsProject.instance().addMapLayer(layer)
        _stretch(layer, 1.0)
        canvas = iface.mapCanvas()
        canvas.setExtent(layer.extent())
        toolbox = window.findChild(QDockWidget, "ProcessingToolbox")
        toolbox.show()
        window.resizeDocks([toolbox], [360], _horizontal())
        search = next(edit for edit in toolbox.findChildren(QLineEdit) if edit.isVisible())
        search.setText("snet4")
        for tree in toolbox.findChildren(QTreeView):
            tree.expandAll()
        settle(3)
        save(window, "toolbox.jpg")

        dialog = processing.createAlgorithmDialog(
            "snet4:extractfootprints", {"INPUT": layer, "OUTPUT": "TEMPORARY_OUTPUT"}
        )
        dialog.resize(1000, 640)
        dialog.show()
        facts = dialog.findChild(QLabel, "snet4_scene_facts")
        until(lambda: "°" in facts.text())
        save(dialog, "dialog.png")

        dialog.runAlgorithm()
        until(lambda: "band 1" in _log(dialog))  # the scene is being read
        save(dialog, "running.png")
        until(lambda: len(QgsProject.instance().mapLayers()) > 1)  # models give roofs, too
        settle(1)
        dialog.close()
        toolbox.hide()
        middle = layer.extent().buffered(-layer.extent().width() * 0.28)
        canvas.setExtent(middle)
        canvas.refresh()
        settle(4)
        save(window, "result.jpg")
        for name, share in (("dark.jpg", 3.5), ("bright.jpg", 0.45)):
            _stretch(layer, share)
            canvas.refresh()
            settle(3)
            save(canvas, name)
        _adjust(layer, save, until)
        os.environ["SNET4_PYTHON"] = "/path/to/nothing"
        QgsApplication.processingRegistry().providerById("snet4").refreshAlgorithms()
        toolbox.show()
        search.setText("snet4 ")
        search.setText("snet4")
        for tree in toolbox.findChildren(QTreeView):
            tree.expandAll()
        settle(1)
        save(toolbox, "no-engine.png", 230)
        QgsProject.instance().setDirty(False)

    def finish() -> None:
        try:
            take()
        except Exception:  # QGIS would show a window, and wait
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)

    QgsApplication.instance().setQuitOnLastWindowClosed(False)
    QTimer.singleShot(3000, finish)


def _adjust(layer: object, save: Callable[..., None], until: Callable[..., None]) -> None:
    """The panel beside the map, with the arrow of the look."""
    import processing
    from qgis.core import QgsProject
    from qgis.PyQt.QtWidgets import QPushButton
    from qgis.utils import iface, plugins

    maps = str(Path(os.environ["SNET4_WORK"]) / "maps.tif")
    parameters = {"INPUT": layer, "OUTPUT": "TEMPORARY_OUTPUT", "SAVE_MAPS": maps}
    _stretch(layer, 1.0)
    for other in list(QgsProject.instance().mapLayers().values()):
        if other is not layer:
            QgsProject.instance().removeMapLayer(other.id())
    processing.runAndLoadResults("snet4:extractfootprints", parameters)
    layers = QgsProject.instance().mapLayers().values()
    iface.setActiveLayer(next(each for each in layers if each.name().endswith("footprints")))
    tools = plugins["snet4"].tools
    tools.arrow_action.setChecked(True)
    buttons = iface.messageBar().findChildren(QPushButton)
    next(each for each in buttons if "Adjust" in each.text()).click()
    until(lambda: "here" in tools.panel.status.text())
    tools.panel.status.setText("")
    tools.panel.threshold.slider.setValue(30)
    until(lambda: "here" in tools.panel.status.text())
    until(lambda: False, 4, must=False)  # the map is drawn
    save(iface.mainWindow(), "adjust.jpg")
    tools.panel.close()
    tools.arrow_action.setChecked(False)


def _horizontal() -> object:
    from qgis.PyQt.QtCore import Qt

    return Qt.Orientation.Horizontal


def _log(dialog: object) -> str:
    from qgis.PyQt.QtWidgets import QTextEdit

    return "\n".join(edit.toPlainText() for edit in dialog.findChildren(QTextEdit))


def _stretch(layer: object, share: float) -> None:
    """True colours; the brightest value shown is `share` of the usual one."""
    from qgis.core import QgsContrastEnhancement, QgsMultiBandColorRenderer

    provider = layer.dataProvider()
    renderer = QgsMultiBandColorRenderer(provider, 3, 2, 1)
    for band, use in (
        (3, renderer.setRedContrastEnhancement),
        (2, renderer.setGreenContrastEnhancement),
        (1, renderer.setBlueContrastEnhancement),
    ):
        statistics = provider.bandStatistics(band)
        enhancement = QgsContrastEnhancement(provider.dataType(band))
        enhancement.setMinimumValue(0)
        enhancement.setMaximumValue((statistics.mean + 2.5 * statistics.stdDev) * share)
        algorithm = QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum
        enhancement.setContrastEnhancementAlgorithm(algorithm)
        use(enhancement)
    layer.setRenderer(renderer)
    layer.triggerRepaint()


if "SNET4_WORK" in os.environ:
    inside()
elif __name__ == "__main__":
    outside()
