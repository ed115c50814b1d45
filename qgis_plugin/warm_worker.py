"""A worker that stays warm while settings are tried: shapes of a part of the maps, at once."""

from __future__ import annotations

from contextlib import ExitStack

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .engine_client import Facts, Question
from .environment import NoEngine, find_engine, place
from .locks import used


class WarmWorker(QObject):
    """Asks for previews of one file of maps. Only the answer to the last request is told."""

    shaped = pyqtSignal(dict)
    """The event `shapes` of the engine."""
    failed = pyqtSignal(str)
    """One sentence. The next request may do."""

    def __init__(self, maps: str) -> None:
        super().__init__()
        self.maps = maps
        self._question: Question | None = None
        self._number = 0
        self._held = ExitStack()

    def ask(self, facts: Facts) -> None:
        """Ask for shapes; `facts` are the engine's entries `bounds` and settings."""
        self._number += 1
        job = {"kind": "preview", "maps": self.maps, "number": self._number, **facts}
        if self._question is not None:
            self._question.more(job)
            return
        engine = find_engine()
        if isinstance(engine, NoEngine):
            self.failed.emit(engine.sentence)
            return
        self._held.enter_context(used(place(), engine.python))
        self._question = Question(engine.python, job)
        self._question.heard.connect(self._hear)
        self._question.failed.connect(self._fail)

    def stop(self) -> None:
        """End the worker; a later request starts another."""
        if self._question is not None:
            self._question.withdraw()
            self._question = None
        self._held.close()

    def _hear(self, event: Facts) -> None:
        if event.get("number") != self._number:
            return  # the user has moved on
        if event["event"] == "shapes":
            self.shaped.emit(event)
        elif event["event"] == "refused":
            self.failed.emit(str(event["sentence"]))

    def _fail(self, sentence: str) -> None:
        self.stop()
        self.failed.emit(sentence)
