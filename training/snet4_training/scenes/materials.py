"""Reflectance of materials in blue, green, red and near infrared.

Rough means over published spectra; what matters is how they differ: vegetation is
bright in the infrared, water dark, tiles red, and that every palette is broad.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snet4_training.scenes.world import Floats

_TABLE: dict[str, tuple[float, float, float, float]] = {
    "asphalt": (0.095, 0.105, 0.11, 0.13),
    "old asphalt": (0.17, 0.185, 0.195, 0.22),
    "concrete": (0.27, 0.30, 0.32, 0.36),
    "gravel": (0.20, 0.24, 0.27, 0.31),
    "soil": (0.085, 0.13, 0.185, 0.26),
    "red soil": (0.065, 0.11, 0.21, 0.29),
    "pale soil": (0.19, 0.25, 0.31, 0.37),
    "sand": (0.27, 0.34, 0.40, 0.46),
    "grass": (0.045, 0.085, 0.06, 0.40),
    "lush grass": (0.035, 0.10, 0.05, 0.50),
    "dry grass": (0.095, 0.145, 0.17, 0.29),
    "straw": (0.15, 0.22, 0.28, 0.38),
    "crop": (0.04, 0.085, 0.05, 0.47),
    "water": (0.055, 0.06, 0.04, 0.02),
    "muddy water": (0.08, 0.11, 0.105, 0.05),
    "pool": (0.33, 0.36, 0.16, 0.06),
    "court": (0.11, 0.20, 0.14, 0.20),
    "clay court": (0.09, 0.14, 0.30, 0.36),
    "blue court": (0.26, 0.19, 0.11, 0.20),
    "snow": (0.80, 0.80, 0.80, 0.72),
    "broadleaf": (0.036, 0.076, 0.046, 0.42),
    "dark leaf": (0.030, 0.056, 0.036, 0.30),
    "conifer": (0.026, 0.046, 0.031, 0.24),
    "bare tree": (0.075, 0.09, 0.105, 0.17),
    "autumn": (0.04, 0.085, 0.13, 0.33),
    "white roof": (0.62, 0.64, 0.65, 0.63),
    "light roof": (0.42, 0.44, 0.45, 0.45),
    "grey roof": (0.22, 0.235, 0.245, 0.26),
    "shingle": (0.135, 0.14, 0.145, 0.165),
    "dark roof": (0.065, 0.068, 0.07, 0.085),
    "brown roof": (0.085, 0.11, 0.14, 0.19),
    "tan roof": (0.22, 0.28, 0.33, 0.38),
    "red tile": (0.075, 0.105, 0.235, 0.31),
    "orange tile": (0.115, 0.18, 0.34, 0.42),
    "faded tile": (0.165, 0.205, 0.29, 0.36),
    "pale tile": (0.22, 0.275, 0.36, 0.43),
    "weathered shingle": (0.185, 0.20, 0.205, 0.235),
    "dark tile": (0.06, 0.075, 0.13, 0.18),
    "red metal": (0.06, 0.065, 0.32, 0.38),
    "blue metal": (0.36, 0.22, 0.10, 0.25),
    "green metal": (0.12, 0.20, 0.11, 0.19),
    "turquoise": (0.32, 0.33, 0.18, 0.22),
    "rust": (0.08, 0.11, 0.19, 0.25),
    "tin": (0.33, 0.345, 0.35, 0.35),
    "concrete roof": (0.25, 0.28, 0.30, 0.32),
    "stained roof": (0.15, 0.165, 0.175, 0.19),
    "yellow roof": (0.14, 0.36, 0.46, 0.48),
    "solar panel": (0.07, 0.05, 0.04, 0.05),
}

ROOF_PALETTES: dict[str, tuple[str, ...]] = {
    "american": (
        "shingle", "shingle", "grey roof", "dark roof", "brown roof", "light roof", "tan roof",
        "dark tile", "grey roof", "weathered shingle", "weathered shingle", "weathered shingle",
    ),
    "tiles": (
        "red tile", "orange tile", "dark tile", "brown roof", "grey roof", "faded tile",
        "faded tile", "pale tile",
    ),
    "desert": (
        "tan roof", "orange tile", "faded tile", "pale tile", "light roof", "white roof",
        "grey roof", "brown roof",
    ),
    "tin": ("tin", "rust", "blue metal", "light roof", "stained roof", "green metal", "red metal"),
    "nepal": (
        "concrete roof", "concrete roof", "concrete roof", "stained roof", "stained roof",
        "grey roof", "grey roof", "tin", "tin", "light roof", "blue metal", "red metal", "rust",
        "turquoise", "tan roof", "red tile", "dark tile",
    ),
    "dark": ("dark roof", "shingle", "dark tile", "brown roof"),
    "mixed": (
        "shingle", "grey roof", "dark roof", "white roof", "red tile", "orange tile", "brown roof",
        "tan roof", "shingle", "grey roof", "light roof", "blue metal",
        "green metal", "tin", "rust", "red metal", "concrete roof",
        "stained roof", "light roof",
    ),
}  # fmt: skip
FLAT_PALETTE = (
    "white roof", "white roof", "light roof", "light roof", "grey roof", "concrete roof",
    "tan roof", "stained roof", "shingle", "dark roof", "gravel", "blue metal", "tin",
)  # fmt: skip


def base(name: str) -> Floats:
    """The mean reflectance (4,) of a material."""
    return np.array(_TABLE[name], dtype=np.float32)


def shade_of(rng: np.random.Generator, name: str, spread: float = 0.22) -> Floats:
    """A random reflectance (4,) around the material's mean."""
    bright = np.exp(rng.normal(0.0, spread))
    hue = np.exp(rng.normal(0.0, spread * 0.18, 4))
    tone: Floats = np.clip(base(name) * bright * hue, 0.008, 0.95).astype(np.float32)
    return tone


