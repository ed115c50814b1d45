"""Finds pictures with their label files: SpaceNet 4's two layouts, or NAME.tif and NAME.geojson.

In SpaceNet 4 one file of footprints serves all 27 looks of a tile; both carry the tile's
lower left corner at the end of their names. Elsewhere the footprints lie beside the
picture under the same name.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from snet4core.errors import InputError

_CORNER = re.compile(r"_(\d{5,7}_\d{6,8})$")
"""x and y in metres at the end of a tile's name; never an angle."""

_PICTURES, _LABELS = (".tif", ".tiff"), (".geojson", ".gpkg")


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture with its label file."""

    image: Path
    """GeoTIFF."""
    labels: Path
    """Vector file, in any CRS."""
    place: str
    """Name of the place, the same for all of its looks: the unit of the validation split."""
    tiled: bool = False
    """Whether `place` is a tile's corner, so that the name alone tells where it is."""
    name: str = ""
    """What `place` is without other pictures of the same ground."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.place)


_OTHER_PRODUCTS = ("MS", "PAN", "PS-MS")
"""SpaceNet 4's folders with other products of the same pictures; PS-RGBNIR is read."""


def pairs(folder: Path, shared: Path | None = None) -> list[Pair]:
    """All pictures below `folder` that have footprints, ordered by path.

    `shared` is one file with the footprints of all pictures. Raises `InputError` when there
    is no pair.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    labels = [path for path in files if path.suffix.lower() in _LABELS]
    by_corner = {match[1]: path for path in labels if (match := _CORNER.search(path.stem))}
    by_name = {path.with_suffix(""): path for path in labels}
    found = []
    for image in files:
        if image.suffix.lower() not in _PICTURES:
            continue
        corner = _CORNER.search(image.stem)
        if corner and image.parent.name in _OTHER_PRODUCTS:
            continue
        if shared is not None:
            found.append(Pair(image, shared, image.stem))
        elif corner and corner[1] in by_corner:
            found.append(Pair(image, by_corner[corner[1]], corner[1], tiled=True))
        elif image.with_suffix("") in by_name:
            found.append(Pair(image, by_name[image.with_suffix("")], image.stem))
    found = _told_apart(found, folder)
    if not found:
        raise InputError(
            f"{folder}: no picture (.tif) with footprints; use SpaceNet 4's layout, or put "
            "NAME.geojson beside each NAME.tif."
        )
    return found


def _told_apart(every: list[Pair], folder: Path) -> list[Pair]:
    """Pictures of one file name in several folders are called by their paths in `folder`."""
    count = Counter(pair.image.stem for pair in every if not pair.tiled)
    return [
        pair
        if pair.tiled or count[pair.image.stem] == 1
        else Pair(pair.image, pair.labels, _path_in(folder, pair.image))
        for pair in every
    ]


def _path_in(folder: Path, image: Path) -> str:
    return image.relative_to(folder).with_suffix("").as_posix()
