"""Shows in the dialog, before the run, how the picture would be read.

It sits below the azimuth, because it answers the question that angle and azimuth pose.
"""

from __future__ import annotations

from html import escape
from typing import Any

import qgis.utils
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
    QgsProcessingUtils,
    QgsProject,
)
from qgis.gui import (
    QgsAbstractProcessingParameterWidgetWrapper,
    QgsGui,
    QgsProcessingGui,
)
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QLabel, QVBoxLayout, QWidget

from . import bands, install_button, looks, offers
from .algorithms.extract_footprints import kind_of_run, plan_lines, warnings_of
from .engine_client import Facts, Question
from .environment import NoEngine, find_engine
from .texts import tr

_PAUSE_MS = 600
"""The engine is asked when the user has paused for so long."""

_TRY = "try"
"""The link that runs what the map shows; the others are the offers' numbers."""

_SILENT = ("OUTPUT", "SAVE_MAPS")
"""Parameters that change nothing of the plan."""


class AzimuthWidget:
    """What Processing's `widget_wrapper` names: the plain widget, in the single dialog with facts.

    Batch and model designer get exactly the widget they would have without us.
    """

    def __new__(cls, parameter: Any, dialog: Any, row: int = 0, col: int = 0) -> Any:
        registry, kind = QgsGui.processingGuiRegistry(), type(dialog).__name__
        if kind == "ModelerParametersDialog":
            return registry.createModelerParameterWidget(
                dialog.model, dialog.childId, parameter, dialog.context
            )
        if kind == "AlgorithmDialog":
            wrapper = _WithFacts(parameter, QgsProcessingGui.WidgetType.Standard)
            wrapper.algorithm = dialog.algorithm()
        else:
            types = QgsProcessingGui.WidgetType
            batch = kind == "BatchAlgorithmDialog"
            wrapper = registry.createParameterWidgetWrapper(
                parameter, types.Batch if batch else types.Standard
            )
        wrapper.setDialog(dialog)
        return wrapper


