"""The report is one file, asks for nothing, and does nothing that a hostile name wants."""

from __future__ import annotations

import asyncio
import base64
import html
import importlib.util
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import fiona
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from PIL import Image

from snet4core.errors import InputError, OutputError
from snet4core.report.packed import packed
from snet4core.report.page import MOST_BYTES, write_report
from snet4core.scene.scene import Scene, open_scene

EVIL = "</script><script>document.title='harmed'</script><img src=x onerror=alert(1)>&'\""
EVIL_NAME = "<img src=x onerror=document.title='harmed'><b>&amp;"
TOOLS = Path(__file__).resolve().parents[2] / "tools"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def layer(path: Path, count: int = 3, name: str = EVIL, driver: str = "GeoJSON") -> Path:
    """Squares of 10 m on a grid of 20 m, whose attributes are markup."""
    schema = {
        "geometry": "Polygon",
        "properties": {
            "confidence": "float",
            "area_m2": "float",
            "azimuth_deg": "float",
            name: "str",
        },
    }
    with fiona.open(path, "w", driver=driver, crs="EPSG:32616", schema=schema) as file:
        for number in range(count):
            x, y = 500000 + 20 * (number % 250), 3700000 - 20 * (number // 250)
            properties = {
                "confidence": (number % 100) / 100,
                "area_m2": 100.0,
                "azimuth_deg": 90.0,
                name: EVIL,
            }
            square = shapely.geometry.mapping(shapely.box(x, y - 10, x + 10, y))
            file.write({"geometry": square, "properties": properties})
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    path = tmp_path / "scene.tif"
    counts_BHW = np.random.default_rng(3).integers(100, 900, (3, 64, 96), np.uint16)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=96,
        height=64,
        count=3,
        dtype="uint16",
        crs="EPSG:32616",
        transform=Affine(1, 0, 499990, 0, -1, 3700010),
    ) as file:
        file.write(counts_BHW)
    return open_scene(path)


def data_of(page: str) -> dict[str, object]:
    [text] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    found: dict[str, object] = json.loads(text)
    return found


def outlines_of(text: str) -> list[list[list[tuple[float, float]]]]:
    """Rings of each building, in pixels of the page, as page.js reads them."""
    numbers, place, value = [], 0, 0
    for byte in base64.b64decode(text):
        value |= (byte & 127) << place
        place += 7
        if byte < 128:
            numbers.append(value)
            place = value = 0
    buildings, rings, points, *rest = numbers
    coded = iter(rest)
    rings_of = [next(coded) for _ in range(buildings)]
    points_of = iter([next(coded) for _ in range(rings)])
    steps = [-(each + 1) // 2 if each % 2 else each // 2 for each in coded]
    xy = iter(np.array(steps).reshape(points, 2).cumsum(axis=0) / 10)
    return [
        [[tuple(next(xy).tolist()) for _ in range(next(points_of))] for _ in range(many)]
        for many in rings_of
    ]


def opened(page: Path, profile: Path) -> subprocess.CompletedProcess[str]:
    """What Chromium makes of a page, and on stderr what stands in its console."""
    words = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
        "--enable-logging=stderr", f"--user-data-dir={profile}",
        "--virtual-time-budget=3000", page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)


def test_names_stay_text(tmp_path: Path, scene: Scene) -> None:
    page_path = tmp_path / "page.html"
    write_report(
        layer(tmp_path / "a.geojson"), page_path, scene=scene, command=EVIL, warnings=[EVIL]
    )
    page = page_path.read_text(encoding="utf-8")
    assert page.count("<script") == 2  # the data, and the one script that may run
    assert EVIL not in page
    assert (
        html.escape(EVIL, quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    )


def test_the_page_asks_for_nothing_from_outside(tmp_path: Path, scene: Scene) -> None:
    page_path = tmp_path / "page.html"
    write_report(layer(tmp_path / "a.geojson", name="note"), page_path, scene=scene)
    page = page_path.read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "unsafe" not in page
    assert not re.findall(r"https?://|@import|<link|<iframe|<script[^>]+src", page)
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)


