"""The part store under every fault: whatever fails or is killed, the next run ends the same."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray

from snet4core.errors import Snet4Error
from snet4core.files import outputs, places
from snet4core.jobs.job import Job
from snet4core.jobs.run import run_job
from snet4core.look.look import Look
from snet4core.maps.maps import Maps
from snet4core.model.card import Architecture, Card, WindowSettings
from snet4core.model.header import Header
from snet4core.parts import store as partstore
from snet4core.parts.plan import Choices
from snet4core.progress import Silent
from snet4core.scene.inputs import SceneInput
from snet4core.windows import Tile

ROOT = Path(__file__).resolve().parents[2]


class BrightIsBuilding:
    """A network whose answer is known."""

    def __init__(self) -> None:
        card = Card("bright", Architecture(), WindowSettings(32, 32))
        self.header = Header(Path("bright.safetensors"), card, "0" * 64)
        self.key, self.guesser, self.shapers, self.together = "exact", None, 1, 2

    def maps(
        self,
        read: Callable[[Tile], tuple[NDArray[np.float32], NDArray[np.bool_]]],
        shape: tuple[int, int],
        look: Look,
        wanted: Iterable[Tile],
        lean_px: tuple[float, float] | None = None,
    ) -> Iterator[Maps]:
        for tile in wanted:
            picture_CHW, valid_HW = read(tile)
            inside = tile.own.slices(tile.read)
            bright_HW = np.where(picture_CHW[1][inside] > 0.5, 230, 10).astype(np.uint8)
            yield Maps(tile.own, bright_HW, np.zeros_like(bright_HW), valid_HW[inside])


def job_in(folder: Path, resume: bool = True) -> Job:
    """Two parts, with houses inside them and one across."""
    counts = np.full((4, 60, 120), 300, np.uint16)
    for row, col in ((5, 10), (30, 52), (20, 90)):
        counts[:, row : row + 20, col : col + 25] = 900
    scene = folder.parent / "town.tif"
    if not scene.exists():
        with rasterio.open(
            scene, "w", driver="GTiff", count=4, height=60, width=120, dtype="uint16",
            crs="EPSG:32616", transform=Affine(0.5, 0, 740000, 0, -0.5, 3720000),
        ) as file:  # fmt: skip
            file.write(counts)
    return Job(
        (SceneInput(str(scene)),),
        Choices(off_nadir_deg=30.0),
        folder / "o.gpkg",
        stop_at_error=True,
        resume=resume,
    )


class Breaking:
    """Lets `allowed` calls of the system pass and fails the next one."""

    def __init__(self, allowed: int) -> None:
        self.left = allowed
        self.broke = False

    def call(self) -> None:
        self.left -= 1
        if self.left < 0 and not self.broke:
            self.broke = True
            raise OSError(28, os.strerror(28))

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def maybe(*args: Any, **kwargs: Any) -> Any:
            self.call()
            return function(*args, **kwargs)

        return maybe

    def opened(self, *args: Any, **kwargs: Any) -> Any:
        self.call()
        file = _OPEN(*args, **kwargs)
        if not hasattr(file, "write") or not file.writable():
            return file
        return _Writer(file, self)


_OPEN = io.open


class _Writer:
    """An open file whose writes may fail, before or after some bytes went out."""

    def __init__(self, file: Any, breaking: Breaking) -> None:
        self._file, self._breaking = file, breaking

    def write(self, content: Any) -> Any:
        half = len(content) // 2
        self._file.write(content[:half])
        self._breaking.call()
        return half + self._file.write(content[half:])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


@contextmanager
def failing_at(number: int, patch: pytest.MonkeyPatch) -> Iterator[Breaking]:
    breaking = Breaking(number)
    with patch.context() as context:
        for name in ("open", "fsync", "replace", "mkdir", "rename", "listdir"):
            context.setattr(os, name, breaking.wrap(getattr(os, name)))
        context.setattr(io, "open", breaking.opened)
        yield breaking


def test_whichever_call_fails_the_next_run_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, folder = tmp_path / "plain", tmp_path / "broken"
    plain.mkdir()
    folder.mkdir()
    run_job(job_in(plain, resume=False), BrightIsBuilding(), Silent())
    whole = (plain / "o.gpkg").read_bytes()
    said: list[str] = []
    number, broke = -1, True
    while broke:
        number += 1
        job = job_in(folder)
        try:
            with failing_at(number, monkeypatch) as breaking:
                run_job(job, BrightIsBuilding(), Silent())
            assert job.output.read_bytes() == whole, f"call {number}"
            job.output.unlink()  # it went well in spite of all: once more from here
        except Snet4Error as problem:
            said.append(str(problem))
        broke = breaking.broke
        if job.output.exists():
            assert job.output.read_bytes() == whole, f"call {number}"
        job.check_places()
        run_job(job, BrightIsBuilding(), Silent())
        assert job.output.read_bytes() == whole, f"call {number}"
        assert [each.name for each in folder.iterdir()] == ["o.gpkg"], f"call {number}"
        job.output.unlink()
        assert number < 500, "there is no end to the calls"
    assert len(said) >= 15
    assert all("o.gpkg" in sentence or "town.tif" in sentence for sentence in said)


def test_store_and_outputs_write_through_the_calls_that_are_made_to_fail() -> None:
    """Whoever adds another way to the disk must add it to the test above."""
    for room in (partstore, places, outputs):
        source = Path(str(room.__file__)).read_text(encoding="utf-8")
        assert "shutil.move" not in source
        assert ".write_bytes(" not in source
        assert "os.write(" not in source


@pytest.mark.parametrize(
    ("kills", "polite", "parts"), [(3, 1, 1), pytest.param(100, 10, 30, marks=pytest.mark.long)]
)
def test_kills_at_random_moments_end_with_the_bytes_of_an_undisturbed_run(
    kills: int, polite: int, parts: int, tmp_path: Path
) -> None:
    """`snet4 run --resume` over 30 parts, killed again and again; SIGTERM and Ctrl-C besides."""
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("segmentation_models_pytorch")
    if not hasattr(os, "fork"):
        pytest.skip("runs are started by fork, which this system has not")
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults.kill_resume",
         "--kills", str(kills), "--polite", str(polite),
         "--folder", str(tmp_path), "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-2000:]
    facts = json.loads(answer.stdout)
    assert facts["kills"] == kills
    assert facts["parts"] >= parts  # the most that a kill left behind: few kills may come early
    assert facts["wrong"] == []
    assert facts["rounds"] >= 1
    assert facts["slowest_stop_s"] < 5.0
