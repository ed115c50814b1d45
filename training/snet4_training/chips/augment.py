"""Random augmentation of training chips.

Crop, tones, sharpness, noise, haze, missing bands and missing azimuth, none of which changes
the directions of sun and lean. Scaling and rotation by a few degrees are done when a chip is
cut; `turning` does flips and quarter turns.
Axes: B bands, H rows, W columns.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from snet4_training.chips.turning import faced
from snet4_training.pictures.picture import CHIP_RANGE, VISIBLE, Chip, wrapped_deg
from snet4_training.recipe import AugmentRecipe
from snet4core.look.look import STEEPEST_DEG, Look, category_of
from snet4core.scene.radiometry import BandRange, normalise

LARGEST_HUE_TURN_DEG = 50.0
"""Plants become no purple, and roofs of clay become pink, brown or olive."""


@dataclass(frozen=True, slots=True)
class Example:
    """One training or validation sample: network input, targets and looks."""

    image_BHW: NDArray[np.float32]
    """Normalised as at inference; 0 is unknown."""
    targets_MHW: NDArray[np.uint8]
    """`FIVE_MAPS` in their order, 0..255; a height of 0 is unknown."""
    valid_HW: NDArray[np.uint8]
    """1 where the loss counts."""
    told: Look
    """The look that the network is given, with noise."""
    true: Look
    """The true look, which selects the head."""
    weight_HW: NDArray[np.float32] | None = None
    """How much each pixel counts, beside `valid_HW`; None: all the same."""
    roofs_known: bool = True
    """Whether the maps of roofs are the truth."""


def plain(chip: Chip, size_px: int, hidden: Collection[int] = ()) -> Example:
    """The centre of the chip without augmentation, as at inference; for validation.

    `hidden` bands (numbers from 0) are made unknown, as in a picture without infrared.
    """
    start = (chip.valid_HW.shape[0] - size_px) // 2
    window = slice(start, start + size_px), slice(start, start + size_px)
    valid_HW = chip.valid_HW[window]
    known = [is_known and band not in hidden for band, is_known in enumerate(chip.known)]
    ranges = tuple(CHIP_RANGE if is_known else None for is_known in known)
    image_BHW = normalise(chip.counts_BHW[:, *window], valid_HW > 0, ranges)
    targets_MHW = chip.targets_MHW[:, *window]
    known_roofs = chip.roofs_known
    return Example(image_BHW, targets_MHW, valid_HW, chip.look, chip.look, roofs_known=known_roofs)


def augmented(
    chip: Chip,
    size_px: int,
    bands: tuple[str, ...],
    recipe: AugmentRecipe,
    rng: np.random.Generator,
) -> Example:
    """A random crop of the chip, augmented."""
    chip = faced(chip, recipe, rng)
    row, col = rng.integers(0, chip.valid_HW.shape[0] - size_px + 1, 2)
    window = slice(row, row + size_px), slice(col, col + size_px)
    valid_HW = chip.valid_HW[window].copy()
    targets_MHW = chip.targets_MHW[:, *window]
    counts_BHW = chip.counts_BHW[:, *window].astype(np.float32)
    known = _known_bands(chip.known, bands, recipe, rng)
    counts_BHW = _weather(counts_BHW, recipe, rng)
    visible = [i for i, name in enumerate(bands) if name in VISIBLE and known[i]]
    if visible and rng.random() < recipe.grey:
        counts_BHW[visible] = counts_BHW[visible].mean(axis=0)
    elif visible and rng.random() < recipe.saturation:
        mean_HW = counts_BHW[visible].mean(axis=0)
        counts_BHW[visible] = mean_HW + rng.uniform(0.3, 1.6) * (counts_BHW[visible] - mean_HW)
    colours = [bands.index(name) for name in VISIBLE] if len(visible) == len(VISIBLE) else []
    # Nothing is drawn for a key that is 0: recipes of before give the batches of before.
    if colours and recipe.hue and rng.random() < recipe.hue:
        turn_deg = rng.uniform(-LARGEST_HUE_TURN_DEG, LARGEST_HUE_TURN_DEG)
        counts_BHW[colours] = hue_turned(counts_BHW[colours], turn_deg)
    if colours and rng.random() < recipe.jpeg:  # which weighs red and blue differently
        counts_BHW[colours] = _through_jpeg(counts_BHW[colours], int(rng.integers(30, 96)))
    if rng.random() < recipe.cutout:
        _cut_out(valid_HW, rng)
    if rng.random() < recipe.edge:
        _cut_off(valid_HW, rng)
    image_BHW = normalise(counts_BHW, valid_HW > 0, _ranges(known, recipe, rng))
    told = _told(chip.look, recipe, rng)
    return Example(image_BHW, targets_MHW, valid_HW, told, chip.look, roofs_known=chip.roofs_known)


def _known_bands(
    known: tuple[bool, ...], bands: tuple[str, ...], recipe: AugmentRecipe, rng: np.random.Generator
) -> tuple[bool, ...]:
    """The known bands, at random without infrared, so that the network also learns RGB pictures."""
    drop = rng.random() < recipe.drop_nir
    return tuple(k and not (drop and name == "nir") for k, name in zip(known, bands, strict=True))


def _weather(
    counts_BHW: NDArray[np.float32], recipe: AugmentRecipe, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Blur or sharpening, tone curve, haze and noise, in the 8-bit counts of the chip."""
    span = CHIP_RANGE.high - CHIP_RANGE.low
    drawn = rng.random()
    if drawn < recipe.blur:
        counts_BHW = _blurred(counts_BHW, rng.uniform(0.3, 1.5))
    elif drawn < recipe.blur + recipe.sharpen:
        # An unsharp mask: what a blur would take away is added once more.
        fine_BHW = counts_BHW - _blurred(counts_BHW, rng.uniform(0.7, 1.5))
        counts_BHW = counts_BHW + np.float32(rng.uniform(0.3, 1.5)) * fine_BHW
    power = float(np.exp(rng.uniform(-recipe.gamma, recipe.gamma)))
    share_BHW = np.maximum(counts_BHW, 0.0) * np.float32(1 / 255)
    # The curve is bent above the dark end alone: black stays black.
    counts_BHW = share_BHW ** np.float32(power) * np.float32(255)
    if rng.random() < recipe.haze:
        veil = rng.uniform(0.05, 0.35)
        counts_BHW = counts_BHW * (1 - veil) + veil * (CHIP_RANGE.low + span * rng.uniform(0.5, 1))
    if rng.random() < recipe.noise:
        sigma = span * float(np.exp(rng.uniform(np.log(0.005), np.log(0.06))))
        noise_BHW = rng.standard_normal(counts_BHW.shape, dtype=np.float32)
        counts_BHW = counts_BHW + np.float32(sigma) * noise_BHW
    return counts_BHW.astype(np.float32)


