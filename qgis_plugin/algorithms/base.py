"""Base class of the algorithms: icons, finding the engine, running its jobs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qgis.utils
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingUtils,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QIcon

from .. import install_button
from ..engine_client import EngineFailure, Facts, running, told
from ..environment import Engine, NoEngine, find_engine, place
from ..stand_ins import StandIns
from ..texts import duration, tr

ICONS = Path(__file__).resolve().parents[1] / "icons"

Hear = Callable[[Facts, QgsProcessingFeedback], None]


class Snet4Algorithm(QgsProcessingAlgorithm):
    """An algorithm whose work is done by the engine."""

    ICON = "snet4.svg"
    NEEDS_ENGINE = True

    def __init__(self) -> None:
        super().__init__()
        self.stand_ins = StandIns()

    def createInstance(self) -> QgsProcessingAlgorithm:
        """A fresh one for each run."""
        return type(self)()

    def icon(self) -> QIcon:
        """Grey where the algorithm cannot run."""
        icon = QIcon(str(ICONS / self.ICON))
        if self.canExecute()[0]:
            return icon
        return QIcon(icon.pixmap(QSize(48, 48), QIcon.Mode.Disabled))

    def svgIconPath(self) -> str:
        """Empty where the algorithm cannot run, so that the grey icon is taken."""
        return str(ICONS / self.ICON) if self.canExecute()[0] else ""

    def canExecute(self) -> tuple[bool, str]:
        """Quick: looks for files, starts nothing."""
        if not self.NEEDS_ENGINE:
            return True, ""
        found = find_engine()
        if not isinstance(found, NoEngine):
            return True, ""
        if qgis.utils.iface is None:
            return False, found.sentence
        return False, install_button.with_link(found)

    def unless_missing(self, text: str) -> str:
        """The text; where the algorithm cannot run, the sentence that says why."""
        found = find_engine() if self.NEEDS_ENGINE else None
        return found.sentence if isinstance(found, NoEngine) else text

    def engine(self) -> Engine:
        """The engine, or the sentence that says how to get one."""
        found = find_engine()
        if isinstance(found, NoEngine):
            raise QgsProcessingException(found.sentence)
        return found

    def add(
        self, parameter: QgsProcessingParameterDefinition, help_text: str, advanced: bool = False
    ) -> None:
        """A parameter with its help, perhaps folded away."""
        parameter.setHelp(help_text)
        if advanced:
            flag = QgsProcessingParameterDefinition.Flag.FlagAdvanced
            parameter.setFlags(parameter.flags() | flag)
        self.addParameter(parameter)

    def number(self, parameters: dict[str, Any], name: str, context: QgsProcessingContext) -> Any:
        """A number, or None where the user left it open."""
        if parameters.get(name) in (None, ""):
            return None
        return self.parameterAsDouble(parameters, name, context)

    @contextmanager
    def asked(
        self, job: Facts, feedback: QgsProcessingFeedback, hear: Hear | None = None
    ) -> Iterator[Facts]:
        """The engine's answer to `job`; its files are there until the block ends.

        What it says of temporary files that stand for layers is said of the layers.
        """
        engine = self.engine()
        # Removed here as well: an engine that was killed cannot tidy up.
        folder = tempfile.mkdtemp(prefix="snet4-", dir=QgsProcessingUtils.tempFolder())
        try:
            with running(
                engine.python,
                {**job, "folder": folder},
                feedback,
                lambda event: (hear or tell)(self.stand_ins.in_facts(event), feedback),
            ) as result:
                yield self.stand_ins.in_facts(result)
        except EngineFailure as problem:
            if problem.details:
                feedback.pushDebugInfo(problem.details)
            sentence = self.stand_ins.in_text(_with_cure(problem, engine))
            raise QgsProcessingException(sentence) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _with_cure(problem: EngineFailure, engine: Engine) -> str:
    """The sentence, and for an engine that QGIS installed, what installs the rest."""
    if not (problem.lacks_library and Path(engine.python).is_relative_to(place())):
        return str(problem)
    cure = tr("'Install the engine' does it, too; for a GPU, with 'For an NVIDIA GPU, too' on.")
    return f"{problem} {cure}"


def tell(event: Facts, feedback: QgsProcessingFeedback) -> None:
    """One event in the words of Processing's log."""
    kind = event["event"]
    if kind == "progress":
        before, now = feedback.progress(), float(event["percent"])
        feedback.setProgress(now)
        left_s = event.get("left_s")
        # The bar shows the rest; each of these texts is a line of the log.
        if left_s is not None and left_s >= 2 and before // 10 < now // 10:
            feedback.setProgressText(tr("About {} left").format(duration(left_s)))
    elif kind == "warning":
        feedback.pushWarning(told(event, "text"))
    elif kind == "info":
        feedback.pushInfo(told(event, "text"))


def kept_columns(line: str) -> str:
    """A line of a table with spaces that the log, which is HTML, does not fold into one."""
    return line.replace("  ", "\u00a0 ")
