"""Writes footprints to a file in the format of its extension.

| extension | format |
| --- | --- |
| .gpkg | GeoPackage: index, default style, description as metadata |
| .fgb | FlatGeobuf |
| .geojson | GeoJSON as RFC 7946 specifies: lon/lat on WGS 84, seven decimals |
| .parquet | GeoParquet; needs pyarrow |
| .csv | SpaceNet columns, followed by the layer's fields |

All formats hold one layer, `footprints`, with the same fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from rasterio.crs import CRS

from snet4core.errors import InputError, OutputError
from snet4core.files import outputs
from snet4core.files.names import printable
from snet4core.footprints.footprints import Footprints
from snet4core.layers import flatgeobuf, geojson, geoparquet, gpkg, spacenet

Description = Mapping[str, str]
"""Metadata of the file: band map, model digest, settings."""

_Writer = Callable[[Path, Iterable[Footprints], CRS, Description], int]

_WRITERS: dict[str, _Writer] = {
    ".gpkg": gpkg.write,
    ".fgb": flatgeobuf.write,
    ".geojson": geojson.write,
    ".parquet": geoparquet.write,
    ".csv": spacenet.write,
}

EXTENSIONS = tuple(_WRITERS)
"""Supported file name extensions."""


def check_layer(
    path: Path,
    *,
    csv: Path | None = None,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
    resumed: bool = False,
) -> None:
    """Raise the errors of `write_layer` before any work is done.

    `OutputError` for the folder or the extension, `DependencyError` for a missing library.
    """
    if path.suffix.lower() not in _WRITERS:
        raise OutputError(
            f"{printable(path)} has no known extension; end it in {', '.join(EXTENSIONS)}."
        )
    if path.suffix.lower() == ".parquet":
        geoparquet.pyarrow()
    targets = [path] if csv is None else [path, csv]
    if csv is not None and csv.resolve() == path.resolve():
        raise OutputError(f"{printable(path)} is named twice; give the CSV a name of its own.")
    inputs = list(inputs)
    for target in targets:
        outputs.check(
            target,
            overwrite=overwrite,
            inputs=inputs,
            resumed=resumed,
        )


def write_layer(
    path: Path,
    batches: Iterable[Footprints],
    crs: CRS,
    description: Description | None = None,
    *,
    csv: Path | None = None,
    overwrite: bool = False,
    resumed: bool = False,
) -> int:
    """Write batches of numbered, ordered footprints to `path`; returns the number of footprints.

    Several scenes may follow one another, each with at least one (perhaps empty) batch, all
    in `crs`. `csv` receives the SpaceNet table as well. `path` appears only once everything
    is written; `resumed` as in `outputs.replacing`. Raises `OutputError`, or `InputError` for
    mixed CRS.
    """
    check_layer(path, csv=csv, overwrite=overwrite, resumed=resumed)
    targets = (path,) if csv is None else (path, csv)
    facts = {printable(key): printable(value) for key, value in (description or {}).items()}
    with outputs.replacing(*targets, overwrite=overwrite, resumed=resumed) as temporary:
        stream = _in_one_crs(batches, crs)
        if csv is not None:
            stream = spacenet.tapped(temporary[1], stream)
        return _WRITERS[path.suffix.lower()](temporary[0], stream, crs, facts)


def _in_one_crs(batches: Iterable[Footprints], crs: CRS) -> Iterator[Footprints]:
    """Pass the batches through; raise InputError for a scene in another CRS."""
    first: str | None = None
    for batch in batches:
        first = first or batch.source.scene
        if batch.source.crs != crs:
            raise InputError(
                f"Scene {printable(batch.source.scene)} is in {_short(batch.source.crs)}, but "
                f"{printable(first)} in {_short(crs)}; run them into two files."
            )
        yield batch


def _short(crs: CRS) -> str:
    return str(crs.to_string()) if crs.to_epsg() else f"{crs.to_wkt()[:60]}..."
