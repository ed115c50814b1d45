"""The inputs and the steps of same_bytes.py: commands of snet4, run by one installation.

Every step has a folder of its own; all files that it leaves there are compared. A step raises
Broken where a command ends otherwise than expected, or where files differ that should be equal
within one installation, such as those of a plain and of a resumed run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.warp import Resampling, calculate_default_transform, reproject

LIMIT_S = 600
CPU = ("--device", "cpu", "--runtime", "openvino")
STRIP_LOOK = ("--off-nadir", "20", "--azimuth", "140")
STORE = "shards/store/"
"""Where the step `shards` keeps its part store, below the folder of all steps."""


VARIES = ("seconds", "s_per_mpix", "left_s", "estimate_s", "snet4", "computed from")
"""Keys of JSON results that hold times, versions and paths of the installation."""


class Broken(Exception):
    """A step did not go as it should."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Pictures and tables that both installations read."""

    folder: Path

    @property
    def places(self) -> Path:
        """One rendered place of 512 x 512 px at three looks, in SpaceNet 4's folders."""
        return self.folder / "places"

    def scene(self, off_nadir_deg: int) -> Path:
        return next(self.places.glob(f"Atlanta_nadir{off_nadir_deg}_*/Pan-Sharpen/*.tif"))

    def table(self, off_nadir_deg: int) -> Path:
        """True footprints of that scene, as a SpaceNet table."""
        return next((self.places / "summaryData").glob(f"Atlanta_nadir{off_nadir_deg}_*.csv"))

    @property
    def truth(self) -> Path:
        """True footprints of the place, as a layer."""
        return next(self.places.glob("geojson/*/*.geojson"))

    def file(self, name: str) -> Path:
        return self.folder / name

    @property
    def middle(self) -> tuple[float, float, float, float]:
        """West, south, east, north of the middle of the place, in its CRS."""
        with rasterio.open(self.scene(8)) as file:
            west, south, east, north = file.bounds
        return west + 20, south + 20, east - 25, north - 15


