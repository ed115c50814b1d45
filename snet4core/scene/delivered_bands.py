"""Reads what bands are called: in a description, and in the metadata of a picture's delivery.

STAC: `bands` (1.1), `eo:bands` or `raster:bands` of the asset that is the picture. Airbus's DIM:
`Raster_Index`, else `Band_Display_Order`. Maxar's IMD and XML: `bandId` where it spells the
bands, else the groups `BAND_*` in their order. Planet's names tell the product, whose order is
documented. The sources are named in docs/guide/which-band.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from snet4core.errors import InputError
from snet4core.files.names import printable
from snet4core.files.sidecars import read_text, xml_values
from snet4core.scene.deliveries import Delivery, delivery_of
from snet4core.scene.inputs import asset_of, read_stac

Names = tuple[str | None, ...]

ALIASES: dict[str, tuple[str, ...]] = {
    "coastal": ("coastal", "coastal blue", "coastal aerosol"),
    "blue": ("blue", "b", "bleu", "blau", "azul", "blu"),
    "green": ("green", "g", "vert", "gruen", "grün", "verde"),
    "yellow": ("yellow", "y"), "rededge": ("rededge", "red edge"),
    "red": ("red", "r", "rouge", "rot", "rojo", "vermelho", "rosso"),
    "nir": ("nir", "nir08", "nir1", "nir 1", "n", "nearinfrared", "near infrared", "near ir",
            "near infrared 1", "infrared", "pir", "proche infrarouge", "nahes infrarot",
            "infrarrojo cercano", "infrarosso vicino", "infravermelho próximo"),
    "nir2": ("nir2", "nir 2", "near infrared 2"), "pan": ("pan", "panchromatic"),
    "alpha": ("alpha", "mask", "opacity"),
}  # fmt: skip
NAME_OF = {alias: name for name, aliases in ALIASES.items() for alias in aliases}

_NUMBERS = re.compile(
    r"\b(band|channel|layer|raster|reflectance) ?(\d+)?\b|^b?\d+ | b\d+$| \d{3,4}( ?nm)?$"
)
"""What a description says besides a name: `Band 3 (Red)`, `b4 red`, `red 660 nm`."""

_MAXAR = {
    "P": "pan", "C": "coastal", "B": "blue", "G": "green", "Y": "yellow", "R": "red",
    "RE": "rededge", "N": "nir", "NIR1": "nir", "N2": "nir2",
}  # fmt: skip
"""What follows `BAND_` in IMD and XML. Legion's `RE1`, `RE2` and `G1` stay without a name."""

_AIRBUS = {
    "P": "pan", "PAN": "pan", "B0": "blue", "B1": "green", "B2": "red", "B3": "nir",
    "B": "blue", "G": "green", "R": "red", "NIR": "nir", "RE": "rededge", "DB": "coastal",
}  # fmt: skip
"""BAND_ID: B0 to B3 of Pléiades and SPOT, letters of Pléiades Neo."""

_NEO_NED = re.compile(r"IMG_PNEO\d.*_NED_R\d+C\d+", re.I)
"""Pléiades Neo's second picture: infrared, red edge, deep blue."""

_COLOURS_UM = ((0.45, 0.515, "blue"), (0.515, 0.6, "green"), (0.6, 0.69, "red"),
               (0.755, 0.9, "nir"))  # fmt: skip
"""STAC's centres of bands, micrometres: from, to, name; between them lie others."""

_BGRN: Names = ("blue", "green", "red", "nir")
_RGBN: Names = ("red", "green", "blue", "nir")
_PLANET: tuple[tuple[re.Pattern[str], Names], ...] = (
    # SuperDove: coastal blue, blue, green I, green, yellow, red, red edge, infrared.
    (re.compile(r"\d{8}_\d{6}_.*_3B_Analytic\w*_8b", re.I),
     ("coastal", "blue", None, "green", "yellow", "red", "rededge", "nir")),
    (re.compile(r"\d{8}_\d{6}_.*_3B_Analytic", re.I), _BGRN),
    (re.compile(r"\d{6,7}_\d{7}_\d{4}-\d{2}-\d{2}_\w{4}_BGRN_Analytic", re.I), _BGRN),
    (re.compile(r"\d{7}_\d{4}-\d{2}-\d{2}_RE\d_\d[AB]_Analytic", re.I),
     ("blue", "green", "red", "rededge", "nir")),
    (re.compile(r"\d{8}_\d{6}_ssc?\d+(d\d)?_u?\d{4}_(basic_)?(analytic|pansharp)", re.I), _BGRN),
)  # fmt: skip
"""Names of Planet's products, and the order of their bands."""


def band_name(description: str | None) -> str | None:
    """snet4's name for a band description; None if it holds anything but a band name.

    >>> band_name("Band 3 (Red)"), band_name("Red Edge"), band_name("redwood"), band_name("NIR-1")
    ('red', 'rededge', None, 'nir')
    """
    if not description or len(description) > 80:
        return None
    said = _NUMBERS.sub(" ", words(description))
    return NAME_OF.get(" ".join(said.split()))


def words(description: str) -> str:
    """A description in lower case, without punctuation."""
    return re.sub(r"[\s_\-/().:,;\[\]#]+", " ", description.lower()).strip()