def test_buildings_lie_where_the_picture_shows_them(tmp_path: Path, scene: Scene) -> None:
    page_path = tmp_path / "page.html"
    assert write_report(layer(tmp_path / "a.geojson"), page_path, scene=scene) == 3
    data = data_of(page_path.read_text(encoding="utf-8"))
    assert data["size"] == [96, 64]
    rings = np.array(outlines_of(str(data["outlines"])))[:, 0]
    assert rings.min(axis=1).tolist() == [[10, 10], [30, 10], [50, 10]]
    assert rings.max(axis=1).tolist() == [[20, 20], [40, 20], [60, 20]]
    assert data["azimuth"] == 90


def test_roofs_are_those_of_the_scene(tmp_path: Path, scene: Scene) -> None:
    path = tmp_path / "several.gpkg"
    schema = {"geometry": "Polygon", "properties": {"scene": "str", "confidence": "float"}}
    for name, shift in (("footprints", 0), ("roofs", 2)):
        with fiona.open(
            path, "w", driver="GPKG", layer=name, crs="EPSG:32616", schema=schema
        ) as file:
            for number, place in enumerate((scene.name, "another", "another")):
                x = 500000 + 20 * number + shift
                square = shapely.geometry.mapping(shapely.box(x, 3699990, x + 10, 3700000))
                properties = {"scene": place, "confidence": 0.5}
                file.write({"geometry": square, "properties": properties})
    page_path = tmp_path / "page.html"
    assert write_report(path, page_path, scene=scene) == 1
    data = data_of(page_path.read_text(encoding="utf-8"))
    assert [each[0][0][0] for each in outlines_of(str(data["outlines"]))] in ([10], [20])
    assert [each[0][0][0] for each in outlines_of(str(data["roofs"]))] in ([12], [22])


