"""snet4:installengine: an engine in an environment of its own, beside the profile.

As an algorithm it has progress, a log, cancel and the background from Processing, and works in
`qgis_process` too. It installs the wheel that the plugin carries; nothing is put into QGIS's
Python.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
)

from .. import engine_place, uv_python
from ..about import version
from ..engine_client import EngineFailure, run_step, running
from ..environment import NoEngine, carried_wheel, find_engine, interpreter_in, place
from ..locks import Busy, in_use, locked
from ..texts import tr
from .base import Snet4Algorithm


class InstallEngine(Snet4Algorithm):
    """Makes the engine, makes it anew, or removes it."""

    NEEDS_ENGINE = False

    def name(self) -> str:
        """Stable: scripts depend on it."""
        return "installengine"

    def displayName(self) -> str:
        """As the toolbox shows it."""
        return tr("Install the engine")

    def shortDescription(self) -> str:
        """The tooltip."""
        return tr("Makes the Python environment that finds footprints; or removes it.")

    def tags(self) -> list[str]:
        """What people may search for."""
        return tr("setup,update,remove,uninstall,python,pip,offline").split(",")

    def shortHelpString(self) -> str:
        """The panel beside the dialog."""
        return tr(
            "Makes a Python environment beside your QGIS profile and installs snet4 in it, from "
            "the wheel that came with this plugin. Its libraries (about 0.2 GB) come from your "
            "package index, as pip is configured, or from a folder of wheels. QGIS's own Python "
            "stays as it is. Where no Python 3.11 or newer is found, uv brings one. Cancelled or "
            "ended in the middle, it leaves the engine of before."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Parameters and outputs; their names are stable."""
        folder = QgsProcessingParameterFile.Behavior.Folder
        self.add(
            QgsProcessingParameterFile(
                "WHEELS", tr("Folder of wheels (empty: the network)"), folder, optional=True
            ),
            tr("Where the libraries lie; with it, nothing is asked of a network."),
        )
        self.add(
            QgsProcessingParameterFile(
                "PYTHON",
                tr("Python 3.11 or newer (empty: looked for)"),
                optional=True,
                fileFilter=tr("All files (*)"),
            ),
            tr(
                "The interpreter that the environment is made of. 'uv': one that uv brings, as "
                "where none is found."
            ),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean(
                "GPU", tr("For an NVIDIA GPU, too"), defaultValue=False, optional=True
            ),
            tr("Adds PyTorch, about 3 GB to fetch; without a GPU it is of no use."),
        )
        self.add(
            QgsProcessingParameterBoolean(
                "REMOVE", tr("Remove the engine instead"), defaultValue=False, optional=True
            ),
            tr("Removes what this algorithm installed."),
            advanced=True,
        )
        self.addOutput(QgsProcessingOutputString("PYTHON", tr("The engine's interpreter")))
        self.addOutput(QgsProcessingOutputBoolean("INSTALLED", tr("Whether there is an engine")))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Make the engine under a lock, or remove it."""
        home = place()
        try:
            home.mkdir(parents=True, exist_ok=True)
            with locked(home):
                if self.parameterAsBoolean(parameters, "REMOVE", context):
                    return _removed(home, feedback)
                return self._installed(home, parameters, context, feedback)
        except (EngineFailure, Busy) as problem:
            raise QgsProcessingException(str(problem)) from None
        except OSError as problem:
            raise QgsProcessingException(
                tr("{folder} cannot be written ({reason}); free space or rights there.").format(
                    folder=home, reason=problem.strerror or problem
                )
            ) from None

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """In the main thread: the icons of the toolbox get their colours, without a restart."""
        provider = QgsApplication.processingRegistry().providerById("snet4")
        if provider is not None:
            from qgis.PyQt.QtCore import QTimer

            # Later: refreshing replaces the algorithms, this one too.
            QTimer.singleShot(0, provider.refreshAlgorithms)
        return {}

    def _installed(
        self,
        home: Path,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        wheel = carried_wheel()
        if wheel is None:
            raise EngineFailure(
                tr("This plugin carries no wheel of snet4; install its zip once more.")
            )
        if not in_use(home):
            engine_place.sweep(home)
        wheels = self.parameterAsString(parameters, "WHEELS", context).strip() or None
        given = self.parameterAsString(parameters, "PYTHON", context).strip()
        gpu = self.parameterAsBoolean(parameters, "GPU", context)
        found, tried = (None, [given]) if given == uv_python.WORD else _python(given, feedback)
        folder = engine_place.new_folder(home)
        done = False
        try:
            python = found or _brought(folder, wheels, tried, feedback)
            feedback.pushInfo(tr("Python: {}").format(python))
            for step in engine_place.steps(folder, wheel, python=python, wheels=wheels, gpu=gpu):
                _do(step, wheels, feedback)
            inner = engine_place.python_in(folder)
            _check(inner, feedback)
            if gpu:
                _say_of_gpu(inner, feedback)
            engine_place.commit(home, folder, version())
            done = True
        finally:
            if not done:
                shutil.rmtree(folder, ignore_errors=True)
        if not in_use(home):
            engine_place.sweep(home)  # the engine of before
        feedback.setProgress(100)
        feedback.pushInfo(tr("The engine is installed: {}").format(inner))
        _say_who_comes_before(inner, feedback)
        return {"PYTHON": inner, "INSTALLED": True}


def _python(given: str, feedback: QgsProcessingFeedback) -> tuple[str | None, list[str]]:
    """(the interpreter to make the environment of or None, those that were looked at)."""
    tried = [given] if given else engine_place.candidates(Path(sys.prefix), None)
    versions = []
    for each in tried:
        python = interpreter_in(Path(each))
        if python is None:
            continue
        code, said = run_step(*engine_place.probe(python)[:2], feedback, quiet=True)
        versions.append((python, None if code else engine_place.version_of(said)))
    found = engine_place.best(versions)
    if found is None and given:
        raise EngineFailure(_no_python(tried))
    return found, tried


def _no_python(tried: list[str]) -> str:
    return tr(
        "No Python 3.11 or newer with venv and pip is to be found (looked at: {tried}); "
        "install one (on Debian and Ubuntu also python3-venv), or uv, and try again."
    ).format(tried=", ".join(tried) or "-")


def _brought(
    folder: Path, wheels: str | None, tried: list[str], feedback: QgsProcessingFeedback
) -> str:
    """A Python that uv brings into `folder`; uv itself is brought where it is not on the path."""
    uv = shutil.which("uv")
    helpers = [] if uv else engine_place.candidates(Path(sys.prefix), None)
    said = ""
    for helper in helpers:  # any Python with pip does
        feedback.pushInfo(tr("No Python fits; uv is fetched, which brings one."))
        step = uv_python.tool_step(helper, folder, wheels)
        code, said = run_step(step.program, step.arguments, feedback)
        uv = None if code else uv_python.tool_in(folder)
        if uv is not None or engine_place.trouble(said)[0]:
            break
    if uv is None:
        raise EngineFailure(_why(said, wheels) if said else _no_python(tried))
    _do(uv_python.python_step(uv, folder, wheels), wheels, feedback)
    python = uv_python.python_in(folder)
    if python is None:
        raise EngineFailure(_no_python(tried))
    return python


def _do(step: engine_place.Step, wheels: str | None, feedback: QgsProcessingFeedback) -> None:
    """One step; raises EngineFailure with the reason where it fails."""
    code, said = run_step(step.program, step.arguments, feedback)
    if code:
        raise EngineFailure(_why(said, wheels))
    feedback.setProgress(step.until_percent)


def _say_of_gpu(python: str, feedback: QgsProcessingFeedback) -> None:
    """Whether the GPU can be used; the engine works on the CPU in any case."""
    job = {"kind": "check", "model": "default", "device": "cuda"}
    with running(python, job, feedback, lambda _: None) as result:
        problems = [each["problem"] for each in result["facts"].values() if "problem" in each]
    for problem in problems:
        feedback.pushWarning(problem)
    if not problems:
        feedback.pushInfo(tr("The GPU can be used."))


def _say_who_comes_before(python: str, feedback: QgsProcessingFeedback) -> None:
    """A warning where QGIS does not take the engine that was just made."""
    found = find_engine()
    if isinstance(found, NoEngine):
        feedback.pushWarning(found.sentence)
    elif found.python != python:
        feedback.pushWarning(
            tr(
                "QGIS goes on with {python}, named by the {origin}; empty that to use the new "
                "engine."
            ).format(python=found.python, origin=found.origin)
        )


def _check(python: str, feedback: QgsProcessingFeedback) -> None:
    """Start the new engine once; raises EngineFailure where it cannot find footprints."""
    job = {"kind": "check", "model": "default", "device": "cpu"}
    with running(python, job, feedback, lambda _: None) as result:
        for section in result["facts"].values():
            if "problem" in section:
                raise EngineFailure(section["problem"])


def _why(said: str, wheels: str | None) -> str:
    """One sentence about a step that failed."""
    kind, what = engine_place.trouble(said)
    if kind == "disk" or engine_place.is_full(place()):
        return tr("The disk is full; an engine takes about 1 GB. Nothing was changed.")
    if kind == "wheel" and wheels:
        return tr("The folder {folder} has no wheel of {library} for this Python; add it.").format(
            folder=wheels, library=what
        )
    if kind == "network":
        return tr(
            "The package index cannot be reached; see to the network or pip's configuration "
            "(proxy, index), or give a folder of wheels. Nothing was changed."
        )
    if kind == "wheel":
        return tr(
            "The package index has no wheel of {library} for this Python; give another Python "
            "(3.11 to 3.13), or a folder of wheels."
        ).format(library=what)
    if kind == "venv":
        return tr("This Python makes no environments; install python3-venv, or give another one.")
    return tr("The engine could not be installed ({reason}); the log says more.").format(
        reason=what
    )


def _removed(home: Path, feedback: QgsProcessingFeedback) -> dict[str, Any]:
    if in_use(home):
        raise EngineFailure(
            tr("The engine is at work; wait until it is done, or cancel it, then remove it.")
        )
    engine_place.forget(home)
    engine_place.sweep(home)
    feedback.pushInfo(tr("The engine was removed."))
    return {"PYTHON": "", "INSTALLED": False}
