"""Ctrl-C while libraries are imported: exit code 130, one sentence, and nothing left."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from snet4core.files import outputs
from snet4core.files.interrupts import out_of_reach
from snet4core.parts.shaping_pool import _born, _Pool

interrupts = pytest.importorskip("benchmarks.faults.interrupts")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@pytest.mark.parametrize("times", [40, pytest.param(1000, marks=pytest.mark.long)])
def test_ctrl_c_in_the_first_seconds_ends_with_130(times: int) -> None:
    """Each kind of run, at seeded moments."""
    seen = interrupts.interrupt_many(times, within_s=3.0, jobs=2, seed=times)
    assert seen.complaints == []
    assert seen.interrupted >= times * 0.9


IN_AN_IMPORT = """
import os, pathlib, signal, sys, tempfile
from snet4_cli import interrupt
interrupt.install()
folder = tempfile.mkdtemp()
pathlib.Path(folder, "hit.py").write_text({module!r})
sys.path.insert(0, folder)
try:
    import hit
    for _ in range(10**9):
        pass
except KeyboardInterrupt:
    print("done:", hit.done)
"""


@pytest.mark.parametrize(
    "module",
    [
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\ndone = sum(range(10**6)) > 0\n",
        # What compiled libraries do with any error of an import of theirs:
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    sum(range(10**6))\n"
        "except BaseException as error:\n    raise ImportError('initialization failed') from None\n"
        "done = True\n",
    ],
)
def test_an_import_is_finished_before_the_interrupt(module: str) -> None:
    code = IN_AN_IMPORT.format(module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "done: True\n", done.stderr


def test_ctrl_c_is_handled_before_anything_else_is_loaded() -> None:
    """The command line's own imports are finished, too."""
    code = """
import importlib.abc, os, signal, sys, time
class Hit(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(10**5))
sys.meta_path.insert(0, Hit())
try:
    import snet4_cli.main
    sys.stdout.write("whole\\n")  # print writes twice, and may be interrupted between
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "whole\ninterrupted\n", done.stderr


def test_a_second_ctrl_c_does_not_wait_for_a_long_import() -> None:
    module = (
        "import os, signal\nfor _ in range(2):\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "    sum(range(10**5))\nprint('went on')\n"
    )
    code = IN_AN_IMPORT.format(module=module).replace("hit.done", "'at once'")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "done: at once\n", done.stderr


def test_an_interrupt_in_a_destructor_is_not_lost() -> None:
    code = """
import os, signal
from snet4_cli import interrupt
interrupt.install()
class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(10**5))
try:
    Late()
    for _ in range(10**9):
        pass
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_what_goes_wrong_after_an_interrupt_is_its_consequence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import snet4_cli.main as entry
    from snet4_cli import interrupt

    def fail(**_: object) -> None:
        raise ImportError("initialization failed")

    monkeypatch.setattr(entry.snet4, "main", fail)
    monkeypatch.setattr(interrupt, "_seen", True)
    monkeypatch.setattr(interrupt, "install", lambda: None)
    monkeypatch.setattr(entry, "use_own_data", lambda: None)
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert left.value.code == 130
    assert capsys.readouterr().err == "snet4: Interrupted; nothing was written.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_check_of_the_output_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The interrupt comes when the folder has just been made."""

    def made(*arguments: Any, **named: Any) -> str:
        path = mkdtemp(*arguments, **named)
        signal.raise_signal(number)
        return path

    mkdtemp = tempfile.mkdtemp
    before = signal.signal(number, signal.default_int_handler)
    try:
        monkeypatch.setattr(tempfile, "mkdtemp", made)
        with pytest.raises(KeyboardInterrupt):
            outputs.check(tmp_path / "o.gpkg")
        with pytest.raises(KeyboardInterrupt), outputs.replacing(tmp_path / "o.gpkg"):
            pass
    finally:
        signal.signal(number, before)
    assert list(tmp_path.iterdir()) == []


def test_workers_are_out_of_reach_of_ctrl_c() -> None:
    """From their first instruction on: they import for a second before they could say so."""
    context = multiprocessing.get_context("spawn")
    with out_of_reach():
        process = context.Process(target=time.sleep, args=(0.5,))
        process.start()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 0


def test_processes_that_shape_are_out_of_reach_of_ctrl_c() -> None:
    """From their first instruction on, too."""
    with _Pool(1, multiprocessing.get_context("spawn"), _born) as pool:
        waits = pool.submit(time.sleep, 0.5)
        (child,) = multiprocessing.active_children()
        assert child.pid is not None
        os.kill(child.pid, signal.SIGINT)
        assert waits.result(60) is None
