"""What a header may claim: each limit of the door, one at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from snet4core.errors import InputError
from snet4core.scene.door import MOST_BANDS, MOST_PIXELS, CheckedFile, check_header


@dataclass(frozen=True)
class Header:
    """A dataset as `check_header` asks it."""

    height: int = 64
    width: int = 80
    dtypes: tuple[str, ...] = ("uint8",) * 3
    block: tuple[int, int] = (64, 80)
    interleaving: Any = None

    @property
    def count(self) -> int:
        return len(self.dtypes)

    @property
    def block_shapes(self) -> list[tuple[int, int]]:
        return [self.block] * self.count


PLAIN = Header()


def check(header: Header, path: str | Path = "scene.tif", driver: str = "GTiff") -> None:
    check_header(CheckedFile(str(path), driver), cast(Any, header))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (replace(PLAIN, height=0), "holds 0 x 80 pixels in 3 bands, no picture"),
        (replace(PLAIN, width=0), "holds 64 x 0 pixels in 3 bands, no picture"),
        (replace(PLAIN, dtypes=()), "holds 64 x 80 pixels in 0 bands, no picture"),
        (replace(PLAIN, height=2**20, width=2**20 + 1), "which cannot be true"),
        (replace(PLAIN, dtypes=("uint8",) * (MOST_BANDS + 1)), "which cannot be true"),
        (replace(PLAIN, dtypes=("uint8", "uint8", "complex64")), "holds complex numbers"),
        (replace(PLAIN, dtypes=("uint8", "uint16")), "different types (uint16, uint8)"),
        (replace(PLAIN, block=(2**15, 2**14 + 1)), "too large to read in windows"),
        (replace(PLAIN, block=(2**14, 2**14), dtypes=("float64",)), "too large to read"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(header: Header, says: str) -> None:
    with pytest.raises(InputError) as caught:
        check(header)
    sentence = str(caught.value)
    assert sentence.startswith("scene.tif ")
    assert says in sentence
    assert "; " in sentence  # a remedy follows


def test_the_largest_that_is_let_in() -> None:
    check(PLAIN)
    check(replace(PLAIN, height=2**20, width=MOST_PIXELS // 2**20))
    check(replace(PLAIN, dtypes=("uint8",) * MOST_BANDS))
    check(replace(PLAIN, block=(2**15, 2**14)))


def test_a_raw_file_has_the_bytes_that_its_header_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "scene.dat"
    path.write_bytes(bytes(64 * 80 * 3))
    check(PLAIN, path, "ENVI")
    path.write_bytes(bytes(64 * 80 * 3 - 1))
    check(PLAIN, path)  # only raw pixels have a size that follows from the header
    with pytest.raises(InputError, match=r"scene\.dat is incomplete: its header asks for 15360"):
        check(PLAIN, path, "ENVI")
