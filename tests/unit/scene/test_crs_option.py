"""`--crs`: the CRS that a user names replaces the file's, and a contradiction is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from snet4core.errors import InputError, UsageError
from snet4core.maps.look_guesser import LookGuesser
from snet4core.model.header import find_model, read_header
from snet4core.parts.plan import Choices, plan_for
from snet4core.scene.georeference import crs_named
from snet4core.scene.scene import digest, open_scene

Picture = Callable[..., Path]

HERE = {"photometric": "RGB"}


def town(rows: int = 64, cols: int = 80) -> Any:
    y, x = np.mgrid[0:rows, 0:cols]
    return np.stack([10 + 2 * band + y + x for band in range(3)]).astype("uint8")


def test_a_picture_without_a_crs_is_read_in_the_named_one(picture: Picture) -> None:
    path = picture(town(), crs=None, **HERE)
    with pytest.raises(InputError, match="or for this run with --crs EPSG:NUMBER"):
        open_scene(path)
    scene = open_scene(path, crs="EPSG:32616")
    assert scene.grid.crs.to_epsg() == 32616
    assert scene.warnings == ()
    assert scene.grid == open_scene(picture(town(), "right.tif", **HERE)).grid


def test_the_crs_of_a_sidecar_is_replaced_too(picture: Picture, tmp_path: Path) -> None:
    path = picture(town(), crs=None, **HERE)
    (tmp_path / "scene.prj").write_text(crs_named("EPSG:32617").to_wkt())
    scene = open_scene(path, crs="EPSG:32616")
    assert scene.grid.crs.to_epsg() == 32616
    [warning] = scene.warnings
    assert "replaces the CRS EPSG:32617 of scene.prj by EPSG:32616" in warning


def test_a_contradiction_is_said_and_the_named_one_is_used(picture: Picture) -> None:
    path = picture(town(), crs="EPSG:32617", **HERE)
    scene = open_scene(path, crs="EPSG:32616")
    assert scene.grid.crs.to_epsg() == 32616
    [warning] = scene.warnings
    assert warning.startswith(f"{path}: --crs replaces the CRS EPSG:32617 of the file by")
    assert digest(scene) != digest(open_scene(path))


def test_the_same_crs_in_other_words_is_no_contradiction(picture: Picture) -> None:
    path = picture(town(), **HERE)
    for spelt in ("EPSG:32616", "epsg:32616", crs_named("EPSG:32616").to_wkt(version="WKT2_2019")):
        assert open_scene(path, crs=spelt).warnings == ()
    # NAD83 / UTM zone 16N: another datum, and the same place for all that PROJ knows here.
    assert open_scene(path, crs="EPSG:26916").warnings == ()


def test_degrees_can_be_named(picture: Picture) -> None:
    step = 0.5 / 111_320
    path = picture(town(), crs=None, transform=Affine(step, 0, -84.4, 0, -step, 33.7), **HERE)
    scene = open_scene(path, crs="EPSG:4326")
    assert scene.grid.crs.is_geographic
    assert 0.4 < scene.grid.gsd_m < 0.5  # a degree of longitude is shorter there


def test_a_box_is_taken_in_the_named_crs(picture: Picture) -> None:
    path = picture(town(), crs="EPSG:4326", **HERE)
    model = read_header(find_model("default"))
    choices = Choices(off_nadir_deg=10, crs="EPSG:32616", bounds=(733601, 3725129, 733611, 3725139))
    plan = plan_for(path, model, choices, LookGuesser(model))
    assert plan.region.area_px is not None
    assert plan.region.area_px.bounds == (0, 0, 20, 20)


@pytest.mark.parametrize(
    "text",
    ["", "32616", "EPSG:0", "EPSG:999999", "/etc/passwd", "http://127.0.0.1:9/crs", "+proj=utm",
     "EPSG:32616[", "PROJCS[", "PROJCS[\"a\"]", "a:b:c"],
)  # fmt: skip
def test_what_is_no_crs_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(UsageError, match=r"--crs '.*' is no CRS that PROJ knows") as caught:
        Choices(crs=text)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_the_command_line_takes_it(picture: Picture) -> None:
    from click.testing import CliRunner

    from snet4_cli.info import info

    path = picture(town(), crs="EPSG:32617", **HERE)
    done = CliRunner().invoke(info, [str(path), "--crs", "EPSG:32616", "--off-nadir", "9"])
    assert done.exit_code == 0, done.output
    assert "EPSG:32616" in done.output
    assert "replaces the CRS EPSG:32617" in " ".join(done.output.split())
