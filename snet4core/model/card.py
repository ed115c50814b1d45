"""The model card: architecture, training, scores and settings of a model, as plain JSON.

It is readable without torch, so that `snet4 models list` stays quick, and stored in the
header of the model's `.safetensors` file under the key `snet4`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from snet4core.errors import ModelError
from snet4core.look.look import CATEGORIES, Category, Look
from snet4core.settings import UNCALIBRATED, Calibration, ShapeSettings, SplitSettings

FORMAT_VERSION = 4
"""Newest format that is read. 1: maps of footprints and borders; 2: also of roofs and heights;
3: also several scales; 4: also a decoder for the heights alone."""

SMALLEST_SCALE, LARGEST_SCALE = 0.25, 4.0
"""Limits of scales: beyond them no object has a size seen in training, and memory fills up."""

MOST_SCALES = 8
"""Each costs a computation of the whole picture."""

TWO_MAPS = ("footprint", "border")
"""Maps of a head, in order: building on the ground, and its edge."""

HEIGHT = "height"

FIVE_MAPS = (*TWO_MAPS, "roof", "roof_border", HEIGHT)
"""The same of roofs where the picture shows them, and their height on the scale of
`snet4core.maps.heights`."""

ONE_HEAD = ("any",)
THREE_HEADS: tuple[str, ...] = CATEGORIES
FIVE_HEADS = (
    "nadir",
    "off-nadir-north",
    "off-nadir-south",
    "very-off-nadir-north",
    "very-off-nadir-south",
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """Everything needed to build the network before its weights are loaded."""

    encoder: str = "tu-regnetx_004"
    """Any encoder name of segmentation-models-pytorch; `tu-` for timm's own."""
    bands: tuple[str, ...] = ("blue", "green", "red", "nir")
    """Names of the input channels, in order."""
    heads: tuple[str, ...] = THREE_HEADS
    """`any`, one per look category, or five split by looking side."""
    maps: tuple[str, ...] = TWO_MAPS
    """Maps that each head gives: `TWO_MAPS` or `FIVE_MAPS`."""
    decoder_channels: tuple[int, ...] = (128, 64, 32, 24, 16)
    """Channels of each decoder level, coarse to fine; the encoder has as many levels, and one
    more where maps have a stride of 2."""
    maps_stride_px: int = 1
    """2: maps are computed at every second pixel and interpolated, in half the time."""
    subpixel_maps: bool = False
    """With a stride of 2: also predict, for every pixel, the detail that interpolation loses."""
    attention: str | None = None
    """`scse` for squeeze-and-excitation in the decoder: it pools over the window, so maps
    then depend a little on where the window lies."""
    shared_decoder: bool = False
    """One decoder for all heads, which then differ only in their last convolution."""
    hears_look: bool = True
    """Whether the decoders are conditioned on off-nadir angle and azimuth."""
    sweeps_lean: bool = False
    """Whether the decoders sample features where the look displaces roofs; see `LeanSweep`."""
    swept_stride_px: int = 4
    """Stride of the finest features that are swept; at 2, for low roofs only."""
    estimates_look: bool = False
    """Whether the network also guesses the look, for pictures without metadata."""
    heights_apart: bool = False
    """Whether a decoder of their own corrects the heights; see `HeightDecoder`."""

    def __post_init__(self) -> None:
        if self.heads not in (ONE_HEAD, THREE_HEADS, FIVE_HEADS):
            raise ModelError(
                f"Heads {', '.join(self.heads)} are not a known set; use one ('any'), "
                "three (the look categories) or five (split by looking side)."
            )
        if self.maps not in (TWO_MAPS, FIVE_MAPS):
            raise ModelError(
                f"Maps {', '.join(self.maps)} are not a known set; use {', '.join(TWO_MAPS)} or "
                f"{', '.join(FIVE_MAPS)}."
            )
        if not self.bands or not self.decoder_channels:
            raise ModelError("A network needs at least one band and one decoder level.")
        if self.maps_stride_px not in (1, 2):
            raise ModelError(f"Maps have a stride of {self.maps_stride_px} pixels; use 1 or 2.")
        if self.subpixel_maps and self.maps_stride_px == 1:
            raise ModelError("Maps of every pixel have nothing between them; use a stride of 2.")
        if self.swept_stride_px not in (2, 4):
            raise ModelError(f"Sweeps begin at a stride of 2 or 4, not {self.swept_stride_px}.")
        if self.attention not in (None, "scse"):
            raise ModelError(f"Attention '{self.attention}' is unknown; use 'scse' or none.")
        if self.sweeps_lean and not self.hears_look:
            raise ModelError("A network that sweeps along the lean has to hear the look.")
        if self.heights_apart and not (self.maps_roofs and self.sweeps_lean and self.depth > 3):
            raise ModelError(
                "A decoder for heights is for networks that map roofs, sweep along the lean and "
                "have four levels or more."
            )

    @property
    def maps_roofs(self) -> bool:
        """Whether it maps roofs and their heights beside footprints."""
        return self.maps == FIVE_MAPS

    @property
    def stride_px(self) -> int:
        """The encoder's total stride: windows start and end at its multiples."""
        return int(2**self.depth)

    @property
    def depth(self) -> int:
        """Number of times that the encoder halves the resolution."""
        return len(self.decoder_channels) + self.maps_stride_px - 1

    def head_for(self, look: Look) -> str:
        """The head to use for this look.

        Five heads need the side; with an unknown azimuth the northern one is used, because
        every very-off-nadir collect of SpaceNet 4 was taken on that side.
        """
        if self.heads == ONE_HEAD:
            return ONE_HEAD[0]
        category = look.category
        if self.heads == THREE_HEADS or category == "nadir":
            return category
        return f"{category}-{look.side or 'north'}"


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """The fixed grid of windows the network runs on; changing it changes the maps a little."""

    core_px: int = 1024
    """Side of the part of each window that is kept."""
    halo_px: int = 64
    """Margin around it, computed and cropped; both are multiples of the encoder's stride."""


