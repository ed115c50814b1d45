"""A recipe: everything that decides what a training run gives, in one TOML file.

Frozen, checked at once, saved beside the weights. A misspelt key is an error. Single
keys can be set from the command line: `--set train.steps=2000`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from snet4_training.scenes.place import KINDS
from snet4_training.scenes.write import parse_looks
from snet4core.card import THREE_HEADS, Architecture
from snet4core.errors import InputError, UsageError
from snet4core.look import CATEGORIES


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"{name} is {value}; it must be above 0.")


def _shares(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise UsageError(f"{name} is {value}; it must be between 0 and 1.")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{name} is '{value}'; it must be one of {', '.join(known)}.")


LOSSES = ("bce+dice", "focal", "focal+dice", "lovasz")
"""What `train.loss` may say."""

OPTIMIZERS = ("adamw", "adam")
"""What `train.optimizer` may say."""

SCHEDULES = ("cosine", "step", "plateau", "constant")
"""What `train.schedule` may say."""


@dataclass(frozen=True, slots=True)
class ModelRecipe:
    """Which network is trained."""

    name: str = "default"
    """Name on the model's card."""
    encoder: str = "tu-regnetx_004"
    """Encoder of segmentation-models-pytorch by name; `tu-` and a name for timm's."""
    pretrained: str = ""
    """File with the encoder's pretrained weights; empty: it starts at random."""
    bands: tuple[str, ...] = ("blue", "green", "red", "nir")
    """Input bands in order."""
    heads: tuple[str, ...] = THREE_HEADS
    """`any`; one per look category; or five, split by looking side."""
    decoder_channels: tuple[int, ...] = (128, 64, 32, 24, 16)
    """Width of the decoder, from coarse to fine."""
    maps_stride_px: int = 1
    """2: maps are computed at every second pixel and interpolated, in half the time; the
    decoder then has one level less."""
    subpixel_maps: bool = False
    """With a stride of 2: what interpolation loses is computed beside it, for every pixel."""
    attention: str = ""
    """`scse`: squeeze and excite in the decoders; empty: none."""
    shared_decoder: bool = False
    """One decoder for all heads."""
    hears_look: bool = True
    """Whether the decoders hear the angle and the azimuth."""
    sweeps_lean: bool = False
    """Whether the decoders look for each place's roof where the look displaces it to."""
    swept_stride_px: int = 4
    """Stride of the finest features that are swept; at 2 low roofs alone are looked for."""
    estimates_look: bool = False
    """Whether the look is guessed from the picture, beside the maps."""
    start_from: str = ""
    """Model file of snet4, or name of one that is installed, whose weights are gone on from;
    empty: all weights start at random."""

    def __post_init__(self) -> None:
        self.architecture()
        if self.attention and min(self.decoder_channels) < 16:
            raise UsageError(
                "model.attention needs decoder_channels of 16 or more, not "
                f"{min(self.decoder_channels)}."
            )

    def architecture(self) -> Architecture:
        """The network that these keys describe; `ModelError` where there is no such network."""
        return Architecture(
            encoder=self.encoder,
            bands=self.bands,
            heads=self.heads,
            decoder_channels=self.decoder_channels,
            maps_stride_px=self.maps_stride_px,
            subpixel_maps=self.subpixel_maps,
            attention=self.attention or None,
            shared_decoder=self.shared_decoder,
            hears_look=self.hears_look,
            sweeps_lean=self.sweeps_lean,
            swept_stride_px=self.swept_stride_px,
            estimates_look=self.estimates_look,
        )


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """Where the chips come from."""

    store: str = "chips"
    """Folder of prepared chips; relative to the run's folder unless absolute."""
    chip_px: int = 256
    """Side of what the network sees in training."""
    spare_px: int = 64
    """Prepared chips are this much larger; training takes a random part of them."""
    gsd_m: float = 0.5
    """Middle of the pixel sizes."""
    gsd_range_m: tuple[float, float] = (0.3, 1.0)
    """Smallest and largest pixel size."""
    scene_chips: int = 6400
    """How many chips are cut from rendered places; 0: none."""
    scene_kinds: tuple[str, ...] = ()
    """Kinds of rendered places, such as "suburb", each as often; empty: all, as they come."""
    scene_looks: str = ""
    """Looks of rendered places, as `snet4 scenes --looks` takes them; empty: any angle, from
    any side."""
    banepa: str = ""
    """Folder with `train/`, `val/` and `buildings.geojson`; empty: rendered places alone."""
    banepa_chips: int = 1600
    """How many chips are cut from the leaned drone pictures."""
    banepa_share: float = 0.28
    """Share of the drone pictures in a batch."""
    pictures: str = ""
    """Folder of pictures with footprints: either layout of SpaceNet 4, or any rasters with
    NAME.geojson beside NAME.tif."""
    labels: str = ""
    """One vector file with the footprints of all `pictures`; empty: one file for each."""
    looks: str = ""
    """Table of the pictures' looks; empty: looks.csv in their folder, or names and metadata."""
    picture_chips: int = 6400
    """How many chips are cut from `pictures`."""
    picture_share: float = 0.5
    """Share of `pictures` in a batch, where there are other chips too."""
    folds: int = 5
    """The places of `pictures` are dealt out to so many folds ..."""
    fold: int = 0
    """... and this one is held out for validation."""
    split_seed: int = 1
    """Seed of that deal."""
    category: str = ""
    """Train on chips of this look category alone; empty: as many of each."""
    seed: int = 20000
    """Seed of places, looks and cuts, 10,000 to 999,999; others are kept for tests, the demo and
    benchmarks."""
    validation_chips: int = 30
    """Chips per look category and source that are never trained on."""

    def __post_init__(self) -> None:
        _positive(chip_px=self.chip_px, gsd_m=self.gsd_m)
        _shares(banepa_share=self.banepa_share, picture_share=self.picture_share)
        _one_of("data.category", self.category, ("", *CATEGORIES))
        for kind in self.scene_kinds:
            _one_of("data.scene_kinds", kind, tuple(KINDS))
        shown = {one.look.category for one in parse_looks(self.scene_looks or "spacenet4")}
        if missing := set(CATEGORIES) - shown:
            raise UsageError(
                f"data.scene_looks has no look that is {' or '.join(sorted(missing))}; a batch "
                "has chips of every category, so add one."
            )
        if self.scene_chips < 0 or not (self.scene_chips or self.banepa or self.pictures):
            raise UsageError(
                f"scene_chips is {self.scene_chips}; it must be above 0 where no data.pictures "
                "are given."
            )
        if self.folds < 2 or not 0 <= self.fold < self.folds:
            raise UsageError(
                f"data.fold is {self.fold} of {self.folds}; use two folds or more, and count "
                "from 0."
            )
        if self.chip_px % 32 or self.spare_px < 0:
            raise UsageError(
                f"chip_px is {self.chip_px} and spare_px {self.spare_px}; use a multiple of 32 "
                "and a margin of 0 or more."
            )
        if not 10_000 <= self.seed < 1_000_000:
            raise UsageError(
                f"data.seed is {self.seed}; take one from 10000 to 999999, the others are kept for "
                "tests, the demo and benchmarks."
            )