@dataclass(frozen=True, slots=True)
class Installation:
    """One environment with snet4, and where it works."""

    python: str
    inputs: Inputs
    work: Path
    temporary: Path

    def start(self, *words: object, cwd: Path, **streams: Any) -> subprocess.Popen[bytes]:
        """A process of this interpreter, in a group of its own, one thread for each library."""
        foreign = ("PYTHON", "SNET4", "VIRTUAL_ENV")
        env = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        env |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        env |= {"TMPDIR": str(self.temporary), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        return subprocess.Popen(
            [self.python, *map(str, words)], cwd=cwd, env=env, start_new_session=True, **streams
        )

    def snet4(self, cwd: Path, *words: object, code: int = 0) -> str:
        """Run one command and return its standard output. Raises Broken on another exit code."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        process = self.start("-m", "snet4_cli", *words, cwd=cwd, **pipes)
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode != code:
            end = err.decode(errors="replace")[-300:]
            raise Broken(f"snet4 {words[0]}: exit code {process.returncode}, not {code}: {end}")
        return out.decode()


@dataclass(frozen=True, slots=True)
class Step:
    """Some commands that belong together."""

    do: Callable[[Installation, Path], None]
    needs: tuple[str, ...] = ()
    """Steps whose files it reads."""
    module: str = "snet4_cli"
    """Must be installed."""

    @property
    def name(self) -> str:
        return self.do.__name__


def make_inputs(python: str, folder: Path) -> Inputs:
    """Render and derive all pictures below `folder`; the same bytes every time."""
    folder.mkdir(parents=True)
    words = ("scenes", "places", "--tiles", "1", "--looks", "nadir8,nadir32,nadir47")
    maker = Installation(python, Inputs(folder), folder, folder)
    maker.snet4(folder, *words, "--size", "512", "--seed", "4")
    inputs = maker.inputs
    with rasterio.open(inputs.scene(32)) as file:
        counts_BHW, profile = file.read(), file.profile
    both_BHW = np.concatenate([counts_BHW, counts_BHW[:, :, ::-1]], axis=2)[:, 100:360]
    strip_BHW = np.tile(both_BHW, (1, 1, 5))[:, :, :4200]  # three parts of the default model
    _write(inputs.file("strip.tif"), strip_BHW, profile)
    _write_degrees(inputs.file("degrees.tif"), counts_BHW, profile)
    _write_turned(inputs, counts_BHW, profile)
    broken = bytearray(inputs.scene(32).read_bytes())
    middle = len(broken) // 2
    broken[middle : middle + 4000] = bytes(4000)
    inputs.file("broken.tif").write_bytes(broken)
    _write_area(inputs)
    return inputs


def _write(path: Path, pixels_BHW: np.ndarray, profile: dict[str, Any], **changes: Any) -> None:
    count, height, width = pixels_BHW.shape
    shape = {"count": count, "height": height, "width": width, "dtype": pixels_BHW.dtype.name}
    with rasterio.open(path, "w", **{**profile, **shape, **changes}) as file:
        file.write(pixels_BHW)


def _write_degrees(path: Path, counts_BHW: np.ndarray, profile: dict[str, Any]) -> None:
    """The place in longitude and latitude, with pixels without data around it."""
    height, width = counts_BHW.shape[1:]
    bounds = rasterio.transform.array_bounds(height, width, profile["transform"])
    transform, columns, rows = calculate_default_transform(
        profile["crs"], "EPSG:4326", width, height, *bounds
    )
    warped_BHW = np.zeros((len(counts_BHW), rows, columns), counts_BHW.dtype)
    reproject(
        counts_BHW, warped_BHW, src_transform=profile["transform"], src_crs=profile["crs"],
        dst_transform=transform, dst_crs="EPSG:4326", resampling=Resampling.bilinear, dst_nodata=0,
    )  # fmt: skip
    _write(path, warped_BHW, profile, crs="EPSG:4326", transform=transform, nodata=0)


def _write_turned(inputs: Inputs, counts_BHW: np.ndarray, profile: dict[str, Any]) -> None:
    """8 bit RGB with pixels of 0.9 m on a turned grid; one band of floats as foreign maps."""
    bright_BHW = counts_BHW[[2, 1, 0], :480, :480].reshape(3, 240, 2, 240, 2).mean((2, 4))
    bytes_BHW = np.clip(bright_BHW / np.percentile(bright_BHW, 99) * 250, 1, 255).astype(np.uint8)
    plain = {"driver": "GTiff", "crs": profile["crs"], "transform": profile["transform"]}
    turned = profile["transform"] * Affine.rotation(20) * Affine.scale(1.8)
    _write(inputs.file("turned.tif"), bytes_BHW, plain, transform=turned, photometric="RGB")
    mean_HW = bytes_BHW.mean(0).astype(np.float32)
    _write(inputs.file("foreign.tif"), mean_HW[None] / mean_HW.max(), plain)


def _write_area(inputs: Inputs) -> None:
    west, south, east, north = inputs.middle
    ring = [[west, south], [east, south + 20], [east - 30, north], [west + 10, north - 15]]
    area = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "EPSG:32616"}},
        "features": [{
            "type": "Feature",
            "properties": {},
            "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        }],
    }  # fmt: skip
    inputs.file("area.geojson").write_text(json.dumps(area))


# --- the steps ---


def formats(side: Installation, folder: Path) -> None:
    """All formats, the table beside the layer, the maps."""
    scene = side.inputs.scene(32)
    more = ("--save-maps", "maps.tif", "--csv", "table.csv")
    side.snet4(folder, "run", scene, "-o", "found.gpkg", *more, *CPU)
    for suffix in ("fgb", "geojson", "parquet", "csv"):
        side.snet4(folder, "run", scene, "-o", f"found.{suffix}", *CPU)


def several(side: Installation, folder: Path) -> None:
    """Scenes that overlap, some that fail, a layer for each scene."""
    inputs, places = side.inputs, side.inputs.places
    for overlap in ("keep", "best-look", "fuse"):
        names = ("-o", f"{overlap}.gpkg", "--csv", f"{overlap}.csv", "--overlap", overlap)
        looks = ("--looks", places / "looks.csv")
        side.snet4(folder, "run", places / "**" / "*.tif", *names, *looks, *CPU)
    # Pixels that cannot be read, and another CRS: the rest is written.
    scenes = (inputs.scene(8), inputs.file("broken.tif"), inputs.file("degrees.tif"))
    side.snet4(folder, "run", *scenes, "-o", "some.gpkg", "--off-nadir", 30, *CPU, code=3)
    (folder / "maps").mkdir()
    (folder / "each").mkdir()
    each = ("-o", "each/{scene}.geojson", "--save-maps", "maps")
    side.snet4(folder, "run", inputs.scene(8), inputs.scene(47), *each, *CPU)


def options(side: Installation, folder: Path) -> None:
    inputs = side.inputs
    area = ("--bounds", *inputs.middle, "--aoi", inputs.file("area.geojson"))
    rules = ("--threshold", 0.4, "--min-area", 20, "--min-confidence", 0.1, "--simplify", 1)
    bands = ("--bands", "3,2,1,4", "--nodata", 300)
    side.snet4(folder, "run", inputs.scene(8), "-o", "area.gpkg", *area, *rules, *bands, *CPU)
    tta = ("--tta", "0.8,1", "--memory", "2G", "--precision", "fp32")
    side.snet4(folder, "run", inputs.scene(47), "-o", "tta.gpkg", *tta, *CPU)


def grids(side: Installation, folder: Path) -> None:
    """Pixels in degrees, and a turned grid of an unknown look."""
    degrees = ("run", side.inputs.file("degrees.tif"), "--off-nadir", 32, "--azimuth", 25)
    side.snet4(folder, *degrees, "-o", "degrees.gpkg", "--regularize", *CPU)
    more = ("--csv", "turned.csv", "--save-maps", "turned_maps.tif")
    side.snet4(folder, "run", side.inputs.file("turned.tif"), "-o", "turned.geojson", *more, *CPU)


def polygonize(side: Installation, folder: Path) -> None:
    maps = side.work / "formats" / "maps.tif"
    side.snet4(folder, "polygonize", maps, "-o", "found.gpkg", "--csv", "table.csv")
    _equal(folder / "table.csv", side.work / "formats" / "table.csv")
    side.snet4(folder, "polygonize", maps, "-o", "blocks.gpkg", "--block", "256")
    _equal(folder / "blocks.gpkg", folder / "found.gpkg")
    regular = ("--regularize", "--threshold", "0.35", "--block", "256")
    side.snet4(folder, "polygonize", maps, "-o", "regular.geojson", *regular)
    foreign = ("-o", "foreign.gpkg", "--threshold", "0.45")
    side.snet4(folder, "polygonize", side.inputs.file("foreign.tif"), *foreign)


def facts(side: Installation, folder: Path) -> None:
    """JSON of `score` and `info`."""
    inputs, found = side.inputs, side.work / "formats"
    for name, words in {
        "score_table": ("score", found / "table.csv", inputs.table(32)),
        "score_layer": ("score", found / "found.gpkg", inputs.truth),
        "info": ("info", inputs.scene(47)),
        "info_degrees": ("info", inputs.file("degrees.tif"), "--off-nadir", 30),
    }.items():
        said = json.loads(side.snet4(folder, *words, "--json"), object_hook=_without_what_varies)
        (folder / f"{name}.json").write_text(json.dumps(said, indent=1) + "\n")


def shards(side: Installation, folder: Path) -> None:
    """A plain run, and the same by two shards; all files of the part store."""
    words = ("run", side.inputs.file("strip.tif"), *STRIP_LOOK, *CPU)
    side.snet4(folder, *words, "-o", "plain.gpkg")
    for number in (1, 2):
        side.snet4(folder, *words, "-o", "out.gpkg", "--shard", f"{number}/2")
    shutil.copytree(folder / "out.gpkg.parts", side.work / STORE)
    side.snet4(folder, "merge", "out.gpkg.parts", "-o", "out.gpkg", "--remove")
    _equal(folder / "out.gpkg", folder / "plain.gpkg")


def resume(side: Installation, folder: Path) -> None:
    """SIGKILL between the first part and the layer, then the same command again."""
    words = ("run", side.inputs.file("strip.tif"), "-o", "out.gpkg", *STRIP_LOOK, *CPU, "--resume")
    parts = folder / "out.gpkg.parts"
    for _ in range(20):
        if _killed(side, folder, words, parts):
            break
        (folder / "out.gpkg").unlink(missing_ok=True)
    else:
        raise Broken("never killed between the first part and the layer")
    for part in parts.glob("*/*.part"):
        _equal(part, side.work / STORE / part.relative_to(parts))
    side.snet4(folder, *words)
    _equal(folder / "out.gpkg", side.work / "shards" / "plain.gpkg")


def _killed(side: Installation, folder: Path, words: tuple[object, ...], parts: Path) -> bool:
    """Kill a run after its first part; False where it ended before."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = side.start("-m", "snet4_cli", *words, cwd=folder, **silent)
    try:
        until = time.monotonic() + LIMIT_S
        while process.poll() is None and not any(parts.glob("*/*.part")):
            if time.monotonic() > until:
                raise Broken(f"no part within {LIMIT_S} s")
            time.sleep(0.002)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return not (folder / "out.gpkg").exists() and any(parts.glob("*/*.part"))


def workers(side: Installation, folder: Path) -> None:
    _by_others(side, folder, "--workers", "2")


def dask(side: Installation, folder: Path) -> None:
    _by_others(side, folder, "--cluster", "local")


def _by_others(side: Installation, folder: Path, *how: str) -> None:
    words = ("run", side.inputs.file("strip.tif"), "-o", "out.gpkg", *STRIP_LOOK, *CPU)
    side.snet4(folder, *words, *how)
    _equal(folder / "out.gpkg", side.work / "shards" / "plain.gpkg")


def worker(side: Installation, folder: Path) -> None:
    """The QGIS plugin's protocol: one job as a line of JSON, events as lines of JSON."""
    maps, scene = side.work / "formats" / "maps.tif", str(side.inputs.scene(32))
    house = {"threshold": 0.4, "regularize": True}
    tables = {"proposals": str(side.work / "formats" / "table.csv")}
    jobs: dict[str, dict[str, Any]] = {
        "plan": {"kind": "plan", "scene": scene, **house},
        "extract": {"kind": "extract", "scene": scene, "save_maps": str(folder / "maps.tif")},
        "bounds": {"kind": "extract", "scene": scene, "bounds": list(side.inputs.middle)},
        "polygonize": {"kind": "polygonize", "maps": str(maps), **house},
        "score": {"kind": "score", **tables, "truth": str(side.inputs.table(32))},
    }
    for name, job in jobs.items():
        place = {} if name == "score" else {"folder": str(folder), "device": "cpu"}
        layer = folder / f"{name}.gpkg"
        events = _events(side, folder, {"protocol": 1, **place, **job}, layer)
        (folder / f"{name}.json").write_text(json.dumps(events, indent=1) + "\n")
    _equal(folder / "maps.tif", maps)


def _events(
    side: Installation, folder: Path, job: dict[str, Any], layer: Path
) -> list[dict[str, Any]]:
    """The events of one job but its progress; its layer is copied to `layer`.

    Raises Broken at an error.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    events: list[dict[str, Any]] = []
    with side.start("-I", "-m", "snet4core.worker", cwd=folder, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
        for line in process.stdout:
            event = json.loads(line, object_hook=_without_what_varies)
            if event["event"] == "error":
                raise Broken(f"worker, {job['kind']}: {event}")
            if event["event"] != "progress":
                events.append(event)
            if "output" in event:  # in a folder of the worker's, which goes when it ends
                shutil.copy(event.pop("output"), layer)
            if event["event"] == "result":
                break
        process.stdin.close()  # the plugin's way to say that it needs no more
    if not events or events[-1]["event"] != "result":
        raise Broken(f"worker, {job['kind']}: no result")
    return events


def torch(side: Installation, folder: Path) -> None:
    engine = ("--runtime", "torch", "--device", "cpu", "--precision", "fp32")
    names = ("-o", "found.gpkg", "--save-maps", "maps.tif")
    side.snet4(folder, "run", side.inputs.scene(32), *names, *engine)


def rendered(side: Installation, folder: Path) -> None:
    """Scenes, and a picture that is made to lean."""
    looks = ("--looks", "nadir13,45:200", "--size", "160", "--seed", "7", "--layout", "bucket")
    side.snet4(folder, "scenes", "made", "--tiles", "1", *looks)
    lean = ("--off-nadir", "40", "--azimuth", "20", "--seed", "3")
    side.snet4(folder, "lean", side.inputs.scene(8), side.inputs.truth, "leaned.tif", *lean)


def _without_what_varies(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if key not in VARIES}


def _equal(first: Path, second: Path) -> None:
    if first.read_bytes() != second.read_bytes():
        raise Broken(f"{first.name} differs from {second.parent.name}/{second.name}")


STEPS = (
    Step(formats),
    Step(several),
    Step(options),
    Step(grids),
    Step(polygonize, ("formats",)),
    Step(facts, ("formats",)),
    Step(shards),
    Step(resume, ("shards",)),
    Step(workers, ("shards",)),
    Step(dask, ("shards",), module="distributed"),
    Step(worker, ("formats",)),
    Step(torch, module="torch"),
    Step(rendered),
)


def with_needed(names: set[str]) -> list[Step]:
    """The steps of these names and those that they need, in order; all where none is named."""
    wanted = set(names) or {each.name for each in STEPS}
    for each in STEPS:
        if each.name in wanted:
            wanted |= set(each.needs)
    return [each for each in STEPS if each.name in wanted]
