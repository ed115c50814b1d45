"""Client of the engine: runs one process for each job and exchanges lines of JSON with it.

The job is one line on the process's stdin, which then stays open as its lifeline: when it
closes, for whatever reason, the engine ends itself and all that it started.
"""

from __future__ import annotations

import json
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from qgis.core import QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication, QObject, QProcess, QThread, pyqtSignal

from .about import version
from .environment import clean_environment, install_command, place, wheel_words
from .locks import used
from .texts import tr

PROTOCOL = 1
"""Protocol version that the engine has to announce."""

POLL_MS = 100
"""Interval at which cancellation is checked."""

PATIENCE_MS = 3000
"""How long the engine may take to exit before it is killed."""

_TAIL_BYTES = 4000
_KEPT_BYTES = 10 * _TAIL_BYTES
_ARGUMENTS = ["-I", "-m", "snet4core.worker"]
_KILLED, _ABORTED, _SEGFAULT = 9, 6, 11

Facts = dict[str, Any]


class EngineFailure(Exception):
    """One sentence for the user; what else the engine said is in `details`.

    `lacks_library`: a library is not installed in the engine's environment.
    """

    def __init__(self, sentence: str, details: str = "", lacks_library: bool = False) -> None:
        super().__init__(sentence)
        self.details = details
        self.lacks_library = lacks_library


class Cancelled(EngineFailure):
    """The user wanted the job to stop."""


@contextmanager
def running(
    python: str, job: Facts, feedback: QgsProcessingFeedback, hear: Callable[[Facts], None]
) -> Iterator[Facts]:
    """Do `job` and hold its result: its files are there until the block ends.

    `hear` gets every event that is no result and no error. Raises EngineFailure.
    """
    with used(place(), python):
        process = _started(python, job)
        try:
            with _interrupt_cancels(feedback):
                result = _result(process, feedback, hear)
            yield result
        finally:
            stop(process)


@contextmanager
def _interrupt_cancels(feedback: QgsProcessingFeedback) -> Iterator[None]:
    """Ctrl-C in `qgis_process` means cancel; QGIS 3.22 catches it there and does nothing.

    Only the main thread may say so; in the application, algorithms run in another one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: feedback.cancel())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def _process(python: str) -> QProcess:
    process = QProcess()
    process.setProcessEnvironment(clean_environment())
    process.setProgram(python)
    process.setArguments(_ARGUMENTS)
    return process


def _line(job: Facts) -> bytes:
    return json.dumps({"protocol": PROTOCOL, **job}).encode("ascii") + b"\n"


def run_step(
    program: str, arguments: list[str], feedback: QgsProcessingFeedback, quiet: bool = False
) -> tuple[int, str]:
    """Run a program of an installation; returns its exit code and the end of what it said.

    Its command and its lines go to the log unless `quiet`. Raises Cancelled, EngineFailure if it
    cannot start.
    """
    process = QProcess()
    process.setProcessEnvironment(clean_environment())
    process.setProcessChannelMode(QProcess.ProcessChannelMode.MergedChannels)
    process.start(program, arguments)
    if not process.waitForStarted(10_000):
        raise EngineFailure(tr("{} cannot be started.").format(program))
    if not quiet:
        feedback.pushCommandInfo(shlex.join([program, *arguments]))
    said = ""
    try:
        with _interrupt_cancels(feedback):
            while True:
                if feedback.isCanceled():
                    raise Cancelled(tr("Stopped on request; nothing was changed."))
                ended = process.state() == QProcess.ProcessState.NotRunning
                if not ended:
                    process.waitForReadyRead(POLL_MS)
                _keep_windows_alive()
                more = bytes(process.readAll()).decode("utf-8", "replace")
                said = (said + more)[-_KEPT_BYTES:]
                for line in more.splitlines() if not quiet else ():
                    feedback.pushConsoleInfo(line)
                if ended:
                    crashed = process.exitStatus() == QProcess.ExitStatus.CrashExit
                    return (-1 if crashed else process.exitCode()), said
    finally:
        stop(process)


def _started(python: str, job: Facts) -> QProcess:
    process = _process(python)
    process.start()
    if not process.waitForStarted(10_000):
        raise EngineFailure(_not_started(python))
    process.write(_line(job))
    return process


def _not_started(python: str) -> str:
    return tr(
        "The engine's Python {python} cannot be started; name another one in Settings > Options > "
        "Processing > Providers > snet4, or make one with: {command}"
    ).format(python=python, command=install_command())


def _result(
    process: QProcess, feedback: QgsProcessingFeedback, hear: Callable[[Facts], None]
) -> Facts:
    """Handle events until the last one, checking for cancellation meanwhile."""
    said = b""
    while True:
        if feedback.isCanceled():
            raise Cancelled(tr("Stopped on request; nothing was written."))
        ended = process.state() == QProcess.ProcessState.NotRunning
        if not ended:
            process.waitForReadyRead(POLL_MS)
        _keep_windows_alive()
        said = (said + bytes(process.readAllStandardError()))[-_TAIL_BYTES:]
        while process.canReadLine():
            event = parsed(bytes(process.readLine()))
            last = final(event)
            if last is not None:
                return last
            hear(event)
        if ended:
            raise died(process, said.decode("utf-8", "replace"))


def _keep_windows_alive() -> None:
    """Process GUI events when Processing runs us in the main thread, as batch does."""
    application = QCoreApplication.instance()
    if application is not None and QThread.currentThread() == application.thread():
        application.processEvents()


def parsed(line: bytes) -> Facts:
    """Parse one event; raises EngineFailure for a line that is not one."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict) or "event" not in event:
        raise EngineFailure(_SAME_VERSION("?"), line.decode("utf-8", "replace"))
    return event