def delivered_bands(path: Path, item: Path | None, count: int) -> tuple[Names, str]:
    """snet4's name of each of the picture's bands, and the file that says so.

    `item` is the STAC item that was given for the picture, if any. Empty if nothing tells the
    order of exactly `count` bands; a file that cannot be read says nothing here, as the search
    for the look warns of it.
    """
    delivery = delivery_of(path)
    for names, where in _told(path, item, delivery):
        if len(names) == count and any(names):
            return names, where
    return (), ""


def _told(path: Path, item: Path | None, delivery: Delivery) -> Iterator[tuple[Names, str]]:
    readers: tuple[tuple[Path | None, Callable[[Path, str], Names]], ...] = (
        (item or delivery.item, _of_item),
        (delivery.dim, _of_dim),
        (delivery.imd, lambda file, _: _of_imd(file)),
        (delivery.xml, lambda file, _: _of_xml(file)),
    )
    for file, names_in in readers:
        if file is not None:
            with suppress(InputError):
                yield names_in(file, path.name), printable(file.name)
    if _NEO_NED.match(path.stem):
        yield ("nir", "rededge", "coastal"), "its name, as Pléiades Neo has it"
    for pattern, names in _PLANET:
        if pattern.match(path.stem):
            yield names, "Planet's name of the product"
            return


def _of_item(file: Path, picture: str) -> Names:
    asset = asset_of(read_stac(file), picture)
    for key in ("bands", "eo:bands", "raster:bands"):
        bands = (asset or {}).get(key)
        if isinstance(bands, list) and (names := _stac_names(bands)) and any(names):
            return names
    return ()


def _stac_names(bands: Sequence[Any]) -> Names:
    """`common_name` of each band, else what its `name`, `description` or wavelength says."""
    return tuple(_stac_name(band) if isinstance(band, Mapping) else None for band in bands)


def _stac_name(band: Mapping[str, Any]) -> str | None:
    keys = ("eo:common_name", "common_name", "name", "description")
    texts = [band[key] for key in keys if isinstance(band.get(key), str)]
    named = next((name for name in map(band_name, texts) if name is not None), None)
    centre_um = band.get("eo:center_wavelength", band.get("center_wavelength"))
    if named is None and isinstance(centre_um, int | float):
        return next((name for low, high, name in _COLOURS_UM if low <= centre_um < high), None)
    return named


def _of_imd(file: Path) -> Names:
    text = read_text(file)
    said = {
        name.lower(): value.strip().strip('"')
        for name, value in re.findall(r"^\s*(bandId|satId)\s*=\s*([^;\n]*);", text, re.M | re.I)
    }
    groups = re.findall(r"^\s*BEGIN_GROUP\s*=\s*BAND_(\w+)", text, re.M | re.I)
    return _maxar(said.get("bandid", ""), said.get("satid", ""), groups)


def _of_xml(file: Path) -> Names:
    said: dict[str, str] = {}
    groups: dict[str, None] = {}
    for tags, text in xml_values(file):
        if tags[-1] in ("BANDID", "SATID"):
            said.setdefault(tags[-1], text)
        groups |= {tag.removeprefix("BAND_"): None for tag in tags if tag.startswith("BAND_")}
    return _maxar(said.get("BANDID", ""), said.get("SATID", ""), list(groups))


def _maxar(band_id: str, satellite: str, groups: Sequence[str]) -> Names:
    """The bands by `bandId` where it spells them (`RGB`, `BGRN`), else the groups in their order.

    Legion's four bands of `MS1` come as red, green, blue, infrared, whatever their groups say.
    """
    if re.fullmatch(r"[RGBN]{3,4}", band_id):
        return tuple(_MAXAR[letter] for letter in band_id)
    if band_id == "MS1" and satellite.upper().startswith(("LG", "WVLG", "WV-LEGION")):
        return _RGBN
    return tuple(_MAXAR.get(group.upper()) for group in groups)


def _of_dim(file: Path, picture: str) -> Names:
    """The bands of the picture among those of the product, or of the only picture."""
    values = list(xml_values(file))
    listed = _index_lists(values)
    if listed:
        return listed.get(picture, next(iter(listed.values())) if len(listed) == 1 else ())
    channels = {tags[-1]: text for tags, text in values if tags[-1].endswith("_CHANNEL")}
    order = ("RED_CHANNEL", "GREEN_CHANNEL", "BLUE_CHANNEL", "ALPHA_CHANNEL")
    return tuple(_AIRBUS.get(channels[name]) for name in order if name in channels)


def _index_lists(values: list[tuple[tuple[str, ...], str]]) -> dict[str, Names]:
    """Picture -> its bands, from Pléiades Neo's `Raster_Index_List` behind each `Data_File` list.

    The order is that of BAND_INDEX where it counts from 1, else that of the list.
    """
    found: dict[str, Names] = {}
    pictures: list[str] = []
    bands: list[tuple[str, int]] = []

    def finish() -> None:
        if bands:
            counted = sorted(index for _, index in bands) == list(range(1, len(bands) + 1))
            ordered = sorted(bands, key=lambda band: band[1]) if counted else bands
            found.update(dict.fromkeys(pictures, tuple(_AIRBUS.get(name) for name, _ in ordered)))

    name = ""
    for tags, text in values:
        if tags[-2:] == ("DATA_FILE_PATH", "@href"):
            if bands:
                finish()
                pictures, bands = [], []
            pictures.append(Path(text).name)
        elif "Raster_Index" in tags:
            name = text if tags[-1] == "BAND_ID" else name
            if tags[-1] == "BAND_INDEX" and text.isdecimal():
                bands.append((name, int(text)))
    finish()
    return found
