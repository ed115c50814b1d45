"""What a worker is asked to do: one JSON object, checked before anything else happens.

A key that is unknown is refused by name, so that a misspelt option is never ignored.
"""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from snet4core.errors import UsageError

if TYPE_CHECKING:
    from snet4core.plan import Choices

PROTOCOL = 1
"""Raised when an older client would misunderstand the worker, or the other way round."""

Kind = Literal["extract", "plan", "polygonize", "score", "check"]
"""The jobs there are; `plan` is `extract` without the work."""


@dataclass(frozen=True, slots=True)
class Request:
    """One job. What is None is left to the scene, the maps or the model's card."""

    kind: Kind
    """What to do."""
    folder: str | None = None
    """Where temporary results may lie; the system's place when absent."""
    scene: str | None = None
    """`extract`, `plan`: the picture's file."""
    maps: str | None = None
    """`polygonize`: the maps' file."""
    proposals: str | None = None
    """`score`: what was found."""
    truth: str | None = None
    """`score`: what there is."""
    off_nadir_deg: float | None = None
    """Look angle; 0 is straight down."""
    azimuth_deg: float | None = None
    """From satellite to ground, clockwise from north."""
    bands: str | None = None
    """Which band is which, as in `--bands`."""
    bounds: tuple[float, float, float, float] | None = None
    """x min, y min, x max, y max in the scene's CRS."""
    threshold: float | None = None
    """See `ShapeSettings`, as the next four."""
    min_area_m2: float | None = None
    min_confidence: float | None = None
    simplify_m: float | None = None
    regularize: bool | None = None
    model: str = "default"
    """A shipped model's name, or a file."""
    device: str = "auto"
    """As in `--device`."""
    precision: str = "auto"
    """As in `--precision`."""
    save_maps: str | None = None
    """`extract`: where the maps are kept."""
    shown_output: str | None = None
    """The result's name in the command line that is shown; the worker never writes there."""
    s_per_mpix: float | None = None
    """`plan`: seconds per megapixel of an earlier run, from which the time is estimated."""

    @property
    def choices(self) -> Choices:
        """What the user chose, as `detect` wants it."""
        from snet4core.plan import Choices  # heavy; the worker holds its lifeline before

        shared = {field.name for field in fields(Choices)} & {f.name for f in fields(Request)}
        return Choices(**{name: getattr(self, name) for name in shared})

    def path(self, name: Literal["scene", "maps", "proposals", "truth"]) -> Path:
        """A file that this kind of job cannot do without. Raises UsageError when absent."""
        value = getattr(self, name)
        if not value:
            raise UsageError(f"The job '{self.kind}' lacks '{name}'; name the file.")
        return Path(value)

    def command(self) -> str:
        """The equal command line, to be pasted into a shell.

        >>> Request("extract", scene="a b.tif", off_nadir_deg=32, shown_output="o.gpkg").command()
        "snet4 run 'a b.tif' -o o.gpkg --off-nadir 32"
        """
        output = self.shown_output or "footprints.gpkg"
        verb, source = ("polygonize", self.maps) if self.maps else ("run", self.scene)
        words = ["snet4", verb, _argument(source or ""), "-o", _argument(output)]
        for name, option in _OPTIONS.items():
            value = getattr(self, name)
            if name == "regularize" and value is not None:
                words.append("--regularize" if value else "--no-regularize")
            elif name == "bounds" and value is not None:
                words += [option, *(f"{each!r}" for each in value)]
            elif value is not None and value != _UNSAID.get(name):
                words += [option, f"{value:.12g}" if isinstance(value, float | int) else value]
        return shlex.join(words)


_OPTIONS = {
    "off_nadir_deg": "--off-nadir",
    "azimuth_deg": "--azimuth",
    "bands": "--bands",
    "bounds": "--bounds",
    "threshold": "--threshold",
    "min_area_m2": "--min-area",
    "min_confidence": "--min-confidence",
    "simplify_m": "--simplify",
    "regularize": "--regularize",
    "model": "--model",
    "device": "--device",
    "precision": "--precision",
    "save_maps": "--save-maps",
}
_UNSAID = {"model": "default", "device": "auto", "precision": "auto"}


def _argument(path: str) -> str:
    """A path that no shell and no option parser takes for something else."""
    return f"./{path}" if path.startswith(("-", "@")) else path


def parse(line: bytes) -> Request:
    """One line of JSON as a request. Raises UsageError for anything but a proper job."""
    try:
        raw = json.loads(line)
    except ValueError as problem:
        raise UsageError(f"The job is not one line of JSON ({problem}).") from None
    if not isinstance(raw, dict):
        raise UsageError("The job must be a JSON object.")
    protocol = raw.pop("protocol", None)
    if protocol != PROTOCOL:
        raise UsageError(
            f"The job speaks protocol {protocol}, this snet4 speaks {PROTOCOL}; install the "
            "plugin and the engine of the same version."
        )
    kind = raw.pop("kind", None)
    if kind not in get_args(Kind):
        raise UsageError(f"The job's kind {kind!r} is unknown; use {', '.join(get_args(Kind))}.")
    known = {field.name for field in fields(Request)}
    for name in raw:
        if name not in known:
            raise UsageError(f"The job has an unknown entry {name!r}.")
    return Request(kind, **{name: _checked(name, value) for name, value in raw.items()})


_NUMBERS = frozenset(
    {
        "off_nadir_deg",
        "azimuth_deg",
        "threshold",
        "min_area_m2",
        "min_confidence",
        "simplify_m",
        "s_per_mpix",
    }
)


def _checked(name: str, value: Any) -> Any:
    """The value if it is of the right kind; a list of four becomes a tuple."""
    if value is None and name not in _UNSAID:
        return None
    if name == "regularize":
        fits = isinstance(value, bool)
    elif name == "bounds":
        fits = isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))
        value = tuple(map(float, value)) if fits else value
    elif name in _NUMBERS:
        fits = _is_number(value)
        value = float(value) if fits else value
    else:
        fits = isinstance(value, str) and "\0" not in value
    if not fits:
        raise UsageError(f"The job's entry {name!r} cannot be {value!r}.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