@dataclass(frozen=True, slots=True)
class AugmentRecipe:
    """What is changed at random in every chip. Light and lean keep their direction, unless
    `flips` or `quarter_turns` is set."""

    stretch: float = 0.15
    """How far the ends of a band's range may move, as a share of the range."""
    gamma: float = 0.25
    """Tones are raised to a power of up to e to the plus or minus this."""
    band_gain: float = 0.08
    """Spread of each band's own gain."""
    blur: float = 0.3
    """Share of chips that are blurred."""
    sharpen: float = 0.0
    """Share of chips whose edges are raised, as map services and pan-sharpening do."""
    noise: float = 0.4
    """Share of chips that get sensor noise."""
    haze: float = 0.2
    """Share of chips under haze."""
    cutout: float = 0.15
    """Share of chips with a rectangle taken out."""
    edge: float = 0.15
    """Share of chips of which only a strip has data, as at the edge of a scene."""
    drop_nir: float = 0.5
    """Share of chips whose infrared is made unknown, as in an RGB picture."""
    grey: float = 0.07
    """Share of chips whose visible bands become their mean, as in a panchromatic picture."""
    forget_azimuth: float = 0.2
    """Share of looks whose azimuth is made unknown."""
    angle_noise_deg: float = 1.0
    """Spread of the error that is put on the angle told to the network."""
    azimuth_noise_deg: float = 3.0
    """The same for the azimuth."""
    flips: float = 0.0
    """Share of chips that are mirrored, half of them east and west, half north and south;
    the azimuth goes along, the sun does not."""
    quarter_turns: float = 0.0
    """Share of chips that are turned by 90, 180 or 270 degrees, the azimuth along with them."""

    def __post_init__(self) -> None:
        _shares(
            flips=self.flips,
            quarter_turns=self.quarter_turns,
            blur=self.blur,
            sharpen=self.sharpen,
            noise=self.noise,
            haze=self.haze,
            cutout=self.cutout,
            edge=self.edge,
            drop_nir=self.drop_nir,
            grey=self.grey,
            forget_azimuth=self.forget_azimuth,
        )
        if self.blur + self.sharpen > 1:
            raise UsageError(
                f"augment.blur is {self.blur} and augment.sharpen {self.sharpen}: no chip gets "
                "both, so their sum must be 1 at most."
            )


