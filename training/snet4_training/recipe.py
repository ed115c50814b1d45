"""Training recipes: all settings of a training run as frozen values, checked when they are made.

They are saved with the checkpoint and in the log; `recipe_file` reads them from TOML.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from snet4_training.scenes.dataset import parse_looks
from snet4_training.scenes.place import KINDS
from snet4core.errors import UsageError
from snet4core.look.look import CATEGORIES
from snet4core.model.card import Architecture


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"{name} is {value}; it must be above 0.")


def _shares(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise UsageError(f"{name} is {value}; it must be between 0 and 1.")


def _not_negative(table: str, **values: float) -> None:
    for name, value in values.items():
        if not value >= 0:
            raise UsageError(f"{table}.{name} is {value}; it must be 0 or more.")


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
class ModelRecipe(Architecture):
    """The network: the keys of `snet4core.model.card.Architecture`, and where its weights start."""

    name: str = "default"
    """Name on the model's card."""
    pretrained: str = ""
    """File with pretrained weights of the encoder, or `lite0`, `lite1`, `lite2` for those of an
    installed package (ImageNet); empty: random initialisation."""
    start_from: str = ""
    """Model file of snet4, or name of an installed model, to fine-tune; empty: none."""

    def __post_init__(self) -> None:
        # By name: dataclasses make slotted classes anew, which breaks super() without arguments.
        Architecture.__post_init__(self)
        if self.attention and min(self.decoder_channels) < 16:
            raise UsageError(
                "model.attention needs decoder_channels of 16 or more, not "
                f"{min(self.decoder_channels)}."
            )

    def architecture(self) -> Architecture:
        """The architecture alone, as it is written on the model's card."""
        return Architecture(**{one.name: getattr(self, one.name) for one in fields(Architecture)})


LABELS = ("footprints", "roofs")
"""What `labels` of a `[[data.real]]` table may say."""


