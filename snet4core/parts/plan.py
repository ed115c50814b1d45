"""Plan of a run over one scene, made before its maps are computed.

Georeference, look, working pixel size, area of interest and polygon settings:
`snet4 run --dry-run` prints the plan, `detect` carries it out.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from snet4core.errors import InputError, OutsideError, UsageError
from snet4core.files.names import printable
from snet4core.footprints.footprints import Source
from snet4core.grid import Grid
from snet4core.layers.read import area_in
from snet4core.layers.write import software
from snet4core.look.look import Look
from snet4core.look.sources import find_look
from snet4core.maps.file import MapsOrigin
from snet4core.maps.look_guesser import LookGuesser
from snet4core.model.header import Header
from snet4core.parts.command import command_line, of_models
from snet4core.parts.heights import no_heights, require_roofs
from snet4core.parts.region import Region, outline
from snet4core.scene.georeference import crs_named
from snet4core.scene.inputs import SceneInput
from snet4core.scene.scene import Scene, open_scene
from snet4core.scene.working_scale import WorkingScale, working_scale
from snet4core.sentence import BOUNDS, HEIGHT_MIN, ROOFS, Part
from snet4core.settings import ShapeSettings

FootprintsFrom = Literal["maps", "roofs"]


class ChoiceOptions(TypedDict, total=False):
    """The fields of `Choices` as typed keywords; a test holds the two together."""

    off_nadir_deg: float | None
    azimuth_deg: float | None
    looks_table: Path | None
    bands: str | None
    crs: str | None
    nodata: float | None
    bounds: tuple[float, float, float, float] | None
    aoi: Path | None
    threshold: float | None
    min_area_m2: float | None
    min_confidence: float | None
    simplify_m: float | None
    regularize: bool | None
    footprints_from: FootprintsFrom | None
    height_min_m: float | None
    roofs: bool | None
    allow_remote: bool


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user may choose for a run; None leaves it to the scene or the model's card."""

    off_nadir_deg: float | None = None
    """Look angle, 0 is straight down; overrides every other source."""
    azimuth_deg: float | None = None
    """From satellite to ground, clockwise from north."""
    looks_table: Path | None = None
    """CSV with a look per scene."""
    bands: str | None = None
    """Which band is which, as `--bands`: `3,2,1,4` or `red=1,green=2,...`; see `scene.bands`."""
    crs: str | None = None
    """Replaces the CRS that the file declares: `EPSG:32616`, another authority's code, or WKT."""
    nodata: float | None = None
    """Replaces the value that the file declares."""
    bounds: tuple[float, float, float, float] | None = None
    """x min, y min, x max, y max in the scene's CRS; in `crs` where that is given."""
    aoi: Path | None = None
    """Vector layer; only the area inside its polygons is searched."""
    threshold: float | None = None
    """Footprint probability from which a pixel counts as building, 0..1."""
    min_area_m2: float | None = None
    """Smaller footprints are dropped; true ground area."""
    min_confidence: float | None = None
    """Footprints of lower confidence are dropped, 0..1."""
    simplify_m: float | None = None
    """Largest distance of a simplified wall from the mask's edge, metres."""
    regularize: bool | None = None
    """Whether right angles and straight walls are fitted."""
    footprints_from: FootprintsFrom | None = None
    """Where a model maps roofs: footprints from the `maps` of footprints, without heights, or
    from `roofs`, moved back by their heights (the default)."""
    height_min_m: float | None = None
    """Lower buildings are left out, metres; those of unknown height stay."""
    roofs: bool | None = None
    """Whether a GeoPackage gets a layer of roofs; None: where the model gives them."""
    allow_remote: bool = False
    """Whether URLs may be opened."""

    def __post_init__(self) -> None:
        if self.crs is not None:
            crs_named(self.crs)  # raises UsageError for one that PROJ does not know
        if self.height_min_m is not None and not 0 <= self.height_min_m < math.inf:
            raise UsageError(
                f"The least height is {self.height_min_m}; give ", HEIGHT_MIN, " 0 or more metres."
            )

    def has_roofs(self, there: bool, name: str) -> bool:
        """Whether footprints come from roofs, where the maps of them are `there` or not.

        InputError where roofs are asked for and not there; `name` is what lacks them.
        """
        if self.footprints_from == "roofs" and not there:
            raise InputError(f"{name} maps no roofs; take the footprints from its maps.")
        return there and self.footprints_from != "maps"

    def shapes(self, standard: ShapeSettings) -> ShapeSettings:
        """The standard settings, overridden by what was chosen."""
        names = ("threshold", "min_area_m2", "min_confidence", "simplify_m", "regularize")
        chosen = {name: getattr(self, name) for name in names}
        return replace(standard, **{k: value for k, value in chosen.items() if value is not None})


@dataclass(frozen=True)
class Plan:
    """Everything about one run over one scene except its pixels."""

    scene: Scene
    """The raster file, opened and checked."""
    scale: WorkingScale
    """How scene pixels become working pixels."""
    grid: Grid
    """The working grid: that of the maps."""
    region: Region
    """Where footprints are wanted."""
    look: Look
    """How tilted the picture is, and who says so."""
    model: Header
    """Card and digest of the model."""
    settings: ShapeSettings
    """How maps become footprints."""
    description: dict[str, str]
    """How the scene is read and cut, for the log and the layer's metadata."""
    warnings: tuple[str, ...]
    """What the user should know."""
    has_roofs: bool = False
    """Whether footprints come from roofs, with heights."""

    @property
    def source(self) -> Source:
        """Scene, CRS, look and model: what all footprints of the scene have in common."""
        name, crs = self.scene.name, self.grid.crs
        return Source(name, crs, self.look, self.model.card.name, has_roofs=self.has_roofs)

    @property
    def origin(self) -> MapsOrigin:
        """The same facts as they go into a maps file."""
        card, stored = self.model.card, self.scene.stored_grid
        return MapsOrigin(
            scene=self.scene.name,
            look=self.look,
            model=card.name,
            model_digest=self.model.digest,
            shapes=card.shapes[self.look.category],
            confidence_knots=card.confidence_knots,
            native_shape=stored.shape,
            native_transform=tuple(stored.transform[:6]),
        )


