"""Parts in an object store: the same names, the same bytes, no folder beside the layer."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

from helpers.bright import ELSEWHERE, Bright, BrightModel, write_town  # noqa: E402
from snet4core.errors import DependencyError, InputError, OutputError, UsageError  # noqa: E402
from snet4core.files.object_store import ObjectPlace, place_of  # noqa: E402
from snet4core.files.places import FolderPlace, Place  # noqa: E402
from snet4core.jobs.job import Job, Shard  # noqa: E402
from snet4core.jobs.merge import Merge, merge  # noqa: E402
from snet4core.jobs.processes import Processes  # noqa: E402
from snet4core.jobs.run import run_job  # noqa: E402
from snet4core.parts import store as partstore  # noqa: E402
from snet4core.parts.plan import Choices  # noqa: E402
from snet4core.progress import Silent  # noqa: E402
from snet4core.scene.inputs import SceneInput  # noqa: E402

PARTS = 16


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_town(tmp_path_factory.mktemp("scene") / "town.tif")


@pytest.fixture(scope="module")
def undisturbed(town: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    job = job_in(tmp_path_factory.mktemp("plain"), town)
    run_job(job, Bright(), Silent())
    return job.output.read_bytes()


def job_in(folder: Path, town: Path, **more: Any) -> Job:
    choices = Choices(off_nadir_deg=30.0, min_area_m2=1.0)
    inputs = (SceneInput(str(town)),)
    return Job(inputs, choices, folder / "o.gpkg", stop_at_error=True, **more)


class _Bucket(BaseHTTPRequestHandler):
    """As little of S3's manner as a store of objects needs: get, put unless there, list, delete."""

    objects: dict[str, bytes]

    def _answer(self, code: int, body: bytes = b"") -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(200, "\n".join(sorted(self.objects)).encode())
        elif self.path in self.objects:
            self._answer(200, self.objects[self.path])
        else:
            self._answer(404)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("If-None-Match") == "*" and self.path in self.objects:
            self._answer(412)
            return
        self.objects[self.path] = content
        self._answer(200)

    def do_DELETE(self) -> None:
        self._answer(204 if self.objects.pop(self.path, None) is not None else 404)

    def log_message(self, *_: Any) -> None:
        pass