@dataclass(frozen=True, slots=True)
class Card:
    """Description of a trained model: architecture, data, scores, settings for its maps."""

    name: str
    """Short name, as in `--model NAME`."""
    architecture: Architecture
    windows: WindowSettings = field(default_factory=WindowSettings)
    gsd_m: float = 0.5
    """Ground sample distance that the model is made for, metres."""
    gsd_range_m: tuple[float, float] = (0.3, 1.0)
    """Smallest and largest pixel size in training, metres."""
    scales: tuple[float, ...] = ()
    """Scales at which every window is computed, their maps averaged, as `--tta` takes them; ()
    for its own size alone."""
    off_nadir_range_deg: tuple[float, float] = (0.0, 55.0)
    """Smallest and largest off-nadir angle in training, degrees."""
    shapes: Mapping[Category, ShapeSettings] = field(
        default_factory=lambda: {category: ShapeSettings() for category in CATEGORIES}
    )
    """Thresholds and polygon settings per look category."""
    confidence_knots: Calibration = UNCALIBRATED
    """From mean probability to the share that matched truth."""
    training_data: str = ""
    """Description of the training data."""
    licence: str = ""
    """Licence of the weights, and the attribution that the data requires."""
    scores: Mapping[str, Any] = field(default_factory=dict)
    """Scores on named data: {data set: {category or 'total': F1}}."""
    look_error_deg: tuple[float, float | None] | None = None
    """Median error of the guessed off-nadir angle and azimuth on unseen places; None where
    it was not measured."""
    code_version: str = ""
    """Version of snet4 that trained the model."""

    def __post_init__(self) -> None:
        if set(self.shapes) != set(CATEGORIES):
            raise ModelError(f"A card needs settings for exactly {', '.join(CATEGORIES)}.")
        if not 0 < self.gsd_range_m[0] <= self.gsd_m <= self.gsd_range_m[1]:
            raise ModelError(f"Pixel size {self.gsd_m} m is outside its range {self.gsd_range_m}.")
        sides_px, stride_px = self.windows, self.architecture.stride_px
        if (
            sides_px.core_px < stride_px
            or sides_px.halo_px < 0
            or any(side_px % stride_px for side_px in (sides_px.core_px, sides_px.halo_px))
        ):
            raise ModelError(
                f"Windows of {sides_px.core_px} and {sides_px.halo_px} pixels are no multiples of "
                f"{stride_px}, the network's stride."
            )
        if len(self.scales) > MOST_SCALES or not all(
            SMALLEST_SCALE <= scale <= LARGEST_SCALE for scale in self.scales
        ):
            raise ModelError(
                f"A model is computed at up to {MOST_SCALES} scales from {SMALLEST_SCALE:g} to "
                f"{LARGEST_SCALE:g}, not at {', '.join(map(str, self.scales))[:80]}."
            )

    def to_json(self) -> str:
        """The card as JSON, keys sorted, so that the same card gives the same bytes."""
        raw = asdict(self) | {"confidence_knots": self.confidence_knots.knots}
        written = 3 if self.scales else 2 if self.architecture.maps_roofs else 1
        # An older snet4 reads the models without, but not the keys.
        if not self.scales:
            del raw["scales"]
        if self.architecture.heights_apart:
            written = 4
        else:
            del raw["architecture"]["heights_apart"]
        if written == 1:
            del raw["architecture"]["maps"]  # the same
        return json.dumps({"format": written, **raw}, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Card:
        """Read a card; ModelError for what is misspelt, of another type or of a newer format.

        What is missing has its default, as in cards of older formats.
        """
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as problem:
            raise ModelError(f"The card is not JSON ({problem}).") from problem
        if not isinstance(raw, dict) or not _fits(raw.get("format"), int) or raw["format"] < 1:
            raise ModelError("The card has no format version.")
        if raw.pop("format") > FORMAT_VERSION:
            raise ModelError("The model was written by a newer snet4; upgrade snet4 to read it.")
        try:
            architecture = _build(Architecture, raw.pop("architecture"))
            windows = _build(WindowSettings, raw.pop("windows"))
            shapes = {
                category: _shape_settings(values)
                for category, values in raw.pop("shapes").items()
                if category in get_args(Category)
            }
            parts: dict[str, Any] = {"architecture": architecture, "windows": windows}
            parts["shapes"] = shapes
            if "confidence_knots" in raw:
                parts["confidence_knots"] = Calibration(_tupled(raw["confidence_knots"]))
            return _build(Card, raw | parts)
        except (KeyError, TypeError, AttributeError) as problem:
            raise ModelError(f"The card is incomplete or misspelt ({problem}).") from problem


def _shape_settings(raw: dict[str, Any]) -> ShapeSettings:
    split = _build(SplitSettings, raw.pop("split"))
    return _build(ShapeSettings, raw | {"split": split})


_Value = TypeVar("_Value")


def _build(kind: type[_Value], raw: dict[str, Any]) -> _Value:
    """Build a frozen dataclass from JSON: no unknown fields, lists as (nested) tuples, values of
    the fields' types."""
    types = get_type_hints(kind)
    if unknown := set(raw) - set(types):
        raise TypeError(f"unknown {', '.join(sorted(unknown))}")
    values = {name: _tupled(value) for name, value in raw.items()}
    for name, value in values.items():
        if not _fits(value, types[name]):
            raise TypeError(f"{name} cannot be {json.dumps(value, default=str)[:60]}")
    return kind(**values)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, as annotations name it; whole numbers are also floats."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(_fits(value, each) for each in parts)
    if origin is Literal:
        return value in parts
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        each = parts[:1] * len(value) if parts[-1] is Ellipsis else parts
        return len(value) == len(each) and all(map(_fits, value, each))
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else origin or kind)


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value
