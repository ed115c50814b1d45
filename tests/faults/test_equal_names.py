"""Pictures of one name in one run: each keeps a name, an ImageId and a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snet4core.errors import UsageError
from snet4core.jobs.job import Job
from snet4core.jobs.per_scene import each_scene
from snet4core.parts.plan import Choices
from snet4core.scene.inputs import expand
from snet4core.scene.scene import open_scene

Picture = Callable[..., Path]
ONE_PIXEL = np.full((3, 4, 4), 9, dtype=np.uint8)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.tif", "b.tif"], ["a", "b"]),
        (["north/a.tif", "south/a.tif", "b.tif"], ["b", "north_a", "south_a"]),
        (["1/x/a.tif", "2/x/a.tif"], ["1_x_a", "2_x_a"]),
        (["1/x/a.tif", "2/y/a.tif"], ["x_a", "y_a"]),
        (["a.tif", "a.jp2"], ["a.jp2", "a.tif"]),
        (["n/a.tif", "s/a.tif", "n_a.tif"], ["n_a~2", "n_a", "s_a"]),
    ],
)
def test_pictures_of_one_name_are_told_apart(
    tmp_path: Path, names: list[str], expected: list[str]
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = expand([tmp_path / name for name in names])
    assert [scene.name for scene in found] == expected
    assert expand([tmp_path])[0].name in expected


def test_their_results_differ_and_it_is_said(picture: Picture, tmp_path: Path) -> None:
    for folder in ("north", "south"):
        picture(ONE_PIXEL, f"{folder}/a.tif", photometric="RGB")
    inputs = expand([tmp_path])
    scenes = [open_scene(each) for each in inputs]
    assert [scene.name for scene in scenes] == ["north_a", "south_a"]
    assert all("shares its name" in "".join(scene.warnings) for scene in scenes)
    (tmp_path / "maps").mkdir()
    job = Job(inputs=tuple(inputs), choices=Choices(), output=tmp_path / "{scene}.gpkg",
              csv=None, maps=tmp_path / "maps", overwrite=False, stop_at_error=True)  # fmt: skip
    outputs = [each.output.name for each in each_scene(job)]
    assert outputs == ["north_a.gpkg", "south_a.gpkg"]
    assert len({job.maps_of(each) for each in inputs}) == 2


PRODUCTS = (
    "Pan-Sharpen/Pan-Sharpen_Atlanta_nadir8_catid_10300100023BC100_743501_3728739.tif",
    "MS/MS_Atlanta_nadir8_catid_10300100023BC100_743501_3728739.tif",
)


@pytest.mark.parametrize(
    ("output", "csv", "refused"),
    [("o.gpkg", None, False), ("o.gpkg", "o.csv", True), ("o.csv", None, True)],
)
def test_products_of_one_picture_have_no_table_in_common(
    picture: Picture, tmp_path: Path, output: str, csv: str | None, refused: bool
) -> None:
    """They have one ImageId, by the challenge's rule."""
    for name in PRODUCTS:
        picture(ONE_PIXEL, name, photometric="RGB")
    job = Job(inputs=tuple(expand([tmp_path])), choices=Choices(), output=tmp_path / output,
              csv=None if csv is None else tmp_path / csv)  # fmt: skip
    if not refused:
        job.check_places()
        return
    with pytest.raises(UsageError, match=r"MS_Atlanta.*Pan-Sharpen_Atlanta.*give one of them"):
        job.check_places()
    for each in job.inputs:
        replace(job, inputs=(each,)).check_places()
