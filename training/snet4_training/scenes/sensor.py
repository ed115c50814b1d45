"""Simulates a sensor: blur, sampling, pan-sharpening, atmosphere, noise and contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from snet4_training.scenes.collects import footprint_stretch, native_gsd_m
from snet4_training.scenes.world import Floats


@dataclass(frozen=True, slots=True)
class Sensor:
    """Properties of a sensor and the atmosphere in one acquisition."""

    seed: int
    """Of the noise."""
    gsd_scale: float
    """Native ground sample distance relative to WorldView-2's."""
    blur: float
    """Spread of the optics in native samples."""
    colour_blur: float
    """How much coarser the colour bands are than the sharp one; 1 = as sharp."""
    halo: float
    """Over-sharpening: bright and dark rims along edges; 0 none."""
    haze: float
    """Optical depth of the air in blue, straight down."""
    noise: float
    """Spread of the noise relative to the mean signal."""
    gain_B: tuple[float, float, float, float]
    """Counts for a reflectance of 1."""
    offset_B: tuple[float, float, float, float]
    """Counts for black."""
    gamma: float
    """1 for counts in proportion to light; below 1 a picture made for the screen."""
    white: float
    """Reflectance at which the picture is saturated."""


PLAIN = Sensor(0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, (4000.0,) * 4, (1.0,) * 4, 1.0, 4.0)
"""No air, no noise, no optics: for tests and for looking at geometry."""

WORLDVIEW2 = Sensor(
    0,
    1.0,
    0.42,
    3.2,
    0.25,
    0.14,
    0.012,
    (2600.0, 2500.0, 2300.0, 2000.0),
    (90.0, 70.0, 45.0, 30.0),
    1.0,
    0.78,
)
"""About what SpaceNet 4's counts look like."""


def random_sensor(rng: np.random.Generator) -> Sensor:
    """A random sensor: 11-bit products or stretched 8-bit ones, soft or sharp."""
    level = rng.uniform(1200, 5000)
    tint = np.exp(rng.normal(0, 0.16, 4))
    screen = rng.random() < 0.5
    # Pictures that were resampled or compressed on their way are softer than the optics.
    soft = rng.uniform(0.7, 1.25) if rng.random() < 0.5 else rng.uniform(0.35, 0.75)
    return Sensor(
        seed=int(rng.integers(2**31)),
        gsd_scale=float(np.exp(rng.uniform(math.log(0.6), math.log(1.25)))),
        blur=float(soft),
        colour_blur=float(rng.choice([1.0, rng.uniform(1.5, 4.5)])),
        halo=float(max(0.0, rng.uniform(-0.6, 0.9))),
        haze=float(rng.uniform(0.03, 0.40)),
        noise=float(np.exp(rng.uniform(math.log(0.003), math.log(0.04)))),
        gain_B=_four(level * tint),
        offset_B=_four(rng.uniform(1, 200, 4)),
        gamma=float(rng.uniform(0.45, 0.9)) if screen else 1.0,
        white=float(rng.uniform(0.35, 1.0)) if screen else 4.0,
    )


