"""Processes that shape: the same footprints, errors as in one process, nobody left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from scipy import ndimage

from snet4core.errors import EngineError, InputError
from snet4core.footprints.footprints import Footprints, Source
from snet4core.footprints.shaping import Shaping
from snet4core.grid import Grid
from snet4core.look.look import Look
from snet4core.maps.maps import Maps
from snet4core.parts import shaping_pool
from snet4core.parts.part import Part, PartResult, merged, parts_of
from snet4core.parts.shaping_pool import Seen, shaped
from snet4core.settings import ShapeSettings

SHAPE = (500, 400)
UTM = CRS.from_epsg(32616)
PLACED = Affine(0.5, 0, 740000, 0, -0.5, 3720000)


def shaping_at(transform: Affine) -> Shaping:
    source = Source("town", UTM, Look(30.0, 20.0, "option"), "made up")
    return Shaping(Grid(SHAPE, transform, UTM), ShapeSettings(min_area_m2=1.0), source)


@pytest.fixture(scope="module")
def parts() -> list[Seen]:
    """Parts of maps with blobs of all sizes, many of them across seams."""
    rng = np.random.default_rng(5)
    field_HW = ndimage.gaussian_filter(rng.normal(size=SHAPE), 2.0)
    whole_HW = (np.clip(field_HW / field_HW.std() * 0.2 + 0.5, 0, 1) * 255).astype(np.uint8)
    border_HW = rng.integers(0, 200, SHAPE).astype(np.uint8)

    def seen(part: Part) -> Seen:
        maps = []
        for tile in part.tiles:
            here = tile.own.slices()
            valid_HW = np.ones(tile.own.shape, np.bool_)
            maps.append(Maps(tile.own, whole_HW[here], border_HW[here], valid_HW))
        return part, maps

    return [seen(part) for part in parts_of(SHAPE, (64, 32, 32))]


def told(results: list[tuple[Part, PartResult]], shaping: Shaping) -> list[tuple[object, ...]]:
    """All that stands in the layer, to the last bit."""
    batches: list[Footprints] = list(merged((result for _, result in results), shaping))
    return [(f.footprint_id, f.polygon.wkb, f.confidence, f.area_m2) for b in batches for f in b]


def test_any_number_of_processes_gives_the_same_footprints(parts: list[Seen]) -> None:
    shaping = shaping_at(PLACED)
    assert len(parts) > shaping_pool.FEW_PARTS
    alone = list(shaped(parts, len(parts), 1, shaping, keep_maps=True))
    several = list(shaped(parts, len(parts), 2, shaping, keep_maps=True))
    assert [part for part, _ in several] == [part for part, _ in parts]
    assert [len(result.maps) for _, result in several] == [len(maps) for _, maps in parts]
    assert told(several, shaping) == told(alone, shaping)
    assert len(told(alone, shaping)) > 100


def test_few_parts_start_no_process(parts: list[Seen], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(shaping_pool, "_Pool")
    few = parts[: shaping_pool.FEW_PARTS]
    assert len(list(shaped(few, len(few), 4, shaping_at(PLACED)))) == len(few)


def test_an_error_travels_in_the_same_words(parts: list[Seen]) -> None:
    nowhere = shaping_at(Affine(0.5, 0, 1e30, 0, -0.5, 1e30))
    said = []
    for processes in (1, 2):
        with pytest.raises(InputError) as refused:
            list(shaped(parts, len(parts), processes, nowhere))
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_a_process_that_dies_is_told_in_one_sentence(
    parts: list[Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shaping_pool, "_finished", _die)
    with pytest.raises(EngineError, match="died; is there enough memory"):
        list(shaped(parts, len(parts), 2, shaping_at(PLACED)))


def _die(*_: object, **__: object) -> None:
    os._exit(9)


def test_nobody_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "import multiprocessing\n"
        "from snet4core.parts.shaping_pool import _born\n"
        "if __name__ == '__main__':\n"
        "    pool = ProcessPoolExecutor(2, multiprocessing.get_context('spawn'), _born)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    ran = subprocess.run(
        [sys.executable, str(script)], env=env, capture_output=True, text=True, check=False
    )
    child = int(ran.stdout)
    for _ in range(100):
        if not _lives(child):
            return
        time.sleep(0.1)
    raise AssertionError(f"process {child} lives on")


def _lives(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
