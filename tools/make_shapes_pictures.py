"""Draws the pictures of docs/how-it-works/shapes.md: python tools/make_shapes_pictures.py

One made block goes through every step; what is drawn is what the steps hand on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.quality import shapes_data as data
from snet4core.footprints.overlaps import remove_overlaps
from snet4core.labels import seams, watershed
from snet4core.labels.judge import features_CK, trained
from snet4core.labels.labels import Labels
from snet4core.labels.seeds import seeds_of
from snet4core.maps.maps import Maps
from snet4core.outlines.fitting import Lines, Sides, Stairs, corners_fitted, sides_between
from snet4core.outlines.outline import outlines
from snet4core.outlines.rings import trace
from snet4core.outlines.simplify import collinear_merged, douglas_peucker
from snet4core.settings import SplitSettings
from snet4core.windows import Window

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "shapes"
GSD_M = 0.5
GROUND, ROOF, TRUE, MADE, OLD = "#f4f2ee", "#cfd8dc", "#2e7d32", "#c62828", "#1565c0"
SOFT = ListedColormap(
    [GROUND, "#8ecae6", "#ffd166", "#a7c957", "#f4a261", "#cdb4db", "#90be6d", "#e5989b", "#84a59d"]
)


def block() -> data.Block:
    """A terrace, a courtyard, a hall under a ridge, a tank, a bent house, two near strangers."""
    turned, moved = shapely.affinity.rotate, shapely.affinity.translate
    row = [
        shapely.box(15 * k, step, 15 * k + 15, 24 + step) for k, step in enumerate((0, 0, 4, 4, 0))
    ]
    houses = [moved(turned(house, 14, origin=(0, 0)), 20, 12) for house in row]
    court = shapely.box(0, 0, 44, 38).difference(shapely.box(12, 11, 30, 25))
    houses.append(moved(turned(court, -8, origin=(0, 0)), 16, 72))
    houses.append(moved(turned(shapely.box(0, 0, 62, 40), 25, origin=(0, 0)), 103, 54))
    houses.append(shapely.Point(155, 28).buffer(14))
    bent = shapely.box(0, 0, 34, 13).union(turned(shapely.box(28, 0, 58, 13), 33, origin=(31, 6)))
    houses.append(moved(bent, 108, 119))
    houses.append(moved(turned(shapely.box(0, 0, 20, 12), 40, origin=(0, 0)), 28, 123))
    houses.append(moved(turned(shapely.box(0, 0, 16, 14), 40, origin=(0, 0)), 47, 138))
    return data.Block("walk", np.array(houses, object), (162, 184))


def maps_of(place: data.Block) -> Maps:
    """Ragged, one pixel too fat; the border is broken, and a ridge runs along the hall."""
    footprint_HW = data.footprint_map(place, 0.7, blur_px=1.0, noise=0.1, seed=4)
    border_HW = data.border_map_with_ridges(place, seed=4, over_px2=2400, strength=(0.5, 0.8))
    window = Window(0, 0, *place.shape)
    return Maps(window, footprint_HW, border_HW, np.ones(place.shape, bool))


# ---------------------------------------------------------------- drawing


def canvas(columns: int, box: tuple[float, float, float, float], width: float = 9.0) -> list[Axes]:
    """Panels that show `box` (left, top, right, bottom) of the block."""
    left, top, right, bottom = box
    height = width / columns * (bottom - top) / (right - left) + 0.35
    _, found = plt.subplots(1, columns, figsize=(width, height), squeeze=False)
    for axes in found[0]:
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
        axes.axis("off")
    return list(found[0])


def image(axes: Axes, values_HW: NDArray[np.generic], colours: object, high: float) -> None:
    """Pixels with their edges at whole numbers."""
    height, width = values_HW.shape
    axes.imshow(
        values_HW, cmap=colours, vmin=0, vmax=high, extent=(0, width, height, 0),
        interpolation="nearest",
    )  # fmt: skip


def rings(axes: Axes, polygons: Iterable[shapely.Polygon], colour: str, **style: object) -> None:
    """The rings of polygons as lines."""
    for polygon in polygons:
        for ring in (polygon.exterior, *polygon.interiors):
            axes.plot(*np.array(ring.coords).T, color=colour, **style)


def keep(name: str, *titles: str) -> None:
    """Save the current figure under its panels' titles."""
    figure = plt.gcf()
    for axes, title in zip(figure.axes, titles, strict=True):
        axes.set_title(title, fontsize=9)
    figure.tight_layout(pad=0.4)
    figure.savefig(FOLDER / f"{name}.png", dpi=90, pil_kwargs={"optimize": True})
    plt.close(figure)


