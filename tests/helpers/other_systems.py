"""Takes away from Linux what Windows and macOS lack, so that a whole command can be run without it.

    python tests/helpers/other_systems.py win32 run scene.tif -o out.gpkg

runs the command `snet4` in a process that says it is on that system. It is no such system: paths,
locks of open files and the compiled libraries are Linux's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
from pathlib import Path
from typing import Any

MISSING: dict[str, dict[Any, tuple[str, ...]]] = {
    "win32": {
        os: (
            "O_DIRECTORY", "O_NOFOLLOW", "fork", "getpgrp", "geteuid", "getuid", "killpg",
            "posix_fallocate", "pread", "sched_getaffinity", "setsid", "statvfs", "sync", "sysconf",
            "uname",
        ),
        signal: (
            "SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "pthread_sigmask", "setitimer", "sigwait",
        ),
    },
    "darwin": {os: ("posix_fallocate", "sched_getaffinity"), signal: ()},
}  # fmt: skip


def load_libraries() -> None:
    """Import what would choose its own way by the system's name, while that is still Linux."""
    import asyncio
    import concurrent.futures.process
    import multiprocessing.popen_spawn_posix
    import shutil
    import sqlite3
    import subprocess
    import tempfile

    import fiona
    import openvino
    import pyogrio.raw
    import rasterio
    import rasterio.features
    import scipy.ndimage
    import shapely
    import skimage.measure
    import tqdm

    assert all((asyncio, concurrent, multiprocessing, shutil, sqlite3, subprocess, tempfile))
    assert all((fiona, openvino, pyogrio, rasterio, scipy, shapely, skimage, tqdm))
    # Names that the standard library itself took from `os`.
    shutil.disk_usage = lambda _: shutil._ntuple_diskusage(2**40, 0, 2**40)  # type: ignore[attr-defined]  # its own tuple, not public


def pretend(system: str) -> None:
    """Be on `system` from here on, as far as that can be pretended."""
    for module, names in MISSING[system].items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    _without_proc()
    sys.platform = system
    if system == "win32":
        sys.modules["fcntl"] = None  # type: ignore[assignment]  # importing it fails
        _open_no_folders()
        _flush_only_what_is_written()
        _make_no_links()


def _without_proc() -> None:
    read_text = Path.read_text

    def reading(path: Path, *args: Any, **kwargs: Any) -> str:
        if str(path).startswith("/proc/"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return read_text(path, *args, **kwargs)

    Path.read_text = reading  # type: ignore[method-assign]


def _open_no_folders() -> None:
    opened = os.open

    def opening(path: Any, *args: Any, **kwargs: Any) -> int:
        if Path(os.fsdecode(path)).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opened(path, *args, **kwargs)

    os.open = opening


def _flush_only_what_is_written() -> None:
    flushed = os.fsync

    def flushing(descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flushed(number)

    os.fsync = flushing


def _make_no_links() -> None:
    def linking(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(1314, "A required privilege is not held by the client", str(path))

    Path.symlink_to = linking  # type: ignore[method-assign]


if __name__ == "__main__":
    load_libraries()
    pretend(sys.argv.pop(1))
    from snet4_cli.main import main

    main()