@dataclass(frozen=True, slots=True)
class RealSource:
    """A source of real pictures with labels: one `[[data.real]]` table."""

    folder: str = ""
    """Folder of the pictures: either layout of SpaceNet 4, or any rasters with NAME.geojson beside
    NAME.tif. With `lean`: `train/*.tif`, `val/*.tif` and `buildings.geojson`."""
    name: str = ""
    """Name of the source in the chip store, the log and the card; empty: the folder's own."""
    share: float = 0.5
    """Share of these chips in a batch; rendered places get what all shares leave. Without rendered
    places, shares are relative to each other."""
    chips: int = 6400
    """How many chips are cut."""
    labels: str = "footprints"
    """`footprints`: the labels outline buildings on the ground. `roofs`: they outline roofs as
    seen; in tilted pictures these are moved back onto the ground by their heights, and tilted
    pictures without heights are left out."""
    labels_file: str = ""
    """One vector file with the labels of all pictures; empty: one for each picture."""
    height_field: str = ""
    """With `labels = "roofs"`: field of the label files with the roof's height in metres."""
    looks: str = ""
    """Table of the pictures' looks; empty: looks.csv in the folder, or names and metadata."""
    lean: bool = False
    """Near-nadir pictures, of which tilted views are made by geometry (as by `snet4 lean`) with
    random building heights."""
    about: str = ""
    """What the pictures show and where the labels come from, for the model's card."""
    licence: str = ""
    """Licence and attribution, for the model's card."""

    def __post_init__(self) -> None:
        # The one place that fills in the default, so that everyone else can rely on the name.
        object.__setattr__(self, "name", self.name or Path(self.folder).name)
        _shares(share=self.share)
        _one_of("data.real.labels", self.labels, LABELS)
        if self.chips < 0:
            raise UsageError(f"data.real.chips is {self.chips}; it must be 0 or more.")
        if self.height_field and (self.labels != "roofs" or self.lean):
            raise UsageError(
                'data.real.height_field is only used with labels = "roofs" and without lean.'
            )
        if self.looks and self.lean:
            raise UsageError("data.real.looks is not used with lean, whose looks are random.")


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """Sources, size and number of chips, and the validation split."""

    store: str = "chips"
    """Folder of prepared chips; relative to the run's folder unless absolute."""
    chip_px: int = 256
    """Side of a training sample."""
    spare_px: int = 64
    """Prepared chips are this much larger; training takes random crops of them."""
    gsd_m: float = 0.5
    """Most frequent pixel size."""
    gsd_range_m: tuple[float, float] = (0.3, 1.0)
    """Smallest and largest pixel size."""
    scene_chips: int = 6400
    """How many chips are cut from rendered places; 0: none."""
    scene_kinds: tuple[str, ...] = ()
    """Kinds of rendered places, such as "suburb", each as often; empty: all, as they come."""
    scene_looks: str = ""
    """Looks of rendered places, as `snet4 scenes --looks` takes them; empty: any angle, from
    any side."""
    real: tuple[RealSource, ...] = ()
    """Sources of real pictures, one `[[data.real]]` table each."""
    pictures: str = ""
    """Short for one more `[[data.real]]` table: its `folder` ..."""
    labels: str = ""
    """... its `labels_file` ..."""
    looks: str = ""
    """... its `looks` ..."""
    picture_chips: int = 6400
    """... its `chips` ..."""
    picture_share: float = 0.5
    """... and its `share`."""
    folds: int = 5
    """Number of folds for the split by place of all real pictures without `lean`."""
    fold: int = 0
    """The fold that is held out for validation, from 0."""
    split_seed: int = 1
    """Random seed of the split."""
    category: str = ""
    """Train on chips of this look category only; empty: equally many of each."""
    seed: int = 20000
    """Random seed of places, looks and cuts, 10,000 to 999,999; others are kept for tests, the demo
    and benchmarks."""
    validation_chips: int = 30
    """Chips per look category and source that are never trained on."""

    def __post_init__(self) -> None:
        _positive(chip_px=self.chip_px, gsd_m=self.gsd_m)
        self._check_gsd()
        _shares(picture_share=self.picture_share)
        self._check_sources()
        _one_of("data.category", self.category, ("", *CATEGORIES))
        for kind in self.scene_kinds:
            _one_of("data.scene_kinds", kind, tuple(KINDS))
        shown = {one.look.category for one in parse_looks(self.scene_looks or "spacenet4")}
        if missing := set(CATEGORIES) - shown:
            raise UsageError(
                f"data.scene_looks has no look that is {' or '.join(sorted(missing))}; a batch "
                "has chips of every category, so add one."
            )
        if self.scene_chips < 0 or not (self.scene_chips or self.real_sources):
            raise UsageError(
                f"scene_chips is {self.scene_chips}; it must be above 0 where there are no "
                "data.real and no data.pictures."
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

    def _check_gsd(self) -> None:
        ends = self.gsd_range_m
        if len(ends) != 2 or not 0 < ends[0] <= self.gsd_m <= ends[1]:
            raise UsageError(
                f"data.gsd_range_m is {list(ends)} and data.gsd_m {self.gsd_m:g}; give the "
                "smallest and the largest pixel size, with data.gsd_m between them."
            )

    @property
    def real_sources(self) -> tuple[RealSource, ...]:
        """All sources of real pictures: those of `real`, then the one that `pictures` is short for.

        >>> [each.name for each in DataRecipe(pictures="/data/SN4").real_sources]
        ['pictures']
        """
        if not self.pictures:
            return self.real
        short = RealSource(
            folder=self.pictures,
            name="pictures",
            share=self.picture_share,
            chips=self.picture_chips,
            labels_file=self.labels,
            looks=self.looks,
        )
        return (*self.real, short)

    def _check_sources(self) -> None:
        names = [each.name for each in self.real_sources]
        for index, each in enumerate(self.real):
            if not each.folder:
                raise UsageError(f"data.real.{index} has no folder; name that of its pictures.")
        for name in names:
            if name in ("", "..", "scenes", "validation") or set(name) & set("/\\:"):
                raise UsageError(
                    f"A [[data.real]] source cannot be called '{name}'; give it another name."
                )
            if names.count(name) > 1:
                raise UsageError(
                    f"{names.count(name)} sources of real pictures are called '{name}'; give each "
                    "a name of its own."
                )
        shares = sum(each.share for each in self.real_sources)
        if shares > 1 + 1e-9 and self.scene_chips:
            raise UsageError(
                f"The shares of the real pictures add up to {shares:g}; with rendered places they "
                "may be 1 at most."
            )


@dataclass(frozen=True, slots=True)
class AugmentRecipe:
    """Random augmentation of chips. Light and lean keep their direction, unless `flips` or
    `quarter_turns` is set."""

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
    saturation: float = 0.0
    """Share of chips whose colours become paler or stronger."""
    hue: float = 0.0
    """Share of chips whose colours turn to others, as roofs of another country have."""
    jpeg: float = 0.0
    """Share of chips whose visible bands go through JPEG, of quality 30 to 95."""
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
            saturation=self.saturation,
            hue=self.hue,
            jpeg=self.jpeg,
            forget_azimuth=self.forget_azimuth,
        )
        _not_negative(
            "augment",
            stretch=self.stretch,
            gamma=self.gamma,
            band_gain=self.band_gain,
            angle_noise_deg=self.angle_noise_deg,
            azimuth_noise_deg=self.azimuth_noise_deg,
        )
        if self.blur + self.sharpen > 1:
            raise UsageError(
                f"augment.blur is {self.blur} and augment.sharpen {self.sharpen}: no chip gets "
                "both, so their sum must be 1 at most."
            )


