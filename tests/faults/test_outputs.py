"""Outputs under every fault: said before the work, and the old file or the whole new one."""

from __future__ import annotations

import io
import os
import random
import resource
import signal
import socket
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import fiona
import numpy as np
import pyogrio
import pytest
import shapely
from rasterio.crs import CRS

from snet4core.errors import OutputError
from snet4core.files import outputs
from snet4core.footprints.footprints import Footprints, Source
from snet4core.layers.write import check_layer, write_layer

UTM = CRS.from_epsg(32616)
FORMATS = [".gpkg", ".fgb", ".geojson", ".csv"]


def footprints(count: int, scene: str = "scene.tif") -> Footprints:
    """So many houses in a row."""
    left = np.arange(count) * 20.0
    boxes = shapely.box(left, 0, left + 12, 10)
    found = Footprints.of(
        Source(scene, UTM),
        np.asarray(boxes, object),
        np.asarray(boxes, object),
        np.column_stack([np.zeros(count, np.int64), left.astype(np.int64)]),
        np.full(count, 0.9),
        np.full(count, 120.0),
    )
    return replace(found, footprint_id_N=np.arange(1, count + 1))


def tree(folder: Path) -> dict[str, bytes | None]:
    """All names below a folder, with the bytes of the files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else None
        for path in sorted(folder.rglob("*"))
    }


def refused(path: Path, *, overwrite: bool = False, inputs: tuple[Path, ...] = ()) -> str:
    """The sentence, checked for its form; the folder must be as it was."""
    with pytest.raises(OutputError) as caught:
        check_layer(path, overwrite=overwrite, inputs=inputs)
    assert caught.value.exit_code == 6
    assert isinstance(caught.value, OSError)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


class TestBeforeTheWork:
    @pytest.fixture(autouse=True)
    def _nothing_changes(self, tmp_path: Path) -> Iterator[None]:
        yield
        assert not list(tmp_path.glob("**/.snet4-*"))

    def test_a_good_place_is_left_as_it_was(self, tmp_path: Path) -> None:
        check_layer(tmp_path / "out.gpkg")
        assert tree(tmp_path) == {}

    def test_it_exists(self, tmp_path: Path) -> None:
        (tmp_path / "out.gpkg").write_text("old")
        assert "out.gpkg exists already" in refused(tmp_path / "out.gpkg")
        assert "--overwrite" in refused(tmp_path / "out.gpkg")
        check_layer(tmp_path / "out.gpkg", overwrite=True)
        assert tree(tmp_path) == {"out.gpkg": b"old"}

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_it_is_a_folder(self, tmp_path: Path, overwrite: bool) -> None:
        (tmp_path / "out.gpkg").mkdir()
        assert "is a folder" in refused(tmp_path / "out.gpkg", overwrite=overwrite)

    @pytest.mark.parametrize("overwrite", [False, True])
    @pytest.mark.parametrize("points_to", ["precious.gpkg", "nothing.gpkg", "out.gpkg"])
    def test_it_is_a_link(self, tmp_path: Path, overwrite: bool, points_to: str) -> None:
        (tmp_path / "precious.gpkg").write_text("precious")
        (tmp_path / "out.gpkg").symlink_to(tmp_path / points_to)
        assert "is a link" in refused(tmp_path / "out.gpkg", overwrite=overwrite)
        assert (tmp_path / "precious.gpkg").read_text() == "precious"

    def test_it_is_the_input(self, tmp_path: Path) -> None:
        scene = tmp_path / "scene.gpkg"
        scene.write_text("pixels")
        assert "is also an input" in refused(scene, overwrite=True, inputs=(scene,))

    def test_it_is_the_input_under_another_name(self, tmp_path: Path) -> None:
        scene, alias = tmp_path / "scene.tif", tmp_path / "alias.gpkg"
        scene.write_text("pixels")
        alias.hardlink_to(scene)
        assert "is also an input" in refused(alias, overwrite=True, inputs=(scene,))

    def test_it_is_what_an_input_links_to(self, tmp_path: Path) -> None:
        target, scene = tmp_path / "target.gpkg", tmp_path / "scene.tif"
        target.write_text("pixels")
        scene.symlink_to(target)
        assert "is also an input" in refused(target, overwrite=True, inputs=(scene,))

    def test_its_folder_is_missing(self, tmp_path: Path) -> None:
        assert "no such folder" in refused(tmp_path / "missing" / "out.gpkg")
        assert tree(tmp_path) == {}

    def test_its_folder_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        refused(tmp_path / "file" / "out.gpkg")

    def test_it_is_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "out.gpkg")
        assert "no ordinary file" in refused(tmp_path / "out.gpkg", overwrite=True)

    def test_it_is_a_socket(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "out.csv"))
            assert "no ordinary file" in refused(tmp_path / "out.csv", overwrite=True)

    def test_its_name_is_too_long(self, tmp_path: Path) -> None:
        assert "too long" in refused(tmp_path / ("x" * 300 + ".gpkg"))

    def test_its_name_holds_a_nul(self, tmp_path: Path) -> None:
        refused(tmp_path / "a\0b.gpkg")

    def test_its_name_holds_a_line_break(self, tmp_path: Path) -> None:
        assert "two\\nlines" in refused(tmp_path / "missing" / "two\nlines.gpkg")

    def test_its_place_is_read_only(self, tmp_path: Path) -> None:
        if os.geteuid() == 0:
            place = Path("/proc")  # the only kind of place that root cannot write to
        else:
            place = tmp_path / "locked"
            place.mkdir(mode=0o500)
        assert "folder that you may write to" in refused(place / "out.gpkg")

    def test_it_is_a_url(self) -> None:
        assert "no such folder" in refused(Path("http://127.0.0.1:9/out.gpkg"))

    def test_the_disk_is_too_small(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outputs, "LEAST_FREE_BYTES", 1 << 60)
        assert "MB are free there" in refused(tmp_path / "out.gpkg")

    @pytest.mark.parametrize("ending", ["-wal", "-journal"])
    def test_it_is_open_elsewhere(self, tmp_path: Path, ending: str) -> None:
        (tmp_path / "out.gpkg").write_text("old")
        (tmp_path / f"out.gpkg{ending}").write_text("changes")
        assert f"out.gpkg{ending}" in refused(tmp_path / "out.gpkg", overwrite=True)

    def test_a_database_that_another_program_has_open(self, tmp_path: Path) -> None:
        path = tmp_path / "out.gpkg"
        write_layer(path, [footprints(3)], UTM)
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("SELECT count(*) FROM footprints").fetchall()
            assert "open in another program" in refused(path, overwrite=True)
        check_layer(path, overwrite=True)


def in_child(work: Callable[[], int]) -> int:
    """Start `work` in a copy of this process, which has everything imported; its pid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of threads, ours are idle
        pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work()
        except KeyboardInterrupt:
            code = 130
        finally:
            os._exit(code)
    return pid


