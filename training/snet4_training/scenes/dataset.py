"""Writes a synthetic data set in SpaceNet 4's file layout: every tile at every look."""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snet4_training.scenes.collects import native_gsd_m
from snet4_training.scenes.place import make_place, truth
from snet4_training.scenes.render import render
from snet4_training.scenes.sensor import WORLDVIEW2, Sensor
from snet4_training.scenes.spacenet_files import (
    LAYOUTS,
    Layout,
    TileName,
    image_id,
    image_path,
    labels_path,
    labels_text,
    looks_text,
    summary_path,
    summary_text,
    write_image,
)
from snet4_training.scenes.world import Building
from snet4core.errors import OutputError, UsageError
from snet4core.look.look import Look
from snet4core.look.names import SPACENET4_LOOKS, Collect
from snet4core.maps.hardware import most_processes
from snet4core.progress import Progress, Silent, stop_if_cancelled

GSD_M = 0.5
_CORNER_M = (733601, 3720139)
"""Lower left corner of the first tile; the others follow in rows of `_TILES_WIDE`."""
_TILES_WIDE = 40
_BLACK_SHARE = 0.03
"""Share of the pictures with a corner outside the satellite's strip."""


@dataclass(frozen=True, slots=True)
class Job:
    """One tile to write."""

    out: Path
    number: int
    collects: tuple[Collect, ...]
    seed: int
    layout: Layout
    size_px: int


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of writing a tile."""

    number: int
    tile: TileName
    buildings: tuple[Building, ...]


def parse_looks(text: str) -> tuple[Collect, ...]:
    """`spacenet4`, or a list of collects (`nadir7`, a catalogue id) and `ANGLE:AZIMUTH`.

    `UsageError` for anything else.

    >>> [(one.folder, one.azimuth_deg) for one in parse_looks("nadir30, 45:200")]
    [('nadir30', 25.5), ('nadir45', 200.0)]
    """
    if text == "spacenet4":
        return SPACENET4_LOOKS
    found: dict[str, Collect] = {}
    for word in (part.strip() for part in text.split(",")):
        for one in _named(word) or (_made(word),):
            found[one.catalogue_id] = one
    return tuple(found.values())


def _named(word: str) -> tuple[Collect, ...]:
    return tuple(one for one in SPACENET4_LOOKS if word in (one.folder, one.catalogue_id))


def _made(word: str) -> Collect:
    """A collect with the user's look, and a catalogue id made from its angles."""
    try:
        angle, azimuth = (float(part) for part in word.split(":"))
        look = Look(angle, azimuth % 360, "option")
    except (ValueError, OverflowError) as problem:
        raise UsageError(
            f"The look {word!r} is neither a collect of SpaceNet 4 (nadir7, a catalogue id) nor "
            "ANGLE:AZIMUTH in degrees, for example 30:25.5."
        ) from problem
    key = f"{look.off_nadir_deg:.3f}:{look.azimuth_deg:.3f}"
    name = hashlib.sha256(key.encode()).hexdigest()[:16].upper()
    gsd_m = native_gsd_m(look.off_nadir_deg)
    return Collect(name, f"nadir{math.floor(angle)}", angle, look.azimuth_deg or 0.0, gsd_m)


