"""Files that an earlier state of the code left are gone on with: parts of a run, and maps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fiona
import numpy as np
import pytest

DATA = Path(__file__).resolve().parents[1] / "data"
"""Where `store` and `maps` lie; README.txt there says how they were made."""

PARTS, SIDE_PX, KEPT = 9, 128, 4
"""The town in 3 x 3 parts, row by row, of which the first four were kept."""

AS_BEGUN = (
    "town.tif", "--off-nadir", "30", "--azimuth", "20", "--min-area", "1",
    "--device", "cpu", "--precision", "fp32", "--runtime", "openvino",
)  # fmt: skip

Feature = dict[str, Any]
Features = list[Feature]

_LAST_DIGIT = {"confidence": 1.5e-4, "area_m2": 0.015}
"""Layers hold these rounded."""


def snet4(folder: Path, *words: object, code: int = 0, form: int | None = None) -> str:
    """A command in `folder`, of a much later version and results of `form`; what it said."""
    program = (
        "import snet4core; snet4core.__version__ = '7.0'\n"
        f"import snet4core.parts.part as part; part.FORMAT = {form or 'part.FORMAT'}\n"
        "from snet4_cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def features(path: Path) -> Features:
    """Properties and rings of a layer, in its order."""
    found = []
    with fiona.open(path, layer="footprints") as layer:
        for each in layer:
            shape = each.geometry
            polygons = shape.coordinates if shape.type == "MultiPolygon" else [shape.coordinates]
            rings = [ring for polygon in polygons for ring in polygon]
            found.append({**dict(each.properties), "rings": rings})
    return found


def assert_alike(found: Features, expected: Features) -> None:
    """Equal but for the last digits, which other processors and libraries round otherwise."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            if name == "rings":
                assert [len(ring) for ring in one[name]] == [len(ring) for ring in value]
                for ring, wanted in zip(one[name], value, strict=True):
                    np.testing.assert_allclose(ring, wanted, rtol=0, atol=1e-3)
            elif isinstance(value, float):
                assert one[name] == pytest.approx(value, abs=_LAST_DIGIT.get(name, 0))
            else:
                assert one[name] == value


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A folder with the town, the models, and the parts of a run that was killed."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    folder = tmp_path / "begun"
    shutil.copytree(DATA / "store", folder)
    assert len(parts_in(folder)) == KEPT
    return folder


def parts_in(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Name of a part -> when it was written, and its bytes."""
    files = folder.glob("out.gpkg.parts/*/*.part")
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def part_of(feature: Feature) -> int | None:
    """The number of the part in which a footprint lies, a pixel at least from its edges."""
    points_N2 = np.concatenate([np.asarray(ring) for ring in feature["rings"]])
    rows_N, cols_N = (3_720_000 - points_N2[:, 1]) / 0.5, (points_N2[:, 0] - 740_000) / 0.5
    inside = {
        (int(rows_N[n] + row) // SIDE_PX, int(cols_N[n] + col) // SIDE_PX)
        for n in range(len(points_N2))
        for row in (-1, 1)
        for col in (-1, 1)
    }
    if len(inside) > 1:
        return None
    down, right = inside.pop()
    return 3 * down + right


def test_the_rest_is_computed_and_the_layer_is_that_of_a_fresh_run(begun: Path) -> None:
    model = ("--model", "bright.safetensors")
    snet4(begun, "run", *AS_BEGUN, *model, "-o", "fresh.gpkg")
    snet4(begun, "run", *AS_BEGUN, *model, "-o", "out.gpkg", "--resume")
    assert_alike(features(begun / "out.gpkg"), features(begun / "fresh.gpkg"))
    assert not (begun / "out.gpkg.parts").exists()


def test_parts_that_are_kept_are_not_computed_again(begun: Path) -> None:
    """The rest is computed by a model that is less sure, and passes for the same."""
    model = ("--model", "dimmer.safetensors")
    snet4(begun, "run", *AS_BEGUN, *model, "-o", "out.gpkg", "--resume")
    sure: dict[int, list[float]] = {}
    for each in features(begun / "out.gpkg"):
        if (number := part_of(each)) is not None:
            sure.setdefault(number, []).append(each["confidence"])
    assert sorted(sure) == list(range(PARTS))
    for number, confidences in sure.items():
        if number < KEPT:
            assert min(confidences) > 0.78
        else:
            assert max(confidences) < 0.75


def test_a_shard_adds_the_parts_that_are_missing_and_writes_no_other(begun: Path) -> None:
    before = parts_in(begun)
    model = ("--model", "bright.safetensors")
    snet4(begun, "run", *AS_BEGUN, *model, "-o", "out.gpkg", "--shard", "1/1")
    after = parts_in(begun)
    assert len(after) == PARTS
    assert {name: after[name] for name in before} == before


def test_parts_are_merged_without_picture_and_model(begun: Path) -> None:
    for path in begun.glob("*.*"):
        if path.is_file():
            path.unlink()
    said = snet4(
        begun, "merge", "out.gpkg.parts", "-o", "out.gpkg", "--allow-missing", code=3
    )  # fmt: skip
    assert f"{PARTS - KEPT} parts were missing" in said
    assert {part_of(each) for each in features(begun / "out.gpkg")} >= set(range(KEPT))


def test_a_store_of_another_form_of_results_is_refused(begun: Path) -> None:
    before = parts_in(begun)
    more = ("--model", "bright.safetensors", "-o", "out.gpkg", "--resume")
    said = snet4(begun, "run", *AS_BEGUN, *more, code=6, form=2)
    assert "snet4 was 0.1.0, is results of form 2" in said
    assert parts_in(begun) == before


def test_another_threshold_than_the_store_was_begun_with_is_refused(begun: Path) -> None:
    more = ("--model", "bright.safetensors", "-o", "out.gpkg", "--resume", "--threshold", "0.4")
    said = snet4(begun, "run", *AS_BEGUN, *more, code=6)
    assert "threshold was 0.5, is 0.4" in said
    assert len(parts_in(begun)) == KEPT


@pytest.mark.parametrize(
    ("name", "options"),
    [("standard", ()), ("regular", ("--regularize", "--threshold", "0.4"))],
)
def test_maps_give_the_footprints_that_they_gave(
    name: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    snet4(tmp_path, "polygonize", DATA / "maps" / "maps.tif", "-o", "out.gpkg", *options)
    expected = json.loads((DATA / "maps" / f"{name}.json").read_text(encoding="utf-8"))
    assert_alike(features(tmp_path / "out.gpkg"), expected)
