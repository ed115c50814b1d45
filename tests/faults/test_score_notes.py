"""What a score cannot use is told: invalid, doubled, many-parted truths, collections, no looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from click.testing import CliRunner

from snet4_cli.score import score as score_command
from snet4core.layers.read import read_buildings
from snet4core.score import aligned, score

BOXES = [shapely.box(10.0 * n, 0, 10.0 * n + 5, 5) for n in range(4)]
BOW_TIE = shapely.Polygon([(0, 0), (5, 5), (5, 0), (0, 5)])


def layer(path: Path, *geometries: shapely.Geometry) -> Path:
    features = [
        {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(geometry)}
        for geometry in geometries
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def scored(tmp_path: Path, *truths: shapely.Geometry) -> tuple[dict[str, Any], list[str]]:
    found = read_buildings(layer(tmp_path / "found.geojson", *BOXES))
    truth = read_buildings(layer(tmp_path / "truth.geojson", *truths), confidence=False)
    found, notes = aligned(found, truth)
    return score(found, truth).as_dict(), notes


@pytest.mark.parametrize(
    ("truths", "said"),
    [
        ([BOW_TIE, *BOXES[1:]], "1 of 4 truths are invalid"),
        ([*BOXES, *BOXES[:2]], "2 truths are doubled"),
        ([*BOXES, shapely.box(0, 0, 5, 5, ccw=False)], "1 truths are doubled"),
        ([shapely.multipolygons(BOXES[:3]), BOXES[3]], "1 truths have several parts (4 in all)"),
    ],
)
def test_truths_that_cannot_match_are_told(
    tmp_path: Path, truths: list[shapely.Geometry], said: str
) -> None:
    _, notes = scored(tmp_path, *truths)
    (note,) = [note for note in notes if "truth.geojson" in note]
    assert said in note


def test_good_truths_are_not_commented(tmp_path: Path) -> None:
    assert scored(tmp_path, *BOXES)[1] == []


def test_areas_in_collections_are_read(tmp_path: Path) -> None:
    line = shapely.LineString([(0, 0), (1, 1)])
    truths = [shapely.geometrycollections([box]) for box in BOXES[:2]]
    truths.append(shapely.geometrycollections([line, shapely.geometrycollections([BOXES[2]])]))
    result, notes = scored(tmp_path, *truths, shapely.geometrycollections([line]))
    assert (result["total"]["tp"], result["total"]["fn"]) == (3, 0)
    assert ["points or lines" in note for note in notes] == [True]


def test_without_looks_there_is_no_mean_and_it_says_why(tmp_path: Path) -> None:
    result, _ = scored(tmp_path, *BOXES)
    assert result["total"]["f1"] == 1.0
    assert result["mean_f1"] is None
    assert "No image names its look" in result["why_no_mean"]


def test_without_looks_no_line_of_zeros_is_printed(tmp_path: Path) -> None:
    path = str(layer(tmp_path / "found.geojson", *BOXES))
    printed = CliRunner().invoke(score_command, [path, path]).stdout
    assert "all images        1.0000" in printed
    assert "nadir  " not in printed
