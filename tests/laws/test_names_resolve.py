"""Every module of ours that code, a text in code or a page names is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOPS = {
    "snet4core": ROOT / "snet4core",
    "snet4_cli": ROOT / "cli" / "snet4_cli",
    "snet4_training": ROOT / "training" / "snet4_training",
    "benchmarks": ROOT / "benchmarks",
    "helpers": ROOT / "tests" / "helpers",
}
CODE = sorted(
    path
    for folder in ("snet4core", "cli", "training", "tests", "benchmarks", "tools")
    for path in (ROOT / folder).rglob("*.py")
)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED = re.compile(rf"\b(?:from|import|-m) ((?:{'|'.join(TOPS)})(?:\.\w+)*)(?: import (\w+))?")
"""A module in a text: in code for another process, in an example, in a command."""
PATHS = re.compile(
    r"(?<![\w/.])((?:snet4core|cli|training|tests|benchmarks(?!/out)|tools|docs|qgis_plugin)/"
    r"[a-z_A-Z0-9./-]+"
    r"\.(?:py|pyi|md|toml|json|png|jpg|svg|qml))\b"
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def place(module: str) -> Path | None:
    """The file or folder of a module; None where there is none."""
    top, *rest = module.split(".")
    path = TOPS[top].joinpath(*rest)
    if path.is_dir():
        return path
    file = path.with_suffix(".py")
    return file if file.is_file() else None


@cache
def defined(path: Path) -> frozenset[str]:
    """Names at the top of a module, those that it imports among them; of a folder its modules."""
    if path.is_dir():
        inside = {each.stem for each in path.iterdir()}
        faces = [face for face in (path / "__init__.py", path / "__init__.pyi") if face.is_file()]
        return frozenset(inside.union(*map(defined, faces)))
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return frozenset(found)


def is_there(module: str, wanted: str | None) -> bool:
    """Whether the module exists, and `wanted` in it."""
    where = place(module)
    return where is not None and (wanted in (None, "*") or wanted in defined(where))


def imports(path: Path) -> Iterator[tuple[str, str | None]]:
    """(module, name) of what a file imports of ours, also in texts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and _is_ours(node.module):
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((found[1], found[2]) for found in NAMED.finditer(node.value))


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in TOPS


@pytest.mark.parametrize("path", CODE, ids=name)
def test_what_a_file_imports_of_ours_is_there(path: Path) -> None:
    assert [each for each in imports(path) if not is_there(*each)] == []


@pytest.mark.parametrize("path", [*CODE, *PAGES], ids=name)
def test_paths_of_ours_in_texts_are_there(path: Path) -> None:
    named = set(PATHS.findall(path.read_text(encoding="utf-8")))
    assert [each for each in sorted(named) if not (ROOT / each).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_modules_in_pages_are_there(path: Path) -> None:
    found = [(each[1], each[2]) for each in NAMED.finditer(path.read_text(encoding="utf-8"))]
    assert [each for each in found if not is_there(*each)] == []


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_between_pages_are_there(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert [each for each in targets if not (path.parent / each).exists()] == []
