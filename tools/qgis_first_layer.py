"""From a plugin that was just installed to the first layer, as a user gets there: by its buttons.

    python tools/qgis_first_layer.py FOLDER --scene FILE [--wheels FOLDER] [--expect TEXT]

FOLDER takes the pictures, a profile and a report. If it does not exist, the plugin's zip is
unpacked into a fresh profile of QGIS, which has no engine; else it goes on there. A QGIS in a
screen of its own (Xvfb) then presses "Install the engine" in the message bar, "Run" in its dialog,
and runs "Extract building footprints" on the scene. Clicks and minutes are printed. With --expect,
the installation has to fail with a sentence that holds this text, and to leave no engine behind.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCREEN = (1360, 860)
LIMIT_S = 1800
_SETTINGS = (
    "[PythonPlugins]\nsnet4=true\nprocessing=true\n"
    "[qgis]\ncheckVersion=false\nnewsFeed=false\nshowTips=false\n"
    "[app]\nprojections\\unknownCrsBehavior=NoAction\n"
)


def outside() -> int:
    """Make the profile, start QGIS, and say what it reports."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scene", type=Path, required=True, help="a picture with a look")
    parser.add_argument("--wheels", type=Path, help="install from here, without a network")
    parser.add_argument("--expect", default="", help="what the installation has to fail with")
    parser.add_argument("--zip", type=Path, help="the plugin; else the one in build/")
    chosen = parser.parse_args()
    folder = chosen.folder.absolute()
    profile = folder / "profiles" / "default"
    built = Path(__file__).resolve().parents[1] / "build"
    if not profile.exists():
        (profile / "QGIS").mkdir(parents=True)
        (profile / "QGIS" / "QGIS3.ini").write_text(_SETTINGS, encoding="utf-8")
        [archive] = [chosen.zip] if chosen.zip else built.glob("snet4-*.zip")
        with zipfile.ZipFile(archive) as zipped:
            zipped.extractall(profile / "python" / "plugins")
    folder.chmod(0o700)
    (folder / "report.json").unlink(missing_ok=True)
    task = {
        "folder": str(folder),
        "scene": str(chosen.scene.absolute()),
        "wheels": str(chosen.wheels.absolute()) if chosen.wheels else "",
        "expect": chosen.expect,
    }
    environment = {
        **os.environ,
        "SNET4_TASK": json.dumps(task),
        "XDG_RUNTIME_DIR": str(folder),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join(["/usr/bin", os.environ.get("PATH", "")]),
    }
    for name in ("QT_QPA_PLATFORM", "SNET4_PYTHON", "QGIS_PLUGINPATH", "QGIS_CUSTOM_CONFIG_PATH"):
        environment.pop(name, None)
    screen = f"-screen 0 {SCREEN[0]}x{SCREEN[1]}x24"
    words = ["xvfb-run", "-a", "-s", screen, "qgis.bin", "--nologo", "--noversioncheck"]
    words += ["--profiles-path", str(folder), "--code", str(Path(__file__).resolve())]
    subprocess.run(words, env=environment, check=False, timeout=LIMIT_S)
    report = folder / "report.json"
    if not report.exists():
        print("QGIS ended without a report.", file=sys.stderr)
        return 1
    told = json.loads(report.read_text(encoding="utf-8"))
    told["left"] = sorted(each.name for each in (profile / "snet4-engine").glob("engine*"))
    for name, value in told.items():
        print(f"{name}: {value}")
    return int("problem" in told or bool(chosen.expect and told["left"]))


class User:
    """Whoever sits before QGIS: sees, clicks, waits."""

    def __init__(self, task: dict[str, str]) -> None:
        self.task, self.clicks, self.began_s = task, 0, time.monotonic()
        self.told: dict[str, Any] = {}

    def until(self, happened: Callable[[], Any], limit_s: float = 1200) -> Any:
        """Let QGIS work until something has happened; returns what it gave."""
        from qgis.PyQt.QtCore import QCoreApplication

        end_s = time.monotonic() + limit_s
        while not (found := happened()):
            if time.monotonic() > end_s:
                raise TimeoutError("a window never did what it should")
            QCoreApplication.processEvents()
            time.sleep(0.02)
        return found

    def settle(self, seconds: float) -> None:
        """Wait, as people do."""
        end_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end_s)

    def click(self, button: Any, what: str) -> None:
        """Press a button."""
        self.clicks += 1
        print(f"click {self.clicks}: {what}", flush=True)
        button.click()

    def picture(self, widget: Any, name: str) -> None:
        """Keep what is seen."""
        self.settle(1)
        widget.grab().save(str(Path(self.task["folder"]) / f"{name}.png"))

    def run(self, dialog: Any, name: str) -> tuple[bool, dict[str, Any]]:
        """Press "Run" and wait; returns whether it went well, and the results."""
        ended: list[tuple[bool, dict[str, Any]]] = []
        dialog.algorithmFinished.connect(lambda fine, results: ended.append((fine, results)))
        began_s = time.monotonic()
        self.click(dialog.runButton(), f"Run ({name})")
        self.until(lambda: ended)
        self.told[f"{name}, s"] = round(time.monotonic() - began_s, 1)
        self.settle(2)
        self.picture(dialog, name)
        return ended[0]


