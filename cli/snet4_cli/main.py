"""The command `snet4`: loads the subcommand, and reports every error as one sentence.

Exit codes: 0 done; 1 a bug; 2 usage; 3 some of several scenes, or some parts, failed; 4 model,
dependency, device or memory; 5 unusable input; 6 output cannot be written; 130 interrupted.
"""

# ruff: noqa: E402  # Ctrl-C is handled before anything else is loaded
from __future__ import annotations

from snet4_cli import interrupt

interrupt.install()

import importlib
import io
import logging
import os
import sys
import tempfile
import traceback
import warnings
from typing import NoReturn

import click

from snet4_cli.telling import Console
from snet4core import __version__
from snet4core.errors import DependencyError, Snet4Error
from snet4core.extras import how_to_install
from snet4core.files.environment import use_own_data
from snet4core.sentence import Option, Sentence

COMMANDS = {
    "run": "Find building footprints in pictures and write a layer.",
    "merge": "Merge the parts of a run's shards into one layer.",
    "polygonize": "Turn stored maps into footprints, without the network.",
    "score": "Compare footprints with the truth, as SpaceNet 4 does.",
    "report": "Write a page about a layer that opens anywhere.",
    "info": "Show what a picture is and how it would be read.",
    "models": "List, show, export and import models.",
    "doctor": "Show what this installation can do, and why.",
    "demo": "Make a scene, find its houses, draw them.",
    "scenes": "Make synthetic off-nadir scenes with exact truth.",
    "lean": "Re-render a near-nadir picture at another look.",
    "train": "Train a model from a recipe.",
    "calibrate": "Fit thresholds and confidence on validation data.",
}
"""Name -> one line of help. Each command has its own module, imported only when it is called."""

_OWN = ("snet4core", "snet4_cli", "snet4_training")


class Commands(click.Group):
    """Imports a command's module when the command is called; `--help` imports none of them."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"snet4_cli.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"snet4_cli.{name} holds no command of that name")
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            context.fail(f"No such command '{args[0]}'. There are: {', '.join(COMMANDS)}.")
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="snet4")
@click.option("-v", "--verbose", is_flag=True, help="Say more, and show tracebacks.")
@click.pass_context
def snet4(context: click.Context, verbose: bool) -> None:
    """Building footprints from off-nadir satellite pictures.

    \b
    snet4 run scene.tif -o footprints.gpkg
    snet4 run 'scenes/*.tif' --looks looks.csv -o town.gpkg --csv submission.csv
    """
    context.obj = {"verbose": verbose}
    level = logging.INFO if verbose else logging.WARNING
    console = Console(sys.stderr, lambda told: in_words_of(_command_named(), told))
    console.setLevel(level)  # of its own, so that a log file may hold more
    logging.basicConfig(level=level, format="snet4: %(message)s", handlers=[console])
    if not verbose:
        warnings.simplefilter("ignore")  # a library's warning is no sentence of ours
        for library in ("fiona", "pyogrio", "rasterio", "shapely"):
            logging.getLogger(library).setLevel(logging.CRITICAL)  # nor is what it logs


def main() -> NoReturn:
    """Entry point of the console script."""
    verbose = False
    try:
        interrupt.install()
        verbose = any(argument in ("-v", "--verbose") for argument in sys.argv[1:])
        use_own_data()
        _escape_what_the_console_lacks()
        sys.exit(snet4.main(prog_name="snet4", standalone_mode=False) or 0)
    except click.exceptions.Exit as leaving:
        sys.exit(leaving.exit_code)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _interrupted(verbose)
    except BrokenPipeError:
        # The reader of our stdout has gone; point it elsewhere so that closing is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Snet4Error as problem:
        if interrupt.seen() and problem.exit_code != 130:
            _interrupted(verbose)
        _fail(in_words_of(_command_named(), problem.sentence), problem.exit_code, verbose)
    except ModuleNotFoundError as problem:
        if interrupt.seen():
            _interrupted(verbose)
        library = (problem.name or "").partition(".")[0]
        if library in ("", *_OWN):
            _fail(_bug(), 1, verbose)
        _fail(
            f"This needs {library}, which is not installed: {how_to_install(library)}",
            DependencyError.exit_code,
            verbose,
        )
    except MemoryError:
        _fail(_out_of_memory(), DependencyError.exit_code, verbose)
    except Exception:
        if interrupt.seen():
            _interrupted(verbose)
        _fail(_bug(), 1, verbose)


def _escape_what_the_console_lacks() -> None:
    r"""Print other alphabets as `\u57ce` where stdout is in an old code page, and go on.

    So it is on Windows, where the output goes into a file or a pipe.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


INSTEAD = {
    "--off-nadir": "off_nadir_deg in the folder's looks.csv",
    "--azimuth": "azimuth_deg in the folder's looks.csv",
    "--looks": "looks.csv in the folder",
    "--crs": "a copy that has it",
    "--bands": "the bands' own colours ('gdal_translate -colorinterp red,green,blue IN OUT')",
    "--nodata": "the file's own tag ('gdal_translate -a_nodata VALUE IN OUT')",
    "--allow-remote": "a copy on disk",
}
"""What a command without these options takes: `calibrate`, `train`, `score`, `report`."""


def in_words_of(command: click.Command | None, sentence: Sentence) -> str:
    """A message of the engine, with something else in the place of options the command lacks."""
    flags = {flag for each in (command.params if command else ()) for flag in each.opts}

    def name(option: Option) -> str:
        lacking = command is not None and option.flag not in flags
        return INSTEAD.get(option.flag, str(option)) if lacking else str(option)

    return sentence.told(name)


def _command_named() -> click.Command | None:
    """The command on the command line; None if there is none, or it cannot be loaded."""
    name = next((each for each in sys.argv[1:] if each in COMMANDS), None)
    try:
        return None if name is None else Commands().get_command(click.Context(snet4), name)
    except ImportError:
        return None


def _out_of_memory() -> str:
    command = _command_named()
    flags = {flag for each in (command.params if command else ()) for flag in each.opts}
    remedies = {"--memory": "give --memory SIZE, as in 2G", "--block": "give a smaller --block"}
    told = [text for flag, text in remedies.items() if flag in flags]
    return f"Out of memory; {' or '.join([*told, 'close other programs'])}."


def _interrupted(verbose: bool) -> NoReturn:
    _fail("Interrupted; nothing was written.", 130, verbose)


def _bug() -> str:
    return f"This is a bug in snet4; please report it with {_report_file()}."


def _fail(sentence: str, code: int, verbose: bool) -> NoReturn:
    if verbose:
        traceback.print_exc()
    one_line = " ".join(sentence.split())
    click.echo(f"snet4: {one_line}", err=True)
    sys.exit(code)


def _report_file() -> str:
    """Write the traceback of the current exception to a file that the user can send."""
    handle, path = tempfile.mkstemp(prefix="snet4-report-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
        file.write(f"snet4 {__version__}, Python {sys.version}\n{sys.argv}\n\n")
        file.write(traceback.format_exc())
    return path
