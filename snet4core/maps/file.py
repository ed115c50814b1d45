"""Writes and reads maps as GeoTIFF: `--save-maps maps.tif`, read by `snet4 polygonize`.

The file is a tiled GeoTIFF on the working grid: band 1 `footprint`, band 2 `border`, and of a
model that maps roofs also `roof`, `roof_border` and `height` (on the scale of `maps.heights`),
an internal mask for no data, and the origin of the maps as tags. Maps of other programs are read
too: one band, uint8 0..255 or floating-point 0..1 (a second band is the border); their
origin is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from snet4core.errors import InputError, Snet4Error
from snet4core.files.outputs import driver_errors, replacing
from snet4core.grid import Grid
from snet4core.look.look import Look
from snet4core.maps.maps import Maps
from snet4core.model.card import FIVE_MAPS, TWO_MAPS
from snet4core.scene.bands import BandMap, FileBands, band_map
from snet4core.scene.gdal import gdal_settings
from snet4core.scene.reader import SceneReader
from snet4core.scene.scene import Scene, describe
from snet4core.settings import Calibration, ShapeSettings, SplitSettings
from snet4core.windows import Window, blocks

FORMATS = {TWO_MAPS: "1", FIVE_MAPS: "2"}
"""Version of the format by the maps in it; increased when an older snet4 cannot read them."""

BLOCK_PX = 512

_TO_BYTES = (
    "'gdal_translate -ot Byte -scale LOW HIGH 0 255 IN OUT', where LOW is its value of ground and "
    "HIGH that of buildings"
)

_Holder = TypeVar("_Holder")
"""Type of the stream's values, which hold maps."""


@dataclass(frozen=True, slots=True)
class MapsOrigin:
    """Origin of maps, as far as it is known: what footprints record about scene and model."""

    scene: str = ""
    """The scene's name."""
    look: Look | None = None
    """Viewing geometry of the scene."""
    model: str | None = None
    """The model's name."""
    model_digest: str | None = None
    """sha256 of the model's weights."""
    shapes: ShapeSettings | None = None
    """The model's own settings for this look."""
    confidence_knots: Calibration | None = None
    """The model's calibration of confidence."""
    image_id: str | None = None
    """ImageId in SpaceNet tables."""
    native_shape: tuple[int, int] | None = None
    """(rows, columns) of the delivered scene."""
    native_transform: tuple[float, ...] | None = None
    """Affine transform (a, b, c, d, e, f) of the delivered scene, in the CRS of the maps."""

    def to_tags(self) -> dict[str, str]:
        """As tags of a GeoTIFF: JSON with sorted keys."""
        raw = asdict(self)
        if self.confidence_knots is not None:
            raw["confidence_knots"] = self.confidence_knots.knots
        return {"SNET4_ORIGIN": json.dumps(raw, sort_keys=True)}

    @staticmethod
    def from_tags(tags: dict[str, str]) -> MapsOrigin:
        """Inverse of `to_tags`; without tags the origin is unknown. ValueError if damaged."""
        if "SNET4_ORIGIN" not in tags:
            return MapsOrigin()
        raw = json.loads(tags["SNET4_ORIGIN"])
        if not isinstance(raw, dict) or not set(raw) <= {f.name for f in fields(MapsOrigin)}:
            raise ValueError("its tags are not those of snet4")
        texts = [raw.get(n) for n in ("scene", "model", "model_digest", "image_id")]
        if not all(text is None or isinstance(text, str) for text in texts):
            raise ValueError("its names are no text")
        look, shapes, knots = (raw.pop(n, None) for n in ("look", "shapes", "confidence_knots"))
        shape, transform = (raw.pop(n, None) for n in ("native_shape", "native_transform"))
        if shapes is not None:
            shapes = ShapeSettings(**{**shapes, "split": SplitSettings(**shapes["split"])})
        return MapsOrigin(
            **raw,
            look=Look(**look) if look is not None else None,
            shapes=shapes,
            confidence_knots=_calibration(knots) if knots else None,
            native_shape=(int(shape[0]), int(shape[1])) if shape else None,
            native_transform=tuple(map(float, transform)) if transform else None,
        )


