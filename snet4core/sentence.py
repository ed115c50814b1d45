"""Messages that name options, in the words of whoever reads them.

The command line calls an option `--off-nadir`, Python `off_nadir_deg` and the QGIS plugin
`OFF_NADIR`. A `Sentence` is a `str` in the words of the command line that keeps the options it
names apart from its text, so that another front end can name them in its own way:

>>> sentence = Sentence("Give the angle with ", OFF_NADIR, ".")
>>> sentence
'Give the angle with --off-nadir.'
>>> sentence.told(lambda option: option.keyword)
'Give the angle with off_nadir_deg.'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self


class Option(NamedTuple):
    """Something a user may choose. No dataclass: errors are loaded before anything else is."""

    keyword: str
    """Its name in Python and in a worker's job."""
    flag: str
    """Its name on the command line."""
    value: str = ""
    """A placeholder for its value, as in `--off-nadir DEGREES`."""

    def taking(self, value: str) -> Option:
        """The same option, shown with a placeholder for its value."""
        return self._replace(value=value)

    def __str__(self) -> str:
        return f"{self.flag} {self.value}".rstrip()


OFF_NADIR = Option("off_nadir_deg", "--off-nadir")
AZIMUTH = Option("azimuth_deg", "--azimuth")
LOOKS = Option("looks_table", "--looks")
CRS = Option("crs", "--crs")
BANDS = Option("bands", "--bands")
NODATA = Option("nodata", "--nodata")
BOUNDS = Option("bounds", "--bounds")
AOI = Option("aoi", "--aoi")
THRESHOLD = Option("threshold", "--threshold")
MIN_AREA = Option("min_area_m2", "--min-area")
MIN_CONFIDENCE = Option("min_confidence", "--min-confidence")
SIMPLIFY = Option("simplify_m", "--simplify")
REGULARIZE = Option("regularize", "--regularize")
HEIGHT_MIN = Option("height_min_m", "--height-min")
HEIGHT_FIELD = Option("height_field", "--height-field")
ROOFS = Option("roofs", "--roofs")
ROOFS_FILE = Option("roofs_file", "--roofs-file")
ALLOW_REMOTE = Option("allow_remote", "--allow-remote")
MODEL = Option("model", "--model")
DEVICE = Option("device", "--device")
PRECISION = Option("precision", "--precision")
SCALES = Option("scales", "--tta")
ENGINE = Option("engine", "--runtime")
MEMORY = Option("memory_bytes", "--memory")
SAVE_MAPS = Option("save_maps", "--save-maps")
OVERWRITE = Option("overwrite", "--overwrite")

Part = str | Option


class Sentence(str):
    """A message: text and the options it names. As a `str`, in the words of the command line.

    Formatting it into an f-string keeps the text only; put it into another `Sentence` to keep
    its options:

    >>> Sentence("a.tif: ", Sentence("use ", NODATA, ".")).parts == ("a.tif: ", "use ", NODATA, ".")
    True
    """

    parts: tuple[Part, ...]
    """Texts and options in their order."""

    def __new__(cls, *parts: Part) -> Self:
        flat: list[Part] = []
        for part in parts:
            flat += part.parts if isinstance(part, Sentence) else [part]
        self = super().__new__(cls, "".join(map(str, flat)))
        self.parts = tuple(flat)
        return self

    @property
    def options(self) -> tuple[Option, ...]:
        """The options that the sentence names."""
        return tuple(part for part in self.parts if isinstance(part, Option))

    def told(self, name: Callable[[Option], str]) -> str:
        """The text with every option as `name` calls it."""
        return "".join(name(part) if isinstance(part, Option) else part for part in self.parts)

    def one_line(self) -> Sentence:
        """The same with each run of white space as one space."""
        return Sentence(*(_spaced(part) if isinstance(part, str) else part for part in self.parts))

    def without_stop(self) -> Sentence:
        """The same without its final full stop, to be put into brackets.

        >>> Sentence("Use ", NODATA, ".").without_stop()
        'Use --nodata'
        """
        *before, last = self.parts or ("",)
        return Sentence(*before, last.rstrip(".") if isinstance(last, str) else last)


def _spaced(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def joined(separator: str, sentences: Iterable[str]) -> Sentence:
    """Like `separator.join(sentences)`, keeping the options that they name."""
    parts: list[Part] = []
    for sentence in sentences:
        parts += [separator, sentence] if parts else [sentence]
    return Sentence(*parts)