def write_scenes(
    out: Path,
    tiles: int,
    looks: Sequence[Collect],
    seed: int,
    layout: Layout = "competition",
    *,
    size_px: int = 900,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Written]:
    """Write `tiles` places at all `looks` below the folder `out`; deterministic.

    A tile depends on `seed` and its number alone, never on `workers`. The folder appears
    when everything is in it. Errors: `OutputError` when `out` holds something already or
    cannot be written, `UsageError` for numbers that make no data set.
    """
    progress = progress or Silent()
    _check(out, tiles, looks, layout, size_px)
    out = out.resolve()  # "." has no name
    part = out.with_name(f"{out.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a killed run
        part.mkdir(parents=True)
        try:
            jobs = [Job(part, n, tuple(looks), seed, layout, size_px) for n in range(tiles)]
            written = _all_written(jobs, workers, progress)
            _write_tables(part, looks, written, size_px)
            _appear(part, out)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except OSError as problem:
        raise OutputError(
            f"{out} cannot be written ({problem.strerror or problem}); check the place and its "
            "free space."
        ) from problem
    return written


def _all_written(jobs: list[Job], workers: int, progress: Progress) -> list[Written]:
    """All tiles, in the order of their numbers."""
    written: list[Written] = []
    for one in _done(jobs, workers):
        written.append(one)
        progress.step(len(written), len(jobs), "tiles")
        stop_if_cancelled(progress)
    return sorted(written, key=lambda one: one.number)


def _write_tables(
    out: Path, looks: Sequence[Collect], written: Sequence[Written], size_px: int
) -> None:
    for collect in looks:
        rows = [
            (image_id(collect, one.tile), one.buildings, one.tile.transform(size_px, GSD_M))
            for one in written
        ]
        _put(out / summary_path(collect), summary_text(rows))
    _put(out / "looks.csv", looks_text(looks))


def _check(out: Path, tiles: int, looks: Sequence[Collect], layout: str, size_px: int) -> None:
    if tiles < 1 or not looks or size_px < 64:
        raise UsageError(
            f"{tiles} tiles of {size_px} px at {len(looks)} looks are no data set; ask for at "
            "least one tile, one look and 64 px."
        )
    if layout not in LAYOUTS:
        raise UsageError(f"The layout {layout!r} is unknown; there are {', '.join(LAYOUTS)}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} is not an empty folder; name a new one.")


def _done(jobs: list[Job], workers: int) -> Iterator[Written]:
    """Yield the jobs' results as they complete."""
    if workers <= 1 or len(jobs) == 1:
        yield from map(write_tile, jobs)
        return
    # As on Windows and macOS, where a child begins anew.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(most_processes(workers), context) as pool:
        futures = [pool.submit(write_tile, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def write_tile(job: Job) -> Written:
    """Make one place and write its labels and all its pictures."""
    place = make_place(np.random.default_rng([job.seed, job.number]), job.size_px, GSD_M)
    down, right = divmod(job.number, _TILES_WIDE)
    step_m = int(job.size_px * GSD_M)
    tile = TileName(_CORNER_M[0] + right * step_m, _CORNER_M[1] + down * step_m)
    buildings = tuple(truth(place))
    to_map = tile.transform(job.size_px, GSD_M)
    _put(job.out / labels_path(job.layout, tile), labels_text(buildings, to_map))
    for collect in job.collects:
        key = [job.seed, job.number, int(collect.catalogue_id, 16) % 2**32]
        rng = np.random.default_rng(key)
        sensor = replace(day_of(collect, job.seed), seed=int(rng.integers(2**31)))
        counts_BHW = render(place, collect.look, sensor)
        if rng.random() < _BLACK_SHARE:
            counts_BHW[:, _outside(rng, job.size_px)] = 0
        write_image(job.out / image_path(job.layout, collect, tile), counts_BHW, tile, GSD_M)
    return Written(job.number, tile, buildings)


def day_of(collect: Collect, seed: int) -> Sensor:
    """The sensor of one collect: the same atmosphere and gains for all tiles."""
    rng = np.random.default_rng([seed, int(collect.catalogue_id, 16) % 2**32, 1])
    blue, green, red, nir = (float(v * np.exp(rng.normal(0, 0.08))) for v in WORLDVIEW2.gain_B)
    return replace(
        WORLDVIEW2,
        gain_B=(blue, green, red, nir),
        haze=float(WORLDVIEW2.haze * np.exp(rng.normal(0, 0.3))),
        blur=float(rng.uniform(0.36, 0.52)),
        gsd_scale=collect.pan_gsd_m / native_gsd_m(collect.off_nadir_deg),
    )


def _outside(rng: np.random.Generator, size_px: int) -> NDArray[np.bool_]:
    """The part of a tile beyond a slanting edge."""
    turn = rng.uniform(0, 2 * math.pi)
    at = np.arange(size_px) - size_px / 2
    run = at[:, None] * math.sin(turn) + at[None, :] * math.cos(turn)
    return np.asarray(run > rng.uniform(0.1, 0.6) * size_px)


def _appear(part: Path, out: Path) -> None:
    """Give the finished folder its name; an empty one that is there stays, as a shell may be in
    it."""
    if not out.exists():
        part.replace(out)
        return
    for each in sorted(part.iterdir()):
        each.replace(out / each.name)
    part.rmdir()


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
