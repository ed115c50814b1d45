"""Messages name options by `Option`, and keep them on their way to whoever shows them."""

from __future__ import annotations

import ast
import multiprocessing
import re
from pathlib import Path

import pytest

from snet4core import sentence
from snet4core.errors import (
    Cancelled,
    DependencyError,
    LookError,
    ModelError,
    OutputError,
    Snet4Error,
)
from snet4core.look.look import Look
from snet4core.sentence import AZIMUTH, NODATA, OFF_NADIR, Option, Sentence, joined

CORE = Path(sentence.__file__).parent
OPTIONS = [value for value in vars(sentence).values() if isinstance(value, Option)]
FLAG = re.compile(rf"(?:{'|'.join(option.flag for option in OPTIONS)})(?![\w-])")
COMMAND_LINE_ONLY = ("models export", "runtime openvino'", "give each --model", "A shard keeps no")
"""Texts about the command line alone."""


def texts(path: Path) -> list[str]:
    """The literals of a module, without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    literals = (n for n in ast.walk(tree) if isinstance(n, ast.Constant))
    return [n.value for n in literals if isinstance(n.value, str) and id(n) not in documentation]


@pytest.mark.parametrize(
    "path",
    # `snet4 models import` has a --bands of its own.
    [p for p in sorted(CORE.rglob("*.py")) if p.stem not in ("sentence", "importer")],
    ids=lambda p: p.stem,
)
def test_no_message_spells_an_option_out(path: Path) -> None:
    spelt = [text for text in texts(path) if FLAG.search(text)]
    assert [t for t in spelt if not any(words in t for words in COMMAND_LINE_ONLY)] == []


def test_every_flag_is_an_option_of_the_command_line() -> None:
    from snet4_cli.run import run
    from snet4_cli.score import score

    flags = {flag for each in (run, score) for param in each.params for flag in param.opts}
    assert {option.flag for option in OPTIONS} <= flags
    assert len({option.keyword for option in OPTIONS}) == len(OPTIONS)


@pytest.mark.parametrize("kind", [LookError, OutputError, DependencyError, ModelError, Cancelled])
def test_the_options_of_an_error_cross_a_pipe(kind: type[Snet4Error]) -> None:
    here, there = multiprocessing.Pipe()
    sent = kind("Give ", OFF_NADIR.taking("DEGREES"), " or ", NODATA, ".")
    there.send(sent)
    received = here.recv()
    assert type(received) is kind
    assert str(received) == str(sent) == "Give --off-nadir DEGREES or --nodata."
    assert received.sentence.parts == sent.sentence.parts
    assert received.__notes__ == ["In Python: off_nadir_deg for --off-nadir."]


def test_each_reader_is_told_of_options_by_their_own_names() -> None:
    with pytest.raises(LookError) as caught:
        Look(30.0, 400.0, "option")
    assert str(caught.value).endswith("with --azimuth.")
    assert caught.value.sentence.told(lambda option: option.keyword).endswith("with azimuth_deg.")


def test_sentences_within_sentences_keep_their_options() -> None:
    whole = joined("; ", [Sentence("a: ", AZIMUTH), "plain", Sentence("b\n ", NODATA, ".")])
    assert whole == "a: --azimuth; plain; b\n --nodata."
    assert whole.options == (AZIMUTH, NODATA)
    assert whole.one_line().without_stop().parts[-3:] == ("b ", NODATA, "")
