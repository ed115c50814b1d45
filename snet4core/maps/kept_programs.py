"""Keeps compiled programs in the user's cache folder, so that the next start need not compile.

Nothing here fails: a folder that cannot be used, a file that is damaged or of another version
mean that the program is compiled, as without a cache. Files are replaced as a whole, carry a
sum of their content, and are removed, the longest unused first, beyond `MOST_BYTES`. Only files
with the names given here are ever removed: a user may name any folder. Others' files are not
loaded: what a program is may depend on every byte.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

log = logging.getLogger("snet4")

VARIABLE = "SNET4_CACHE"
"""Environment variable that names the folder; `off`: nothing is kept."""

MOST_BYTES = 2**28
"""Most that the folder holds; a program of the default model has 20 MB."""

_ENDING = ".program"
_KEPT = re.compile(rf"[0-9a-f]{{16}}-[0-9a-f]{{32}}{re.escape(_ENDING)}")
"""The names of programs here."""
_BEGUN, _UNFINISHED = "snet4-", ".program.part"
_SUM_BYTES = hashlib.sha256().digest_size
_ABANDONED_S = 3600
"""Age from which an unfinished file is that of a process that was killed."""


def cache_folder() -> Path | None:
    """Where programs are kept; None: nowhere. It need not exist."""
    said = os.environ.get(VARIABLE, "")
    if said.lower() == "off":
        return None
    if said:
        return Path(said).absolute()
    try:
        return _users() / "snet4"
    except RuntimeError:  # a user without a home
        return None


def _users() -> Path:
    if sys.platform == "win32":
        place = os.environ.get("LOCALAPPDATA")
        return Path(place) if place else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    place = os.environ.get("XDG_CACHE_HOME", "")
    return Path(place) if os.path.isabs(place) else Path.home() / ".cache"  # noqa: PTH117  # a str from the environment


def knows(graph_key: str) -> bool:
    """Whether a program of this graph is kept, so that the graph was found sound before."""
    folder = cache_folder()
    with suppress(OSError):
        return folder is not None and any(folder.glob(_beginning(graph_key) + "*" + _ENDING))
    return False


def _beginning(graph_key: str) -> str:
    return graph_key[:16] + "-"


def program(
    graph_key: str,
    facts: Mapping[str, object],
    compiled: Callable[[], Any],
    loaded: Callable[[bytes], Any],
    exported: Callable[[Any], bytes],
) -> Any:
    """The program of these facts: loaded if it was kept, else compiled, exported and kept.

    `graph_key` and `facts` are all that it depends on. `loaded` raises RuntimeError for what it
    cannot load.
    """
    folder = cache_folder()
    if folder is None:
        return compiled()
    text = "\n".join(f"{name}={value!r}" for name, value in sorted(facts.items()))
    name = hashlib.sha256(f"{graph_key}\n{text}".encode()).hexdigest()[:32]
    path = folder / (_beginning(graph_key) + name + _ENDING)
    content = _read(path)
    if content is not None:
        try:
            return loaded(content)
        except RuntimeError as problem:
            log.debug("%s is not used: %s", path, problem)
    made = compiled()
    try:
        _keep(path, exported(made))
    except (OSError, RuntimeError) as problem:
        log.debug("%s is not kept: %s", path, problem)
    return made


def _read(path: Path) -> bytes | None:
    """The content of a file of this user that is whole; None for any other."""
    try:
        if hasattr(os, "getuid") and path.stat().st_uid != os.getuid():
            return None
        whole = path.read_bytes()
        content = whole[_SUM_BYTES:]
        if hashlib.sha256(content).digest() != whole[:_SUM_BYTES]:
            return None
        os.utime(path)  # used now
    except OSError:
        return None
    return content


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(_UNFINISHED, _BEGUN, path.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink()
    _tidy(path.parent)


def _tidy(folder: Path) -> None:
    """Remove what is too much, the longest unused first, and what was left unfinished."""
    for unfinished in folder.glob(_BEGUN + "*" + _UNFINISHED):
        with suppress(OSError):
            if time.time() - unfinished.stat().st_mtime > _ABANDONED_S:
                unfinished.unlink()
    found = []
    for path in folder.glob("*" + _ENDING):
        if not _KEPT.fullmatch(path.name):
            continue
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime_ns, status.st_size, path))
    held = 0
    for _, size, path in sorted(found, reverse=True):
        held += size
        if held > MOST_BYTES:
            with suppress(OSError):
                path.unlink()
