"""The site is built without a warning, asks for nothing from a network, and can be searched."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
BUILDS = all(find_spec(each) for each in ("sphinx", "furo", "myst_parser"))

pytestmark = pytest.mark.skipif(
    not BUILDS, reason="the site is not built: `pip install '.[docs]'` is missing"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    words = ["--fail-on-warning", "--keep-going", "--quiet", "-d", str(folder / "cache")]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(DOCS), str(folder / "html")],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder / "html"


class Page(HTMLParser):
    """Links of a page, its anchors, and what a browser fetches to show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors.add(values.get("id", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif "href" in values or "src" in values:
            self.fetched.append(values.get("src") or values.get("href", ""))


def test_notebooks_become_pages() -> None:
    spec = spec_from_file_location("conf", DOCS / "conf.py")
    assert spec is not None
    assert spec.loader is not None
    conf = module_from_spec(spec)
    spec.loader.exec_module(conf)
    result = doctest.testmod(conf)
    assert (result.failed, result.attempted) == (0, 1)


def test_no_request_leaves_the_site(site: Path) -> None:
    for path in site.rglob("*.html"):
        fetched = Page(path.read_text(encoding="utf-8")).fetched
        assert [each for each in fetched if re.match(r"(\w+:)?//", each)] == [], path
        for each in fetched:
            if each.startswith(("data:", "#")):
                continue
            assert (path.parent / re.split(r"[?#]", each)[0]).exists(), f"{path}: {each}"
    for path in site.rglob("*.css"):
        assert re.findall(r"url\(['\"]?(?:\w+:)?//[^)]*", path.read_text(encoding="utf-8")) == []


def test_no_link_in_the_site_is_dead(site: Path) -> None:
    pages = {
        path.resolve(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")
    }
    dead = []
    for path, page in pages.items():
        for link in page.links:
            place, _, anchor = link.partition("#")
            if re.match(r"\w+:", link):
                continue
            target = (path.parent / place).resolve() if place else path
            known = pages[target].anchors if target in pages else {anchor}
            if not target.exists() or (anchor and anchor not in known):
                dead.append(f"{path.name}: {link}")
    assert dead == []


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: the site is not searched")
def test_search_works_from_a_disk(site: Path, tmp_path: Path) -> None:
    shown = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
            f"--user-data-dir={tmp_path}", "--virtual-time-budget=10000",
            f"{(site / 'search.html').as_uri()}?q=azimuth",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert 'href="guide/look-sources.html' in shown.stdout