def hue_turned(counts_3HW: NDArray[np.float32], turn_deg: float) -> NDArray[np.float32]:
    """Red, green and blue turned about the axis of greys, which stay; 120 degrees make red green.

    >>> red_311 = np.array([5, 0, 0], np.float32).reshape(3, 1, 1)
    >>> [round(abs(value), 3) for value in hue_turned(red_311, 120).ravel().tolist()]
    [0.0, 5.0, 0.0]
    """
    angle = np.radians(turn_deg)
    # Rodrigues' formula for the axis (1, 1, 1) / sqrt(3).
    cross_33 = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    matrix_33 = np.eye(3) * np.cos(angle) + (1 - np.cos(angle)) / 3 + np.sin(angle) * cross_33
    return np.tensordot(matrix_33.astype(np.float32), counts_3HW, axes=1)


def _through_jpeg(counts_3HW: NDArray[np.float32], quality: int) -> NDArray[np.float32]:
    """Red, green and blue as they come out of a JPEG file of this quality, 1..95."""
    pixels_HW3 = np.moveaxis(np.clip(np.rint(counts_3HW), 0, 255).astype(np.uint8), 0, 2)
    with io.BytesIO() as file:
        Image.fromarray(np.ascontiguousarray(pixels_HW3)).save(file, "JPEG", quality=quality)
        out_HW3 = np.asarray(Image.open(file), dtype=np.float32)
    return np.moveaxis(out_HW3, 2, 0)


def _blurred(counts_BHW: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    return np.stack([ndimage.gaussian_filter(band, sigma_px) for band in counts_BHW])


def _ranges(
    known: tuple[bool, ...], recipe: AugmentRecipe, rng: np.random.Generator
) -> tuple[BandRange | None, ...]:
    """Normalisation ranges with jitter: mostly common to all bands, a little for each.

    The percentiles that set the range vary with the content of a scene.
    """
    span = CHIP_RANGE.high - CHIP_RANGE.low
    low, high = rng.uniform(-recipe.stretch, recipe.stretch, 2) * span
    ranges: list[BandRange | None] = []
    for is_known in known:
        own_low, own_high = rng.normal(0.0, recipe.band_gain, 2) * span
        low_end = CHIP_RANGE.low + low + 0.5 * own_low
        high_end = CHIP_RANGE.high + high + own_high
        ranges.append(BandRange(low_end, max(high_end, low_end + 0.3 * span)) if is_known else None)
    return tuple(ranges)


def _cut_out(valid_HW: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Mark a random rectangle as invalid, as a cloud mask would."""
    size = valid_HW.shape[0]
    height, width = rng.integers(size // 16, size // 3, 2)
    row, col = rng.integers(-height // 2, size - height // 2), rng.integers(0, size)
    valid_HW[max(0, row) : row + height, col : col + width] = 0


def _cut_off(valid_HW: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Mark everything outside of a strip at a random angle as invalid, as at a scene's edge."""
    size = valid_HW.shape[0]
    angle = rng.uniform(0, 2 * np.pi)
    rows_HW, cols_HW = np.ogrid[:size, :size]
    across_HW = cols_HW * np.cos(angle) + rows_HW * np.sin(angle)
    low, high = float(across_HW.min()), float(across_HW.max())
    width = rng.uniform(0.25, 1.0) * (high - low)
    # Often one edge of the strip lies outside of the chip; at least half of its width is inside.
    begin = rng.uniform(low - width / 2, high - width / 2)
    valid_HW[(across_HW < begin) | (across_HW > begin + width)] = 0


def _told(look: Look, recipe: AugmentRecipe, rng: np.random.Generator) -> Look:
    """The look with random errors as in metadata, sometimes without azimuth.

    Errors never change the look category, so the selected head stays the right one.
    """
    off_nadir_deg = abs(look.off_nadir_deg + rng.normal(0.0, recipe.angle_noise_deg))
    if off_nadir_deg > STEEPEST_DEG or category_of(off_nadir_deg) != look.category:
        off_nadir_deg = look.off_nadir_deg
    azimuth_deg = look.azimuth_deg
    if azimuth_deg is not None:
        azimuth_deg = wrapped_deg(azimuth_deg + rng.normal(0.0, recipe.azimuth_noise_deg))
    if rng.random() < recipe.forget_azimuth:
        azimuth_deg = None
    return Look(off_nadir_deg, azimuth_deg, look.source)