class FakeBucket(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """Speaks with it; knows no folders, as stores do."""

    protocol = "fakebucket"
    cachable = False

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        from http.client import HTTPConnection

        host, _, key = self._strip_protocol(path).partition("/")
        connection = HTTPConnection(host, timeout=10)
        connection.request(method, f"/{key}", body, {"If-None-Match": "*"} if body else {})
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        host, _, prefix = self._strip_protocol(path).partition("/")
        listed = self._ask("GET", f"{host}/")[1].decode().split()
        below = [name[1:] for name in listed if name.startswith(f"/{prefix}/")]
        exact = [name[1:] for name in listed if name == f"/{prefix}"]
        heads = sorted({name[len(prefix) + 1 :].partition("/")[0] for name in below})
        if not heads and not exact:
            raise FileNotFoundError(path)
        rows = [
            {
                "name": f"{host}/{prefix}/{head}",
                "size": 1,
                "type": "file" if f"{prefix}/{head}" in below else "directory",
            }
            for head in heads
        ] or [{"name": f"{host}/{prefix}", "size": 1, "type": "file"}]
        return rows if detail else [row["name"] for row in rows]

    def cat_file(self, path: str, *_: Any, **__: Any) -> bytes:
        code, body = self._ask("GET", path)
        if code == 404:
            raise FileNotFoundError(path)
        return body

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        if self._ask("PUT", path, value)[0] == 412:
            raise FileExistsError(path)

    def rm_file(self, path: str) -> None:
        if self._ask("DELETE", path)[0] == 404:
            raise FileNotFoundError(path)


@pytest.fixture
def bucket() -> Iterator[str]:
    handler = type("Handler", (_Bucket,), {"objects": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    fsspec.register_implementation("fakebucket", FakeBucket, clobber=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"fakebucket://127.0.0.1:{server.server_port}/a/b"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["folder", "file", "memory", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return FolderPlace(tmp_path / "kept")
    if request.param == "file":
        return place_of(f"file://{tmp_path}/kept")
    if request.param == "memory":
        return place_of(f"memory://{tmp_path}/kept")
    return place_of(request.getfixturevalue("bucket"), allow_remote=True)


def test_every_place_keeps_a_file_once_and_tells_what_is_there(place: Place) -> None:
    assert place.names() == place.names("3f") == []
    with place.entered("mark.txt", alone=True):
        assert place.create("mark.txt", b"mark")
        assert place.create("3f/one.part", b"first")
        assert not place.create("3f/one.part", b"second")
        assert place.create("3f/two.part", b"2")
    assert place.read("3f/one.part") == b"first"
    assert (place.has("3f/one.part"), place.has("3f/three.part")) == (True, False)
    assert place.names("3f") == ["one.part", "two.part"]
    assert place.names() == ["3f", "mark.txt"]
    with pytest.raises(FileNotFoundError):
        place.read("3f/three.part")
    for name in ("3f/one.part", "3f/two.part", "3f/three.part", "mark.txt"):
        place.remove(name)
    place.prune("3f")
    place.prune()
    assert not place.is_there()


def test_an_interrupted_run_goes_on_from_any_place(
    place: Place, town: Path, tmp_path: Path, undisturbed: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Two of three shards, a damaged part, then the whole: the same bytes, and nothing stays."""
    for number in (1, 2):
        job = job_in(tmp_path, town, shard=Shard(number, 3), parts=place)
        run_job(job, Bright(), Silent())
    [folder] = [name for name in place.names() if "." not in name]
    part = next(name for name in place.names(folder) if name.endswith(".part"))
    damaged = place.read(f"{folder}/{part}")[:-1]
    place.remove(f"{folder}/{part}")
    place.create(f"{folder}/{part}", damaged)
    whole = job_in(tmp_path, town, parts=place, resume=True)
    whole.check_places()
    run_job(whole, Bright(), Silent())
    assert caplog.text.count("the part is damaged") == 1
    assert whole.output.read_bytes() == undisturbed
    assert not place.is_there()
    assert not (tmp_path / "o.gpkg.parts").exists()


def test_shards_in_any_place_are_merged(
    place: Place, town: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    job = job_in(tmp_path, town, shard=Shard(1, 1), parts=place)
    assert run_job(job, Bright(), Silent()).parts == PARTS
    merge(Merge((place,), job.output, remove=True), Silent())
    assert job.output.read_bytes() == undisturbed
    assert not place.is_there()


def test_other_processes_find_the_place(town: Path, tmp_path: Path, undisturbed: bytes) -> None:
    job = job_in(tmp_path, town, parts=place_of(f"file://{tmp_path}/kept"))
    run_job(job, ELSEWHERE, Silent(), Processes(BrightModel(), 2))
    assert job.output.read_bytes() == undisturbed


def test_a_changed_run_and_a_strangers_place_are_refused(
    place: Place, town: Path, tmp_path: Path
) -> None:
    run_job(job_in(tmp_path, town, shard=Shard(1, 2), parts=place), Bright(), Silent())
    other = Choices(off_nadir_deg=30.0, min_area_m2=1.0, threshold=0.61)
    job = job_in(tmp_path, town, shard=Shard(2, 2), parts=place)
    changed = replace(job, choices=other)
    with pytest.raises(OutputError, match=r"threshold was 0\.5, is 0\.61"):
        run_job(changed, Bright(), Silent())
    place.remove("snet4-parts.txt")
    with pytest.raises(OutputError, match="something else"), partstore.opened(place):
        pass


def test_a_run_that_would_throw_parts_away_is_refused(town: Path, tmp_path: Path) -> None:
    place = place_of(f"file://{tmp_path}/kept")
    run_job(job_in(tmp_path, town, shard=Shard(1, 2), parts=place), Bright(), Silent())
    with pytest.raises(OutputError, match=r"file://.*--resume"):
        job_in(tmp_path, town, parts=place).check_places()


class TestUrls:
    def test_a_path_is_a_folder(self) -> None:
        assert place_of("a/b.parts") == FolderPlace(Path("a/b.parts"))

    def test_connections_are_asked_for(self) -> None:
        with pytest.raises(InputError, match=r"opens no connections by itself.*--allow-remote"):
            place_of("s3://bucket/prefix")

    def test_a_bucket_alone_is_no_place(self) -> None:
        with pytest.raises(InputError, match="names no place"):
            place_of("memory://")

    def test_an_unknown_protocol_is_named(self) -> None:
        with pytest.raises(InputError, match="no protocol 'nosuch'"):
            place_of("nosuch://a/b", allow_remote=True)

    def test_a_missing_package_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "s3fs", None)
        with pytest.raises(DependencyError, match="s3fs"):
            place_of("s3://bucket/prefix", allow_remote=True)

    def test_without_fsspec_its_installation_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.split(".")[0] == "fsspec"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "fsspec", None)
        with pytest.raises(DependencyError, match="-m pip install fsspec"):
            place_of("memory://a/b")

    def test_what_the_stores_library_raises_is_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class NoCredentialsError(Exception):
            pass

        def refuse(*_: Any, **__: Any) -> None:
            raise NoCredentialsError("Unable to locate credentials")

        monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "isfile", refuse)
        with pytest.raises(OutputError, match=r"memory://a/b: .*unable to locate credentials"):
            partstore.begun(ObjectPlace("memory://a/b"))


def test_one_file_a_scene_has_places_of_its_own(town: Path, tmp_path: Path) -> None:
    from snet4core.jobs.per_scene import each_scene

    job = job_in(tmp_path, town, parts=FolderPlace(tmp_path / "kept"))
    with pytest.raises(UsageError, match="--parts is the place of one layer"):
        each_scene(replace(job, output=tmp_path / "{scene}.gpkg"))
