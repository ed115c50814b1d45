"""Finds the metadata files of a delivery that describe one of its pictures.

Each vendor has rules of its own for the names of pictures and of the files that describe them.
They are written down in docs/guide/look-sources.md with their sources; a test holds a table of
real names against them.

- Maxar: `15OCT22183656-S2AS_R1C1-056155973040_01_P001.TIF`: the tile's tag stands in the middle,
  and one `15OCT22183656-S2AS-056155973040_01_P001.IMD` or `.XML` describes all tiles.
- Airbus: `IMG_<product>[_<bands>]_R1C1.TIF` or `.JP2`, described by `DIM_<product>.XML`, which
  also lists the pictures that belong to it.
- Planet: `<id>_3B_AnalyticMS.tif`, described by `<id>_metadata.json` and, less well, by
  `<id>_3B_AnalyticMS_metadata.xml`.
- STAC: an item of the picture's name; or one that its name begins with, and that lists it as an
  asset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from snet4core.errors import InputError
from snet4core.files.sidecars import beside, xml_values
from snet4core.scene.inputs import asset_of, read_stac

_TILE = re.compile(r"_R\d+C\d+(?![0-9A-Za-z])", re.I)
_MAXAR = re.compile(
    r"\d{2}[A-Z]{3}\d{8}-[0-9A-Z]{4}(?:_R\d+C\d+)?-\d{12}_\d{2}_P\d{3}(?:_R\d+C\d+)?", re.I
)
"""Time of the acquisition, product code, tile, order, item and part of it."""

_AIRBUS = re.compile(
    r"IMG_(?P<product>.+?)(?:_(?P<bands>P|PAN|MS|PMS|RGB|NED))?_R\d+C\d+(?![0-9A-Za-z])", re.I
)
_PLANET = re.compile(
    r"\d{8}_\d{6}_|\d{7}_\d{4}-\d{2}-\d{2}_RE\d|\d{6,7}_\d{7}_\d{4}-\d{2}-\d{2}_[0-9a-f]{4}", re.I
)
"""Scenes; tiles of RapidEye; tiles of PlanetScope."""

_MOST_WORDS = 10
"""Words that a vendor appends to the id of a picture; Planet's longest names have seven."""

_BETWEEN = re.compile(r"[_.-]")
"""What stands between the words of a name."""

_MOST_DIMS = 64
"""Products that one folder of Airbus's holds; more are not looked through."""

_UNREAD: tuple[tuple[re.Pattern[str], str, tuple[str, ...]], ...] = (
    (re.compile(r"(?P<id>BSG-\d{3}-\d{8}-\d{6}-\d+)", re.I), "BlackSky",
     ("{id}_metadata.json", "{id}.json", "{stem}.txt")),
    (re.compile(r"(?P<id>JL1[0-9A-Z]+_\w+?_L\d[0-9A-Z]*)(?=_|$)", re.I), "Jilin-1",
     ("{stem}_meta.xml", "{id}_meta.xml", "{stem}.xml", "{id}.xml")),
    (re.compile(r"(?P<id>K[35]A?_\d{14}_\d+_\d+_L\d\w)", re.I), "KOMPSAT",
     ("{id}_Aux.xml", "{id}_aux.xml", "{stem}_Aux.xml")),
    (re.compile(r"(?P<id>SV[12]-\d{2}_\d{8}_L\w+?-(?:MUX|PAN|PSH|FUS))", re.I), "SuperView",
     ("{stem}.xml", "{id}.xml")),
    (re.compile(r"(?P<id>GF\d\w*?_(?:PMS|MSS|PAN)\w*)", re.I), "Gaofen", ("{stem}.xml",)),
    (re.compile(r"(?P<id>BAND\d?)$", re.I), "Cartosat", ("BAND_META.txt",)),
)  # fmt: skip
"""Picture names, vendors, and the names of metadata whose angles snet4 does not read: their
conventions are not published, or not where they could be checked."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The files that describe one picture; None for those that are not there."""

    item: Path | None = None
    """A STAC item, which may turn out to be other JSON if it bears the picture's own name."""
    imd: Path | None = None
    """Maxar's text file."""
    xml: Path | None = None
    """Maxar's XML, or any other of the picture's name."""
    dim: Path | None = None
    """Airbus's XML."""
    planet: Path | None = None
    """Planet's GeoJSON of one item."""
    planet_xml: Path | None = None
    """Planet's XML, which knows the angle but not the azimuth."""
    unread: tuple[Path, str] | None = None
    """A file whose angles are not read, and the vendor."""


