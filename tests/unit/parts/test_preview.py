"""A part of stored maps gives the shapes that the whole file gives there."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from snet4core.errors import InputError
from snet4core.parts import preview as previews
from snet4core.parts.plan import Choices
from snet4core.parts.polygonize import polygonize
from snet4core.parts.preview import StoredMaps

SIDE_PX = 700
PLACE = Affine(0.5, 0, 740000, 0, -0.5, 3720000)
PART = (740100.0, 3719800.0, 740200.0, 3719900.0)


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    """Ragged houses on a grid, 30 m apart."""
    chance = np.random.default_rng(5)
    footprint_HW = np.full((SIDE_PX, SIDE_PX), 10, np.uint8)
    for row in range(20, SIDE_PX - 40, 60):
        for col in range(15, SIDE_PX - 40, 60):
            height, width = chance.integers(12, 34, 2)
            footprint_HW[row : row + height, col : col + width] = chance.integers(90, 255)
    footprint_HW -= np.minimum(footprint_HW, chance.integers(0, 30, footprint_HW.shape)).astype(
        np.uint8
    )
    path = tmp_path / "maps.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=SIDE_PX, height=SIDE_PX, count=1, dtype="uint8",
        crs="EPSG:32616", transform=PLACE,
    ) as file:  # fmt: skip
        file.write(footprint_HW, 1)
    return path


def rows(table: Any, box: shapely.Polygon) -> set[tuple[bytes, float, float]]:
    """Polygons that reach into the box, with confidence and area."""
    return {
        (one.polygon.wkb, one.confidence, one.area_m2)
        for one in table
        if one.polygon.intersects(box)
    }


@pytest.mark.parametrize(
    "choices",
    [
        Choices(),
        Choices(threshold=0.6),
        Choices(threshold=0.4, min_area_m2=60, simplify_m=1.5, regularize=True),
        Choices(min_confidence=0.7),
    ],
    ids=["own", "threshold", "shapes", "confidence"],
)
def test_a_part_gives_what_the_whole_gives_there(choices: Choices, maps: Path) -> None:
    box = shapely.box(*PART)
    expected: set[Any] = set()
    for batch in polygonize(maps, choices).footprints:
        expected |= rows(batch, box)
    with closing(StoredMaps(maps)) as stored:
        found = stored.preview(PART, choices)
    assert rows(found.footprints, box) == expected
    assert len(found.footprints) == len(expected) > 3
    assert found.is_whole
    assert found.bounds == PART


def test_all_of_the_maps_give_all(maps: Path) -> None:
    with closing(StoredMaps(maps)) as stored:
        found = stored.preview(None, Choices())
    assert len(found.footprints) == sum(map(len, polygonize(maps).footprints))


def test_of_a_part_that_is_too_large_the_middle_is_shaped(
    maps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "MOST_PX", 10_000)
    with closing(StoredMaps(maps)) as stored:
        found = stored.preview((0, 0, 1e7, 1e7), Choices())
    low_x, low_y, high_x, high_y = found.bounds
    assert not found.is_whole
    assert (high_x - low_x, high_y - low_y) == (50, 50)
    assert ((low_x + high_x) / 2, (low_y + high_y) / 2) == (740175, 3719825)


@pytest.mark.parametrize("bounds", [(0, 0, 1, 1), (1e300, 1e300, 1.1e300, 1.1e300)])
def test_a_part_elsewhere_is_refused(bounds: Any, maps: Path) -> None:
    with closing(StoredMaps(maps)) as stored, pytest.raises(InputError, match="zoom to it"):
        stored.preview(bounds, Choices())


def test_the_settings_say_what_was_left_open(maps: Path) -> None:
    with closing(StoredMaps(maps)) as stored:
        settings = stored.preview(PART, Choices(threshold=0.3)).settings
    assert settings.threshold == 0.3
    assert settings.simplify_m > 0
