"""The score's page tells who was found, missed and false, and stays one harmless file."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rasterio.crs import CRS
from shapely import box

from snet4_cli.main import snet4
from snet4core.layers.buildings import Buildings
from snet4core.report.judged import FALSE, FOUND, MISSED, judged
from snet4core.report.score_page import write_score_report
from snet4core.score import Tally

EVIL = "</script><script>document.title='harmed'</script><img src=x onerror=alert(1)>&'\""
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NEAR, FAR = "A_nadir8_catid_1_1", "A_nadir53_catid_2_1"

TRUTH = Buildings.of([NEAR, FAR, FAR], [box(0, 0, 10, 10), box(0, 0, 10, 10), box(50, 0, 60, 10)])
FOUND_IT = Buildings.of(
    [NEAR, FAR, FAR],
    [box(0, 0, 10, 9), box(0, 0, 10, 10), box(80, 0, 90, 10)],
    [0.9, 0.8, 0.95],
)


def on_the_ground(buildings: Buildings) -> Buildings:
    ids = np.full(len(buildings), "", object)
    crs = CRS.from_epsg(32616)
    return replace(buildings, image_id_N=ids, images=("",), in_pixels=False, crs=crs)


def test_who_was_found_false_and_missed() -> None:
    model = judged(FOUND_IT, TRUTH)
    assert model.kind_K.tolist() == [FOUND, FOUND, FALSE, MISSED]
    assert model.polygons_K[3].equals(box(50, 0, 60, 10))
    assert model.angles == ((8.0, 1.0, "A_nadir8_catid_1"), (53.0, 0.5, "A_nadir53_catid_2"))


def test_the_worst_tile_comes_first() -> None:
    assert judged(FOUND_IT, TRUTH).tiles == [(FAR, Tally(1, 1, 1)), (NEAR, Tally(1, 0, 0))]


def test_tiles_of_tables_have_the_tallies_of_their_images() -> None:
    small = Buildings.of([NEAR], [box(20, 20, 22, 22)], [0.99])  # of 4 px2, which counts nowhere
    both = Buildings.of(
        [*FOUND_IT.image_id_N, *small.image_id_N],
        [*FOUND_IT.polygons_N, *small.polygons_N],
        [0.9, 0.8, 0.95, 0.99],
    )
    model = judged(both, TRUTH)
    assert dict(model.tiles) == dict(model.score.images)


def test_the_curve_is_that_of_scores_with_fewer_proposals() -> None:
    model = judged(FOUND_IT, TRUTH)
    for recall, precision, least in model.curve:
        kept = FOUND_IT.confidence_N >= least
        fewer = replace(
            FOUND_IT,
            image_id_N=FOUND_IT.image_id_N[kept],
            polygons_N=FOUND_IT.polygons_N[kept],
            confidence_N=FOUND_IT.confidence_N[kept],
        )
        total = judged(fewer, TRUTH).score.total
        assert (total.recall, total.precision) == pytest.approx((recall, precision))
    assert len(model.curve) == 3


def test_nothing_against_nothing_has_a_page(tmp_path: Path) -> None:
    nothing = Buildings.of([], [], [])
    for each in (nothing, on_the_ground(nothing)):
        write_score_report([each], each, tmp_path / "page.html", overwrite=True)
    assert "0.0000" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_names_stay_text(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    image = f"{EVIL}_nadir8_catid_1_1"
    truth = replace(Buildings.of([image], [box(0, 0, 9, 9)]), name=EVIL)
    write_score_report([truth, truth], truth, page, command=EVIL, notes=[EVIL])
    text = page.read_text(encoding="utf-8")
    assert EVIL not in text
    assert text.count("<script") == 0  # tables have no map, so no script either
    ground = on_the_ground(truth)
    write_score_report([ground], ground, page, command=EVIL, notes=[EVIL], overwrite=True)
    text = page.read_text(encoding="utf-8")
    assert EVIL not in text
    assert text.count("<script") == 2
    assert not re.findall(r"https?://|@import|<link|<iframe|<script[^>]+src", text)


def table(path: Path, rows: Buildings) -> str:
    lines = [
        f'{image},{number},"{polygon.wkt}",{sure}'
        for number, (image, polygon, sure) in enumerate(
            zip(rows.image_id_N, rows.polygons_N, rows.confidence_N, strict=True)
        )
    ]
    path.write_text("\n".join(["ImageId,BuildingId,PolygonWKT_Pix,Confidence", *lines]) + "\n")
    return str(path)


def test_the_command_writes_it_and_shows_models_side_by_side(tmp_path: Path) -> None:
    new, truth = table(tmp_path / "new.csv", FOUND_IT), table(tmp_path / "truth.csv", TRUTH)
    old, page = table(tmp_path / "old.csv", TRUTH), tmp_path / "page.html"
    words = ["score", new, truth, "--against", old, "--report", str(page)]
    done = CliRunner().invoke(snet4, words)
    assert done.exit_code == 0, done.output
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"<tr><th><svg", text)) == 2
    assert text.index("new.csv</th><td>0.6667") < text.index("old.csv</th><td>1.0000")
    assert CliRunner().invoke(snet4, words).exit_code != 0  # it is there already
    assert CliRunner().invoke(snet4, [*words, "--overwrite"]).exit_code == 0


@pytest.mark.parametrize("extra", [["--against", "x.csv"], ["--scene", "x.tif"], ["--overwrite"]])
def test_options_of_the_page_need_the_page(extra: list[str], tmp_path: Path) -> None:
    path = table(tmp_path / "truth.csv", TRUTH)
    done = CliRunner().invoke(snet4, ["score", path, path, *extra])
    assert done.exit_code == 2
    assert "--report" in done.output


def test_the_page_never_replaces_what_is_scored(tmp_path: Path) -> None:
    path = table(tmp_path / "truth.csv", TRUTH)
    done = CliRunner().invoke(snet4, ["score", path, path, "--report", path, "--overwrite"])
    assert done.exit_code != 0
    assert Path(path).read_text().startswith("ImageId")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: the page is not opened")
@pytest.mark.parametrize("ground", [True, False])
def test_a_browser_shows_it_without_a_word_in_its_console(ground: bool, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found, truth = (on_the_ground(FOUND_IT), on_the_ground(TRUTH)) if ground else (FOUND_IT, TRUTH)
    write_score_report([found], truth, page, command=EVIL, notes=[EVIL])
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
            "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=3000", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    assert "harmed</title>" not in done.stdout
    assert ("shown</span>" in done.stdout) == ground  # the script ran
