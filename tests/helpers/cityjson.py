"""Checks a CityJSON document: what the schemas of CityJSON 2.0 ask of buildings, and geometry.

The schemas come in no package for this platform; these are their rules for what snet4 writes, and
more: that every index has its vertex, that blocks are closed, and that they are not inside out.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

SURFACES = {"GroundSurface", "RoofSurface", "WallSurface"}


def check_document(document: dict[str, Any]) -> None:
    """AssertionError unless all that the standard asks for is there, and nothing else."""
    parts = {"type", "version", "CityObjects", "vertices", "transform", "metadata"}
    assert set(document) == parts
    assert (document["type"], document["version"]) == ("CityJSON", "2.0")
    for name in ("scale", "translate"):
        assert len(document["transform"][name]) == 3
        assert all(isinstance(value, float) for value in document["transform"][name])
    metadata = document["metadata"]
    assert set(metadata) <= {"title", "referenceSystem", "geographicalExtent"}
    if "referenceSystem" in metadata:
        pattern = r"https://www\.opengis\.net/def/crs/EPSG/0/[0-9]+"
        assert re.fullmatch(pattern, metadata["referenceSystem"])
    for vertex in document["vertices"]:
        assert len(vertex) == 3
        assert all(type(value) is int for value in vertex)
    count, used = len(document["vertices"]), set()
    for building in document["CityObjects"].values():
        assert set(building) == {"type", "attributes", "geometry"}
        assert building["type"] == "Building"
        assert all(isinstance(v, str | int | float) for v in building["attributes"].values())
        [geometry] = building["geometry"]
        surfaces = _surfaces(geometry)
        for ring in (ring for surface in surfaces for ring in surface):
            assert len(ring) >= 3
            assert all(type(index) is int and 0 <= index < count for index in ring)
            assert all(one != other for one, other in pairwise([*ring, ring[0]]))
            used |= set(ring)
    assert used == set(range(count)), "vertices that no building uses"
    if count:
        points_N3 = points_of(document)
        extent = np.concatenate([points_N3.min(axis=0), points_N3.max(axis=0)])
        assert np.allclose(metadata["geographicalExtent"], extent, rtol=0, atol=5e-4)


def _surfaces(geometry: dict[str, Any]) -> list[list[list[int]]]:
    """The surfaces of a geometry, each as a list of rings."""
    if geometry["type"] == "MultiSurface":
        assert set(geometry) == {"type", "lod", "boundaries"}
        assert geometry["lod"] == "0"
        return list(geometry["boundaries"])
    assert set(geometry) == {"type", "lod", "boundaries", "semantics"}
    assert (geometry["type"], geometry["lod"]) == ("Solid", "1")
    [shell] = geometry["boundaries"]
    [values] = geometry["semantics"]["values"]
    assert len(values) == len(shell)
    assert {each["type"] for each in geometry["semantics"]["surfaces"]} == SURFACES
    assert all(0 <= value < len(geometry["semantics"]["surfaces"]) for value in values)
    return list(shell)


def points_of(document: dict[str, Any]) -> NDArray[np.float64]:
    """All vertices (N, 3) in the document's CRS, x, y, z in metres."""
    transform = document["transform"]
    whole_N3 = np.array(document["vertices"], np.float64).reshape(-1, 3)
    return whole_N3 * transform["scale"] + transform["translate"]


def is_closed(geometry: dict[str, Any]) -> bool:
    """Whether each edge of a block is walked once in either direction."""
    edges = Counter(
        edge
        for surface in _surfaces(geometry)
        for ring in surface
        for edge in pairwise([*ring, ring[0]])
    )
    return all(edges[edge] == 1 == edges[edge[::-1]] for edge in edges)


def volume_m3(geometry: dict[str, Any], points_N3: NDArray[np.float64]) -> float:
    """The volume of a block by the divergence theorem; negative if it is inside out.

    A ring's vector area, dotted with any of its points, is thrice the cone below it; holes turn
    the other way round and so count against their surface.
    """
    origin, total = points_N3.mean(axis=0), 0.0
    for surface in _surfaces(geometry):
        for ring in surface:
            ring_R3 = points_N3[ring] - origin
            area_3 = np.cross(ring_R3, np.roll(ring_R3, -1, axis=0)).sum(axis=0) / 2
            total += float(area_3 @ ring_R3[0]) / 3
    return total


def normal_of(surface: list[list[int]], points_N3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Direction in which a surface looks, by its outer ring; length 1."""
    ring_R3 = points_N3[surface[0]] - points_N3[surface[0][0]]
    area_3 = np.cross(ring_R3, np.roll(ring_R3, -1, axis=0)).sum(axis=0)
    return np.asarray(area_3 / np.linalg.norm(area_3))