def test_facts_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    schema = {"geometry": "Polygon", "properties": {"confidence": "float"}}
    with fiona.open(path, "w", driver="GPKG", crs="EPSG:32616", schema=schema) as file:
        square = shapely.geometry.mapping(shapely.box(0, 0, 9, 9))
        file.write({"geometry": square, "properties": {"confidence": 0.5}})
        file.update_tags({"look": "from a table"})
    with sqlite3.connect(path) as database:
        database.execute(
            "insert into gpkg_metadata values (77, 'dataset', 'http://www.isotc211.org/2005/gmd',"
            " 'text/xml', '<history>from a table</history>')"
        )
        database.execute(
            "insert into gpkg_metadata_reference values"
            " ('table', 'a', null, null, '2026-01-01T00:00:00.000Z', 77, null)"
        )
    database.close()
    told = pyogrio.read_info(path)["layer_metadata"]
    assert any("<history>" in each for each in told.values())
    write_report(path, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("from a table") == 1


@pytest.mark.parametrize(
    ("places", "told", "shown"),
    [
        (("another", "another"), "scene.tif", 0),
        (("another", "third"), "third.tif", 0),
        (("another", "another"), "another.tif", 2),
    ],
    ids=["a run of several", "several", "renamed"],
)
def test_a_scene_without_buildings_shows_none_of_others(
    tmp_path: Path, scene: Scene, places: tuple[str, ...], told: str, shown: int
) -> None:
    path = tmp_path / "several.gpkg"
    schema = {"geometry": "Polygon", "properties": {"scene": "str", "confidence": "float"}}
    with fiona.open(
        path, "w", driver="GPKG", layer="footprints", crs="EPSG:32616", schema=schema
    ) as file:
        for number, place in enumerate(places):
            x = 500000 + 20 * number
            square = shapely.geometry.mapping(shapely.box(x, 3699990, x + 10, 3700000))
            file.write({"geometry": square, "properties": {"scene": place, "confidence": 0.5}})
        file.update_tags({"scene": told})
    assert write_report(path, tmp_path / "page.html", scene=scene) == shown


@pytest.mark.parametrize("told", ["scene.tif", "far/away/another.tif"])
def test_facts_of_another_scene_are_told_as_such(tmp_path: Path, scene: Scene, told: str) -> None:
    path = layer(tmp_path / "a.gpkg", driver="GPKG")
    with fiona.open(path, "a") as file:
        file.update_tags({"scene": told, "look": "from a table"})
    write_report(path, tmp_path / "page.html", scene=scene)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert ("first scene, which is not the one above<" in page) == (told != "scene.tif")


def test_a_table_in_pixels_and_a_layer_that_is_the_page_are_refused(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("ImageId,BuildingId,PolygonWKT_Pix,Confidence\n")
    with pytest.raises(InputError, match="table in pixels"):
        write_report(table, tmp_path / "page.html")
    with pytest.raises(InputError, match="CityJSON"):
        write_report(tmp_path / "a.city.json", tmp_path / "page.html")
    path = layer(tmp_path / "a.geojson")
    with pytest.raises(OutputError):
        write_report(path, path, overwrite=True)
    assert not (tmp_path / "page.html").exists()


def test_fifty_thousand_buildings_fit(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert write_report(layer(tmp_path / "a.geojson", 50_000, "note"), page) == 50_000
    assert page.stat().st_size < MOST_BYTES
    if CHROMIUM is not None:
        assert "50000 shown" in opened(page, tmp_path / "profile").stdout


def test_courts_parts_and_what_lies_far_away_are_kept() -> None:
    court = shapely.Polygon(shapely.box(0, 0, 30, 30).exterior.coords,
                            [shapely.box(10, 10, 20, 20).exterior.coords])  # fmt: skip
    parts = shapely.MultiPolygon([shapely.box(-1, -1, 0.04, 0), shapely.box(1e9, 0, 2e9, 1)])
    packing = packed(np.array([court, parts]), (1, 0, 0, -1, 5, 5))
    (outer, inner), (near, far) = outlines_of(packing)
    assert set(outer) == {(5, 5), (35, 5), (35, -25), (5, -25)}
    assert set(inner) == {(15, -5), (25, -5), (25, -15), (15, -15)}
    assert set(near) == {(4, 6), (5, 6), (5, 5), (4, 5)}
    assert {x for x, _ in far} == {2**26 / 10}
    assert outlines_of(packed(np.empty(0, object), (1, 0, 0, 1, 0, 0))) == []


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: the page is not opened")
def test_a_browser_shows_it_without_a_word_in_its_console(tmp_path: Path, scene: Scene) -> None:
    page = tmp_path / "page.html"
    name = "a.geojson" if sys.platform == "win32" else f"{EVIL_NAME}.geojson"
    write_report(layer(tmp_path / name), page, scene=scene, command=EVIL)
    done = opened(page, tmp_path / "profile")
    assert "CONSOLE" not in done.stderr
    assert "3 shown" in done.stdout  # the script ran
    assert 'transform="rotate(90)"' in done.stdout
    assert not re.findall('<svg id="look" hidden', done.stdout)
    assert f"<title>{html.escape(name, quote=False)}: buildings found</title>" in done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: the page is not opened")
def test_a_phone_shows_long_names_without_scrolling_sideways(tmp_path: Path, scene: Scene) -> None:
    pytest.importorskip("tornado", reason="tornado is not installed: Chromium is not driven")
    spec = importlib.util.spec_from_file_location("pictures", TOOLS / "make_report_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    pictures = sys.modules["pictures"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    page, long = tmp_path / "page.html", "a" * 150
    path = layer(tmp_path / f"{long}.geojson", name=long)
    write_report(path, page, scene=scene, command=long, warnings=[f"{long} is dark."])
    _, phone = asyncio.run(pictures.photograph(page, tmp_path / "page", whole=True))
    width, _, ratio = pictures.SCREENS["phone"]
    with Image.open(phone) as picture:
        assert picture.width == width * ratio
