"""Floor plans: buildings composed of rectangles."""

from __future__ import annotations

import math

import numpy as np
from shapely import make_valid, unary_union
from shapely.geometry import MultiPolygon, Polygon

from snet4_training.scenes.world import Floats, Point, RoofKind, Structure, Wing


def _placed(x: float, y: float, angle: float, du: float, dv: float) -> Point:
    c, s = math.cos(angle), math.sin(angle)
    return x + du * c - dv * s, y + du * s + dv * c


def wings(
    rng: np.random.Generator,
    x: float,
    y: float,
    angle: float,
    length: float,
    width: float,
    kind: str,
) -> tuple[Wing, ...]:
    """The rectangles of a plan that fits into `length` x `width` metres around (x, y).

    Kinds: box, L, T, U, plus, court, steps (boxes of different depth in a row), villa (a body with
    bays of any depth on all sides, as newer American houses have under one roof of many slopes).
    """

    def wing(du: float, dv: float, hu: float, hv: float, turned: bool = False) -> Wing:
        px, py = _placed(x, y, angle, du, dv)
        if turned:
            return Wing(px, py, hv, hu, angle + math.pi / 2)
        return Wing(px, py, hu, hv, angle)

    hu, hv = length / 2, width / 2
    a = rng.uniform(0.3, 0.45)
    side = 1.0 if rng.random() < 0.5 else -1.0
    if kind == "L":
        return (
            wing(0, side * hv * a, hu, hv * (1 - a)),
            wing(side * hu * (1 - a), 0, hu * a, hv, turned=True),
        )
    if kind == "T":
        at = rng.uniform(-0.4, 0.4) * hu
        return wing(0, side * hv * a, hu, hv * (1 - a)), wing(at, 0, hu * a, hv, turned=True)
    if kind == "plus":
        return wing(0, 0, hu, hv * rng.uniform(0.4, 0.6)), wing(0, 0, hu * a, hv, turned=True)
    if kind in ("U", "court"):
        deep = min(rng.uniform(0.22, 0.36) * min(hu, hv) * 2, 16.0) / 2
        parts = [
            wing(0, -(hv - deep), hu, deep),
            wing(-(hu - deep), 0, deep, hv, turned=True),
            wing(hu - deep, 0, deep, hv, turned=True),
        ]
        if kind == "court":
            parts.append(wing(0, hv - deep, hu, deep))
        return tuple(parts)
    if kind == "villa":
        return tuple(wing(*part) for part in _villa(rng, hu, hv))
    if kind == "steps":
        count = int(rng.integers(2, 5))
        step = length / count
        return tuple(
            wing(-hu + step * (i + 0.5), rng.uniform(-0.2, 0.2) * hv, step / 2 + 0.05, hv * 0.8)
            for i in range(count)
        )
    return (wing(0, 0, hu, hv),)


def _villa(
    rng: np.random.Generator, hu: float, hv: float
) -> list[tuple[float, float, float, float, bool]]:
    """A body and two to four bays: centre and half size along and across, and whether the ridge
    runs across."""
    parts = [(0.0, 0.0, hu * rng.uniform(0.75, 0.95), hv * rng.uniform(0.62, 0.8), False)]
    for _ in range(int(rng.integers(2, 5))):
        half = rng.uniform(0.2, 0.42) * hu
        deep = rng.uniform(0.35, 0.6) * hv
        du, dv = rng.uniform(-1, 1) * (hu - half), float(rng.choice([-1, 1])) * (hv - deep)
        parts.append((du, dv, half, deep, True))
    return parts


def outline_of(parts: tuple[Wing, ...]) -> Polygon:
    """The union of the rectangles; the largest piece if they do not touch."""
    joined = unary_union([Polygon(part.corners()) for part in parts])
    return largest_polygon(joined)


def largest_polygon(shape: object) -> Polygon:
    """The largest polygon in any geometry; empty when there is none."""
    if isinstance(shape, Polygon):
        return shape
    if isinstance(shape, MultiPolygon) or hasattr(shape, "geoms"):
        pieces = [piece for piece in shape.geoms if isinstance(piece, Polygon)]
        return max(pieces, key=lambda piece: piece.area, default=Polygon())
    return Polygon()


def structure(
    parts: tuple[Wing, ...],
    eave_m: float,
    roof: RoofKind,
    pitch: float,
    roof_colour: Floats,
    wall_colour: Floats,
) -> Structure:
    """A building over these rectangles."""
    return Structure(outline_of(parts), parts, eave_m, roof, pitch, roof_colour, wall_colour)


def irregular(
    corners: list[Point], eave_m: float, roof: RoofKind, roof_colour: Floats, wall_colour: Floats
) -> Structure | None:
    """A building over four corners that need not be square; None when degenerate."""
    shape = largest_polygon(make_valid(Polygon(corners)))
    if shape.is_empty or shape.area < 9:
        return None
    x, y = shape.centroid.x, shape.centroid.y
    (ax, ay), (bx, by), (cx, cy) = corners[0], corners[1], corners[2]
    run, rise = math.hypot(bx - ax, by - ay), math.hypot(cx - bx, cy - by)
    angle = math.atan2(by - ay, bx - ax)
    if run < rise:
        run, rise, angle = rise, run, angle + math.pi / 2
    whole = Wing(x, y, run / 2, rise / 2, angle)
    return Structure(shape, (whole,), eave_m, roof, 0.12, roof_colour, wall_colour)
