"""Writes footprints to a file in the format of its extension.

| extension | format |
| --- | --- |
| .gpkg | GeoPackage: index, default style, description as metadata; roofs as a second layer |
| .fgb | FlatGeobuf |
| .geojson | GeoJSON as RFC 7946 specifies: lon/lat on WGS 84, seven decimals |
| .parquet | GeoParquet; needs pyarrow |
| .csv | SpaceNet columns, followed by the layer's fields |
| .city.json | CityJSON 2.0: each building as a block of its height |

All formats hold the layer `footprints` with the same fields. Roofs, where a model gives them,
go into the layer `roofs` of the same GeoPackage, into a file of their own, or both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

from rasterio.crs import CRS

from snet4core import __version__
from snet4core.errors import InputError, OutputError
from snet4core.files import outputs
from snet4core.files.names import printable
from snet4core.footprints.footprints import Footprints, Source
from snet4core.grid import horizontal
from snet4core.layers import cityjson, flatgeobuf, geojson, geoparquet, gpkg, spacenet
from snet4core.layers.features import ROOFS_LAYER, Content, footprints_layer
from snet4core.layers.kept import KeptBatches
from snet4core.sentence import ROOFS, ROOFS_FILE

Description = Mapping[str, str]
"""Metadata of the file: band map, model digest, settings."""

_Writer = Callable[[Path, Content, CRS, Description], int]

_GEOPACKAGE = ".gpkg"

_WRITERS: dict[str, _Writer] = {
    _GEOPACKAGE: lambda path, content, *rest: gpkg.write(path, [content], *rest),
    ".fgb": flatgeobuf.write,
    ".geojson": geojson.write,
    ".parquet": geoparquet.write,
    ".csv": spacenet.write,
    cityjson.EXTENSION: cityjson.write,
}

EXTENSIONS = tuple(_WRITERS)
"""Supported file name extensions."""


def software() -> str:
    """What made a layer, for its metadata. Nothing compares it: runs go on with other versions."""
    return f"snet4 {__version__}"


def extension_of(path: Path) -> str:
    """The extension that chooses the format, in small letters.

    >>> extension_of(Path("Town.City.JSON")), extension_of(Path("a.b.gpkg"))
    ('.city.json', '.gpkg')
    """
    whole = path.name.lower()
    return cityjson.EXTENSION if whole.endswith(cityjson.EXTENSION) else path.suffix.lower()


def check_layer(
    path: Path,
    *,
    csv: Path | None = None,
    roofs: bool | None = None,
    roofs_file: Path | None = None,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
    resumed: bool = False,
) -> None:
    """Raise the errors of `write_layer` before any work is done.

    `OutputError` for the folder or the extension, `DependencyError` for a missing library.
    """
    _check_format(path, EXTENSIONS)
    if roofs_file is not None:
        _check_format(roofs_file, EXTENSIONS[:-1])
    if roofs and roofs_file is None and extension_of(path) != _GEOPACKAGE:
        raise OutputError(
            f"{printable(path)} holds one layer, so there is no room for roofs; leave out ",
            ROOFS,
            ", write a .gpkg, or name a file for them with ",
            ROOFS_FILE,
            ".",
        )
    targets = _targets(path, csv, roofs_file)
    inputs = list(inputs)
    for target in targets:
        outputs.check(
            target,
            overwrite=overwrite,
            inputs=inputs,
            resumed=resumed,
        )
    outputs.check_apart(targets)


def _check_format(path: Path, extensions: tuple[str, ...]) -> None:
    if extension_of(path) not in extensions:
        raise OutputError(
            f"{printable(path)} has no known extension; end it in {', '.join(extensions)}."
        )
    if extension_of(path) == ".parquet":
        geoparquet.pyarrow()


def _targets(path: Path, *others: Path | None) -> list[Path]:
    return [path, *(each for each in others if each is not None)]


def write_layer(
    path: Path,
    batches: Iterable[Footprints],
    crs: CRS,
    description: Description | None = None,
    *,
    csv: Path | None = None,
    roofs: bool | None = None,
    roofs_file: Path | None = None,
    overwrite: bool = False,
    resumed: bool = False,
) -> int:
    """Write batches of numbered, ordered footprints to `path`; returns the number of footprints.

    Several scenes may follow one another, each with at least one (perhaps empty) batch, all
    in `crs`, and all with roofs or all without. `csv` receives the SpaceNet table as well.

    Where the tables have roofs, a GeoPackage gets them as a second layer unless `roofs` is
    False, and `roofs_file` gets them as a layer in the format of its own extension. `roofs` =
    True asks for them, and refuses tables and formats without.

    `path` appears only once everything is written, the other files just before it; `resumed` as
    in `outputs.replacing`. Raises `OutputError`, or `InputError` for scenes that do not fit
    together.
    """
    check_layer(
        path, csv=csv, roofs=roofs, roofs_file=roofs_file, overwrite=overwrite, resumed=resumed
    )
    targets = _targets(path, csv, roofs_file)
    facts = {printable(key): printable(value) for key, value in (description or {}).items()}
    with (
        outputs.replacing(*targets, overwrite=overwrite, resumed=resumed) as temporary,
        ExitStack() as stack,
    ):
        places = dict(zip(targets, temporary, strict=True))
        stream = _alike(batches, crs)
        first = next(stream, None)
        source = None if first is None else first.source
        stream = stream if first is None else chain([first], stream)
        beside = _wants_roofs(path, source, roofs, roofs_file)
        if csv is not None:
            stream = spacenet.tapped(places[csv], stream)
        kept = None
        if source is not None and (beside or roofs_file is not None):
            kept = stack.enter_context(KeptBatches(source))
            stream = kept.passed(stream)
        layer = footprints_layer(source)
        if beside and kept is not None:
            contents: list[Content] = [(layer, stream), (ROOFS_LAYER, kept)]
            count = gpkg.write(places[path], contents, crs, facts)
        else:
            count = _WRITERS[extension_of(path)](places[path], (layer, stream), crs, facts)
        if roofs_file is not None:
            roof_writer = _WRITERS[extension_of(roofs_file)]
            roof_writer(places[roofs_file], (ROOFS_LAYER, kept or ()), crs, facts)
        return count


def _wants_roofs(
    path: Path, source: Source | None, roofs: bool | None, roofs_file: Path | None
) -> bool:
    """Whether the file at `path` gets a second layer. InputError where there are no roofs to
    write, but they were asked for."""
    has_roofs = source is not None and source.has_roofs
    if source is not None and not has_roofs and (roofs or roofs_file is not None):
        raise InputError(
            f"Scene {printable(source.scene)} comes without roofs, because its model gives none; "
            "leave out ",
            ROOFS if roofs_file is None else ROOFS_FILE,
            ".",
        )
    return has_roofs and roofs is not False and extension_of(path) == _GEOPACKAGE


def _alike(batches: Iterable[Footprints], crs: CRS) -> Iterator[Footprints]:
    """Pass the batches through. Raises InputError for a scene in another CRS, or with roofs
    where the first has none, or the other way round."""
    first: Source | None = None
    for batch in batches:
        source = batch.source
        first = first or source
        if horizontal(source.crs) != horizontal(crs):
            raise InputError(
                f"Scene {printable(source.scene)} is in {_short(source.crs)}, but "
                f"{printable(first.scene)} in {_short(crs)}; run them into two files."
            )
        if source.has_roofs != first.has_roofs:
            one, other = (source, first) if source.has_roofs else (first, source)
            raise InputError(
                f"Scene {printable(one.scene)} has roofs and heights, but {printable(other.scene)} "
                "has none; write them into two files, or run both with one model."
            )
        yield batch


def _short(crs: CRS) -> str:
    return str(crs.to_string()) if crs.to_epsg() else f"{crs.to_wkt()[:60]}..."
