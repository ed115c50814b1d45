"""The panel "Adjust the footprints": sliders over the stored maps of a run.

While a slider moves, a warm worker makes the shapes of the visible extent anew, and they are drawn
over the map; "Apply" makes the whole layer. It opens only when the user asks for it.
"""

from __future__ import annotations

from html import escape
from typing import Any

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsProject,
    QgsVectorLayer,
)
from qgis.gui import QgsDockWidget, QgsMapCanvas, QgsRubberBand
from qgis.PyQt.QtCore import QByteArray, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from . import offers
from .adjusting import Adjusting
from .engine_client import Facts, Question, told
from .environment import NoEngine, find_engine
from .shape_settings import Settings, rounded
from .texts import tr
from .warm_worker import WarmWorker

_PAUSE_MS = 60
"""The engine is asked when the hand has rested for so long."""

_LINE = QColor(255, 64, 160)
_CASING = QColor(20, 20, 20, 160)


class Dial(QWidget):
    """A slider and a field for one number."""

    changed = pyqtSignal()

    def __init__(self, most: float, step: float, highest: float, decimals: int, unit: str) -> None:
        """The slider goes to `most`, in `step`s; the field up to `highest`."""
        super().__init__()
        self._step = step
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, round(most / step))
        self.field = QDoubleSpinBox()
        self.field.setRange(0, highest)
        self.field.setDecimals(decimals)
        self.field.setSingleStep(step)
        self.field.setSuffix(unit)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self.field)
        self.slider.valueChanged.connect(self._slid)
        self.field.valueChanged.connect(self._typed)

    def value(self) -> float:
        """The number."""
        return float(self.field.value())

    def set(self, value: float) -> None:
        """Without a signal."""
        for each in (self.slider, self.field):
            each.blockSignals(True)
        self.field.setValue(value)
        self.slider.setValue(round(value / self._step))
        for each in (self.slider, self.field):
            each.blockSignals(False)

    def _slid(self, steps: int) -> None:
        self.set(steps * self._step)
        self.changed.emit()

    def _typed(self, value: float) -> None:
        self.set(value)
        self.changed.emit()