# ---------------------------------------------------------------- the steps


def steps_to_labels(place: data.Block, maps: Maps, whole: Labels, parts: Labels) -> None:
    everything = (0.0, 0.0, float(place.shape[1]), float(place.shape[0]))
    first, second = canvas(2, everything)
    image(first, maps.footprint_HW, "Greys", 255)
    image(second, maps.border_HW, "Greys", 255)
    keep("maps", "footprint map", "border map: broken, noisy, with false ridges in the halls")
    first, second = canvas(2, everything)
    for axes, labels in ((first, whole), (second, parts)):
        wheel = np.where(labels.labels_HW > 0, (labels.labels_HW - 1) % 8 + 1, 0)
        image(axes, wheel, SOFT, 8)
        rings(axes, place.polygons, "#555555", lw=0.6)
    keep(
        "labels",
        f"{whole.count} connected components",
        f"{parts.count} parts after the watershed; grey: the true houses",
    )


def steps_of_splitting(maps: Maps, whole: Labels) -> None:
    """Hearts and regions, and what is thought of the cuts between them at first sight."""
    found = watershed.oversegmented(whole, SplitSettings())
    assert found is not None
    regions_HW = np.zeros(whole.labels_HW.shape, np.int32)
    regions_HW.ravel()[found.sheet.source_P] = found.regions_HW.ravel()[found.sheet.place_P]
    regions_HW = whole.placed(regions_HW, maps.window)
    home_HW = whole.placed(whole.labels_HW, maps.window)
    inside = (1 - maps.border_HW / 255.0) * maps.footprint_HW * (home_HW > 0)
    seeds_HW = seeds_of(inside >= 0.75 * 255).painted()
    first, second = canvas(2, (0.0, 0.0, float(regions_HW.shape[1]), float(regions_HW.shape[0])))
    image(first, inside, "Greys", 255)
    shown = np.ma.masked_equal(np.where(seeds_HW > 0, (seeds_HW - 1) % 8 + 1, 0), 0)
    image(first, shown, SOFT, 8)
    image(second, np.where(regions_HW > 0, (regions_HW - 1) % 8 + 1, 0), SOFT, 8)
    odds_C = trained().log_odds_C(features_CK(found.graph, GSD_M))
    for one, two, odds in zip(found.graph.one_C, found.graph.two_C, odds_C, strict=True):
        lines = _edges_between(regions_HW, int(one), int(two))
        colour = TRUE if odds > 0 else MADE
        second.add_collection(LineCollection(lines, colors=colour, linewidths=2))
        x, y = np.mean(lines, axis=(0, 1))
        second.annotate(f"{odds:+.1f}", (x, y), fontsize=7, color=colour, weight="bold")
    keep("splitting", "strength and seeds", "regions, and the log-odds of every cut between them")


def _edges_between(
    regions_HW: NDArray[np.int32], one: int, two: int
) -> list[list[tuple[float, float]]]:
    """The pixel edges along which two regions meet."""
    edges = []
    for rows, cols, is_upright in ((0, 1, True), (1, 0, False)):
        height, width = regions_HW.shape
        a, b = regions_HW[: height - rows, : width - cols], regions_HW[rows:, cols:]
        meet = ((a == one) & (b == two)) | ((a == two) & (b == one))
        for y, x in np.argwhere(meet).astype(float):
            edges.append(
                [(x + 1, y), (x + 1, y + 1)] if is_upright else [(x, y + 1), (x + 1, y + 1)]
            )
    return edges


def sides_of(parts: Labels, tolerance_px: float) -> tuple[Sides, Sides, Sides, Lines]:
    """What `outlines` makes on its way: first corners, joined sides, corners that moved."""
    traced = trace(parts.labels_HW)
    limit = np.full(traced.x_E.size, tolerance_px)
    chosen = sides_between(traced, douglas_peucker(traced, limit))
    stairs = Stairs.of(traced)
    joined = collinear_merged(stairs, chosen, limit, traced.joint_E)
    lines = stairs.lines_of(joined)
    none = np.zeros(joined.begin_S.size, bool)
    met = corners_fitted(joined, lines, traced.joints()[joined.begin_S], none)
    return chosen, joined, met, lines


