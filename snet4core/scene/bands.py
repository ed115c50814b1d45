"""Maps the bands of a file to the input bands of a model.

The mapping comes from, in this order: the `--bands` option; band descriptions and colour
interpretation in the file; the metadata of the delivery (`delivered_bands`); the number of
bands, where that number has one customary order and no band says another name.
Anything else is refused: the first N bands are never used silently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from snet4core.errors import InputError, UsageError
from snet4core.files.names import printable
from snet4core.scene.delivered_bands import ALIASES, NAME_OF, band_name, words
from snet4core.sentence import BANDS, Sentence

MODEL_BANDS = ("blue", "green", "red", "nir")
"""Input bands of the models shipped with snet4, in SpaceNet 4's order."""

_NO_NAMES = ("undefined", "gray", "grey", "palette", "alpha")
"""Colour interpretations that do not tell what a band shows."""

_SENTINEL2 = {"b2": "blue", "b3": "green", "b4": "red", "b8": "nir"}
"""Numbers by which Sentinel-2's bands are called; Landsat's and Airbus's mean others."""
_WORLDVIEW = ("coastal", "blue", "green", "yellow", "red", "rededge", "nir", "nir2")
"""The eight bands of WorldView-2 and -3, in the order in which they are delivered."""


@dataclass(frozen=True, slots=True)
class FileBands:
    """Band metadata of a file; both sequences have one entry per band."""

    descriptions: tuple[str | None, ...]
    """Free text, often absent."""
    interpretations: tuple[str, ...]
    """GDAL's colour interpretation in lower case: `red`, `alpha`, `palette`, `undefined`..."""
    delivered: tuple[str | None, ...] = ()
    """snet4's name of each band by the delivery's metadata; empty if that does not tell."""
    delivered_by: str = ""
    """The file that says so."""

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.interpretations)

    @property
    def delivery_tells(self) -> bool:
        """Whether the delivery's metadata name any band of such a file."""
        return len(self.delivered) == self.count and any(self.delivered)

    def named(self) -> tuple[str | None, ...]:
        """snet4's name of each band, from its description, else its colour interpretation."""
        return tuple(
            band_name(description) or (tag if tag in ALIASES else None)
            for description, tag in zip(self.descriptions, self.interpretations, strict=True)
        )

    def other_names(self) -> dict[int, str]:
        """Number -> description, or else interpretation, of bands that are named, but no colour.

        `Band 3` says nothing about the third band, and something about any other.

        >>> FileBands(("Band 1", "ndvi", "Band 2"), ("undefined",) * 3).other_names()
        {2: 'ndvi', 3: 'Band 2'}
        """
        named = self.named()
        found = {}
        tagged = zip(named, self.descriptions, self.interpretations, strict=True)
        for number, (name, text, tag) in enumerate(tagged, 1):
            told = tag if _says_nothing(text, number) and tag not in _NO_NAMES else text
            if name is None and not _says_nothing(told, number):
                found[number] = str(told)
        return found


@dataclass(frozen=True, slots=True)
class BandMap:
    """The file's band for each model band; None where the file has no such band."""

    model_bands: tuple[str, ...]
    """Names, in the model's order."""
    file_bands: tuple[int | None, ...]
    """1-based band of the file for each model band."""
    alpha_band: int | None
    """1-based band that masks the others; None without one."""
    says: str
    """One sentence for the log and the layer: the mapping and its source."""
    warnings: tuple[str, ...] = ()
    """What was assumed, or contradicts it; each begins with a verb: the file is its subject."""

    @property
    def read_bands(self) -> tuple[int, ...]:
        """The distinct file bands to read, ascending."""
        return tuple(sorted({band for band in self.file_bands if band is not None}))

    @property
    def missing(self) -> tuple[str, ...]:
        """Model bands that the file does not have."""
        pairs = zip(self.model_bands, self.file_bands, strict=True)
        return tuple(name for name, band in pairs if band is None)