def _calibration(raw: Iterable[tuple[float, float]]) -> Calibration:
    return Calibration(tuple((float(x), float(y)) for x, y in raw))


def saved(
    stream: Iterable[_Holder],
    path: Path,
    grid: Grid,
    origin: MapsOrigin,
    maps_of: Callable[[_Holder], Iterable[Maps]],
    *,
    names: tuple[str, ...] = TWO_MAPS,
    overwrite: bool = False,
) -> Iterator[_Holder]:
    """Pass the stream through, in any order, and write the maps of each value to `path`.

    The file appears under its name once the stream is exhausted; one that is not read to its end
    leaves no file. `names` are those of the maps, as the model's card has them. Windows that
    never came are no data. Where maps are not valid, 0 is stored. Raises OutputError if the file
    cannot be written.
    """
    with (
        replacing(path, overwrite=overwrite) as (unfinished,),
        writing(unfinished, grid, origin, names) as write,
    ):
        for each in stream:
            for maps in maps_of(each):
                write(maps)
            yield each


@contextmanager
def writing(
    path: Path, grid: Grid, origin: MapsOrigin, names: tuple[str, ...] = TWO_MAPS
) -> Iterator[Callable[[Maps], None]]:
    """Create a GeoTIFF at `path`; the context's value is a function that writes one window."""
    rows, cols = grid.shape
    with driver_errors("maps file"), _settings():
        dataset = rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=rows,
            width=cols,
            count=len(names),
            dtype="uint8",
            crs=grid.crs,
            transform=grid.transform,
            tiled=True,
            blockxsize=BLOCK_PX,
            blockysize=BLOCK_PX,
            interleave="band",
            photometric="MINISBLACK",
            compress="DEFLATE",
            predictor=2,
            sparse_ok=True,
            bigtiff="IF_SAFER",
        )
        dataset.update_tags(SNET4_MAPS=FORMATS[names], **origin.to_tags())
        for band, name in enumerate(names, 1):
            dataset.set_band_description(band, name)

    def write(maps: Maps) -> None:
        window = maps.window
        where = RasterioWindow(window.col, window.row, window.width, window.height)
        with driver_errors("maps file"), _settings():
            for band, map_HW in enumerate(maps.layers, 1):
                dataset.write(np.where(maps.valid_HW, map_HW, 0), band, window=where)
            dataset.write_mask(maps.valid_HW, window=where)

    try:
        yield write
    finally:
        with driver_errors("maps file"), _settings():
            dataset.close()  # GDAL flushes what it has cached.


def _settings() -> AbstractContextManager[None]:
    return gdal_settings(GDAL_TIFF_INTERNAL_MASK="YES")


@dataclass(frozen=True)
class MapsFile:
    """Description of a file of maps; `blocks` reads it."""

    scene: Scene
    """The file as a raster whose bands are the maps."""
    origin: MapsOrigin
    """Origin from the file's tags; unknown for maps of other programs."""
    full_scale: float
    """The stored value that means probability 1: 255, or 1."""

    @property
    def grid(self) -> Grid:
        """Shape, transform and CRS of the maps."""
        return self.scene.grid

    @property
    def native(self) -> Grid | None:
        """Grid of the delivered scene; None if the tags do not state it."""
        origin = self.origin
        if origin.native_shape is None or origin.native_transform is None:
            return None
        return Grid(origin.native_shape, Affine(*origin.native_transform), self.grid.crs)

    def blocks(self, block_px: int) -> Iterator[Maps]:
        """Read the maps in square blocks, row by row. InputError if pixels cannot be decoded."""
        with SceneReader(self.scene) as reader:
            for window in blocks(self.grid.shape, block_px):
                yield self.read(reader, window)

    def read(self, reader: SceneReader, window: Window) -> Maps:
        """Read one window, which must lie within the raster."""
        counts_BHW, valid_HW = reader.read(window)
        return Maps.of(window, map(self._quantised, counts_BHW), valid_HW)

    @property
    def has_roofs(self) -> bool:
        """Whether it holds maps of roofs and heights."""
        return self.scene.bands.model_bands == FIVE_MAPS

    def _quantised(self, map_HW: NDArray[Any]) -> NDArray[np.uint8]:
        if self.full_scale == 255 and map_HW.dtype == np.uint8:
            return map_HW
        if map_HW.size and (map_HW.min() < 0 or map_HW.max() > self.full_scale):
            low, high = map_HW.min(), map_HW.max()
            percents = "; of percents they are 0 and 100" if low >= 0 and high <= 100 else ""
            raise InputError(
                f"{self.scene.admitted.shown} holds values like {low:g} and {high:g}, but "
                f"probabilities run from 0 to 1; scale them with {_TO_BYTES}{percents}."
            )
        return np.rint(map_HW * (255.0 / self.full_scale)).astype(np.uint8)