@dataclass(frozen=True, slots=True)
class TrainRecipe:
    """How the network is trained."""

    steps: int = 3000
    """Batches until the end."""
    loss: str = "bce+dice"
    """Of each map: `bce+dice`, `focal`, `focal+dice` or `lovasz`."""
    focal_gamma: float = 2.0
    """How little the focal loss cares for pixels that are right already; 0 is cross-entropy."""
    focal_weight: float = 10.0
    """Weight of the focal loss, whose values are small (SpaceNet 4's winner: 10 beside dice)."""
    size_weight: float = 0.0
    """Extra weight of small buildings' pixels; not for `lovasz`."""
    gap_weight: float = 0.0
    """Extra weight of narrow gaps between buildings; not for `lovasz`."""
    minutes: float = 0.0
    """Time until the end, 0 for none: the learning rate follows whichever is further on."""
    batch: int = 12
    """Chips that go through the network at once."""
    accumulate: int = 1
    """Parts of `batch` chips whose gradients make one step; processes share them."""
    optimizer: str = "adamw"
    """`adamw`, or `adam`, whose weight decay is a part of the gradient."""
    learning_rate: float = 1.5e-3
    """Highest learning rate."""
    warmup_steps: int = 150
    """Steps until the highest learning rate."""
    schedule: str = "cosine"
    """How it falls: `cosine` down to 1 % at the end; `step` every `decay_steps`; `plateau`
    after `patience` validations without a better score; `constant`."""
    decay: float = 0.5
    """What `step` and `plateau` multiply it by."""
    decay_steps: int = 1000
    """For `step`."""
    patience: int = 2
    """For `plateau`."""
    early_stop: int = 0
    """Validations without a better score after which the run ends; 0: never."""
    weight_decay: float = 0.01
    """Pull of the weights towards 0."""
    border_weight: float = 0.5
    """Weight of the border map's loss against the footprint map's."""
    dice_weight: float = 1.0
    """Weight of dice beside cross-entropy or focal loss."""
    look_weight: float = 0.3
    """Weight of the look estimate's loss, where the network has one."""
    average: float = 0.998
    """Share of the weights' running average that each step keeps."""
    clip_norm: float = 5.0
    """Longest gradient."""
    bf16: bool = True
    """Multiply in bfloat16."""
    seed: int = 1
    """Seed of the weights and of the order of chips."""
    loaders: int = 1
    """Processes that prepare batches."""
    checkpoint_steps: int = 300
    """Steps between two checkpoints."""
    validate_steps: int = 1000
    """Steps between two validations."""
    pictures: int = 2
    """Validation chips of each source and look category that every validation draws; 0: none."""
    tensorboard: bool = False
    """Whether curves and pictures are also written for TensorBoard."""

    def __post_init__(self) -> None:
        _positive(steps=self.steps, batch=self.batch, learning_rate=self.learning_rate)
        _positive(checkpoint_steps=self.checkpoint_steps, validate_steps=self.validate_steps)
        _shares(average=self.average)
        _one_of("train.loss", self.loss, LOSSES)
        _one_of("train.optimizer", self.optimizer, OPTIMIZERS)
        _one_of("train.schedule", self.schedule, SCHEDULES)
        _positive(accumulate=self.accumulate, decay=self.decay, decay_steps=self.decay_steps)
        _positive(patience=self.patience)
        _shares(decay=self.decay)
        if self.loss == "lovasz" and (self.size_weight or self.gap_weight):
            raise UsageError(
                "train.size_weight and train.gap_weight do nothing to lovasz; take another loss."
            )
        if min(self.size_weight, self.gap_weight, self.focal_gamma) < 0:
            raise UsageError("size_weight, gap_weight and focal_gamma must be 0 or more.")
        if min(self.minutes, self.loaders, self.early_stop, self.pictures) < 0:
            raise UsageError("train.minutes, loaders, early_stop and pictures must be 0 or more.")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run."""

    model: ModelRecipe = field(default_factory=ModelRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    augment: AugmentRecipe = field(default_factory=AugmentRecipe)
    train: TrainRecipe = field(default_factory=TrainRecipe)


_SECTIONS: dict[str, type[Any]] = {
    "model": ModelRecipe,
    "data": DataRecipe,
    "augment": AugmentRecipe,
    "train": TrainRecipe,
}

_Section = TypeVar("_Section")


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """The recipe of a TOML file, with `section.key=value` changes (values as in TOML).

    Raises `InputError` for a file that cannot be read, `UsageError` for unknown or
    impossible values.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise InputError(f"{path}: the recipe cannot be read ({problem}).") from problem
    for change in changes:
        section, key, value = _change(change)
        raw.setdefault(section, {})[key] = value
    if unknown := set(raw) - set(_SECTIONS):
        raise UsageError(
            f"{path}: unknown section {', '.join(sorted(unknown))}; "
            f"a recipe has {', '.join(_SECTIONS)}."
        )
    return Recipe(**{name: _section(kind, raw.get(name, {})) for name, kind in _SECTIONS.items()})


def as_plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as nested dictionaries, for the log and the checkpoint."""
    return asdict(recipe)


def _change(text: str) -> tuple[str, str, Any]:
    name, equals, value = text.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and key):
        raise UsageError(f"--set {text}: write it as section.key=value, as in train.steps=2000.")
    try:
        return section, key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        # A bare word or path: a string without its quotes.
        return section, key, value.strip()


def _section(kind: type[_Section], raw: dict[str, Any]) -> _Section:
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    if unknown := set(raw) - set(known):
        raise UsageError(
            f"Unknown recipe key {', '.join(sorted(unknown))}; known are {', '.join(known)}."
        )
    defaults = kind()
    values = {}
    for name, value in raw.items():
        expected = getattr(defaults, name)
        given = tuple(value) if isinstance(value, list) else value
        if isinstance(expected, float) and type(given) is int:
            given = float(given)
        if type(given) is not type(expected):
            raise UsageError(
                f"Recipe key {name} is {value!r}; it must be a {type(expected).__name__}."
            )
        values[name] = given
    return kind(**values)