def _four(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    a, b, c, d = (float(v) for v in values)
    return a, b, c, d


_AIR = np.array([1.0, 0.72, 0.52, 0.28], dtype=np.float32)
"""How strongly the air scatters, relative to blue."""
_SKYLIGHT = np.array([0.20, 0.17, 0.145, 0.12], dtype=np.float32)
"""Brightness of endless air."""


def hazed(light_CHW: Floats, sensor: Sensor, off_nadir_deg: float) -> Floats:
    """The light with haze, which grows with the longer path of a tilted view."""
    depth = sensor.haze * _AIR * np.float32(min(footprint_stretch(off_nadir_deg), 4.0))
    through: Floats = np.exp(-depth).astype(np.float32)[:, None, None]
    return light_CHW * through + _SKYLIGHT[:, None, None] * (1 - through)


@dataclass(frozen=True, slots=True)
class Waves:
    """Squared spatial frequencies of a picture's spectrum, cycles per pixel."""

    along: Floats
    """In the direction of the look."""
    across: Floats
    size: tuple[int, int]
    """Rows and columns that the spectrum stands for."""

    def gaussian(self, along_px: float, across_px: float) -> Floats:
        """Transfer function of a Gaussian blur with these standard deviations."""
        scale = -2 * math.pi**2
        power = np.float32(scale * along_px**2) * self.along
        out: Floats = np.exp(power + np.float32(scale * across_px**2) * self.across)
        return out


def _waves(rows: int, cols: int, azimuth_deg: float) -> Waves:
    size = (fft.next_fast_len(rows + 16, real=True), fft.next_fast_len(cols + 16, real=True))
    down = fft.fftfreq(size[0]).astype(np.float32)[:, None]
    right = fft.rfftfreq(size[1]).astype(np.float32)[None, :]
    c, s = (
        np.float32(math.cos(math.radians(azimuth_deg))),
        np.float32(math.sin(math.radians(azimuth_deg))),
    )
    return Waves((s * right - c * down) ** 2, (s * down + c * right) ** 2, size)


def imaged(
    light_CHW: Floats, sensor: Sensor, off_nadir_deg: float, azimuth_deg: float, gsd_m: float
) -> Floats:
    """The picture (4, H, W) after optics, sampling and noise.

    A native sample spreads over a Gaussian, longer along the look than across; sampling
    to the native grid and back to `gsd_m` is part of that spread. The colours come coarser
    by `colour_blur` and are sharpened with the detail of the panchromatic mean.
    """
    native_px = native_gsd_m(off_nadir_deg) * sensor.gsd_scale / gsd_m
    stretch = math.sqrt(footprint_stretch(off_nadir_deg))
    along, across = sensor.blur * native_px * stretch, sensor.blur * native_px / stretch
    _, rows, cols = light_CHW.shape
    waves = _waves(rows, cols, azimuth_deg)
    beyond = ((0, 0), (0, waves.size[0] - rows), (0, waves.size[1] - cols))
    padded = np.pad(light_CHW, beyond, mode="symmetric")
    sharp_mtf = waves.gaussian(along, across)
    if sensor.halo:
        rim = waves.gaussian(1.1 * native_px, 1.1 * native_px)
        sharp_mtf = sharp_mtf * (1 + np.float32(sensor.halo) * (1 - rim))
    rng = np.random.default_rng(sensor.seed)
    noise = np.float32(sensor.noise * min(1.0, 1.2 / native_px) * float(light_CHW.mean()))
    if sensor.colour_blur <= 1.05:
        sharp = _filtered(padded, sharp_mtf, waves)[:, :rows, :cols]
        return sharp + noise * _grain(rng, light_CHW.shape, native_px)
    pan = _filtered(padded.mean(axis=0), sharp_mtf, waves)[:rows, :cols]
    pan = pan + np.float32(0.7) * noise * _grain(rng, (1, rows, cols), native_px)[0]
    wider, samples = 0.8 * sensor.colour_blur, 0.3 * sensor.colour_blur * native_px
    coarse_mtf = waves.gaussian(
        math.hypot(wider * along, samples), math.hypot(wider * across, samples)
    )
    coarse = _filtered(padded, coarse_mtf, waves)[:, :rows, :cols]
    detail = np.clip(pan / np.maximum(coarse.mean(axis=0), np.float32(1e-3)), 0, 6)
    out: Floats = coarse * detail
    out += np.float32(0.5) * noise * _grain(rng, light_CHW.shape, 1.0)
    return out


def _filtered(picture: Floats, mtf: Floats, waves: Waves) -> Floats:
    """The picture ([C,] H, W) with its spectrum multiplied by `mtf`."""
    spectrum = fft.rfft2(picture)
    spectrum *= mtf
    out: Floats = fft.irfft2(spectrum, s=waves.size)
    return out


def _grain(rng: np.random.Generator, shape: tuple[int, ...], native_px: float) -> Floats:
    """Noise (bands, rows, cols) at the resolution of the native samples.

    The bands are windows, far apart, into one sheet of noise: four times cheaper.
    """
    bands, rows, cols = shape
    sheet = rng.standard_normal(
        (rows + 1 + 23 * (bands - 1), cols + 1 + 37 * (bands - 1)), np.float32
    )
    if native_px > 1.3:
        sheet[:, 1:] += sheet[:, :-1]
        sheet[1:] += sheet[:-1]
        sheet *= np.float32(0.6)
    return np.stack(
        [
            sheet[1 + 23 * b : 1 + 23 * b + rows, 1 + 37 * b : 1 + 37 * b + cols]
            for b in range(bands)
        ]
    )


def counts(light_CHW: Floats, sensor: Sensor) -> NDArray[np.uint16]:
    """Light to uint16 counts; never 0, which means "no data"."""
    light = np.clip(light_CHW, 0, sensor.white)
    if sensor.gamma != 1.0:
        light = light ** np.float32(sensor.gamma)
    gain = np.array(sensor.gain_B, dtype=np.float32)[:, None, None]
    offset = np.array(sensor.offset_B, dtype=np.float32)[:, None, None]
    out: NDArray[np.uint16] = np.clip(np.rint(light * gain + offset), 1, 65535).astype(np.uint16)
    return out