class _WithFacts(QgsAbstractProcessingParameterWidgetWrapper):
    """The number's own widget, and below it what the engine says of the picture."""

    algorithm: QgsProcessingAlgorithm

    def __init__(self, parameter: QgsProcessingParameterDefinition, kind: Any) -> None:
        super().__init__(parameter, kind)
        self._inner = QgsGui.processingGuiRegistry().createParameterWidgetWrapper(parameter, kind)
        self._inner.widgetValueHasChanged.connect(lambda _: self.widgetValueHasChanged.emit(self))
        self._wrappers: list[Any] = []
        self._all: dict[str, Any] = {}
        self._lines: list[str] = []
        self._label: QLabel | None = None
        self._question: Question | None = None
        self._asked: Facts | None = None
        self._values: dict[str, Any] = {}
        self._kind = "auto"
        self._context = QgsProcessingContext()
        self._context.setProject(QgsProject.instance())  # layers are named by their ids
        self._pause = QTimer()
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._ask)

    def createWidget(self) -> QWidget:
        """The number's widget over the facts."""
        box = QWidget()
        layout = QVBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._inner.createWrappedWidget(self._context))
        self._label = QLabel()
        self._label.setWordWrap(True)
        self._label.setObjectName("snet4_scene_facts")
        self._label.linkActivated.connect(self._follow)
        layout.addWidget(self._label)
        box.destroyed.connect(self._forget)
        return box

    def createLabel(self) -> QLabel:
        """The number's own."""
        return self._inner.createWrappedLabel()

    def setWidgetValue(self, value: Any, context: Any) -> None:
        """Hand on."""
        self._inner.setParameterValue(value, context)

    def widgetValue(self) -> Any:
        """Hand on."""
        return self._inner.parameterValue()

    def postInitialize(self, wrappers: list[Any]) -> None:
        """All parameters have their widgets now; listen to them."""
        super().postInitialize(wrappers)
        self._all = {each.parameterDefinition().name(): each for each in wrappers}
        self._wrappers = [
            each for each in wrappers if each.parameterDefinition().name() not in _SILENT
        ]
        for each in self._wrappers:
            each.widgetValueHasChanged.connect(lambda *_: self._pause.start())
        self._pause.start()

    def _forget(self) -> None:
        self._pause.stop()
        self._label = None
        self._withdraw()

    def _withdraw(self) -> None:
        """Wait for no plan any more; what is asked next is asked anew."""
        if self._question is not None:
            self._question.withdraw()
        self._question = self._asked = None

    def _ask(self) -> None:
        """Ask the engine for its plan, unless nothing has changed."""
        if self._label is None:
            return
        values = {
            each.parameterDefinition().name(): each.parameterValue() for each in self._wrappers
        }
        self._values = values
        engine = find_engine()
        if isinstance(engine, NoEngine):
            self._say_instead(install_button.with_link(engine))
            return
        try:
            job = self.algorithm.job("plan", values, self._context) if values.get("INPUT") else {}
            note = self.algorithm.before_the_run(values, self._context)
        except Exception:  # half-typed values may be anything; the run itself will say
            job, note = {}, ""
        if note or not job.get("scene"):
            self._say_instead(escape(note))
        elif job != self._asked:
            self._withdraw()
            self._asked, self._kind = job, kind_of_run(job)
            self._show([escape(tr("Looking at the picture…"))])
            self._question = Question(engine.python, job)
            self._question.answered.connect(self._answered)
            self._question.failed.connect(self._failed)

    def _say_instead(self, line: str) -> None:
        """Show this, or nothing, where there is no plan to wait for."""
        self._withdraw()
        self._show([line] if line else [])

    def _answered(self, plan: Facts) -> None:
        looks.note(self._asked["scene"], plan["look"])
        lines = [escape(line) for line in plan_lines(plan, self._kind)]
        warnings = [f"<b>{escape(line)}</b>" for line in warnings_of(plan)]
        lines += self._chooser(lines + warnings) + warnings
        if self._dialog() is not None and qgis.utils.iface is not None:
            link = tr("Try here: only what the map shows, with maps kept to be adjusted")
            lines.append(f'<a href="{_TRY}">{escape(link)}</a>')
        self._show(lines)

    def _failed(self, sentence: str) -> None:
        self._asked = None
        lines = [f"<b>{escape(sentence)}</b>"]
        self._show(lines + self._chooser(lines))

    def _chooser(self, lines: list[str]) -> list[str]:
        """Links that set BANDS, where what the engine says of the picture asks for that."""
        if not any("BANDS" in line for line in lines):
            return []
        layer = self.algorithm.parameterAsRasterLayer(self._values, "INPUT", self._context)
        orders = bands.common_orders(0 if layer is None else layer.bandCount())
        links = [f'<a href="{value}">{escape(words)}</a>' for value, words in orders]
        return [tr("Read its bands as: {}").format(" · ".join(links))] if links else []

    def _choose(self, order: str) -> None:
        """The same as typing it into BANDS."""
        for each in self._wrappers:
            if each.parameterDefinition().name() == "BANDS":
                each.setParameterValue(order, self._context)
        self._pause.start()

    def _show(self, lines: list[str]) -> None:
        self._lines = lines
        if self._label is not None:
            offered = [
                f'{escape(each.sentence)} <a href="{number}">{escape(tr("Take it"))}</a>'
                for number, each in enumerate(offers.offers())
            ]
            self._label.setText("<br>".join([*lines, *offered]))

    def _follow(self, link: str) -> None:
        """A link was clicked: install, try what the map shows, take an offer, or choose bands."""
        if link == install_button.LINK:
            install_button.open_installer()
            return
        if link == _TRY:
            try_here(self._dialog(), self._all, qgis.utils.iface.mapCanvas(), self._context)
            return
        if not link.isdigit():
            self._choose(link)
            return
        for name, value in offers.offers()[int(link)].values.items():
            self._all[name].setParameterValue(value, self._context)
        self._show(self._lines)

    def _dialog(self) -> Any:
        """The dialog around us, if it can run."""
        window = self._label.window() if self._label is not None else None
        return window if hasattr(window, "runAlgorithm") else None


def try_here(dialog: Any, wrappers: Facts, canvas: Any, context: QgsProcessingContext) -> None:
    """Run the dialog once for what the canvas shows; afterwards it has its own values again."""
    settings = canvas.mapSettings()
    box = settings.visibleExtent()
    sides = (box.xMinimum(), box.xMaximum(), box.yMinimum(), box.yMaximum())
    extent = f"{','.join(f'{each!r}' for each in sides)} [{settings.destinationCrs().authid()}]"
    maps = QgsProcessingUtils.generateTempFilename("maps.tif")
    here = {"EXTENT": extent, "OUTPUT": "TEMPORARY_OUTPUT", "ROOFS": None, "SAVE_MAPS": maps}
    before = {name: wrappers[name].parameterValue() for name in here}
    for name, value in here.items():
        wrappers[name].setParameterValue(value, context)
    try:
        dialog.runAlgorithm()  # reads the values before it returns
    finally:
        for name, value in before.items():
            wrappers[name].setParameterValue(value, context)