def plan_for(
    given: str | Path | SceneInput,
    model: Header,
    choices: Choices,
    guesser: LookGuesser | None = None,
) -> Plan:
    """Plan the run over one scene.

    Reads no pixels and needs no network, unless `guesser` can tell what no source knows of the
    look, or doubts the azimuth of a large picture. Raises InputError for a scene that cannot be
    used, LookError without a look angle, ModelError where `choices` ask for roofs that the model
    does not give.
    """
    card = model.card
    has_roofs = choices.has_roofs(card.architecture.maps_roofs, f"The model {card.name}")
    if choices.roofs:
        require_roofs(card, ROOFS)
    given = given if isinstance(given, SceneInput) else SceneInput(str(given))
    scene = open_scene(
        given,
        bands=choices.bands,
        crs=choices.crs,
        nodata=choices.nodata,
        allow_remote=choices.allow_remote,
        model_bands=card.architecture.bands,
    )
    name = scene.admitted.shown
    scale = working_scale(scene.grid.gsd_m, card.gsd_range_m, card.gsd_m, name)
    grid = scale.grid(scene.grid)
    region = _region(name, grid, choices)  # before a look is guessed of a scene that has no part
    found = find_look(
        scene,
        off_nadir_deg=choices.off_nadir_deg,
        azimuth_deg=choices.azimuth_deg,
        table=choices.looks_table,
        guess=None if guesser is None else partial(guesser.sighting, scene),
    )
    look = found.look
    settings = choices.shapes(card.shapes[look.category])
    warnings = [*scene.warnings, *found.warnings]
    low_deg, high_deg = card.off_nadir_range_deg
    if not low_deg <= look.off_nadir_deg <= high_deg:
        warnings.append(
            f"{scene.location}: the look angle of {look.off_nadir_deg:g} degrees is outside the "
            f"{low_deg:g} to {high_deg:g} that the model {card.name} was trained on; expect "
            "poorer footprints."
        )
    if choices.height_min_m is not None and not has_roofs:
        warnings.append(no_heights(f"{scene.location}: the model {card.name}", HEIGHT_MIN))
    if scale.warning:
        warnings.append(f"{scene.location}: {scale.warning}")
    azimuth = "unknown" if look.azimuth_deg is None else f"{look.azimuth_deg:g} degrees"
    return Plan(
        scene=scene,
        scale=scale,
        grid=grid,
        region=region,
        look=look,
        model=model,
        settings=settings,
        description={
            "scene": scene.location,
            "look": f"{look.off_nadir_deg:g} degrees off nadir ({look.category}), azimuth "
            f"{azimuth}, from: {look.source}",
            "bands": scene.bands.says,
            "nodata": scene.nodata.says,
            "pixel": f"{scene.grid.gsd_m:.3f} m, seen by the network at {grid.gsd_m:.3f} m",
            "model": f"{card.name}, sha256 {model.digest}",
            "shapes": str(settings),
            "command": _command(scene.location, choices, model),
            "software": software(),
        },
        warnings=tuple(warnings),
        has_roofs=has_roofs,
    )


def _command(location: str, choices: Choices, model: Header) -> str:
    """The run of this scene alone on one machine, whatever the run was a part of."""
    values = {each.name: getattr(choices, each.name) for each in fields(choices)}
    words = command_line("run", location, "footprints.gpkg", values)
    return f"{words} {of_models(model)}".rstrip()


def searched(choices: Choices) -> str:
    """What is searched, equal for equal bounds and areas of interest; "all" without them.

    InputError for an area of interest that cannot be read.
    """
    if choices.bounds is None and choices.aoi is None:
        return "all"
    what = hashlib.sha256(repr(choices.bounds).encode())
    if choices.aoi is not None:
        try:
            what.update(choices.aoi.read_bytes())
        except OSError as problem:
            raise InputError(
                f"{printable(choices.aoi)} cannot be read ({problem.strerror}); check the path."
            ) from problem
    return what.hexdigest()[:16]


def _region(name: str, grid: Grid, choices: Choices) -> Region:
    """Bounds and area of interest on the grid; OutsideError when they miss the scene."""
    areas: list[BaseGeometry] = []
    if choices.bounds is not None:
        if not np.isfinite(choices.bounds).all():
            raise UsageError("The bounds must be four finite numbers in map units; correct them.")
        areas.append(shapely.box(*choices.bounds))
    if choices.aoi is not None:
        areas.append(area_in(choices.aoi, grid.crs, outline(grid)))
    try:
        return Region.of(grid, areas)
    except OutsideError as problem:
        remedy: tuple[Part, ...] = ("; give another area, or a scene of this one.",)
        if choices.aoi is None:  # an area of interest brings its own CRS
            remedy = ("; give ", BOUNDS, " in that CRS.")
        raise OutsideError(f"{name}: ", problem.sentence, *remedy) from problem
    except InputError as problem:
        raise InputError(f"{name}: ", problem.sentence) from problem