def final(event: Facts) -> Facts | None:
    """The result, if the event is one; raises EngineFailure for an error."""
    if event["event"] == "hello" and event.get("protocol") != PROTOCOL:
        raise EngineFailure(_SAME_VERSION(str(event.get("snet4", "?"))))
    if event["event"] == "error":
        lacks = bool(event.get("lacks_library"))
        raise EngineFailure(told(event, "sentence"), lacks_library=lacks)
    return event if event["event"] == "result" else None


def _SAME_VERSION(engine: str) -> str:
    return tr(
        "The engine (snet4 {engine}) does not speak the language of the plugin ({plugin}); run "
        "'Install the engine', which installs one of the same version."
    ).format(engine=engine, plugin=version())


PARAMETERS = {
    "off_nadir_deg": "OFF_NADIR",
    "azimuth_deg": "AZIMUTH",
    "bands": "BANDS",
    "crs": "Layer > Set Layer CRS",
    "aoi": "AOI",
    "bounds": "EXTENT",
    "threshold": "THRESHOLD",
    "min_area_m2": "MIN_AREA",
    "min_confidence": "MIN_CONFIDENCE",
    "simplify_m": "SIMPLIFY",
    "regularize": "REGULARIZE",
    "height_min_m": "HEIGHT_MIN",
    "roofs": "ROOFS",
    "model": "MODEL",
    "device": "DEVICE",
    "scales": "LOOKS",
    "save_maps": "SAVE_MAPS",
}
"""The engine's options, and the parameters that set them here."""


def told(event: Facts, field: str) -> str:
    """The text of a field, with parameters where the engine names its options."""
    parts = event.get(f"{field}_parts")
    # Absent where no option is named, and from engines before the field was introduced.
    return str(event.get(field) or "") if parts is None else in_words_of_qgis(parts)


def in_words_of_qgis(parts: list[Any]) -> str:
    """A sentence in parts as one text; an option without a parameter keeps the engine's name."""
    return "".join(
        part if isinstance(part, str) else PARAMETERS.get(part["option"], part["text"])
        for part in parts
    )


def died(process: QProcess, said: str) -> EngineFailure:
    """Why the engine ended without an answer, as far as one can tell from outside."""
    code = process.exitCode()
    if process.exitStatus() == QProcess.ExitStatus.CrashExit:
        if code == _KILLED:
            sentence = tr(
                "The engine was ended by the system, most likely because memory ran out; close "
                "other programs, or choose a smaller extent."
            )
        else:
            name = {_SEGFAULT: "SIGSEGV", _ABORTED: "SIGABRT"}.get(code, code)
            sentence = tr(
                "The engine crashed ({signal}); run 'Check the snet4 engine' and report what it "
                "says."
            ).format(signal=name)
    elif "No module named" in said and "snet4core" in said:
        sentence = tr("{python} has no snet4 in it; install it with: {command}").format(
            python=process.program(),
            command=f"{process.program()} -m pip install '{wheel_words()}[openvino]'",
        )
    else:
        last = said.strip().splitlines()[-1:] or [""]
        sentence = tr("The engine ended without an answer (code {code}): {last}").format(
            code=code, last=last[0][:200]
        )
    return EngineFailure(sentence, said)


def stop(process: QProcess) -> None:
    """Close the lifeline, wait, and kill what does not go by itself."""
    if process.state() == QProcess.ProcessState.NotRunning:
        return
    process.closeWriteChannel()
    if not process.waitForFinished(PATIENCE_MS):
        process.kill()
        process.waitForFinished(1000)


class Question(QObject):
    """Runs a job without blocking the GUI; its events and its answer come as signals.

    Files of the answer are there until `answered` has been handled.
    """

    heard = pyqtSignal(dict)
    """Every event that is no result and no error."""
    answered = pyqtSignal(dict)
    failed = pyqtSignal(str)

    def __init__(self, python: str, job: Facts) -> None:
        # Outlives its asker, so that the process may end by itself.
        super().__init__(QCoreApplication.instance())
        self._python = python
        self._done = False
        self._process = _process(python)
        self._process.setParent(self)
        self._process.readyReadStandardOutput.connect(self._read)
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._broken)
        self._process.start()
        self._process.write(_line(job))

    def more(self, job: Facts) -> None:
        """A further line, for a job that takes any."""
        if not self._done:
            self._process.write(_line(job))

    def withdraw(self) -> None:
        """Nobody waits for the answer any more. May be called at any time."""
        if not self._done:
            self._done = True
            self._process.closeWriteChannel()

    def _read(self) -> None:
        while not self._done and self._process.canReadLine():
            try:
                event = parsed(bytes(self._process.readLine()))
                last = final(event)
            except EngineFailure as problem:
                self._fail(str(problem))
                return
            if last is None:
                self.heard.emit(event)
            else:
                self._done = True
                self.answered.emit(last)
                self._process.closeWriteChannel()

    def _finished(self) -> None:
        self._read()
        if not self._done:
            said = bytes(self._process.readAllStandardError()).decode("utf-8", "replace")
            self._fail(str(died(self._process, said)))
        self.deleteLater()

    def _broken(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._fail(_not_started(self._python))

    def _fail(self, sentence: str) -> None:
        if not self._done:
            self.withdraw()
            self.failed.emit(sentence)
