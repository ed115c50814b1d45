"""Pictures of reports, as a desktop and a phone show them; by Chromium, without a window.

    python tools/make_report_pictures.py              # those of docs/guide/report.md
    python tools/make_report_pictures.py PAGE.html    # of any report, whole, beside it as PNG

Needs Chromium and the development environment. The first form renders a place and two tiles at
all 27 looks, finds their buildings and scores them: some minutes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures" / "report"

SCREENS = {"desktop": (1280, 800, 1), "phone": (390, 780, 2)}
"""Name -> width and height in CSS pixels, and pixels of the screen to each."""


@dataclass
class Tab:
    """A page in a browser, driven by the DevTools protocol."""

    socket: WebSocketClientConnection
    asked: int = 0

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command; RuntimeError, with what the browser said, if it fails."""
        self.asked += 1
        request = {"id": self.asked, "method": method, "params": parameters}
        await self.socket.write_message(json.dumps(request))
        while True:
            answer = json.loads(await self.socket.read_message() or "{}")
            if answer.get("id") == self.asked:
                if "result" not in answer:
                    raise RuntimeError(f"{method}: {answer}")
                result: dict[str, Any] = answer["result"]
                return result

    async def drawn(self) -> None:
        """Wait until page and map are there; a score of tables has no map."""
        done = 'document.readyState === "complete" && (typeof begun === "undefined" || !begun)'
        for _ in range(600):
            if (await self.do("Runtime.evaluate", expression=done))["result"].get("value"):
                return
            await asyncio.sleep(0.1)
        raise RuntimeError("the page was not drawn within a minute")


@asynccontextmanager
async def browser() -> AsyncIterator[Tab]:
    """Chromium with a profile of its own, which is removed."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("Chromium is missing: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = [
            program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank",
        ]  # fmt: skip
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        try:
            said = (re.search(r"ws://[^:]+:(\d+)/", line) for line in process.stderr or ())
            port = next(found[1] for found in said if found)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                (page, *_) = (each for each in json.load(answer) if each["type"] == "page")
            socket = await websocket_connect(page["webSocketDebuggerUrl"], max_message_size=2**28)
            try:
                yield Tab(socket)
            finally:
                socket.close()
        finally:
            process.terminate()
            process.communicate()


async def photograph(page: Path, target: Path, *, whole: bool) -> list[Path]:
    """Write TARGET-desktop and TARGET-phone: PNGs of the whole page, or JPEGs of its top."""
    written = []
    for name, (width, height, ratio) in SCREENS.items():
        async with browser() as tab:
            await tab.do(
                "Emulation.setDeviceMetricsOverride",
                width=width, height=height, deviceScaleFactor=ratio, mobile=name == "phone",
            )  # fmt: skip
            await tab.do("Page.navigate", url=page.resolve().as_uri())
            await tab.drawn()
            kind = {"format": "png"} if whole else {"format": "jpeg", "quality": 80}
            shot = await tab.do("Page.captureScreenshot", captureBeyondViewport=whole, **kind)
        path = target.with_name(f"{target.name}-{name}.{'png' if whole else 'jpg'}")
        path.write_bytes(base64.b64decode(shot["data"]))
        written.append(path)
    return written


def reports(work: Path) -> dict[str, Path]:
    """Make the two pages that the guide shows: name -> page."""

    def snet4(*words: str | Path) -> None:
        command = [sys.executable, "-m", "snet4_cli", *map(str, words)]
        subprocess.run(command, check=True, cwd=work)

    snet4("scenes", "place", "--tiles", "1", "--looks", "nadir32", "--size", "900",
          "--seed", "9000000")  # fmt: skip
    (scene,) = work.glob("place/*/Pan-Sharpen/*.tif")
    snet4("run", scene, "-o", "found.gpkg", "--report", "run.html", "--progress", "none")
    snet4("scenes", "looks", "--tiles", "2", "--size", "450", "--seed", "11")
    snet4("run", "looks/**/Pan-Sharpen/*.tif", "-o", "looks.gpkg", "--csv", "looks.csv",
          "--progress", "none")  # fmt: skip
    tables = [each.read_text().splitlines() for each in work.glob("looks/summaryData/*.csv")]
    rows = [tables[0][0], *(row for table in tables for row in table[1:])]
    (work / "truth.csv").write_text("\n".join(rows) + "\n")
    snet4("score", "looks.csv", "truth.csv", "--report", "score.html")
    return {"run": work / "run.html", "score": work / "score.html"}


def main() -> None:
    """Photograph the pages that were named, or make those of the guide."""
    pages = [Path(each) for each in sys.argv[1:]]
    for page in pages:
        print(*asyncio.run(photograph(page, page.with_suffix(""), whole=True)), sep="\n")
    if pages:
        return
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, page in reports(Path(folder)).items():
            print(*asyncio.run(photograph(page, PICTURES / name, whole=False)), sep="\n")


if __name__ == "__main__":
    main()