def band_map(
    file: FileBands,
    option: str | None = None,
    model_bands: Sequence[str] = MODEL_BANDS,
) -> BandMap:
    """Decide which file band feeds which model band.

    `option` is the value of `--bands`: one entry per model band (`3,2,1,4`, `-` for a band
    that the file lacks) or names (`red=1,green=2,blue=3`).

    Raises UsageError for an option that does not fit the file; InputError when there is no
    option and the file does not identify its bands, or holds palette indices. The message
    (without the file's name) shows the option to use.

    >>> band_map(FileBands((None,) * 3, ("red", "green", "blue"))).file_bands
    (3, 2, 1, None)
    """
    model = tuple(model_bands)
    if "palette" in file.interpretations and "footprint" not in model:
        # Of a map, which has no colours, the indices are the values: a 1-bit mask has a palette.
        raise InputError(
            "holds palette indices, not colours; expand it with "
            "'gdal_translate -expand rgb IN OUT' and use the result"
        )
    if option is not None:
        return _from_option(file, option, model)
    found = _from_names(file, model) or _from_delivery(file, model) or _from_count(file, model)
    return found or _refuse(file, model)


def _says_nothing(description: str | None, number: int) -> bool:
    """Whether a description is absent, or no more than the band's own number.

    >>> _says_nothing("Band_3", 3), _says_nothing("B3", 3), _says_nothing("B4", 1)
    (True, True, False)
    """
    said = words(description or "")
    numbered = re.fullmatch(r"(?:band|channel|layer|raster|b)? ?0*(\d+)", said)
    return int(numbered[1]) == number if numbered else said in ("", "gray", "grey", "undefined")


def _band_map_of(
    model: tuple[str, ...],
    chosen: dict[str, int],
    alpha: int | None,
    why: str,
    warnings: Sequence[str] = (),
) -> BandMap:
    file_bands = tuple(chosen.get(name) for name in model)
    pairs = zip(model, file_bands, strict=True)
    told = ", ".join(f"{name} = {f'band {band}' if band else 'none'}" for name, band in pairs)
    mask = f", mask = band {alpha}" if alpha else ""
    says = Sentence(f"Bands: {told}{mask} (", why, ").")
    return BandMap(model, file_bands, alpha, says, tuple(warnings))


def option_for(chosen: dict[str, int]) -> str:
    """A value of `--bands` that gives this mapping.

    >>> option_for({"red": 1, "nir": 4})
    'red=1,nir=4'
    """
    ordered = sorted(chosen.items(), key=lambda pair: pair[1])
    return ",".join(f"{name}={band}" for name, band in ordered)


def _from_option(file: FileBands, option: str, model: tuple[str, ...]) -> BandMap:
    """The mapping that `--bands` gives; a band named in it is never used as the mask."""
    entries = [entry.strip() for entry in option.split(",")]
    by_name = any("=" in entry for entry in entries)
    if not by_name and len(entries) != len(model):
        raise UsageError(
            BANDS,
            f" {option} names {len(entries)} bands, but the model reads {len(model)} "
            f"({', '.join(model)}); name all of them, with - for one that the file lacks.",
        )
    pairs = entries if by_name else [f"{m}={e}" for m, e in zip(model, entries, strict=True)]
    chosen: dict[str, int] = {}
    seen: set[str] = set()
    for entry in pairs:
        left, equals, right = entry.partition("=")
        name = left.strip() if left.strip() in model else NAME_OF.get(left.strip().lower(), left)
        if not equals or name not in model or name in seen:
            raise UsageError(
                BANDS,
                f" {option}: '{entry}' does not name one band of the model "
                f"({', '.join(model)}) once; write for example red=1,green=2,blue=3.",
            )
        seen.add(name)
        if right.strip() == "-":
            continue
        if not re.fullmatch(r"[0-9]{1,5}", right.strip()) or not 1 <= int(right) <= file.count:
            raise UsageError(
                BANDS,
                f" {option}: '{right.strip()}' is not a band of the file, which has "
                f"{file.count}; use 1 to {file.count}, or - for none.",
            )
        chosen[name] = int(right)
    if not chosen:
        raise UsageError(BANDS, f" {option} leaves no band to read; name at least one.")
    why = Sentence("from ", BANDS, f" {option}")
    return _band_map_of(model, chosen, _alpha(file, set(chosen.values())), why)


