"""Writes the page of a score: F1 over the look, precision and recall, what was missed and where.

Names of files and images come from elsewhere; they reach the page as those of `page.py` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from snet4core.files import outputs
from snet4core.files.names import printable
from snet4core.layers.buildings import Buildings
from snet4core.report.contents import MOST_DRAWN, Place, in_crs_of
from snet4core.report.judged import FALSE, FOUND, MISSED, Judged, judged
from snet4core.report.packed import packed
from snet4core.report.page import page_of
from snet4core.report.picture import Picture, picture_of
from snet4core.scene.scene import Scene
from snet4core.score import NO_LOOK

KINDS = (("found", "#38bdf8"), ("false", "#f59e0b"), ("missed", "#e11d8f"))
"""Name and colour, in the order of `judged`'s numbers; told apart by the colour-blind too."""

_COLOURS = ("#2563a8", "#c2410c", "#15803d", "#7e22ce", "#525252", "#be185d")
_DRAWN_TILES, _LISTED_TILES = 12, 200
_MOST_IN_TILE = 800


def write_score_report(
    proposals: Sequence[Buildings],
    truth: Buildings,
    output: Path,
    *,
    scene: Scene | None = None,
    command: str = "",
    notes: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write the page about one or several files of proposals, each aligned with `truth`.

    The map and the tiles are those of the first. `scene` is drawn below layers in map units.
    Raises OutputError for what cannot be written.
    """
    outputs.check(output, overwrite=overwrite)
    picture = None if scene is None or truth.in_pixels else picture_of(scene)
    models = [judged(each, truth) for each in proposals]
    page = page_of(
        "score.html",
        f"{models[0].name} against {truth.name}",
        title=f"{models[0].name} against {truth.name}",
        data=None if truth.in_pixels else _map(models[0], truth, scene, picture),
        kinds=[{"name": name, "colour": colour} for name, colour in KINDS],
        models=[_model(each, number) for number, each in enumerate(models)],
        no_look="" if models[0].score.categories_seen else NO_LOOK,
        tiles=_tiles(models[0], truth.in_pixels),
        notes=notes,
        command=command,
    )
    with outputs.replacing(output, overwrite=overwrite) as (target,):
        target.write_text(page, encoding="utf-8", newline="\n")


def _model(each: Judged, number: int) -> dict[str, Any]:
    """A line of the table and of the plots."""
    seen = each.score.categories_seen
    return {
        "name": each.name,
        "colour": _COLOURS[number % len(_COLOURS)],
        "total": each.score.total,
        "mean": f"{each.score.mean_f1:.4f}" if seen else "-",
        "categories": {
            name: f"{tally.f1:.4f}" if name in seen else "-"
            for name, tally in each.score.categories.items()
        },
        "angles": [
            {"x": 34 + 4 * deg, "y": 170 - 160 * f1, "says": f"{collect}: F1 {f1:.3f}"}
            for deg, f1, collect in each.angles
        ],
        "curve": [
            {"x": 34 + 240 * recall, "y": 170 - 160 * precision,
             "says": f"confidence from {least:.2f}: precision {precision:.3f}, recall {recall:.3f}"}
            for recall, precision, least in each.curve
        ],
    }  # fmt: skip


def _map(
    model: Judged, truth: Buildings, scene: Scene | None, picture: Picture | None
) -> dict[str, Any]:
    """What page.js draws: buildings with their kinds, the errors first where there are many."""
    # Errors are kept before those found, and drawn in the order of the file.
    by_need = np.argsort(model.kind_K == FOUND, kind="stable")[:MOST_DRAWN]
    drawn_M = np.sort(by_need)
    shown = Buildings(
        image_id_N=model.tile_K, polygons_N=model.polygons_K, confidence_N=model.confidence_K,
        images=(), in_pixels=False, crs=truth.crs, name=truth.name,
    )  # fmt: skip
    if scene is not None:
        shown = in_crs_of(shown, scene)
    place = Place.of(scene, picture, shown.polygons_N)
    kind_M = model.kind_K[drawn_M].tolist()
    confidence_M = [round(each, 3) for each in model.confidence_K[drawn_M].tolist()]
    return {
        "size": place.size_px,
        "picture": None if picture is None else picture.uri,
        "outlines": packed(shown.polygons_N[drawn_M], place.matrix),
        "roofs": packed(np.empty(0, object), place.matrix),
        "kinds": [{"colour": colour} for _, colour in KINDS],
        "kindOf": kind_M,
        "fields": {
            "what": {"known": [name for name, _ in KINDS], "values": kind_M},
            "confidence": {"values": confidence_M},
            "tile": {"values": [printable(str(each)) for each in model.tile_K[drawn_M]]},
        },
        "azimuth": None,
        "offNadir": None,
    }


def _tiles(model: Judged, in_pixels: bool) -> dict[str, Any]:
    """The worst tiles: the first drawn, more of them listed."""
    worst = model.tiles
    drawn = [
        {"name": printable(name), "tally": tally, **_drawing(model, name, in_pixels)}
        for name, tally in worst[:_DRAWN_TILES]
    ]
    listed = [{"name": printable(name), "tally": tally} for name, tally in worst[:_LISTED_TILES]]
    return {"drawn": drawn, "listed": listed, "count": len(worst)}


def _drawing(model: Judged, tile: str, in_pixels: bool) -> dict[str, Any]:
    """Size and paths of a tile's drawing, one for each kind, y downwards, 300 units wide."""
    rows = np.flatnonzero(model.tile_K.astype(str) == tile)[:_MOST_IN_TILE]
    left, low, right, high = shapely.total_bounds(model.polygons_K[rows]).tolist()
    scale = 292 / max(right - left, high - low, 1e-9)

    def path(kind: int) -> str:
        rings = shapely.get_rings(
            shapely.get_parts(model.polygons_K[rows[model.kind_K[rows] == kind]])
        )
        return "".join(_ring(shapely.get_coordinates(ring)[:-1]) for ring in rings)

    def _ring(xy: Any) -> str:
        y = xy[:, 1] - low if in_pixels else high - xy[:, 1]
        points = np.column_stack([xy[:, 0] - left, y]) * scale + 4
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist()) + "Z"

    return {
        "width": round((right - left) * scale + 8, 1),
        "height": round((high - low) * scale + 8, 1),
        "paths": [{"d": path(kind), "kind": KINDS[kind][0]} for kind in (FOUND, FALSE, MISSED)],
    }