class AdjustPanel(QgsDockWidget):
    """The dock, for one layer. Closing it ends its worker and leaves what was applied."""

    ended = pyqtSignal()

    def __init__(self, adjusting: Adjusting, canvas: QgsMapCanvas, parent: Any = None) -> None:
        super().__init__(tr("Adjust the footprints"), parent)
        self.setObjectName("snet4_adjust")
        self.adjusting = adjusting
        self._canvas = canvas
        self._question: Question | None = None
        self._bands = (self._band(_CASING, 4), self._band(_LINE, 2))
        self._build()
        self._worker = WarmWorker(adjusting.maps)
        self._worker.shaped.connect(self._draw)
        self._worker.failed.connect(self._say)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_PAUSE_MS)
        self._pause.timeout.connect(self._ask)
        canvas.extentsChanged.connect(self._pause.start)
        QgsProject.instance().layersWillBeRemoved.connect(self._leave_with)
        self._show_settings(adjusting.settings)
        adjusting.see(False)
        self._ask()

    def _build(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.addWidget(_words(f"<b>{escape(self.adjusting.layer.name())}</b>"))
        self.threshold = Dial(1.0, 0.01, 1.0, 2, "")
        self.area = Dial(300.0, 1.0, 1e6, 1, " m²")
        self.confidence = Dial(1.0, 0.01, 1.0, 2, "")
        self.simplify = Dial(5.0, 0.05, 1e3, 2, " m")
        self.regular = QCheckBox(tr("Right angles"))
        grid = QGridLayout()
        for row, (label, dial) in enumerate(
            (
                (tr("Threshold"), self.threshold),
                (tr("Smallest area"), self.area),
                (tr("Least confidence"), self.confidence),
                (tr("Simplify within"), self.simplify),
            )
        ):
            grid.addWidget(QLabel(label), row, 0)
            grid.addWidget(dial, row, 1)
            dial.changed.connect(self._changed)
        self.regular.toggled.connect(self._changed)
        layout.addLayout(grid)
        layout.addWidget(self.regular)
        self.status = _words("")
        layout.addWidget(self.status)
        self.bar = QProgressBar()
        self.bar.hide()
        layout.addWidget(self.bar)
        self.apply_button = self._button(tr("Apply to the whole layer"), self.apply)
        self.undo_button = self._button(tr("Undo"), self.undo)
        self.keep_button = self._button(tr("Keep these settings"), self.keep)
        row_of_buttons = QHBoxLayout()
        for button in (self.apply_button, self.undo_button, self.keep_button):
            row_of_buttons.addWidget(button)
        layout.addLayout(row_of_buttons)
        layout.addStretch(1)
        self.setWidget(content)

    def _button(self, text: str, pressed: Any) -> QPushButton:
        button = QPushButton(text)
        button.clicked.connect(lambda: pressed())
        return button

    def _band(self, colour: QColor, width: int) -> QgsRubberBand:
        band = QgsRubberBand(self._canvas)
        band.setStrokeColor(colour)
        band.setFillColor(QColor(0, 0, 0, 0))
        band.setWidth(width)
        return band

    # --- settings ---

    def settings(self) -> Settings:
        """As the sliders stand; what has no slider stays as it was."""
        return rounded(
            Settings(
                self.threshold.value(),
                self.area.value(),
                self.confidence.value(),
                self.simplify.value(),
                self.regular.isChecked(),
                self._height_min_m,
            )
        )

    def _show_settings(self, settings: Settings) -> None:
        self._open = settings.threshold is None
        """Whether the engine has still to say what the layer's settings are."""
        self._height_min_m = settings.height_min_m
        self.threshold.set(0.5 if settings.threshold is None else settings.threshold)
        self.area.set(settings.min_area_m2 or 0.0)
        self.confidence.set(settings.min_confidence or 0.0)
        self.simplify.set(settings.simplify_m or 0.0)
        self.regular.blockSignals(True)
        self.regular.setChecked(bool(settings.regularize))
        self.regular.blockSignals(False)
        self.undo_button.setEnabled(self.adjusting.shown is not None)

    def _changed(self) -> None:
        self._open = False
        self.adjusting.see(False)
        self._pause.start()

    # --- the visible extent ---

    def _ask(self) -> None:
        facts = {} if self._open else self.settings().facts()
        bounds = self._visible()
        if bounds is not None:
            self._worker.ask({**facts, "bounds": bounds})

    def _visible(self) -> list[float] | None:
        """x min, y min, x max, y max of what the canvas shows, in the maps' CRS."""
        map_settings = self._canvas.mapSettings()
        to_maps = QgsCoordinateTransform(
            map_settings.destinationCrs(), self.adjusting.crs, QgsProject.instance()
        )
        try:
            box = to_maps.transformBoundingBox(map_settings.visibleExtent())
        except QgsCsException:
            self._say(tr("The map shows no place of this layer; zoom to it."))
            return None
        return [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]

    def _draw(self, event: Facts) -> None:
        if self._open:
            self._show_settings(Settings.of(event["settings"]))
        shapes = QgsGeometry()
        shapes.fromWkb(QByteArray.fromHex(QByteArray(event["shapes"].encode("ascii"))))
        for band in self._bands:
            band.setToGeometry(shapes, self.adjusting.crs)
        count = event["count"]
        here = tr("1 footprint here.") if count == 1 else tr("{} footprints here.").format(count)
        if not event["is_whole"]:
            here += " " + tr("Shaped in the middle of the map alone; zoom in to see all.")
        self._say(here)

    def _say(self, sentence: str) -> None:
        self.status.setText(escape(sentence))
        self.status.setToolTip(sentence)

    # --- the whole layer ---

    def apply(self) -> None:
        """Make the whole layer, in the background; pressed again meanwhile, it stops."""
        if self._question is not None:
            self._question.withdraw()
            self._applied(tr("Stopped on request; nothing was changed."))
            return
        engine = find_engine()
        if isinstance(engine, NoEngine):
            self._say(engine.sentence)
            return
        settings = self.settings()
        self._question = Question(engine.python, self.adjusting.job(settings))
        self._question.heard.connect(self._hear)
        self._question.failed.connect(self._applied)
        self._question.answered.connect(lambda result: self._take(settings, result))
        self.apply_button.setText(tr("Stop"))
        self.bar.setValue(0)
        self.bar.show()

    def _hear(self, event: Facts) -> None:
        if event["event"] == "progress":
            self.bar.setValue(round(event["percent"]))

    def _take(self, settings: Settings, result: Facts) -> None:
        try:
            file = self.adjusting.apply(settings, result)
        except OSError as problem:
            self._applied(
                tr("The layer cannot be written ({reason}); is the disk full?").format(
                    reason=problem.strerror or problem
                )
            )
            return
        self._clear()
        if result["count"]:
            counted = (
                tr("1 footprint found.")
                if result["count"] == 1
                else tr("{} footprints found.").format(result["count"])
            )
        else:
            counted = tr("No footprints were found. {}").format(told(result, "why_none"))
        self._applied(f"{counted} {file}")

    def _applied(self, sentence: str) -> None:
        self._question = None
        self.bar.hide()
        self.apply_button.setText(tr("Apply to the whole layer"))
        self.undo_button.setEnabled(self.adjusting.shown is not None)
        self._say(sentence)

    def undo(self) -> None:
        """Back to what was shown before the last "Apply"."""
        self.adjusting.undo()
        self._show_settings(self.adjusting.settings)
        self._clear()
        self._say(tr("The settings of before."))

    def keep(self) -> None:
        """Let the next run's dialog offer the settings."""
        offers.keep(self.settings())
        self._say(tr("The next run's dialog offers these settings."))

    # --- the end ---

    def _clear(self) -> None:
        for band in self._bands:
            band.reset()

    def _leave_with(self, ids: list[str]) -> None:
        """One of the two layers goes, and the panel with it."""
        held = (self.adjusting.layer, self.adjusting.shown)
        if any(layer is not None and layer.id() in ids for layer in held):
            self.close()

    def closeEvent(self, event: Any) -> None:
        """Leave no worker and no drawing behind."""
        self.leave()
        super().closeEvent(event)
        self.ended.emit()

    def leave(self) -> None:
        """The same without the window; may be called twice."""
        self._pause.stop()
        self._worker.stop()
        if self._question is not None:
            self._question.withdraw()
            self._question = None
        if self._bands:
            self._canvas.extentsChanged.disconnect(self._pause.start)
            QgsProject.instance().layersWillBeRemoved.disconnect(self._leave_with)
            for band in self._bands:
                self._canvas.scene().removeItem(band)
            self._bands = ()
            self.adjusting.see(True)


def _words(text: str) -> QLabel:
    """A text that asks for no width: names and paths may be long, and have no spaces."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setToolTip(text)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def panel_for(layer: QgsVectorLayer, maps: str, canvas: QgsMapCanvas, parent: Any) -> AdjustPanel:
    """A panel for a layer with stored maps."""
    return AdjustPanel(Adjusting(layer, maps), canvas, parent)
