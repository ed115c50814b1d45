"""Several threads read one scene: the same pixels as one thread, one handle each."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from snet4core.errors import InputError, UsageError
from snet4core.scene.reader import SceneReader, SharedReader
from snet4core.scene.scene import Scene, open_scene
from snet4core.windows import Window, blocks

Picture = Callable[..., Path]


@pytest.fixture
def scene(picture: Picture) -> Scene:
    counts = np.random.default_rng(4).integers(1, 4000, (4, 700, 600)).astype(np.uint16)
    return open_scene(picture(counts, tiled=True, blockxsize=64, blockysize=64))


def test_threads_read_what_one_reads(scene: Scene) -> None:
    windows = [Window(w.row - 9, w.col - 9, 90, 90) for w in blocks((700, 600), 60)]
    with SceneReader(scene) as alone:
        expected = [alone.read(window) for window in windows]
    with SharedReader(scene) as shared, ThreadPoolExecutor(4) as threads:
        found = list(threads.map(shared.read, windows))
    for (counts, valid), (counts_again, valid_again) in zip(expected, found, strict=True):
        assert np.array_equal(counts, counts_again)
        assert np.array_equal(valid, valid_again)


def test_each_thread_opens_one_handle(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, closed, together = [], [], threading.Barrier(3)
    enter, leave = SceneReader.__enter__, SceneReader.__exit__
    monkeypatch.setattr(
        SceneReader, "__enter__", lambda self: (opened.append(self), enter(self))[1]
    )
    monkeypatch.setattr(
        SceneReader, "__exit__", lambda self, *how: (closed.append(self), leave(self, *how))[1]
    )

    def twice(_: int) -> None:
        together.wait(10)  # else one thread could do the work of all
        for _ in range(2):
            shared.read(Window(0, 0, 10, 10))

    with SharedReader(scene) as shared, ThreadPoolExecutor(3) as threads:
        list(threads.map(twice, range(3)))
    assert len(opened) == len(closed) == 4  # three, and the one that opened it


def handles_of(path: Path) -> int:
    """How often this process has the file open."""
    places = Path("/proc/self/fd")
    if not places.is_dir():
        pytest.skip("this system does not list open files")
    return sum(os.path.realpath(each) == str(path) for each in places.iterdir())


def test_two_readers_have_a_handle_each_even_in_one_thread(scene: Scene) -> None:
    """GDAL would give both the same one, and a thread that takes over a reader would share it."""
    path = Path(scene.location)
    with SceneReader(scene) as one, SceneReader(scene) as other:
        assert handles_of(path) == 2
        for reader in (one, other):
            reader.read(Window(0, 0, 9, 9))


def test_a_file_that_changed_is_refused_at_once(scene: Scene) -> None:
    assert scene.path is not None
    scene.path.write_bytes(b"something else")
    with pytest.raises(InputError, match="changed"), SharedReader(scene):
        pass


def test_it_reads_only_while_open(scene: Scene) -> None:
    shared = SharedReader(scene)
    with shared:
        shared.read(Window(0, 0, 10, 10))
    with pytest.raises(UsageError, match="inside its 'with' block"):
        shared.read(Window(0, 0, 10, 10))
