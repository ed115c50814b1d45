"""One heap for all threads, unless the user has chosen."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

from snet4core.files import allocator

GLIBC = os.name == "posix" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")

SCRIPT = """
import ctypes, sys, threading
from snet4core.files.allocator import use_one_heap
if "one" in sys.argv:
    print(use_one_heap(), use_one_heap())
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
together = threading.Barrier(4)
def take():
    library.malloc(2000)
    together.wait()  # a heap that a thread has left would serve the next one
threads = [threading.Thread(target=take) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
library.malloc_stats()
"""


def heaps(*words: str, **environment: str) -> tuple[str, int]:
    """What it said, and the number of heaps of a process with four threads."""
    plain = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        env={**plain, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip(), done.stderr.count("Arena ")


@pytest.mark.skipif(not GLIBC, reason="only glibc has several heaps")
def test_all_threads_share_one_heap() -> None:
    assert heaps()[1] > 1
    # The second call finds the choice made.
    assert heaps("one") == ("True False", 1)


@pytest.mark.skipif(not GLIBC, reason="only glibc has several heaps")
def test_who_has_chosen_keeps_the_choice() -> None:
    said, count = heaps("one", MALLOC_ARENA_MAX="3")
    assert said == "False False"
    assert 1 < count <= 3


TRIMMED = """
import ctypes, sys
from snet4core.files.allocator import give_back
def held_mib():
    return int(open("/proc/self/statm").read().split()[1]) * 4 // 1024
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
blocks = [library.malloc(100_000) for _ in range(1000)]
for block in blocks: ctypes.memset(block, 1, 100_000)
for block in blocks[:-1]: library.free(block)  # the last one keeps the heap's end in use
before = held_mib()
give_back()
print(before - held_mib())
"""


@pytest.mark.skipif(not GLIBC, reason="only glibc keeps what was freed")
def test_what_was_freed_inside_of_a_heap_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", TRIMMED], capture_output=True, check=True)
    assert int(done.stdout) >= 80


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: object())
    allocator._glibc.cache_clear()
    try:
        assert not allocator.use_one_heap()
        allocator.give_back()
    finally:
        allocator._glibc.cache_clear()
    assert "MALLOC_ARENA_MAX" not in os.environ
