"""Runs one job of the engine in its own process, for programs that cannot import it.

    python -I -m snet4core.worker

One line of JSON comes in on stdin: the job (`request.Request`). stdin then stays
open as the lifeline: when it ends, whoever asked is gone or has enough, and the worker goes
with its whole process group. JSON lines go out on what was stdout:

| event | fields |
| --- | --- |
| `hello` | `protocol`, `snet4` |
| `progress` | `percent` (never goes back), `what`, `left_s` (null while unknown) |
| `info`, `warning` | `text` |
| `plan` | before the work of `extract`: what was decided, see the job `plan` |
| `error` | `code` (its class's exit code), `sentence`, `lacks_library`; the last event |
| `shapes` | `preview`: `number`, `count`, `shapes`, `bounds`, `is_whole`, `settings`, see below |
| `refused` | `preview`: `number`, `code` and `sentence`, in the place of `shapes` |
| `result` | what the job gave; files in it live until stdin ends; the last event |

A text that names options is in the words of the command line. Where it does, a field
`<name>_parts` beside it (`sentence_parts`, `text_parts`, `warnings_parts`, `why_none_parts`)
holds it in parts, so that a client can put its own names: texts, and
`{"option": "off_nadir_deg", "text": "--off-nadir"}` for each option. Older workers lack it,
and `lacks_library`, which says that the cure is to install one.

The job `preview` alone reads further lines: each is a job of this kind for the same maps, and is
answered at once, with the file open and the libraries loaded. Of lines that come while one is
being answered, the last is answered, the others are dropped; `number` says which it was. `shapes`
are a MultiPolygon as WKB in hexadecimal digits, in the CRS of the maps; `bounds` (x min, y min,
x max, y max) the part that they lie in; `is_whole` is false where the part that was asked for was
too large, and this is its middle. There is no `result`.

File descriptor 1 itself is pointed at stderr, so that no print and no C library can get
between the lines.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from typing import NoReturn

from snet4core import __version__
from snet4core.errors import DependencyError, Snet4Error
from snet4core.files.allocator import use_one_heap
from snet4core.files.environment import use_own_data
from snet4core.sentence import Sentence
from snet4core.worker.channel import Channel, Heard, Telling
from snet4core.worker.request import PROTOCOL, parse

GRACE_S = 2.0
"""How long a job that was told to stop may take to tidy up."""


def main() -> NoReturn:
    """Do the one job that stdin brings, then wait until stdin ends."""
    use_own_data()
    use_one_heap()
    stop, finished = threading.Event(), threading.Event()
    channel = Channel(_take_over_stdout(), stop)
    telling = Telling(channel, stop)
    _lead_a_group()
    channel.send("hello", protocol=PROTOCOL, snet4=__version__)
    line = _first_line()
    threading.Thread(target=_hold_lifeline, args=(telling, stop, finished), daemon=True).start()
    code = _answer(line, telling)
    if not stop.is_set() and code == 0:
        stop.wait()  # the result's files are being read
    telling.tidy()
    finished.set()
    _end(code)


def _take_over_stdout() -> int:
    """The descriptor for events; fd 1 is stderr from here on."""
    events = os.dup(1)
    os.dup2(2, 1)
    return events


def _lead_a_group() -> None:
    """Start a session and process group: no Ctrl-C from a terminal, and one kill ends all."""
    if hasattr(os, "setsid"):
        with contextlib.suppress(PermissionError):  # we lead one already
            os.setsid()


def _first_line() -> bytes:
    """Read the job: stdin up to the first newline, and nothing after it."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return bytes(line)


def _hold_lifeline(telling: Telling, stop: threading.Event, finished: threading.Event) -> None:
    """Wait for the end of stdin, ask the job to stop, and kill the group after `GRACE_S`."""
    with contextlib.suppress(OSError):
        while more := os.read(0, 4096):
            telling.mailbox.put(more)
    stop.set()
    telling.mailbox.close()
    if not finished.wait(GRACE_S):
        telling.tidy()
        _kill_group(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        os._exit(130)


def _answer(line: bytes, telling: Telling) -> int:
    """Run the job and send its result or error as one event; returns the exit code."""
    channel = telling.channel
    try:
        request = parse(line)
        _hush(channel)
        from snet4core.worker.jobs import JOBS

        facts = JOBS[request.kind](request, telling)
    except Snet4Error as problem:
        lacks = isinstance(problem, DependencyError)
        return _error(channel, problem.exit_code, problem.sentence, lacks)
    except MemoryError:
        return _error(channel, 4, _NO_MEMORY)
    except ImportError as problem:
        return _error(channel, 4, f"The engine lacks a library ({problem}); {_REINSTALL}", True)
    except Exception as problem:
        traceback.print_exc()
        if "not enough memory" in str(problem):  # as torch's allocator says it
            return _error(channel, 4, _NO_MEMORY)
        what = f"{type(problem).__name__}: {problem}"[:200]
        return _error(channel, 1, f"This is a bug in snet4, please report it: {what}.")
    channel.send("result", kind=request.kind, **facts)
    return 0


_NO_MEMORY = "Out of memory; close other programs, or search a smaller extent."
_REINSTALL = f"install it with {sys.executable} -m pip"


def _error(channel: Channel, code: int, sentence: str, lacks_library: bool = False) -> int:
    sentence = Sentence(sentence).one_line()
    channel.send("error", code=code, sentence=sentence, lacks_library=lacks_library)
    return code


def _hush(channel: Channel) -> None:
    """Send snet4's log as events; silence the logs and warnings of libraries."""
    log = logging.getLogger("snet4")
    log.setLevel(logging.INFO)
    log.addHandler(Heard(channel))
    log.propagate = False
    warnings.simplefilter("ignore")
    for library in ("fiona", "pyogrio", "rasterio", "shapely"):
        logging.getLogger(library).setLevel(logging.CRITICAL)


def _kill_group(how: signal.Signals) -> None:
    """Send a signal to the whole process group, if we lead one."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        if how != getattr(signal, "SIGKILL", None):
            signal.signal(how, signal.SIG_IGN)  # for ourselves; children have their own
        with contextlib.suppress(OSError):
            os.killpg(0, how)


def _end(code: int) -> NoReturn:
    """Exit with the job's code, without waiting for threads."""
    _kill_group(signal.SIGTERM)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