def steps_to_walls(parts: Labels) -> None:
    box = (8.0, 62.0, 78.0, 118.0)
    chosen, joined, met, lines = sides_of(parts, 1.0)
    exact = outlines(parts, 0.0).polygons_N
    panels = canvas(3, box, 12)
    for axes in panels:
        image(axes, parts.labels_HW > 0, ListedColormap([GROUND, ROOF]), 1)
    rings(panels[0], exact, OLD, lw=0.9)
    panels[0].plot(chosen.x_S, chosen.y_S, "o", color=MADE, ms=4)
    rings(panels[1], exact, OLD, lw=0.5)
    panels[1].plot(joined.x_S, joined.y_S, "o", color=MADE, ms=4)
    reach = lines.length_S / 2 + 2
    for sign in (-1, 1):
        x, y = lines.x_S + sign * lines.tx_S * reach, lines.y_S + sign * lines.ty_S * reach
        panels[1].plot([lines.x_S, x], [lines.y_S, y], color=TRUE, lw=0.9)
    for begin, end in zip(met.first_R[:-1], met.first_R[1:], strict=True):
        loop = np.r_[begin:end, begin]
        panels[2].plot(met.x_S[loop], met.y_S[loop], "o-", color=MADE, ms=4, lw=1.2)
    keep(
        "walls",
        f"exact outline, {len(chosen.x_S)} corners of the whole block chosen",
        f"{len(joined.x_S)} after joining; a line through each stretch of stairs",
        "corners where the lines meet",
    )


def shared_walls(place: data.Block, parts: Labels) -> None:
    box = (8.0, 6.0, 100.0, 62.0)
    (axes,) = canvas(1, box, 7)
    image(axes, parts.labels_HW > 0, ListedColormap([GROUND, ROOF]), 1)
    found = outlines(parts, 1.0).polygons_N
    rings(axes, place.polygons, TRUE, lw=0.8)
    rings(axes, found, MADE, lw=1.2, marker="o", ms=3.5)
    keep("terrace", "neighbours have the corners of their common wall in common; green: truth")


def right_angles(place: data.Block, parts: Labels) -> None:
    box = (0.0, 0.0, float(place.shape[1]), float(place.shape[0]))
    panels = canvas(2, box, 12)
    plain, regular = (outlines(parts, 1.0, flag) for flag in (False, True))
    for axes, found in zip(panels, (plain, regular), strict=True):
        image(axes, parts.labels_HW > 0, ListedColormap([GROUND, ROOF]), 1)
        settled = remove_overlaps(found.polygons_N, found.anchors_N2)
        rings(axes, place.polygons, TRUE, lw=0.8)
        rings(axes, settled, MADE, lw=1.1, marker="o", ms=2.5)
    count = [
        int((shapely.get_num_coordinates(each.polygons_N) - 1).sum()) for each in (plain, regular)
    ]
    keep("regular", f"plain outlines, {count[0]} corners", f"regularized, {count[1]} corners")


def tolerances(parts: Labels) -> None:
    box = (100.0, 40.0, 175.0, 155.0)
    choices = (0.0, 0.5, 1.0, 2.0, 4.0)
    panels = canvas(len(choices), box, 13)
    titles = []
    for axes, tolerance_px in zip(panels, choices, strict=True):
        image(axes, parts.labels_HW > 0, ListedColormap([GROUND, ROOF]), 1)
        found = outlines(parts, tolerance_px).polygons_N
        rings(axes, found, MADE, lw=1.1)
        titles.append(
            f"{tolerance_px / 2:g} m: {int((shapely.get_num_coordinates(found) - 1).sum())} corners"
        )
    keep("tolerance", *titles)


def main() -> None:
    """Draw them all."""
    FOLDER.mkdir(exist_ok=True)
    place = block()
    maps = maps_of(place)
    [whole] = seams.complete_components([maps], place.shape, 0.5, 20)
    parts = watershed.split(whole, SplitSettings(), GSD_M).at_home(maps.window)
    steps_to_labels(place, maps, whole.at_home(maps.window), parts)
    steps_of_splitting(maps, whole)
    steps_to_walls(parts)
    shared_walls(place, parts)
    right_angles(place, parts)
    tolerances(parts)


if __name__ == "__main__":
    main()
