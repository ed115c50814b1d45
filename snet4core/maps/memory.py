"""Limits the number of windows in flight to a given amount of memory.

Memory decides only how many are in flight, never the grid of windows, on which the maps
depend.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from snet4core.errors import UsageError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

RESERVE_BYTES = 500 * 2**20
"""For programs and constants, reading, shaping and writing: what a run over 4096 to 16384 pixels a
side of dense suburbs takes besides the network's working memory (benchmarks/memory/memory.py)."""

WORK_BYTES_PER_PX = {"torch": 350, "openvino": 280}
"""Working memory of one lane, per pixel of its window; measured with the default model."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """How much may be in flight at once."""

    lanes: int
    """Batches being computed."""
    ahead: int
    """Batches being read, being computed or waiting to be consumed."""
    batch: int
    """Windows in a batch."""
    needed_bytes: int
    """Memory needed for all that, including what the process holds already."""


def parsed_bytes(text: str) -> int:
    """Parse `2G`, `1500M` or a plain number of bytes; UsageError for anything else.

    >>> parsed_bytes("2G"), parsed_bytes("1.5k"), parsed_bytes("700")
    (2147483648, 1536, 700)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    count = float(found[1]) * _UNITS[found[2].upper()] if found else 0
    if count < 1:
        raise UsageError(f"'{text}' is no amount of memory; write it as 2G or 1500M.")
    return int(count)


def in_flight(
    limit_bytes: int | None,
    held_bytes: int,
    lanes: int,
    batch: int,
    window_px: int,
    bands: int,
    work_bytes_per_px: int,
    maps: int = 2,
) -> InFlight:
    """The most in flight that fits in `limit_bytes`, at least one window; all without a limit.

    >>> in_flight(None, 0, 2, 1, 10**6, 4, 350).ahead
    4
    >>> small = in_flight(10**9, 5 * 10**8, 2, 1, 10**6, 4, 350)
    >>> small.lanes, small.ahead, small.batch
    (1, 1, 1)
    """
    # Maps and validity are one byte each.
    picture_bytes = window_px * (4 * bands + maps + 1)

    def needing(lanes: int, ahead: int, batch: int) -> InFlight:
        # A lane stacks its pictures into one array, so they take their memory twice.
        work = lanes * batch * (window_px * work_bytes_per_px + picture_bytes)
        waiting = ahead * batch * picture_bytes
        return InFlight(lanes, ahead, batch, held_bytes + RESERVE_BYTES + work + waiting)

    best = needing(lanes, lanes + 2, batch)
    while limit_bytes is not None and best.needed_bytes > limit_bytes:
        if best.batch > 1:
            best = needing(best.lanes, best.ahead, best.batch // 2)
        elif best.lanes > 1:
            best = needing(best.lanes - 1, best.lanes + 1, 1)
        elif best.ahead > 1:
            best = needing(1, best.ahead - 1, 1)
        else:
            break
    return best


def held_bytes() -> int:
    """Resident memory of this process; 0 where the system does not give it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