def delivery_of(path: Path) -> Delivery:
    """The files beside a picture that describe it. Nothing is opened but lists of pictures."""
    maxar = list(_maxar_names(path.stem))
    prefixes = list(_planet_prefixes(path.stem))
    return Delivery(
        item=beside(path, f"{path.stem}.json") or _listing_item(path),
        imd=beside(path, *[f"{name}.IMD" for name in maxar]),
        xml=beside(path, *[f"{name}.XML" for name in maxar]),
        dim=_dim(path),
        planet=beside(path, *[f"{name}_metadata.json" for name in prefixes]),
        planet_xml=beside(
            path,
            *[
                f"{name}_{ending}.xml"
                for name in prefixes
                for ending in ("metadata", "8b_metadata", "metadata_clip")
            ],
        ),
        unread=_unread(path),
    )


def without_tile(name: str) -> str:
    """A picture's name without the tag of its tile.

    >>> without_tile("15OCT22183656-S2AS_R1C1-056155973040_01_P001")
    '15OCT22183656-S2AS-056155973040_01_P001'
    """
    return _TILE.sub("", name)


def _maxar_names(stem: str) -> Iterator[str]:
    """Names under which a picture may be described, the most special first.

    What others append to a product's name (`_COG`, `_ortho`) or put before it is left out.
    """
    names = [stem]
    if found := _MAXAR.search(stem):
        names += [stem[: found.end()], found.group()]
    yield from dict.fromkeys(name for each in names for name in (each, without_tile(each)))


def _planet_prefixes(stem: str) -> Iterator[str]:
    """What a name of Planet's begins with, from the whole down to date and time."""
    if _PLANET.match(stem):
        yield from (prefix for prefix in _prefixes(stem) if "_" in prefix)


def _prefixes(stem: str) -> Iterator[str]:
    """What a name begins with, from the whole down, without one word after the other.

    >>> list(_prefixes("103001008AC69600-ms_analytic"))
    ['103001008AC69600-ms_analytic', '103001008AC69600-ms', '103001008AC69600']
    """
    ends = [len(stem), *(found.start() for found in reversed(list(_BETWEEN.finditer(stem))))]
    yield from (stem[:end] for end in ends[:_MOST_WORDS] if end)


def _dim(path: Path) -> Path | None:
    """The DIM that describes a picture: by its name, or because it lists the picture."""
    stem = path.stem
    names = [stem.removeprefix("IMG_"), without_tile(stem).removeprefix("IMG_")]
    if found := _AIRBUS.match(stem):
        product, bands = found["product"], found["bands"]
        names += [f"{product}_{bands}"] if bands else []
        names.append(product)
    by_name = beside(path, *[f"DIM_{name}.XML" for name in dict.fromkeys(names)])
    if by_name is not None or not stem.upper().startswith("IMG_"):
        return by_name
    with suppress(OSError):
        for dim in sorted(islice(path.parent.glob("DIM_*"), _MOST_DIMS)):
            if dim.suffix.lower() == ".xml" and path.name in _listed_pictures(dim):
                return dim
    return None


def _listed_pictures(dim: Path) -> set[str]:
    """File names of the pictures that a DIM lists; none if it cannot be read."""
    with suppress(InputError):
        return {
            PurePosixPath(text).name
            for tags, text in xml_values(dim)
            if tags[-2:] == ("DATA_FILE_PATH", "@href")
        }
    return set()


def _listing_item(path: Path) -> Path | None:
    """A STAC item named after the picture's id that lists the picture as an asset.

    As of Planet's pictures, and of Maxar's open data (`<catalogue id>-visual.tif`).
    """
    for name in islice(_prefixes(path.stem), 1, None):
        item = beside(path, f"{name}.json")
        if item is not None:
            with suppress(InputError):
                if asset_of(read_stac(item), path.name) is not None:
                    return item
    return None


def _unread(path: Path) -> tuple[Path, str] | None:
    for pattern, vendor, names in _UNREAD:
        if found := pattern.match(path.stem):
            place = {"stem": path.stem, "id": found["id"]}
            file = beside(path, *[name.format(**place) for name in names])
            if file is not None:
                return file, vendor
    return None
