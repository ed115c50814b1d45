"""Escapes file names for messages, tables and spreadsheets.

A file may have any name that a file system allows: with line breaks, with bytes that are
not UTF-8, with characters that reverse the reading direction, or like a spreadsheet formula.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from pathlib import Path

_FORMULA_STARTS = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001 (the wide forms count too)
"""A spreadsheet evaluates a cell that begins with one of these as a formula."""

_MARK = "'"
"""What spreadsheets themselves put before text that must stay text."""


def storable(name: str | os.PathLike[str]) -> str:
    r"""The name as valid UTF-8 text: bytes that are not UTF-8 become `\udc..`.

    >>> storable("caf\udce9.tif")
    'caf\\udce9.tif'
    """
    return os.fspath(name).encode("utf-8", "backslashreplace").decode("utf-8")


def printable(name: str | os.PathLike[str]) -> str:
    r"""The name on one line for messages: control and formatting characters are escaped.

    >>> printable("two\nlines.tif")
    'two\\nlines.tif'
    >>> printable("evil\u202efit.exe")
    'evil\\u202efit.exe'
    """
    return "".join(
        char.encode("unicode_escape").decode() if _moves_the_cursor(char) else char
        for char in storable(name)
    )


def _moves_the_cursor(char: str) -> bool:
    """Whether it is a control or formatting character, or a Unicode line or paragraph end."""
    kind = unicodedata.category(char)
    return kind[0] == "C" or kind in ("Zl", "Zp")


def cell(name: str) -> str:
    r"""Text for a CSV cell that no spreadsheet evaluates: formulas get a leading apostrophe.

    `cell_text` removes it; the two are inverse for every text.

    >>> cell("=1+1"), cell("'=1+1"), cell("Atlanta_nadir8"), cell("-1")
    ("'=1+1", "''=1+1", 'Atlanta_nadir8', "'-1")
    """
    bare = name.lstrip(_MARK)
    return _MARK + name if bare and bare[0] in _FORMULA_STARTS else name


def cell_text(written: str) -> str:
    """The text that `cell` was given; its inverse.

    >>> cell_text("'=1+1"), cell_text("'quoted'")
    ('=1+1', "'quoted'")
    """
    bare = written.lstrip(_MARK)
    guarded = written.startswith(_MARK) and bare and bare[0] in _FORMULA_STARTS
    return written[1:] if guarded else written


def same_file_key(path: Path) -> str:
    """Equal for two paths that may name one file here: Windows and macOS ignore case.

    >>> same_file_key(Path("Town.gpkg")) == same_file_key(Path("Town.gpkg"))
    True
    """
    if sys.platform in ("win32", "darwin"):
        return unicodedata.normalize("NFC", str(path)).casefold()
    return str(path)


_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")


def is_remote(location: str) -> bool:
    """Whether this is a URL or one of GDAL's virtual paths, not a local file.

    >>> is_remote("https://host/a.tif"), is_remote("/vsicurl/x"), is_remote("C:\\\\a.tif")
    (True, True, False)
    """
    return bool(_REMOTE.match(location)) or location.startswith("/vsi")


def linked(link: Path, absolute: Path) -> None:
    """A second name for a file: Windows lets most users make hard links only."""
    try:
        link.symlink_to(absolute)
    except OSError:
        link.hardlink_to(absolute)


def spelt_in_utf8(path: Path) -> bool:
    """Whether the path is text that UTF-8 can spell: other names are bytes to the system."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