def roof_colour(rng: np.random.Generator, palette: tuple[str, ...]) -> Floats:
    """A roof's reflectance (4,); sometimes of any colour."""
    if rng.random() < 0.02:
        grey = rng.uniform(0.08, 0.5)
        odd: Floats = (grey * np.exp(rng.normal(0, 0.18, 4))).clip(0.03, 0.8).astype(np.float32)
        return odd
    tone = shade_of(rng, palette[rng.integers(len(palette))], 0.27)
    faded = rng.uniform(0, 0.85)
    mixed: Floats = tone * np.float32(1 - faded) + np.float32(tone.mean() * faded)
    return mixed


def wall_colour(rng: np.random.Generator, roof: Floats) -> Floats:
    """A wall's reflectance (4,): plaster, brick, concrete, wood, or the roof's own colour."""
    draw = rng.random()
    if draw < 0.15:
        same: Floats = np.clip(roof * np.float32(rng.uniform(0.6, 1.2)), 0.02, 0.9)
        return same
    if draw < 0.35:
        return shade_of(rng, ("dark tile", "brown roof", "red tile", "soil")[rng.integers(4)], 0.2)
    grey = rng.uniform(0.14, 0.6)
    tint = np.array([0.86, 0.96, 1.03, 1.08]) ** rng.uniform(-0.3, 2.0)
    plaster: Floats = np.clip(grey * tint, 0.02, 0.9).astype(np.float32)
    return plaster


@dataclass(frozen=True, slots=True)
class Season:
    """The colours of one place on one day."""

    ground: Floats
    """Open land, (4,)."""
    lawn: Floats
    second: Floats
    """What shows through the lawn where it is poor, (4,)."""
    earth: Floats
    road: Floats
    pavement: Floats
    verge: Floats
    """Sidewalks or shoulders along the roads, (4,)."""
    crowns_SC: Floats
    """Colour per tree species, (S, 4)."""
    leafless_S: tuple[bool, ...]
    """Species whose crowns let the ground shine through."""
    snow: float
    """Share of flat ground and roofs dusted with snow, 0..1."""


def _species(rng: np.random.Generator, mood: str) -> tuple[list[Floats], list[bool]]:
    names = {
        "summer": ("broadleaf", "broadleaf", "dark leaf", "conifer"),
        "dry": ("dark leaf", "broadleaf", "dry grass", "conifer"),
        "winter": ("bare tree", "bare tree", "conifer", "dark leaf"),
        "autumn": ("autumn", "broadleaf", "bare tree", "conifer"),
    }[mood]
    bright = np.float32(rng.uniform(1.4, 2.9))
    return [bright * shade_of(rng, name, 0.2) for name in names], [
        name == "bare tree" for name in names
    ]


def season(rng: np.random.Generator) -> Season:
    """A random season."""
    mood = ("summer", "summer", "dry", "winter", "winter", "autumn")[rng.integers(6)]
    lawns = {
        "summer": ("grass", "lush grass", "crop"),
        "dry": ("dry grass", "pale soil", "straw", "grass"),
        "winter": ("dry grass", "grass", "straw", "soil"),
        "autumn": ("grass", "dry grass"),
    }[mood]
    earths = ("soil", "red soil", "pale soil", "sand", "gravel")
    earth = shade_of(rng, earths[rng.integers(5)])
    lawn = shade_of(rng, lawns[rng.integers(len(lawns))])
    wild = shade_of(rng, lawns[rng.integers(len(lawns))])
    # Poor ground is rarely quite bare.
    poor = earth if rng.random() < 0.6 else shade_of(rng, "dry grass")
    lean = rng.uniform(0.3, 1.0)
    crowns, leafless = _species(rng, mood)
    pavement = shade_of(rng, ("concrete", "old asphalt", "gravel")[rng.integers(3)])
    return Season(
        ground=wild if rng.random() < 0.7 else earth,
        lawn=lawn,
        second=(poor * lean + lawn * (1 - lean)).astype(np.float32),
        earth=earth,
        road=shade_of(
            rng,
            ("asphalt", "asphalt", "asphalt", "old asphalt", "old asphalt", "concrete", "soil")[
                rng.integers(7)
            ],
        ),
        pavement=pavement,
        verge=pavement if rng.random() < 0.5 else (earth * 0.6 + lawn * 0.4).astype(np.float32),
        crowns_SC=np.stack(crowns),
        leafless_S=tuple(leafless),
        snow=float(rng.uniform(0.3, 1.0)) if mood == "winter" and rng.random() < 0.15 else 0.0,
    )
