"""What the code can tell a user, and which commands can come to tell it.

Read from the syntax trees alone. A function counts as reached by a command if code that the
command reaches mentions its name: too often rather than too rarely.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from snet4core import sentence
from snet4core.sentence import Option

ROOT = Path(__file__).resolve().parents[2]
PLACES = {"snet4core": ROOT, "snet4_cli": ROOT / "cli", "snet4_training": ROOT / "training"}
OPTIONS = {name: each for name, each in vars(sentence).items() if isinstance(each, Option)}
_MODULE = re.compile(rf"({'|'.join(PLACES)})(\.\w+)*")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Told:
    """A text of the code, with `{}` for what is put in when it is told."""

    place: str
    """File and line."""
    function: str
    """`module:function` that holds it; the function is empty at a module's top."""
    text: str
    """In the words of the command line."""
    options: tuple[str, ...]
    """Flags that it names by `Option`s, which each front end puts in its own words."""
    commands: frozenset[str]
    """Commands that may tell it."""


@dataclass(slots=True)
class _Block:
    """A function with what is nested in it, or the top of a module or a class."""

    module: str
    name: str
    options: dict[str, Option]
    """Those of `snet4core.sentence` that its module imports, by the names they have there."""
    nodes: list[ast.AST] = field(default_factory=list)
    mentions: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)


@cache
def everything_told(commands: tuple[str, ...]) -> tuple[Told, ...]:
    """All texts but docstrings, with the `commands` that reach them."""
    blocks = [block for module in _modules() for block in _blocks(module)]
    reached = {name: _reached(blocks, name) for name in commands}
    return tuple(
        Told(
            f"{_file(block.module).relative_to(ROOT)}:{line}",
            f"{block.module}:{block.name}",
            text,
            options,
            frozenset(name for name in commands if id(block) in reached[name]),
        )
        for block in blocks
        for line, text, options in _texts(block.nodes, block.options)
    )


def texts_in(folder: Path) -> Iterator[tuple[str, str]]:
    """(place, text) of every string but docstrings below a folder."""
    for path in sorted(folder.rglob("*.py")):
        nodes = ast.parse(path.read_text(encoding="utf-8")).body
        for line, text, _ in _texts(list(nodes), {}):
            yield f"{path.relative_to(ROOT)}:{line}", text


def _modules() -> Iterator[str]:
    for package, place in PLACES.items():
        for path in sorted((place / package).rglob("*.py")):
            yield ".".join(path.relative_to(place).with_suffix("").parts).removesuffix(".__init__")


def _file(module: str) -> Path:
    path = PLACES[module.partition(".")[0]].joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _blocks(module: str) -> list[_Block]:
    """The top of a module, and each of its functions, methods and class bodies."""
    tree = ast.parse(_file(module).read_text(encoding="utf-8"))
    options = _options_of(tree)
    found = [_Block(module, "", options)]

    def visit(nodes: list[ast.stmt], block: _Block) -> None:
        for node in nodes:
            if isinstance(node, Function):
                found.append(_Block(module, node.name, options, [node]))
            elif isinstance(node, ast.ClassDef):
                body = _Block(module, node.name, options, [*node.bases, *node.decorator_list])
                found.append(body)
                visit(node.body, body)
            else:
                block.nodes.append(node)

    visit(tree.body, found[0])
    for block in found:
        for node in (inner for outer in block.nodes for inner in ast.walk(outer)):
            _note(block, node)
    return found


def _options_of(tree: ast.AST) -> dict[str, Option]:
    return {
        name.asname or name.name: OPTIONS[name.name]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "snet4core.sentence"
        for name in node.names
        if name.name in OPTIONS
    }


def _note(block: _Block, node: ast.AST) -> None:
    if isinstance(node, ast.Name):
        block.mentions.add(node.id)
    elif isinstance(node, ast.Attribute):
        block.mentions.add(node.attr)
    elif isinstance(node, ast.Import):
        block.imports |= {name.name for name in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module:
        block.mentions |= {name.name for name in node.names}
        block.imports |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    elif isinstance(node, ast.Constant) and _MODULE.fullmatch(str(node.value)):
        block.imports.add(node.value)


def _reached(blocks: list[_Block], command: str) -> set[int]:
    """Identities of the blocks that a command reaches."""
    by_module: dict[str, list[_Block]] = defaultdict(list)
    for block in blocks:
        by_module[block.module].append(block)
    loaded: set[str] = set()
    mentioned: set[str] = set()
    reached: set[int] = set()
    entry = f"snet4_cli.{command}"
    to_load = {entry, "snet4_cli.options"}
    while True:
        before = len(reached), len(loaded)
        for module in [name for name in to_load if name in by_module and name not in loaded]:
            loaded.add(module)
        for module in loaded:
            for block in by_module[module]:
                called = block.name.startswith("__") and block.name.endswith("__")
                called |= module == entry  # by click, which knows it by a decorator
                wanted = not block.name or called or block.name in mentioned
                if id(block) not in reached and wanted:
                    reached.add(id(block))
                    mentioned |= block.mentions
                    to_load |= block.imports
        if before == (len(reached), len(loaded)):
            return reached


def _texts(
    nodes: list[ast.AST], options: dict[str, Option]
) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """(line, text, flags) of the outermost strings; the parts of one sentence are joined."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring, or the description of what stands above it
        if isinstance(node, Function) and ast.get_docstring(node):
            inner: list[ast.AST] = [node.args, *node.decorator_list, *node.body[1:]]
            yield from _texts(inner, options)
            continue
        parts = _parts(node, options)
        if parts is None:
            yield from _texts(list(ast.iter_child_nodes(node)), options)
            continue
        text, flags = "".join(each for each, _ in parts), [flag for _, flag in parts if flag]
        if len(text) > 12 or flags:
            yield getattr(node, "lineno", 0), text, tuple(flags)
        # What is put into it may be a sentence of its own.
        if isinstance(node, ast.Call):
            rest = [each for each in node.args if _piece(each, options) is None]
            yield from _texts([*rest, *(keyword.value for keyword in node.keywords)], options)


def _parts(node: ast.AST, options: dict[str, Option]) -> list[tuple[str, str]] | None:
    """(text, flag or "") of each part, if the node is a text, or a call with parts of one."""
    if isinstance(node, ast.Call) and _is_sentence(node, options):
        return [_piece(each, options) or ("{}", "") for each in node.args]
    piece = None if isinstance(node, ast.Name) else _piece(node, options)
    return None if piece is None else [piece]


def _is_sentence(call: ast.Call, options: dict[str, Option]) -> bool:
    """Whether a call's arguments are the parts of a sentence: `Sentence`, and our errors."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    pieces = any(_piece(each, options) is not None for each in call.args)
    return pieces and (name == "Sentence" or name.endswith(("Error", "Failed", "Cancelled")))


def _piece(node: ast.AST, options: dict[str, Option]) -> tuple[str, str] | None:
    """(text, flag or "") of a string, an f-string, an option or an option with its value."""
    if isinstance(node, ast.Constant):
        return (node.value, "") if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        values = [each.value if isinstance(each, ast.Constant) else "{}" for each in node.values]
        return "".join(map(str, values)), ""
    if isinstance(node, ast.Name) and node.id in options:
        return options[node.id].flag, options[node.id].flag
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        option = _piece(node.func.value, options)
        value = [_piece(each, options) for each in node.args]
        if node.func.attr == "taking" and option is not None and value:
            return f"{option[0]} {value[0][0] if value[0] else '{}'}", option[1]
    return None