def open_maps(path: str | Path) -> MapsFile:
    """Open and check a file of maps. Raises InputError if it is not one."""
    scene = describe(path, _maps_bands, set_upright=False)
    if "SNET4_MAPS" in scene.metadata:
        return _own(scene)
    if scene.nodata.assumed:
        # All-zero pixels are no data in a picture, but "certainly no building" in a map.
        never = (None,) * len(scene.bands.file_bands)
        scene = replace(scene, nodata=replace(scene.nodata, values=never))
    kind = np.dtype(scene.dtype)
    if kind.kind != "f" and kind != np.uint8:
        raise InputError(
            f"{scene.admitted.shown} holds {scene.dtype}, and maps are uint8 (0..255) or float "
            f"(0..1); scale it with {_TO_BYTES}."
        )
    return MapsFile(scene, MapsOrigin(), 1.0 if kind.kind == "f" else _peak(scene))


def is_own(path: Path | None) -> bool:
    """Whether a file of that name holds maps that snet4 wrote, as interrupted runs leave them."""
    try:
        return path is not None and "SNET4_MAPS" in describe(path, _maps_bands).metadata
    except InputError:
        return False


def _maps_bands(file: FileBands) -> BandMap:
    """Band map of a file: all maps where bands are named so, else footprint, and border if there
    is a second band."""
    model = TWO_MAPS
    if set(FIVE_MAPS) <= set(file.descriptions):
        bands = (file.descriptions.index(name) + 1 for name in FIVE_MAPS)
        return band_map(file, ",".join(map(str, bands)), FIVE_MAPS)
    if file.count > 2:
        raise InputError(
            f"has {file.count} bands, not one map or two; name them {', '.join(FIVE_MAPS)}, or "
            "give the band of the footprints alone ('gdal_translate -b N IN OUT')"
        )
    return band_map(file, "1,2" if file.count == 2 else "1,-", model)


def _own(scene: Scene) -> MapsFile:
    name = scene.admitted.shown
    if scene.metadata["SNET4_MAPS"] not in FORMATS.values():
        raise InputError(f"{name} was written by a newer snet4; upgrade to read it.")
    try:
        origin = MapsOrigin.from_tags(dict(scene.metadata))
    except (ValueError, TypeError, KeyError, Snet4Error) as problem:
        raise InputError(
            f"{name}: its tags are damaged ({problem}); save the maps again."
        ) from problem
    is_whole = scene.metadata["SNET4_MAPS"] == FORMATS[scene.bands.model_bands]
    if scene.dtype != "uint8" or not is_whole or None in scene.bands.file_bands:
        raise InputError(f"{name} is not as snet4 writes maps; save them again.")
    return MapsFile(scene, origin, 255.0)


def _peak(scene: Scene) -> float:
    """Full scale of a uint8 file: 1 for a mask of 0 and 1, else 255; reads the whole file."""
    with SceneReader(scene) as reader:
        for window in blocks(scene.grid.shape, 2048):
            if reader.read(window)[0].max(initial=0) > 1:
                return 255.0
    return 1.0
