"""Keeps the C library from holding memory that nothing uses.

glibc gives threads heaps ("arenas") of their own, and what one of them has freed serves no other.
Reading, the network and shapes run in threads that hand arrays to each other, so with one heap for
all a run takes some 45 MB less, at the same speed: most arrays are large and lie outside of heaps.
"""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Any

_VARIABLE = "MALLOC_ARENA_MAX"
_ARENA_MAX = -8
"""`M_ARENA_MAX` in glibc's malloc.h."""


def use_one_heap() -> bool:
    """Have all threads of this process, and of its children, share one heap; before threads start.

    False, and nothing changes, where the C library is not glibc, or the user has chosen.
    """
    if _VARIABLE in os.environ or _glibc() is None:
        return False
    os.environ[_VARIABLE] = "1"
    return bool(_glibc().mallopt(_ARENA_MAX, 1))


def give_back() -> None:
    """Give the system what was freed inside of heaps, which glibc keeps for later.

    It takes some milliseconds, and what is needed again later some more.
    """
    if _glibc() is not None:
        _glibc().malloc_trim(0)


@functools.cache
def _glibc() -> Any:
    """The C library, if it is glibc, else None."""
    if os.name != "posix":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
