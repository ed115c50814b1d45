"""The exceptions of snet4, all derived from `Snet4Error`.

Each message is one sentence: the file, what is wrong with it, what to do. The class
sets the exit code, and also inherits from the builtin that a caller would catch.
"""

from __future__ import annotations


class Snet4Error(Exception):
    """Base class of all errors that snet4 raises on purpose."""

    exit_code = 1


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


class LookError(InputError):
    """The look angle is missing, contradictory or impossible."""


class OutputError(Snet4Error, OSError):
    """The result cannot be written where it should go."""

    exit_code = 6


class Cancelled(Snet4Error):
    """The user stopped the run; nothing was written."""

    exit_code = 130
