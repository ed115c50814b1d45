"""Runs a module as `python -m` does, and ends with all it started when stdin ends.

    python -I step_runner.py MODULE [ARGUMENT...]

stdin is the lifeline: whoever started us keeps it open, and is gone when it closes.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _hold_lifeline() -> None:
    try:
        while os.read(0, 4096):
            pass
    finally:
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def main() -> None:
    """Be the module that the first argument names."""
    if hasattr(os, "setsid"):
        os.setsid()  # what the module starts belongs to our group
    threading.Thread(target=_hold_lifeline, daemon=True).start()
    module = sys.argv[1]
    del sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
