"""What a notebook calls: `detect`, `polygonize` and `load_model`, handed on by `snet4core` itself.

    import snet4core
    found = snet4core.detect("scene.tif", off_nadir_deg=32)
    found.write("footprints.gpkg")

The command line, the QGIS worker and the jobs call the steps below (`parts.detect`,
`parts.polygonize`); this module chooses the engine, loads the model and keeps the result.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Unpack

from rasterio.crs import CRS

from snet4core.errors import DependencyError
from snet4core.extras import installed
from snet4core.footprints.footprints import Footprint, Footprints, Source, concatenated
from snet4core.footprints.spool import Place, Spool
from snet4core.layers.write import write_layer
from snet4core.look.look import Look
from snet4core.maps.predictor import Predictor
from snet4core.maps.runtime import choose_runtime
from snet4core.model.header import find_model
from snet4core.parts import detect as scene_detect
from snet4core.parts import polygonize as maps_polygonize
from snet4core.parts.plan import ChoiceOptions, Choices
from snet4core.progress import Progress

if TYPE_CHECKING:
    import geopandas

log = logging.getLogger("snet4")


def load_model(
    model: str | Path = "default",
    *,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    runtime: Literal["auto", "torch", "openvino"] = "auto",
    threads: int | None = None,
    memory_bytes: int | None = None,
) -> Predictor:
    """Load a model once, for any number of calls of `detect`.

    `model` is the name of a shipped model or a `.safetensors` file. `device` is `auto`, `cpu`,
    `cuda`, `cuda:N` or `mps`; `threads` and `memory_bytes` are upper limits. Raises ModelError
    for a file that is no model, DependencyError when the engine that it needs is not
    installed, EngineError for a device that is not there.

    >>> model = load_model("default")
    >>> model.card.name
    'default'
    """
    wanted = choose_runtime(device, precision, runtime, threads)
    return Predictor(find_model(str(model)), wanted, memory_bytes=memory_bytes)


def detect(
    scene: str | Path,
    *,
    model: str | Path | Predictor = "default",
    save_maps: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **choices: Unpack[ChoiceOptions],
) -> Detected:
    """Find the building footprints of one scene: a raster file, or a URL if remote is allowed.

    `choices` are the fields of `Choices`, by their names: `off_nadir_deg`, `azimuth_deg`,
    `bands`, `threshold`, ... What they leave open is read from the scene and the model's card.
    `save_maps` also keeps the maps (GeoTIFF), for `polygonize`; `overwrite` allows to replace
    that file. Warnings go to the logger `snet4`, and stand in `Detected.warnings`.

    Raises InputError for a scene that cannot be used (LookError without a look angle),
    EngineError for a missing engine or model, Cancelled when `progress` asks to stop.

    >>> found = detect("scene.tif", off_nadir_deg=8)
    >>> len(found) > 10, found.look.category
    (True, 'nadir')
    """
    predictor = load_model(model) if isinstance(model, (str, Path)) else model
    stream = scene_detect.detect(
        scene,
        predictor,
        Choices(**choices),
        progress,
        None if save_maps is None else Path(save_maps),
        overwrite=overwrite,
    )
    plan = stream.plan
    for warning in plan.warnings:
        log.warning("%s", warning)
    roofs = choices.get("roofs")
    return Detected(plan.source, stream.footprints, plan.description, plan.warnings, roofs=roofs)


def polygonize(
    maps: str | Path,
    *,
    block_px: int = 1024,
    progress: Progress | None = None,
    **choices: Unpack[ChoiceOptions],
) -> Detected:
    """Cut stored maps into footprints again, without the network: another threshold, say.

    `maps` is a file that `detect(save_maps=...)` or `snet4 run --save-maps` wrote, or a raster
    of footprint probabilities from elsewhere. `choices` are the fields of `Choices` that
    concern looks and shapes. Maps are read in blocks of `block_px`, which change nothing in
    the result. Raises InputError for a file that holds no maps.

    >>> found = detect("scene.tif", off_nadir_deg=8, save_maps="maps.tif", overwrite=True)
    >>> same, fewer = polygonize("maps.tif"), polygonize("maps.tif", threshold=0.95)
    >>> len(same) == len(found) > len(fewer)
    True
    """
    stream = maps_polygonize.polygonize(Path(maps), Choices(**choices), block_px, progress)
    roofs = choices.get("roofs")
    warnings = stream.warnings
    return Detected(stream.source, stream.footprints, stream.description, warnings, roofs=roofs)


class Detected:
    """The footprints of one scene, kept in a temporary file: read them as often as you like.

    Memory holds one batch of some 10,000 footprints at a time, however many there are, until
    `all()` asks for one table. The file goes with `close()`, at the end of a `with` block, or
    with the object.

    >>> with detect("scene.tif", off_nadir_deg=8) as found:
    ...     largest = max(found, key=lambda footprint: footprint.area_m2)
    ...     confident = [each for each in found if each.confidence > 0.5]
    >>> largest.area_m2 > 50, len(confident) > 0
    (True, True)
    """

    def __init__(
        self,
        source: Source,
        batches: Iterable[Footprints],
        description: Mapping[str, str],
        warnings: tuple[str, ...] = (),
        *,
        roofs: bool | None = None,
    ) -> None:
        """Read all `batches` (at least one), ordered and numbered, into the temporary file.

        `roofs` as in `Choices`: what `write` does where it is not told.
        """
        self._source, self._roofs = source, roofs
        self._spool = Spool(source)
        self._places: list[Place] = []
        self._count = 0
        self.description: Mapping[str, str] = MappingProxyType(dict(description))
        """How the scene was read and cut, by topic; goes into the layer's metadata."""
        self.warnings = warnings
        """What the user should know, a sentence each."""
        try:
            for batch in batches:
                self._places.append(self._spool.add(batch))
                self._count += len(batch)
        except BaseException:
            self._spool.close()
            raise

    @property
    def scene(self) -> str:
        """The scene's name, as it stands on every footprint."""
        return self._source.scene

    @property
    def look(self) -> Look | None:
        """How tilted the picture is; None where stored maps do not tell."""
        return self._source.look

    @property
    def crs(self) -> CRS:
        """The CRS of the polygons: the scene's own."""
        return self._source.crs

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Footprint]:
        """One building after the other, by `footprint_id`."""
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[Footprints]:
        """The same as tables of columns, at least one; faster than one by one."""
        return map(self._spool.read, self._places)

    def all(self) -> Footprints:
        """Everything as one table of columns, in memory.

        >>> with detect("scene.tif", off_nadir_deg=8) as found:
        ...     table = found.all()
        >>> len(table) == len(found) == len(table.polygons_N)
        True
        """
        return concatenated(self._source, list(self.batches()))

    def write(
        self,
        path: str | Path,
        *,
        csv: str | Path | None = None,
        roofs: bool | None = None,
        roofs_file: str | Path | None = None,
        overwrite: bool = False,
    ) -> int:
        """Write the layer, its format chosen by the extension; returns how many footprints.

        .gpkg, .fgb, .geojson, .parquet, .csv or .city.json; `csv` names a SpaceNet table to be
        written beside it. Where the model gives roofs, a .gpkg has them as a second layer unless
        `roofs` (or that of `Choices`) is False, and `roofs_file` gets them as a layer of its own.
        Raises OutputError for a place that cannot be written or an existing file without
        `overwrite`, InputError for roofs that are asked for but not there.

        >>> with detect("scene.tif", off_nadir_deg=8) as found:
        ...     found.write("footprints.gpkg", overwrite=True) == len(found)
        True
        """
        return write_layer(
            Path(path),
            self.batches(),
            self.crs,
            self.description,
            csv=None if csv is None else Path(csv),
            roofs=self._roofs if roofs is None else roofs,
            roofs_file=None if roofs_file is None else Path(roofs_file),
            overwrite=overwrite,
        )

    def to_geodataframe(self) -> geopandas.GeoDataFrame:
        """As a GeoDataFrame in the scene's CRS, with the fields of the layer.

        Raises DependencyError where GeoPandas is not installed; `__geo_interface__` and
        `all()` need nothing.
        """
        if not installed("geopandas"):
            raise DependencyError(
                "A GeoDataFrame needs GeoPandas, which is not installed: pip install geopandas"
            )
        import geopandas

        table = self.all()
        return geopandas.GeoDataFrame(
            table.columns(), geometry=table.polygons_N, crs=self.crs.to_wkt()
        )

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        """A GeoJSON-like FeatureCollection, but in the scene's CRS (python-geo-interface)."""
        features = []
        for batch in self.batches():
            columns = batch.columns()
            features += [
                {
                    "type": "Feature",
                    "id": columns["footprint_id"][row],
                    "properties": {name: values[row] for name, values in columns.items()},
                    "geometry": polygon.__geo_interface__,
                }
                for row, polygon in enumerate(batch.polygons_N)
            ]
        return {"type": "FeatureCollection", "features": features}

    def close(self) -> None:
        """Give up the temporary file; reading raises ValueError afterwards."""
        self._spool.close()

    def __enter__(self) -> Detected:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        look = "" if self.look is None else f" at {self.look.off_nadir_deg:g} degrees off nadir"
        return f"<Detected: {len(self)} footprints of '{self.scene}'{look}>"
