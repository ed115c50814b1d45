"""Everything that snet4 refuses, as one small family.

Each error is one sentence: the file, what is wrong with it, what to do. Its class
says the exit code, and also inherits from the builtin that a caller would catch.
"""

from __future__ import annotations


class Snet4Error(Exception):
    """The root: whatever snet4 raises on purpose can be caught by this name."""

    exit_code = 1


class UsageError(Snet4Error, ValueError):
    """Options or arguments that make no sense together."""

    exit_code = 2


class SomeScenesFailed(Snet4Error):
    """Several scenes were asked for; some failed, the rest is written."""

    exit_code = 3


class EngineError(Snet4Error, RuntimeError):
    """A model, dependency or device is missing or cannot be used."""

    exit_code = 4


class ModelError(EngineError, ValueError):
    """A model file that is missing, damaged, or not ours."""


class DependencyError(EngineError, ImportError):
    """A library that this step needs is not installed."""


class InputError(Snet4Error, ValueError):
    """A raster, table or vector file that cannot be used as it is."""

    exit_code = 5


class LookError(InputError):
    """The look angle is absent, contradictory or impossible."""


class OutputError(Snet4Error, OSError):
    """The place where the result should go cannot take it."""

    exit_code = 6


class Cancelled(Snet4Error):
    """The user stopped the run; nothing was written."""

    exit_code = 130
