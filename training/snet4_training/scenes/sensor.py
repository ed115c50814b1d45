"""The way from light to counts: blur, sampling, pan-sharpening, air, noise, contrast."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from snet4_training.scenes.looks import footprint_stretch, native_gsd_m
from snet4_training.scenes.world import Floats


@dataclass(frozen=True, slots=True)
class Sensor:
    """One satellite on one day, as far as the picture tells."""

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
    """Any of the many ways pictures come: 11-bit products, stretched screens, soft, sharp."""
    level = rng.uniform(1200, 5000)
    tint = np.exp(rng.normal(0, 0.16, 4))
    screen = rng.random() < 0.4
    return Sensor(
        seed=int(rng.integers(2**31)),
        gsd_scale=float(np.exp(rng.uniform(math.log(0.6), math.log(1.25)))),
        blur=float(rng.uniform(0.3, 0.75)),
        colour_blur=float(rng.choice([1.0, rng.uniform(1.5, 4.5)])),
        halo=float(max(0.0, rng.uniform(-0.5, 0.9))),
        haze=float(rng.uniform(0.02, 0.32)),
        noise=float(np.exp(rng.uniform(math.log(0.004), math.log(0.05)))),
        gain_B=_four(level * tint),
        offset_B=_four(rng.uniform(1, 200, 4)),
        gamma=float(rng.uniform(0.5, 0.95)) if screen else 1.0,
        white=float(rng.uniform(0.28, 1.0)) if screen else 4.0,
    )


def with_seed(sensor: Sensor, seed: int) -> Sensor:
    """The same sensor with other noise."""
    return replace(sensor, seed=seed)


def _four(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    a, b, c, d = (float(v) for v in values)
    return a, b, c, d


_AIR = np.array([1.0, 0.72, 0.52, 0.28], dtype=np.float32)
"""How strongly the air scatters, relative to blue."""
_SKYLIGHT = np.array([0.20, 0.17, 0.145, 0.12], dtype=np.float32)
"""Brightness of endless air."""


def hazed(light_CHW: Floats, sensor: Sensor, off_nadir_deg: float) -> Floats:
    """The light after the way through the air, which a tilted view makes longer."""
    depth = sensor.haze * _AIR * np.float32(min(footprint_stretch(off_nadir_deg), 4.0))
    through = np.exp(-depth)[:, None, None]
    return light_CHW * through + _SKYLIGHT[:, None, None] * (1 - through)


def imaged(
    light_CHW: Floats, sensor: Sensor, off_nadir_deg: float, azimuth_deg: float, gsd_m: float
) -> Floats:
    """What optics and sampling leave of a picture (4, H, W), noise included.

    A native sample spreads over a Gaussian, longer along the look than across; the
    sampling to the native grid and back to `gsd_m` is part of that spread. The colours
    come coarser by `colour_blur` and are sharpened with the sharp band's detail.
    """
    native_px = native_gsd_m(off_nadir_deg) * sensor.gsd_scale / gsd_m
    stretch = math.sqrt(footprint_stretch(off_nadir_deg))
    spread = sensor.blur * native_px
    along, across = spread * stretch, spread / stretch
    _, rows, cols = light_CHW.shape
    size = (fft.next_fast_len(rows + 16, real=True), fft.next_fast_len(cols + 16, real=True))
    padded = np.pad(light_CHW, ((0, 0), (0, size[0] - rows), (0, size[1] - cols)), mode="symmetric")
    fr = fft.fftfreq(size[0]).astype(np.float32)[:, None]
    fc = fft.rfftfreq(size[1]).astype(np.float32)[None, :]
    turn = math.radians(azimuth_deg)
    fa = (-math.cos(turn) * fr + math.sin(turn) * fc) ** 2
    fx = (math.sin(turn) * fr + math.cos(turn) * fc) ** 2
    power = np.float32(-2 * math.pi**2) * (np.float32(along**2) * fa + np.float32(across**2) * fx)
    sharp_mtf = np.exp(power)
    if sensor.halo:
        rim = np.float32(-2 * math.pi**2 * (1.1 * native_px) ** 2) * (fr * fr + fc * fc)
        sharp_mtf = sharp_mtf * (1 + np.float32(sensor.halo) * (1 - np.exp(rim)))
    rng = np.random.default_rng(sensor.seed)
    noise = sensor.noise * min(1.0, 1.2 / native_px) * np.float32(light_CHW.mean())
    if sensor.colour_blur <= 1.05:
        spectrum = fft.rfft2(padded)
        spectrum *= sharp_mtf
        out = fft.irfft2(spectrum, s=size)[:, :rows, :cols]
        return out + noise * _grain(rng, out.shape, native_px)
    pan = padded.mean(axis=0)
    pan_spectrum = fft.rfft2(pan)
    coarse_mtf = np.exp(power * np.float32((sensor.colour_blur * 0.8) ** 2)) * np.exp(
        np.float32(-2 * math.pi**2 * (0.3 * sensor.colour_blur * native_px) ** 2)
        * (fr * fr + fc * fc)
    )
    spectrum = fft.rfft2(padded)
    spectrum *= coarse_mtf
    coarse = fft.irfft2(spectrum, s=size)[:, :rows, :cols]
    sharp = fft.irfft2(pan_spectrum * sharp_mtf, s=size)[:rows, :cols]
    sharp = sharp + 0.7 * noise * _grain(rng, (1, rows, cols), native_px)[0]
    ratio = sharp / np.maximum(coarse.mean(axis=0), 1e-3)
    out = coarse * np.clip(ratio, 0, 6)
    return out + 0.5 * noise * _grain(rng, out.shape, 1.0)


def _grain(rng: np.random.Generator, shape: tuple[int, ...], native_px: float) -> Floats:
    """Noise (bands, rows, cols) that is as coarse as the native samples.

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
    return np.clip(np.rint(light * gain + offset), 1, 65535).astype(np.uint16)
