"""Text is written alike on every system: in UTF-8, with line feeds.

Windows' own are code pages, and two characters at the end of a line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ("snet4core", "cli/snet4_cli", "training/snet4_training", "qgis_plugin")


def careless(source: str) -> Iterator[str]:
    """`line: call` of each call that leaves encoding or line ends to the system.

    >>> list(careless("path.write_text('a')"))
    ["1: path.write_text('a')"]
    >>> list(careless("path.read_text(encoding='utf-8'); path.open('rb'); open(name, 'w')"))
    ["1: open(name, 'w')"]
    """
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        mode = _mode(node)
        given = {keyword.arg for keyword in node.keywords}
        if isinstance(function, ast.Attribute) and name == "write_text":
            # What JSON writes on one line has no line ends.
            wanted = {"encoding"} if "json.dumps" in ast.unparse(node) else {"encoding", "newline"}
            given |= {"encoding"} if len(node.args) > 1 else set()
        elif isinstance(function, ast.Attribute) and name == "read_text":
            wanted = {"encoding"}
            given |= {"encoding"} if node.args else set()
        elif ast.unparse(function).startswith(("rasterio", "fiona", "os.open")):
            continue
        elif name in ("open", "fdopen", "TemporaryFile") and mode and "b" not in mode:
            wanted = {"encoding"} if "r" in mode else {"encoding", "newline"}
        else:
            continue
        if not wanted <= given:
            yield f"{node.lineno}: {ast.unparse(node)}"


def _mode(call: ast.Call) -> str:
    """The mode that a call opens with; empty where none is said."""
    words = [*call.args, *(each.value for each in call.keywords if each.arg == "mode")]
    texts = [each.value for each in words if isinstance(each, ast.Constant)]
    modes = [each for each in texts if isinstance(each, str) and set(each) <= set("rwaxbt+")]
    return modes[0] if modes else ""


@pytest.mark.parametrize("package", CODE)
def test_no_text_depends_on_the_system(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{each}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for each in careless(path.read_text(encoding="utf-8"))
    ]
    assert found == []
