"""Reads small text, JSON and XML files beside a raster, with limits on size and content.

GDAL is kept from opening sidecars, because some of them open connections or other files.
Harmless ones (a world file, a look angle) are read here instead: regular files only, limited
in size, XML without entities or document types.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from snet4core.errors import InputError
from snet4core.files.names import printable

LIMIT_BYTES = 16 * 2**20
"""Largest sidecar accepted; a Maxar XML with its ephemeris has about 2 MB."""

_DEEPEST = 60
"""Nesting in real product XML stays below 15."""


def read_bytes(path: Path, limit_bytes: int = LIMIT_BYTES) -> bytes:
    """The content of a regular file of at most `limit_bytes`; InputError otherwise."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(
                f"{printable(path)} is not a plain file; give a file that can be read twice."
            )
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as problem:
        why = problem.strerror or type(problem).__name__
        raise InputError(
            f"{printable(path)} cannot be read ({why}); check the path and its rights."
        ) from (problem)
    if len(content) > limit_bytes:
        raise InputError(
            f"{printable(path)} is larger than {limit_bytes // 2**20} MiB, too large for what it "
            "should be; check that it is the right file."
        )
    return content


def read_text(path: Path, limit_bytes: int = LIMIT_BYTES) -> str:
    """Read a text file: UTF-8 with or without byte order mark, UTF-16 with one; else InputError."""
    content = read_bytes(path, limit_bytes)
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as problem:
        raise InputError(
            f"{printable(path)} is not text in UTF-8 (byte {problem.start}); save it as UTF-8."
        ) from problem
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(f"{printable(path)}: line {line} holds a NUL byte; save it as plain text.")
    return text


def read_json(path: Path, remedy: str) -> Any:
    """The value in a JSON file; InputError, which ends with `remedy`, if it is not JSON."""
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise InputError(f"{printable(path)} is not JSON ({problem}); {remedy}.") from problem


@dataclass(slots=True)
class _Handler:
    """Follows the parser through a file; refuses document types and deep nesting."""

    path: Path
    open_tags: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def refuse(self, *_: object) -> None:
        raise InputError(
            f"{printable(self.path)} declares a document type, which such a file never needs and "
            "which may name other files; remove the declaration."
        )

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.open_tags.append(tag.rpartition(":")[2])
        if len(self.open_tags) > _DEEPEST:
            raise InputError(
                f"{printable(self.path)} is nested too deeply for an honest XML file; check that "
                "it is the right file."
            )
        self.text.clear()

    def data(self, text: str) -> None:
        self.text.append(text)

    def end(self, tag: str) -> None:
        self.text.clear()
        self.open_tags.pop()


@dataclass(slots=True)
class _Collector(_Handler):
    """Collects the text of leaf elements."""

    found: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        _Handler.start(self, tag, attributes)
        for name, value in attributes.items():
            self.found.append(((*self.open_tags, f"@{name}"), value))

    def end(self, tag: str) -> None:
        value = "".join(self.text).strip()
        if value:
            self.found.append((tuple(self.open_tags), value))
        _Handler.end(self, tag)


@dataclass(slots=True)
class _Builder(_Handler):
    """Builds a tree of the elements."""

    tree: TreeBuilder = field(default_factory=TreeBuilder)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        _Handler.start(self, tag, attributes)
        self.tree.start(tag, attributes)

    def data(self, text: str) -> None:
        self.tree.data(text)

    def end(self, tag: str) -> None:
        self.tree.end(tag)
        _Handler.end(self, tag)


def xml_values(path: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path of tags, text) of every element with text, and of every attribute as `@name`.

    Namespaces are dropped. InputError if it is not XML, or declares a document type.
    """
    collector = _Collector(path)
    _parse(read_bytes(path), collector)
    yield from collector.found


def xml_tree(path: Path, limit_bytes: int = LIMIT_BYTES) -> Element:
    """The root element of an XML file, under the limits of `xml_values`."""
    builder = _Builder(path)
    _parse(read_bytes(path, limit_bytes), builder)
    return builder.tree.close()


def _parse(content: bytes, handler: _Handler) -> None:
    """Lead `handler` through an XML text; InputError, naming its file, for one that is none."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = handler.refuse  # Entities are declared nowhere else.
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.data
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, LookupError) as problem:
        if isinstance(problem, InputError):
            raise
        raise InputError(
            f"{printable(handler.path)} is not well-formed XML ({problem}); repair it."
        ) from problem


def beside(path: Path, *names: str) -> Path | None:
    """The first of these names that exists in the same folder.

    Each also with its extension in lower or upper case (`10SEP..._P001.imd`), or all of it.
    """
    for name in names:
        stem, dot, suffix = name.rpartition(".")
        spelt = (name, stem + dot + suffix.lower(), stem + dot + suffix.upper())
        for candidate in dict.fromkeys((*spelt, name.lower(), name.upper())):
            with suppress(OSError, ValueError):  # A name too long for the system, or no name.
                found = path.with_name(candidate)
                if found != path and found.is_file():
                    return found
    return None
