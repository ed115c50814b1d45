"""Brings proposals and truth of two files into the same coordinates, with notes for the user."""

from __future__ import annotations

from dataclasses import replace

import shapely

from snet4core.errors import InputError
from snet4core.reproject import reprojected
from snet4core.score import Buildings
from snet4core.text import printable


def aligned(proposals: Buildings, truth: Buildings) -> tuple[Buildings, list[str]]:
    """Bring the proposals into the truth's coordinates; returns them with notes for the user.

    Raises `InputError` where that is impossible: pixels against map units, or a missing CRS.
    """
    if proposals.in_pixels != truth.in_pixels:
        pixels, ground = (proposals, truth) if proposals.in_pixels else (truth, proposals)
        raise InputError(
            f"{pixels.name} is in pixels, but {ground.name} in map units; score two tables or two "
            "layers (`snet4 run --csv` writes a table)."
        )
    notes = [
        f"{table.name}: {count} skipped, {reason}."
        for table in (proposals, truth)
        for reason, count in table.skipped.items()
    ]
    if truth.in_pixels:
        return proposals, notes + _unknown_images(proposals, truth)
    if (proposals.crs is None) != (truth.crs is None):
        bare = proposals if proposals.crs is None else truth
        raise InputError(f"{bare.name} names no CRS, but the other file does; assign it first.")
    if proposals.crs is not None and truth.crs is not None and proposals.crs != truth.crs:
        notes.append(f"{proposals.name} was moved from its CRS into that of {truth.name}.")
        moved_N = reprojected(proposals.polygons_N, proposals.crs, truth.crs, proposals.name)
        proposals = replace(proposals, polygons_N=moved_N, crs=truth.crs)
    if len(proposals) and len(truth) and not _overlap(proposals, truth):
        notes.append(
            "The two layers do not overlap anywhere; check their CRS and the order of the axes."
        )
    return proposals, notes


def _unknown_images(proposals: Buildings, truth: Buildings) -> list[str]:
    known = set(truth.images)
    unknown = [image for image in proposals.images if image not in known]
    if not unknown:
        return []
    example = printable(unknown[0])
    if len(unknown) == len(proposals.images):
        theirs = printable(next(iter(truth.images), "none"))
        return [f"No ImageId of {proposals.name} is in {truth.name}: {example} against {theirs}."]
    return [
        f"{len(unknown)} images of {proposals.name} are not in {truth.name} (such as {example}); "
        "their proposals are false."
    ]


def _overlap(one: Buildings, other: Buildings) -> bool:
    return shapely.box(*shapely.total_bounds(one.polygons_N)).intersects(
        shapely.box(*shapely.total_bounds(other.polygons_N))
    )
