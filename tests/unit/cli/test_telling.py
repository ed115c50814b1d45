"""`--progress`, `--log-file` and `--quiet` are the same for every command that works long."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from snet4_cli.main import COMMANDS, Commands
from snet4_cli.telling import Bar, Console, tells
from snet4core.errors import InputError

LONG = {"run", "merge", "polygonize", "demo", "scenes", "train", "calibrate"}


@pytest.mark.parametrize("name", COMMANDS)
def test_long_commands_have_the_options_and_no_others_do(name: str) -> None:
    command = Commands().get_command(click.Context(Commands()), name)
    assert command is not None
    options = {option for each in command.params for option in each.opts}
    assert ({"--progress", "--log-file", "-q", "--quiet"} <= options) is (name in LONG)


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def work() -> Call:
    """Call a command that works a little and warns; exit code, stderr and the error's text."""

    @click.command()
    @click.option("--fails", is_flag=True)
    @tells
    def command(fails: bool, bar: Bar) -> None:
        log = logging.getLogger("snet4")
        with bar:
            bar.step(1, 2, "tiles")
            log.info("A fact.")
            log.warning("A\nwarning.")
            if fails:
                raise InputError("a\nb.tif: is broken; mend it.")
            bar.step(2, 2, "tiles")

    def call(*arguments: str) -> tuple[int, str, str]:
        runner = CliRunner()
        with runner.isolation() as (_, err, _):
            import sys

            console = Console(sys.stderr)
            console.setLevel(logging.WARNING)
            logging.getLogger().addHandler(console)
            try:
                command.main(list(arguments), standalone_mode=False)
                return 0, err.getvalue().decode(), ""
            except InputError as problem:
                return 5, err.getvalue().decode(), str(problem)
            finally:
                logging.getLogger().removeHandler(console)

    return call


def test_quiet_leaves_stderr_empty(work: Call) -> None:
    assert work("--quiet") == (0, "", "")
    assert "warning" in work()[1]  # and only while it is asked for


def test_quiet_leaves_a_program_its_lines(work: Call) -> None:
    lines = work("-q", "--progress", "json")[1].splitlines()
    assert len(lines) == 2
    assert all(line.startswith('{"step": "tiles"') for line in lines)


def test_a_log_has_facts_warnings_and_the_error_each_on_a_line(work: Call, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert work("--quiet", "--log-file", str(log))[0] == 0
    assert work("--quiet", "--fails", "--log-file", str(log))[0] == 5
    first, *lines = log.read_text(encoding="utf-8").splitlines()
    assert first == "snet4 log"
    told = [line.split(" ", 2)[2] for line in lines]
    assert told[1:4] == ["INFO A fact.", "WARNING A warning.", "INFO Done."]
    assert told[5:] == ["INFO A fact.", "WARNING A warning.", "ERROR a b.tif: is broken; mend it."]
    assert logging.getLogger("snet4").handlers == []


def test_a_log_does_not_fill_another_file(work: Call, tmp_path: Path) -> None:
    picture = tmp_path / "scene.tif"
    picture.write_bytes(b"II*\0 and more")
    with pytest.raises(OSError, match=r"scene\.tif: is no log of snet4.*--log-file"):
        work("--log-file", str(picture))
    assert picture.read_bytes() == b"II*\0 and more"
    with pytest.raises(OSError, match="cannot be written"):
        work("--log-file", str(tmp_path / "no" / "log.txt"))