def _alpha(file: FileBands, taken: set[int]) -> int | None:
    """The last band tagged alpha that is not in `taken`, the bands used as picture bands."""
    tagged = {n for n, tag in enumerate(file.interpretations, 1) if tag == "alpha"}
    return max(tagged - taken, default=None)


def _from_names(file: FileBands, model: tuple[str, ...]) -> BandMap | None:
    """The mapping by name, if every visible band of the model is named exactly once."""
    named = file.named()
    chosen = {name: named.index(name) + 1 for name in model if named.count(name) == 1}
    wanted = {name for name in model if name != "nir"}
    if not wanted <= set(chosen):
        return None
    why = "named in the file"
    alpha = _alpha(file, set(chosen.values()))
    warnings = [*_contradictions(file, chosen), *_unused_masks(file, named)]
    if "nir" in model and "nir" not in chosen:
        others = file.other_names()
        spare = [n for n, name in enumerate(named, 1) if name is None and n not in others]
        if len(spare) == 1 and not others:
            chosen["nir"] = spare[0]
            why = (
                f"colours named in the file; its one unnamed band {spare[0]} is taken for infrared"
            )
        elif spare or others:
            left = sorted([*spare, *others])
            warnings.append(_no_infrared(chosen, left))
    return _band_map_of(model, chosen, alpha, why, warnings)


def _unused_masks(file: FileBands, named: Sequence[str | None]) -> list[str]:
    """A warning for each band that is called a mask, but not tagged as one."""
    tagged = zip(named, file.interpretations, strict=True)
    return [
        f"calls band {number} '{printable(file.descriptions[number - 1] or '')[:20]}', but does "
        f"not tag it as alpha, so it masks nothing; if 0 there means no data, tag it with "
        f"'gdal_edit.py -colorinterp_{number} alpha IN'."
        for number, (name, tag) in enumerate(tagged, 1)
        if name == "alpha" and tag != "alpha"
    ]


def _no_infrared(chosen: dict[str, int], left: list[int]) -> str:
    """The warning that none of the bands left is read as infrared."""
    several = len(left) > 1
    bands = f"bands {', '.join(map(str, left))}" if several else f"band {left[0]}"
    option = option_for({**chosen, "nir": left[0]})
    return Sentence(
        f"names its colours, but no infrared: {bands} {'are' if several else 'is'} not read; if "
        f"{'one of them' if several else 'it'} is infrared, give ",
        BANDS.taking(option),
        ".",
    )


def _contradictions(file: FileBands, chosen: dict[str, int]) -> list[str]:
    """A warning if the delivery's metadata name another band for one of these colours."""
    delivered = {name: n for n, name in enumerate(file.delivered, 1) if name is not None}
    other = {name: delivered.get(name, band) for name, band in chosen.items()}
    if other == chosen or len(file.delivered) != file.count:
        return []
    return [
        Sentence(
            f"names its bands otherwise than {file.delivered_by}, and is believed; if that is "
            "right, give ",
            BANDS.taking(option_for(other)),
            ".",
        )
    ]


def _from_delivery(file: FileBands, model: tuple[str, ...]) -> BandMap | None:
    """The mapping by the delivery's metadata, if they name every visible band of the model."""
    if len(file.delivered) != file.count or file.other_names():
        return None
    chosen = {
        name: file.delivered.index(name) + 1 for name in model if file.delivered.count(name) == 1
    }
    if not {name for name in model if name != "nir"} <= set(chosen):
        return None
    alpha = _alpha(file, set(chosen.values()))
    spare = [n for n, name in enumerate(file.delivered, 1) if name is None and n != alpha]
    lost = "nir" in model and "nir" not in chosen and bool(spare)
    warnings = [_no_infrared(chosen, spare)] if lost else []
    return _band_map_of(model, chosen, alpha, f"named in {file.delivered_by}", warnings)