def _dialog() -> Any:
    from qgis.gui import QgsProcessingAlgorithmDialogBase
    from qgis.PyQt.QtWidgets import QApplication

    shown = [each for each in QApplication.topLevelWidgets() if each.isVisible()]
    return next((d for d in shown if isinstance(d, QgsProcessingAlgorithmDialogBase)), None)


def _log(dialog: Any) -> str:
    from qgis.PyQt.QtWidgets import QTextEdit

    return "\n".join(each.toPlainText() for each in dialog.findChildren(QTextEdit))


def act(user: User) -> None:
    """The way to the first layer."""
    from qgis.core import Qgis, QgsProject, QgsRasterLayer
    from qgis.utils import iface

    user.told["QGIS"] = Qgis.version()
    window = iface.mainWindow()
    window.resize(*SCREEN)
    layer = QgsRasterLayer(user.task["scene"], "scene")
    QgsProject.instance().addMapLayer(layer)
    iface.setActiveLayer(layer)
    if (Path(user.task["folder"]) / "profiles/default/snet4-engine/engine.json").exists():
        _extract(user, layer)
    else:
        _install(user, window)
        if not user.task["expect"]:
            _extract(user, layer)


def _install(user: User, window: Any) -> None:
    from qgis.PyQt.QtWidgets import QDialogButtonBox, QLineEdit, QPushButton

    button = user.until(
        lambda: next(
            (b for b in window.findChildren(QPushButton) if b.text() == "Install the engine"), None
        ),
        30,
    )
    user.picture(window, "1-fresh")
    user.click(button, "Install the engine")
    dialog = user.until(_dialog, 30)
    if user.task["wheels"]:
        user.clicks += 1
        print(f"click {user.clicks}: the field of the folder of wheels, and its path", flush=True)
        field = next(f for f in dialog.mainWidget().findChildren(QLineEdit) if f.isVisible())
        field.setText(user.task["wheels"])
    user.picture(dialog, "2-install")
    fine, _ = user.run(dialog, "3-installed")
    log = _log(dialog)
    (Path(user.task["folder"]) / "install.log").write_text(log, encoding="utf-8")
    if user.task["expect"]:
        said = [line for line in log.splitlines() if user.task["expect"] in line]
        user.told["said"] = said[-1] if said else log.splitlines()[-3:]
        if fine or not said or "Traceback" in log:
            user.told["problem"] = "the installation did not fail as it should"
        return
    if not fine:
        raise RuntimeError(f"not installed: {log[-1500:]}")
    user.click(dialog.buttonBox().button(QDialogButtonBox.StandardButton.Close), "Close")


def _extract(user: User, layer: Any) -> None:
    import processing
    from qgis.core import QgsProject
    from qgis.utils import iface

    user.clicks += 2  # a double click in the toolbox
    print(f"click {user.clicks}: Extract building footprints, in the toolbox", flush=True)
    dialog = processing.createAlgorithmDialog("snet4:extractfootprints", {})
    dialog.show()
    user.settle(8)
    user.picture(dialog, "4-extract")
    fine, _ = user.run(dialog, "5-extracted")
    if not fine:
        raise RuntimeError(f"not extracted: {_log(dialog)[-1500:]}")
    found = user.until(
        lambda: [each for each in QgsProject.instance().mapLayers().values() if each != layer], 60
    )
    user.told["footprints"] = found[0].featureCount()
    dialog.close()
    iface.mapCanvas().setExtent(layer.extent())
    iface.mapCanvas().refresh()
    user.settle(4)
    user.picture(iface.mainWindow(), "6-layer")


def inside() -> None:
    """Drive a QGIS that has just started, and report."""
    from qgis.PyQt.QtCore import QTimer

    user = User(json.loads(os.environ["SNET4_TASK"]))

    def work() -> None:
        try:
            act(user)
        except Exception as problem:  # QGIS would show a window, and wait
            user.told["problem"] = f"{type(problem).__name__}: {problem}"
        user.told |= {
            "clicks": user.clicks,
            "minutes": round((time.monotonic() - user.began_s) / 60, 2),
        }
        report = Path(user.task["folder"]) / "report.json"
        report.write_text(json.dumps(user.told, indent=1), encoding="utf-8")
        os._exit(0)

    QTimer.singleShot(3000, work)


if "SNET4_TASK" in os.environ:
    inside()
elif __name__ == "__main__":
    sys.exit(outside())
