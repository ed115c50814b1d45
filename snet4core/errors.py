"""The exceptions of snet4, all derived from `Snet4Error`.

Each error is one sentence: the file, what is wrong with it, what to do. Its class
says the exit code, and also inherits from the builtin that a caller would catch.

Options are named by `sentence.Option`, so that each front end can put its own names:

>>> from snet4core.sentence import ALLOW_REMOTE
>>> error = InputError("a.tif is remote; download it, or give ", ALLOW_REMOTE, ".")
>>> str(error)
'a.tif is remote; download it, or give --allow-remote.'
>>> error.sentence.told(lambda option: option.keyword)
'a.tif is remote; download it, or give allow_remote.'
"""

from __future__ import annotations

from typing import cast

from snet4core.sentence import Part, Sentence


class Snet4Error(Exception):
    """Root of all errors that snet4 raises on purpose."""

    exit_code = 1

    def __init__(self, *parts: Part) -> None:
        """The parts of one sentence; `str` of the error is in the words of the command line."""
        super().__init__(Sentence(*parts))
        options = dict.fromkeys((each.keyword, each.flag) for each in self.sentence.options)
        names = [f"{word} for {flag}" for word, flag in options if flag != f"--{word}"]
        if names:
            # A traceback, as in a notebook, shows it; the command line does not.
            self.add_note(f"In Python: {', '.join(names)}.")

    @property
    def sentence(self) -> Sentence:
        """What the error says, with the options it names."""
        return cast("Sentence", self.args[0])


class UsageError(Snet4Error, ValueError):
    """Options or arguments are invalid, or contradict each other."""

    exit_code = 2


class SomeScenesFailed(Snet4Error):
    """Some of several scenes failed; the others are written."""

    exit_code = 3


class EngineError(Snet4Error, RuntimeError):
    """A model, dependency or device is missing or unusable."""

    exit_code = 4


class ModelError(EngineError, ValueError):
    """A model file is missing, damaged, or not a model of snet4."""


class DependencyError(EngineError, ImportError):
    """A library that this step needs is not installed."""


class InputError(Snet4Error, ValueError):
    """A raster, table or vector file cannot be used as it is."""

    exit_code = 5


class OutsideError(InputError):
    """Nothing of the area that is searched lies in the scene."""


class LookError(InputError):
    """The look angle is missing, contradictory or impossible."""


class OutputError(Snet4Error, OSError):
    """The result cannot be written where it should go."""

    exit_code = 6


class Cancelled(Snet4Error):
    """The user stopped the run; a layer that was not finished is not there."""

    exit_code = 130
