"""The pages: each has a place in the site, anchors exist, commands and options are those of --help.

That the files which pages link to exist is asked in `test_names_resolve`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from snet4_cli.main import COMMANDS, snet4

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
SOURCES = sorted(DOCS.rglob("*.md")) + sorted(DOCS.glob("notebooks/*.py"))

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
LINK = re.compile(r"\]\((?!https?:)([^)\s#]*)#([^)\s]+)\)")
FOREIGN = {
    # Of Dask, containers, pytest, and of our tools and benchmarks, which the pages name too.
    "--build-arg", "--scale", "--shm-size",
    "--check", "--full", "--leaned", "--list", "--nthreads", "--nworkers", "--quick",
    "--randomly-seed", "--real", "--resources", "--seeds", "--told",
}  # fmt: skip


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^(?: {4}|\t).*$", "", FENCE.sub("", text), flags=re.M)


def blocks(text: str) -> Iterator[str]:
    """Its blocks of code that a shell may be meant for: indented ones, and fenced ones."""
    yield from (match[2] for match in FENCE.finditer(text) if match[1] in ("", "sh", "text"))
    yield re.sub(r"^(?! {4}).*$", "", FENCE.sub("", text), flags=re.M)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them.

    >>> sorted(anchors("# Maps file\\n## A `.part`, or two\\n## Maps file\\n"))
    ['a-part-or-two', 'maps-file', 'maps-file-1']
    """
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?)\s*$", FENCE.sub("", text), re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        more = (f"{slug}-{number}" for number in range(1, 100))
        found.add(slug if slug not in found else next(each for each in more if each not in found))
    return found


def commands(text: str) -> Iterator[list[str]]:
    """Every call of snet4 in a page, in words; a call ends at the line's end, a pipe or a comment.

    >>> list(commands("x\\n\\n    A=1 snet4 run a.tif \\\\\\n        -o b.gpkg | cat\\n"))
    [['run', 'a.tif', '-o', 'b.gpkg']]
    """
    inline = (" ".join(each.split()) for each in INLINE.findall(prose(text)))
    lines = [line for block in blocks(text) for line in re.sub(r"\\\n", " ", block).splitlines()]
    for line in [*inline, *lines]:
        for call in re.findall(r"(?:^|[\s;&(])(?:snet4|-m snet4_cli) ([^|;&#]+)", line):
            try:
                yield shlex.split(call)
            except ValueError:
                yield call.split()


def options_of(words: list[str]) -> tuple[str, set[str]] | None:
    """The command that words name and its options; None where they are prose."""
    if not words or words[0] not in COMMANDS:
        return None
    command = snet4.get_command(click.Context(snet4), words[0])
    if isinstance(command, click.Group):
        command = command.commands.get(words[1] if len(words) > 1 else "", command)
    assert command is not None
    known = [*command.get_params(click.Context(command)), *snet4.get_params(click.Context(snet4))]
    return str(command.name), {one for each in known for one in (*each.opts, *each.secondary_opts)}


def unknown_options(text: str) -> list[str]:
    """What a page types that its command does not know."""
    wrong = []
    for words in commands(text):
        if found := options_of([word for word in words if word not in ("-v", "--verbose")]):
            command, known = found
            typed = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            wrong += [f"snet4 {command} {each}" for each in sorted(typed - known)]
    return wrong


def all_options() -> set[str]:
    """Of all commands."""
    listed = [[each] for each in COMMANDS] + [["models", each] for each in ("import", "export")]
    return {one for words in listed for one in (options_of(words) or ("", set()))[1]}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_that_a_page_types_are_known_to_help(page: Path) -> None:
    assert unknown_options(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_that_a_page_names_are_of_some_command(page: Path) -> None:
    named = re.findall(r"`(--[a-z][a-z-]+)", prose(page.read_text(encoding="utf-8")))
    assert sorted(set(named) - all_options() - FOREIGN) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`snet4 ([a-z]+)", prose(page.read_text(encoding="utf-8")))
    assert sorted(set(named) - set(COMMANDS)) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_anchors_that_a_page_links_to_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    wrong = []
    for target, anchor in LINK.findall(text):
        other = (page.parent / target).read_text(encoding="utf-8") if target else text
        if anchor not in anchors(other):
            wrong.append(f"{target}#{anchor}")
    assert wrong == []


def test_every_page_has_a_place_in_the_site() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = [
        line
        for kind, inside in FENCE.findall(index.replace("```{toctree}", "```toctree"))
        if kind == "toctree"
        for line in inside.splitlines()
        if line and not line.startswith(":")
    ]
    assert len(listed) == len(set(listed))
    there = {each.relative_to(DOCS).with_suffix("").as_posix() for each in SOURCES} - {"index"}
    assert sorted(listed) == sorted(there)


PYTHON = [
    (page, number, match)
    for page in PAGES
    if page.name != "api.md"  # its examples are doctests of the code that they come from
    for number, match in enumerate(re.finditer(r"(<!-- .*? -->\n)?^```python\n(.*?)^```$",
        page.read_text(encoding="utf-8"), re.M | re.S))
]  # fmt: skip


@pytest.mark.parametrize(
    ("page", "match"),
    [pytest.param(page, match, id=f"{name(page)}-{number}") for page, number, match in PYTHON],
)
def test_python_in_pages_runs(
    page: Path,
    match: re.Match[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rendered_scene: Path,
) -> None:
    """In a folder with a `scene.tif`; `<!-- not run: REASON -->` above a block marks the others."""
    if match[1]:
        assert re.fullmatch(r"<!-- not run: .{10,} -->\n", match[1])
        compile(match[2], name(page), "exec")
        return
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    (tmp_path / "scene.tif").write_bytes(rendered_scene.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(compile(match[2], name(page), "exec"), {"__name__": "page"})
