"""Options that several commands share, each defined once.

Glossary: SCENE is a picture; OUT is the layer to write; lengths are in metres on the
ground; angles are in degrees; azimuth runs from satellite to ground, clockwise from north.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

_Command = TypeVar("_Command", bound="Callable[..., Any]")

output = click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Layer to write: .gpkg, .fgb, .geojson, .parquet, .csv or .city.json.",
)
csv = click.option(
    "--csv",
    "csv_path",
    type=click.Path(path_type=Path),
    help="Also write the SpaceNet CSV (ImageId, BuildingId, PolygonWKT_Pix, Confidence).",
)
roofs = click.option(
    "--roofs/--no-roofs",
    default=None,
    help="Whether a .gpkg has a second layer of roofs as the picture shows them [where the model "
    "gives them].",
)
roofs_file = click.option(
    "--roofs-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write the roofs as a layer of their own: .gpkg, .fgb, .geojson, .parquet or .csv.",
)
height_min = click.option(
    "--height-min",
    "height_min_m",
    type=click.FloatRange(0),
    metavar="M",
    help="Drop lower buildings, metres; those of unknown height stay.",
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
model = click.option(
    "--model",
    default="default",
    show_default=True,
    metavar="NAME or FILE",
    help="A shipped model, or a .safetensors file.",
)
models = click.option(
    "--model",
    "models",
    multiple=True,
    default=("default",),
    show_default=True,
    metavar="NAME or FILE",
    help="A shipped model, or a .safetensors file. Given several times, the models' maps are "
    "averaged; thresholds and shapes are the first one's.",
)
device = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps."
)
precision = click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="auto takes bf16 where the hardware gains from it.",
)
runtime = click.option(
    "--runtime",
    "engine",
    type=click.Choice(["auto", "torch", "openvino"]),
    default="auto",
    show_default=True,
    help="Engine that computes the network; auto takes OpenVINO on a CPU where possible.",
)


def _bytes(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    from snet4core.maps.memory import parsed_bytes

    return None if text is None else parsed_bytes(text)


memory = click.option(
    "--memory",
    "memory_bytes",
    callback=_bytes,
    metavar="SIZE",
    help="Use at most about this much memory, as in 2G, by computing fewer windows at once.",
)
off_nadir = click.option(
    "--off-nadir", "off_nadir_deg", type=float, help="Look angle in degrees, 0 is straight down."
)
azimuth = click.option(
    "--azimuth",
    "azimuth_deg",
    type=float,
    help="Direction from satellite to ground in degrees, clockwise from north.",
)
looks = click.option(
    "--looks",
    "looks_table",
    type=click.Path(path_type=Path),
    help="CSV with a look for each scene.",
)
bands = click.option(
    "--bands", help="Which band is which: '3,2,1,4' (B,G,R,NIR), '1,1,1,-' or 'red=1,green=2,...'."
)
crs = click.option(
    "--crs",
    metavar="EPSG:NUMBER or WKT",
    help="Read SCENE in this CRS, whatever it says itself.",
)
nodata = click.option("--nodata", type=float, help="Value that means no data in every band.")
threshold = click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Footprint probability from which a pixel is building [the model's].",
)
min_area = click.option(
    "--min-area",
    "min_area_m2",
    type=click.FloatRange(0),
    help="Drop smaller footprints, square metres [the model's].",
)
min_confidence = click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    help="Drop footprints of lower confidence; 0 keeps all [the model's].",
)
simplify = click.option(
    "--simplify",
    "simplify_m",
    type=click.FloatRange(0),
    help="Largest distance of a wall from the mask's edge, metres [the model's].",
)
regularize = click.option(
    "--regularize/--no-regularize",
    default=None,
    help="Fit right angles and straight walls where the mask supports them [the model's].",
)


def share(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Parse `I/N` into two numbers."""
    if value is None:
        return None
    number, slash, of = value.partition("/")
    if not (slash and number.isdecimal() and of.isdecimal()):
        raise click.BadParameter(f"'{value}' is not I/N, as in 2/8.")
    return int(number), int(of)


def scales(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[float, ...]:
    """Parse `0.8,1,1.25` into numbers."""
    try:
        return () if value is None else tuple(float(each) for each in value.split(","))
    except ValueError:
        raise click.BadParameter(f"'{value}' is no list of scales, as 0.8,1,1.25 is.") from None


tta = click.option(
    "--tta",
    "scales",
    callback=scales,
    metavar="SCALES",
    help="Compute each window at several scales, as in 0.8,1,1.25, and average the maps, of a "
    "model that maps roofs those of roofs alone; takes the sum of their squares; 1 is its own size "
    "alone. Scales only: flips would put walls where "
    "a tilted picture has none. [the scales on the model's card]",
)


def together(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Combine several options into one decorator; help shows them in the order given."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


shapes = together(threshold, min_area, min_confidence, simplify, regularize)
"""Options for making footprints from maps."""

heights = together(height_min, roofs, roofs_file)
"""Options for the heights and roofs that some models give."""

engine = together(model, device, precision, runtime)
"""Options for the model, and for the engine and device that compute it."""

engines = together(models, tta, device, precision, runtime)
"""The same for commands that can average several models."""
