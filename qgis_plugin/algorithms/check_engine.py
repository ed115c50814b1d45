"""snet4:checkengine: one text to copy into a question or a report."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCommandLineUtils,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputString,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFile,
)

from .. import install_button
from ..about import version
from ..environment import NoEngine, find_engine, known_environments, removed_variables
from ..texts import tr
from .base import Snet4Algorithm, kept_columns
from .extract_footprints import DEVICES


class CheckEngine(Snet4Algorithm):
    """What there is, what is missing, and what to do."""

    ICON = "check.svg"
    NEEDS_ENGINE = False

    def __init__(self) -> None:
        super().__init__()
        self._works = True

    def name(self) -> str:
        """Stable: scripts depend on it."""
        return "checkengine"

    def displayName(self) -> str:
        """As the toolbox shows it."""
        return tr("Check the snet4 engine")

    def shortDescription(self) -> str:
        """The tooltip."""
        return self.unless_missing(
            tr("Says which engine is used and whether it works; how to install one if not.")
        )

    def tags(self) -> list[str]:
        """What people may search for."""
        return tr("doctor,install,version,device,GPU,report").split(",")

    def shortHelpString(self) -> str:
        """The panel beside the dialog."""
        text = tr(
            "Prints one text with versions, paths, model and device. Copy it into a question or a "
            "report. Nothing is installed or changed."
        )
        found = find_engine()
        if not isinstance(found, NoEngine):
            return text
        return f"<p>{text}</p><p>{install_button.with_link(found)}</p>"

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Parameters and outputs; their names are stable."""
        self.add(
            QgsProcessingParameterFile(
                "MODEL",
                tr("Model"),
                defaultValue="default",
                optional=True,
                # Without the second, a name without a dot would be refused.
                fileFilter=tr("Models (*.safetensors);;All files (*)"),
            ),
            tr("The model to look at: 'default', or a .safetensors file."),
            advanced=True,
        )
        self.add(
            QgsProcessingParameterEnum(
                "DEVICE",
                tr("Compute device"),
                options=DEVICES,
                defaultValue="auto",
                optional=True,  # a model's step need not name it
                usesStaticStrings=True,
            ),
            tr("The device to look for."),
            advanced=True,
        )
        self.addOutput(QgsProcessingOutputString("REPORT", tr("Report")))
        self.addOutput(QgsProcessingOutputBoolean("WORKS", tr("Whether footprints can be found")))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        """Ask the engine about itself; its absence is an answer, too."""
        report = _qgis_facts()
        works = False
        found = find_engine()
        if isinstance(found, NoEngine):
            report["engine"] = {"problem": found.sentence}
            report["looked in"] = {"": ", ".join(map(str, known_environments()))}
        else:
            report["client"] = {"interpreter": found.python, "named by": found.origin}
            job = {
                "kind": "check",
                "model": self.parameterAsString(parameters, "MODEL", context) or "default",
                "device": self.parameterAsEnumString(parameters, "DEVICE", context) or "auto",
            }
            try:
                with self.asked(job, feedback) as result:
                    report |= result["facts"]
                works = not any("problem" in section for section in report.values())
            except QgsProcessingException as problem:
                if feedback.isCanceled():
                    raise
                report["engine"] = {"problem": str(problem)}
        text = _text(report)
        for line in text.splitlines():
            feedback.pushConsoleInfo(kept_columns(line))
        for section in report.values():
            if "problem" in section:
                feedback.pushWarning(section["problem"])
        if works:
            feedback.pushInfo(tr("The engine works."))
        self._works = works
        return {"REPORT": text, "WORKS": works}

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """In the main thread: the button, where no engine works."""
        found = find_engine()
        helps = not isinstance(found, NoEngine) or found.cured_by_installing
        bar = install_button.bar_beside(self.id()) if helps and not self._works else None
        if bar is not None:
            install_button.offer_in(bar, tr("No engine works here; the log says why."))
        return {}


def _qgis_facts() -> dict[str, dict[str, str]]:
    """QGIS's own side."""
    return {
        "QGIS": {
            "plugin": version(),
            "versions": " | ".join(QgsCommandLineUtils.allVersions().split("\n")).strip(" |"),
            "kept from the engine": ", ".join(removed_variables()) or "nothing",
        }
    }


def _text(report: dict[str, dict[str, str]]) -> str:
    lines = []
    for topic, facts in report.items():
        lines.append(topic)
        lines += [f"  {name:28} {value}" for name, value in facts.items()]
    return "\n".join(lines)
