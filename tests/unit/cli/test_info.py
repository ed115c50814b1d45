"""`snet4 info`: a picture described, for people and for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from snet4_cli.info import info
from snet4core.errors import InputError, UsageError

Picture = Callable[..., Path]


def say(*arguments: Any) -> str:
    result = CliRunner().invoke(info, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_people_read_one_fact_a_line(picture: Picture) -> None:
    path = picture(np.ones((4, 30, 40), np.uint16), "nadir29_x.tif")
    lines = dict(line.split(None, 1) for line in say(path).splitlines())
    assert lines["size"] == "30 rows x 40 columns"
    assert lines["crs"] == "EPSG:32616"
    assert lines["pixel"].startswith("0.500 m")
    assert "SpaceNet 4" in lines["bands"]
    assert lines["look"].startswith("29 degrees off nadir (off-nadir), azimuth unknown, from: name")


def test_programs_read_json(picture: Picture) -> None:
    path = picture(np.ones((3, 30, 40), np.uint8), photometric="RGB")
    facts = json.loads(say(path, "--json", "--off-nadir", 12, "--azimuth", 200))
    assert (facts["rows"], facts["columns"], facts["dtype"]) == (30, 40, "uint8")
    assert facts["bands"] == {"blue": 3, "green": 2, "red": 1, "nir": None}
    assert facts["look"] == {
        "off_nadir_deg": 12.0, "azimuth_deg": 200.0, "category": "nadir", "source": "option",
    }  # fmt: skip
    assert facts["gsd_m"] == pytest.approx(0.5, rel=1e-2)
    assert facts["warnings"] == []


def test_a_look_that_nobody_knows_is_guessed_and_said_to_be_a_guess(picture: Picture) -> None:
    path = picture(np.ones((3, 9, 9), np.uint8), photometric="RGB")
    facts = json.loads(say(path, "--json"))
    assert facts["look"]["source"] == "estimated"
    assert any("--off-nadir" in warning for warning in facts["warnings"])


def test_a_look_that_cannot_be_guessed_is_unknown_and_no_error(picture: Picture) -> None:
    """There is no ground in the picture to guess from."""
    path = picture(np.zeros((3, 9, 9), np.uint8), photometric="RGB", nodata=0)
    assert json.loads(say(path, "--json"))["look"] is None
    text = say(path)
    assert "unknown" in text
    assert "--off-nadir" in text


def test_a_name_cannot_break_the_lines(picture: Picture) -> None:
    path = picture(np.ones((3, 9, 9), np.uint8), "two\nlines \x1b[31m.tif", photometric="RGB")
    text = say(path, "--off-nadir", 5)
    assert "\x1b" not in text
    assert len(text.splitlines()) == len(say(path, "--off-nadir", 5, "--azimuth", 9).splitlines())


def test_what_cannot_be_used_is_refused(picture: Picture, tmp_path: Path) -> None:
    picture(np.ones((3, 9, 9), np.uint8), "a.tif", photometric="RGB")
    picture(np.ones((3, 9, 9), np.uint8), "b.tif", photometric="RGB")
    with pytest.raises(UsageError, match="names 2 scenes"):
        say(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        say(tmp_path / "none.tif")


def test_looking_at_a_picture_loads_no_network() -> None:
    """Neither torch nor the shapes' libraries: `info` answers at once."""
    code = (
        "import sys, snet4_cli.info, snet4core.scene.scene, snet4core.look.sources; "
        "heavy = {'torch', 'scipy', 'skimage', 'shapely', 'fiona'} & set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