def _from_count(file: FileBands, model: tuple[str, ...]) -> BandMap | None:
    """The mapping for untagged files of 3, 4 or 8 bands, which have one customary order."""
    alpha = _alpha(file, set())
    count = file.count - (alpha is not None)
    if file.other_names() or set(file.named()) - {None, "alpha"}:
        return None  # Some names, or others than colours: a customary order would contradict them.
    if alpha is not None and alpha != file.count:
        return None
    if file.delivery_tells:
        return None  # They are others by the delivery's metadata, as infrared, red and green.
    orders = {
        3: (("red", "green", "blue"), "three untagged bands are taken as red, green, blue"),
        4: (
            ("blue", "green", "red", "nir"),
            "four untagged bands are taken in SpaceNet 4's order blue, green, red, infrared",
        ),
        8: (_WORLDVIEW, "eight untagged bands are taken in WorldView's order"),
    }
    if count == len(model) == 1:
        return _band_map_of(model, {model[0]: 1}, alpha, "the file's only band")
    if count not in orders:
        return None
    names, why = orders[count]
    chosen = {name: names.index(name) + 1 for name in model if name in names}
    said = Sentence(f"{why}; if they are not, say so with ", BANDS)
    # Three are red, green, blue nearly everywhere; of four and eight, several orders are common.
    warnings = [] if count == 3 else [_guessed(why, model, chosen)]
    return _band_map_of(model, chosen, alpha, said, warnings) if chosen else None


def _guessed(why: str, model: tuple[str, ...], chosen: dict[str, int]) -> str:
    """The warning about a customary order, with the option for the most common other one."""
    other = {"red": 1, "green": 2, "blue": 3, "nir": 4} if len(chosen) == 4 else chosen
    option = option_for({name: band for name, band in other.items() if name in model})
    return Sentence(
        f"does not say which band is which: {why}; if they are not, say so with ",
        BANDS.taking(option),
        " or the like.",
    )


def _hinted(file: FileBands, model: tuple[str, ...]) -> dict[str, int]:
    """The bands in whose descriptions one colour is a word; empty unless all visible ones are."""
    told = [{w for w in words(text or "").split() if len(w) > 1} for text in file.descriptions]
    colours = [{NAME_OF[word] for word in each if word in NAME_OF} for each in told]
    once = {name: colours.index({name}) + 1 for name in model if colours.count({name}) == 1}
    return once if {name for name in model if name != "nir"} <= set(once) else {}


def _refuse(file: FileBands, model: tuple[str, ...]) -> BandMap:
    others = file.other_names()
    colours = file.count - (_alpha(file, set()) is not None)
    plain = [re.sub(r"^b0?", "b", words(text or "")) for text in file.descriptions]
    sentinel = {_SENTINEL2[text]: n for n, text in enumerate(plain, 1) if text in _SENTINEL2}
    if colours < 3:
        grey = ",".join("-" if name == "nir" else "1" for name in model)
        remedy = Sentence(
            f"for a panchromatic picture, read its {'one' if colours == 1 else 'first'} band for "
            "all colours with ",
            BANDS,
            f" {grey}",
        )
    elif others and {"blue", "green", "red"} <= set(sentinel):
        example = option_for({name: n for name, n in sentinel.items() if name in model})
        remedy = Sentence("if these are Sentinel-2's numbers, give ", BANDS.taking(example))
    else:
        known = {name: n for n, name in enumerate(file.delivered, 1) if name in model}
        known = known if file.delivery_tells else _hinted(file, model)
        example = option_for(known) if known else ""
        if not example:
            example = ",".join(f"{name}={n}" for n, name in enumerate(model[: file.count], 1))
        remedy = Sentence("say which is which, for example ", BANDS, f" {example}")
    bands = "1 band" if file.count == 1 else f"{file.count} bands"
    named = f" (named {printable(', '.join(others.values()))[:80]})" if others else ""
    if file.delivery_tells and not others:
        listed = ", ".join(name or "another" for name in file.delivered)
        named = f" ({listed} by {file.delivered_by})"
    asked = f"has {bands}{named} and does not say which of them are {', '.join(model)}; "
    raise InputError(asked, remedy)