def exit_code(pid: int) -> int:
    """Wait for a child; negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def write_or_6(path: Path, batches: list[Footprints]) -> int:
    """Write over what is there; 6 for the error that we promise, 98 for a wrong sentence."""
    try:
        write_layer(path, batches, UTM, overwrite=True)
    except OutputError as error:
        told = "could not be written" in str(error) or "cut off" in str(error)
        told &= path.suffix != ".fgb" or "GeoPackage" not in str(error)  # which it is made from
        return 6 if told and "\n" not in str(error) else 98
    return 0


class TestFullDisk:
    """A limit on the size of files is the disk that is full at that byte."""

    @pytest.mark.parametrize("extension", FORMATS)
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, "last byte", "enough"])
    def test_the_old_file_stays_and_nothing_else(
        self, tmp_path: Path, extension: str, share: float | str
    ) -> None:
        path, batch = tmp_path / f"out{extension}", footprints(3000)
        write_layer(path, [batch], UTM)
        whole = path.read_bytes()
        path.write_bytes(b"old")
        words = {"last byte": len(whole) - 1, "enough": 4 * len(whole)}
        limit = words[share] if isinstance(share, str) else int(len(whole) * share)

        def work() -> int:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            return write_or_6(path, [batch])

        expected = (0, whole) if share == "enough" else (6, b"old")
        assert (exit_code(in_child(work)), path.read_bytes()) == expected
        assert list(tree(tmp_path)) == [path.name]


class Breaking:
    """Lets `allowed` calls of the system pass and fails the next one."""

    def __init__(self, allowed: int) -> None:
        self.left = allowed
        self.broke = False

    def wrap(self, call: Callable[..., object]) -> Callable[..., object]:
        def maybe(*args: object, **kwargs: object) -> object:
            self.left -= 1
            if self.left < 0 and not self.broke:
                self.broke = True
                raise OSError(5, os.strerror(5))
            return call(*args, **kwargs)

        return maybe


CALLS = ["open", "fsync", "replace", "mkdir", "rename"]
"""What the output room asks of the system, all through `os`."""


@contextmanager
def failing_at(number: int, patch: pytest.MonkeyPatch) -> Iterator[Breaking]:
    breaking = Breaking(number)
    with patch.context() as context:
        for name in CALLS:
            context.setattr(os, name, breaking.wrap(getattr(os, name)))
        context.setattr(io, "open", breaking.wrap(io.open))
        context.setattr(sqlite3, "connect", breaking.wrap(sqlite3.connect))
        context.setattr(fiona, "open", breaking.wrap(fiona.open))
        for name in ("open_arrow", "write_arrow", "read"):
            context.setattr(pyogrio.raw, name, breaking.wrap(getattr(pyogrio.raw, name)))
        yield breaking


@pytest.mark.parametrize("extension", FORMATS)
def test_whichever_call_fails_the_old_file_or_the_whole_new_one_is_there(
    tmp_path: Path, extension: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, table = tmp_path / f"out{extension}", tmp_path / "submission.csv"
    write_layer(path, [footprints(5)], UTM, csv=table)
    whole = tree(tmp_path)
    failures = 0
    for number in range(200):
        path.write_bytes(b"old")
        table.write_bytes(b"old")
        with failing_at(number, monkeypatch) as breaking:
            with suppress(OutputError):
                write_layer(path, [footprints(5)], UTM, csv=table, overwrite=True)
                failures -= 1
            failures += 1
        found = tree(tmp_path)
        assert set(found) == set(whole), f"call {number}"
        for name, content in found.items():
            assert content in (b"old", whole[name]), f"call {number}"
        if not breaking.broke:
            break
    else:
        pytest.fail("there is no end to the calls")
    assert failures >= 8
    assert found == whole


def slowly(pause_s: float) -> Iterator[Footprints]:
    """Forty batches of fifty, as a network would deliver them."""
    for _ in range(40):
        time.sleep(pause_s)
        yield footprints(50)


@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("extension", FORMATS)
def test_kills_at_random_moments_leave_the_old_file_or_the_whole_new_one(
    tmp_path: Path, extension: str, kills: int
) -> None:
    path, table = tmp_path / f"out{extension}", tmp_path / "submission.csv"
    write_layer(path, slowly(0), UTM, csv=table)
    whole = tree(tmp_path)
    path.write_bytes(b"old")
    table.write_bytes(b"old")

    def work() -> int:
        while True:
            write_layer(path, slowly(0.001), UTM, csv=table, overwrite=True)

    rng = random.Random(3)
    for _ in range(kills):
        pid = in_child(work)
        time.sleep(rng.uniform(0, 0.25))
        os.kill(pid, signal.SIGKILL)
        assert exit_code(pid) == -signal.SIGKILL
        assert path.read_bytes() in (b"old", whole[path.name])
        assert table.read_bytes() in (b"old", whole[table.name])
    # The next run that lives sweeps what the killed ones could not.
    write_layer(path, slowly(0), UTM, csv=table, overwrite=True)
    assert tree(tmp_path) == whole


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("polite", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_kill_leaves_nothing_beside_the_old_file(
    tmp_path: Path, polite: signal.Signals, extension: str
) -> None:
    path, table = tmp_path / f"out{extension}", tmp_path / "submission.csv"
    path.write_bytes(b"old")

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    def work() -> int:
        signal.signal(polite, stop)
        write_layer(path, slowly(0.2), UTM, csv=table, overwrite=True)
        return 0

    pid = in_child(work)
    time.sleep(0.5)
    os.kill(pid, polite)
    assert exit_code(pid) == 130
    assert tree(tmp_path) == {path.name: b"old"}


@pytest.mark.parametrize("extension", FORMATS)
def test_two_runs_at_once_give_one_whole_file(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out{extension}"
    results = []
    for name in ("one.tif", "two.tif"):
        write_layer(path, [footprints(200, name)], UTM, overwrite=True)
        results.append(path.read_bytes())

    def run(name: str) -> int:
        for _ in range(10):
            write_layer(path, [footprints(200, name)], UTM, overwrite=True)
        return 0

    children = [in_child(lambda name=name: run(name)) for name in ("one.tif", "two.tif")]
    assert [exit_code(child) for child in children] == [0, 0]
    assert path.read_bytes() in results
    assert list(tree(tmp_path)) == [path.name]


def test_files_beside_the_target_are_never_touched(tmp_path: Path) -> None:
    neighbours = {
        "out.gpkg.aux.xml": b"mine",
        "out.gpkg.tmp": b"mine",
        "result.gpkg": b"mine",
        ".snet4-mine": b"mine",
        "out.qml": b"mine",
    }
    for name, content in neighbours.items():
        (tmp_path / name).write_bytes(content)
    write_layer(tmp_path / "out.gpkg", [footprints(5)], UTM)
    (tmp_path / "out.gpkg").unlink()
    assert tree(tmp_path) == neighbours


@pytest.mark.parametrize("spare", range(8))
def test_few_open_files_are_an_output_error_or_enough(tmp_path: Path, spare: int) -> None:
    path = tmp_path / "out.gpkg"

    def work() -> int:
        used = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, used + spare))
        return write_or_6(path, [footprints(5)])

    code = exit_code(in_child(work))
    assert code in (0, 6)
    assert list(tree(tmp_path)) == (["out.gpkg"] if code == 0 else [])


def test_the_outputs_room_is_the_only_way_to_a_file(tmp_path: Path) -> None:
    # Whoever writes a layer meets the same checks, also without asking first.
    (tmp_path / "out.gpkg").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_layer(tmp_path / "out.gpkg", [footprints(5)], UTM, overwrite=True)
    with pytest.raises(OutputError, match="no such folder"):
        write_layer(tmp_path / "missing" / "out.gpkg", [footprints(5)], UTM)
