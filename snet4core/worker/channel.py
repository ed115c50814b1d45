"""How a worker's job reports to its client: events, progress and log records as JSON lines."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from snet4core.progress import Pace
from snet4core.sentence import Option, Sentence

_EVERY_S = 0.1
"""Progress is told at most this often."""
_AFTER_S = 2.0
"""The time left is told from here on; before, it would be a guess."""

_LONGEST_LINE = 1 << 20
"""Bytes of a line that goes on; no request is as long."""

Event = dict[str, Any]


class Channel:
    """Writes events, one line each, from any thread; a broken pipe means stop."""

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        self.told: set[str] = set()
        """Sentences that the client knows already; the log need not repeat them."""
        self._descriptor = descriptor
        self._stop = stop
        self._lock = threading.Lock()

    def send(self, event: str, **facts: Any) -> None:
        """One event. Never raises for a reader that has gone."""
        told = {"event": event, **facts, **in_parts(facts)}
        line = memoryview(json.dumps(told).encode("ascii") + b"\n")
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:
                self._stop.set()


class Mailbox:
    """The newest line that came after the job; one that nobody took in time is dropped."""

    def __init__(self) -> None:
        self._line: bytes | None = None
        self._rest = b""
        self._closed = False
        self._changed = threading.Condition()

    def put(self, more: bytes) -> None:
        """Add what was read from stdin, wherever its lines end."""
        *lines, rest = (self._rest + more).split(b"\n")
        self._rest = rest if len(rest) <= _LONGEST_LINE else b""
        if lines:
            with self._changed:
                self._line = lines[-1]
                self._changed.notify()

    def close(self) -> None:
        """No line will come any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self) -> bytes | None:
        """Wait for a line; None once there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._line is not None)
            line, self._line = self._line, None
            return None if self._closed else line


class Telling:
    """`snet4core.progress.Progress` over a channel, with the time left."""

    def __init__(self, channel: Channel, stop: threading.Event) -> None:
        self.channel = channel
        self.mailbox = Mailbox()
        self.folders: list[Path] = []
        self._stop = stop
        self._percent = -1.0
        self._what = ""
        self._pace = Pace()
        self._told_s = 0.0

    def step(self, done: float, total: float, what: str) -> None:
        """Tell how far the job is; percent never goes back, whatever the steps are of."""
        now_s = time.monotonic()
        if what != self._what:
            self._what, self._pace, self._told_s = what, Pace(), 0.0
        left_s = self._pace.left_s(done, total)
        percent = max(self._percent, min(100.0, 100.0 * done / total if total > 0 else 0.0))
        if percent == self._percent or (now_s - self._told_s < _EVERY_S and done < total):
            return
        self._percent, self._told_s = percent, now_s
        if self._pace.seconds < _AFTER_S:
            left_s = None
        self.channel.send("progress", percent=round(percent, 2), what=what, left_s=left_s)

    def scratch(self, inside: str | None) -> Path:
        """A new folder for results; it is gone when the worker is."""
        folder = Path(tempfile.mkdtemp(prefix="snet4-", dir=inside))
        self.folders.append(folder)
        return folder

    def tidy(self) -> None:
        """Remove the folders. Never raises."""
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def cancelled(self) -> bool:
        """True once stdin has ended or nobody reads the events."""
        return self._stop.is_set()


class Heard(logging.Handler):
    """Sends log records as `info` and `warning` events, each text once."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(logging.INFO)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        text = record.msg if isinstance(record.msg, Sentence) else record.getMessage()
        if text not in self._channel.told:
            self._channel.told.add(text)
            kind = "warning" if record.levelno >= logging.WARNING else "info"
            self._channel.send(kind, text=text)


def in_parts(facts: Event) -> Event:
    """A field `<name>_parts` for every field of `facts` whose text names options.

    >>> from snet4core.sentence import NODATA
    >>> in_parts({"text": Sentence("Use ", NODATA, "."), "code": 5})
    {'text_parts': ['Use ', {'option': 'nodata', 'text': '--nodata'}, '.']}
    """
    found: Event = {}
    for name, value in facts.items():
        if isinstance(value, Sentence) and value.options:
            found[f"{name}_parts"] = _parts(value)
        elif isinstance(value, list) and any(isinstance(each, Sentence) for each in value):
            found[f"{name}_parts"] = [_parts(Sentence(each)) for each in value]
    return found


def _parts(sentence: Sentence) -> list[str | dict[str, str]]:
    """The sentence as plain values: texts, and `{"option": keyword, "text": flag}`."""
    return [
        {"option": part.keyword, "text": str(part)} if isinstance(part, Option) else part
        for part in sentence.parts
    ]
