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
from snet4core.errors import EngineError, InputError, SomeScenesFailed

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
    assert lines["look"].startswith("29 degrees off nadir (off-nadir), azimuth ")
    # A picture of one colour tells no direction, or one that the network imagines.
    assert lines["look"].endswith(("from: name", "from: name+estimated"))


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


def test_what_is_known_of_a_look_stands_without_a_network(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sighting(*_: object) -> None:
        raise EngineError("Neither torch nor OpenVINO is installed; install one of them.")

    monkeypatch.setattr("snet4core.maps.look_guesser.LookGuesser.sighting", sighting)
    path = picture(np.ones((3, 30, 40), np.uint8), photometric="RGB")
    both = json.loads(say(path, "--json", "--off-nadir", 32, "--azimuth", 200))
    assert (both["look"]["off_nadir_deg"], both["look"]["azimuth_deg"]) == (32, 200)
    assert both["warnings"] == [], "nothing had to be guessed"
    with monkeypatch.context() as large:
        large.setattr("snet4core.look.sources.DOUBTED_FROM_PX", 1)
        doubted = json.loads(say(path, "--json", "--off-nadir", 32, "--azimuth", 200))
    assert (doubted["look"], doubted["warnings"]) == (both["look"], [])
    angle = json.loads(say(path, "--json", "--off-nadir", 32))
    assert (angle["look"]["off_nadir_deg"], angle["look"]["azimuth_deg"]) == (32, None)
    [warning] = angle["warnings"]
    assert "azimuth cannot be guessed (Neither torch nor OpenVINO is installed)" in warning
    assert "--azimuth" in warning
    nothing = json.loads(say(path, "--json"))
    assert nothing["look"] is None
    [warning] = nothing["warnings"]
    assert "look cannot be guessed (Neither torch nor OpenVINO is installed)" in warning
    assert "--off-nadir" in warning


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


def test_several_pictures_are_rows_of_a_table(picture: Picture, tmp_path: Path) -> None:
    one = picture(np.ones((3, 9, 9), np.uint8), "nadir8_a.tif", photometric="RGB")
    two = picture(np.ones((4, 9, 19), np.uint16), "nadir29_b.tif")
    for given in ((one, two), (tmp_path,), (tmp_path / "*.tif",)):
        heading, *rows = (line.split("  ") for line in say(*given).splitlines()[:3])
        cells = [[cell.strip() for cell in row if cell.strip()] for row in (heading, *rows)]
        assert cells[0] == ["scene", "size", "crs", "pixel", "bands", "look", "azimuth", "from"]
        assert [row[0] for row in cells[1:]] == sorted([str(one), str(two)])
        assert dict(zip(cells[0], cells[1], strict=True))["size"] == "9 x 19"
        assert dict(zip(cells[0], cells[2], strict=True)) == {
            "scene": str(one), "size": "9 x 9", "crs": "EPSG:32616", "pixel": "0.500 m",
            "bands": "blue=3,green=2,red=1,nir=-", "look": "8", "azimuth": "unknown",
            "from": "name",
        }  # fmt: skip


def test_programs_read_an_array_of_several_pictures(picture: Picture) -> None:
    """Each is what a picture alone gives."""
    paths = [picture(np.ones((3, 9, 9), np.uint8), f"{n}.tif", photometric="RGB") for n in "ab"]
    look = ("--off-nadir", 9, "--json")
    assert json.loads(say(*paths, *look)) == [json.loads(say(path, *look)) for path in paths]


def test_a_warning_that_is_true_of_several_is_said_once(picture: Picture) -> None:
    paths = [picture(np.ones((4, 9, 9), np.uint8), f"nadir9_{n}.tif") for n in "abc"]
    lines = [line for line in say(*paths).splitlines() if line.startswith("warning")]
    assert len(lines) == len(set(lines))


@pytest.mark.parametrize("as_json", [False, True])
def test_a_bad_one_does_not_hide_the_others(
    picture: Picture, tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    good = picture(np.ones((3, 9, 9), np.uint8), "a.tif", photometric="RGB")
    bad = tmp_path / "b.tif"
    bad.write_text("no picture")
    flags = ["--json"] if as_json else []
    done = CliRunner().invoke(info, [str(good), str(bad), "--off-nadir", "9", *flags])
    assert isinstance(done.exception, SomeScenesFailed)
    assert done.exception.exit_code == 3
    assert str(good) in done.stdout
    if as_json:
        assert str(bad) in json.loads(done.stdout)[1]["problem"]
    else:
        assert f"problem  {bad}" in done.stdout


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
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