@dataclass(frozen=True, slots=True)
class TrainRecipe:
    """Optimisation: steps, loss, schedule, checkpoints and validation."""

    steps: int = 3000
    """Number of optimiser steps."""
    loss: str = "bce+dice"
    """Of each map: `bce+dice`, `focal`, `focal+dice` or `lovasz`."""
    focal_gamma: float = 2.0
    """Focusing parameter of the focal loss; 0 is cross-entropy."""
    focal_weight: float = 10.0
    """Weight of the focal loss, whose values are small (SpaceNet 4's winner: 10 beside dice)."""
    size_weight: float = 0.0
    """Extra weight of small buildings' pixels; not for `lovasz`."""
    gap_weight: float = 0.0
    """Extra weight of narrow gaps between buildings; not for `lovasz`."""
    minutes: float = 0.0
    """Time until the end, 0 for none: the learning rate follows whichever is further on."""
    batch: int = 12
    """Chips in a forward and backward pass."""
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
    encoder_rate: float = 1.0
    """Learning rate of the encoder, as a share of the others'; 0: it stays as it starts."""
    encoder_from_step: int = 0
    """Until this step the encoder stays as it starts, its statistics too: what pretrained weights
    know of real pictures is soon forgotten over rendered ones."""
    only_heights: bool = False
    """Only the decoder that heights have of their own (`model.heights_apart`) learns; all else
    stays as it starts, statistics too."""
    weight_decay: float = 0.01
    """Weight decay (L2)."""
    border_weight: float = 0.5
    """Weight of the border map's loss against the footprint map's."""
    footprint_weight: float = 1.0
    """Weight of the loss of footprints and their borders, where the network maps roofs too."""
    height_weight: float = 5.0
    """Weight of the height map's loss, where the network has one."""
    dice_weight: float = 1.0
    """Weight of dice beside cross-entropy or focal loss."""
    look_weight: float = 0.3
    """Weight of the look estimate's loss, where the network has one."""
    average: float = 0.998
    """Share of the weights' running average that each step keeps."""
    statistics_batches: int = 0
    """Batches over which the statistics of batch normalisations are estimated anew for the weights
    that are validated and written (`loop.settling`); 0: the average of those met in training."""
    encoder_return: float = 0.0
    """How far, 0 to 1, the encoder's weights go back to those of `model.start_from` before they are
    validated and written."""
    decoder_return: float = 0.0
    """The same for the decoder's."""
    clip_norm: float = 5.0
    """Gradients are clipped to this norm."""
    bf16: bool = True
    """Compute in bfloat16 (autocast)."""
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
        _shares(average=self.average, encoder_rate=self.encoder_rate)
        _shares(encoder_return=self.encoder_return, decoder_return=self.decoder_return)
        _one_of("train.loss", self.loss, LOSSES)
        _one_of("train.optimizer", self.optimizer, OPTIMIZERS)
        _one_of("train.schedule", self.schedule, SCHEDULES)
        _positive(accumulate=self.accumulate, decay=self.decay, decay_steps=self.decay_steps)
        _positive(patience=self.patience)
        _not_negative("train", weight_decay=self.weight_decay, warmup_steps=self.warmup_steps)
        _not_negative("train", border_weight=self.border_weight, look_weight=self.look_weight)
        _not_negative("train", footprint_weight=self.footprint_weight)
        _not_negative("train", height_weight=self.height_weight, dice_weight=self.dice_weight)
        _not_negative("train", focal_weight=self.focal_weight)
        _positive(clip_norm=self.clip_norm)
        _shares(decay=self.decay)
        if self.loss == "lovasz" and (self.size_weight or self.gap_weight):
            raise UsageError(
                "train.size_weight and train.gap_weight do nothing to lovasz; take another loss."
            )
        if min(self.size_weight, self.gap_weight, self.focal_gamma) < 0:
            raise UsageError("size_weight, gap_weight and focal_gamma must be 0 or more.")
        if min(self.minutes, self.loaders, self.early_stop, self.pictures) < 0:
            raise UsageError("train.minutes, loaders, early_stop and pictures must be 0 or more.")
        if min(self.encoder_from_step, self.statistics_batches) < 0:
            raise UsageError("train.encoder_from_step and statistics_batches must be 0 or more.")

    def encoder_learns(self, step: int) -> bool:
        """Whether step number `step`, from 0, changes the encoder."""
        return self.encoder_rate > 0 and step >= self.encoder_from_step

    @property
    def returns(self) -> bool:
        """Whether the weights go part of the way back to those that they started from."""
        return max(self.encoder_return, self.decoder_return) > 0


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run."""

    model: ModelRecipe = field(default_factory=ModelRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    augment: AugmentRecipe = field(default_factory=AugmentRecipe)
    train: TrainRecipe = field(default_factory=TrainRecipe)

    def __post_init__(self) -> None:
        if self.train.returns and not self.model.start_from:
            raise UsageError(
                "train.encoder_return and decoder_return lead back to model.start_from, which is "
                "not given."
            )
        if self.train.only_heights and not (self.model.heights_apart and self.model.start_from):
            raise UsageError(
                "train.only_heights is for a network with model.heights_apart that goes on from "
                "model.start_from; set both."
            )
        if self.train.only_heights and (self.train.returns or self.train.statistics_batches):
            raise UsageError(
                "With train.only_heights nothing else changes; leave train.statistics_batches, "
                "encoder_return and decoder_return at 0."
            )
